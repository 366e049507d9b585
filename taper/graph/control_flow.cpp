#include <taper/graph/control_flow.h>

#include <taper/autograd/gradients_until.h>
#include <taper/graph/subgraph.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// A choice, and a loop whose number of turns depends on values.

namespace taper {
namespace {

// -------------------------------------------------------------------------------------- cond

struct CondAttrs {
  Subgraph then = {};
  Subgraph otherwise = {};
};

Specs infer_cond(const InSpecs& in, const CondAttrs& attrs) {
  check_truth(in[0], "predicate");
  check_operands(attrs.then, in, 1);
  check_operands(attrs.otherwise, in, 1);
  const std::vector<Spec> specs = result_specs(attrs.then);
  const std::vector<Spec> others = result_specs(attrs.otherwise);
  if (specs.size() != others.size()) {
    violate(ErrorKind::value, "its functions give " + std::to_string(specs.size()) + " and " +
                                  std::to_string(others.size()) + " results");
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i] == others[i]) continue;
    violate(specs[i].dtype != others[i].dtype ? ErrorKind::dtype : ErrorKind::shape,
            "its functions give " + to_string(specs[i]) + " and " + to_string(others[i]) +
                " as result " + std::to_string(i) + "; both must give the same");
  }
  return as_specs(specs);
}

Results expand_cond(const Inputs& in, const CondAttrs& attrs) {
  const Subgraph& chosen = in[0].item<bool>() ? attrs.then : attrs.otherwise;
  return as_results(chosen.run(tensors_from(in, 1)));
}

/// The same choice between the gradients of the two functions.
Grads cond_vjp(const Saved& saved, const CondAttrs& attrs) {
  const size_t count = saved.inputs() - 1;
  std::vector<Tensor> operands;
  for (size_t i = 0; i < count; ++i) operands.push_back(saved.in(i + 1));
  for (size_t i = 0; i < saved.outputs(); ++i) {
    if (saved.grad(i).defined()) operands.push_back(saved.grad(i));
  }
  const auto wanted = [&](size_t i) { return saved.needs(i + 1); };
  const auto gradients = [&](const Subgraph& function, const std::vector<Tensor>& in) {
    std::vector<Tensor> grads(saved.outputs());
    size_t next = count;
    for (size_t i = 0; i < grads.size(); ++i) {
      if (saved.grad(i).defined()) grads[i] = in[next++];
    }
    const Grads found = function_gradients(
        {in.begin(), in.begin() + static_cast<std::ptrdiff_t>(count)}, wanted, grads,
        [&](const std::vector<Tensor>& x) { return function.call(x); }, "cond");
    std::vector<Tensor> results;
    for (size_t i = 0; i < count; ++i) {
      if (wanted(i)) results.push_back(found[i].defined() ? found[i] : zeros_like(in[i]));
    }
    return results;
  };
  const std::vector<Tensor> found = detail::cond_of_lists(
      saved.in(0), [&](const std::vector<Tensor>& in) { return gradients(attrs.then, in); },
      [&](const std::vector<Tensor>& in) { return gradients(attrs.otherwise, in); }, operands);
  Grads grads(count + 1);
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    if (wanted(i)) grads[i + 1] = found[next++];
  }
  return grads;
}

CondAttrs sample_cond(const FunctionOfTensors& then, const FunctionOfTensors& otherwise) {
  const Spec spec{DType::f64, {}, {3}};
  const FunctionOfTensors functions[] = {then, otherwise};
  Subgraphs captured = capture_subgraphs("cond", {spec, spec}, functions);
  return {captured.functions[0], captured.functions[1]};
}

std::vector<Sample<CondAttrs>> cond_samples() {
  const auto product = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{x[0] * x[1], x[1]};
  };
  const auto difference = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{x[0] - 2 * x[1], x[0]};
  };
  const auto sum_of = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{sum(x[0]), x[0]};
  };
  const SampleInput truth{.low = 0, .high = 2, .dtype = DType::boolean};
  const SampleInput x{.shape = {3}, .low = -9, .high = 9, .dtype = DType::f64};
  const CondAttrs good = sample_cond(product, difference);
  return {{.inputs = {truth, x, x}, .attrs = good},
          {.inputs = {{.low = 1, .high = 2, .dtype = DType::boolean}, x, x}, .attrs = good},
          {.inputs = {x, x, x}, .attrs = good, .error = "predicate must be one bool"},
          {.inputs = {truth, x}, .attrs = good, .error = "its function takes 2 operands, got 1"},
          {.inputs = {truth, x, x},
           .attrs = sample_cond(product, sum_of),
           .error = "its functions give f64[3] and f64[] as result 0"},
          {.inputs = {truth}, .error = "needs its functions"}};
}

const Op<CondAttrs> cond_op{
    {.name = "cond",
     .doc = "The results of `then` for the operands if `predicate` is true, else of `otherwise`.",
     .attributes = {{"then", "Runs if the predicate is true."},
                    {"otherwise", "Runs if it is false; gives results of the same specs."}},
     .inputs = {"predicate", "operands*"},
     .outputs = {"ys*"},
     .takes = kinds::every,
     .infer = infer_cond,
     .expand = expand_cond,
     .grad = {cond_vjp, Saves::inputs},
     .onnx = {"If", 1, {{"then", "then_branch"}, {"otherwise", "else_branch"}}},
     .no_golden = golden_of_functions,
     .samples = cond_samples}};

// -------------------------------------------------------------------------------- while_loop

struct WhileAttrs {
  Subgraph condition = {};
  Subgraph body = {};
};

Specs infer_while(const InSpecs& in, const WhileAttrs& attrs) {
  check_operands(attrs.condition, in, 0);
  check_operands(attrs.body, in, 0);
  const std::vector<Spec> test = result_specs(attrs.condition);
  if (test.size() != 1) violate(ErrorKind::value, "its condition must give one result");
  check_truth(test[0], "what its condition gives");
  const std::vector<Spec> specs = result_specs(attrs.body);
  if (specs.size() > in.size()) check_count(specs.size(), in.size());
  for (size_t i = 0; i < specs.size(); ++i) check_kept(specs[i], in[i], i);
  return as_specs(specs);
}

Results expand_while(const Inputs& in, const WhileAttrs& attrs) {
  std::vector<Tensor> values = tensors_from(in, 0);
  const size_t count = attrs.body.graph()->outputs.size();
  while (attrs.condition.run(values)[0].item<bool>()) {
    std::vector<Tensor> next = attrs.body.run(values);
    for (size_t i = 0; i < count; ++i) values[i] = std::move(next[i]);
  }
  values.resize(count);
  return as_results(values);
}

std::vector<Sample<WhileAttrs>> while_samples() {
  const Spec spec{DType::f64, {}, {}};
  const auto below = [](const std::vector<Tensor>& x) { return std::vector<Tensor>{x[0] < 100}; };
  const auto doubled = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{x[0] * 2 + 1, x[1] + x[0]};
  };
  const auto wrong = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{astype(x[0], DType::f32), x[1]};
  };
  const auto attrs = [&](const FunctionOfTensors& condition,
                         const FunctionOfTensors& body) -> WhileAttrs {
    const FunctionOfTensors functions[] = {condition, body};
    Subgraphs captured = capture_subgraphs("while_loop", {spec, spec}, functions);
    return {captured.functions[0], captured.functions[1]};
  };
  const SampleInput x{.low = 0, .high = 9, .dtype = DType::f64};
  return {{.inputs = {x, x}, .attrs = attrs(below, doubled)},
          {.inputs = {{.low = 100, .high = 200, .dtype = DType::f64}, x},
           .attrs = attrs(below, doubled)},
          {.inputs = {x, x},
           .attrs = attrs(below, wrong),
           .error = "value 0 must stay f64[], its function gives f32[]"},
          {.inputs = {x, x},
           .attrs = attrs(doubled, doubled),
           .error = "its condition must give one result"}};
}

const Op<WhileAttrs> while_op{
    {.name = "while_loop",
     .doc = "The operands after as many turns of `body` as `condition` is true.",
     .attributes = {{"condition", "Looks at the values before each turn; gives one bool."},
                    {"body", "Gives the next values."}},
     .inputs = {"operands*"},
     .outputs = {"ys*"},
     .takes = kinds::every,
     .infer = infer_while,
     .expand = expand_while,
     .grad = not_differentiable{"the number of its turns is not known; use scan"},
     .no_golden = golden_of_functions,
     .samples = while_samples}};

}  // namespace

namespace detail {

std::vector<Tensor> cond_of_lists(const Tensor& predicate, FunctionOfTensors then,
                                  FunctionOfTensors otherwise,
                                  const std::vector<Tensor>& operands) {
  checked("cond", [&] {
    if (!predicate.defined()) violate(ErrorKind::value, "predicate is undefined");
    check_truth(predicate.spec(), "predicate");
    check_defined("operands", operands);
  });
  if (capture_number == 0)
    return off_tape(predicate.item<bool>() ? then(operands) : otherwise(operands));
  DefinedResults first(then);
  DefinedResults second(otherwise);
  const FunctionOfTensors functions[] = {first, second};
  Subgraphs captured = capture_subgraphs("cond", specs_of(operands), functions);
  checked("cond", [&] {
    if (first.mask() == second.mask() || first.mask().size() != second.mask().size()) return;
    violate(ErrorKind::value, "one of its functions leaves a result undefined");
  });
  const CondAttrs attrs{captured.functions[0], captured.functions[1]};
  return first.complete(call_list(cond_op, &attrs,
                                  joined(joined({predicate}, operands), captured.lifted),
                                  attrs.then.graph()->outputs.size()));
}

std::vector<Tensor> while_of_lists(FunctionOfTensors condition, FunctionOfTensors body,
                                   const std::vector<Tensor>& initial) {
  checked("while_loop", [&] { check_defined("initial", initial); });
  if (capture_number != 0) {
    const FunctionOfTensors functions[] = {condition, body};
    Subgraphs captured = capture_subgraphs("while_loop", specs_of(initial), functions);
    const WhileAttrs attrs{captured.functions[0], captured.functions[1]};
    const size_t count = attrs.body.graph()->outputs.size();
    checked("while_loop", [&] { check_count(count, initial.size()); });
    return call_list(while_op, &attrs, joined(initial, captured.lifted), count);
  }
  std::vector<Tensor> values = initial;
  while (true) {
    const Tensor holds = condition(values)[0];
    checked("while_loop", [&] { check_truth(holds.spec(), "what its condition gives"); });
    if (!holds.item<bool>()) return off_tape(std::move(values));
    std::vector<Tensor> next = body(values);
    checked("while_loop", [&] {
      check_count(next.size(), values.size());
      check_defined("values", next);
      for (size_t i = 0; i < next.size(); ++i) check_kept(next[i].spec(), values[i].spec(), i);
    });
    values = std::move(next);
  }
}

}  // namespace detail

}  // namespace taper

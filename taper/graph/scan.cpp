#include <algorithm>
#include <utility>

#include <taper/autograd/gradients_until.h>
#include <taper/graph/control_flow.h>
#include <taper/graph/subgraph.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// A loop along the first axis of tensors.

namespace taper {
namespace {

using Tensors = std::vector<Tensor>;

struct ScanAttrs {
  Subgraph step = {};
  int64_t carries = 0;
  int64_t sequences = 0;
  int64_t length = 0;
  bool reverse = false;
};

/// The spec of what one step sees of a sequence, or gives to one.
Spec element_of(Spec sequence) {
  std::vector<int64_t> sizes = sequence.shape.to_vector();
  sizes.erase(sizes.begin());
  sequence.shape = Shape(sizes);
  return sequence;
}
Spec sequence_of(Spec element, int64_t length) {
  std::vector<int64_t> sizes = element.shape.to_vector();
  sizes.insert(sizes.begin(), length);
  element.shape = Shape(sizes);
  return element;
}

// An op on the tape has not any number of operands or results.
constexpr int64_t most_elements = 1 << 14;

/// The elements, each still with its first axis. One op gives them, whose gradient puts those of
/// the steps together once: a slice for each would give one of the whole sequence for each.
Tensors elements(const Tensor& sequence) {
  const int64_t length = sequence.shape()[0];
  if (length == 0) return {};
  Tensors all;
  for (int64_t first = 0; first < length; first += most_elements) {
    const bool whole = length <= most_elements;
    const Tensor part = whole ? sequence : slice(sequence, 0, first, first + most_elements);
    for (Tensor& each : split(part, 1)) all.push_back(std::move(each));
  }
  return all;
}

void check_sequence(const Spec& spec, size_t index, int64_t length) {
  const std::string name = "xs[" + std::to_string(index) + "]";
  if (spec.shape.rank() == 0) {
    violate(ErrorKind::shape, name + " must have an axis to step along, got " + to_string(spec));
  }
  if (spec.shape[0] == length) return;
  violate(ErrorKind::shape, name + " must have " + std::to_string(length) +
                                " elements along its first axis, got " + to_string(spec));
}

Specs infer(const InSpecs& in, const ScanAttrs& attrs) {
  const auto carries = static_cast<size_t>(attrs.carries);
  const auto sequences = static_cast<size_t>(attrs.sequences);
  const Graph* graph = attrs.step.graph();
  if (graph == nullptr) violate(ErrorKind::value, "needs its functions");
  if (attrs.carries < 0 || attrs.sequences < 0 || attrs.length < 0 ||
      carries + sequences > in.size() || in.size() != graph->inputs.size()) {
    violate(ErrorKind::value, "its function takes " + std::to_string(graph->inputs.size()) +
                                  " operands, got " + std::to_string(in.size()));
  }
  for (size_t i = 0; i < in.size(); ++i) {
    const bool is_sequence = i >= carries && i < carries + sequences;
    if (is_sequence) check_sequence(in[i], i - carries, attrs.length);
    const Spec given = is_sequence ? element_of(in[i]) : in[i];
    check_operand(attrs.step, i, given);
  }
  const std::vector<Spec> results = result_specs(attrs.step);
  if (results.size() < carries) check_count(results.size(), carries);
  Specs specs;
  for (size_t i = 0; i < results.size(); ++i) {
    if (i < carries) check_kept(results[i], in[i], i);
    specs.push_back(i < carries ? results[i] : sequence_of(results[i], attrs.length));
  }
  return specs;
}

Tensor stack_all(const Tensors& tensors) {
  constexpr auto most = static_cast<size_t>(most_elements);
  if (tensors.size() <= most) return stack(tensors);
  Tensors parts;
  for (size_t i = 0; i < tensors.size(); i += most) {
    const auto first = tensors.begin() + static_cast<std::ptrdiff_t>(i);
    const size_t count = std::min(most, tensors.size() - i);
    parts.push_back(stack(Tensors(first, first + static_cast<std::ptrdiff_t>(count))));
  }
  return concat(parts, 0);
}

/// Runs `step` on the carries and the elements of the sequences; gives the last carries and, of
/// each step, what is behind them, stacked. `results` are the specs of what a step gives, for a
/// loop of none.
Tensors loop(FunctionOfTensors step, const Tensors& initial, const Tensors& xs, int64_t length,
             bool reverse, const std::vector<Spec>& results) {
  Tensors carries = initial;
  std::vector<Tensors> ys;
  std::vector<Tensors> steps;
  for (const Tensor& x : xs) steps.push_back(elements(x));
  for (int64_t i = 0; i < length; ++i) {
    const int64_t at = reverse ? length - 1 - i : i;
    for (Tensors& x : steps) {
      carries.push_back(squeeze(std::exchange(x[static_cast<size_t>(at)], {}), {0}));
    }
    Tensors next = step(carries);
    const size_t count = next.size() - initial.size();
    if (i == 0) ys.assign(count, Tensors(static_cast<size_t>(length)));
    for (size_t k = 0; k < count; ++k) {
      ys[k][static_cast<size_t>(at)] = std::move(next[initial.size() + k]);
    }
    next.resize(initial.size());
    carries = std::move(next);
  }
  for (const Tensors& each : ys) carries.push_back(stack_all(each));
  for (size_t i = initial.size(); length == 0 && i < results.size(); ++i) {
    const Spec spec = sequence_of(results[i], 0);
    carries.push_back(zeros(spec.shape, spec.dtype, spec.device));
  }
  return carries;
}

Results expand(const Inputs& in, const ScanAttrs& attrs) {
  const Tensors all = tensors_from(in, 0);
  const auto sequences = all.begin() + attrs.carries;
  const auto held = sequences + attrs.sequences;
  const Tensors rest(held, all.end());
  const auto step = [&](const Tensors& x) { return attrs.step.run(joined(x, rest)); };
  return as_results(loop(step, {all.begin(), sequences}, {sequences, held}, attrs.length,
                         attrs.reverse, result_specs(attrs.step)));
}

/// What the gradient of a scan needs of its call.
struct ScanCall {
  const Saved& saved;
  const ScanAttrs& attrs;
  size_t carries = static_cast<size_t>(attrs.carries);
  size_t sequences = static_cast<size_t>(attrs.sequences);

  Tensors operands(size_t begin, size_t end) const {
    Tensors list;
    for (size_t i = begin; i < end; ++i) list.push_back(saved.in(i));
    return list;
  }
  Tensors initial() const { return operands(0, carries); }
  Tensors xs() const { return operands(carries, carries + sequences); }
  Tensors held() const { return operands(carries + sequences, saved.inputs()); }
  /// A carry hands gradients on, whether its first value needs one or not.
  bool wants(size_t i) const {
    return i < carries ? is_inexact(saved.in_spec(i).dtype) : saved.needs(i);
  }
};

/// The carries before each step, stacked: the loop once more.
Tensors carries_of_steps(const ScanCall& call, const Tensors& held) {
  const auto step = [&](const Tensors& in) {
    Tensors out = call.attrs.step.call(joined(in, held));
    out.resize(call.carries);
    return joined(std::move(out), {in.data(), call.carries});
  };
  Tensors all =
      detail::scan_of_lists(step, call.initial(), call.xs(), call.attrs.reverse, call.attrs.length);
  all.erase(all.begin(), all.begin() + call.attrs.carries);
  return all;
}

/// Steps the other way: carries the gradients of the carries and the sums of those of what the step
/// holds; gives those of the sequences.
Grads vjp(const Saved& saved, const ScanAttrs& attrs) {
  const ScanCall call{saved, attrs};
  const Tensors held = call.held();
  const Tensors xs = joined(call.xs(), carries_of_steps(call, held));
  Tensors initial;
  for (size_t i = 0; i < saved.inputs(); ++i) {
    if (!call.wants(i) || (i >= call.carries && i < call.carries + call.sequences)) continue;
    const bool given = i < call.carries && saved.grad(i).defined();
    const Spec& spec = saved.in_spec(i);
    initial.push_back(given ? saved.grad(i) : zeros(spec.shape, spec.dtype, spec.device));
  }
  Tensors sequences = xs;
  for (size_t i = call.carries; i < saved.outputs(); ++i) {
    if (saved.grad(i).defined()) sequences.push_back(saved.grad(i));
  }
  const auto step = [&](const Tensors& in) {
    size_t next = 0;
    Tensors grads(saved.outputs());
    for (size_t i = 0; i < call.carries; ++i) {
      if (call.wants(i)) grads[i] = in[next++];
    }
    Tensors sums(in.begin() + static_cast<std::ptrdiff_t>(next),
                 in.begin() + static_cast<std::ptrdiff_t>(initial.size()));
    const std::span<const Tensor> x(in.data() + initial.size(), call.sequences);
    const std::span<const Tensor> carries(x.data() + call.sequences, call.carries);
    next = initial.size() + call.sequences + call.carries;
    for (size_t i = call.carries; i < saved.outputs(); ++i) {
      if (saved.grad(i).defined()) grads[i] = in[next++];
    }
    const Tensors operands = joined(joined({carries.begin(), carries.end()}, x), held);
    const Grads found = function_gradients(
        operands, [&](size_t i) { return call.wants(i); }, grads,
        [&](const Tensors& all) { return attrs.step.call(all); }, "scan");
    const auto zeros_if_none = [&](size_t i) {
      return found[i].defined() ? found[i] : zeros_like(operands[i]);
    };
    Tensors out;
    Tensors of_xs;
    for (size_t i = 0, sum = 0; i < operands.size(); ++i) {
      if (!call.wants(i)) continue;
      const bool is_held = i >= call.carries + call.sequences;
      if (i >= call.carries && !is_held) {
        of_xs.push_back(zeros_if_none(i));
      } else if (is_held) {
        out.push_back(found[i].defined() ? sums[sum] + found[i] : sums[sum]);
        ++sum;
      } else {
        out.push_back(zeros_if_none(i));
      }
    }
    return joined(std::move(out), of_xs);
  };
  const Tensors result =
      detail::scan_of_lists(step, initial, sequences, !attrs.reverse, attrs.length);
  Grads grads(saved.inputs());
  size_t next = 0;
  size_t of_xs = initial.size();
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!call.wants(i)) continue;
    const bool is_sequence = i >= call.carries && i < call.carries + call.sequences;
    Tensor grad = result[is_sequence ? of_xs++ : next++];
    if (saved.needs(i)) grads[i] = std::move(grad);
  }
  return grads;
}

std::vector<Sample<ScanAttrs>> samples() {
  const Spec carry{DType::f64, {}, {3}};
  const auto step = [](const Tensors& in) {
    const Tensor next = in[0] * 2 + in[1];
    return Tensors{next, sum(next * in[1])};
  };
  const auto wrong = [](const Tensors& in) { return Tensors{sum(in[0])}; };
  const auto attrs = [&](const FunctionOfTensors& function, bool reverse) -> ScanAttrs {
    const FunctionOfTensors functions[] = {function};
    return {capture_subgraphs("scan", {carry, carry}, functions).functions[0], 1, 1, 5, reverse};
  };
  const SampleInput x{.shape = {3}, .low = -9, .high = 9, .dtype = DType::f64};
  const SampleInput xs{.shape = {5, 3}, .low = -9, .high = 9, .dtype = DType::f64};
  return {{.inputs = {x, xs}, .attrs = attrs(step, false)},
          {.inputs = {x, xs}, .attrs = attrs(step, true)},
          {.inputs = {x, x}, .attrs = attrs(step, false), .error = "must have 5 elements"},
          {.inputs = {x, xs},
           .attrs = attrs(wrong, false),
           .error = "value 0 must stay f64[3], its function gives f64[]"}};
}

const Op<ScanAttrs> scan_op{
    {.name = "scan",
     .doc = "Steps along the first axis of tensors, carrying values from step to step.",
     .attributes = {{"step", "From carries and elements to the next carries and results."},
                    {"carries", "How many of the first operands are carried."},
                    {"sequences", "How many of the next ones are stepped along."},
                    {"length", "The number of steps."},
                    {"reverse", "Whether it begins with the last element."}},
     .inputs = {"operands*"},
     .outputs = {"ys*"},
     .takes = kinds::every,
     .infer = infer,
     .expand = expand,
     .grad = {vjp, Saves::inputs},
     .onnx = {"Scan",
              9,
              {{"step", "body"},
               {"carries", ""},
               {"sequences", "num_scan_inputs"},
               {"length", ""},
               {"reverse", "scan_input_directions"}}},
     .no_golden = golden_of_functions,
     .samples = samples}};

/// The number of steps that the sequences, or else the option, say.
int64_t length_of(const Tensors& xs, int64_t length) {
  if (!xs.empty() && xs[0].rank() > 0) {
    const int64_t found = xs[0].shape()[0];
    if (length >= 0 && length != found) {
      violate(ErrorKind::value, "length must be the " + std::to_string(found) +
                                    " elements of xs[0], got " + std::to_string(length));
    }
    length = found;
  }
  for (size_t i = 0; i < xs.size(); ++i) check_sequence(xs[i].spec(), i, length);
  if (length < 0) violate(ErrorKind::value, "needs `length`, the number of steps, without xs");
  return length;
}

/// A step whose carries are checked.
class CheckedStep {
 public:
  CheckedStep(FunctionOfTensors step, const Tensors& initial) : step_(step), initial_(initial) {}

  Tensors operator()(const Tensors& in) {
    const std::vector<bool> before = std::exchange(mask_, {});
    Tensors out = step_(in);
    checked("scan", [&] {
      const std::span<const Tensor> carries(out.data(), std::min(out.size(), initial_.size()));
      check_count(carries.size(), initial_.size());
      check_defined("carry", {carries.begin(), carries.end()});
      for (size_t i = 0; i < carries.size(); ++i) {
        check_kept(carries[i].spec(), initial_[i].spec(), i);
      }
      for (const Tensor& each : out) mask_.push_back(each.defined());
      if (before.empty() || before == mask_) return;
      violate(ErrorKind::value, "its function gives other results than in the step before");
    });
    return out;
  }

 private:
  FunctionOfTensors step_;
  const Tensors& initial_;
  std::vector<bool> mask_;  // of the last step
};

}  // namespace

std::vector<Tensor> detail::scan_of_lists(FunctionOfTensors step, const Tensors& initial,
                                          const Tensors& xs, bool reverse, int64_t length) {
  checked("scan", [&] {
    check_defined("initial", initial);
    check_defined("xs", xs);
    length = length_of(xs, length);
  });
  CheckedStep checked_step(step, initial);
  DefinedResults results(checked_step);
  if (capture_number == 0 && length > 0) {
    return off_tape(results.complete(loop(results, initial, xs, length, reverse, {})));
  }
  std::vector<Spec> specs = specs_of(initial);
  for (const Tensor& x : xs) specs.push_back(element_of(x.spec()));
  const FunctionOfTensors functions[] = {results};
  Subgraphs captured = capture_subgraphs("scan", specs, functions);
  const ScanAttrs attrs{captured.functions[0], static_cast<int64_t>(initial.size()),
                        static_cast<int64_t>(xs.size()), length, reverse};
  return results.complete(call_list(scan_op, &attrs, joined(joined(initial, xs), captured.lifted),
                                    attrs.step.graph()->outputs.size()));
}

}  // namespace taper

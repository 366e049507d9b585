// Every differentiable row x sample: the specs and values of its gradients in every floating dtype,
// and its gradients captured and replayed on other values against eager ones, bit for bit.

#include <taper/autograd/autograd.h>
#include <taper/graph/compile.h>

#include "tests/ops/op_compare.h"

namespace taper::testing {
namespace {

class OpGradientRule : public ::testing::TestWithParam<OpCase> {};

/// The outputs whose gradients exist, by what the rule gives for inputs of this dtype.
std::vector<int> floating_outputs(const OpCase& c, DType dtype) {
  const std::vector<Tensor> inputs = make_inputs(c.sample, dtype);
  const Specs specs = inferred(*c.op, c.sample, as_args(inputs));
  std::vector<int> chosen;
  for (int i = 0; i < specs.count; ++i) {
    if (is_float(specs[i].dtype)) chosen.push_back(i);
  }
  return chosen;
}

std::vector<OpCase> differentiable_cases() {
  std::vector<OpCase> chosen;
  for (OpCase& c : all_cases(false)) {
    if (c.op->why_not_differentiable != nullptr || !takes_floats(c.sample)) continue;
    if (!floating_outputs(c, DType::f32).empty()) chosen.push_back(std::move(c));
  }
  return chosen;
}

/// Weights for the elements of each output: a gradient that differs everywhere.
std::vector<Tensor> make_weights(const OpCase& c, const std::vector<Tensor>& inputs) {
  const Specs specs = inferred(*c.op, c.sample, as_args(inputs));
  std::vector<Tensor> weights;
  for (int i = 0; i < specs.count; ++i) {
    if (!is_float(specs[i].dtype)) continue;
    const SampleInput like{.shape = specs[i].shape, .low = 0.5, .high = 2};
    weights.push_back(make_input(like, specs[i].dtype, 70 + static_cast<uint64_t>(i)));
  }
  return weights;
}

/// Makes leaves of the floating inputs.
std::vector<Tensor> make_leaves(std::vector<Tensor>& inputs) {
  std::vector<Tensor> leaves;
  for (Tensor& input : inputs) {
    if (!input.defined() || !is_float(input.dtype())) continue;
    input = input.detach().set_requires_grad();
    leaves.push_back(input);
  }
  return leaves;
}

/// The weighted sum of the outputs; `turn` changes how both lie in memory.
Tensor loss_of(
    const OpCase& c, const std::vector<Tensor>& inputs, const std::vector<Tensor>& weights,
    Tensor (*turn)(const Tensor&) = [](const Tensor& x) { return x; }) {
  Tensor loss = zeros({}, DType::f64);
  size_t next = 0;
  for (const Tensor& output : run_all(*c.op, c.sample, inputs)) {
    if (!is_float(output.dtype())) continue;
    const Tensor product = turn(output) * contiguous(turn(weights[next++]));
    loss = loss + astype(sum(product), DType::f64);
  }
  return loss;
}

/// Its gradients in each floating input.
std::vector<Tensor> gradients_of(const OpCase& c, std::vector<Tensor> inputs,
                                 const std::vector<Tensor>& weights) {
  const std::vector<Tensor> leaves = make_leaves(inputs);
  return gradients(loss_of(c, inputs, weights), leaves);
}

TEST_P(OpGradientRule, GivesSpecsLikeTheInputsInEveryDtype) {
  const OpCase& c = GetParam();
  for (DType dtype : floating_dtypes) {
    SCOPED_TRACE(dtype_name(dtype));
    const std::vector<Tensor> inputs = make_inputs(c.sample, dtype);
    const std::vector<Tensor> grads = gradients_of(c, inputs, make_weights(c, inputs));
    size_t next = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined() || !is_float(inputs[i].dtype())) continue;
      const Tensor& grad = grads[next++];
      if (!grad.defined()) continue;
      EXPECT_EQ(to_string(grad.spec()), to_string(inputs[i].spec())) << "operand " << i;
    }
  }
}

/// Differences are taken in f64 only. A rule rounds after each of its ops, and may sum.
TEST_P(OpGradientRule, GivesInEveryDtypeWhatItGivesInDouble) {
  const OpCase& c = GetParam();
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const std::vector<Tensor> inputs = make_inputs(c.sample, dtype);
    const std::vector<Tensor> weights = make_weights(c, inputs);
    const std::vector<Tensor> actual = gradients_of(c, inputs, weights);
    const std::vector<Tensor> exact = gradients_of(c, to_double(inputs), to_double(weights));
    ASSERT_EQ(actual.size(), exact.size());
    const Room room{dtype, 8, 8 * step(dtype)};
    for (size_t i = 0; i < actual.size(); ++i) {
      ASSERT_EQ(actual[i].defined(), exact[i].defined());
      if (!exact[i].defined()) continue;
      const std::string where = std::string(dtype_name(dtype)) + ", gradient " + std::to_string(i);
      expect_close(actual[i], exact[i], room, where, [] { return std::vector<double>(); });
    }
  }
}

/// The gradients of a weighted sum of the gradients.
std::vector<Tensor> second_gradients_of(const OpCase& c, std::vector<Tensor> inputs,
                                        const std::vector<Tensor>& weights) {
  const std::vector<Tensor> leaves = make_leaves(inputs);
  const Tensor loss = loss_of(c, inputs, weights);
  Tensor slope = zeros({}, DType::f64);
  uint64_t seed = 40;
  for (const Tensor& grad : gradients(loss, leaves, true)) {
    if (!grad.defined()) continue;
    const SampleInput like{.shape = grad.shape(), .low = 0.5, .high = 2, .dtype = DType::f64};
    slope = slope + sum(astype(grad, DType::f64) * make_input(like, DType::f64, seed++));
  }
  return slope.requires_grad() ? gradients(slope, leaves) : std::vector<Tensor>();
}

TEST_P(OpGradientRule, GivesInSingleTheSecondOrderThatItGivesInDouble) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  const std::vector<Tensor> weights = make_weights(c, inputs);
  std::vector<Tensor> exact;
  try {
    exact = second_gradients_of(c, to_double(inputs), to_double(weights));
  } catch (const Error& error) {
    ASSERT_EQ(error.kind(), ErrorKind::unsupported) << error.what();  // of first order only
    return;
  }
  const std::vector<Tensor> actual = second_gradients_of(c, inputs, weights);
  ASSERT_EQ(actual.size(), exact.size());
  const Room room{DType::f32, 64, 64 * step(DType::f32)};
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), exact[i].defined()) << i;
    if (!exact[i].defined()) continue;
    EXPECT_EQ(actual[i].dtype(), DType::f32);
    expect_close(actual[i], exact[i], room, "second gradient " + std::to_string(i),
                 [] { return std::vector<double>(); });
  }
}

/// What comes back to a rule lies in memory as the next op's gradient does.
TEST_P(OpGradientRule, TakesAGradientOfAnyStrides) {
  const OpCase& c = GetParam();
  std::vector<Tensor> inputs = make_inputs(c.sample, DType::f64);
  const std::vector<Tensor> weights = make_weights(c, inputs);
  const std::vector<Tensor> expected = gradients_of(c, inputs, weights);
  const std::vector<Tensor> leaves = make_leaves(inputs);
  const Tensor loss = loss_of(c, inputs, weights, [](const Tensor& x) {
    Shape reversed;
    for (int axis = x.rank() - 1; axis >= 0; --axis) reversed.push_back(axis);
    return permute_dims(x, reversed);
  });
  const std::vector<Tensor> actual = gradients(loss, leaves);
  const Room room{DType::f64, 8, 8 * step(DType::f64)};
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), expected[i].defined());
    if (!expected[i].defined()) continue;
    expect_close(actual[i], expected[i], room, "gradient " + std::to_string(i),
                 [] { return std::vector<double>(); });
  }
}

/// An undefined tensor is no operand of a captured function.
std::vector<Tensor> only_defined(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> chosen;
  for (const Tensor& tensor : tensors) {
    if (tensor.defined()) chosen.push_back(tensor);
  }
  return chosen;
}

TEST_P(OpGradientRule, ReplaysOnOtherValuesLikeEager) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  const std::vector<Tensor> weights = make_weights(c, inputs);
  const auto operands = [&](const std::vector<Tensor>& given) {
    std::vector<Tensor> all = only_defined(given);
    all.insert(all.end(), weights.begin(), weights.end());
    return all;
  };
  const Captured captured = capture(operands(inputs), [&](const std::vector<Tensor>& symbols) {
    std::vector<Tensor> given = inputs;
    auto next = symbols.begin();
    for (Tensor& input : given) {
      if (input.defined()) input = *next++;
    }
    return only_defined(gradients_of(c, given, {next, symbols.end()}));
  });
  verify(captured.graph);
  const Plan plan(captured, operands(inputs));
  for (uint64_t seed : {0, 1}) {
    const std::vector<Tensor> others = make_inputs(c.sample, DType::f32, seed);
    const std::vector<Tensor> replayed = plan.run(operands(others));
    const std::vector<Tensor> eager = only_defined(gradients_of(c, others, weights));
    ASSERT_EQ(replayed.size(), eager.size());
    for (size_t i = 0; i < eager.size(); ++i) {
      expect_same_bits(replayed[i], eager[i],
                       "gradient " + std::to_string(i) + ", values " + std::to_string(seed));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, OpGradientRule, ::testing::ValuesIn(differentiable_cases()),
                         name_of);

}  // namespace
}  // namespace taper::testing

// Every row x sample with complex numbers in the place of floating ones: those that take them
// against their oracles in c128, in other layouts, donated, captured and with their gradients
// against differences; the others say that they take none.

#include <algorithm>
#include <functional>

#include <taper/autograd/autograd.h>
#include <taper/graph/compile.h>

#include "tests/core/error_testing.h"
#include "tests/ops/op_donation.h"
#include "tests/ops/op_layouts.h"

namespace taper::testing {
namespace {

class OpComplex : public ::testing::TestWithParam<OpCase> {};

OpCase with_dtype(const OpCase& c, DType dtype) {
  OpCase changed = c;
  for (SampleInput& input : changed.sample.inputs) {
    if (!input.absent && is_inexact(input.dtype)) input.dtype = dtype;
  }
  return changed;
}

bool takes_complex(const OpCase& c) {
  const OpCase changed = with_dtype(c, DType::c64);
  const auto is_changed = [](const SampleInput& input) { return is_complex(input.dtype); };
  return std::ranges::any_of(changed.sample.inputs, is_changed) &&
         accepts(*c.op, changed.sample, make_inputs(changed.sample, DType::f32));
}

std::vector<OpCase> complex_cases() {
  std::vector<OpCase> cases = all_cases(false);
  std::erase_if(cases, [](const OpCase& c) { return !takes_complex(c); });
  return cases;
}

std::vector<Tensor> inputs_of(const OpCase& c, uint64_t seed = 0) {
  return make_inputs(c.sample, DType::f32, seed);
}

TEST_P(OpComplex, AgreesWithItsMeaningInEveryLayout) {
  for (DType dtype : {DType::c64, DType::c128}) {
    const OpCase c = with_dtype(GetParam(), dtype);
    const std::string name(dtype_name(dtype));
    const std::vector<Tensor> inputs = inputs_of(c);
    check_against_oracle(c, inputs, name);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined()) continue;
      for (const auto& [layout, change] : layouts) {
        std::vector<Tensor> changed = inputs;
        changed[i] = change(inputs[i]);
        check_against_oracle(c, changed, name + " " + std::string(layout));
      }
    }
  }
}

TEST_P(OpComplex, ADonatedBufferChangesNoBit) {
  for (DType dtype : {DType::c64, DType::c128}) {
    const OpCase c = with_dtype(GetParam(), dtype);
    expect_same_if_any_is_donated(c, [&] { return inputs_of(c); }, std::string(dtype_name(dtype)));
  }
}

TEST_P(OpComplex, ReplaysLikeEager) {
  const OpCase c = with_dtype(GetParam(), DType::c64);
  const std::vector<Tensor> inputs = inputs_of(c);
  if (!std::ranges::all_of(inputs, &Tensor::defined)) return;
  const Captured captured = capture(inputs, [&](const std::vector<Tensor>& symbols) {
    return run_all(*c.op, c.sample, symbols);
  });
  verify(captured.graph);
  const std::vector<Tensor> others = inputs_of(c, 1);
  const std::vector<Tensor> replayed = Plan(captured, inputs).run(others);
  const std::vector<Tensor> eager = run_all(*c.op, c.sample, others);
  for (size_t i = 0; i < eager.size(); ++i) expect_same_bits(replayed[i], eager[i], "replay");
}

/// A real number of all outputs that depends on each part of each element.
Tensor loss_of(const OpCase& c, const std::vector<Tensor>& inputs) {
  Tensor loss = zeros({}, DType::f64);
  uint64_t seed = 70;
  for (const Tensor& output : run_all(*c.op, c.sample, inputs)) {
    if (!is_inexact(output.dtype())) continue;
    const SampleInput like{.shape = output.shape(), .low = 0.5, .high = 2, .dtype = DType::c128};
    loss = loss + real(sum(output * make_input(like, DType::f64, seed++)));
  }
  return loss;
}

/// The inputs, each moved by `size` times a direction of its own.
std::vector<Tensor> moved(const std::vector<Tensor>& inputs, const std::vector<Tensor>& directions,
                          double size) {
  std::vector<Tensor> all = inputs;
  for (size_t i = 0; i < all.size(); ++i) {
    if (directions[i].defined()) all[i] = all[i] + directions[i] * size;
  }
  return all;
}

TEST_P(OpComplex, GradientsAgreeWithDifferences) {
  const OpCase c = with_dtype(GetParam(), DType::c128);
  if (c.op->why_not_differentiable != nullptr) return;
  std::vector<Tensor> inputs = inputs_of(c);
  std::vector<Tensor> directions(inputs.size());
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !is_complex(inputs[i].dtype())) continue;
    const SampleInput like{.shape = inputs[i].shape(), .dtype = DType::c128};
    directions[i] = make_input(like, DType::f64, 90 + i);
    leaves.push_back(inputs[i].set_requires_grad());
  }
  const Tensor loss = loss_of(c, inputs);
  if (!loss.requires_grad()) return;
  const std::vector<Tensor> grads = gradients(loss, leaves);
  double slope = 0;  // along the directions: of each part with its own
  size_t next = 0;
  for (const Tensor& direction : directions) {
    if (!direction.defined()) continue;
    const Tensor& grad = grads[next++];
    if (!grad.defined()) continue;
    ASSERT_EQ(to_string(grad.spec()), to_string(direction.spec()));
    slope += sum(real(grad) * real(direction) + imag(grad) * imag(direction)).item();
  }
  const no_grad off;
  constexpr double step = 1e-6;
  const double above = loss_of(c, moved(inputs, directions, step)).item();
  const double below = loss_of(c, moved(inputs, directions, -step)).item();
  EXPECT_NEAR(slope, (above - below) / (2 * step), 1e-7 * (1 + std::abs(slope)));
}

/// The gradients of the loss in the complex inputs that `wanted` says; those of others are left
/// out.
std::vector<Tensor> complex_gradients(const OpCase& c, std::vector<Tensor> inputs,
                                      const std::function<bool(size_t)>& wanted) {
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !is_complex(inputs[i].dtype()) || !wanted(i)) continue;
    leaves.push_back(inputs[i] = inputs[i].detach().set_requires_grad());
  }
  const Tensor loss = loss_of(c, inputs);
  return loss.requires_grad() ? gradients(loss, leaves) : std::vector<Tensor>();
}
std::vector<Tensor> complex_gradients(const OpCase& c, const std::vector<Tensor>& inputs) {
  return complex_gradients(c, inputs, [](size_t) { return true; });
}

bool is_differentiable(const OpCase& c) { return c.op->why_not_differentiable == nullptr; }

/// Differences are taken in c128 only.
TEST_P(OpComplex, GradientsInC64AreThoseInC128) {
  const OpCase c = with_dtype(GetParam(), DType::c64);
  if (!is_differentiable(c)) return;
  const std::vector<Tensor> inputs = inputs_of(c);
  const std::vector<Tensor> actual = complex_gradients(c, inputs);
  const std::vector<Tensor> exact = complex_gradients(c, to_double(inputs));
  ASSERT_EQ(actual.size(), exact.size());
  const Room room{DType::f32, 8, 8 * step(DType::f32)};
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), exact[i].defined());
    if (!exact[i].defined()) continue;
    EXPECT_EQ(actual[i].dtype(), DType::c64);
    const std::string where = "gradient " + std::to_string(i);
    const auto none = [] { return std::vector<double>(); };
    expect_close(real(actual[i]), real(exact[i]), room, where, none);
    expect_close(imag(actual[i]), imag(exact[i]), room, where, none);
  }
}

TEST_P(OpComplex, AGradientDoesNotDependOnTheOthers) {
  const OpCase c = with_dtype(GetParam(), DType::c128);
  if (!is_differentiable(c)) return;
  const std::vector<Tensor> inputs = inputs_of(c);
  const std::vector<Tensor> all = complex_gradients(c, inputs);
  size_t next = 0;
  for (size_t i = 0; i < inputs.size() && !all.empty(); ++i) {
    if (!inputs[i].defined() || !is_complex(inputs[i].dtype())) continue;
    const Tensor& expected = all[next++];
    const auto alone = complex_gradients(c, inputs, [&](size_t k) { return k == i; });
    if (!expected.defined()) continue;
    ASSERT_EQ(alone.size(), 1u) << "operand " << i;
    expect_same_bits(alone[0], expected, "operand " + std::to_string(i));
  }
}

TEST_P(OpComplex, GradientsReplayLikeEager) {
  const OpCase c = with_dtype(GetParam(), DType::c64);
  const std::vector<Tensor> inputs = inputs_of(c);
  if (!is_differentiable(c) || !std::ranges::all_of(inputs, &Tensor::defined)) return;
  if (complex_gradients(c, inputs).empty()) return;
  const auto defined_ones = [&](const std::vector<Tensor>& x) {
    std::vector<Tensor> grads = complex_gradients(c, x);
    std::erase_if(grads, [](const Tensor& grad) { return !grad.defined(); });
    return grads;
  };
  const Captured captured = capture(inputs, defined_ones);
  verify(captured.graph);
  const std::vector<Tensor> others = inputs_of(c, 1);
  const std::vector<Tensor> replayed = Plan(captured, inputs).run(others);
  const std::vector<Tensor> eager = defined_ones(others);
  ASSERT_EQ(replayed.size(), eager.size());
  for (size_t i = 0; i < eager.size(); ++i) expect_same_bits(replayed[i], eager[i], "gradient");
}

/// A real number of the gradients: of each part with a weight of its own.
Tensor slope_of(const OpCase& c, const std::vector<Tensor>& inputs,
                const std::vector<Tensor>& leaves) {
  Tensor slope = zeros({}, DType::f64);
  uint64_t seed = 30;
  for (const Tensor& grad : gradients(loss_of(c, inputs), leaves, true)) {
    const SampleInput like{.shape = grad.defined() ? grad.shape() : Shape(), .dtype = DType::c128};
    const Tensor weight = make_input(like, DType::f64, seed++);
    if (grad.defined()) slope = slope + real(sum(grad * weight));
  }
  return slope;
}

TEST_P(OpComplex, SecondOrderAgreesWithDifferences) {
  const OpCase c = with_dtype(GetParam(), DType::c128);
  if (!is_differentiable(c)) return;
  const auto slope_at = [&](std::vector<Tensor> inputs, std::vector<Tensor>& leaves) {
    leaves.clear();
    for (Tensor& input : inputs) {
      if (!input.defined() || !is_complex(input.dtype())) continue;
      leaves.push_back(input = input.detach().set_requires_grad());
    }
    return loss_of(c, inputs).requires_grad() ? slope_of(c, inputs, leaves) : Tensor();
  };
  const std::vector<Tensor> inputs = inputs_of(c);
  std::vector<Tensor> directions(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !is_complex(inputs[i].dtype())) continue;
    directions[i] = make_input({.shape = inputs[i].shape(), .dtype = DType::c128}, DType::f64, i);
  }
  std::vector<Tensor> leaves;
  const Tensor slope = slope_at(inputs, leaves);
  if (!slope.defined()) return;
  double second = 0;
  if (slope.requires_grad()) {
    const std::vector<Tensor> grads = gradients(slope, leaves);
    size_t next = 0;
    for (const Tensor& direction : directions) {
      if (!direction.defined()) continue;
      const Tensor& grad = grads[next++];
      if (!grad.defined()) continue;
      second += sum(real(grad) * real(direction) + imag(grad) * imag(direction)).item();
    }
  }
  constexpr double step = 1e-6;
  std::vector<Tensor> unused;
  const double above = slope_at(moved(inputs, directions, step), unused).item();
  const double below = slope_at(moved(inputs, directions, -step), unused).item();
  EXPECT_NEAR(second, (above - below) / (2 * step), 1e-6 * (1 + std::abs(second)));
}

TEST(Rows, ThatTakeNoComplexTensorsSaySo) {
  size_t refusals = 0;
  for (const OpCase& given : all_cases(false)) {
    const OpCase c = with_dtype(given, DType::c64);
    if (given.op->takes.has(Kind::complex) || !takes_floats(given.sample)) continue;
    SCOPED_TRACE(case_name(c));
    const std::string text =
        thrown_text(ErrorKind::dtype, [&] { run(*c.op, c.sample, inputs_of(c)); });
    EXPECT_EQ(text.find(std::string(c.op->name) + ": takes no complex tensors ("), 0u) << text;
    ++refusals;
  }
  EXPECT_GT(refusals, 0u);
}

INSTANTIATE_TEST_SUITE_P(Rows, OpComplex, ::testing::ValuesIn(complex_cases()), name_of);

}  // namespace
}  // namespace taper::testing

// Every row x sample with complex numbers in the place of floating ones: those that take them
// against their oracles in c128, in other layouts, donated, captured and with their gradients
// against differences; the others say that they take none.

#include <algorithm>

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

/// Differences are taken in c128 only.
TEST_P(OpComplex, GradientsInC64AreThoseInC128) {
  const OpCase c = with_dtype(GetParam(), DType::c64);
  if (c.op->why_not_differentiable != nullptr) return;
  const auto gradients_of = [&](std::vector<Tensor> inputs) {
    std::vector<Tensor> leaves;
    for (Tensor& input : inputs) {
      if (!input.defined() || !is_complex(input.dtype())) continue;
      leaves.push_back(input = input.detach().set_requires_grad());
    }
    const Tensor loss = loss_of(c, inputs);
    return loss.requires_grad() ? gradients(loss, leaves) : std::vector<Tensor>();
  };
  const std::vector<Tensor> inputs = inputs_of(c);
  const std::vector<Tensor> actual = gradients_of(inputs);
  const std::vector<Tensor> exact = gradients_of(to_double(inputs));
  ASSERT_EQ(actual.size(), exact.size());
  const Room room{DType::f32, 8, 8 * step(DType::f32)};
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), exact[i].defined());
    if (!exact[i].defined()) continue;
    const std::string where = "gradient " + std::to_string(i);
    const auto none = [] { return std::vector<double>(); };
    expect_close(real(actual[i]), real(exact[i]), room, where, none);
    expect_close(imag(actual[i]), imag(exact[i]), room, where, none);
  }
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

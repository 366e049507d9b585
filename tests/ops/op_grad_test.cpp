// Every differentiable row x sample: first and second derivatives along random directions against
// central differences in float64.

#include <gtest/gtest.h>

#include <cmath>

#include <taper/autograd/autograd.h>

#include "tests/ops/op_cases.h"

namespace taper::testing {
namespace {

class OpGradient : public ::testing::TestWithParam<OpCase> {};
class OpWithoutGradient : public ::testing::TestWithParam<OpCase> {};

/// Differences need the precision of float64 all the way: a cast to a shorter type has none.
bool stays_double(const OpCase& c) {
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f64);
  const auto args = as_args(inputs);
  const Specs specs = c.op->infer(InSpecs(args), c.sample.attrs.get());
  bool any = false;
  for (uint8_t i = 0; i < specs.count; ++i) {
    if (is_float(specs[i].dtype) && specs[i].dtype != DType::f64) return false;
    any |= is_float(specs[i].dtype);
  }
  return any;
}

std::vector<OpCase> cases(bool differentiable) {
  std::vector<OpCase> chosen;
  for (OpCase& c : all_cases(false)) {
    const bool has_gradient = c.op->why_not_differentiable == nullptr;
    if (has_gradient && !stays_double(c)) continue;
    if (has_gradient == differentiable && takes_floats(c.sample)) chosen.push_back(std::move(c));
  }
  return chosen;
}

Tensor random_like(const Tensor& x, uint64_t seed) {
  return from_values(x.shape(), input_values({.shape = x.shape()}, seed));
}

bool is_variable(const Tensor& input) { return input.defined() && is_float(input.dtype()); }

/// The row's outputs weighted by fixed numbers: a scalar function of its floating inputs.
class Function {
 public:
  explicit Function(const OpCase& c) : case_(c), inputs_(make_inputs(c.sample, DType::f64)) {
    for (const Tensor& input : inputs_) {
      directions_.push_back(is_variable(input) ? random_like(input, 100 + directions_.size())
                                               : Tensor());
      others_.push_back(is_variable(input) ? random_like(input, 200 + others_.size()) : Tensor());
    }
  }

  Tensor loss(const std::vector<Tensor>& inputs) const {
    const Results results = run(*case_.op, case_.sample, inputs);
    Tensor total;
    for (size_t i = 0; i < case_.op->outputs.size(); ++i) {
      const Tensor& output = results[static_cast<int>(i)];
      if (!is_float(output.dtype())) continue;
      const Tensor term = sum(output * random_like(output, 300 + i));
      total = total.defined() ? total + term : term;
    }
    return total;
  }

  /// Leaves at the inputs moved by `by` along the second direction.
  std::vector<Tensor> leaves(double by) const { return moved(others_, by, true); }
  std::vector<Tensor> moved(double by) const { return moved(directions_, by, false); }

  /// The derivative of the loss along the first direction, as a tensor (on the tape if asked).
  Tensor slope(const std::vector<Tensor>& leaves, bool create_graph) const {
    const Tensor value = loss(leaves);
    if (!value.requires_grad()) return {};
    const std::vector<Tensor> grads = gradients(value, leaves, create_graph);
    return along(grads, directions_);
  }
  Tensor slope_of_slope(const std::vector<Tensor>& leaves) const {
    const Tensor first = slope(leaves, true);
    if (!first.defined() || !first.requires_grad()) return {};
    return along(gradients(first, leaves), others_);
  }

 private:
  std::vector<Tensor> moved(const std::vector<Tensor>& direction, double by, bool leaf) const {
    std::vector<Tensor> result;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      Tensor input = inputs_[i];
      if (is_variable(input)) {
        input = (input + direction[i] * by).detach();
        if (leaf) input.set_requires_grad();
      }
      result.push_back(input);
    }
    return result;
  }
  static Tensor along(const std::vector<Tensor>& grads, const std::vector<Tensor>& direction) {
    Tensor total;
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!grads[i].defined()) continue;
      const Tensor term = sum(grads[i] * direction[i]);
      total = total.defined() ? total + term : term;
    }
    return total;
  }

  const OpCase& case_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> directions_;
  std::vector<Tensor> others_;
};

double value_or_zero(const Tensor& x) { return x.defined() ? x.item() : 0; }

void expect_slope(double computed, double measured, double tolerance) {
  const double scale = std::max({1.0, std::abs(computed), std::abs(measured)});
  EXPECT_NEAR(computed, measured, tolerance * scale);
}

TEST_P(OpGradient, FirstOrderAgreesWithDifferences) {
  const Function f(GetParam());
  const double h = 1e-6;
  const double plus = f.loss(f.moved(h)).item();
  const double minus = f.loss(f.moved(-h)).item();
  expect_slope(value_or_zero(f.slope(f.leaves(0), false)), (plus - minus) / (2 * h), 1e-7);
}

TEST_P(OpGradient, SecondOrderAgreesWithDifferences) {
  const Function f(GetParam());
  const double h = 1e-5;
  const double plus = value_or_zero(f.slope(f.leaves(h), false));
  const double minus = value_or_zero(f.slope(f.leaves(-h), false));
  expect_slope(value_or_zero(f.slope_of_slope(f.leaves(0))), (plus - minus) / (2 * h), 1e-6);
}

TEST_P(OpWithoutGradient, SaysWhy) {
  const OpCase& c = GetParam();
  std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  for (Tensor& input : inputs) {
    if (is_variable(input)) input.set_requires_grad();
  }
  const Results results = run(*c.op, c.sample, inputs);
  const Tensor& output = results[0];
  if (!is_float(output.dtype())) {
    EXPECT_FALSE(output.requires_grad());
    return;
  }
  try {
    sum(output).backward();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    const std::string text = error.what();
    EXPECT_NE(text.find(c.op->why_not_differentiable), std::string::npos) << text;
    EXPECT_NE(text.find(c.op->name), std::string::npos) << text;
  }
}

std::string name_of(const ::testing::TestParamInfo<OpCase>& info) { return case_name(info.param); }

INSTANTIATE_TEST_SUITE_P(Rows, OpGradient, ::testing::ValuesIn(cases(true)), name_of);
INSTANTIATE_TEST_SUITE_P(Rows, OpWithoutGradient, ::testing::ValuesIn(cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

// Every differentiable row x sample: first and second derivatives along random directions against
// central differences in float64.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include <taper/autograd/gradcheck.h>

#include "tests/ops/op_cases.h"

namespace taper::testing {
namespace {

class OpGradient : public ::testing::TestWithParam<OpCase> {};
class OpWithoutGradient : public ::testing::TestWithParam<OpCase> {};

/// Differences need the precision of float64 all the way: a cast to a shorter type has none.
bool stays_double(const OpCase& c) {
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f64);
  const auto args = as_args(inputs);
  const Specs specs = inferred(*c.op, c.sample, args);
  bool any = false;
  for (int i = 0; i < specs.count; ++i) {
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

bool is_variable(const Tensor& input) { return input.defined() && is_float(input.dtype()); }

/// The row as a function from its floating inputs to its floating outputs, in one row; or to one
/// output, so that the rule gets no gradient of the others.
class RowFunction {
 public:
  explicit RowFunction(const OpCase& c, std::optional<int> output = {})
      : case_(c), output_(output), all_(make_inputs(c.sample, DType::f64)) {}

  std::vector<Tensor> variables() const {
    std::vector<Tensor> chosen;
    std::ranges::copy_if(all_, std::back_inserter(chosen), is_variable);
    return chosen;
  }
  Tensor operator()(const std::vector<Tensor>& variables) const {
    std::vector<Tensor> inputs = all_;
    auto next = variables.begin();
    for (Tensor& input : inputs) {
      if (is_variable(input)) input = *next++;
    }
    std::vector<Tensor> outputs;
    int i = 0;
    for (const Tensor& output : run_all(*case_.op, case_.sample, inputs)) {
      const bool is_wanted = output_.value_or(i) == i;
      if (is_float(output.dtype()) && is_wanted) outputs.push_back(flatten(output));
      ++i;
    }
    return outputs.size() == 1 ? outputs[0] : concat(outputs, 0);
  }

 private:
  const OpCase& case_;
  std::optional<int> output_;
  std::vector<Tensor> all_;
};

TEST_P(OpGradient, FirstOrderAgreesWithDifferences) {
  const RowFunction f(GetParam());
  EXPECT_TRUE(
      gradcheck(f, f.variables(), {.eps = 1e-6, .atol = 1e-7, .rtol = 1e-7, .fast_mode = true}));
}

TEST_P(OpGradient, SecondOrderAgreesWithDifferences) {
  const RowFunction f(GetParam());
  EXPECT_TRUE(gradgradcheck(f, f.variables(),
                            {.eps = 1e-5, .atol = 1e-6, .rtol = 1e-6, .fast_mode = true}));
}

TEST_P(OpGradient, OfEachOutputAloneAgreesWithDifferences) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f64);
  const Specs specs = inferred(*c.op, c.sample, as_args(inputs));
  for (int i = 0; i < specs.count && specs.count > 1; ++i) {
    if (!is_float(specs[i].dtype)) continue;
    SCOPED_TRACE("output " + std::to_string(i));
    const RowFunction f(c, i);
    EXPECT_TRUE(
        gradcheck(f, f.variables(), {.eps = 1e-6, .atol = 1e-7, .rtol = 1e-7, .fast_mode = true}));
    EXPECT_TRUE(gradgradcheck(f, f.variables(),
                              {.eps = 1e-5, .atol = 1e-6, .rtol = 1e-6, .fast_mode = true}));
  }
}

TEST_P(OpWithoutGradient, SaysWhy) {
  const OpCase& c = GetParam();
  std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  for (Tensor& input : inputs) {
    if (is_variable(input)) input.set_requires_grad();
  }
  const Results results = run(*c.op, c.sample, inputs);
  const Tensor& output = results[0];
  if (!is_float(output.dtype()) || c.op->inlined) {
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

INSTANTIATE_TEST_SUITE_P(Rows, OpGradient, ::testing::ValuesIn(cases(true)), name_of);
INSTANTIATE_TEST_SUITE_P(Rows, OpWithoutGradient, ::testing::ValuesIn(cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

// Every row x sample x dtype: the rule against the real output, the kernel against the expansion or
// the plain reference in float64, other layouts and sizes, capture against eager, and the texts of
// errors. A new row is tested by its samples alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include <taper/graph/compile.h>

#include "tests/ops/op_cases.h"

namespace taper::testing {
namespace {

class OpCheck : public ::testing::TestWithParam<OpCase> {};
class OpErrors : public ::testing::TestWithParam<OpCase> {};

double tolerance(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 1e-12;
    case DType::f32:
      return 4e-6;
    case DType::f16:
      return 4e-3;
    case DType::bf16:
      return 3e-2;
    default:
      return 0;
  }
}

std::vector<Tensor> to_double(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> converted;
  for (const Tensor& input : inputs) {
    const bool is_floating = input.defined() && is_float(input.dtype());
    converted.push_back(is_floating ? astype(input, DType::f64) : input);
  }
  return converted;
}

Results oracle(const OpBase& op, const AnySample& sample, const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> exact = to_double(inputs);
  const auto args = as_args(exact);
  if (op.has_reference) return op.reference(Inputs(args), sample.attrs.get());
  return op.expand(Inputs(args), sample.attrs.get());
}

void expect_close(const Tensor& actual, const Tensor& expected, double scale_tolerance,
                  const std::string& where) {
  ASSERT_EQ(to_string(actual.shape()), to_string(expected.shape())) << where;
  const auto a = actual.to_vector<double>();
  const auto e = expected.to_vector<double>();
  double largest = 1;
  for (double value : e) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  const double allowed = tolerance(actual.dtype()) * scale_tolerance * largest;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(e[i]) && std::isnan(a[i])) continue;
    if (a[i] == e[i]) continue;
    ASSERT_LE(std::abs(a[i] - e[i]), allowed)
        << where << ": element " << i << " is " << a[i] << ", expected " << e[i];
  }
}

/// Runs the row on `inputs` and compares all that can be compared.
void check(const OpCase& c, const std::vector<Tensor>& inputs, const std::string& where) {
  const auto args = as_args(inputs);
  const Specs specs = inferred(*c.op, c.sample, args);
  const Results actual = run(*c.op, c.sample, inputs);
  if (specs[0].shape.numel() == 0) {  // nothing to compare, and an oracle may need an element
    ASSERT_EQ(to_string(actual[0].spec()), to_string(specs[0])) << where;
    return;
  }
  const Results expected = oracle(*c.op, c.sample, inputs);
  // Products of 16-bit floats round at the end only; sums of many elements deserve some room.
  for (int i = 0; i < specs.count; ++i) {
    ASSERT_EQ(to_string(actual[i].spec()), to_string(specs[i])) << where;
    if (i > 0 && !expected[i].defined()) continue;
    expect_close(actual[i], expected[i], c.sample.tolerance * 4, where);
  }
}

/// The same values in memory of the reversed axis order.
Tensor with_reversed_axes(const Tensor& x) {
  Shape axes;
  for (int i = x.rank() - 1; i >= 0; --i) axes.push_back(i);
  return permute_dims(contiguous(permute_dims(x, axes)), axes);
}

/// The same values, every second element of a buffer twice as large.
Tensor with_gaps(const Tensor& x) {
  if (x.rank() == 0) return x;
  Shape twice = x.shape();
  twice.push_back(2);
  const Tensor doubled = contiguous(broadcast_to(expand_dims(x, -1), twice));
  return squeeze(slice(doubled, -1, 0, 1), -1);
}

/// The values of the first row everywhere, with stride 0 along the first axis.
Tensor with_stride_zero(const Tensor& x) {
  if (x.rank() == 0 || x.shape()[0] == 0) return x;
  return broadcast_to(slice(x, 0, 0, 1), x.shape());
}

Tensor with_channels_last(const Tensor& x) {
  if (x.rank() != 4) return x;
  return permute_dims(contiguous(permute_dims(x, {0, 2, 3, 1})), {0, 3, 1, 2});
}

template <class Change>
std::vector<Tensor> changed(const std::vector<Tensor>& inputs, Change&& change) {
  std::vector<Tensor> result;
  for (const Tensor& input : inputs) result.push_back(input.defined() ? change(input) : input);
  return result;
}

TEST_P(OpCheck, AgreesWithItsMeaningInEveryFloatingDtype) {
  const OpCase& c = GetParam();
  for (DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
    check(c, make_inputs(c.sample, dtype), std::string(dtype_name(dtype)));
    if (!takes_floats(c.sample)) break;
  }
}

TEST_P(OpCheck, TakesEveryLayout) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  check(c, changed(inputs, with_reversed_axes), "reversed axes");
  check(c, changed(inputs, with_gaps), "gaps");
  check(c, changed(inputs, with_channels_last), "channels last");
  check(c, changed(inputs, with_stride_zero), "stride zero");
}

TEST_P(OpCheck, TakesSizesZeroAndOneWhereItsRuleAllowsThem) {
  const OpCase& c = GetParam();
  for (int64_t size : {0, 1}) {
    for (int64_t replaced = 2; replaced <= 8; ++replaced) {
      AnySample sample = c.sample;
      bool found = false;
      for (SampleInput& input : sample.inputs) {
        for (int i = 0; i < input.shape.rank(); ++i) {
          if (input.shape[i] != replaced) continue;
          input.shape[i] = size;
          found = true;
        }
      }
      if (!found) continue;
      const OpCase smaller{c.op, sample, c.index};
      const std::vector<Tensor> inputs = make_inputs(sample, DType::f32);
      try {
        const auto args = as_args(inputs);
        inferred(*c.op, sample, args);
      } catch (const Violation&) {
        continue;  // the rule needs the other size
      } catch (const Error&) {
        continue;
      }
      try {
        check(smaller, inputs, "size " + std::to_string(size) + " for " + std::to_string(replaced));
      } catch (const Error& error) {
        // What only the values tell, such as an index into an axis that is now shorter.
        EXPECT_EQ(error.kind(), ErrorKind::index) << error.what();
      }
    }
  }
}

TEST_P(OpCheck, ReplaysLikeEager) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  const Captured captured = capture(inputs, [&](const std::vector<Tensor>& symbols) {
    return run_all(*c.op, c.sample, symbols);
  });
  verify(captured.graph);
  const std::vector<Tensor> replayed = Plan(captured, inputs).run(inputs);
  const std::vector<Tensor> eager = run_all(*c.op, c.sample, inputs);
  ASSERT_EQ(replayed.size(), eager.size());
  for (size_t i = 0; i < replayed.size(); ++i) {
    const Tensor& expected = eager[i];
    ASSERT_EQ(to_string(replayed[i].spec()), to_string(expected.spec()));
    const auto a = replayed[i].to_vector<double>();
    const auto e = expected.to_vector<double>();
    for (size_t k = 0; k < a.size(); ++k) {
      ASSERT_TRUE(a[k] == e[k] || (std::isnan(a[k]) && std::isnan(e[k]))) << "element " << k;
    }
  }
}

TEST_P(OpErrors, NameTheRuleAndTheOperands) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  try {
    run(*c.op, c.sample, inputs);
    FAIL() << "no error; expected: " << c.sample.error;
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find(c.sample.error), std::string::npos) << text;
    EXPECT_EQ(text.find(std::string(c.op->name) + ": "), 0u) << text;
    EXPECT_EQ(error.op(), c.op->name);
    EXPECT_NE(error.kind(), ErrorKind::internal);
    for (size_t i = 0; i < inputs.size(); ++i) {
      // An optional operand is named only where the rule speaks of it.
      if (!inputs[i].defined() || c.op->is_optional(i)) continue;
      EXPECT_NE(text.find(to_string(inputs[i].spec())), std::string::npos) << text;
    }
  }
}

TEST(Rows, AreWhole) {
  Registry<OpBase>::check("op");
  for (const OpBase* op : all_ops()) {
    SCOPED_TRACE(std::string(op->name));
    EXPECT_FALSE(op->doc.empty());
    EXPECT_TRUE(op->has_kernel || op->has_expansion || op->is_view);
    EXPECT_TRUE(op->has_expansion || op->has_reference) << "no oracle";
    EXPECT_FALSE(op->outputs.empty());
    EXPECT_TRUE(!op->inlined || (op->has_expansion && !op->has_kernel));
    for (const FieldInfo& attribute : op->describe_attrs()) {
      if (op->internal) continue;
      EXPECT_FALSE(attribute.doc.empty()) << attribute.name << " has no line of documentation";
      EXPECT_NE(attribute.type, FieldType::other) << attribute.name;
    }
    size_t good = 0;
    for (const AnySample& sample : op->samples()) good += sample.error.empty() ? 1 : 0;
    EXPECT_GE(good, 1u) << "no good sample";
    EXPECT_TRUE(op->onnx.name.empty() || op->onnx.first <= op->onnx.last);
  }
}

/// Whether an op of the row's expansion says that it refuses values.
bool expansion_refuses_values(const OpBase& op, const AnySample& sample) {
  const auto expand = [&](const std::vector<Tensor>& symbols) {
    const auto args = as_args(symbols);
    const Results results = op.expand(Inputs(args), sample.attrs.get());
    std::vector<Tensor> outputs;
    for (int i = 0; i < inferred(op, sample, args).count; ++i) outputs.push_back(results[i]);
    return outputs;
  };
  const Captured captured = capture(make_inputs(sample, DType::f32), expand);
  return std::ranges::any_of(captured.graph.nodes,
                             [](const GraphNode& node) { return node.op->refuses_values; });
}

/// Whether the rule takes the operands and the call still fails.
bool refused_for_its_values(const OpBase& op, const AnySample& sample) {
  const std::vector<Tensor> inputs = make_inputs(sample, DType::f32);
  const auto args = as_args(inputs);
  try {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined() && !op.is_optional(i)) return false;
    }
    inferred(op, sample, args);
  } catch (const Violation&) {
    return false;
  } catch (const Error&) {
    return false;
  }
  try {
    run(op, sample, inputs);
  } catch (const Error&) {
    return true;
  }
  return false;
}

TEST(Rows, SayWhetherTheyRefuseValues) {
  for (const OpBase* op : all_ops()) {
    SCOPED_TRACE(std::string(op->name));
    bool refuses = false;
    for (const AnySample& sample : op->samples()) {
      if (!sample.error.empty()) {
        refuses |= refused_for_its_values(*op, sample);
      } else if (!op->has_kernel && op->has_expansion) {
        refuses |= expansion_refuses_values(*op, sample);
      }
    }
    EXPECT_EQ(op->refuses_values, refuses);
  }
}

std::string name_of(const ::testing::TestParamInfo<OpCase>& info) { return case_name(info.param); }

INSTANTIATE_TEST_SUITE_P(Rows, OpCheck, ::testing::ValuesIn(all_cases(false)), name_of);
INSTANTIATE_TEST_SUITE_P(Rows, OpErrors, ::testing::ValuesIn(all_cases(true)), name_of);

}  // namespace
}  // namespace taper::testing

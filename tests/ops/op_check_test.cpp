// Every row x sample x dtype: the rule against the real output, the kernel against the expansion or
// the plain reference in float64, other sizes, capture against eager, and the texts of errors. A
// new row is tested by its samples alone.

#include <gtest/gtest.h>

#include <algorithm>

#include <taper/graph/compile.h>

#include "tests/ops/op_compare.h"

namespace taper::testing {
namespace {

class OpCheck : public ::testing::TestWithParam<OpCase> {};
class OpErrors : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpCheck, AgreesWithItsMeaningInEveryFloatingDtype) {
  const OpCase& c = GetParam();
  for (DType dtype : floating_dtypes) {
    check_against_oracle(c, make_inputs(c.sample, dtype), std::string(dtype_name(dtype)));
    if (!takes_floats(c.sample)) break;
  }
}

/// One element in all places; undefined operands and numbers stay.
std::vector<Tensor> repeated(const std::vector<Tensor>& inputs, int64_t count) {
  std::vector<Tensor> all = inputs;
  for (Tensor& input : all) {
    if (!input.defined() || input.rank() == 0 || input.numel() == 0) continue;
    input = contiguous(broadcast_to(slice(flatten(input), 0, 0, 1), {count}));
  }
  return all;
}

/// Whether an attribute tells axes or places, so that these make a difference.
bool knows_places(const OpBase& op) {
  return std::ranges::any_of(op.describe_attrs(), [](const FieldInfo& field) {
    return field.type == FieldType::axis || field.type == FieldType::axes ||
           field.type == FieldType::shape || field.type == FieldType::list ||
           field.type == FieldType::other;
  });
}

/// A kernel that rounds otherwise at the end of a run makes bits depend on places and threads.
TEST(Rows, ThatArePointwiseGiveEqualElementsEqualResults) {
  constexpr int64_t count = 71;
  size_t compared = 0;
  for (const OpCase& given : all_cases(false)) {
    const bool pointwise = given.op->layout == Layout::like_inputs && given.op->any_strides;
    if (!pointwise || knows_places(*given.op)) continue;
    for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::c64, DType::c128}) {
      OpCase c = given;
      for (SampleInput& input : c.sample.inputs) {
        if (is_complex(dtype) && is_inexact(input.dtype)) input.dtype = dtype;
      }
      const std::vector<Tensor> inputs =
          repeated(make_inputs(c.sample, is_complex(dtype) ? DType::f32 : dtype), count);
      if (!accepts(*c.op, c.sample, inputs)) continue;
      for (const Tensor& result : run_all(*c.op, c.sample, inputs)) {
        if (result.shape() != Shape{count}) continue;
        const Tensor first = contiguous(broadcast_to(slice(result, 0, 0, 1), {count}));
        expect_same_bits(result, first, case_name(c) + " " + std::string(dtype_name(dtype)));
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 500u);
}

TEST_P(OpCheck, ExpandsToWhatItsReferenceSays) {
  OpCase c = GetParam();
  if (!c.op->has_expansion || !c.op->has_reference) return;
  c.sample.tolerance *= 4;  // the steps of an expansion round one after the other
  const std::vector<Tensor> inputs = promoted(*c.op, make_inputs(c.sample, DType::f64));
  const auto args = as_args(inputs);
  const Results expanded = c.op->expand(Inputs(args), c.sample.attrs.get());
  check_results(c, inputs, expanded, oracle(*c.op, c.sample, inputs), "expansion");
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
      if (!accepts(*c.op, sample, inputs)) continue;  // the rule needs the other size
      try {
        const std::string where =
            "size " + std::to_string(size) + " for " + std::to_string(replaced);
        check_against_oracle(smaller, inputs, where);
      } catch (const Error& error) {
        // What only the values tell, such as an index into an axis that is now shorter.
        EXPECT_EQ(error.kind(), ErrorKind::index) << error.what();
      }
    }
  }
}

/// Floats that are no ordinary numbers, one operand at a time. Weights of windows stand beside
/// padding, where the product with a NaN may be left out.
TEST_P(OpCheck, TakesNansAndInfinitiesLikeItsMeaning) {
  const OpCase& c = GetParam();
  if (!c.op->graphs(c.sample.attrs.get()).empty()) return;  // whose functions have one dtype
  const bool has_windows = std::ranges::any_of(
      c.op->describe_attrs(), [](const FieldInfo& field) { return field.name == "padding"; });
  for (DType dtype : floating_dtypes) {
    for (size_t i = 0; i < (has_windows ? 1 : c.sample.inputs.size()); ++i) {
      std::vector<Tensor> inputs = make_inputs(c.sample, dtype);
      if (!inputs[i].defined() || !is_float(inputs[i].dtype())) continue;
      std::vector<double> values = inputs[i].to_vector<double>();
      const double strange[] = {NAN, INFINITY, -INFINITY, -0.0};
      for (size_t k = 0; k < std::min(values.size(), std::size(strange)); ++k) {
        values[values.size() - 1 - k] = strange[k];
      }
      inputs[i] = astype(from_values(inputs[i].shape(), values), dtype);
      check_against_oracle(c, inputs,
                           std::string(dtype_name(dtype)) + ", operand " + std::to_string(i));
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
  const Plan plan(captured, inputs);
  for (uint64_t seed : {0, 1}) {  // other values, too: the graph holds none of those it was given
    const std::vector<Tensor> others = make_inputs(c.sample, DType::f32, seed);
    const std::vector<Tensor> replayed = plan.run(others);
    const std::vector<Tensor> eager = run_all(*c.op, c.sample, others);
    ASSERT_EQ(replayed.size(), eager.size());
    for (size_t i = 0; i < replayed.size(); ++i) {
      expect_same_bits(replayed[i], eager[i], "output " + std::to_string(i));
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
    const std::vector<FieldInfo> fields = op->describe_attrs();
    for (const AttributeDoc& line : op->attributes) {
      EXPECT_TRUE(std::ranges::any_of(
          fields, [&](const FieldInfo& field) { return field.name == line.name; }))
          << line.name << " has a line but is no attribute";
    }
    if (op->no_golden != nullptr) {
      const std::string_view reasons[] = {golden_in_its_row, golden_of_functions, golden_nowhere};
      EXPECT_NE(std::ranges::find(reasons, op->no_golden), std::end(reasons)) << op->no_golden;
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
      } else if (!op->has_kernel && op->has_expansion && op->graphs(sample.attrs.get()).empty()) {
        refuses |= expansion_refuses_values(*op, sample);
      }
    }
    EXPECT_EQ(op->refuses_values, refuses);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, OpCheck, ::testing::ValuesIn(all_cases(false)), name_of);
INSTANTIATE_TEST_SUITE_P(Rows, OpErrors, ::testing::ValuesIn(all_cases(true)), name_of);

}  // namespace
}  // namespace taper::testing

// Every row x sample with operands given up: results have the same bits, and nothing that somebody
// still holds changes.

#include <taper/autograd/autograd.h>

#include "tests/ops/op_donation.h"
#include "tests/ops/op_layouts.h"
#include "tests/ops/op_sizes.h"

namespace taper::testing {
namespace {

class OpReuse : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpReuse, OfADonatedBufferChangesNoBit) {
  const OpCase& c = GetParam();
  for (DType dtype : floating_dtypes) {
    const auto make = [&] { return make_inputs(c.sample, dtype); };
    expect_same_if_any_is_donated(c, make, std::string(dtype_name(dtype)));
    if (!takes_floats(c.sample)) break;
  }
}

TEST_P(OpReuse, OfADonatedBufferInAnyLayoutChangesNoBit) {
  const OpCase& c = GetParam();
  const size_t count = c.sample.inputs.size();
  for (const auto& [name, change] : layouts) {
    for (size_t changed = 0; changed <= count; ++changed) {  // one operand, or all of them
      const auto make = [&, change = change] {
        std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
        for (size_t i = 0; i < count; ++i) {
          if (inputs[i].defined() && (changed == count || changed == i)) {
            inputs[i] = change(inputs[i]);
          }
        }
        return inputs;
      };
      expect_same_if_any_is_donated(c, make,
                                    std::string(name) + " in operand " + std::to_string(changed));
    }
  }
}

/// The sample with all sizes above one the same, so that buffers fit more often; null attributes
/// where the rule refuses that.
AnySample with_equal_sizes(const OpCase& c, int64_t size) {
  Sizes sizes;
  for (int64_t other : sizes_of(c)) sizes[other] = size;
  AnySample equal = resized(c.sample, sizes);
  if (elements_of_call(*c.op, equal) > 0) return equal;
  equal.attrs = resized_attrs(*c.op, c.sample, sizes);
  if (elements_of_call(*c.op, equal) == 0) equal.attrs = nullptr;
  return equal;
}

TEST_P(OpReuse, OfADonatedBufferChangesNoBitWhereAllSizesAreEqual) {
  for (int64_t size : {4, 13, 70}) {
    OpCase c = GetParam();
    c.sample = with_equal_sizes(GetParam(), size);
    if (c.sample.attrs == nullptr || elements(c.sample) > 6'000) continue;
    const auto make = [&] { return make_inputs(c.sample, DType::f32); };
    try {
      check_against_oracle(c, make(), "sizes of " + std::to_string(size), elements(c.sample));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::index) << error.what();  // places on a shorter axis
      continue;
    }
    expect_same_if_any_is_donated(c, make, "sizes of " + std::to_string(size));
  }
}

/// Calls the row with operand `i` in place of operand `j`: as one tensor, or one buffer.
void check_shared(const OpCase& c, size_t i, size_t j) {
  const auto make = [&] {
    std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
    inputs[j] = shallow_copy(inputs[i]);
    return inputs;
  };
  const std::vector<Tensor> kept = make();
  std::vector<Tensor> expected;
  try {
    expected = run_all(*c.op, c.sample, kept);
  } catch (const Error&) {
    return;  // refused for its values: a remainder by what may be 0
  }
  const std::string where = "operand " + std::to_string(i) + " as " + std::to_string(j);
  for (size_t donated : {i, j}) {
    expect_same_if_donated(c, make(), {donated}, expected, where + " in one buffer");
  }
  // One handle in both places, so that the tensor has one owner.
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  const std::string before = bits(inputs[i]);
  for (size_t donated : {i, j, inputs.size()}) {
    std::vector<Arg> args = as_args(inputs);
    args[j].tensor = args[i].tensor;
    args[i].donated = donated != j;
    args[j].donated = donated != i;
    const Results results = call(*c.op, c.sample.attrs.get(), args);
    for (size_t k = 0; k < expected.size(); ++k) {
      expect_same_bits(results[static_cast<int>(k)], expected[k], where);
    }
    EXPECT_TRUE(bits(inputs[i]) == before) << where << " in one tensor, which has changed";
  }
}

TEST_P(OpReuse, OfATensorThatIsGivenTwiceChangesNoBit) {
  const OpCase& c = GetParam();
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (size_t j = 0; j < inputs.size(); ++j) {
      if (i == j || !inputs[i].defined() || !inputs[j].defined()) continue;
      if (inputs[i].spec() == inputs[j].spec()) check_shared(c, i, j);
    }
  }
}

/// The gradients of all floating operands; with `donated`, the call may take their buffers.
std::vector<Tensor> gradients_of(const OpCase& c, bool donated) {
  std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  std::vector<Tensor> leaves;
  for (Tensor& input : inputs) {
    if (!input.defined() || !is_float(input.dtype())) continue;
    leaves.push_back(input.set_requires_grad());
    input = input * 1;  // no leaf: its buffer may go
  }
  std::vector<Arg> args = as_args(inputs);
  for (Arg& arg : args) arg.donated = donated && arg.tensor->defined();
  Results results = call(*c.op, c.sample.attrs.get(), args);
  if (!results[0].defined() || !results[0].requires_grad()) return {};
  return gradients(results[0], leaves, false, ones_like(results[0]));
}

TEST_P(OpReuse, OfADonatedBufferChangesNoGradient) {
  const OpCase& c = GetParam();
  if (c.op->why_not_differentiable != nullptr) return;
  const std::vector<Tensor> expected = gradients_of(c, false);
  const std::vector<Tensor> actual = gradients_of(c, true);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_same_bits(actual[i], expected[i], "gradient " + std::to_string(i));
  }
}

/// Whether a call of one of the samples puts the output into the donated operand's buffer.
bool is_taken(const OpBase& op, const Reuse& reuse) {
  for (const AnySample& sample : op.samples()) {
    if (!sample.error.empty() || reuse.input >= sample.inputs.size()) continue;
    const std::vector<Tensor> inputs = make_inputs(sample, DType::f32);
    std::vector<Arg> args = as_args(inputs);
    args[reuse.input].donated = true;
    const Results results = call(op, sample.attrs.get(), args);
    if (results[reuse.output].raw() == inputs[reuse.input].raw()) return true;
  }
  return false;
}

TEST(Rows, HaveASampleForEachReuse) {
  for (const OpBase* op : all_ops()) {
    for (const Reuse& reuse : op->reuse) {
      const bool any_number = op->outputs.back().ends_with('*');
      ASSERT_TRUE(any_number || reuse.output < op->outputs.size()) << op->name;
      EXPECT_TRUE(is_taken(*op, reuse)) << op->name << ": output " << int{reuse.output}
                                        << " never takes the buffer of input " << int{reuse.input};
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, OpReuse, ::testing::ValuesIn(all_cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

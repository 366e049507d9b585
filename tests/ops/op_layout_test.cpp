// Every row x sample with the memory of one operand at a time in another order: the values, and the
// memory order of the outputs that the row's `layout` promises.

#include "tests/ops/op_compare.h"
#include "tests/ops/op_layouts.h"

namespace taper::testing {
namespace {

class OpLayout : public ::testing::TestWithParam<OpCase> {};

/// Row-major inputs with operand `which` changed.
std::vector<Tensor> with_one_changed(std::vector<Tensor> inputs, size_t which,
                                     Tensor (*change)(const Tensor&)) {
  inputs[which] = change(inputs[which]);
  return inputs;
}

TEST_P(OpLayout, OfOneOperandChangesNoValue) {
  const OpCase& c = GetParam();
  for (DType dtype : floating_dtypes) {
    const std::vector<Tensor> inputs = make_inputs(c.sample, dtype);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined()) continue;
      for (const auto& [name, change] : layouts) {
        check_against_oracle(c, with_one_changed(inputs, i, change),
                             std::string(dtype_name(dtype)) + " " + std::string(name) +
                                 " in operand " + std::to_string(i));
      }
    }
    if (!takes_floats(c.sample)) break;
  }
}

TEST_P(OpLayout, OfAllOperandsChangesNoValue) {
  const OpCase& c = GetParam();
  for (const auto& [name, change] : layouts) {
    std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
    for (Tensor& input : inputs) {
      if (input.defined()) input = change(input);
    }
    check_against_oracle(c, inputs, std::string(name));
  }
}

/// The strides of the shape with its axes in the memory order of x's, where an axis of size one,
/// whose stride means nothing, stands outside if it is a first one, else in front of its right
/// neighbour or behind its left one.
Strides in_order_of(const Tensor& x, const Shape& shape) {
  std::vector<int> axes;
  Strides keys = x.strides();
  for (int i = shape.rank() - 1; i >= 0; --i) {
    axes.insert(axes.begin(), i);
    if (x.shape()[i] == 1 && i + 1 < shape.rank()) keys[i] = keys[i + 1];
  }
  if (shape.rank() > 1 && x.shape()[-1] == 1) keys[-1] = keys[-2];
  for (int i = 0; i < shape.rank() && x.shape()[i] == 1; ++i) keys[i] = INT64_MAX;
  std::ranges::stable_sort(axes, [&](int a, int b) { return keys[a] > keys[b]; });
  Strides strides = shape;
  int64_t step = 1;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    strides[*axis] = step;
    step *= shape[*axis];
  }
  return strides;
}

/// The strides that an output of this shape must have, by what docs/adding_an_op.md says.
Strides promised_strides(const OpBase& op, const std::vector<Tensor>& inputs, const Shape& shape) {
  const bool is_image = shape.rank() == 4;
  switch (op.layout) {
    case Layout::row_major:
      break;
    case Layout::channels_last:
      if (is_image) return channels_last_strides(shape);
      break;
    case Layout::images: {
      const auto is_channels_last = [](const Tensor& x) {
        return x.defined() && x.rank() == 4 && is_in_order(x, channels_last_strides(x.shape()));
      };
      if (is_image && std::ranges::any_of(inputs, is_channels_last)) {
        return channels_last_strides(shape);
      }
      break;
    }
    case Layout::like_inputs:
      for (const Tensor& input : inputs) {
        if (!input.defined() || input.shape() != shape) continue;
        if (fills_memory(input)) return input.strides();
        break;
      }
      break;
    case Layout::like_ranks:
      for (const Tensor& input : inputs) {
        if (!input.defined() || input.rank() != shape.rank()) continue;
        if (!input.is_contiguous() && fills_memory(input)) return in_order_of(input, shape);
        break;
      }
  }
  return row_major_strides(shape);
}

TEST_P(OpLayout, OfTheOutputsIsWhatTheRowPromises) {
  const OpCase& c = GetParam();
  if (!c.op->has_kernel || c.op->is_view) return;  // what the ops of an expansion give
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) continue;
    for (const auto& [name, change] : layouts) {
      const std::vector<Tensor> changed = with_one_changed(inputs, i, change);
      for (const Tensor& output : run_all(*c.op, c.sample, changed)) {
        if (output.numel() == 0) continue;
        EXPECT_EQ(
            strides_that_count(output.shape(), output.strides()),
            strides_that_count(output.shape(), promised_strides(*c.op, changed, output.shape())))
            << name << " in operand " << i << ", output " << output.spec();
      }
    }
  }
}

TEST(Joins, KeepTheMemoryOrderOfTransposedOperands) {
  const Tensor x = matrix_transpose(reshape(arange(12), {3, 4}));
  EXPECT_EQ(concat({x, x}).strides(), (Strides{1, 8}));
  EXPECT_EQ(concat({x, x}, 1).strides(), (Strides{1, 4}));
  EXPECT_EQ(pad(x, {1, 2, 0, 1}).strides(), (Strides{1, 7}));
  EXPECT_EQ(stack({x, x}).strides(), (Strides{12, 1, 4}));
  EXPECT_EQ(stack({x, x}, 1).strides(), (Strides{1, 12, 4}));
  EXPECT_EQ(stack({x, x}, 2).strides(), (Strides{1, 8, 4}));
}

INSTANTIATE_TEST_SUITE_P(Rows, OpLayout, ::testing::ValuesIn(all_cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

#include <taper/ops/pointwise/pointwise.h>
#include <taper/ops/pointwise/rebind.h>

namespace taper {
namespace detail {

namespace {

/// Apart, because the texts would cost every good call a large frame.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_dtype(const char* rule, DType got,
                                                         const char* advice = "") {
  violate(ErrorKind::dtype, std::string(rule) + std::string(dtype_name(got)) + advice);
}
[[noreturn, gnu::cold, gnu::noinline]] void refuse_mixed_dtypes() {
  violate(ErrorKind::dtype, "the operands must have one dtype; convert with astype");
}

}  // namespace

Specs infer_pointwise(const InSpecs& in, size_t results, bool selects, bool compares,
                      bool takes_integers, bool only_integers, bool gives_real) {
  const size_t first = selects ? 1 : 0;
  if (selects && !is_bool(in[0].dtype)) {
    refuse_dtype("the condition must be bool, got ", in[0].dtype);
  }
  Specs specs;
  Spec& out = specs.spec[0];
  out = in[first];
  for (size_t i = 0; i < in.size(); ++i) {
    if (i == first) continue;
    if (i > first && in[i].dtype != out.dtype) refuse_mixed_dtypes();
    if (in[i].shape != out.shape) out.shape = broadcast_shapes(out.shape, in[i].shape);
  }
  const bool is_number = !is_bool(out.dtype) || selects || compares;
  if (only_integers ? is_float(out.dtype) : !is_number) {
    refuse_dtype("does not take ", out.dtype);
  }
  if (!takes_integers && !is_inexact(out.dtype)) {
    refuse_dtype("takes floating tensors, got ", out.dtype, "; convert with astype");
  }
  if (compares) out.dtype = DType::boolean;
  if (gives_real) out.dtype = real_of(out.dtype);
  for (size_t i = 1; i < results; ++i) specs.spec[i] = out;
  specs.count = static_cast<uint16_t>(results);
  return specs;
}

void add_output_like_inputs(std::vector<SampleInput>& inputs, size_t count) {
  SampleInput like{.shape = inputs[0].shape};
  for (const SampleInput& input : inputs) like.shape = broadcast_shapes(like.shape, input.shape);
  inputs.insert(inputs.begin(), count, like);
}

Tensor reduce_to(const Tensor& grad, const Shape& to) {
  if (grad.shape() == to) return grad;
  Shape axes;
  const int shift = grad.rank() - to.rank();
  for (int axis = 0; axis < grad.rank(); ++axis) {
    if (axis < shift || (to[axis - shift] == 1 && grad.shape()[axis] != 1)) axes.push_back(axis);
  }
  return reshape(sum(grad, axes, true), to);
}

}  // namespace detail

void check_leaf_update(const Spec& leaf, const Spec& updated) {
  if (updated == leaf) return;
  fail(
      ErrorKind::value,
      "an update in place keeps the shape and dtype of a leaf, whose gradient has them too (leaf " +
          to_string(leaf) + ", result " + to_string(updated) +
          "); assign to the result of an expression instead");
}

}  // namespace taper

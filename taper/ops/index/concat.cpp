#include <cmath>
#include <limits>

#include <taper/backend/cpu/join.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// Tensors put together, and tensors made larger by a constant.

namespace taper {
namespace {

// ---------------------------------------------------------------------------------- concat

struct ConcatAttrs {
  Axis axis = 0;
};

std::string operand(size_t i) { return "xs[" + std::to_string(i) + "]"; }

/// Every axis but the joined one must have one size.
void check_alike(const Spec& first, const Spec& other, size_t i, int axis) {
  if (other.dtype != first.dtype) {
    violate(ErrorKind::dtype, "the operands must have one dtype; convert with astype");
  }
  if (other.shape.rank() != first.shape.rank()) {
    violate(ErrorKind::shape, operand(i) + " has " + std::to_string(other.shape.rank()) +
                                  " axes, xs[0] has " + std::to_string(first.shape.rank()));
  }
  for (int k = 0; k < first.shape.rank(); ++k) {
    if (k == axis || other.shape[k] == first.shape[k]) continue;
    violate(ErrorKind::shape, operand(i) + " has size " + std::to_string(other.shape[k]) +
                                  " on axis " + std::to_string(k) + ", xs[0] has " +
                                  std::to_string(first.shape[k]));
  }
}

Specs infer_concat(const InSpecs& in, const ConcatAttrs& attrs) {
  if (in.size() == 0) violate(ErrorKind::value, "needs at least one tensor");
  Spec out = in[0];
  const int axis = normalize_axis(attrs.axis, out.shape.rank());
  for (size_t i = 1; i < in.size(); ++i) {
    check_alike(in[0], in[i], i, axis);
    out.shape[axis] += in[i].shape[axis];
  }
  return out;
}

void concat_cpu(const Kernel& k, const ConcatAttrs& attrs) {
  concat(k.inputs, normalize_axis(attrs.axis, k.out().rank()), k.out());
}

Results concat_reference(const Inputs& in, const ConcatAttrs& attrs) {
  Shape shape = in[0].shape();
  const int axis = normalize_axis(attrs.axis, shape.rank());
  shape[axis] = 0;
  for (size_t i = 0; i < in.size(); ++i) shape[axis] += in[i].shape()[axis];
  std::vector<Element> y(static_cast<size_t>(shape.numel()));
  const Strides strides = row_major_strides(shape);
  int64_t start = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const std::vector<Element> x = elements_of(in[i]);
    size_t next = 0;
    for_each_offset(in[i].shape(), strides, [&](int64_t offset) {
      y[static_cast<size_t>(start * strides[axis] + offset)] = x[next++];
    });
    start += in[i].shape()[axis];
  }
  Results results;
  results[0] = from_elements(shape, in[0].dtype(), y);
  return results;
}

Grads concat_vjp(const Saved& s, const ConcatAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, s.out_spec().shape.rank());
  Grads grads(s.inputs());
  int64_t start = 0;
  for (size_t i = 0; i < grads.size(); ++i) {
    const int64_t stop = start + s.in_spec(i).shape[axis];
    if (s.needs(i)) grads[i] = slice(s.grad(), axis, start, stop);
    start = stop;
  }
  return grads;
}

std::vector<Sample<ConcatAttrs>> concat_samples() {
  const SampleInput integers{.shape = {3}, .low = -9, .high = 9, .dtype = DType::i64};
  return {{.inputs = {{.shape = {2, 3}}, {.shape = {4, 3}}}},
          {.inputs = {{.shape = {2, 3}}, {.shape = {2, 1}}, {.shape = {2, 2}}}, .attrs = {1}},
          {.inputs = {{.shape = {2, 3, 4}}, {.shape = {2, 5, 4}}}, .attrs = {-2}},
          {.inputs = {{.shape = {3}}}},
          {.inputs = {{.shape = {2, 0}}, {.shape = {2, 3}}, {.shape = {2, 0}}}, .attrs = {1}},
          {.inputs = {{.shape = {0}}, {.shape = {0}}}},
          {.inputs = {integers, integers}},
          {.inputs = {}, .error = "needs at least one tensor"},
          {.inputs = {{.shape = {}}, {.shape = {}}}, .error = "axis 0 of a 0-d tensor"},
          {.inputs = {{.shape = {2, 3}}, {.shape = {2, 4}}},
           .error = "xs[1] has size 4 on axis 1, xs[0] has 3"},
          {.inputs = {{.shape = {2, 3}}, {.shape = {3}}}, .error = "xs[1] has 1 axes, xs[0] has 2"},
          {.inputs = {{.shape = {3}}, integers}}};
}

const Op<ConcatAttrs> concat_op{{.name = "concat",
                                 .aliases = {"cat", "concatenate"},
                                 .doc = "Tensors one after the other along an axis they have.",
                                 .attributes = {{"axis", "The axis along which they are joined."}},
                                 .inputs = {"xs*"},
                                 .takes = kinds::every,
                                 .promotion = Promotion::same,
                                 .infer = infer_concat,
                                 .reference = concat_reference,
                                 .grad = {concat_vjp, Saves::nothing},
                                 .layout = Layout::like_ranks,
                                 .any_strides = true,
                                 .kernels = {.cpu = concat_cpu},
                                 .onnx = {"Concat", 13},
                                 .samples = concat_samples}};

// ---------------------------------------------------------------------------------- pad

using Widths = std::vector<int64_t>;

struct PadAttrs {
  Required<Widths> widths;
  Number value = 0;
  int64_t before(int axis) const { return widths.value()[2 * static_cast<size_t>(axis)]; }
  int64_t after(int axis) const { return widths.value()[2 * static_cast<size_t>(axis) + 1]; }
};

Specs infer_pad(const InSpecs& in, const PadAttrs& attrs) {
  Spec out = in[0];
  const int rank = out.shape.rank();
  const auto got = [&] { return ", got " + Value(attrs.widths.value()).print(); };
  if (attrs.widths->size() != 2 * static_cast<size_t>(rank)) {
    violate(ErrorKind::value, "widths must hold {before, after} for each of the " +
                                  std::to_string(rank) + " axes" + got());
  }
  for (int axis = 0; axis < rank; ++axis) {
    if (attrs.before(axis) < 0 || attrs.after(axis) < 0) {
      violate(ErrorKind::value, "widths must not be negative" + got());
    }
    int64_t& size = out.shape[axis];
    if (__builtin_add_overflow(size, attrs.before(axis), &size) ||
        __builtin_add_overflow(size, attrs.after(axis), &size)) {
      violate(ErrorKind::value, "widths are too large" + got());
    }
  }
  if (!fits(attrs.value, out.dtype)) {
    violate(ErrorKind::value, misfit(attrs.value, out.dtype));
  }
  return out;
}

/// Where x's first element lies in the padded tensor.
int64_t inner_offset(const PadAttrs& attrs, const Strides& strides) {
  int64_t offset = 0;
  for (int axis = 0; axis < strides.rank(); ++axis) offset += attrs.before(axis) * strides[axis];
  return offset;
}

void pad_cpu(const Kernel& k, const PadAttrs& attrs) {
  pad(k.in(0), attrs.widths.value(), convert(attrs.value, k.out().dtype(), "pad"), k.out());
}

Results pad_reference(const Inputs& in, const PadAttrs& attrs) {
  Shape shape = in[0].shape();
  for (int axis = 0; axis < shape.rank(); ++axis) {
    shape[axis] += attrs.before(axis) + attrs.after(axis);
  }
  const Element border = convert(attrs.value, in[0].dtype(), "pad");
  std::vector<Element> y(static_cast<size_t>(shape.numel()), border);
  const std::vector<Element> x = elements_of(in[0]);
  const Strides strides = row_major_strides(shape);
  const int64_t start = inner_offset(attrs, strides);
  size_t next = 0;
  for_each_offset(in[0].shape(), strides,
                  [&](int64_t offset) { y[static_cast<size_t>(start + offset)] = x[next++]; });
  Results results;
  results[0] = from_elements(shape, in[0].dtype(), y);
  return results;
}

Grads pad_vjp(const Saved& s, const PadAttrs& attrs) {
  Tensor grad = s.grad();
  const Shape& inner = s.in_spec(0).shape;
  for (int axis = 0; axis < inner.rank(); ++axis) {
    const int64_t before = attrs.before(axis);
    if (grad.shape()[axis] == inner[axis]) continue;
    grad = slice(grad, axis, before, before + inner[axis]);
  }
  return {grad};
}

std::vector<Sample<PadAttrs>> pad_samples() {
  return {{.inputs = {{.shape = {2, 3}}}, .attrs = {Widths{1, 2, 0, 3}}},
          {.inputs = {{.shape = {4}}}, .attrs = {Widths{2, 1}, 0.5}},
          {.inputs = {{.shape = {1, 2, 3, 3}}}, .attrs = {Widths{0, 0, 0, 0, 1, 1, 2, 2}, -1}},
          {.inputs = {{.shape = {1, 2, 1, 1, 2}}}, .attrs = {Widths{0, 1, 0, 0, 1, 0, 0, 0, 2, 1}}},
          {.inputs = {{.shape = {3, 2}}}, .attrs = {Widths{0, 0, 0, 0}}},
          {.inputs = {{.shape = {0, 2}}}, .attrs = {Widths{1, 1, 1, 0}, 2}},
          {.inputs = {{.shape = {}}}, .attrs = {Widths{}}},
          {.inputs = {{.shape = {3}, .low = -9, .high = 9, .dtype = DType::i32}},
           .attrs = {Widths{1, 1}, 7}},
          {.inputs = {{.shape = {2, 3}}},
           .attrs = {Widths{1, 1}},
           .error = "widths must hold {before, after} for each of the 2 axes"},
          {.inputs = {{.shape = {3}}}, .attrs = {Widths{-1, 1}}, .error = "must not be negative"},
          {.inputs = {{.shape = {3}, .dtype = DType::i32}}, .attrs = {Widths{1, 1}, 7}},
          {.inputs = {{.shape = {3}, .dtype = DType::u8}},
           .attrs = {Widths{1, 1}, 256},
           .error = "256 is out of the range of u8, 0 to 255"}};
}

const Op<PadAttrs> pad_op{
    {.name = "pad",
     .doc = "x with `value` around it; `widths` holds {before, after} for "
            "each axis, first axis first.",
     .attributes = {{"widths", "{before, after} for each axis, first axis first."},
                    {"value", "What stands there, converted by the rule of numbers."}},
     .inputs = {"x"},
     .takes = kinds::every,
     .infer = infer_pad,
     .reference = pad_reference,
     .grad = {pad_vjp, Saves::nothing},
     .layout = Layout::like_ranks,
     .any_strides = true,
     .kernels = {.cpu = pad_cpu},
     .onnx = {"Pad", 13, {{"widths", "pads"}, {"value", "constant_value"}}},
     .samples = pad_samples}};

}  // namespace

Tensor concat(const std::vector<Tensor>& xs, int64_t axis) {
  const std::vector<Arg> args(xs.begin(), xs.end());
  return std::move(concat_op.all(args, {axis})[0]);
}

Tensor pad(const Tensor& x, const std::vector<int64_t>& widths, const Number& value) {
  return pad_op({x}, {widths, value});
}

}  // namespace taper

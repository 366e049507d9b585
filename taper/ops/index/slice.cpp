#include <algorithm>

#include <taper/backend/cpu/join.h>
#include <taper/backend/cpu/strided.h>
#include <taper/ops/index/indices.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/pointwise/pointwise.h>
#include <taper/ops/tape.h>

// Parts of an axis, as Python slices count them.

namespace taper {
namespace {

struct SliceAttrs {
  Required<Axis> axis;
  std::optional<int64_t> start;
  std::optional<int64_t> stop;
  int64_t step = 1;
};

/// A bound counted from the end if negative, kept within [low, high].
int64_t clamped(int64_t bound, int64_t size, int64_t low, int64_t high) {
  return std::clamp(bound < 0 ? bound + size : bound, low, high);
}

using detail::Range;

Range resolve(const SliceAttrs& attrs, const Shape& shape) {
  if (attrs.step == 0) violate(ErrorKind::value, "the step must not be 0");
  Range range{normalize_axis(attrs.axis.value(), shape.rank()), 0, 0, 0};
  const int64_t size = shape[range.axis];
  // A step beyond the axis takes one element, whatever its size; so nothing can overflow.
  range.step = std::clamp(attrs.step, -size - 1, size + 1);
  const bool forward = range.step > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? size : size - 1;
  range.start = attrs.start ? clamped(*attrs.start, size, low, high) : forward ? low : high;
  const int64_t stop = attrs.stop ? clamped(*attrs.stop, size, low, high) : forward ? high : low;
  const int64_t distance = forward ? stop - range.start : range.start - stop;
  const int64_t step = forward ? range.step : -range.step;
  range.count = distance > 0 ? (distance - 1) / step + 1 : 0;
  if (range.count == 0) range.start = 0;
  return range;
}

Shape sliced_shape(const Shape& shape, const Range& range) {
  Shape result = shape;
  result[range.axis] = range.count;
  return result;
}

ViewLayout sliced_layout(const Strides& strides, int64_t offset, const Range& range) {
  ViewLayout view{strides, offset + range.start * strides[range.axis]};
  if (range.count > 1) view.strides[range.axis] *= range.step;
  return view;
}

/// For every element of the slice: visit(flat index in x, flat index in the slice), row-major.
template <class Visit>
void for_each_sliced(const Shape& shape, const Range& range, Visit&& visit) {
  const ViewLayout view = sliced_layout(row_major_strides(shape), 0, range);
  int64_t i = 0;
  for_each_offset(sliced_shape(shape, range), view.strides,
                  [&](int64_t offset) { visit(view.offset + offset, i++); });
}

// ---------------------------------------------------------------------------------- slice

constexpr AttributeDoc slice_lines[] = {
    {"axis", "The axis."},
    {"start", "The first element; none: the first one in the step's direction."},
    {"stop", "The end, which is not in the result; none: the last one's neighbour."},
    {"step", "The distance of neighbours, negative for the other direction."}};

Specs infer_slice(const InSpecs& in, const SliceAttrs& attrs) {
  Spec out = in[0];
  out.shape = sliced_shape(in[0].shape, resolve(attrs, in[0].shape));
  return out;
}

bool slice_view(const Strided& x, const SliceAttrs& attrs, const Specs&, ViewLayout* views) {
  views[0] = sliced_layout(x.strides, x.offset, resolve(attrs, x.shape()));
  return true;
}

Results slice_reference(const Inputs& in, const SliceAttrs& attrs) {
  const Range range = resolve(attrs, in[0].shape());
  const std::vector<Element> x = elements_of(in[0]);
  std::vector<Element> y;
  for_each_sliced(in[0].shape(), range,
                  [&](int64_t from, int64_t) { y.push_back(x[static_cast<size_t>(from)]); });
  Results results;
  results[0] = from_elements(sliced_shape(in[0].shape(), range), in[0].dtype(), y);
  return results;
}

Tensor update(const Arg& x, const Tensor& values, const SliceAttrs& attrs);

Grads slice_vjp(const Saved& s, const SliceAttrs& attrs) {
  const Tensor zero = zeros(s.in_spec(0).shape, s.grad().dtype());
  return {update(donate(zero), s.grad(), attrs)};
}

std::vector<Sample<SliceAttrs>> slice_samples() {
  return {{.inputs = {{.shape = {5, 3}}}, .attrs = {0, 1, 4}},
          {.inputs = {{.shape = {5, 3}}}, .attrs = {1, 1, {}}},
          {.inputs = {{.shape = {2, 7, 3}}}, .attrs = {1, {}, {}, 3}},
          {.inputs = {{.shape = {2, 7, 3}}}, .attrs = {-2, {}, {}, -1}},
          {.inputs = {{.shape = {7}}}, .attrs = {0, -2, -7, -2}},
          {.inputs = {{.shape = {4, 3}}}, .attrs = {0, -100, 100, 2}},
          {.inputs = {{.shape = {4}}}, .attrs = {0, 3, {}, INT64_MAX}},
          {.inputs = {{.shape = {4}}}, .attrs = {0, {}, {}, INT64_MIN}},
          {.inputs = {{.shape = {4, 3}}}, .attrs = {0, 3, 1}},
          {.inputs = {{.shape = {0, 3}}}, .attrs = {0, {}, {}, -1}},
          {.inputs = {{.shape = {6}, .low = -9, .high = 9, .dtype = DType::i32}},
           .attrs = {0, 4, {}, -3}},
          {.inputs = {{.shape = {4}}}, .attrs = {0, {}, {}, 0}, .error = "the step must not be 0"},
          {.inputs = {{.shape = {4, 2}}},
           .attrs = {2, 0, 1},
           .error = "axis must be in [-2, 1], got 2"},
          {.inputs = {{.shape = {}}}, .attrs = {0, 0, 1}, .error = "axis 0 of a 0-d tensor"}};
}

const Op<SliceAttrs> slice_op{
    {.name = "slice",
     .doc = "The elements start, start + step, ... before `stop` of one axis, as Python slices "
            "count; a view.",
     .attributes = {std::begin(slice_lines), std::end(slice_lines)},
     .inputs = {"x"},
     .takes = kinds::every,
     .infer = infer_slice,
     .reference = slice_reference,
     .grad = {slice_vjp, Saves::nothing},
     .view = slice_view,
     .onnx = {"Slice",
              13,
              {{"axis", "axes"}, {"start", "starts"}, {"stop", "ends"}, {"step", "steps"}}},
     .samples = slice_samples}};

// ---------------------------------------------------------------------------------- slice_update

Specs infer_update(const InSpecs& in, const SliceAttrs& attrs) {
  const Shape target = sliced_shape(in[0].shape, resolve(attrs, in[0].shape));
  if (in[1].dtype != in[0].dtype) {
    violate(ErrorKind::dtype, "values must have x's dtype; convert with astype");
  }
  if (in[1].shape.rank() > target.rank() || !(broadcast_shapes(in[1].shape, target) == target)) {
    violate(ErrorKind::shape, "values do not broadcast to the slice " + to_string(target));
  }
  return in[0];
}

void update_cpu(const Kernel& k, const SliceAttrs& attrs) {
  const Shape& shape = k.out().shape();
  const Range range = resolve(attrs, shape);
  const ViewLayout part = sliced_layout(*k.out().strides, 0, range);
  update_part(k.in(0), k.in(1), {sliced_shape(shape, range), part.strides, part.offset}, k.out());
}

Results update_reference(const Inputs& in, const SliceAttrs& attrs) {
  const Range range = resolve(attrs, in[0].shape());
  const Shape target = sliced_shape(in[0].shape(), range);
  std::vector<Element> y = elements_of(in[0]);
  const std::vector<Element> values = elements_of(in[1]);
  const Shape& own = in[1].shape();
  std::vector<size_t> sources;
  for_each_offset(target, broadcast_strides(own, row_major_strides(own), target),
                  [&](int64_t offset) { sources.push_back(static_cast<size_t>(offset)); });
  for_each_sliced(in[0].shape(), range, [&](int64_t to, int64_t i) {
    y[static_cast<size_t>(to)] = values[sources[static_cast<size_t>(i)]];
  });
  Results results;
  results[0] = from_elements(in[0].shape(), in[0].dtype(), y);
  return results;
}

Grads update_vjp(const Saved& s, const SliceAttrs& attrs) {
  const Tensor& grad = s.grad();
  Grads grads(2);
  if (s.needs(0)) grads[0] = update(grad, zeros({}, grad.dtype()), attrs);
  if (s.needs(1)) {
    const Tensor part = slice(grad, attrs.axis.value(), attrs.start, attrs.stop, attrs.step);
    grads[1] = detail::reduce_to(part, s.in_spec(1).shape);
  }
  return grads;
}

std::vector<Sample<SliceAttrs>> update_samples() {
  return {{.inputs = {{.shape = {5, 3}}, {.shape = {3, 3}}}, .attrs = {0, 1, 4}},
          {.inputs = {{.shape = {5, 3}}, {.shape = {5, 1}}}, .attrs = {1, 1, {}}},
          {.inputs = {{.shape = {2, 7, 3}}, {.shape = {4, 1}}}, .attrs = {-2, {}, {}, -2}},
          {.inputs = {{.shape = {6}}, {.shape = {}}}, .attrs = {0, 1, -1, 2}},
          {.inputs = {{.shape = {4, 2}}, {.shape = {0, 2}}}, .attrs = {0, 3, 1}},
          {.inputs = {{.shape = {4, 2}}, {.shape = {2}}}, .attrs = {0, 3, 1}},
          {.inputs = {{.shape = {6}, .low = -9, .high = 9, .dtype = DType::i32},
                      {.shape = {2}, .low = -9, .high = 9, .dtype = DType::i32}},
           .attrs = {0, 4, {}, -3}},
          {.inputs = {{.shape = {5, 3}}, {.shape = {2, 3}}},
           .attrs = {0, 1, 4},
           .error = "do not broadcast"},
          {.inputs = {{.shape = {5}}, {.shape = {1, 2}}},
           .attrs = {0, 0, 2},
           .error = "values do not broadcast to the slice [2]"},
          {.inputs = {{.shape = {5}}, {.shape = {}, .dtype = DType::i32}},
           .attrs = {0, 0, 2},
           .error = "values must have x's dtype"},
          {.inputs = {{.shape = {5}}, {.shape = {}}},
           .attrs = {0, 0, 2, 0},
           .error = "the step must not be 0"}};
}

const Op<SliceAttrs> slice_update_op{
    {.name = "slice_update",
     .doc = "x with the places that `slice` would read replaced by `values`, which broadcast.",
     .attributes = {std::begin(slice_lines), std::end(slice_lines)},
     .inputs = {"x", "values"},
     .takes = kinds::every,
     .infer = infer_update,
     .reference = update_reference,
     .grad = {update_vjp, Saves::nothing},
     .layout = Layout::like_inputs,
     .any_strides = true,
     .reuse = {{0, 0}},
     .kernels = {.cpu = update_cpu},
     .samples = update_samples}};

Tensor update(const Arg& x, const Tensor& values, const SliceAttrs& attrs) {
  return slice_update_op({x, values}, attrs);
}

}  // namespace

Range detail::sliced_range(const Shape& shape, int64_t axis, std::optional<int64_t> start,
                           std::optional<int64_t> stop, int64_t step) {
  return resolve({axis, start, stop, step}, shape);
}

Tensor slice(const Tensor& x, int64_t axis, std::optional<int64_t> start,
             std::optional<int64_t> stop, int64_t step) {
  return slice_op({x}, {axis, start, stop, step});
}

Tensor slice_update(const Tensor& x, const Tensor& values, int64_t axis,
                    std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step) {
  return update(x, values, {axis, start, stop, step});
}

}  // namespace taper

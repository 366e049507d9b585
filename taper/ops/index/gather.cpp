#include <taper/backend/cpu/gather.h>
#include <taper/backend/cpu/indices.h>
#include <taper/ops/index/indices.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/pointwise/pointwise.h>
#include <taper/ops/tape.h>

// Elements picked by integer tensors, and the adjoints that add them back.

namespace taper {
namespace {

struct TakeAttrs {
  Axis axis = 0;
  bool from_end = true;  // negative indices count from the end; else they are out of range
};

/// The adjoints need the shape that the indices once picked from.
struct ScatterAttrs {
  Shape shape;
  Axis axis = 0;
};

void check_floating(DType dtype) {
  if (!is_inexact(dtype)) {
    violate(ErrorKind::dtype, "takes floating tensors, got " + std::string(dtype_name(dtype)));
  }
}

std::vector<int64_t> reference_indices(const Tensor& indices, int64_t size) {
  std::vector<int64_t> values = indices.to_vector<int64_t>();
  for (int64_t& value : values) value += value < 0 ? size : 0;
  return values;
}

// ------------------------------------------------------------------------------ take and adjoint

/// x's shape with the axis replaced by the shape of the indices.
Shape taken_shape(const Shape& x, const Shape& indices, int axis) {
  Shape shape = x;
  shape.erase(axis);
  for (int i = 0; i < indices.rank(); ++i) shape.insert(axis + i, indices[i]);
  return shape;
}

Specs infer_take(const InSpecs& in, const TakeAttrs& attrs) {
  check_index_dtype(in[1]);
  const int axis = normalize_axis(attrs.axis, in[0].shape.rank());
  Spec out = in[0];
  out.shape = taken_shape(in[0].shape, in[1].shape, axis);
  return out;
}

void take_cpu(const Kernel& k, const TakeAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, k.in(0).rank());
  take(k.context, k.in(0), k.in(1), axis, attrs.from_end, k.out());
}

Results take_reference(const Inputs& in, const TakeAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, in[0].rank());
  const AxisSplit from = split_at(in[0].shape(), axis);
  const std::vector<Element> x = elements_of(in[0]);
  const std::vector<int64_t> indices = reference_indices(in[1], from.size);
  std::vector<Element> y;
  for (int64_t o = 0; o < from.outer; ++o) {
    for (const int64_t index : indices) {
      for (int64_t i = 0; i < from.inner; ++i) {
        y.push_back(x[static_cast<size_t>((o * from.size + index) * from.inner + i)]);
      }
    }
  }
  Results results;
  results[0] = from_elements(taken_shape(in[0].shape(), in[1].shape(), axis), in[0].dtype(), y);
  return results;
}

void check_scatter_shape(const ScatterAttrs& attrs) {
  for (int64_t size : attrs.shape) {
    if (size >= 0) continue;
    violate(ErrorKind::value, "a shape has no negative sizes, got " + to_string(attrs.shape));
  }
}

Specs infer_take_grad(const InSpecs& in, const ScatterAttrs& attrs) {
  check_index_dtype(in[1]);
  check_floating(in[0].dtype);
  check_scatter_shape(attrs);
  const int axis = normalize_axis(attrs.axis, attrs.shape.rank());
  const Shape wanted = taken_shape(attrs.shape, in[1].shape, axis);
  if (in[0].shape != wanted) {
    violate(ErrorKind::shape, "grad must have the shape " + to_string(wanted));
  }
  Spec out = in[0];
  out.shape = attrs.shape;
  return out;
}

void take_grad_cpu(const Kernel& k, const ScatterAttrs& attrs) {
  take_add(k.context, k.in(0), k.in(1), normalize_axis(attrs.axis, k.out().rank()), k.out());
}

Results take_grad_reference(const Inputs& in, const ScatterAttrs& attrs) {
  const AxisSplit to = split_at(attrs.shape, normalize_axis(attrs.axis, attrs.shape.rank()));
  const std::vector<int64_t> indices = reference_indices(in[1], to.size);
  return visit_sums(in[0].dtype(), [&]<class T>() {
    const std::vector<T> grad = in[0].to_vector<T>();
    std::vector<T> y(static_cast<size_t>(attrs.shape.numel()), T(0));
    size_t next = 0;
    for (int64_t o = 0; o < to.outer; ++o) {
      for (const int64_t index : indices) {
        for (int64_t i = 0; i < to.inner; ++i) {
          y[static_cast<size_t>((o * to.size + index) * to.inner + i)] += grad[next++];
        }
      }
    }
    return Results{{from_values(attrs.shape, y)}};
  });
}

Grads take_grad_vjp(const Saved& s, const ScatterAttrs& attrs) {
  return {s.needs(0) ? take(s.grad(), s.in(1), attrs.axis) : Tensor(), Tensor()};
}

SampleInput index_input(const Shape& shape, double low, double high, DType dtype = DType::i64) {
  return {.shape = shape, .low = low, .high = high, .dtype = dtype};
}

std::vector<Sample<ScatterAttrs>> take_grad_samples() {
  return {{.inputs = {{.shape = {7, 3}}, index_input({7}, -5, 5)}, .attrs = {Shape{5, 3}, 0}},
          {.inputs = {{.shape = {2, 3, 2, 4}}, index_input({3, 2}, 0, 6, DType::i32)},
           .attrs = {Shape{2, 6, 4}, -2}},
          {.inputs = {{.shape = {2, 4}}, index_input({4}, 0, 3)}, .attrs = {Shape{2, 3}, 1}},
          {.inputs = {{.shape = {3}}, index_input({}, 0, 2)}, .attrs = {Shape{2, 3}, 0}},
          {.inputs = {{.shape = {0, 3}}, index_input({0}, 0, 2)}, .attrs = {Shape{2, 3}, 0}},
          {.inputs = {{.shape = {4, 3}}, index_input({5}, 0, 2)},
           .attrs = {Shape{2, 3}, 0},
           .error = "grad must have the shape [5,3]"},
          {.inputs = {{.shape = {2, 3}}, index_input({2}, 7, 8)},
           .attrs = {Shape{2, 3}, 0},
           .error = "index 7 at position 0 is out of range for axis 0 of size 2"},
          {.inputs = {{.shape = {2}}, index_input({2}, 0, 2)},
           .attrs = {Shape{-2}, 0},
           .error = "no negative sizes"}};
}

const Op<ScatterAttrs> take_grad_op{
    {.name = "take_grad",
     .doc = "The adjoint of take: zeros of `shape` with each slice of grad added at its index.",
     .internal = true,
     .inputs = {"grad", "indices"},
     .takes = kinds::every,
     .infer = infer_take_grad,
     .reference = take_grad_reference,
     .grad = {take_grad_vjp, Saves::only({1})},
     .refuses_values = true,
     .kernels = {.cpu = take_grad_cpu},
     .no_golden = golden_in_its_row,
     .samples = take_grad_samples}};

Grads take_vjp(const Saved& s, const TakeAttrs& attrs) {
  if (!s.needs(0)) return {Tensor(), Tensor()};
  return {take_grad_op({s.grad(), s.in(1)}, {s.in_spec(0).shape, attrs.axis}), Tensor()};
}

std::vector<Sample<TakeAttrs>> take_samples() {
  const SampleInput integers{.shape = {4, 3}, .low = -9, .high = 9, .dtype = DType::i32};
  return {{.inputs = {{.shape = {5, 3}}, index_input({7}, -5, 5)}},
          {.inputs = {{.shape = {2, 6, 4}}, index_input({3, 2}, 0, 6, DType::i32)}, .attrs = {-2}},
          {.inputs = {{.shape = {3, 4}}, index_input({5}, -4, 4)}, .attrs = {1}},
          {.inputs = {{.shape = {4, 3}}, index_input({}, 0, 4)}},
          {.inputs = {{.shape = {6}}, index_input({2, 2, 2}, -6, 6)}},
          {.inputs = {{.shape = {4, 3}}, index_input({0}, 0, 4)}},
          {.inputs = {{.shape = {0, 3}}, index_input({0}, 0, 1)}},
          {.inputs = {integers, index_input({3}, 0, 4)}},
          {.inputs = {{.shape = {5, 3}}, index_input({2, 4}, 0, 5)}, .attrs = {0, false}},
          {.inputs = {{.shape = {6}}, index_input({4}, 0, 6, DType::i32)}, .attrs = {0, false}},
          {.inputs = {{.shape = {4, 3}}, index_input({2}, -1, 0)},
           .attrs = {0, false},
           .error = "index -1 at position 0 is out of range for axis 0 of size 4"},
          {.inputs = {{.shape = {4}}, index_input({2}, -1, 0)},
           .attrs = {0, false},
           .error = "index -1 at position 0 is out of range for axis 0 of size 4"},
          {.inputs = {{.shape = {4, 10}}, index_input({3}, 12, 13)},
           .attrs = {1},
           .error = "index 12 at position 0 is out of range for axis 1 of size 10"},
          {.inputs = {{.shape = {4}}, index_input({3}, -5, -4)},
           .error = "index -5 at position 0 is out of range for axis 0 of size 4"},
          {.inputs = {{.shape = {4}}, index_input({3}, 0, 4, DType::u8)},
           .error = "indices must be i32 or i64, got u8"},
          {.inputs = {{.shape = {4}}, index_input({3}, 0, 4)},
           .attrs = {1},
           .error = "axis must be in [-1, 0], got 1"}};
}

const Op<TakeAttrs> take_op{
    {.name = "take",
     .doc = "The slices of x at `indices` along `axis`.",
     .attributes = {{"axis", "The axis, counted from the end if negative."},
                    {"from_end",
                     "Whether negative indices count from the end; else they are out of range."}},
     .inputs = {"x", "indices"},
     .takes = kinds::every,
     .infer = infer_take,
     .reference = take_reference,
     .grad = {take_vjp, Saves::only({1})},
     .refuses_values = true,
     .kernels = {.cpu = take_cpu},
     .onnx = {"Gather", 13, {{"from_end", ""}}},
     .samples = take_samples}};

// ------------------------------------------------------------------- take_along_axis and adjoint

[[noreturn]] void refuse_beside(const Shape& shape, const Shape& indices, int axis,
                                const char* otherwise = "") {
  violate(ErrorKind::shape, "indices " + to_string(indices) + " and the shape " + to_string(shape) +
                                " must agree on all axes but " + std::to_string(axis) + otherwise);
}

/// All axes but one must agree.
void check_beside(const Shape& shape, const Shape& indices, int axis) {
  bool same = shape.rank() == indices.rank();
  for (int i = 0; same && i < shape.rank(); ++i) same = i == axis || shape[i] == indices[i];
  if (!same) refuse_beside(shape, indices, axis);
}

struct AlongAttrs {
  Axis axis = -1;
  bool from_end = true;  // negative indices count from the end; else they are out of range
};

/// The shapes of x and of the indices when their other axes are broadcast to each other.
std::pair<Shape, Shape> broadcast_beside(const Shape& x, const Shape& indices, int axis) {
  constexpr const char* or_one = ", or have size one there";
  Shape whole = x;
  Shape chosen = indices;
  if (x.rank() != indices.rank()) refuse_beside(x, indices, axis, or_one);
  for (int i = 0; i < x.rank(); ++i) {
    if (i == axis || x[i] == indices[i]) continue;
    if (x[i] != 1 && indices[i] != 1) refuse_beside(x, indices, axis, or_one);
    whole[i] = chosen[i] = x[i] == 1 ? indices[i] : x[i];
  }
  return {whole, chosen};
}

Specs infer_along(const InSpecs& in, const AlongAttrs& attrs) {
  check_index_dtype(in[1]);
  const int axis = normalize_axis(attrs.axis, in[0].shape.rank());
  Spec out = in[0];
  out.shape = broadcast_beside(in[0].shape, in[1].shape, axis).second;
  return out;
}

void along_cpu(const Kernel& k, const AlongAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, k.in(0).rank());
  take_along(k.context, k.in(0), k.in(1), axis, attrs.from_end, k.out());
}

/// For every index, in row-major order: visit(place in the axis' tensor, place of the index).
template <class Visit>
void for_each_along(const Shape& shape, int axis, const Tensor& index_tensor, Visit&& visit) {
  const AxisSplit whole = split_at(shape, axis);
  const int64_t count = index_tensor.shape()[axis];
  const std::vector<int64_t> indices = reference_indices(index_tensor, whole.size);
  for (size_t at = 0; at < indices.size(); ++at) {
    const int64_t inner = static_cast<int64_t>(at) % whole.inner;
    const int64_t outer = static_cast<int64_t>(at) / whole.inner / count;
    visit(static_cast<size_t>((outer * whole.size + indices[at]) * whole.inner + inner), at);
  }
}

Results along_reference(const Inputs& in, const AlongAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, in[0].rank());
  const auto [whole, chosen] = broadcast_beside(in[0].shape(), in[1].shape(), axis);
  const std::vector<Element> x = elements_of(broadcast_to(in[0], whole));
  std::vector<Element> y;
  for_each_along(whole, axis, broadcast_to(in[1], chosen),
                 [&](size_t from, size_t) { y.push_back(x[from]); });
  Results results;
  results[0] = from_elements(chosen, in[0].dtype(), y);
  return results;
}

Specs infer_put(const InSpecs& in, const ScatterAttrs& attrs) {
  check_index_dtype(in[1]);
  check_floating(in[0].dtype);
  check_scatter_shape(attrs);
  if (in[0].shape != in[1].shape) {
    violate(ErrorKind::shape, "values and indices must have one shape");
  }
  check_beside(attrs.shape, in[1].shape, normalize_axis(attrs.axis, attrs.shape.rank()));
  Spec out = in[0];
  out.shape = attrs.shape;
  return out;
}

void put_cpu(const Kernel& k, const ScatterAttrs& attrs) {
  put_along_add(k.context, k.in(0), k.in(1), normalize_axis(attrs.axis, k.out().rank()), k.out());
}

Results put_reference(const Inputs& in, const ScatterAttrs& attrs) {
  return visit_sums(in[0].dtype(), [&]<class T>() {
    const std::vector<T> values = in[0].to_vector<T>();
    std::vector<T> y(static_cast<size_t>(attrs.shape.numel()), T(0));
    for_each_along(attrs.shape, normalize_axis(attrs.axis, attrs.shape.rank()), in[1],
                   [&](size_t to, size_t at) { y[to] += values[at]; });
    return Results{{from_values(attrs.shape, y)}};
  });
}

Grads put_vjp(const Saved& s, const ScatterAttrs& attrs) {
  return {s.needs(0) ? take_along_axis(s.grad(), s.in(1), attrs.axis) : Tensor(), Tensor()};
}

std::vector<Sample<ScatterAttrs>> put_samples() {
  return {{.inputs = {{.shape = {4, 3}}, index_input({4, 3}, -5, 5)}, .attrs = {Shape{4, 5}, 1}},
          {.inputs = {{.shape = {2, 5, 3}}, index_input({2, 5, 3}, 0, 2, DType::i32)},
           .attrs = {Shape{2, 2, 3}, -2}},
          {.inputs = {{.shape = {6}}, index_input({6}, 0, 4)}, .attrs = {Shape{4}, 0}},
          {.inputs = {{.shape = {3, 0}}, index_input({3, 0}, 0, 1)}, .attrs = {Shape{3, 2}, 1}},
          {.inputs = {{.shape = {4, 3}}, index_input({4, 2}, 0, 5)},
           .attrs = {Shape{4, 5}, 1},
           .error = "values and indices must have one shape"},
          {.inputs = {{.shape = {3, 3}}, index_input({3, 3}, 0, 5)},
           .attrs = {Shape{4, 5}, 1},
           .error = "must agree on all axes but 1"},
          {.inputs = {{.shape = {2}}, index_input({2}, 5, 6)},
           .attrs = {Shape{4}, 0},
           .error = "index 5 at position 0 is out of range for axis 0 of size 4"}};
}

const Op<ScatterAttrs> put_along_axis_add_op{
    {.name = "put_along_axis_add",
     .doc = "The adjoint of take_along_axis: zeros of `shape` with each value added at its index.",
     .internal = true,
     .inputs = {"values", "indices"},
     .takes = kinds::every,
     .infer = infer_put,
     .reference = put_reference,
     .grad = {put_vjp, Saves::only({1})},
     .refuses_values = true,
     .kernels = {.cpu = put_cpu},
     .samples = put_samples}};

Grads along_vjp(const Saved& s, const AlongAttrs& attrs) {
  if (!s.needs(0)) return {Tensor(), Tensor()};
  const Shape& x = s.in_spec(0).shape;
  const int axis = normalize_axis(attrs.axis, x.rank());
  const auto [whole, chosen] = broadcast_beside(x, s.in_spec(1).shape, axis);
  const Tensor indices = broadcast_to(s.in(1), chosen);
  const Tensor grad = put_along_axis_add_op({s.grad(), indices}, {whole, axis});
  return {detail::reduce_to(grad, x), Tensor()};
}

std::vector<Sample<AlongAttrs>> along_samples() {
  return {
      {.inputs = {{.shape = {4, 5}}, index_input({4, 3}, -5, 5)}, .attrs = {1}},
      {.inputs = {{.shape = {2, 2, 3}}, index_input({2, 5, 3}, 0, 2, DType::i32)}, .attrs = {-2}},
      {.inputs = {{.shape = {4}}, index_input({6}, 0, 4)}},
      {.inputs = {{.shape = {1, 5}}, index_input({4, 3}, 0, 5)}},
      {.inputs = {{.shape = {4, 5, 2}}, index_input({1, 3, 1}, -5, 5)}, .attrs = {1}},
      {.inputs = {{.shape = {3, 2}}, index_input({3, 0}, 0, 1)}, .attrs = {1}},
      {.inputs = {{.shape = {3, 2}}, index_input({3, 4}, 0, 2)}, .attrs = {1, false}},
      {.inputs = {{.shape = {4, 10}}, index_input({4, 1}, 12, 13)},
       .attrs = {1},
       .error = "index 12 at position 0 is out of range for axis 1 of size 10"},
      {.inputs = {{.shape = {4, 10}}, index_input({4, 1}, -1, 0)},
       .attrs = {1, false},
       .error = "index -1 at position 0 is out of range for axis 1 of size 10"},
      {.inputs = {{.shape = {4, 5}}, index_input({3, 5}, 0, 5)},
       .attrs = {1},
       .error = "must agree on all axes but 1"},
      {.inputs = {{.shape = {4, 5}}, index_input({4}, 0, 5)},
       .attrs = {1},
       .error = "must agree on all axes but 1"},
      {.inputs = {{.shape = {4}}, {.shape = {4}}}, .error = "indices must be i32 or i64"}};
}

const Op<AlongAttrs> take_along_axis_op{
    {.name = "take_along_axis",
     .aliases = {"take_along_dim"},
     .doc = "One element of x along `axis` for each index; the other axes broadcast.",
     .attributes = {{"axis", "The axis, counted from the end if negative."},
                    {"from_end",
                     "Whether negative indices count from the end; else they are out of range."}},
     .inputs = {"x", "indices"},
     .takes = kinds::every,
     .infer = infer_along,
     .reference = along_reference,
     .grad = {along_vjp, Saves::only({1})},
     .refuses_values = true,
     .kernels = {.cpu = along_cpu},
     .onnx = {"GatherElements", 13, {{"from_end", ""}}},
     .samples = along_samples}};

}  // namespace

Tensor take(const Tensor& x, const Tensor& indices, int64_t axis, bool from_end) {
  return take_op({x, indices}, {axis, from_end});
}

Tensor take_along_axis(const Tensor& x, const Tensor& indices, int64_t axis, bool from_end) {
  return take_along_axis_op({x, indices}, {axis, from_end});
}

}  // namespace taper

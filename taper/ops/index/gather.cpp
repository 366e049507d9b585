#include <algorithm>
#include <atomic>
#include <cstring>

#include <taper/ops/index/indices.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// Elements picked by integer tensors, and the adjoints that add them back. An adjoint gives every
// element of its output to one thread, which adds in the order of the indices: the same bits
// whatever the number of threads, and no atomics.

namespace taper {
namespace {

struct AxisAttrs {
  Axis axis = 0;
};

/// The adjoints need the shape that the indices once picked from.
struct ScatterAttrs {
  Shape shape;
  int64_t axis = 0;
};

/// A shape around one axis.
struct Split {
  int64_t outer = 1;
  int64_t size = 1;
  int64_t inner = 1;
};

Split split(const Shape& shape, int axis) {
  Split result;
  for (int i = 0; i < axis; ++i) result.outer *= shape[i];
  result.size = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) result.inner *= shape[i];
  return result;
}

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

Specs infer_take(const InSpecs& in, const AxisAttrs& attrs) {
  check_index_dtype(in[1]);
  const int axis = normalize_axis(attrs.axis, in[0].shape.rank());
  Spec out = in[0];
  out.shape = taken_shape(in[0].shape, in[1].shape, axis);
  return out;
}

template <class T>
void take_rows(const T* from, int64_t inner, const int64_t* indices, int64_t count, T* to) {
  if (inner == 1) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[indices[i]];
    return;
  }
  const size_t bytes = sizeof(T) * static_cast<size_t>(inner);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * inner, from + indices[i] * inner, bytes);
  }
}

/// Single elements by indices that are checked on the way. False for an index out of range: then
/// what was written means nothing.
template <class T, class Index>
bool take_checked(const T* from, int64_t size, const Index* indices, int64_t count, T* to) {
  std::atomic<bool> good{true};
  parallel_for(count, index_grain(sizeof(T)), [&](int64_t begin, int64_t end) {
    bool all_good = true;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t index = indices[i] < 0 ? indices[i] + size : indices[i];
      const bool is_good = index >= 0 && index < size;
      all_good &= is_good;
      to[i] = from[is_good ? index : 0];
    }
    if (!all_good) good = false;
  });
  return good;
}

void take_cpu(const Kernel& k, const AxisAttrs& attrs) {
  const View& x = k.in(0);
  const View& y = k.out();
  const int axis = normalize_axis(attrs.axis, x.rank());
  const Split from = split(x.shape(), axis);
  const int64_t count = k.in(1).numel();
  if (from.outer == 1 && from.inner == 1 && from.size > 0) {
    bool good = false;
    visit_width(x.dtype(), [&]<class T>(T) {
      const bool wide = k.in(1).dtype() == DType::i64;
      good = wide ? take_checked(x.as<T>(), from.size, k.in(1).as<int64_t>(), count, y.as<T>())
                  : take_checked(x.as<T>(), from.size, k.in(1).as<int32_t>(), count, y.as<T>());
    });
    if (good) return;
  }
  const Indices indices = axis_indices(k.in(1), from.size, axis);
  if (y.numel() == 0) return;
  visit_width(x.dtype(), [&]<class T>(T) {
    const auto bytes = static_cast<int64_t>(sizeof(T)) * from.inner;
    parallel_for(from.outer * count, index_grain(bytes), [&](int64_t begin, int64_t end) {
      while (begin < end) {  // what is taken from one outer element
        const int64_t first = begin % count;
        const int64_t rows = std::min(count - first, end - begin);
        take_rows(x.as<T>() + begin / count * from.size * from.inner, from.inner,
                  indices.get() + first, rows, y.as<T>() + begin * from.inner);
        begin += rows;
      }
    });
  });
}

Results take_reference(const Inputs& in, const AxisAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, in[0].rank());
  const Split from = split(in[0].shape(), axis);
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

/// A part of an output to add to: the output itself, or f32 memory that is rounded in the end.
template <class T>
class SumPart {
 public:
  SumPart(T* out, int64_t count) : out_(out), count_(count), sums_(nullptr) {
    if constexpr (std::is_same_v<T, Sum<T>>) {
      sums_ = out;
    } else {
      memory_ = std::make_unique_for_overwrite<Sum<T>[]>(static_cast<size_t>(count));
      sums_ = memory_.get();
    }
    std::fill_n(sums_, count, Sum<T>(0));
  }
  Sum<T>* sums() { return sums_; }
  void finish() {
    if constexpr (!std::is_same_v<T, Sum<T>>) {
      for (int64_t i = 0; i < count_; ++i) out_[i] = static_cast<T>(sums_[i]);
    }
  }

 private:
  T* out_;
  int64_t count_;
  Sum<T>* sums_;
  std::unique_ptr<Sum<T>[]> memory_;
};

/// Each thread owns rows of the output and looks through all indices for them.
template <class T>
void take_grad_rows(const T* grad, T* out, const Split& to, const Indices& indices, int64_t count,
                    int64_t begin, int64_t end) {
  SumPart<T> part(out + begin * to.inner, (end - begin) * to.inner);
  for (int64_t o = begin / to.size; o * to.size < end; ++o) {
    for (int64_t j = 0; j < count; ++j) {
      const int64_t row = o * to.size + indices[static_cast<size_t>(j)];
      if (row < begin || row >= end) continue;
      const T* from = grad + (o * count + j) * to.inner;
      Sum<T>* sum = part.sums() + (row - begin) * to.inner;
      for (int64_t i = 0; i < to.inner; ++i) sum[i] += static_cast<Sum<T>>(from[i]);
    }
  }
  part.finish();
}

void take_grad_cpu(const Kernel& k, const ScatterAttrs& attrs) {
  const View& grad = k.in(0);
  const int axis = normalize_axis(attrs.axis, attrs.shape.rank());
  const Split to = split(attrs.shape, axis);
  const int64_t count = k.in(1).numel();
  const Indices indices = axis_indices(k.in(1), to.size, axis);
  if (k.out().numel() == 0) return;
  const auto size = static_cast<int64_t>(item_size(grad.dtype()));
  const int64_t work = (to.inner + count * to.inner / to.size) * size;
  visit<kinds::inexact>(grad.dtype(), [&]<class T>() {
    parallel_for(to.outer * to.size, index_grain(work), [&](int64_t begin, int64_t end) {
      take_grad_rows(grad.as<T>(), k.out().as<T>(), to, indices, count, begin, end);
    });
  });
}

Results take_grad_reference(const Inputs& in, const ScatterAttrs& attrs) {
  const Split to = split(attrs.shape, normalize_axis(attrs.axis, attrs.shape.rank()));
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

Grads take_vjp(const Saved& s, const AxisAttrs& attrs) {
  if (!s.needs(0)) return {Tensor(), Tensor()};
  return {take_grad_op({s.grad(), s.in(1)}, {s.in_spec(0).shape, attrs.axis}), Tensor()};
}

std::vector<Sample<AxisAttrs>> take_samples() {
  const SampleInput integers{.shape = {4, 3}, .low = -9, .high = 9, .dtype = DType::i32};
  return {{.inputs = {{.shape = {5, 3}}, index_input({7}, -5, 5)}},
          {.inputs = {{.shape = {2, 6, 4}}, index_input({3, 2}, 0, 6, DType::i32)}, .attrs = {-2}},
          {.inputs = {{.shape = {3, 4}}, index_input({5}, -4, 4)}, .attrs = {1}},
          {.inputs = {{.shape = {4, 3}}, index_input({}, 0, 4)}},
          {.inputs = {{.shape = {6}}, index_input({2, 2, 2}, -6, 6)}},
          {.inputs = {{.shape = {4, 3}}, index_input({0}, 0, 4)}},
          {.inputs = {{.shape = {0, 3}}, index_input({0}, 0, 1)}},
          {.inputs = {integers, index_input({3}, 0, 4)}},
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

const Op<AxisAttrs> take_op{
    {.name = "take",
     .doc = "The slices of x at `indices` along `axis`; negative ones count from the end.",
     .attributes = {{"axis", "The axis, counted from the end if negative."}},
     .inputs = {"x", "indices"},
     .takes = kinds::every,
     .infer = infer_take,
     .reference = take_reference,
     .grad = {take_vjp, Saves::only({1})},
     .refuses_values = true,
     .kernels = {.cpu = take_cpu},
     .onnx = {"Gather", 13},
     .samples = take_samples}};

// ------------------------------------------------------------------- take_along_axis and adjoint

/// All axes but one must agree.
void check_beside(const Shape& shape, const Shape& indices, int axis) {
  bool same = shape.rank() == indices.rank();
  for (int i = 0; same && i < shape.rank(); ++i) same = i == axis || shape[i] == indices[i];
  if (same) return;
  violate(ErrorKind::shape, "indices " + to_string(indices) + " and the shape " + to_string(shape) +
                                " must agree on all axes but " + std::to_string(axis));
}

struct AlongAttrs {
  Axis axis = -1;
  bool from_end = true;  // negative indices count from the end; else they are out of range
};

Specs infer_along(const InSpecs& in, const AlongAttrs& attrs) {
  check_index_dtype(in[1]);
  const int axis = normalize_axis(attrs.axis, in[0].shape.rank());
  check_beside(in[0].shape, in[1].shape, axis);
  Spec out = in[0];
  out.shape = in[1].shape;
  return out;
}

void along_cpu(const Kernel& k, const AlongAttrs& attrs) {
  const View& x = k.in(0);
  const View& y = k.out();
  const int axis = normalize_axis(attrs.axis, x.rank());
  const Split from = split(x.shape(), axis);
  const int64_t count = y.shape()[axis];
  const Indices indices = axis_indices(k.in(1), from.size, axis, attrs.from_end);
  if (y.numel() == 0) return;
  visit_width(x.dtype(), [&]<class T>(T) {
    const T* in = x.as<T>();
    T* out = y.as<T>();
    const int64_t grain = index_grain(from.inner * static_cast<int64_t>(sizeof(T)));
    parallel_for(from.outer * count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* source = in + row / count * from.size * from.inner;
        for (int64_t i = 0; i < from.inner; ++i) {
          const int64_t at = row * from.inner + i;
          out[at] = source[indices[static_cast<size_t>(at)] * from.inner + i];
        }
      }
    });
  });
}

/// For every index, in row-major order: visit(place in the axis' tensor, place of the index).
template <class Visit>
void for_each_along(const Shape& shape, int axis, const Tensor& index_tensor, Visit&& visit) {
  const Split whole = split(shape, axis);
  const int64_t count = index_tensor.shape()[axis];
  const std::vector<int64_t> indices = reference_indices(index_tensor, whole.size);
  for (size_t at = 0; at < indices.size(); ++at) {
    const int64_t inner = static_cast<int64_t>(at) % whole.inner;
    const int64_t outer = static_cast<int64_t>(at) / whole.inner / count;
    visit(static_cast<size_t>((outer * whole.size + indices[at]) * whole.inner + inner), at);
  }
}

Results along_reference(const Inputs& in, const AlongAttrs& attrs) {
  const std::vector<Element> x = elements_of(in[0]);
  std::vector<Element> y;
  for_each_along(in[0].shape(), normalize_axis(attrs.axis, in[0].rank()), in[1],
                 [&](size_t from, size_t) { y.push_back(x[from]); });
  Results results;
  results[0] = from_elements(in[1].shape(), in[0].dtype(), y);
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

/// Fills columns [begin, end) of one outer part of the output, summing in `width` columns.
template <class T>
void put_columns(const T* values, const int64_t* indices, T* out, const Split& to, int64_t count,
                 int64_t begin, int64_t end, std::vector<Sum<T>>& sums) {
  const int64_t width = end - begin;
  sums.assign(static_cast<size_t>(to.size * width), Sum<T>(0));
  for (int64_t j = 0; j < count; ++j) {
    const int64_t row = j * to.inner + begin;
    for (int64_t i = 0; i < width; ++i) {
      sums[static_cast<size_t>(indices[row + i] * width + i)] +=
          static_cast<Sum<T>>(values[row + i]);
    }
  }
  for (int64_t j = 0; j < to.size; ++j) {
    for (int64_t i = 0; i < width; ++i) {
      out[j * to.inner + begin + i] = static_cast<T>(sums[static_cast<size_t>(j * width + i)]);
    }
  }
}

/// Each thread owns columns of the output along the axis.
void put_cpu(const Kernel& k, const ScatterAttrs& attrs) {
  const View& values = k.in(0);
  const int axis = normalize_axis(attrs.axis, attrs.shape.rank());
  const Split to = split(attrs.shape, axis);
  const int64_t count = values.shape()[axis];
  const Indices indices = axis_indices(k.in(1), to.size, axis);
  if (k.out().numel() == 0) return;
  const auto size = static_cast<int64_t>(item_size(values.dtype()));
  visit<kinds::inexact>(values.dtype(), [&]<class T>() {
    const int64_t grain = index_grain((to.size + count) * size);
    parallel_for(to.outer * to.inner, grain, [&](int64_t begin, int64_t end) {
      std::vector<Sum<T>> sums;
      while (begin < end) {
        const int64_t o = begin / to.inner;
        const int64_t first = begin - o * to.inner;
        const int64_t last = std::min(to.inner, end - o * to.inner);
        const int64_t from = o * count * to.inner;
        put_columns(values.as<T>() + from, indices.get() + from,
                    k.out().as<T>() + o * to.size * to.inner, to, count, first, last, sums);
        begin += last - first;
      }
    });
  });
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
  return {put_along_axis_add_op({s.grad(), s.in(1)}, {s.in_spec(0).shape, attrs.axis}), Tensor()};
}

std::vector<Sample<AlongAttrs>> along_samples() {
  return {
      {.inputs = {{.shape = {4, 5}}, index_input({4, 3}, -5, 5)}, .attrs = {1}},
      {.inputs = {{.shape = {2, 2, 3}}, index_input({2, 5, 3}, 0, 2, DType::i32)}, .attrs = {-2}},
      {.inputs = {{.shape = {4}}, index_input({6}, 0, 4)}},
      {.inputs = {{.shape = {3, 2}}, index_input({3, 0}, 0, 1)}, .attrs = {1}},
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
     .doc = "One element of x along `axis` for each index; the other axes go together.",
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
     .onnx = {"GatherElements", 13},
     .samples = along_samples}};

/// The common shape of both but for `axis`, on which each keeps its own size; false if there is
/// none, which the op then reports.
bool broadcast_beside(Shape& x, Shape& indices, int64_t axis) {
  if (x.rank() != indices.rank() || axis < -x.rank() || axis >= x.rank()) return false;
  const int at = static_cast<int>(axis < 0 ? axis + x.rank() : axis);
  for (int i = 0; i < x.rank(); ++i) {
    if (i == at || x[i] == indices[i]) continue;
    if (x[i] != 1 && indices[i] != 1) return false;
    x[i] = indices[i] = x[i] == 1 ? indices[i] : x[i];
  }
  return true;
}

}  // namespace

Tensor take(const Tensor& x, const Tensor& indices, int64_t axis) {
  return take_op({x, indices}, {axis});
}

Tensor take_along_axis(const Tensor& x, const Tensor& indices, int64_t axis, bool from_end) {
  const AlongAttrs attrs{axis, from_end};
  if (!x.defined() || !indices.defined()) return take_along_axis_op({x, indices}, attrs);
  Shape x_shape = x.shape();
  Shape index_shape = indices.shape();
  if (!broadcast_beside(x_shape, index_shape, axis) ||
      (x_shape == x.shape() && index_shape == indices.shape())) {
    return take_along_axis_op({x, indices}, attrs);
  }
  return take_along_axis_op({broadcast_to(x, x_shape), broadcast_to(indices, index_shape)}, attrs);
}

}  // namespace taper

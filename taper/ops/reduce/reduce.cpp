#include <taper/backend/cpu/reduce.h>

#include <algorithm>
#include <cmath>

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/oracle.h>
#include <taper/ops/tape.h>
#include <taper/ops/widened.h>

// Reductions: a family with one rule of shapes and one kernel.

namespace taper {

Shape Axes::resolve(int rank) const {
  Shape axes;
  if (all()) {
    for (int i = 0; i < rank; ++i) axes.push_back(i);
    return axes;
  }
  bool seen[Shape::max_rank] = {};
  for (int64_t axis : *axes_) {
    const int at = normalize_axis(axis, rank);
    if (seen[at]) violate(ErrorKind::value, "axis " + std::to_string(axis) + " is named twice");
    seen[at] = true;
  }
  for (int i = 0; i < rank; ++i) {
    if (seen[i]) axes.push_back(i);
  }
  return axes;
}

namespace {

struct ReduceAttrs {
  Axes axis;
  bool keepdims = false;
};

Shape reduced_shape(const Shape& shape, const Shape& axes, bool keepdims) {
  Shape result = shape;
  for (int i = axes.rank() - 1; i >= 0; --i) {
    const int axis = static_cast<int>(axes[i]);
    if (keepdims) {
      result[axis] = 1;
    } else {
      result.erase(axis);
    }
  }
  return result;
}

int64_t reduced_count(const Shape& shape, const Shape& axes) {
  int64_t count = 1;
  for (int64_t axis : axes) count *= shape[static_cast<int>(axis)];
  return count;
}

template <ReduceKind kind>
Specs infer_reduce(const InSpecs& in, const ReduceAttrs& attrs) {
  const Shape axes = attrs.axis.resolve(in[0].shape.rank());
  Spec out = in[0];
  out.shape = reduced_shape(in[0].shape, axes, attrs.keepdims);
  const bool holds_sums = is_inexact(out.dtype) || out.dtype == DType::u64;
  if (kind == ReduceKind::sum && !holds_sums) out.dtype = DType::i64;
  if (kind == ReduceKind::mean && !is_inexact(out.dtype)) {
    violate(ErrorKind::dtype, "takes floating tensors; convert with astype");
  }
  const bool extreme = kind == ReduceKind::max || kind == ReduceKind::min;
  if (extreme && reduced_count(in[0].shape, axes) == 0) {
    violate(ErrorKind::value, "has no elements to choose from along the reduced axes");
  }
  return out;
}

template <ReduceKind kind>
void reduce_cpu(const Kernel& k, const ReduceAttrs& attrs) {
  reduce(kind, k.in(0), k.out(), attrs.axis.resolve(k.in(0).rank()));
}

/// Calls `visit(flat output index, element)` for every element, in row-major order.
template <class T, class Visit>
void for_each_reduced(const Tensor& x, const Shape& axes, Visit&& visit) {
  const std::vector<T> values = x.to_vector<T>();
  Strides to = row_major_strides(reduced_shape(x.shape(), axes, true));
  for (int64_t axis : axes) to[static_cast<int>(axis)] = 0;
  size_t i = 0;
  for_each_offset(x.shape(), to,
                  [&](int64_t offset) { visit(static_cast<size_t>(offset), values[i++]); });
}

template <ReduceKind kind>
Results reduce_reference(const Inputs& in, const ReduceAttrs& attrs) {
  const Shape axes = attrs.axis.resolve(in[0].rank());
  const Shape shape = reduced_shape(in[0].shape(), axes, attrs.keepdims);
  return visit_widest(in[0].dtype(), [&]<class T>() {
    std::vector<T> out(static_cast<size_t>(shape.numel()), T(0));
    std::vector<bool> seen(out.size());
    for_each_reduced<T>(in[0], axes, [&](size_t to, const T& value) {
      if constexpr (kind == ReduceKind::sum || kind == ReduceKind::mean) {
        out[to] = wrapped_sum(out[to], value);
      } else if constexpr (!is_complex_type<T>) {
        const bool better = kind == ReduceKind::max ? value > out[to] : value < out[to];
        if (better || value != value || !seen[to]) out[to] = value;  // a NaN stays
      }
      seen[to] = true;
    });
    if (kind == ReduceKind::mean) {
      const auto count = static_cast<T>(static_cast<double>(reduced_count(in[0].shape(), axes)));
      for (T& value : out) value /= count;
    }
    return Results{{from_values(shape, out)}};
  });
}

/// A reduced tensor with its reduced axes as size one.
Tensor with_axes(const Tensor& reduced, const Spec& in, const Axes& axis) {
  return reshape(reduced, reduced_shape(in.shape, axis.resolve(in.shape.rank()), true));
}

Tensor spread(const Saved& s, const ReduceAttrs& attrs) {
  return broadcast_to(with_axes(s.grad(), s.in_spec(0), attrs.axis), s.in_spec(0).shape);
}

Grads sum_vjp(const Saved& s, const ReduceAttrs& attrs) { return {spread(s, attrs)}; }

Grads mean_vjp(const Saved& s, const ReduceAttrs& attrs) {
  const Shape& shape = s.in_spec(0).shape;
  const auto count = static_cast<double>(reduced_count(shape, attrs.axis.resolve(shape.rank())));
  const Tensor scaled = with_axes(s.grad(), s.in_spec(0), attrs.axis) * (1 / count);
  return {broadcast_to(scaled, shape)};
}

/// Elements that equal the extreme share its gradient.
Grads extreme_vjp(const Saved& s, const ReduceAttrs& attrs) {
  const Tensor y = with_axes(s.out(), s.in_spec(0), attrs.axis).detach();
  const Tensor hit = astype(equal(s.in(0), y), s.grad().dtype());
  const Tensor share = hit / sum(hit, attrs.axis.resolve(s.in_spec(0).shape.rank()), true);
  return {with_axes(s.grad(), s.in_spec(0), attrs.axis) * share};
}

std::vector<Sample<ReduceAttrs>> reduce_samples() {
  return {{.inputs = {{.shape = {3, 4}, .apart = 0.01}}},
          {.inputs = {{.shape = {3, 4}, .apart = 0.01}}, .attrs = {1, true}},
          {.inputs = {{.shape = {2, 3, 4}, .apart = 0.01}}, .attrs = {{0, 2}}},
          {.inputs = {{.shape = {2, 3, 4}, .apart = 0.01}}, .attrs = {-2}},
          {.inputs = {{.shape = {}}}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {2}, .error = "axis must be in [-2, 1], got 2"},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {{1, -1}}, .error = "axis -1 is named twice"}};
}

constexpr AttributeDoc reduce_lines[] = {{"axis", "The axes that are reduced; none: all."},
                                         {"keepdims", "Whether reduced axes stay with size one."}};

template <ReduceKind kind>
Row<ReduceAttrs> reduction(std::string_view name, std::string_view doc, Grad<ReduceAttrs> grad,
                           Onnx onnx, std::vector<std::string_view> aliases = {}) {
  return {.name = name,
          .aliases = std::move(aliases),
          .doc = doc,
          .attributes = {std::begin(reduce_lines), std::end(reduce_lines)},
          .inputs = {"x"},
          .takes = kind == ReduceKind::sum || kind == ReduceKind::mean ? kinds::every : kinds::real,
          .infer = infer_reduce<kind>,
          .reference = reduce_reference<kind>,
          .grad = grad,
          .any_strides = true,
          .kernels = {.cpu = reduce_cpu<kind>},
          .onnx = onnx,
          .samples = reduce_samples};
}

const Op<ReduceAttrs> sum_op = reduction<ReduceKind::sum>(
    "sum", "The sum along `axis`; integers and bools are summed in i64, u64 in u64.",
    {sum_vjp, Saves::nothing}, {"ReduceSum", 13, {{"axis", "axes"}}});
const Op<ReduceAttrs> mean_op =
    reduction<ReduceKind::mean>("mean", "The mean along `axis`.", {mean_vjp, Saves::nothing},
                                {"ReduceMean", 13, {{"axis", "axes"}}});
const Op<ReduceAttrs> max_op = reduction<ReduceKind::max>(
    "max", "The largest element along `axis`; NaN if there is one.", {extreme_vjp, Saves::both},
    {"ReduceMax", 13, {{"axis", "axes"}}}, {"amax"});
const Op<ReduceAttrs> min_op = reduction<ReduceKind::min>(
    "min", "The smallest element along `axis`; NaN if there is one.", {extreme_vjp, Saves::both},
    {"ReduceMin", 13, {{"axis", "axes"}}}, {"amin"});

// ---------------------------------------------------------------------------------- var

struct VarAttrs {
  Axes axis;
  double correction = 0;
  bool keepdims = false;
};

Specs infer_var(const InSpecs& in, const VarAttrs& attrs) {
  return infer_reduce<ReduceKind::mean>(in, {attrs.axis, attrs.keepdims});
}

double var_divisor(const Shape& shape, const VarAttrs& attrs) {
  const auto count = static_cast<double>(reduced_count(shape, attrs.axis.resolve(shape.rank())));
  return std::max(count - attrs.correction, 0.0);
}

/// x less the first element of each reduced group, so that equal elements give exactly 0, whatever
/// the rounding of their mean; narrower dtypes have exact means of equal elements.
Tensor shifted(const Tensor& x, const VarAttrs& attrs) {
  if (x.dtype() != DType::f64 || x.numel() == 0) return x;
  Tensor first = x;
  for (int64_t axis : attrs.axis.resolve(x.rank())) first = slice(first, axis, 0, 1);
  return x - first;
}

Results expand_var(const Inputs& in, const VarAttrs& attrs) {
  const Tensor x = shifted(widened(in[0]), attrs);
  const Tensor centred = x - mean(x, attrs.axis, true);
  const Tensor squares = sum(square(centred), attrs.axis, attrs.keepdims);
  return {{narrowed(squares / var_divisor(x.shape(), attrs), in[0].dtype())}};
}

Grads var_vjp(const Saved& s, const VarAttrs& attrs) {
  const Tensor x = widened(s.in(0));
  const Tensor slope = (x - mean(x, attrs.axis, true)) * (2 / var_divisor(x.shape(), attrs));
  const Tensor grad = slope * with_axes(widened(s.grad()), s.in_spec(0), attrs.axis);
  return {narrowed(grad, s.in_spec(0).dtype)};
}

std::vector<Sample<VarAttrs>> var_samples() {
  return {{.inputs = {{.shape = {3, 4}}}},
          {.inputs = {{.shape = {3, 4}}}, .attrs = {.axis = 1, .correction = 1, .keepdims = true}},
          {.inputs = {{.shape = {2, 3, 4}}}, .attrs = {.axis = {0, 2}}},
          {.inputs = {{.shape = {3}, .dtype = DType::i32}}, .error = "takes floating tensors"}};
}

constexpr AttributeDoc correction_line{"correction", "Subtracted from the count that divides."};

const Op<VarAttrs> var_op{{.name = "var",
                           .doc = "Mean squared distance from the mean along `axis`.",
                           .attributes = {reduce_lines[0], correction_line, reduce_lines[1]},
                           .inputs = {"x"},
                           .infer = infer_var,
                           .expand = expand_var,
                           .grad = {var_vjp, Saves::inputs},
                           .samples = var_samples}};

/// The root has no slope at 0; 0 is PyTorch's convention, and what a constant tensor needs.
Results expand_std(const Inputs& in, const VarAttrs& attrs) {
  const Tensor variance = var(widened(in[0]), attrs.axis, attrs.correction, attrs.keepdims);
  const Tensor is_constant = equal(variance, 0);
  const Tensor root = where(is_constant, 0, sqrt(where(is_constant, 1, variance)));
  return {{narrowed(root, in[0].dtype())}};
}

const Op<VarAttrs> std_op{{.name = "std",
                           .doc = "The square root of `var`; its gradient at a constant is 0.",
                           .inlined = true,
                           .attributes = {reduce_lines[0], correction_line, reduce_lines[1]},
                           .inputs = {"x"},
                           .infer = infer_var,
                           .expand = expand_std,
                           .grad = through_expansion{},
                           .samples = var_samples}};

// ---------------------------------------------------------------------------------- any, all

Specs infer_truth(const InSpecs& in, const ReduceAttrs& attrs) {
  Spec out = infer_reduce<ReduceKind::sum>(in, attrs)[0];
  out.dtype = DType::boolean;
  return out;
}

/// Counts what decides: for `any` elements that are not zero, for `all` those that are.
template <bool of_all>
Results expand_truth(const Inputs& in, const ReduceAttrs& attrs) {
  const Tensor decides = of_all ? equal(in[0], 0) : not_equal(in[0], 0);
  const Tensor count = sum(decides, attrs.axis, attrs.keepdims);
  Results results;
  results[0] = of_all ? equal(count, 0) : not_equal(count, 0);
  return results;
}

std::vector<Sample<ReduceAttrs>> truth_samples() {
  const SampleInput flags{.shape = {3, 4}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {{.inputs = {flags}},
          {.inputs = {flags}, .attrs = {1, true}},
          {.inputs = {{.shape = {2, 3, 2}, .low = 0, .high = 2, .dtype = DType::i32}},
           .attrs = {{0, 2}}},
          {.inputs = {{.shape = {0, 3}}}, .attrs = {0}},
          {.inputs = {{.shape = {5, 3}}}, .attrs = {0}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {2}, .error = "axis must be in [-2, 1], got 2"}};
}

template <bool of_all>
Row<ReduceAttrs> truth(std::string_view name, std::string_view doc) {
  return {.name = name,
          .doc = doc,
          .attributes = {std::begin(reduce_lines), std::end(reduce_lines)},
          .inputs = {"x"},
          .takes = kinds::every,
          .infer = infer_truth,
          .expand = expand_truth<of_all>,
          .grad = not_differentiable{"it gives bools"},
          .any_strides = true,
          .kernels = {.cpu = reduce_cpu < of_all ? ReduceKind::all : ReduceKind::any > },
          .samples = truth_samples};
}

const Op<ReduceAttrs> any_op =
    truth<false>("any", "Whether any element along `axis` is not zero; false if there is none.");
const Op<ReduceAttrs> all_op =
    truth<true>("all", "Whether no element along `axis` is zero; true if there is none.");

// ---------------------------------------------------------------------------------- argmax

struct ArgAttrs {
  std::optional<Axis> axis;
  bool keepdims = false;
};

Shape arg_axes(const ArgAttrs& attrs, int rank) {
  return (attrs.axis ? Axes(attrs.axis->value) : Axes()).resolve(rank);
}

Specs infer_arg(const InSpecs& in, const ArgAttrs& attrs) {
  const Shape axes = arg_axes(attrs, in[0].shape.rank());
  if (reduced_count(in[0].shape, axes) == 0) {
    violate(ErrorKind::value, "has no elements to choose from");
  }
  Spec out = in[0];
  out.dtype = DType::i64;
  out.shape = reduced_shape(in[0].shape, axes, attrs.keepdims);
  return out;
}

template <bool largest>
void arg_cpu(const Kernel& k, const ArgAttrs& attrs) {
  const int axis = attrs.axis ? normalize_axis(*attrs.axis, k.in(0).rank()) : -1;
  arg_reduce(largest, k.in(0), k.out(), axis);
}

template <bool largest>
Results arg_reference(const Inputs& in, const ArgAttrs& attrs) {
  const Shape axes = arg_axes(attrs, in[0].rank());
  const Shape shape = reduced_shape(in[0].shape(), axes, attrs.keepdims);
  const auto count = static_cast<size_t>(shape.numel());
  std::vector<double> best(count, largest ? -INFINITY : INFINITY);
  std::vector<double> place(count, 0);
  std::vector<int64_t> seen(count, 0);
  for_each_reduced<double>(in[0], axes, [&](size_t to, double value) {
    const bool better = largest ? value > best[to] : value < best[to];
    if (better || (std::isnan(value) && !std::isnan(best[to]))) {
      best[to] = value;
      place[to] = static_cast<double>(seen[to]);
    }
    ++seen[to];
  });
  Results results;
  results[0] = from_values(shape, place);
  return results;
}

std::vector<Sample<ArgAttrs>> arg_samples() {
  return {{.inputs = {{.shape = {3, 4}, .apart = 0.01}}},
          {.inputs = {{.shape = {3, 4}, .apart = 0.01}}, .attrs = {1, true}},
          {.inputs = {{.shape = {2, 5, 3}, .apart = 0.01}}, .attrs = {-2}},
          {.inputs = {{.shape = {0, 3}}}, .attrs = {0}, .error = "has no elements"}};
}

template <bool largest>
Row<ArgAttrs> arg_row(std::string_view name, std::string_view doc, Onnx onnx) {
  return {.name = name,
          .doc = doc,
          .attributes = {{"axis", "The axis; none: the flattened tensor."},
                         {"keepdims", "Whether reduced axes stay with size one."}},
          .inputs = {"x"},
          .infer = infer_arg,
          .reference = arg_reference<largest>,
          .grad = not_differentiable{"an index is piecewise constant"},
          .any_strides = true,
          .kernels = {.cpu = arg_cpu<largest>},
          .onnx = onnx,
          .samples = arg_samples};
}

const Op<ArgAttrs> argmax_op =
    arg_row<true>("argmax", "The index of the first maximum along `axis`.", {"ArgMax", 13});
const Op<ArgAttrs> argmin_op =
    arg_row<false>("argmin", "The index of the first minimum along `axis`.", {"ArgMin", 13});

}  // namespace

Tensor sum(const Tensor& x, const Axes& axis, bool keepdims) {
  return sum_op({x}, {axis, keepdims});
}
Tensor mean(const Tensor& x, const Axes& axis, bool keepdims) {
  return mean_op({x}, {axis, keepdims});
}
Tensor max(const Tensor& x, const Axes& axis, bool keepdims) {
  return max_op({x}, {axis, keepdims});
}
Tensor min(const Tensor& x, const Axes& axis, bool keepdims) {
  return min_op({x}, {axis, keepdims});
}
Tensor any(const Tensor& x, const Axes& axis, bool keepdims) {
  return any_op({x}, {axis, keepdims});
}
Tensor all(const Tensor& x, const Axes& axis, bool keepdims) {
  return all_op({x}, {axis, keepdims});
}
Tensor argmax(const Tensor& x, std::optional<int64_t> axis, bool keepdims) {
  return argmax_op({x}, {axis, keepdims});
}
Tensor argmin(const Tensor& x, std::optional<int64_t> axis, bool keepdims) {
  return argmin_op({x}, {axis, keepdims});
}
Tensor var(const Tensor& x, const Axes& axis, double correction, bool keepdims) {
  return var_op({x}, {axis, correction, keepdims});
}
Tensor std(const Tensor& x, const Axes& axis, double correction, bool keepdims) {
  return std_op({x}, {axis, correction, keepdims});
}

}  // namespace taper

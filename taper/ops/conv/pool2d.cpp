#include <taper/backend/cpu/pool.h>

#include <cmath>

#include <taper/ops/conv/window.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

/// How a window moves over images.
struct Window {
  Pair kernel_size;
  Pair stride;
  Pair padding;
  bool count_include_pad = true;
};

struct MaxPoolAttrs {
  Required<Pair> kernel_size;
  std::optional<Pair> stride = {};
  Pair padding = {0, 0};
  operator Window() const { return {kernel_size, stride.value_or(kernel_size), padding}; }
};

struct AvgPoolAttrs {
  Required<Pair> kernel_size;
  std::optional<Pair> stride = {};
  Pair padding = {0, 0};
  bool count_include_pad = true;
  operator Window() const {
    return {kernel_size, stride.value_or(kernel_size), padding, count_include_pad};
  }
};

constexpr AttributeDoc pool_lines[] = {
    {"kernel_size", "Height and width of the window."},
    {"stride", "The step of the window along height and width; none: the window's size."},
    {"padding", "How far the window reaches beyond both sides."}};

PoolParams params_of(const Window& window) {
  return {{window.kernel_size[0], window.kernel_size[1]},
          {window.stride[0], window.stride[1]},
          {window.padding[0], window.padding[1]},
          window.count_include_pad};
}

Shape pooled_shape(const Shape& x, const Window& window) {
  if (x.rank() != 4) violate(ErrorKind::shape, "takes images [N,C,H,W]");
  Shape out{x[0], x[1], 0, 0};
  for (int i = 0; i < 2; ++i) {
    const int64_t kernel = window.kernel_size[i];
    check_window_attr("kernel_size", kernel, 1);
    check_window_attr("stride", window.stride[i], 1);
    if (window.padding[i] < 0 || window.padding[i] > kernel / 2) {
      violate(ErrorKind::value, "padding must be at least 0 and at most half the kernel_size " +
                                    std::to_string(kernel) + ", got " +
                                    std::to_string(window.padding[i]));
    }
    out[2 + i] = window_places("the window", kernel, x[2 + i], window.padding[i], window.stride[i]);
  }
  return out;
}

Spec pooled_spec(const InSpecs& in, const Window& window) {
  if (!is_float(in[0].dtype)) {
    violate(ErrorKind::dtype, "takes floating tensors; convert with astype");
  }
  Spec out = in[0];
  out.shape = pooled_shape(in[0].shape, window);
  return out;
}

/// Calls `visit(x index or -1 in the padding, out index)` for every place of every window.
template <class Visit>
void for_each_place(const Shape& x, const Shape& out, const Window& window, Visit&& visit) {
  for (int64_t i = 0; i < out.numel(); ++i) {
    const int64_t plane = i / (out[2] * out[3]);
    for (int64_t j = 0; j < window.kernel_size[0] * window.kernel_size[1]; ++j) {
      const int64_t y =
          i / out[3] % out[2] * window.stride[0] - window.padding[0] + j / window.kernel_size[1];
      const int64_t column =
          i % out[3] * window.stride[1] - window.padding[1] + j % window.kernel_size[1];
      const bool inside = y >= 0 && y < x[2] && column >= 0 && column < x[3];
      visit(inside ? (plane * x[2] + y) * x[3] + column : -1, static_cast<size_t>(i));
    }
  }
}

template <class Attrs>
std::vector<Sample<Attrs>> pool_samples() {
  return {
      {.inputs = {{.shape = {2, 3, 4, 6}, .apart = 0.005}}, .attrs = {Pair{2, 2}}},
      {.inputs = {{.shape = {1, 2, 7, 5}, .apart = 0.005}},
       .attrs = {.kernel_size = Pair{3, 2}, .stride = Pair{2, 1}, .padding = {1, 1}}},
      {.inputs = {{.shape = {1, 9, 5, 5}, .apart = 0.002}},
       .attrs = {.kernel_size = Pair{2, 2}, .padding = {1, 1}}},
      {.inputs = {{.shape = {1, 1, 7, 7}, .apart = 0.01}}, .attrs = {.kernel_size = Pair{3, 3}}},
      {.inputs = {{.shape = {4, 6}}}, .attrs = {Pair{2, 2}}, .error = "takes images [N,C,H,W]"},
      {.inputs = {{.shape = {1, 1, 1, 4}}},
       .attrs = {Pair{2, 2}},
       .error = "the window covers 2 places, the padded x has 1"},
      {.inputs = {{.shape = {1, 1, 4, 4}}},
       .attrs = {.kernel_size = Pair{2, 2}, .padding = {2, 0}},
       .error = "padding must be at least 0 and at most half"},
      {.inputs = {{.shape = {1, 1, 4, 4}}},
       .attrs = {.kernel_size = Pair{1, 1}, .padding = {INT64_MAX, 0}},
       .error = "padding must be at least 0 and at most half"}};
}
std::vector<Sample<AvgPoolAttrs>> avg_pool_samples() {
  auto samples = pool_samples<AvgPoolAttrs>();
  samples.push_back(
      {.inputs = {{.shape = {1, 9, 5, 5}}},
       .attrs = {.kernel_size = Pair{2, 2}, .padding = {1, 1}, .count_include_pad = false}});
  return samples;
}

// ---------------------------------------------------------------------------------- max_pool2d

struct PlaneAttrs {
  Shape shape;
};

Tensor scatter_max(const Tensor& grad, const Tensor& indices, const Shape& shape);

Specs infer_max_pool(const InSpecs& in, const MaxPoolAttrs& attrs) {
  const Spec out = pooled_spec(in, attrs);
  Spec indices = out;
  indices.dtype = DType::i32;
  if (in[0].shape[2] * in[0].shape[3] > INT32_MAX) violate(ErrorKind::shape, "x is too large");
  return {out, indices};
}

void max_pool_cpu(const Kernel& k, const MaxPoolAttrs& attrs) {
  max_pool2d(k.in(0), k.out(0), k.out(1), params_of(attrs));
}

Results max_pool_reference(const Inputs& in, const MaxPoolAttrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape out = pooled_shape(x, attrs);
  const auto values = in[0].to_vector<double>();
  std::vector<double> best(static_cast<size_t>(out.numel()), -INFINITY);
  std::vector<double> place(static_cast<size_t>(out.numel()), -1);
  for_each_place(x, out, attrs, [&](int64_t i, size_t o) {
    if (i < 0) return;
    const double value = values[static_cast<size_t>(i)];
    if (!(value > best[o]) && (!std::isnan(value) || std::isnan(best[o]))) return;
    best[o] = value;
    place[o] = static_cast<double>(i % (x[2] * x[3]));
  });
  Results results;
  results[0] = from_values(out, best);
  results[1] = from_values(out, place);
  return results;
}

Grads max_pool_vjp(const Saved& s, const MaxPoolAttrs&) {
  return {scatter_max(s.grad(), s.out(1), s.in_spec(0).shape)};
}

const Op<MaxPoolAttrs> max_pool_op{
    {.name = "max_pool2d",
     .doc = "The maximum of each window of images, and its place.",
     .attributes = {std::begin(pool_lines), std::end(pool_lines)},
     .inputs = {"x"},
     .outputs = {"y", "indices"},
     .kept_outputs = 1,
     .infer = infer_max_pool,
     .reference = max_pool_reference,
     .grad = {max_pool_vjp, Saves::outputs},
     .layout = Layout::images,
     .any_strides = true,
     .kernels = {.cpu = max_pool_cpu},
     .onnx = {"MaxPool",
              12,
              {{"kernel_size", "kernel_shape"}, {"stride", "strides"}, {"padding", "pads"}}},
     .samples = pool_samples<MaxPoolAttrs>}};

// The two linear maps behind it: values at indices of each plane, and their adjoint.

void check_planes(const InSpecs& in, const Shape& planes) {
  const Shape& pooled = in[1].shape;
  if (pooled.rank() != 4 || planes.rank() != 4 || pooled[0] != planes[0] ||
      pooled[1] != planes[1] || in[1].dtype != DType::i32 || !is_float(in[0].dtype)) {
    violate(ErrorKind::shape, "indices must be those of max_pool2d, i32 [N,C,OH,OW]");
  }
}

Specs infer_scatter(const InSpecs& in, const PlaneAttrs& attrs) {
  check_planes(in, attrs.shape);
  if (in[0].shape != in[1].shape) {
    violate(ErrorKind::shape, "grad and indices must have one shape");
  }
  Spec out = in[0];
  out.shape = attrs.shape;
  return out;
}
Specs infer_gather(const InSpecs& in, const NoAttrs&) {
  check_planes(in, in[0].shape);
  Spec out = in[0];
  out.shape = in[1].shape;
  return out;
}

/// -1 (a window of padding only) is a legal index; anything else outside the plane is not.
void check_indices(const View& indices, int64_t plane) {
  for_each_offset(indices.shape(), *indices.strides, [&](int64_t offset) {
    const int32_t index = indices.as<int32_t>()[offset];
    if (index < -1 || index >= plane) {
      violate(ErrorKind::index, "index " + std::to_string(index) + " lies outside the plane of " +
                                    std::to_string(plane) + " places");
    }
  });
}

void scatter_cpu(const Kernel& k, const PlaneAttrs& attrs) {
  check_indices(k.in(1), attrs.shape[2] * attrs.shape[3]);
  max_pool2d_grad(k.in(0), k.in(1), k.out());
}
void gather_cpu(const Kernel& k, const NoAttrs&) {
  check_indices(k.in(1), k.in(0).shape()[2] * k.in(0).shape()[3]);
  max_pool2d_gather(k.in(0), k.in(1), k.out());
}

/// Calls `visit(index in the large planes, index in the small ones)`.
template <class Visit>
void for_each_index(const Tensor& indices, const Shape& planes, Visit&& visit) {
  const auto places = indices.to_vector<int64_t>();
  const Shape& small = indices.shape();
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i] < 0) continue;
    const int64_t plane = static_cast<int64_t>(i) / (small[2] * small[3]);
    visit(static_cast<size_t>(plane * planes[2] * planes[3] + places[i]), i);
  }
}

Results scatter_reference(const Inputs& in, const PlaneAttrs& attrs) {
  const auto grad = in[0].to_vector<double>();
  std::vector<double> out(static_cast<size_t>(attrs.shape.numel()), 0.0);
  for_each_index(in[1], attrs.shape, [&](size_t to, size_t from) { out[to] += grad[from]; });
  Results results;
  results[0] = from_values(attrs.shape, out);
  return results;
}
Results gather_reference(const Inputs& in, const NoAttrs&) {
  const auto x = in[0].to_vector<double>();
  std::vector<double> out(static_cast<size_t>(in[1].numel()), 0.0);
  for_each_index(in[1], in[0].shape(), [&](size_t from, size_t to) { out[to] = x[from]; });
  Results results;
  results[0] = from_values(in[1].shape(), out);
  return results;
}

Grads scatter_vjp(const Saved& s, const PlaneAttrs&);
Grads gather_vjp(const Saved& s, const NoAttrs&) {
  return {scatter_max(s.grad(), s.in(1), s.in_spec(0).shape), Tensor()};
}

std::vector<Sample<PlaneAttrs>> scatter_samples() {
  return {{.inputs = {{.shape = {2, 3, 2, 3}},
                      {.shape = {2, 3, 2, 3}, .low = -1, .high = 24, .dtype = DType::i32}},
           .attrs = {{2, 3, 4, 6}}},
          {.inputs = {{.shape = {1, 1, 1, 1}},
                      {.shape = {1, 1, 1, 1}, .low = 9, .high = 10, .dtype = DType::i32}},
           .attrs = {{1, 1, 2, 2}},
           .error = "index 9 lies outside the plane of 4 places"}};
}
std::vector<Sample<NoAttrs>> gather_samples() {
  return {{.inputs = {{.shape = {2, 3, 4, 6}},
                      {.shape = {2, 3, 2, 3}, .low = 0, .high = 24, .dtype = DType::i32}}},
          {.inputs = {{.shape = {2, 3, 4, 6}}, {.shape = {2, 3, 2, 3}}},
           .error = "indices must be those of max_pool2d"},
          {.inputs = {{.shape = {1, 1, 2, 2}},
                      {.shape = {1, 1, 1, 1}, .low = 4, .high = 5, .dtype = DType::i32}},
           .error = "index 4 lies outside the plane of 4 places"}};
}

const Op<PlaneAttrs> scatter_op{{.name = "max_pool2d_grad",
                                 .doc = "Adds each gradient at its place in zeroed planes.",
                                 .internal = true,
                                 .inputs = {"grad", "indices"},
                                 .infer = infer_scatter,
                                 .reference = scatter_reference,
                                 .grad = {scatter_vjp, Saves::only({1})},
                                 .layout = Layout::images,
                                 .any_strides = true,
                                 .refuses_values = true,
                                 .kernels = {.cpu = scatter_cpu},
                                 .no_golden = golden_in_its_row,
                                 .samples = scatter_samples}};
const Op<NoAttrs> gather_op{{.name = "max_pool2d_gather",
                             .doc = "The values at places of planes: max_pool2d_grad's adjoint.",
                             .internal = true,
                             .inputs = {"x", "indices"},
                             .infer = infer_gather,
                             .reference = gather_reference,
                             .grad = {gather_vjp, Saves::only({1})},
                             .layout = Layout::images,
                             .any_strides = true,
                             .refuses_values = true,
                             .kernels = {.cpu = gather_cpu},
                             .samples = gather_samples}};

Grads scatter_vjp(const Saved& s, const PlaneAttrs&) {
  return {gather_op({s.grad(), s.in(1)}), Tensor()};
}
Tensor scatter_max(const Tensor& grad, const Tensor& indices, const Shape& shape) {
  return scatter_op({grad, indices}, {shape});
}

// ---------------------------------------------------------------------------------- avg_pool2d

struct AvgGradAttrs {
  Pair kernel_size = {2, 2};
  Pair stride = {2, 2};
  Pair padding = {0, 0};
  bool count_include_pad = true;
  Shape shape;
};

Window forward_window(const AvgGradAttrs& a) {
  return {a.kernel_size, a.stride, a.padding, a.count_include_pad};
}

Specs infer_avg_pool(const InSpecs& in, const AvgPoolAttrs& attrs) {
  return pooled_spec(in, attrs);
}

void avg_pool_cpu(const Kernel& k, const AvgPoolAttrs& attrs) {
  avg_pool2d(k.in(0), k.out(), params_of(attrs));
}

/// The weight of each place of a window, by output element.
std::vector<double> window_weights(const Shape& x, const Shape& out, const Window& window) {
  std::vector<double> count(static_cast<size_t>(out.numel()), 0.0);
  for_each_place(x, out, window, [&](int64_t i, size_t o) {
    count[o] += i >= 0 || window.count_include_pad ? 1 : 0;
  });
  for (double& value : count) value = 1 / value;
  return count;
}

Results avg_pool_reference(const Inputs& in, const AvgPoolAttrs& attrs) {
  const Shape& x = in[0].shape();
  const Shape out = pooled_shape(x, attrs);
  const auto values = in[0].to_vector<double>();
  const auto weights = window_weights(x, out, attrs);
  std::vector<double> means(static_cast<size_t>(out.numel()), 0.0);
  for_each_place(x, out, attrs, [&](int64_t i, size_t o) {
    if (i >= 0) means[o] += values[static_cast<size_t>(i)] * weights[o];
  });
  Results results;
  results[0] = from_values(out, means);
  return results;
}

Grads avg_pool_vjp(const Saved& s, const AvgPoolAttrs& attrs);

const Op<AvgPoolAttrs> avg_pool_op{
    {.name = "avg_pool2d",
     .doc = "The mean of each window of images.",
     .attributes = {pool_lines[0],
                    pool_lines[1],
                    pool_lines[2],
                    {"count_include_pad", "Whether padding counts as elements of the mean."}},
     .inputs = {"x"},
     .infer = infer_avg_pool,
     .reference = avg_pool_reference,
     .grad = {avg_pool_vjp, Saves::nothing},
     .layout = Layout::images,
     .any_strides = true,
     .kernels = {.cpu = avg_pool_cpu},
     .onnx = {"AveragePool",
              11,
              {{"kernel_size", "kernel_shape"}, {"stride", "strides"}, {"padding", "pads"}}},
     .samples = avg_pool_samples}};

Specs infer_avg_grad(const InSpecs& in, const AvgGradAttrs& attrs) {
  if (in[0].shape != pooled_shape(attrs.shape, forward_window(attrs)) || !is_float(in[0].dtype)) {
    violate(ErrorKind::shape, "the gradient must have the shape of the pooled images");
  }
  Spec out = in[0];
  out.shape = attrs.shape;
  return out;
}

void avg_grad_cpu(const Kernel& k, const AvgGradAttrs& attrs) {
  avg_pool2d_grad(k.in(0), k.out(), params_of(forward_window(attrs)));
}

Results avg_grad_reference(const Inputs& in, const AvgGradAttrs& attrs) {
  const auto grad = in[0].to_vector<double>();
  const Window forward = forward_window(attrs);
  const auto weights = window_weights(attrs.shape, in[0].shape(), forward);
  std::vector<double> out(static_cast<size_t>(attrs.shape.numel()), 0.0);
  for_each_place(attrs.shape, in[0].shape(), forward, [&](int64_t i, size_t o) {
    if (i >= 0) out[static_cast<size_t>(i)] += grad[o] * weights[o];
  });
  Results results;
  results[0] = from_values(attrs.shape, out);
  return results;
}

Grads avg_grad_vjp(const Saved& s, const AvgGradAttrs& attrs) {
  return {avg_pool_op({s.grad()},
                      {attrs.kernel_size, attrs.stride, attrs.padding, attrs.count_include_pad})};
}

std::vector<Sample<AvgGradAttrs>> avg_grad_samples() {
  return {{.inputs = {{.shape = {2, 3, 2, 3}}}, .attrs = {.shape = {2, 3, 4, 6}}},
          {.inputs = {{.shape = {1, 2, 4, 6}}},
           .attrs = {.kernel_size = {3, 2},
                     .stride = {2, 1},
                     .padding = {1, 1},
                     .count_include_pad = false,
                     .shape = {1, 2, 7, 5}}},
          {.inputs = {{.shape = {1, 1, 2, 2}}},
           .attrs = {.shape = {1, 1, 9, 9}},
           .error = "must have the shape of the pooled images"}};
}

const Op<AvgGradAttrs> avg_grad_op{{.name = "avg_pool2d_grad",
                                    .doc = "The gradient of avg_pool2d.",
                                    .internal = true,
                                    .inputs = {"grad"},
                                    .infer = infer_avg_grad,
                                    .reference = avg_grad_reference,
                                    .grad = {avg_grad_vjp, Saves::nothing},
                                    .layout = Layout::images,
                                    .any_strides = true,
                                    .kernels = {.cpu = avg_grad_cpu},
                                    .no_golden = golden_in_its_row,
                                    .samples = avg_grad_samples}};

Grads avg_pool_vjp(const Saved& s, const AvgPoolAttrs& a) {
  const Window window = a;
  return {avg_grad_op({s.grad()}, {window.kernel_size, window.stride, window.padding,
                                   window.count_include_pad, s.in_spec(0).shape})};
}

}  // namespace

Tensor max_pool2d(const Tensor& x, Pair kernel_size, std::optional<Pair> stride, Pair padding) {
  return max_pool_op({x}, {kernel_size, stride, padding});
}

Tensor avg_pool2d(const Tensor& x, Pair kernel_size, std::optional<Pair> stride, Pair padding,
                  bool count_include_pad) {
  return avg_pool_op({x}, {kernel_size, stride, padding, count_include_pad});
}

}  // namespace taper

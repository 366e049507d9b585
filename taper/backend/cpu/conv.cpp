#include <taper/backend/cpu/conv.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include <taper/backend/cpu/convert.h>
#include <taper/backend/cpu/matmul.h>
#include <taper/backend/cpu/onednn.h>
#include <taper/core/error.h>
#include <taper/core/threads.h>

namespace taper {
namespace {

// ---------------------------------------------------------------- operands as a kernel wants them

/// True if the elements lie as `wanted` says; axes of size one do not matter.
bool lies_as(const View& view, const Strides& wanted) {
  for (int i = 0; i < view.rank(); ++i) {
    if (view.shape()[i] != 1 && (*view.strides)[i] != wanted[i]) return false;
  }
  return true;
}

/// An operand to read: in place, or a copy with the wanted strides and dtype.
class Input {
 public:
  Input(const View& view, const Strides& wanted, DType dtype) : data_(view.data) {
    if (!view.present() || (view.dtype() == dtype && lies_as(view, wanted))) return;
    copy_.emplace(static_cast<size_t>(view.numel()) * item_size(dtype));
    copy_convert(copy_->data(), dtype, wanted, view.data, view.dtype(), *view.strides,
                 view.shape());
    data_ = copy_->data();
  }
  std::byte* data() const { return data_; }

 private:
  std::byte* data_;
  std::optional<Buffer> copy_;
};

/// An operand to write: in place, or a buffer that `finish` copies from.
class Output {
 public:
  Output(const View& view, const Strides& wanted, DType dtype)
      : view_(view), wanted_(wanted), dtype_(dtype), data_(view.data) {
    if (!view.present() || (view.dtype() == dtype && lies_as(view, wanted))) return;
    copy_.emplace(static_cast<size_t>(view.numel()) * item_size(dtype));
    data_ = copy_->data();
  }
  std::byte* data() const { return data_; }
  void finish() const {
    if (!copy_) return;
    copy_convert(view_.data, view_.dtype(), *view_.strides, data_, dtype_, wanted_, view_.shape());
  }

 private:
  const View& view_;
  Strides wanted_;
  DType dtype_;
  std::byte* data_;
  std::optional<Buffer> copy_;
};

Strides bias_strides() { return {1}; }

void fill_zero(const View& view) {
  if (view.numel() == 0) return;
  const double zero = 0;
  const Strides broadcast = std::vector<int64_t>(static_cast<size_t>(view.rank()), 0);
  copy_convert(view.data, view.dtype(), *view.strides, reinterpret_cast<const std::byte*>(&zero),
               view.dtype(), broadcast, view.shape());
}

/// out = bias of each channel, or zero: a convolution over no input channels.
void fill_with_bias(const View& bias, const View& out) {
  if (!bias.present()) return fill_zero(out);
  copy_convert(out.data, out.dtype(), *out.strides, bias.data, bias.dtype(),
               {0, bias.strides->back(), 0, 0}, out.shape());
}

/// grad_bias[o] = the sum of grad_out over the other axes.
void sum_channels(const View& grad_out, const View& grad_bias) {
  const bool wide = grad_out.dtype() == DType::f64;
  const DType dtype = wide ? DType::f64 : DType::f32;
  const Shape& shape = grad_out.shape();
  const Input source(grad_out, row_major_strides(shape), dtype);
  const Output target(grad_bias, bias_strides(), dtype);
  const int64_t pixels = shape[2] * shape[3];
  for (int64_t channel = 0; channel < shape[1]; ++channel) {
    double sum = 0;
    for (int64_t image = 0; image < shape[0]; ++image) {
      const int64_t start = (image * shape[1] + channel) * pixels;
      for (int64_t i = start; i < start + pixels; ++i) {
        sum += wide ? reinterpret_cast<const double*>(source.data())[i]
                    : static_cast<double>(reinterpret_cast<const float*>(source.data())[i]);
      }
    }
    if (wide) {
      reinterpret_cast<double*>(target.data())[channel] = sum;
    } else {
      reinterpret_cast<float*>(target.data())[channel] = static_cast<float>(sum);
    }
  }
  target.finish();
}

// ---------------------------------------------------------------- oneDNN

using onednn::ConvKind;
using onednn::ImageOrder;

/// The layout in which oneDNN 3.2 computes fastest, its reorders included, as measured on AVX2 (ms
/// of one thread, channels-last / row-major / oneDNN's blocks; the others lie channels-last):
///   64x1x28x28 * 32x1x3x3    forward 0.6 / 1.9 / 0.9 input 4.2 / 2.4 / 3.4 weight 1.8 / 5 / 5
///   64x32x13x13 * 64x32x3x3  forward 4.0 / 7.3 / 5.0 input 4.5 / 7.8 / 5.0 weight 7.0 / 8 / 6
///   16x64x56x56 * 64x64x3x3  forward 37 / 72 / 44    input 41 / 78 / 41    weight 109 / 81 / 58
/// AVX-512 has a good channels-last weight gradient. Row-major 1x1 kernels are plain products.
ImageOrder fastest_layout(ConvKind kind, const Shape& w, const ConvParams& params, bool x_row_major,
                          bool out_row_major) {
  const bool few_channels = w[1] < 8 && params.groups == 1;
  const bool pointwise = w[2] == 1 && w[3] == 1 && params.groups == 1;
  const bool row_major = x_row_major && out_row_major;
  if (row_major && pointwise) return ImageOrder::row_major;
  switch (kind) {
    case ConvKind::forward:
      return row_major && few_channels ? ImageOrder::row_major : ImageOrder::channels_last;
    case ConvKind::input_grad:
      return few_channels ? ImageOrder::row_major : ImageOrder::channels_last;
    case ConvKind::weight_grad: {
      const bool slow = !few_channels && !pointwise && !onednn::has_avx512();
      return slow ? ImageOrder::chosen_by_onednn : ImageOrder::channels_last;
    }
  }
  internal_failure("a known kind of convolution", __FILE__, __LINE__);
}

/// How an operand lies, or the layout to copy it to; `preferred` if it lies in both.
ImageOrder order_of(const View& view, ImageOrder preferred) {
  const bool last = lies_as(view, channels_last_strides(view.shape()));
  const bool row_major = lies_as(view, row_major_strides(view.shape()));
  if (row_major && (!last || preferred == ImageOrder::row_major)) return ImageOrder::row_major;
  return last || preferred != ImageOrder::row_major ? ImageOrder::channels_last
                                                    : ImageOrder::row_major;
}

Strides strides_of(ImageOrder layout, const Shape& shape) {
  return layout == ImageOrder::row_major ? row_major_strides(shape) : channels_last_strides(shape);
}

onednn::ConvProblem problem_of(ConvKind kind, const View& x, const View& w, const View& bias,
                               const View& out, const ConvParams& params) {
  const bool x_row_major = lies_as(x, row_major_strides(x.shape()));
  const bool out_row_major = lies_as(out, row_major_strides(out.shape()));
  const ImageOrder inner = fastest_layout(kind, w.shape(), params, x_row_major, out_row_major);
  return {.kind = kind,
          .dtype = onednn::computes_conv(x.dtype()) ? x.dtype() : DType::f32,
          .bias = bias.present(),
          .x_order = order_of(x, inner),
          .out_order = order_of(out, inner),
          .inner_order = inner,
          .x = x.shape(),
          .w = w.shape(),
          .out = out.shape(),
          .params = params};
}

void onednn_forward(const View& x, const View& w, const View& bias, const View& out,
                    const ConvParams& params) {
  const auto problem = problem_of(ConvKind::forward, x, w, bias, out, params);
  const Input source(x, strides_of(problem.x_order, problem.x), problem.dtype);
  const Input weights(w, row_major_strides(problem.w), problem.dtype);
  const Input added(bias, bias_strides(), problem.dtype);
  const Output result(out, strides_of(problem.out_order, problem.out), problem.dtype);
  onednn::run_conv(problem, source.data(), weights.data(), added.data(), result.data());
  result.finish();
}

void onednn_input_grad(const View& grad_out, const View& w, const View& grad_x,
                       const ConvParams& params) {
  const auto problem = problem_of(ConvKind::input_grad, grad_x, w, View{}, grad_out, params);
  const Input source(grad_out, strides_of(problem.out_order, problem.out), problem.dtype);
  const Input weights(w, row_major_strides(problem.w), problem.dtype);
  const Output result(grad_x, strides_of(problem.x_order, problem.x), problem.dtype);
  onednn::run_conv(problem, result.data(), weights.data(), nullptr, source.data());
  result.finish();
}

void onednn_weight_grad(const View& x, const View& grad_out, const View& grad_w,
                        const View& grad_bias, const ConvParams& params) {
  const auto problem = problem_of(ConvKind::weight_grad, x, grad_w, grad_bias, grad_out, params);
  const Input source(x, strides_of(problem.x_order, problem.x), problem.dtype);
  const Input above(grad_out, strides_of(problem.out_order, problem.out), problem.dtype);
  const Output result(grad_w, row_major_strides(problem.w), problem.dtype);
  const Output bias(grad_bias, bias_strides(), problem.dtype);
  onednn::run_conv(problem, source.data(), result.data(), bias.data(), above.data());
  result.finish();
  bias.finish();
}

// ---------------------------------------------------------------- f64: unfold and multiply

/// The sizes of a convolution of row-major arrays, one group of one image at a time.
struct Unfolded {
  Unfolded(const Shape& x, const Shape& w, const Shape& out, const ConvParams& p)
      : params(p),
        images(x[0]),
        height(x[2]),
        width(x[3]),
        channels(w[1]),
        kernel_height(w[2]),
        kernel_width(w[3]),
        out_channels(w[0] / p.groups),
        out_height(out[2]),
        out_width(out[3]) {}

  ConvParams params;
  int64_t images;
  int64_t height;
  int64_t width;
  int64_t channels;  // of one group
  int64_t kernel_height;
  int64_t kernel_width;
  int64_t out_channels;
  int64_t out_height;
  int64_t out_width;

  int64_t rows() const { return channels * kernel_height * kernel_width; }
  int64_t pixels() const { return out_height * out_width; }
  int64_t x_size() const { return channels * height * width; }
  int64_t out_size() const { return out_channels * pixels(); }
  int64_t w_size() const { return out_channels * rows(); }
  /// Images worth about 25 µs.
  int64_t grain() const {
    const int64_t work = std::max<int64_t>(1, params.groups * w_size() * pixels());
    return std::max<int64_t>(1, 100000 / work);
  }

  /// Calls `body(index in the unfolded matrix, index in x)` where the kernel meets the image.
  template <class Body>
  void for_each(Body&& body) const {
    int64_t at = 0;
    for (int64_t row = 0; row < rows(); ++row) {
      const int64_t channel = row / (kernel_height * kernel_width);
      const int64_t i = row / kernel_width % kernel_height;
      const int64_t j = row % kernel_width;
      for (int64_t oy = 0; oy < out_height; ++oy) {
        const int64_t y = oy * params.stride[0] - params.padding[0] + i * params.dilation[0];
        for (int64_t ox = 0; ox < out_width; ++ox, ++at) {
          const int64_t column = ox * params.stride[1] - params.padding[1] + j * params.dilation[1];
          if (y < 0 || y >= height || column < 0 || column >= width) continue;
          body(at, (channel * height + y) * width + column);
        }
      }
    }
  }
  void unfold(const double* x, double* unfolded) const {
    std::fill_n(unfolded, rows() * pixels(), 0.0);
    for_each([&](int64_t at, int64_t from) { unfolded[at] = x[from]; });
  }
  void fold(const double* unfolded, double* x) const {
    std::fill_n(x, x_size(), 0.0);
    for_each([&](int64_t at, int64_t to) { x[to] += unfolded[at]; });
  }
};

Buffer doubles(int64_t count) { return Buffer(static_cast<size_t>(count) * sizeof(double)); }

double* values(const Buffer& buffer) { return reinterpret_cast<double*>(buffer.data()); }

/// out[m,n] = a[m,k] @ b[k,n], where a flag says that the memory holds the transpose.
void multiply(const double* a, bool a_transposed, const double* b, bool b_transposed, double* out,
              int64_t m, int64_t n, int64_t k) {
  auto spec = [](int64_t rows, int64_t cols) { return Spec{DType::f64, {}, {rows, cols}}; };
  auto strides = [](bool transposed, int64_t rows, int64_t cols) {
    return transposed ? Strides{1, rows} : Strides{cols, 1};
  };
  auto view = [](const double* data, const Spec& spec, const Strides& strides, bool row_major) {
    return View{reinterpret_cast<std::byte*>(const_cast<double*>(data)), &spec, &strides,
                row_major};
  };
  const Spec specs[] = {spec(m, k), spec(k, n), spec(m, n)};
  const Strides all[] = {strides(a_transposed, m, k), strides(b_transposed, k, n), {n, 1}};
  matmul(view(a, specs[0], all[0], !a_transposed), view(b, specs[1], all[1], !b_transposed), {},
         view(out, specs[2], all[2], true));
}

void unfolded_forward(const View& x, const View& w, const View& bias, const View& out,
                      const ConvParams& params) {
  const Unfolded sizes(x.shape(), w.shape(), out.shape(), params);
  const Input source(x, row_major_strides(x.shape()), DType::f64);
  const Input weights(w, row_major_strides(w.shape()), DType::f64);
  const Input added(bias, bias_strides(), DType::f64);
  const Output result(out, row_major_strides(out.shape()), DType::f64);
  const auto* all_x = reinterpret_cast<const double*>(source.data());
  const auto* all_w = reinterpret_cast<const double*>(weights.data());
  const auto* all_bias = reinterpret_cast<const double*>(added.data());
  auto* all_out = reinterpret_cast<double*>(result.data());
  parallel_for(sizes.images, sizes.grain(), [&](int64_t begin, int64_t end) {
    const Buffer unfolded = doubles(sizes.rows() * sizes.pixels());
    for (int64_t i = begin * params.groups; i < end * params.groups; ++i) {
      const int64_t group = i % params.groups;
      double* to = all_out + i * sizes.out_size();
      sizes.unfold(all_x + i * sizes.x_size(), values(unfolded));
      multiply(all_w + group * sizes.w_size(), false, values(unfolded), false, to,
               sizes.out_channels, sizes.pixels(), sizes.rows());
      if (all_bias == nullptr) continue;
      for (int64_t j = 0; j < sizes.out_size(); ++j) {
        to[j] += all_bias[group * sizes.out_channels + j / sizes.pixels()];
      }
    }
  });
  result.finish();
}

void unfolded_input_grad(const View& grad_out, const View& w, const View& grad_x,
                         const ConvParams& params) {
  const Unfolded sizes(grad_x.shape(), w.shape(), grad_out.shape(), params);
  const Input source(grad_out, row_major_strides(grad_out.shape()), DType::f64);
  const Input weights(w, row_major_strides(w.shape()), DType::f64);
  const Output result(grad_x, row_major_strides(grad_x.shape()), DType::f64);
  const auto* all_out = reinterpret_cast<const double*>(source.data());
  const auto* all_w = reinterpret_cast<const double*>(weights.data());
  auto* all_x = reinterpret_cast<double*>(result.data());
  parallel_for(sizes.images, sizes.grain(), [&](int64_t begin, int64_t end) {
    const Buffer unfolded = doubles(sizes.rows() * sizes.pixels());
    for (int64_t i = begin * params.groups; i < end * params.groups; ++i) {
      multiply(all_w + i % params.groups * sizes.w_size(), true, all_out + i * sizes.out_size(),
               false, values(unfolded), sizes.rows(), sizes.pixels(), sizes.out_channels);
      sizes.fold(values(unfolded), all_x + i * sizes.x_size());
    }
  });
  result.finish();
}

/// Adds the gradients of images [begin, end) to `sum`, which holds all groups.
void add_weight_grads(const Unfolded& sizes, const double* x, const double* grad_out, int64_t begin,
                      int64_t end, double* sum) {
  const Buffer unfolded = doubles(sizes.rows() * sizes.pixels());
  const Buffer one = doubles(sizes.w_size());
  const int64_t groups = sizes.params.groups;
  for (int64_t i = begin * groups; i < end * groups; ++i) {
    sizes.unfold(x + i * sizes.x_size(), values(unfolded));
    multiply(grad_out + i * sizes.out_size(), false, values(unfolded), true, values(one),
             sizes.out_channels, sizes.rows(), sizes.pixels());
    double* to = sum + i % groups * sizes.w_size();
    for (int64_t j = 0; j < sizes.w_size(); ++j) to[j] += values(one)[j];
  }
}

void unfolded_weight_grad(const View& x, const View& grad_out, const View& grad_w,
                          const ConvParams& params) {
  constexpr int64_t most_parts = 8;  // fixed, so that the sum does not depend on threads
  const Unfolded sizes(x.shape(), grad_w.shape(), grad_out.shape(), params);
  const Input source(x, row_major_strides(x.shape()), DType::f64);
  const Input above(grad_out, row_major_strides(grad_out.shape()), DType::f64);
  const Output result(grad_w, row_major_strides(grad_w.shape()), DType::f64);
  const int64_t parts = std::min(most_parts, sizes.images);
  const int64_t count = grad_w.numel();
  const Buffer sums = doubles(parts * count);
  std::fill_n(values(sums), parts * count, 0.0);
  const int64_t grain = std::max<int64_t>(1, sizes.grain() * parts / sizes.images);
  parallel_for(parts, grain, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      add_weight_grads(sizes, reinterpret_cast<const double*>(source.data()),
                       reinterpret_cast<const double*>(above.data()), sizes.images * part / parts,
                       sizes.images * (part + 1) / parts, values(sums) + part * count);
    }
  });
  auto* total = reinterpret_cast<double*>(result.data());
  for (int64_t i = 0; i < count; ++i) {
    total[i] = values(sums)[i];
    for (int64_t part = 1; part < parts; ++part) total[i] += values(sums)[part * count + i];
  }
  result.finish();
}

}  // namespace

void conv2d(const View& x, const View& w, const View& bias, const View& out,
            const ConvParams& params) {
  if (out.numel() == 0) return;
  if (x.numel() == 0 || w.numel() == 0) return fill_with_bias(bias, out);
  if (x.dtype() == DType::f64) return unfolded_forward(x, w, bias, out, params);
  onednn_forward(x, w, bias, out, params);
}

void conv2d_input_grad(const View& grad_out, const View& w, const View& grad_x,
                       const ConvParams& params) {
  if (grad_x.numel() == 0) return;
  if (grad_out.numel() == 0 || w.numel() == 0) return fill_zero(grad_x);
  if (grad_x.dtype() == DType::f64) return unfolded_input_grad(grad_out, w, grad_x, params);
  onednn_input_grad(grad_out, w, grad_x, params);
}

void conv2d_weight_grad(const View& x, const View& grad_out, const View& grad_w,
                        const View& grad_bias, const ConvParams& params) {
  const bool empty = x.numel() == 0 || grad_out.numel() == 0 || grad_w.numel() == 0;
  if (!empty && x.dtype() != DType::f64) {
    return onednn_weight_grad(x, grad_out, grad_w, grad_bias, params);
  }
  if (empty) {
    fill_zero(grad_w);
  } else {
    unfolded_weight_grad(x, grad_out, grad_w, params);
  }
  if (grad_bias.present()) sum_channels(grad_out, grad_bias);
}

}  // namespace taper

#include <taper/backend/cpu/pool.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/kernels.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const PoolKernels pool_kernels;
}
namespace v4 {
extern const PoolKernels pool_kernels;
}

namespace {

constexpr int64_t grain_elements = 16384;  // about 25 µs
constexpr int64_t least_images = 16;       // fewer are also split by channels

template <class E>
const PoolKernelsOf<E>& kernels() {
  const PoolKernels& table = isa() == Isa::v4 ? v4::pool_kernels : v3::pool_kernels;
  if constexpr (std::is_same_v<E, float>) {
    return table.f32;
  } else {
    return table.f64;
  }
}

/// A 4-d operand: its first element and strides in elements.
template <class E>
struct Planes {
  explicit Planes(const View& view)
      : data(view.as<E>()),
        n(view.shape()[0]),
        c(view.shape()[1]),
        h(view.shape()[2]),
        w(view.shape()[3]),
        n_step((*view.strides)[0]),
        c_step((*view.strides)[1]),
        h_step((*view.strides)[2]),
        w_step((*view.strides)[3]) {}

  bool channels_last() const { return c_step == 1 && c > 1; }
  E* image(int64_t index) const { return data + index * n_step; }
  int64_t offset(int64_t row, int64_t column) const { return row * h_step + column * w_step; }
  /// The offset of position row * w + column.
  int64_t offset(int32_t position) const {
    const auto width = static_cast<uint32_t>(w);
    const auto flat = static_cast<uint32_t>(position);
    return offset(flat / width, flat % width);
  }

  E* data;
  int64_t n, c, h, w;
  int64_t n_step, c_step, h_step, w_step;
};

/// The part of a window along one axis that lies inside of the input.
struct Range {
  Range(const PoolParams& params, int axis, int64_t out, int64_t size)
      : start(out * params.stride[axis] - params.padding[axis]),
        begin(std::max<int64_t>(0, start)),
        end(std::min(size, start + params.kernel[axis])) {}
  int64_t start;
  int64_t begin;
  int64_t end;
  int64_t count() const { return std::max<int64_t>(0, end - begin); }
};

/// The elements of one window, as offsets from a corner. Inner windows share one list.
template <class E>
class Window {
 public:
  Window(const Planes<E>& x, const PoolParams& params) : x_(x), params_(params) {
    const auto size = static_cast<size_t>(params.kernel[0] * params.kernel[1]);
    offsets_.resize(size);
    positions_.resize(size);
  }

  void move(int64_t out_row, int64_t out_column) {
    const Range rows(params_, 0, out_row, x_.h);
    const Range columns(params_, 1, out_column, x_.w);
    count_ = rows.count() * columns.count();
    if (count_ == 0) return;
    base = static_cast<int32_t>(rows.begin * x_.w + columns.begin);
    corner = x_.offset(rows.begin, columns.begin);
    if (rows.count() == listed_rows_ && columns.count() == listed_columns_) return;
    listed_rows_ = rows.count();
    listed_columns_ = columns.count();
    size_t p = 0;
    for (int64_t row = 0; row < listed_rows_; ++row) {
      for (int64_t column = 0; column < listed_columns_; ++column) {
        offsets_[p] = x_.offset(row, column);
        positions_[p++] = static_cast<int32_t>(row * x_.w + column);
      }
    }
  }

  int64_t count() const { return count_; }
  const int64_t* offsets() const { return offsets_.data(); }
  const int32_t* positions() const { return positions_.data(); }

  int32_t base = 0;    // position of the corner
  int64_t corner = 0;  // its offset

 private:
  const Planes<E>& x_;
  const PoolParams& params_;
  std::vector<int64_t> offsets_;
  std::vector<int32_t> positions_;
  int64_t count_ = 0;
  int64_t listed_rows_ = -1;
  int64_t listed_columns_ = -1;
};

double divisor(const PoolParams& params, int64_t count) {
  const int64_t whole = params.kernel[0] * params.kernel[1];
  return static_cast<double>(params.count_include_pad ? whole : std::max<int64_t>(1, count));
}

int64_t grain_of(int64_t elements) {
  return std::max<int64_t>(1, grain_elements / std::max<int64_t>(1, elements));
}

template <class T>
void scatter(const T* from, T* to, int64_t step, int64_t count) {
  if (step == 1) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * step] = from[i];
  }
}

// ------------------------------------------------------------------------------------ maximum

template <class E>
void max_channels_last(const Planes<E>& x, const Planes<E>& out, const Planes<int32_t>& indices,
                       const PoolParams& params) {
  const auto run = kernels<E>().max_window;
  const int64_t work = out.w * out.c * params.kernel[0] * params.kernel[1];
  parallel_for(out.n * out.h, grain_of(work), [&](int64_t begin, int64_t end) {
    Window<E> window(x, params);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / out.h;
      const int64_t row = i % out.h;
      for (int64_t column = 0; column < out.w; ++column) {
        window.move(row, column);
        E* best = out.image(n) + out.offset(row, column);
        int32_t* index = indices.image(n) + indices.offset(row, column);
        if (window.count() == 0) {
          std::fill_n(best, out.c, -std::numeric_limits<E>::infinity());
          std::fill_n(index, out.c, -1);
          continue;
        }
        run(x.image(n) + window.corner, window.offsets(), window.positions(), window.count(),
            window.base, out.c, best, index);
      }
    }
  });
}

template <class E>
void max_rows(const Planes<E>& x, const Planes<E>& out, const Planes<int32_t>& indices,
              const PoolParams& params) {
  const auto run = kernels<E>().max_row;
  const int64_t work = out.h * out.w * params.kernel[0] * params.kernel[1];
  parallel_for(out.n * out.c, grain_of(work), [&](int64_t begin, int64_t end) {
    std::vector<E> best(static_cast<size_t>(out.w));
    std::vector<int32_t> index(static_cast<size_t>(out.w));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / out.c;
      const int64_t c = i % out.c;
      for (int64_t row = 0; row < out.h; ++row) {
        const Range rows(params, 0, row, x.h);
        const PoolRow shape = {rows.begin, rows.end,         x.h_step,         x.w_step,
                               x.w,        params.kernel[1], params.stride[1], params.padding[1]};
        run(x.image(n) + c * x.c_step, shape, out.w, best.data(), index.data());
        scatter(best.data(), out.image(n) + c * out.c_step + row * out.h_step, out.w_step, out.w);
        scatter(index.data(), indices.image(n) + c * indices.c_step + row * indices.h_step,
                indices.w_step, out.w);
      }
    }
  });
}

// -------------------------------------------------------------- walks over images and channels

/// Calls `run(image, first channel, last channel)`. Few images are also split by channels.
template <class E, class Run>
void for_images(const Planes<E>& planes, int64_t plane_work, Run run) {
  const bool whole = planes.n >= least_images || planes.channels_last();
  const int64_t width = whole && planes.n >= 2 ? planes.c : std::min<int64_t>(planes.c, 16);
  const int64_t parts = (planes.c + width - 1) / width;
  parallel_for(planes.n * parts, grain_of(plane_work * width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % parts * width;
      run(i / parts, first, std::min(planes.c, first + width));
    }
  });
}

/// Zeroes the channels [first, last) of an image.
template <class E>
void zero_image(const Planes<E>& x, int64_t image, int64_t first, int64_t last) {
  const bool flat = x.h_step == x.w * x.w_step;
  if (x.channels_last()) {
    if (flat && x.w_step == last - first) {
      std::fill_n(x.image(image), x.h * x.w * x.c, E(0));
      return;
    }
    for (int64_t row = 0; row < x.h; ++row) {
      for (int64_t column = 0; column < x.w; ++column) {
        std::fill_n(x.image(image) + x.offset(row, column) + first, last - first, E(0));
      }
    }
    return;
  }
  const int64_t rows = flat ? 1 : x.h;
  const int64_t length = flat ? x.h * x.w : x.w;
  for (int64_t c = first; c < last; ++c) {
    for (int64_t row = 0; row < rows; ++row) {
      E* at = x.image(image) + c * x.c_step + row * x.h_step;
      for (int64_t i = 0; i < length; ++i) at[i * x.w_step] = E(0);
    }
  }
}

/// Calls `visit(small element, large element)` for each element of the small tensor of an image and
/// the element of the large one that its index names; `missing(small element)` where there is none.
template <class E, class Visit, class Missing>
void for_indexed(const Planes<E>& small, const Planes<int32_t>& indices, const Planes<E>& large,
                 int64_t image, int64_t first, int64_t last, Visit visit, Missing missing) {
  // Positions need no division where the rows of the large tensor follow each other.
  const bool flat = large.h_step == large.w * large.w_step;
  auto run = [&](int64_t c, int64_t row, int64_t column) {
    const int32_t position = indices.image(image)[c * indices.c_step + indices.offset(row, column)];
    E& element = small.image(image)[c * small.c_step + small.offset(row, column)];
    if (position < 0) return missing(element);
    const int64_t offset = flat ? position * large.w_step : large.offset(position);
    visit(element, large.image(image)[c * large.c_step + offset]);
  };
  if (small.channels_last()) {
    for (int64_t row = 0; row < small.h; ++row) {
      for (int64_t column = 0; column < small.w; ++column) {
        for (int64_t c = first; c < last; ++c) run(c, row, column);
      }
    }
    return;
  }
  for (int64_t c = first; c < last; ++c) {
    for (int64_t row = 0; row < small.h; ++row) {
      for (int64_t column = 0; column < small.w; ++column) run(c, row, column);
    }
  }
}

// ------------------------------------------------------------------------------------ average

template <class E>
void avg_channels_last(const Planes<E>& x, const Planes<E>& out, const PoolParams& params) {
  const auto run = kernels<E>().sum_window;
  const int64_t work = out.w * out.c * params.kernel[0] * params.kernel[1];
  parallel_for(out.n * out.h, grain_of(work), [&](int64_t begin, int64_t end) {
    Window<E> window(x, params);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / out.h;
      const int64_t row = i % out.h;
      for (int64_t column = 0; column < out.w; ++column) {
        window.move(row, column);
        const double scale = 1 / divisor(params, window.count());
        run(x.image(n) + window.corner, window.offsets(), window.count(), static_cast<E>(scale),
            out.c, out.image(n) + out.offset(row, column));
      }
    }
  });
}

/// One over the divisor's part of one axis: the mean is over the product of both.
double axis_share(const PoolParams& params, int axis, const Range& range) {
  const int64_t count = params.count_include_pad ? params.kernel[axis] : range.count();
  return 1 / static_cast<double>(std::max<int64_t>(1, count));
}

/// The windows along the width of row-major planes, the same for every row.
struct WidthWindow {
  Range columns;
  double share;
};

std::vector<WidthWindow> width_windows(const PoolParams& params, int64_t out_width, int64_t width) {
  std::vector<WidthWindow> windows;
  for (int64_t i = 0; i < out_width; ++i) {
    const Range columns(params, 1, i, width);
    windows.push_back({columns, axis_share(params, 1, columns)});
  }
  return windows;
}

/// Sums the rows of a window's height, then each window along the sum.
template <class E>
void avg_plane(const Planes<E>& x, const E* plane, const Planes<E>& out, E* target,
               const PoolParams& params, const std::vector<WidthWindow>& windows, E* sum) {
  const E one = 1;
  for (int64_t row = 0; row < out.h; ++row) {
    const Range rows(params, 0, row, x.h);
    std::fill_n(sum, x.w, E(0));
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      kernels<E>().add_scaled(plane + r * x.h_step, x.w_step, &one, 0, sum, 1, x.w);
    }
    E* to = target + row * out.h_step;
    const double share = axis_share(params, 0, rows);
    for (const auto& [columns, column_share] : windows) {
      E total = 0;
      for (int64_t c = columns.begin; c < columns.end; ++c) total += sum[c];
      *to = total * static_cast<E>(share * column_share);
      to += out.w_step;
    }
  }
}

template <class E>
void avg_rows(const Planes<E>& x, const Planes<E>& out, const PoolParams& params) {
  const int64_t work = out.h * (out.w + x.w) * params.kernel[0];
  const std::vector<WidthWindow> windows = width_windows(params, out.w, x.w);
  parallel_for(out.n * out.c, grain_of(work), [&](int64_t begin, int64_t end) {
    std::vector<E> sum(static_cast<size_t>(x.w));
    for (int64_t i = begin; i < end; ++i) {
      avg_plane(x, x.image(i / out.c) + i % out.c * x.c_step, out,
                out.image(i / out.c) + i % out.c * out.c_step, params, windows, sum.data());
    }
  });
}

template <class E>
void avg_grad_channels_last(const Planes<E>& grad, const Planes<E>& grad_x, int64_t image,
                            int64_t first, int64_t last, const PoolParams& params) {
  const auto add = kernels<E>().add_scaled;
  Window<E> window(grad_x, params);
  for (int64_t row = 0; row < grad.h; ++row) {
    for (int64_t column = 0; column < grad.w; ++column) {
      window.move(row, column);
      const E scale = static_cast<E>(1 / divisor(params, window.count()));
      const E* from = grad.image(image) + grad.offset(row, column) + first;
      E* corner = grad_x.image(image) + window.corner + first;
      for (int64_t p = 0; p < window.count(); ++p) {
        add(from, 1, &scale, 0, corner + window.offsets()[p], 1, last - first);
      }
    }
  }
}

/// Spreads a row of gradients over the width, then adds it to the rows of the windows' height.
template <class E>
void avg_grad_plane(const Planes<E>& grad, const E* from, const Planes<E>& grad_x, E* to,
                    const PoolParams& params, const std::vector<WidthWindow>& windows, E* sum) {
  const E one = 1;
  for (int64_t row = 0; row < grad.h; ++row) {
    const Range rows(params, 0, row, grad_x.h);
    std::fill_n(sum, grad_x.w, E(0));
    const E* g = from + row * grad.h_step;
    const double row_share = axis_share(params, 0, rows);
    for (const auto& [columns, column_share] : windows) {
      const E share = *g * static_cast<E>(row_share * column_share);
      for (int64_t c = columns.begin; c < columns.end; ++c) sum[c] += share;
      g += grad.w_step;
    }
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      kernels<E>().add_scaled(sum, 1, &one, 0, to + r * grad_x.h_step, grad_x.w_step, grad_x.w);
    }
  }
}

// ------------------------------------------------------------------------------- 16-bit floats

/// A dense f32 copy of a 16-bit tensor, or room for a result that goes back to it.
class Widened {
 public:
  Widened(const View& view, bool load)
      : view_(view),
        spec_(*view.spec),
        strides_(strides_in_order_of(view.shape(), *view.strides)),
        count_(static_cast<size_t>(view.numel())),
        wide_(std::make_unique_for_overwrite<float[]>(count_)) {
    spec_.dtype = DType::f32;
    if (!load) return;
    const auto packed = std::make_unique_for_overwrite<uint16_t[]>(count_);
    copy_strided(reinterpret_cast<std::byte*>(packed.get()), strides_, view.data, *view.strides,
                 view.shape(), sizeof(uint16_t));
    const ConversionTiles& convert = conversion_tiles();
    (view.dtype() == DType::f16 ? convert.f16_to_f32 : convert.bf16_to_f32)(packed.get(),
                                                                            wide_.get(), count_);
  }

  View view() const {
    return {reinterpret_cast<std::byte*>(wide_.get()), &spec_, &strides_,
            is_row_major(spec_.shape, strides_)};
  }

  void store() const {
    const auto packed = std::make_unique_for_overwrite<uint16_t[]>(count_);
    const ConversionTiles& convert = conversion_tiles();
    (view_.dtype() == DType::f16 ? convert.f32_to_f16 : convert.f32_to_bf16)(wide_.get(),
                                                                             packed.get(), count_);
    copy_strided(view_.data, *view_.strides, reinterpret_cast<std::byte*>(packed.get()), strides_,
                 view_.shape(), sizeof(uint16_t));
  }

 private:
  const View& view_;
  Spec spec_;
  Strides strides_;
  size_t count_;
  std::unique_ptr<float[]> wide_;
};

/// Calls `run.template operator()<E>(from, to)` for the value of `from` and the result `to`, both
/// f32 or f64.
template <class Run>
void with_floats(const View& from, const View& to, Run run) {
  if (to.numel() == 0) return;
  if (to.dtype() == DType::f64) return run.template operator()<double>(from, to);
  if (to.dtype() == DType::f32) return run.template operator()<float>(from, to);
  const Widened source(from, true);
  const Widened target(to, false);
  run.template operator()<float>(source.view(), target.view());
  target.store();
}

}  // namespace

void max_pool2d(const View& x, const View& out, const View& indices, const PoolParams& params) {
  with_floats(x, out, [&]<class E>(const View& from, const View& to) {
    const Planes<E> source(from);
    const Planes<E> target(to);
    const Planes<int32_t> positions(indices);
    if (source.channels_last() && target.channels_last() && positions.channels_last()) {
      max_channels_last(source, target, positions, params);
    } else {
      max_rows(source, target, positions, params);
    }
  });
}

void max_pool2d_grad(const View& grad, const View& indices, const View& grad_x) {
  with_floats(grad, grad_x, [&]<class E>(const View& from, const View& to) {
    const Planes<E> small(from);
    const Planes<E> large(to);
    const Planes<int32_t> positions(indices);
    for_images(large, large.h * large.w, [&](int64_t image, int64_t first, int64_t last) {
      zero_image(large, image, first, last);
      for_indexed(
          small, positions, large, image, first, last, [](E g, E& sum) { sum += g; }, [](E) {});
    });
  });
}

void max_pool2d_gather(const View& x, const View& indices, const View& out) {
  with_floats(x, out, [&]<class E>(const View& from, const View& to) {
    const Planes<E> large(from);
    const Planes<E> small(to);
    const Planes<int32_t> positions(indices);
    for_images(small, small.h * small.w, [&](int64_t image, int64_t first, int64_t last) {
      for_indexed(
          small, positions, large, image, first, last, [](E& y, E value) { y = value; },
          [](E& y) { y = 0; });
    });
  });
}

void avg_pool2d(const View& x, const View& out, const PoolParams& params) {
  with_floats(x, out, [&]<class E>(const View& from, const View& to) {
    const Planes<E> source(from);
    const Planes<E> target(to);
    if (source.channels_last() && target.channels_last()) {
      avg_channels_last(source, target, params);
    } else {
      avg_rows(source, target, params);
    }
  });
}

void avg_pool2d_grad(const View& grad, const View& grad_x, const PoolParams& params) {
  with_floats(grad, grad_x, [&]<class E>(const View& from, const View& to) {
    const Planes<E> small(from);
    const Planes<E> large(to);
    const bool pixels = small.channels_last() && large.channels_last();
    const std::vector<WidthWindow> windows = width_windows(params, small.w, large.w);
    for_images(large, large.h * large.w, [&](int64_t image, int64_t first, int64_t last) {
      zero_image(large, image, first, last);
      if (pixels) {
        return avg_grad_channels_last(small, large, image, first, last, params);
      }
      std::vector<E> sum(static_cast<size_t>(large.w));
      for (int64_t c = first; c < last; ++c) {
        avg_grad_plane(small, small.image(image) + c * small.c_step, large,
                       large.image(image) + c * large.c_step, params, windows, sum.data());
      }
    });
  });
}

}  // namespace taper

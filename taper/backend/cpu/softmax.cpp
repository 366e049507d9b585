#include <taper/backend/cpu/softmax.h>

#include <algorithm>
#include <memory>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/kernels.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const SoftmaxKernels softmax_kernels;
}
namespace v4 {
extern const SoftmaxKernels softmax_kernels;
}

namespace {

constexpr int64_t grain_elements = 16384;   // about 25 µs
constexpr int64_t cached_elements = 32768;  // of a part whose passes should stay in the cache
constexpr int64_t least_columns = 256;      // of such a part
constexpr int64_t most_columns = 1024;      // of any part; long runs of memory are faster

const SoftmaxKernels& kernels() {
  return isa() == Isa::v4 ? v4::softmax_kernels : v3::softmax_kernels;
}

/// A row-major tensor as [outer, n, inner], the middle one being the axis.
struct Slabs {
  Slabs(const Shape& shape, int axis) : n(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
  int64_t outer = 1;
  int64_t n;
  int64_t inner = 1;
};

/// Runs on rows, or on parts of the columns of each slab that fit the cache.
template <class E>
void run_native(SoftmaxTile<E> tile, const E* a, const E* b, E* out, const Slabs& slabs) {
  const int64_t fitting = cached_elements / slabs.n;
  const int64_t wide = fitting < least_columns ? most_columns : std::min(fitting, most_columns);
  const int64_t columns = std::min(slabs.inner, wide);
  const int64_t parts = (slabs.inner + columns - 1) / columns;
  const int64_t grain = std::max<int64_t>(1, grain_elements / (slabs.n * columns));
  parallel_for(slabs.outer * parts, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % parts * columns;
      const int64_t offset = i / parts * slabs.n * slabs.inner + first;
      tile(a + offset, b == nullptr ? nullptr : b + offset, out + offset, slabs.n, slabs.inner,
           std::min(columns, slabs.inner - first));
    }
  });
}

/// 16-bit floats go through buffers of one slab for each thread.
void run_short(SoftmaxTile<float> tile, const View& a, const View* b, const View& out,
               const Slabs& slabs) {
  const ConversionTiles& convert = conversion_tiles();
  const bool half = a.dtype() == DType::f16;
  const auto widen = half ? convert.f16_to_f32 : convert.bf16_to_f32;
  const auto narrow = half ? convert.f32_to_f16 : convert.f32_to_bf16;
  const int64_t size = slabs.n * slabs.inner;
  const auto count = static_cast<size_t>(size);
  const int64_t grain = std::max<int64_t>(1, grain_elements / size);
  parallel_for(slabs.outer, grain, [&](int64_t begin, int64_t end) {
    const auto buffer = std::make_unique_for_overwrite<float[]>(2 * count);
    float* first = buffer.get();
    float* second = b == nullptr ? nullptr : first + size;
    for (int64_t i = begin; i < end; ++i) {
      widen(a.as<uint16_t>() + i * size, first, count);
      if (b != nullptr) widen(b->as<uint16_t>() + i * size, second, count);
      tile(first, second, first, slabs.n, slabs.inner, slabs.inner);
      narrow(first, out.as<uint16_t>() + i * size, count);
    }
  });
}

void run(SoftmaxTile<float> SoftmaxKernelsOf<float>::* f32,
         SoftmaxTile<double> SoftmaxKernelsOf<double>::* f64, const View& a, const View* b,
         const View& out, int axis) {
  if (out.numel() == 0) return;
  const Slabs slabs(out.shape(), axis);
  if (out.dtype() == DType::f64) {
    run_native(kernels().f64.*f64, a.as<double>(), b == nullptr ? nullptr : b->as<double>(),
               out.as<double>(), slabs);
  } else if (out.dtype() == DType::f32) {
    run_native(kernels().f32.*f32, a.as<float>(), b == nullptr ? nullptr : b->as<float>(),
               out.as<float>(), slabs);
  } else {
    run_short(kernels().f32.*f32, a, b, out, slabs);
  }
}

using F32 = SoftmaxKernelsOf<float>;
using F64 = SoftmaxKernelsOf<double>;

}  // namespace

void softmax(const View& x, const View& out, int axis) {
  run(&F32::softmax, &F64::softmax, x, nullptr, out, axis);
}

void log_softmax(const View& x, const View& out, int axis) {
  run(&F32::log_softmax, &F64::log_softmax, x, nullptr, out, axis);
}

void softmax_grad(const View& y, const View& grad, const View& out, int axis) {
  run(&F32::softmax_grad, &F64::softmax_grad, y, &grad, out, axis);
}

void log_softmax_grad(const View& y, const View& grad, const View& out, int axis) {
  run(&F32::log_softmax_grad, &F64::log_softmax_grad, y, &grad, out, axis);
}

}  // namespace taper

#include <taper/backend/cpu/layer_norm.h>

#include <algorithm>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/kernels.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const LayerNormKernels layer_norm_kernels;
}
namespace v4 {
extern const LayerNormKernels layer_norm_kernels;
}

namespace {

// Measured on AVX2 and AVX-512: 0.19 ns an element, of gradients 0.56, and 10 to 30 ns a row.
constexpr int64_t grain_elements = 131072;  // about 25 µs
constexpr int64_t grain_gradients = 49152;  // the same
constexpr int64_t elements_a_row = 48;      // that take as long as what a row takes beside its own
constexpr int64_t copied_elements = 4096;   // of 16-bit rows that are copied together
constexpr int64_t least_blocks = 32;        // of rows whose gradients are summed together, if many
constexpr int64_t most_block_rows = 128;

const LayerNormKernels& kernels() {
  return isa() == Isa::v4 ? v4::layer_norm_kernels : v3::layer_norm_kernels;
}

/// Elements that kernels read and write where they are.
template <class E>
struct InPlace {
  using Element = E;
  const LayerNormKernelsOf<E>& tiles;

  static int64_t rows_at_once(int64_t rows, int64_t) { return rows; }
  static int64_t buffered(int64_t) { return 0; }
  static const E* read(const View& from, int64_t first, int64_t, E*) {
    return from.present() ? from.as<E>() + first : nullptr;
  }
  static E* target(const View& to, int64_t first, E*) { return to.as<E>() + first; }
  static void write(const E*, const View&, int64_t, int64_t) {}
};

/// 16-bit floats, which kernels see as copies in f32.
struct Copied {
  using Element = float;
  const LayerNormKernelsOf<float>& tiles;
  const bool half;

  static int64_t rows_at_once(int64_t rows, int64_t n) {
    return std::clamp<int64_t>(copied_elements / n, 1, rows);
  }
  static int64_t buffered(int64_t elements) { return elements; }
  const float* read(const View& from, int64_t first, int64_t count, float* buffer) const {
    if (!from.present()) return nullptr;
    const auto widen = half ? conversion_tiles().f16_to_f32 : conversion_tiles().bf16_to_f32;
    widen(from.as<uint16_t>() + first, buffer, static_cast<size_t>(count));
    return buffer;
  }
  static float* target(const View&, int64_t, float* buffer) { return buffer; }
  void write(const float* buffer, const View& to, int64_t first, int64_t count) const {
    const auto narrow = half ? conversion_tiles().f32_to_f16 : conversion_tiles().f32_to_bf16;
    narrow(buffer, to.as<uint16_t>() + first, static_cast<size_t>(count));
  }
};

template <class F>
void with_access(DType dtype, F f) {
  if (dtype == DType::f64) return f(InPlace<double>{kernels().f64});
  if (dtype == DType::f32) return f(InPlace<float>{kernels().f32});
  f(Copied{kernels().f32, dtype == DType::f16});
}

/// Scratch memory, taken before anything is written.
template <class E>
class Scratch {
 public:
  explicit Scratch(int64_t count) : buffer_(static_cast<size_t>(count) * sizeof(E)) {}
  E* at(int64_t i) const { return reinterpret_cast<E*>(buffer_.data()) + i; }

 private:
  Buffer buffer_;
};

/// How many parts of `units` of so many rows are worth a thread of their own.
int64_t parts_of(int64_t units, int64_t rows, int64_t n, int64_t grain) {
  const int64_t useful = std::min(units, rows * (n + elements_a_row) / grain);
  return std::clamp<int64_t>(useful, 1, threads());
}

/// Calls `f(part, begin, end)` for each part of the units.
template <class F>
void for_parts(int64_t parts, int64_t units, F f) {
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i, units * i / parts, units * (i + 1) / parts);
  });
}

template <class Access>
void normalise(const Access& access, const View& x, const View& weight, const View& bias,
               const View& out, int64_t n, double eps) {
  using E = typename Access::Element;
  const int64_t rows = out.numel() / n;
  const int64_t parts = parts_of(rows, rows, n, grain_elements);
  const int64_t together = access.rows_at_once(rows, n);
  const int64_t copied = access.buffered(together * n);
  const Scratch<E> copies(parts * copied + access.buffered(2 * n));
  const E* w = access.read(weight, 0, n, copies.at(parts * copied));
  const E* b = access.read(bias, 0, n, copies.at(parts * copied + access.buffered(n)));
  for_parts(parts, rows, [&](int64_t part, int64_t begin, int64_t end) {
    E* const copy = copies.at(part * copied);
    for (int64_t row = begin; row < end; row += together) {
      const int64_t count = std::min(together, end - row);
      const E* from = access.read(x, row * n, count * n, copy);
      E* to = access.target(out, row * n, copy);
      access.tiles.normalise(from, w, b, to, count, n, eps);
      access.write(to, out, row * n, count * n);
    }
  });
}

/// Gradients by weight and bias are summed by blocks of rows, which follow from the sizes alone.
template <class Access>
void gradients(const Access& access, const View& grad, const View& x, const View& weight,
               const View& grad_x, const View& grad_weight, const View& grad_bias, int64_t n,
               double eps) {
  using E = typename Access::Element;
  const bool affine = grad_weight.present();
  const int64_t rows = grad_x.numel() / n;
  const int64_t block =
      std::clamp<int64_t>(std::max(rows / least_blocks, grain_gradients / n), 1, most_block_rows);
  const int64_t blocks = (rows + block - 1) / block;
  const int64_t parts = parts_of(blocks, rows, n, grain_gradients);
  const int64_t together = access.rows_at_once(block, n);
  const int64_t copied = access.buffered(2 * together * n);
  const Scratch<E> copies(parts * copied + access.buffered(n));
  const Scratch<E> sums(affine ? (blocks + 1) * 2 * n : 0);
  const E* w = access.read(weight, 0, n, copies.at(parts * copied));
  for_parts(parts, blocks, [&](int64_t part, int64_t begin, int64_t end) {
    E* const copy = copies.at(part * copied);
    for (int64_t i = begin; i < end; ++i) {
      E* const sum = affine ? sums.at(i * 2 * n) : nullptr;
      if (affine) std::fill_n(sum, 2 * n, E(0));
      const int64_t last = std::min(rows, (i + 1) * block);
      for (int64_t row = i * block; row < last; row += together) {
        const int64_t count = std::min(together, last - row);
        const E* g = access.read(grad, row * n, count * n, copy);
        const E* from = access.read(x, row * n, count * n, copy + copied / 2);
        E* to = access.target(grad_x, row * n, copy);
        access.tiles.grad(g, from, w, to, sum, count, n, eps);
        access.write(to, grad_x, row * n, count * n);
      }
    }
  });
  if (!affine) return;
  E* const total = sums.at(blocks * 2 * n);
  for (const auto& [out, first] : {std::pair{&grad_weight, int64_t{0}}, std::pair{&grad_bias, n}}) {
    E* to = access.target(*out, 0, total);
    access.tiles.sum_columns(sums.at(first), blocks, 2 * n, n, to);
    access.write(to, *out, 0, n);
  }
}

}  // namespace

void layer_norm(const View& x, const View& weight, const View& bias, const View& out, int64_t n,
                double eps) {
  if (out.numel() == 0) return;
  with_access(out.dtype(),
              [&](const auto& access) { normalise(access, x, weight, bias, out, n, eps); });
}

void layer_norm_grad(const View& grad, const View& x, const View& weight, const View& grad_x,
                     const View& grad_weight, const View& grad_bias, int64_t n, double eps) {
  if (n == 0) return;
  with_access(grad_x.dtype(), [&](const auto& access) {
    gradients(access, grad, x, weight, grad_x, grad_weight, grad_bias, n, eps);
  });
}

}  // namespace taper

// Compiled once per instruction set; see isa.h. No weak symbol may leave namespace TAPER_ISA.
#include <taper/backend/cpu/matmul_small.h>

#define HWY_COMPILE_ONLY_STATIC
#include <hwy/highway.h>

namespace taper::TAPER_ISA {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if defined(__AVX512F__)
static_assert(HWY_TARGET == HWY_AVX3);
constexpr int tile_rows = 8;
constexpr bool fast_masked_store = true;
#else
static_assert(HWY_TARGET == HWY_AVX2);
constexpr int tile_rows = 4;
constexpr bool fast_masked_store = false;  // dozens of cycles each on AMD before Zen 4
#endif

using Lanes = hn::ScalableTag<float>;
using Vector = hn::Vec<Lanes>;
using Mask = hn::Mask<Lanes>;
using Quad = hn::FixedTag<float, 4>;
using QuadVector = hn::Vec<Quad>;

constexpr int64_t lanes = HWY_MAX_BYTES / sizeof(float);
constexpr int64_t limit = SmallMatmul::limit;

/// The right operand (and bias) with unit stride along n, from which a tile reads.
struct Right {
  const float* b;
  int64_t b_row;
  const float* bias;
};

template <bool tail>
HWY_INLINE Vector load(const float* from, Mask mask) {
  if constexpr (tail) return hn::MaskedLoad(mask, Lanes(), from);
  return hn::LoadU(Lanes(), from);
}

template <bool tail>
HWY_INLINE void store(Vector value, float* to, Mask mask, int64_t count) {
  if constexpr (!tail) {
    hn::StoreU(value, Lanes(), to);
  } else if constexpr (fast_masked_store) {
    hn::BlendedStore(value, mask, Lanes(), to);
  } else {
    alignas(64) float whole[lanes];
    hn::Store(value, Lanes(), whole);
    for (int64_t i = 0; i < count; ++i) to[i] = whole[i];
  }
}

/// `rows` rows by `vectors` vectors of the output; with `tail` the last vector has `count` lanes.
template <int rows, int vectors, bool tail>
HWY_INLINE void tile(const SmallMatmul& p, const Right& right, int64_t row, int64_t column,
                     Mask mask, int64_t count) {
  Vector sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sum[r][v] = hn::Zero(Lanes());
  }
  const float* a = p.a + row * p.a_row;
  const float* b = right.b + column;
  for (int64_t i = 0; i < p.k; ++i) {
    Vector factor[vectors];
#pragma GCC unroll 2
    for (int v = 0; v + 1 < vectors; ++v) factor[v] = hn::LoadU(Lanes(), b + v * lanes);
    factor[vectors - 1] = load<tail>(b + (vectors - 1) * lanes, mask);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Vector scale = hn::Set(Lanes(), a[r * p.a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(scale, factor[v], sum[r][v]);
    }
    a += p.a_col;
    b += right.b_row;
  }
  if (right.bias != nullptr) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      const float* from = right.bias + column + v * lanes;
      const Vector bias = v + 1 < vectors ? hn::LoadU(Lanes(), from) : load<tail>(from, mask);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) sum[r][v] = hn::Add(sum[r][v], bias);
    }
  }
  float* out = p.out + row * p.n + column;
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v + 1 < vectors; ++v) hn::StoreU(sum[r][v], Lanes(), out + v * lanes);
    store<tail>(sum[r][vectors - 1], out + (vectors - 1) * lanes, mask, count);
    out += p.n;
  }
}

/// All rows of one or two vectors of columns.
template <int vectors, bool tail>
void columns(const SmallMatmul& p, const Right& right, int64_t column, int64_t count) {
  const Mask mask = hn::FirstN(Lanes(), static_cast<size_t>(count));
  int64_t row = 0;
  for (; row + tile_rows <= p.m; row += tile_rows) {
    tile<tile_rows, vectors, tail>(p, right, row, column, mask, count);
  }
  if (tile_rows > 4 && row + 4 <= p.m) {
    tile<4, vectors, tail>(p, right, row, column, mask, count);
    row += 4;
  }
  switch (p.m - row) {
    case 3:
      return tile<3, vectors, tail>(p, right, row, column, mask, count);
    case 2:
      return tile<2, vectors, tail>(p, right, row, column, mask, count);
    case 1:
      return tile<1, vectors, tail>(p, right, row, column, mask, count);
    default:
      return;
  }
}

/// to[i * stride + j] = from[j * from_stride + i] for a block of 4x4.
HWY_INLINE void transpose4(const float* from, int64_t from_stride, float* to, int64_t stride) {
  const Quad quad;
  const hn::RepartitionToWide<Quad> wide;
  const QuadVector row0 = hn::LoadU(quad, from);
  const QuadVector row1 = hn::LoadU(quad, from + from_stride);
  const QuadVector row2 = hn::LoadU(quad, from + 2 * from_stride);
  const QuadVector row3 = hn::LoadU(quad, from + 3 * from_stride);
  const auto low01 = hn::BitCast(wide, hn::InterleaveLower(quad, row0, row1));
  const auto low23 = hn::BitCast(wide, hn::InterleaveLower(quad, row2, row3));
  const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(quad, row0, row1));
  const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(quad, row2, row3));
  hn::StoreU(hn::BitCast(quad, hn::InterleaveLower(wide, low01, low23)), quad, to);
  hn::StoreU(hn::BitCast(quad, hn::InterleaveUpper(wide, low01, low23)), quad, to + stride);
  hn::StoreU(hn::BitCast(quad, hn::InterleaveLower(wide, high01, high23)), quad, to + 2 * stride);
  hn::StoreU(hn::BitCast(quad, hn::InterleaveUpper(wide, high01, high23)), quad, to + 3 * stride);
}

/// Copies b into `packed` with rows of `limit`.
void pack(const SmallMatmul& p, float* packed) {
  int64_t done_rows = 0;
  int64_t done_columns = 0;
  if (p.b_row == 1) {  // a transposed matrix
    done_rows = p.k / 4 * 4;
    done_columns = p.n / 4 * 4;
    for (int64_t j = 0; j < done_columns; j += 4) {
      for (int64_t i = 0; i < done_rows; i += 4) {
        transpose4(p.b + j * p.b_col + i, p.b_col, packed + i * limit + j, limit);
      }
    }
  }
  for (int64_t i = 0; i < p.k; ++i) {
    const int64_t first = i < done_rows ? done_columns : 0;
    for (int64_t j = first; j < p.n; ++j) packed[i * limit + j] = p.b[i * p.b_row + j * p.b_col];
  }
}

void run(const SmallMatmul& p, const Right& right) {
  int64_t column = 0;
  for (; column + 2 * lanes <= p.n; column += 2 * lanes) {
    columns<2, false>(p, right, column, lanes);
  }
  const int64_t left = p.n - column;
  if (left > lanes) return columns<2, true>(p, right, column, left - lanes);
  if (left == lanes) return columns<1, false>(p, right, column, left);
  if (left > 0) columns<1, true>(p, right, column, left);
}

void run_packed(const SmallMatmul& p) {
  alignas(64) float packed[limit * limit];
  alignas(64) float bias[limit];
  Right right{p.b, p.b_row, p.bias};
  if (p.b_col != 1) {
    pack(p, packed);
    right.b = packed;
    right.b_row = limit;
  }
  if (p.bias != nullptr && p.bias_stride != 1) {
    for (int64_t j = 0; j < p.n; ++j) bias[j] = p.bias[j * p.bias_stride];
    right.bias = bias;
  }
  run(p, right);
}

void matmul_f32(const SmallMatmul& p) {
  const bool ready = p.b_col == 1 && (p.bias == nullptr || p.bias_stride == 1);
  if (!ready) return run_packed(p);
  run(p, {p.b, p.b_row, p.bias});
}

}  // namespace

const SmallMatmulKernels small_matmul_kernels = {matmul_f32};

}  // namespace taper::TAPER_ISA

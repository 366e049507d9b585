// Whether any, or all, elements of a row or a column of [kept, reduced] matrices are not zero. A
// walk ends with the element that decides.

#include <cstdint>
#include <type_traits>

#include "taper/backend/cpu/kernels.h"
#include "taper/backend/cpu/simd/rows.h"

namespace taper::TAPER_ISA {

extern const TruthKernels truth_kernels;

namespace {

/// The bits of an element, of a complex one those of both parts: zero if it is, but for signs.
template <int parts, class Word>
TAPER_FN Word bits_at(const Word* x, int64_t i) {
  if constexpr (parts == 2) return x[2 * i] | x[2 * i + 1];
  return x[i];
}

/// What is known after an element: for `all` the least magnitude, which decides if it is 0, for
/// `any` the bits that are set in one. `mask` leaves out the sign of a float's zero.
template <bool of_all, class Word, Word mask>
TAPER_FN Word look(Word seen, Word x) {
  const Word magnitude = x & mask;
  if constexpr (of_all) return magnitude < seen ? magnitude : seen;
  return seen | magnitude;
}

template <bool of_all, class Word>
constexpr Word nothing_seen = of_all ? static_cast<Word>(-1) : Word{0};

template <bool of_all, class Word>
TAPER_FN bool is_decided(Word seen) {
  return (seen == 0) == of_all;
}

/// Whether an element of a row decides, by pieces that are read before one is looked at.
template <bool of_all, int parts, class Word, Word mask>
bool row_decides(const Word* x, int64_t n, int64_t step) {
  int64_t i = 0;
  if (step == 1) {
    constexpr int64_t piece = 256 / sizeof(Word);
    for (; i + piece <= n; i += piece) {
      Word seen = nothing_seen<of_all, Word>;
      for (int64_t k = 0; k < piece; ++k)
        seen = look<of_all, Word, mask>(seen, bits_at<parts>(x, i + k));
      if (is_decided<of_all>(seen)) return true;
    }
  }
  while (i < n) {
    const int64_t end = n - i < 32 ? n : i + 32;
    Word seen = nothing_seen<of_all, Word>;
    for (; i < end; ++i) seen = look<of_all, Word, mask>(seen, bits_at<parts>(x, i * step));
    if (is_decided<of_all>(seen)) return true;
  }
  return false;
}

/// Looks at n columns of `rows` rows.
template <bool of_all, int parts, class Word, Word mask>
TAPER_FN void look_at_columns(const Word* __restrict x, int64_t n, int64_t column_step,
                              int64_t rows, int64_t step, Word* __restrict seen) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    for (int64_t k = 0; k < n; ++k) {
      Word here = seen[k];
#pragma GCC unroll 4
      for (int64_t i = 0; i < 4; ++i) {
        here =
            look<of_all, Word, mask>(here, bits_at<parts>(x, k * column_step + (row + i) * step));
      }
      seen[k] = here;
    }
  }
  for (; row < rows; ++row) {
    for (int64_t k = 0; k < n; ++k) {
      seen[k] = look<of_all, Word, mask>(seen[k], bits_at<parts>(x, k * column_step + row * step));
    }
  }
}

/// Columns, until all are decided: asked after every few rows.
template <bool of_all, int parts, class Word, Word mask>
void look_until_decided(const Word* x, int64_t n, int64_t column_step, int64_t rows, int64_t step,
                        Word* seen) {
  constexpr int64_t few = 16;
  for (int64_t row = 0; row < rows; row += few) {
    const int64_t count = rows - row < few ? rows - row : few;
    const Word* first = x + parts * row * step;
    if (column_step == 1) {
      look_at_columns<of_all, parts, Word, mask>(first, n, 1, count, step, seen);
    } else {
      look_at_columns<of_all, parts, Word, mask>(first, n, column_step, count, step, seen);
    }
    int64_t decided = 0;
    for (int64_t k = 0; k < n; ++k) decided += is_decided<of_all>(seen[k]);
    if (decided == n) return;
  }
}

template <bool of_all, int parts, class Word, Word mask>
void truth_tile(const void* data, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
                void* accumulators) {
  constexpr int64_t decided = of_all ? 0 : 1;
  const Word* x = static_cast<const Word*>(data);
  int64_t* results = static_cast<int64_t*>(accumulators);
  if (by_rows(kept, kept_step, reduced, step)) {
    for (int64_t k = 0; k < kept; ++k) {
      if (results[k] == decided) continue;
      if (row_decides<of_all, parts, Word, mask>(x + parts * k * kept_step, reduced, step))
        results[k] = decided;
    }
    return;
  }
  constexpr int64_t most = 1024;
  for (int64_t first = 0; first < kept; first += most) {
    const int64_t n = kept - first < most ? kept - first : most;
    Word seen[most];
    for (int64_t k = 0; k < n; ++k) seen[k] = nothing_seen<of_all, Word>;
    look_until_decided<of_all, parts, Word, mask>(x + parts * first * kept_step, n, kept_step,
                                                  reduced, step, seen);
    for (int64_t k = 0; k < n; ++k) {
      if (is_decided<of_all>(seen[k])) results[first + k] = decided;
    }
  }
}

template <size_t bytes>
using Word = std::conditional_t<
    bytes == 1, uint8_t,
    std::conditional_t<bytes == 2, uint16_t, std::conditional_t<bytes == 4, uint32_t, uint64_t>>>;

template <bool of_all, class T, Kind kind>
constexpr ReduceTile truth_tile_of() {
  constexpr int parts = kind == Kind::complex ? 2 : 1;
  using W = Word<sizeof(T) / parts>;
  constexpr bool has_sign = kind == Kind::floating || kind == Kind::complex;
  constexpr W mask = static_cast<W>(static_cast<W>(-1) >> (has_sign ? 1 : 0));
  return truth_tile<of_all, parts, W, mask>;
}

template <bool of_all>
constexpr void fill(ReduceTile* tiles) {
#define TAPER_DTYPE(name, type, kind, printed, constant) \
  tiles[static_cast<size_t>(DType::name)] = truth_tile_of<of_all, type, Kind::kind>();
  TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
}

constexpr TruthKernels make_kernels() {
  TruthKernels kernels{};
  fill<false>(kernels.any);
  fill<true>(kernels.all);
  return kernels;
}

}  // namespace

constinit const TruthKernels truth_kernels = make_kernels();

}  // namespace taper::TAPER_ISA

// Rows of items that lie apart, and matrices in the other memory order, one instance per
// instruction set.

#include "taper/backend/cpu/simd/pack.h"

#include "taper/backend/cpu/pack.h"
#include "taper/backend/cpu/simd/vec.h"

namespace taper::TAPER_ISA {

extern const PackKernels pack_kernels;

namespace {

template <class Word>
void pack_row(const void* from, int64_t from_step, void* to, int64_t n) {
  constexpr int64_t item = sizeof(Word);
  if (from_step % item == 0) {
    return pack_words(static_cast<const Word*>(from), from_step / item, static_cast<Word*>(to), n);
  }
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(target + i * item, source + i * from_step, sizeof(Word));
  }
}

/// An item as wide as a register.
using Wide = unsigned __int128;

template <class Word>
using Block = hn::Full128<Word>;

/// A square as wide as a register of 16 bytes. Each stage interleaves the upper half of the rows
/// with the lower one; as many stages as there are bits in a row's number exchange rows and
/// columns.
template <class Word>
TAPER_FN void transpose_square(const std::byte* from, int64_t from_step, std::byte* to,
                               int64_t to_step) {
  constexpr Block<Word> block;
  constexpr size_t n = 16 / sizeof(Word);
  hn::Vec<Block<Word>> rows[n];
  hn::Vec<Block<Word>> next[n];
#pragma GCC unroll 16
  for (size_t i = 0; i < n; ++i) {
    rows[i] =
        hn::LoadU(block, reinterpret_cast<const Word*>(from + static_cast<int64_t>(i) * from_step));
  }
#pragma GCC unroll 4
  for (size_t stage = 1; stage < n; stage *= 2) {
#pragma GCC unroll 8
    for (size_t i = 0; i < n / 2; ++i) {
      next[2 * i] = hn::InterleaveLower(block, rows[i], rows[i + n / 2]);
      next[2 * i + 1] = hn::InterleaveUpper(block, rows[i], rows[i + n / 2]);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < n; ++i) rows[i] = next[i];
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < n; ++i) {
    hn::StoreU(rows[i], block, reinterpret_cast<Word*>(to + static_cast<int64_t>(i) * to_step));
  }
}

/// The part from `row` and `column` on.
template <class Word>
void transpose_rest(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
                    int64_t row, int64_t rows, int64_t column, int64_t columns) {
  constexpr int64_t item = sizeof(Word);
  for (int64_t i = row; i < rows; ++i) {
    for (int64_t j = column; j < columns; ++j) {
      std::memcpy(to + i * to_step + j * item, from + j * from_step + i * item, sizeof(Word));
    }
  }
}

/// In stripes of rows that fill a cache line of each column.
template <class Word>
void transpose(const void* source, int64_t from_step, void* target, int64_t to_step, int64_t rows,
               int64_t columns) {
  constexpr int64_t item = sizeof(Word);
  constexpr int64_t n = 16 / item;
  const auto* from = static_cast<const std::byte*>(source);
  auto* to = static_cast<std::byte*>(target);
  if constexpr (n == 1) {
    return transpose_rest<Word>(from, from_step, to, to_step, 0, rows, 0, columns);
  } else {
    const int64_t whole_columns = columns / n * n;
    const int64_t whole_rows = rows / n * n;
    for (int64_t stripe = 0; stripe < whole_rows; stripe += 4 * n) {
      const int64_t end = stripe + 4 * n < whole_rows ? stripe + 4 * n : whole_rows;
      for (int64_t column = 0; column < whole_columns; column += n) {
        for (int64_t row = stripe; row < end; row += n) {
          transpose_square<Word>(from + column * from_step + row * item, from_step,
                                 to + row * to_step + column * item, to_step);
        }
      }
    }
    transpose_rest<Word>(from, from_step, to, to_step, 0, whole_rows, whole_columns, columns);
    transpose_rest<Word>(from, from_step, to, to_step, whole_rows, rows, 0, columns);
  }
}

}  // namespace

const PackKernels pack_kernels = {
    {pack_row<uint8_t>, pack_row<uint16_t>, pack_row<uint32_t>, pack_row<uint64_t>, pack_row<Wide>},
    {transpose<uint8_t>, transpose<uint16_t>, transpose<uint32_t>, transpose<uint64_t>,
     transpose<Wide>}};

}  // namespace taper::TAPER_ISA

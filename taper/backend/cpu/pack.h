#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace taper {

/// Copies `n` items, `from_step` bytes apart, to memory where they lie together. An item has 1, 2,
/// 4, 8 or 16 bytes.
using PackRow = void (*)(const void* from, int64_t from_step, void* to, int64_t n);

/// Copies a matrix whose columns lie together in `from` to one whose rows lie together in `to`; the
/// steps, in bytes, are those between columns there and between rows here.
using Transpose = void (*)(const void* from, int64_t from_step, void* to, int64_t to_step,
                           int64_t rows, int64_t columns);

/// What simd/pack.cpp defines once per instruction set, by the binary logarithm of the item's size.
struct PackKernels {
  PackRow pack[5];
  Transpose transpose[5];
};

/// Those of the instruction set that runs.
const PackKernels& pack_kernels();

/// The place of items of this size in the tables.
constexpr size_t pack_index(size_t item_size) {
  return static_cast<size_t>(std::countr_zero(item_size));
}

}  // namespace taper

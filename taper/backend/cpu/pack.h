#pragma once

#include <cstddef>
#include <cstdint>

namespace taper {

/// Copies `n` items, `from_step` bytes apart, to memory where they lie together. An item has 1, 2,
/// 4 or 8 bytes.
using PackRow = void (*)(const void* from, int64_t from_step, void* to, int64_t n);

/// Copies a matrix whose columns lie together in `from` to one whose rows lie together in `to`; the
/// steps, in bytes, are those between columns there and between rows here.
using Transpose = void (*)(const void* from, int64_t from_step, void* to, int64_t to_step,
                           int64_t rows, int64_t columns);

/// What simd/pack.cpp defines once per instruction set, by the binary logarithm of the item's size.
struct PackKernels {
  PackRow pack[4];
  Transpose transpose[4];
};

/// Those of the instruction set that runs.
const PackKernels& pack_kernels();

/// The place of items of this size in the tables.
constexpr size_t pack_index(size_t item_size) {
  return item_size == 1 ? 0 : item_size == 2 ? 1 : item_size == 4 ? 2 : 3;
}

}  // namespace taper

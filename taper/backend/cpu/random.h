#pragma once

#include <taper/core/view.h>

namespace taper {

// Streams of random numbers by counter: block b of the stream `key` is philox(key, b), four words.
// An element's value depends only on (key, offset) and its row-major position, so every number of
// threads and every instruction set gives the same bits. Views have any strides.

enum class RandomKind : uint8_t { uniform, normal, integers, dropout };

/// How far the offset must advance after a fill of `numel` elements.
int64_t blocks_used(RandomKind kind, int64_t numel, DType dtype);

/// Uniform in [low, high), finite bounds; `low` if no number lies between. Floating dtypes; f16 and
/// bf16 are rounded from f32 and kept below `high`.
void fill_uniform(const View& out, uint64_t key, uint64_t offset, double low, double high);

/// Normal, by Box-Muller. Floating dtypes; f16 and bf16 are rounded from f32.
void fill_normal(const View& out, uint64_t key, uint64_t offset, double mean, double std);

/// Uniform integers in [low, high), low < high, for integer dtypes and bool. Their bias is below
/// (high - low) / 2^64.
void fill_integers(const View& out, uint64_t key, uint64_t offset, int64_t low, int64_t high);

/// Keeps each element with probability 1 - p: out = x / (1 - p) and mask = 1, else out = mask = 0.
/// `x` and `out` have one floating dtype; `mask` is bool or u8. Where the three are dense in the
/// same order, such as channels-last, the positions count in that order: it needs no copies.
void dropout(const View& x, const View& out, const View& mask, uint64_t key, uint64_t offset,
             double p);

}  // namespace taper

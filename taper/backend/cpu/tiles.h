#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <taper/backend/cpu/kernels.h>

namespace taper {

/// Applies a functor to n contiguous elements of each input.
using Tile = void (*)(const void* const* in, void* const* out, size_t n, const void* functor);

/// One functor's tiles for one instruction set; null where the functor has no such form.
struct TileSet {
  Tile of[dtype_count] = {};  // by the value of DType; 16-bit floats run as f32, bool as u8
};

inline constexpr size_t most_pointwise_inputs = 4;

/// A pointwise functor's tiles with those of its derivatives, made by dual numbers.
struct PointwiseTiles {
  TileSet value;
  /// grad[i](g, x...) = g * dF/dx_i
  TileSet grad[most_pointwise_inputs];
};

/// Converts n elements to another dtype, steps in bytes.
using ConvertRow = void (*)(const std::byte* from, int64_t from_step, std::byte* to,
                            int64_t to_step, int64_t n);

/// Conversions that do not overlap; the first four of n contiguous elements.
struct ConversionTiles {
  void (*f16_to_f32)(const void* in, void* out, size_t n);
  void (*f32_to_f16)(const void* in, void* out, size_t n);
  void (*bf16_to_f32)(const void* in, void* out, size_t n);
  void (*f32_to_bf16)(const void* in, void* out, size_t n);
  /// By the values of the two DTypes; null for the same and for complex ones.
  std::array<std::array<ConvertRow, dtype_count>, dtype_count> rows;
};

const ConversionTiles& conversion_tiles();

}  // namespace taper

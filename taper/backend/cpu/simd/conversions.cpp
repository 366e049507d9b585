#include "taper/backend/cpu/simd/tile.h"
#include "taper/backend/cpu/tiles.h"

namespace taper::TAPER_ISA {

extern const ConversionTiles conversions;
const ConversionTiles conversions = {f16_to_f32, f32_to_f16, bf16_to_f32, f32_to_bf16};

}  // namespace taper::TAPER_ISA

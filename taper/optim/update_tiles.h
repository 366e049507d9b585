// Included by the build of an optimizer's rule for one instruction set: makes the tiles of its
// steps. Nothing here may emit a symbol outside namespace TAPER_ISA.
#pragma once

#include <array>

#include "taper/backend/cpu/simd/functors.h"
#include "taper/ops/pointwise/tables.h"
#include "taper/optim/update_rule.h"

namespace taper::TAPER_ISA {

template <class Rule, size_t mask>
constexpr TileSet update_tiles() {
  if constexpr (optim::detail::can_keep<Rule>(mask)) {
    return tile_set<optim::detail::UpdateStep<Rule, mask>>();
  } else {
    return {};
  }
}

template <class Rule, size_t... masks>
constexpr std::array<TileSet, sizeof...(masks)> all_update_tiles(std::index_sequence<masks...>) {
  return {update_tiles<Rule, masks>()...};
}

}  // namespace taper::TAPER_ISA

#define TAPER_OPTIMIZER(Name, doc)                                                     \
  namespace taper::TAPER_ISA {                                                         \
  using Name##Tiles = std::array<TileSet, optim::detail::masks<optim::Name##Options>>; \
  extern const Name##Tiles Name##_updates;                                             \
  constinit const Name##Tiles Name##_updates = all_update_tiles<optim::Name##Options>( \
      std::make_index_sequence<optim::detail::masks<optim::Name##Options>>());         \
  }

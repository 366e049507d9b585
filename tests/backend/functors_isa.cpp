// The tile functions of functors_isa.h for one instruction set. Compiled once per set, with the
// flags at the top of taper/backend/cpu/simd/vec.h.
#include "tests/backend/functors_isa.h"

#include "taper/backend/cpu/simd/tile.h"

namespace taper::TAPER_ISA {

namespace {

namespace ft = functor_test;

template <class E>
constexpr ft::Tiles tiles() {
  return {
#define TAPER_TEST_TILE(name) tile<ft::Do_##name, E, 1>,
      .unary = {TAPER_TEST_UNARY(TAPER_TEST_TILE)},
#undef TAPER_TEST_TILE
      .pow = tile<ft::Pow, E, 2>,
      .gelu = tile<ft::Gelu, E, 1>,
      .gelu_first = tile<ft::First<ft::Gelu>, E, 1>,
      .gelu_second = tile<ft::Second<ft::Gelu>, E, 1>,
      .mul_add3 = tile<ft::MulAdd3, E, 3>,
      .sum12 = tile<ft::Sum12, E, 12>,
      .between = tile_mask<ft::Between, E, 3>,
      .select = tile_select<ft::Select, E, 3>,
      .adam = tile_multi<ft::Adam, E, 4, 3>,
  };
}

constexpr ft::Table kTable = {
    .f32 = tiles<float>(),
    .f64 = tiles<double>(),
    .f16_to_f32 = f16_to_f32,
    .f32_to_f16 = f32_to_f16,
    .bf16_to_f32 = bf16_to_f32,
    .f32_to_bf16 = f32_to_bf16,
};

}  // namespace

const functor_test::Table& functor_table() { return kTable; }

}  // namespace taper::TAPER_ISA

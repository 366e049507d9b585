#include <taper/backend/cpu/convert.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/strided.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/error.h>
#include <taper/core/threads.h>

namespace taper {
namespace {

constexpr int64_t elements_a_thread = int64_t{1} << 16;

using ConvertRow = void (*)(const void* in, void* out, size_t n);

template <class To, class From>
ConvertRow contiguous_row() {
  const ConversionTiles& tiles = conversion_tiles();
  if constexpr (std::is_same_v<To, float>) {
    return std::is_same_v<From, Half> ? tiles.f16_to_f32 : tiles.bf16_to_f32;
  } else {
    return std::is_same_v<To, Half> ? tiles.f32_to_f16 : tiles.f32_to_bf16;
  }
}

template <class To, class From>
void convert_row(std::byte* to, int64_t to_step, const std::byte* from, int64_t from_step,
                 int64_t count) {
  if (to_step == sizeof(To) && from_step == sizeof(From)) {
    return contiguous_row<To, From>()(from, to, static_cast<size_t>(count));
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto* source = reinterpret_cast<const From*>(from + i * from_step);
    *reinterpret_cast<To*>(to + i * to_step) = To(static_cast<float>(*source));
  }
}

template <class To, class From>
void convert(std::byte* to, const Strides& to_strides, const std::byte* from,
             const Strides& from_strides, const Shape& shape) {
  const std::array strides = {to_strides, from_strides};
  const std::array sizes = {sizeof(To), sizeof(From)};
  const StridedLoop loop(shape, strides, sizes);
  const int64_t to_step = loop.inner_stride(0);
  const int64_t from_step = loop.inner_stride(1);
  const int64_t count = loop.inner();
  if (loop.rank == 1) {
    return parallel_for(count, elements_a_thread, [&](int64_t begin, int64_t end) {
      convert_row<To, From>(to + begin * to_step, to_step, from + begin * from_step, from_step,
                            end - begin);
    });
  }
  const int64_t grain = std::max<int64_t>(1, elements_a_thread / count);
  parallel_for(loop.rows(), grain, [&](int64_t begin, int64_t end) {
    std::byte* const bases[] = {to, const_cast<std::byte*>(from)};
    loop.for_rows(bases, begin, end, [&](std::byte* const* at) {
      convert_row<To, From>(at[0], to_step, at[1], from_step, count);
    });
  });
}

}  // namespace

void copy_convert(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                  DType from_dtype, const Strides& from_strides, const Shape& shape) {
  if (to_dtype == from_dtype) {
    return copy_strided(to, to_strides, from, from_strides, shape, item_size(to_dtype));
  }
  if (shape.numel() == 0) return;
  if (to_dtype == DType::f32 && from_dtype == DType::f16) {
    return convert<float, Half>(to, to_strides, from, from_strides, shape);
  }
  if (to_dtype == DType::f32 && from_dtype == DType::bf16) {
    return convert<float, BFloat16>(to, to_strides, from, from_strides, shape);
  }
  if (to_dtype == DType::f16 && from_dtype == DType::f32) {
    return convert<Half, float>(to, to_strides, from, from_strides, shape);
  }
  TAPER_CHECK(to_dtype == DType::bf16 && from_dtype == DType::f32);
  convert<BFloat16, float>(to, to_strides, from, from_strides, shape);
}

}  // namespace taper

#include <taper/backend/cpu/convert.h>

#include <algorithm>
#include <array>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/strided.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {

void copy_convert(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                  DType from_dtype, const Strides& from_strides, const Shape& shape) {
  constexpr int64_t elements_a_thread = int64_t{1} << 16;
  if (to_dtype == from_dtype) {
    return copy_strided(to, to_strides, from, from_strides, shape, item_size(to_dtype));
  }
  if (shape.numel() == 0) return;
  const ConvertRow convert =
      conversion_tiles().rows[static_cast<size_t>(from_dtype)][static_cast<size_t>(to_dtype)];
  const std::array strides = {to_strides, from_strides};
  const std::array sizes = {item_size(to_dtype), item_size(from_dtype)};
  const StridedLoop loop(shape, strides, sizes);
  const int64_t to_step = loop.inner_stride(0);
  const int64_t from_step = loop.inner_stride(1);
  const int64_t count = loop.inner();
  if (loop.rank == 1) {  // one long row: split the row itself
    return parallel_for(count, elements_a_thread, [&](int64_t begin, int64_t end) {
      convert(from + begin * from_step, from_step, to + begin * to_step, to_step, end - begin);
    });
  }
  const int64_t grain = std::max<int64_t>(1, elements_a_thread / count);
  parallel_for(loop.rows(), grain, [&](int64_t begin, int64_t end) {
    std::byte* const bases[] = {to, const_cast<std::byte*>(from)};
    loop.for_rows(bases, begin, end,
                  [&](std::byte* const* at) { convert(at[1], from_step, at[0], to_step, count); });
  });
}

}  // namespace taper

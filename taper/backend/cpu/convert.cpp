#include <taper/backend/cpu/convert.h>

#include <algorithm>
#include <array>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/strided.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {
namespace {

/// Complex numbers as real ones: the real part of each, and the imaginary part beside it.
Strides in_parts(const Strides& strides, DType dtype) {
  Strides parts = strides;
  for (int64_t& stride : parts) stride *= is_complex(dtype) ? 2 : 1;
  return parts;
}

void convert_parts(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                   DType from_dtype, const Strides& from_strides, const Shape& shape) {
  const DType part = real_of(to_dtype);
  const DType from_part = real_of(from_dtype);
  const Strides target = in_parts(to_strides, to_dtype);
  const Strides source = in_parts(from_strides, from_dtype);
  copy_convert(to, part, target, from, from_part, source, shape);
  if (is_complex(from_dtype)) {
    from += item_size(from_part);
    return copy_convert(to + item_size(part), part, target, from, from_part, source, shape);
  }
  const std::byte zero[sizeof(double)] = {};
  Strides nowhere = shape;
  for (int64_t& stride : nowhere) stride = 0;
  copy_strided(to + item_size(part), target, zero, nowhere, shape, item_size(part));
}

}  // namespace

void copy_convert(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                  DType from_dtype, const Strides& from_strides, const Shape& shape) {
  constexpr int64_t elements_a_thread = int64_t{1} << 16;
  if (to_dtype == from_dtype) {
    return copy_strided(to, to_strides, from, from_strides, shape, item_size(to_dtype));
  }
  if (shape.numel() == 0) return;
  if (is_complex(to_dtype)) {
    return convert_parts(to, to_dtype, to_strides, from, from_dtype, from_strides, shape);
  }
  TAPER_CHECK(!is_complex(from_dtype));
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

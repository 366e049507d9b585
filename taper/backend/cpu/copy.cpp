#include <taper/backend/cpu/copy.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/pack.h>
#include <taper/backend/cpu/strided.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const PackKernels pack_kernels;
}
namespace v4 {
extern const PackKernels pack_kernels;
}

const PackKernels& pack_kernels() { return isa() == Isa::v4 ? v4::pack_kernels : v3::pack_kernels; }

namespace {

constexpr int64_t bytes_a_thread = int64_t{1} << 18;

template <class Word>
void copy_row(std::byte* to, int64_t to_step, const std::byte* from, int64_t from_step,
              int64_t count) {
  if (to_step == sizeof(Word)) {
    return pack_kernels().pack[pack_index(sizeof(Word))](from, from_step, to, count);
  }
  for (int64_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, from + i * from_step, sizeof word);
    std::memcpy(to + i * to_step, &word, sizeof word);
  }
}

/// The axis along which items lie together in `from`, where another one does in `to`; else -1.
int transposed_axis(const StridedLoop& loop, size_t item_size) {
  const auto item = static_cast<int64_t>(item_size);
  if (loop.inner_stride(0) != item || loop.inner_stride(1) == item) return -1;
  for (int axis = loop.rank - 2; axis >= 0; --axis) {
    if (loop.stride[1][axis] == item) return loop.size[axis] >= 4 ? axis : -1;
  }
  return -1;
}

/// Matrices of the innermost axis and `axis`, which becomes the last of the outer ones and is cut.
void copy_transposed(StridedLoop loop, int axis, std::byte* to, std::byte* from, size_t item_size) {
  constexpr int64_t rows_at_once = 64;
  for (; axis < loop.rank - 2; ++axis) loop.swap_axes(axis, axis + 1);
  const int64_t rows = loop.size[axis];
  const int64_t pieces = (rows + rows_at_once - 1) / rows_at_once;
  const int64_t to_step = loop.stride[0][axis];
  const auto item = static_cast<int64_t>(item_size);
  const Transpose transpose = pack_kernels().transpose[pack_index(item_size)];
  loop.size[axis] = pieces;
  loop.stride[0][axis] *= rows_at_once;
  loop.stride[1][axis] *= rows_at_once;
  const int64_t grain = std::max<int64_t>(1, bytes_a_thread / (rows_at_once * loop.inner() * item));
  parallel_for(loop.rows(), grain, [&](int64_t begin, int64_t end) {
    std::byte* bases[] = {to, from};
    int64_t piece = begin % pieces;
    loop.for_rows(bases, begin, end, [&](std::byte* const* at) {
      const int64_t count = std::min(rows_at_once, rows - piece * rows_at_once);
      transpose(at[1], loop.inner_stride(1), at[0], to_step, count, loop.inner());
      if (++piece == pieces) piece = 0;
    });
  });
}

template <class Word>
void copy_words(const StridedLoop& loop, std::byte* to, std::byte* from) {
  if (const int axis = transposed_axis(loop, sizeof(Word)); axis >= 0) {
    return copy_transposed(loop, axis, to, from, sizeof(Word));
  }
  if (loop.rank == 1) {  // one long row: split the row itself
    parallel_for(loop.inner(), bytes_a_thread / static_cast<int64_t>(sizeof(Word)),
                 [&](int64_t begin, int64_t end) {
                   copy_row<Word>(to + begin * loop.inner_stride(0), loop.inner_stride(0),
                                  from + begin * loop.inner_stride(1), loop.inner_stride(1),
                                  end - begin);
                 });
    return;
  }
  const int64_t grain =
      std::max<int64_t>(1, bytes_a_thread / (loop.inner() * static_cast<int64_t>(sizeof(Word))));
  parallel_for(loop.rows(), grain, [&](int64_t begin, int64_t end) {
    std::byte* bases[] = {to, from};
    loop.for_rows(bases, begin, end, [&](std::byte* const* at) {
      copy_row<Word>(at[0], loop.inner_stride(0), at[1], loop.inner_stride(1), loop.inner());
    });
  });
}

}  // namespace

void copy_strided(std::byte* to, const Strides& to_strides, const std::byte* from,
                  const Strides& from_strides, const Shape& shape, size_t item_size) {
  if (shape.numel() == 0) return;
  const std::array strides = {to_strides, from_strides};
  const std::array sizes = {item_size, item_size};
  const StridedLoop loop(shape, strides, sizes);
  auto* source = const_cast<std::byte*>(from);
  switch (item_size) {
    case 1:
      return copy_words<uint8_t>(loop, to, source);
    case 2:
      return copy_words<uint16_t>(loop, to, source);
    case 4:
      return copy_words<uint32_t>(loop, to, source);
    case 8:
      return copy_words<uint64_t>(loop, to, source);
    case 16:
      return copy_words<unsigned __int128>(loop, to, source);
    default:
      internal_failure("an item of 1, 2, 4, 8 or 16 bytes", __FILE__, __LINE__);
  }
}

}  // namespace taper

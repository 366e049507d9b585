#include <taper/backend/cpu/copy.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <taper/backend/cpu/strided.h>
#include <taper/core/threads.h>

namespace taper {
namespace {

constexpr int64_t bytes_a_thread = int64_t{1} << 18;

template <class Word>
void copy_row(std::byte* to, int64_t to_step, const std::byte* from, int64_t from_step,
              int64_t count) {
  if (to_step == sizeof(Word) && from_step == sizeof(Word)) {
    std::memcpy(to, from, sizeof(Word) * static_cast<size_t>(count));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, from + i * from_step, sizeof word);
    std::memcpy(to + i * to_step, &word, sizeof word);
  }
}

template <class Word>
void copy_words(const StridedLoop& loop, std::byte* to, std::byte* from) {
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

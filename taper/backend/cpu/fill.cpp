#include <taper/backend/cpu/fill.h>

#include <algorithm>
#include <cstring>

#include <taper/core/threads.h>

namespace taper {

void fill(const View& out, const Element& element) {
  constexpr int64_t grain = 1 << 18;  // of a byte: 25 µs of writing
  constexpr int64_t block = 1024;     // elements that are copied: wider words than one by one
  visit<kinds::every>(out.dtype(), [&]<class T>() {
    T* const to = out.as<T>();
    const T value = element.as<T>();
    parallel_for(out.numel(), grain / static_cast<int64_t>(sizeof(T)),
                 [=](int64_t begin, int64_t end) {
                   const int64_t first = std::min(block, end - begin);
                   std::fill_n(to + begin, first, value);
                   for (int64_t at = begin + first; at < end; at += block) {
                     const int64_t count = std::min(block, end - at);
                     std::memcpy(to + at, to + begin, static_cast<size_t>(count) * sizeof(T));
                   }
                 });
  });
}

}  // namespace taper

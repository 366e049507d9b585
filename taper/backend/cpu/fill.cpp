#include <taper/backend/cpu/fill.h>

#include <algorithm>

#include <taper/core/threads.h>

namespace taper {

void fill(const View& out, const Element& element) {
  constexpr int64_t grain = 1 << 18;  // of a byte: 25 µs of writing
  visit<kinds::every>(out.dtype(), [&]<class T>() {
    T* const to = out.as<T>();
    const T value = element.as<T>();
    parallel_for(out.numel(), grain / static_cast<int64_t>(sizeof(T)),
                 [=](int64_t begin, int64_t end) { std::fill(to + begin, to + end, value); });
  });
}

}  // namespace taper

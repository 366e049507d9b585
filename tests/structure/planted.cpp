// Mistakes that the sanitizers must find: planted NAME. Without a name it makes none.

#include <cstdio>
#include <limits>
#include <string_view>
#include <thread>

#include <taper/core/allocator.h>
#include <taper/core/tensor.h>
#include <taper/core/threads.h>

namespace {

volatile int sink = 0;
void* volatile forgotten = nullptr;

// A tensor's buffer, so that Taper's allocator must not hide it.
void heap_overflow() {
  taper::Tensor x = taper::empty({5});
  volatile float* data = x.mutable_data<float>();
  data[5] = 1;
}

void use_after_free() {
  const volatile float* data = nullptr;
  {
    taper::Tensor x = taper::from_values<float>({1}, std::vector<float>{1.0f});
    data = x.data<float>();
  }
  sink = static_cast<int>(data[0]);
}

void signed_overflow() {
  volatile int large = std::numeric_limits<int>::max();
  sink = large + 1;
}

void leak() {
  forgotten = taper::allocate(100);
  forgotten = nullptr;
}

void data_race() {
  int count = 0;
  std::thread other([&] { ++count; });
  ++count;
  other.join();
  sink = count;
}

// Between the parts of a parallel_for.
void parallel_race() {
  taper::set_threads(2);
  int count = 0;
  taper::parallel_for(2, 1, [&](int64_t, int64_t) { ++count; });
  sink = count;
}

constexpr struct {
  std::string_view name;
  void (*make)();
} mistakes[] = {{"heap_overflow", heap_overflow},
                {"use_after_free", use_after_free},
                {"signed_overflow", signed_overflow},
                {"leak", leak},
                {"data_race", data_race},
                {"parallel_race", parallel_race}};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view wanted = argc > 1 ? argv[1] : "";
  for (const auto& [name, make] : mistakes) {
    if (name == wanted) make();
  }
  std::puts("reached the end");
  return 0;
}

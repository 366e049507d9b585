#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include <taper/core/allocator.h>

namespace taper::testing {

/// While it lives, all allocations of this thread ask the shared part of the allocator, and the one
/// behind `before` others fails; later ones succeed.
class FailingAllocation {
 public:
  explicit FailingAllocation(int64_t before) {
    detail::ThreadPool& pool = detail::thread_pool;
    for (size_t c = 0; c < Pool::classes; ++c) {
      lists_[c] = std::exchange(pool.list[c], nullptr);
      counts_[c] = std::exchange(pool.count[c], Pool::keep);  // what is given back goes on
    }
    detail::allocations_before_failure = before;
  }
  ~FailingAllocation() {
    detail::allocations_before_failure = -1;
    detail::ThreadPool& pool = detail::thread_pool;
    for (size_t c = 0; c < Pool::classes; ++c) {
      while (Pool::Free* block = pool.list[c]) {  // from after the failure
        pool.list[c] = block->next;
        block->next = std::exchange(lists_[c], block);
        ++counts_[c];
      }
      pool.list[c] = lists_[c];
      pool.count[c] = counts_[c];
    }
  }
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  /// Whether the allocation has failed: otherwise there were not as many.
  static bool happened() { return detail::allocations_before_failure < 0; }

 private:
  using Pool = detail::ThreadPool;
  std::array<Pool::Free*, Pool::classes> lists_;
  std::array<uint16_t, Pool::classes> counts_;
};

}  // namespace taper::testing

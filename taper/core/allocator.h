#pragma once

#include <cstddef>
#include <cstdint>

#include <taper/core/api.h>

namespace taper {

/// What the caching allocator holds, in bytes.
struct MemoryStats {
  size_t in_use = 0;  ///< handed out and not yet given back
  size_t peak = 0;    ///< the largest `in_use` seen since the start or `reset_peak_memory`
  /// Kept for reuse, at most twice the largest `in_use` ever, or 4 MiB. All of it goes back to the
  /// system before a request fails, be it one to `new`.
  size_t cached = 0;
};

/// Statistics over all threads. Blocks up to 2 KiB enter `peak` when a thread's list is refilled.
TAPER_API MemoryStats memory_stats();

/// Starts a new `peak` at the present use.
TAPER_API void reset_peak_memory();

/// Gives what is cached back to the system, but for the lists of other threads and for what shares
/// 64 KiB with memory in use.
TAPER_API void empty_memory_cache();

/// Gives the cache back if a limit of the process leaves less address space than this: before what
/// cannot ask again, such as another library's allocations or threads. Throws value if it then
/// still leaves less than `needed`.
TAPER_API void leave_room(size_t bytes, size_t needed = 0);

/// Memory aligned to 64 bytes, kept and reused when given back; small blocks from a list of the
/// calling thread. Where the system has no more, all that is kept goes back to it first; throws
/// value if that does not help. `bytes` must be the same in `give_back`.
void* allocate(size_t bytes);
void give_back(void* block, size_t bytes);

namespace detail {

/// Free blocks of one thread, by size in steps of 64 bytes.
struct ThreadPool {
  static constexpr size_t step = 64;
  static constexpr size_t classes = 33;  // up to 2 KiB
  static constexpr uint16_t keep = 256;  // more free blocks than this go to all threads
  struct Free {
    Free* next;
  };
  Free* list[classes] = {};
  uint16_t count[classes];  // `keep` sends every call of a thread that is not a member the slow way
  int64_t in_use = 0;

  constexpr ThreadPool() {
    for (uint16_t& blocks : count) blocks = keep;
  }
};

TAPER_API extern constinit thread_local ThreadPool thread_pool TAPER_TLS_FAST;

/// 1 for 0 to 64 bytes, and so on; does not overflow.
constexpr size_t size_class_of(size_t bytes) {
  return (bytes - (bytes != 0 ? 1 : 0)) / ThreadPool::step + 1;
}

/// For tests: so many more allocations of this thread succeed that its own list does not serve, and
/// the one behind them fails; negative: none fails. While it is set no list is filled.
TAPER_API extern constinit thread_local int64_t allocations_before_failure TAPER_TLS_FAST;

TAPER_API void* allocate_slow(size_t size_class, size_t bytes);
TAPER_API void give_back_slow(void* block, size_t size_class, size_t bytes);

}  // namespace detail

inline void* allocate(size_t bytes) {
  const size_t size_class = detail::size_class_of(bytes);
  detail::ThreadPool& pool = detail::thread_pool;
  if (size_class >= detail::ThreadPool::classes || pool.list[size_class] == nullptr) [[unlikely]] {
    return detail::allocate_slow(size_class, bytes);
  }
  detail::ThreadPool::Free* block = pool.list[size_class];
  pool.list[size_class] = block->next;
  --pool.count[size_class];
  __atomic_store_n(&pool.in_use,
                   pool.in_use + static_cast<int64_t>(size_class * detail::ThreadPool::step),
                   __ATOMIC_RELAXED);
  return block;
}

inline void give_back(void* memory, size_t bytes) {
  const size_t size_class = detail::size_class_of(bytes);
  detail::ThreadPool& pool = detail::thread_pool;
  if (size_class >= detail::ThreadPool::classes ||
      pool.count[size_class] >= detail::ThreadPool::keep) [[unlikely]] {
    return detail::give_back_slow(memory, size_class, bytes);
  }
  auto* block = static_cast<detail::ThreadPool::Free*>(memory);
  block->next = pool.list[size_class];
  pool.list[size_class] = block;
  ++pool.count[size_class];
  __atomic_store_n(&pool.in_use,
                   pool.in_use - static_cast<int64_t>(size_class * detail::ThreadPool::step),
                   __ATOMIC_RELAXED);
}

}  // namespace taper

#include <taper/core/allocator.h>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <taper/core/error.h>
#include <taper/core/large_blocks.h>

namespace taper {
namespace detail {

constinit thread_local ThreadPool thread_pool;
constinit thread_local int64_t allocations_before_failure = -1;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool keep_blocks = false;  // so that it sees every use after free and out of bounds
#else
constexpr bool keep_blocks = true;
#endif

constexpr size_t refill_bytes = size_t{32} << 10;

/// Free small blocks. The list lies in the blocks: to give one back takes no memory.
class SmallBlocks {
 public:
  size_t size() const { return size_; }
  void push(void* memory) noexcept {
    auto* block = static_cast<ThreadPool::Free*>(memory);
    block->next = first_;
    first_ = block;
    ++size_;
  }
  void* pop() noexcept {
    ThreadPool::Free* block = first_;
    first_ = block->next;
    --size_;
    return block;
  }

 private:
  ThreadPool::Free* first_ = nullptr;
  size_t size_ = 0;
};

/// Everything that threads share. Never destroyed: blocks may be given back during exit.
struct Shared {
  std::mutex mutex;
  std::vector<ThreadPool*> threads;
  int64_t ended_in_use = 0;  // of threads that have ended
  SmallBlocks small[ThreadPool::classes];
  LargeBlocks large;
  int64_t large_in_use = 0;
  size_t small_cached = 0;
  size_t peak = 0;
  size_t most_in_use = 0;  // ever; `peak` can start anew
};

Shared& shared();

/// Of all threads only the one that forked exists in the child.
void keep_own_pool_after_fork() {
  Shared& all = shared();
  for (ThreadPool* pool : all.threads) {
    if (pool != &thread_pool) all.ended_in_use += pool->in_use;
  }
  std::erase_if(all.threads, [](const ThreadPool* pool) { return pool != &thread_pool; });
  all.mutex.unlock();
}

void give_cache_back();

Shared& shared() {
  static Shared* const instance = [] {
    // No thread may hold the lock at the moment of a fork: in the child nobody would release it.
    pthread_atfork([] { shared().mutex.lock(); }, [] { shared().mutex.unlock(); },
                   keep_own_pool_after_fork);
    auto* made = new Shared;
    if (std::get_new_handler() == nullptr) std::set_new_handler(give_cache_back);
    return made;
  }();
  return *instance;
}

int64_t in_use_locked(const Shared& all) {
  int64_t total = all.large_in_use + all.ended_in_use;
  for (const ThreadPool* pool : all.threads) {
    total += __atomic_load_n(&pool->in_use, __ATOMIC_RELAXED);
  }
  return total;
}

void note_peak_locked(Shared& all) {
  all.peak = std::max(all.peak, static_cast<size_t>(std::max<int64_t>(0, in_use_locked(all))));
  all.most_in_use = std::max(all.most_in_use, all.peak);
}

/// Registers the calling thread's pool, and hands its blocks to the others when the thread ends.
struct ThreadMember {
  ThreadMember() {
    const std::lock_guard lock(shared().mutex);
    joining = true;
    shared().threads.push_back(&thread_pool);
    joining = false;
    for (uint16_t& blocks : thread_pool.count) blocks = 0;
  }
  ~ThreadMember() {
    Shared& all = shared();
    const std::lock_guard lock(all.mutex);
    for (size_t c = 0; c < ThreadPool::classes; ++c) {
      while (ThreadPool::Free* block = thread_pool.list[c]) {
        thread_pool.list[c] = block->next;
        all.small[c].push(block);
        all.small_cached += c * ThreadPool::step;
      }
      thread_pool.count[c] = ThreadPool::keep;  // what is given back later goes the slow way
    }
    all.ended_in_use += thread_pool.in_use;
    thread_pool.in_use = 0;
    std::erase(all.threads, &thread_pool);
    ended = true;
  }
  static thread_local bool ended;
  static thread_local bool joining;  // asks for memory under the lock
};
constinit thread_local bool ThreadMember::ended = false;
constinit thread_local bool ThreadMember::joining = false;

void join_pool() {
  if (ThreadMember::ended) return;
  thread_local ThreadMember member;
  (void)member;
}

[[noreturn]] void fail_to_allocate(size_t bytes) {
  fail(ErrorKind::value, "cannot allocate " + std::to_string(bytes) + " bytes of memory");
}

/// Gives memory back to the system until at most `most` bytes are kept, `last` at the end. The
/// lists of small blocks are left alone unless they are much of it.
void shrink_locked(Shared& all, size_t most, const void* last) {
  if (all.small_cached <= most / 2) return all.large.shrink(most - all.small_cached, last);
  for (size_t c = 1; c < ThreadPool::classes; ++c) {
    while (all.small[c].size() > 0) all.large.put(all.small[c].pop(), c * ThreadPool::step);
  }
  all.small_cached = 0;
  all.large.shrink(most, last);
}

/// For `new`, where the system has no more memory: it is asked again when the cache went back.
void give_cache_back() {
  if (ThreadMember::joining) {
    ThreadMember::joining = false;
    throw std::bad_alloc();
  }
  Shared& all = shared();
  const std::lock_guard lock(all.mutex);
  const auto kept = [&] { return all.small_cached + all.large.kept(); };
  const size_t before = kept();
  shrink_locked(all, 0, nullptr);
  if (kept() == before) throw std::bad_alloc();
}

/// Where the system, or a limit set for the process, allows no more memory, all that is kept goes
/// back, and it is asked once more.
void* take_large_locked(Shared& all, size_t bytes) {
  const size_t rounded = round_large(bytes);
  void* block = all.large.take(rounded);
  if (block == nullptr) {
    shrink_locked(all, 0, nullptr);
    block = all.large.take(rounded);
  }
  if (block == nullptr) fail_to_allocate(bytes);
  return block;
}

void count_small(int64_t bytes) {
  __atomic_store_n(&thread_pool.in_use, thread_pool.in_use + bytes, __ATOMIC_RELAXED);
}

void* allocate_small(size_t size_class) {
  join_pool();
  Shared& all = shared();
  const size_t bytes = size_class * ThreadPool::step;
  const std::lock_guard lock(all.mutex);
  SmallBlocks& spare = all.small[size_class];
  const size_t wanted = std::clamp<size_t>(refill_bytes / bytes, 8, ThreadPool::keep / 2);
  if (spare.size() < wanted) {
    const size_t size = round_large(bytes * wanted);
    auto* slab = static_cast<std::byte*>(take_large_locked(all, size));
    for (size_t i = 0; i < size / bytes; ++i) spare.push(slab + i * bytes);
    all.small_cached += size / bytes * bytes;
    if (size % bytes > 0) all.large.put(slab + size / bytes * bytes, size % bytes);
  }
  auto take = [&] {
    void* block = spare.pop();
    all.small_cached -= bytes;
    return block;
  };
  if (!ThreadMember::ended && allocations_before_failure < 0) {
    for (size_t i = 1; i < wanted; ++i) {
      auto* block = static_cast<ThreadPool::Free*>(take());
      block->next = thread_pool.list[size_class];
      thread_pool.list[size_class] = block;
      ++thread_pool.count[size_class];
    }
  }
  void* block = take();
  count_small(static_cast<int64_t>(bytes));
  note_peak_locked(all);
  return block;
}

void* allocate_large(size_t bytes) {
  if (bytes > PTRDIFF_MAX / 2) fail_to_allocate(bytes);  // rounding up could overflow
  Shared& all = shared();
  const std::lock_guard lock(all.mutex);
  void* block = take_large_locked(all, bytes);
  all.large_in_use += static_cast<int64_t>(round_large(bytes));
  note_peak_locked(all);
  return block;
}

int64_t counted_bytes(size_t size_class, size_t bytes) {
  const bool small = size_class < ThreadPool::classes;
  return static_cast<int64_t>(small ? size_class * ThreadPool::step : round_large(bytes));
}

/// Of exactly this size, from malloc.
void* allocate_exact(size_t size_class, size_t bytes) {
  void* block = nullptr;
  if (bytes > PTRDIFF_MAX || posix_memalign(&block, ThreadPool::step, bytes) != 0) {
    fail_to_allocate(bytes);
  }
  Shared& all = shared();
  const std::lock_guard lock(all.mutex);
  all.large_in_use += counted_bytes(size_class, bytes);
  note_peak_locked(all);
  return block;
}

void give_back_exact(void* block, size_t size_class, size_t bytes) {
  std::free(block);
  Shared& all = shared();
  const std::lock_guard lock(all.mutex);
  all.large_in_use -= counted_bytes(size_class, bytes);
}

}  // namespace

void* allocate_slow(size_t size_class, size_t bytes) {
  if (allocations_before_failure >= 0) {
    --allocations_before_failure;
    if (allocations_before_failure < 0) fail_to_allocate(bytes);
  }
  if (!keep_blocks) return allocate_exact(size_class, bytes);
  try {
    return size_class < ThreadPool::classes ? allocate_small(size_class) : allocate_large(bytes);
  } catch (const std::bad_alloc&) {  // for the notes about blocks
    fail_to_allocate(bytes);
  }
}

void give_back_slow(void* block, size_t size_class, size_t bytes) {
  if (!keep_blocks) return give_back_exact(block, size_class, bytes);
  try {
    join_pool();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then nobody counts for it
  }
  Shared& all = shared();
  const std::lock_guard lock(all.mutex);
  if (size_class >= ThreadPool::classes) {
    const size_t rounded = round_large(bytes);
    all.large.put(block, rounded);
    all.large_in_use -= static_cast<int64_t>(rounded);
  } else {
    const auto size = static_cast<int64_t>(size_class * ThreadPool::step);
    if (ThreadMember::ended) {
      all.ended_in_use -= size;
    } else {
      count_small(-size);
    }
    all.small[size_class].push(block);
    all.small_cached += static_cast<size_t>(size);
  }
  const size_t most = 2 * std::max(all.most_in_use, LargeBlocks::segment);
  if (all.small_cached + all.large.kept() > most) shrink_locked(all, most, block);
}

}  // namespace detail

MemoryStats memory_stats() {
  detail::Shared& all = detail::shared();
  const std::lock_guard lock(all.mutex);
  detail::note_peak_locked(all);
  const int64_t in_use = std::max<int64_t>(0, detail::in_use_locked(all));
  return {.in_use = static_cast<size_t>(in_use),
          .peak = all.peak,
          .cached = all.small_cached + all.large.kept()};
}

void reset_peak_memory() {
  detail::Shared& all = detail::shared();
  const std::lock_guard lock(all.mutex);
  all.peak = 0;
  detail::note_peak_locked(all);
}

void empty_memory_cache() {
  detail::Shared& all = detail::shared();
  const std::lock_guard lock(all.mutex);
  detail::shrink_locked(all, 0, nullptr);
}

namespace {

/// The address space that the process uses.
size_t used_space() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void leave_room(size_t bytes, size_t needed) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  if (used_space() + bytes <= limit.rlim_cur) return;
  empty_memory_cache();
  if (needed == 0 || used_space() + needed <= limit.rlim_cur) return;
  fail(ErrorKind::value, "the limit of address space leaves less than the " +
                             std::to_string(needed >> 20) + " MB that are needed here");
}

}  // namespace taper

#include <taper/core/allocator.h>

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/core/error_testing.h"

// Without this the sanitizers end the program where malloc would return null.
extern "C" {
TAPER_API const char* __asan_default_options();
TAPER_API const char* __tsan_default_options();
const char* __asan_default_options() { return "allocator_may_return_null=1"; }
const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
}

namespace taper {
namespace {

using testing::thrown_text;

constexpr size_t large = size_t{1} << 20;

// With the address sanitizer every block comes from and goes to malloc.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps_blocks = false;
#else
constexpr bool keeps_blocks = true;
#endif

size_t in_use() { return memory_stats().in_use; }

void fill(void* block, size_t bytes, uint8_t value) { std::memset(block, value, bytes); }

bool holds(const void* block, size_t bytes, uint8_t value) {
  const auto* data = static_cast<const uint8_t*>(block);
  for (size_t i = 0; i < bytes; ++i) {
    if (data[i] != value) return false;
  }
  return true;
}

TEST(Allocator, BlocksAreAlignedAndApart) {
  struct Block {
    void* data;
    size_t bytes;
  };
  std::vector<Block> blocks;
  for (size_t bytes : {0u, 1u, 63u, 64u, 65u, 2048u, 2049u, 4095u, 100'000u, 3'000'001u}) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      void* data = allocate(bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u) << bytes;
      fill(data, bytes, static_cast<uint8_t>(blocks.size()));
      blocks.push_back({data, bytes});
    }
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_TRUE(holds(blocks[i].data, blocks[i].bytes, static_cast<uint8_t>(i)));
    give_back(blocks[i].data, blocks[i].bytes);
  }
}

TEST(Allocator, CountsWhatIsInUse) {
  const size_t before = in_use();
  void* empty = allocate(0);
  void* small = allocate(100);
  void* big = allocate(large);
  EXPECT_EQ(in_use(), before + 64 + 128 + large);
  give_back(small, 100);
  EXPECT_EQ(in_use(), before + 64 + large);
  give_back(big, large);
  give_back(empty, 0);
  EXPECT_EQ(in_use(), before);
}

TEST(Allocator, SizesAreRoundedUpByAQuarterAtMost) {
  for (size_t bytes = 2049; bytes < 40'000'000; bytes = bytes * 9 / 8 + 1) {
    const size_t before = in_use();
    void* block = allocate(bytes);
    const size_t counted = in_use() - before;
    EXPECT_GE(counted, bytes);
    EXPECT_LE(counted, bytes + bytes / 4);
    give_back(block, bytes);
    EXPECT_EQ(in_use(), before);
  }
}

TEST(Allocator, RemembersThePeak) {
  reset_peak_memory();
  const size_t before = in_use();
  void* one = allocate(large);
  void* two = allocate(2 * large);
  give_back(one, large);
  give_back(two, 2 * large);
  EXPECT_EQ(memory_stats().peak, before + 3 * large);
  void* again = allocate(large);
  EXPECT_EQ(memory_stats().peak, before + 3 * large);
  reset_peak_memory();
  EXPECT_EQ(memory_stats().peak, before + large);
  give_back(again, large);
}

TEST(Allocator, SmallBlocksEnterThePeak) {
  reset_peak_memory();
  const size_t before = in_use();
  std::vector<void*> blocks;
  for (int i = 0; i < 10'000; ++i) blocks.push_back(allocate(256));
  EXPECT_EQ(memory_stats().peak, before + 2'560'000);  // asking looks, too
  for (void* block : blocks) give_back(block, 256);
  EXPECT_EQ(memory_stats().peak, before + 2'560'000);
  EXPECT_EQ(in_use(), before);
}

TEST(Allocator, PeakOfSmallBlocksIsSeenWithoutAsking) {
  reset_peak_memory();
  const size_t before = in_use();
  std::vector<void*> blocks;
  for (int i = 0; i < 10'000; ++i) blocks.push_back(allocate(256));
  for (void* block : blocks) give_back(block, 256);
  // Exact but for what a thread's list holds.
  EXPECT_GE(memory_stats().peak, before + 2'560'000 - size_t{64} * 1024);
}

TEST(Allocator, GivesTheSameMemoryAgain) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  for (size_t bytes : {size_t{64}, size_t{2000}, large, 33 * large}) {
    void* block = allocate(bytes);
    give_back(block, bytes);
    void* again = allocate(bytes);
    EXPECT_EQ(again, block) << bytes;
    give_back(again, bytes);
  }
  void* block = allocate(large - 1);  // rounded to the same size
  give_back(block, large - 1);
  EXPECT_EQ(allocate(large), block);
  give_back(block, large);
}

TEST(Allocator, CountsWhatItKeepsAndGivesItToTheSystem) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  empty_memory_cache();
  const size_t before = memory_stats().cached;
  void* block = allocate(7 * large);
  EXPECT_EQ(memory_stats().cached, before);
  give_back(block, 7 * large);
  EXPECT_EQ(memory_stats().cached, before + 7 * large);
  block = allocate(7 * large);
  EXPECT_EQ(memory_stats().cached, before);
  give_back(block, 7 * large);
  empty_memory_cache();
  EXPECT_EQ(memory_stats().cached, before);
  empty_memory_cache();
  EXPECT_EQ(memory_stats().cached, before);
}

TEST(Allocator, KeepsAtMostTwiceWhatWasEverInUse) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  empty_memory_cache();
  reset_peak_memory();
  const size_t before = memory_stats().cached;
  size_t most = in_use();
  // One block at a time, from 100 MB to 1.16 GB; nobody touches them.
  for (size_t bytes = 100'000'000; bytes < 1'160'000'000; bytes += bytes / 16) {
    void* block = allocate(bytes);
    most = std::max(most, in_use());
    give_back(block, bytes);
    EXPECT_LE(memory_stats().cached, before + 2 * std::max(most, memory_stats().peak)) << bytes;
  }
  // The last ones were made of those before them.
  empty_memory_cache();
  EXPECT_EQ(memory_stats().cached, before);
}

TEST(Allocator, SmallerRequestsAreCutFromALargeBlock) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  empty_memory_cache();
  const size_t before = memory_stats().cached;
  void* whole = allocate(64 * large);
  give_back(whole, 64 * large);
  std::vector<std::pair<std::byte*, size_t>> pieces;
  for (size_t bytes : {20 * large, large / 16, 4 * large, large}) {
    pieces.emplace_back(static_cast<std::byte*>(allocate(bytes)), bytes);
    fill(pieces.back().first, bytes, static_cast<uint8_t>(pieces.size()));
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto& [piece, bytes] = pieces[i];
    EXPECT_GE(piece, static_cast<std::byte*>(whole));
    EXPECT_LE(piece + bytes, static_cast<std::byte*>(whole) + 64 * large);
    EXPECT_TRUE(holds(piece, bytes, static_cast<uint8_t>(i + 1)));
  }
  EXPECT_EQ(memory_stats().cached, before + 39 * large - large / 16);
  for (const auto& [piece, bytes] : pieces) give_back(piece, bytes);
  EXPECT_EQ(memory_stats().cached, before + 64 * large);
  EXPECT_EQ(allocate(64 * large), whole);  // joined again
  give_back(whole, 64 * large);
  empty_memory_cache();
  EXPECT_EQ(memory_stats().cached, before);
}

TEST(Allocator, ServesSmallRequestsFromALargeBlock) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  empty_memory_cache();
  give_back(allocate(64 * large), 64 * large);
  // What the list of a thread holds is not counted.
  const auto held = [] { return memory_stats().in_use + memory_stats().cached; };
  const size_t before = held();
  std::vector<std::pair<void*, size_t>> pieces;
  for (size_t bytes = 1; bytes < 40 * large; bytes += pieces.back().second) {
    pieces.emplace_back(allocate(100 + bytes % 20'000), 100 + bytes % 20'000);
    fill(pieces.back().first, pieces.back().second, static_cast<uint8_t>(pieces.size()));
  }
  EXPECT_LE(held(), before);
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_TRUE(holds(pieces[i].first, pieces[i].second, static_cast<uint8_t>(i + 1)));
  }
  for (const auto& [piece, bytes] : pieces) {
    if (bytes > 2048) give_back(piece, bytes);
  }
  EXPECT_LE(held(), before);
  give_back(allocate(30 * large), 30 * large);  // a large one is made of pieces again
  EXPECT_LE(held(), before);
  for (const auto& [piece, bytes] : pieces) {
    if (bytes <= 2048) give_back(piece, bytes);
  }
}

TEST(Allocator, KeepsBlocksOfAllSizesApartWhateverGoesBackToTheSystem) {
  std::mt19937 random(7);
  std::vector<std::pair<void*, size_t>> blocks;
  const size_t before = in_use();
  for (int round = 0; round < 40'000; ++round) {
    if (round % 4000 == 3999) empty_memory_cache();
    const size_t most = round / 10'000 % 2 == 0 ? 3000 : 100;  // grows and shrinks
    if (blocks.size() < most && random() % 2 == 0) {
      const size_t bytes = 2049 + random() % (size_t{1} << (12 + random() % 10));
      void* block = allocate(bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
      blocks.emplace_back(block, bytes);
      std::memcpy(block, &bytes, sizeof bytes);
      std::memcpy(static_cast<char*>(block) + bytes - sizeof bytes, &bytes, sizeof bytes);
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      const auto [block, bytes] = blocks.back();
      blocks.pop_back();
      ASSERT_EQ(std::memcmp(block, &bytes, sizeof bytes), 0);
      ASSERT_EQ(std::memcmp(static_cast<char*>(block) + bytes - sizeof bytes, &bytes, sizeof bytes),
                0);
      give_back(block, bytes);
    }
  }
  for (const auto& [block, bytes] : blocks) give_back(block, bytes);
  EXPECT_EQ(in_use(), before);
}

TEST(Allocator, PiecesGoBackToTheSystemInAnyOrder) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  empty_memory_cache();
  give_back(allocate(16 * large), 16 * large);
  void* first = allocate(4 * large);
  void* second = allocate(large / 4);
  void* third = allocate(2 * large);
  give_back(second, large / 4);
  empty_memory_cache();  // the gap and the end, while the others are in use
  fill(first, 4 * large, 1);
  fill(third, 2 * large, 3);
  give_back(first, 4 * large);
  empty_memory_cache();
  EXPECT_TRUE(holds(third, 2 * large, 3));
  give_back(third, 2 * large);
  const size_t cached = memory_stats().cached;
  empty_memory_cache();
  EXPECT_EQ(memory_stats().cached, cached - 2 * large);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
/// To what the process has and `more`: in a child of its own.
void limit_address_space(size_t more) {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const size_t most = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + more;
  const rlimit limit{most, most};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::exit(2);
}

TEST(Allocator, EmptiesItsCacheBeforeItFails) {
  const auto in_child = [] {
    empty_memory_cache();
    std::vector<void*> blocks;
    for (int i = 0; i < 11; ++i) blocks.push_back(allocate(512 * large));
    std::ranges::sort(blocks);
    blocks.erase(blocks.begin() + 5);  // stays in use: what is kept is in two halves
    for (void* block : blocks) give_back(block, 512 * large);
    if (memory_stats().cached < 5120 * large) std::exit(1);
    limit_address_space(64 * large);
    give_back(allocate(5120 * large), 5120 * large);
    try {
      allocate(8192 * large);
    } catch (const Error&) {
      std::exit(0);  // that is too much indeed
    }
    std::exit(3);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

TEST(Allocator, GivesItsCacheToWhoElseNeedsMemory) {
  const auto in_child = [] {
    give_back(allocate(512 * large), 512 * large);
    limit_address_space(64 * large);
    const std::vector<char> mine(400 * large);
    try {
      const std::vector<char> more(400 * large);
    } catch (const std::bad_alloc&) {
      std::exit(mine[0]);
    }
    std::exit(3);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

TEST(Allocator, LeavesRoomForOthersAtALimit) {
  const auto in_child = [] {
    give_back(allocate(512 * large), 512 * large);
    const size_t before = memory_stats().cached;
    leave_room(1000 * large);
    if (memory_stats().cached != before) std::exit(1);  // there is no limit
    limit_address_space(64 * large);
    leave_room(32 * large);
    if (memory_stats().cached != before) std::exit(3);
    leave_room(65 * large);
    std::exit(memory_stats().cached < before ? 0 : 4);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

/// Nothing is left of the address space for them but what the pieces had.
TEST(Allocator, MakesALargeBlockOfPiecesAtALimit) {
  for (const size_t piece : {size_t{1000}, size_t{4096}, size_t{100'000}}) {
    const auto in_child = [&] {
      empty_memory_cache();
      std::vector<void*> blocks(512 * large / piece);
      for (void*& block : blocks) block = allocate(piece);
      limit_address_space(64 * large);
      for (void* block : blocks) give_back(block, piece);
      allocate(480 * large);
      std::exit(0);
    };
    EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "") << piece;
  }
}
#endif

TEST(Allocator, CachedNeverWraps) {
  for (int i = 0; i < 1000; ++i) {
    std::vector<void*> blocks;
    for (int k = 0; k < 300; ++k) blocks.push_back(allocate(0));
    for (void* block : blocks) give_back(block, 0);
  }
  EXPECT_LT(memory_stats().cached, size_t{1} << 40);
}

TEST(Allocator, HugeSizesAreAnErrorAndLeaveTheStatistics) {
  const MemoryStats before = memory_stats();
  for (size_t bytes : {size_t{1} << 52, size_t{1} << 62, size_t{INT64_MAX}, SIZE_MAX - 200,
                       SIZE_MAX - 62, SIZE_MAX}) {
    const std::string text = thrown_text(ErrorKind::value, [&] { allocate(bytes); });
    EXPECT_TRUE(text.starts_with("cannot allocate ")) << text;
  }
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.in_use, before.in_use);
  EXPECT_EQ(after.peak, before.peak);
  EXPECT_LE(after.cached, before.cached);  // it goes back before a request fails
}

// ---------------------------------------------------------------------------------- threads

constexpr size_t sizes[] = {64, 500, 2048, 5000, large};

TEST(AllocatorThreads, MemoryIsGivenBackByAnotherThread) {
  const size_t before = in_use();
  std::vector<std::pair<void*, size_t>> blocks;
  for (size_t bytes : sizes) {
    for (int i = 0; i < 1000; ++i) {
      if (bytes == large && i == 3) break;
      blocks.emplace_back(allocate(bytes), bytes);
    }
  }
  EXPECT_GT(in_use(), before);
  std::thread([&] {
    for (const auto& [block, bytes] : blocks) give_back(block, bytes);
    EXPECT_EQ(in_use(), before);
  }).join();
  EXPECT_EQ(in_use(), before);
}

TEST(AllocatorThreads, MemoryOutlivesTheThreadThatAskedForIt) {
  const size_t before = in_use();
  std::vector<std::pair<void*, size_t>> blocks;
  std::thread([&] {
    for (size_t bytes : sizes) {
      blocks.emplace_back(allocate(bytes), bytes);
      fill(blocks.back().first, bytes, 42);
    }
  }).join();
  EXPECT_EQ(in_use(), before + 64 + 512 + 2048 + 5120 + large);
  for (const auto& [block, bytes] : blocks) {
    EXPECT_TRUE(holds(block, bytes, 42));
    give_back(block, bytes);
  }
  EXPECT_EQ(in_use(), before);
}

/// Gives a block back and asks for others while its thread ends, after the thread's list is gone.
struct AtThreadEnd {
  void* block = nullptr;
  size_t bytes = 0;
  ~AtThreadEnd() {
    if (block != nullptr) give_back(block, bytes);
    for (size_t size : sizes) give_back(allocate(size), size);
  }
};

TEST(AllocatorThreads, AThreadMayUseItWhileItEnds) {
  const size_t before = in_use();
  for (size_t bytes : sizes) {
    std::thread([&] {
      // Constructed before the thread's list exists, so destroyed after it.
      thread_local AtThreadEnd end;
      end.bytes = bytes;
      end.block = allocate(bytes);
    }).join();
  }
  EXPECT_EQ(in_use(), before);
}

TEST(AllocatorThreads, BlocksOfAnEndedThreadAreUsedAgain) {
  if (!keeps_blocks) GTEST_SKIP() << "the address sanitizer sees every block";
  const size_t count = 5000;
  const auto take_all = [&] {
    std::set<void*> blocks;
    std::thread([&] {
      for (size_t i = 0; i < count; ++i) blocks.insert(allocate(1984));
      for (void* block : blocks) give_back(block, 1984);
    }).join();
    return blocks;
  };
  const std::set<void*> first = take_all();
  size_t again = 0;
  for (void* block : take_all()) again += first.count(block);
  EXPECT_GT(again, count * 9 / 10);
}

TEST(AllocatorThreads, FourAtOnceKeepTheirMemoryApart) {
  const size_t before = in_use();
  std::vector<std::pair<void*, size_t>> left[4];
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      std::vector<std::pair<void*, size_t>> mine;
      for (int round = 0; round < 20'000; ++round) {
        if (mine.empty() || (random() % 2 == 0 && mine.size() < 400)) {
          const size_t bytes = random() % (random() % 16 == 0 ? 20'000 : 1500);
          mine.emplace_back(allocate(bytes), bytes);
          fill(mine.back().first, bytes, static_cast<uint8_t>(t));
        } else {
          const size_t which = random() % mine.size();
          const auto [block, bytes] = mine[which];
          ASSERT_TRUE(holds(block, bytes, static_cast<uint8_t>(t)));
          give_back(block, bytes);
          mine[which] = mine.back();
          mine.pop_back();
        }
      }
      left[t] = std::move(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (unsigned t = 0; t < 4; ++t) {
    for (const auto& [block, bytes] : left[t]) {
      ASSERT_TRUE(holds(block, bytes, static_cast<uint8_t>(t)));
      give_back(block, bytes);
    }
  }
  EXPECT_EQ(in_use(), before);
}

TEST(AllocatorThreads, StatisticsAreReadWhileOthersAllocate) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
      for (size_t bytes : sizes) give_back(allocate(bytes), bytes);
    }
  });
  for (int i = 0; i < 1000; ++i) {
    const MemoryStats stats = memory_stats();
    ASSERT_LE(stats.in_use, stats.peak);
    if (i % 100 == 0) empty_memory_cache();
  }
  stop = true;
  busy.join();
}

}  // namespace
}  // namespace taper

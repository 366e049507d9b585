#include <taper/core/threads.h>

#include <gtest/gtest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <taper/core/allocator.h>
#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;

/// Sets the number of threads for one test.
class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(threads()) { set_threads(count); }
  ~ThreadCount() { set_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

using Parts = std::vector<std::pair<int64_t, int64_t>>;

/// The parts that parallel_for makes, in ascending order.
Parts parts_of(int64_t count, int64_t grain) {
  std::mutex mutex;
  Parts parts;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    parts.emplace_back(begin, end);
  });
  std::sort(parts.begin(), parts.end());
  return parts;
}

// ---------------------------------------------------------------------------------- the number

/// Ends a fresh process in which `variable` alone is set; prints what threads() says.
[[noreturn]] void print_threads(const char* text, const char* variable = "TAPER_THREADS") {
  unsetenv("TAPER_THREADS");
  setenv(variable, text, 1);
  try {
    std::fprintf(stderr, "threads: %d", threads());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s", std::string(kind_name(error.kind())).c_str(), error.what());
  }
  _exit(0);
}

class ThreadsDeathTest : public ::testing::Test {
 protected:
  ThreadsDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ThreadsDeathTest, EnvironmentSetsTheNumber) {
  EXPECT_EXIT(print_threads("1"), ::testing::ExitedWithCode(0), "^threads: 1$");
  EXPECT_EXIT(print_threads("3"), ::testing::ExitedWithCode(0), "^threads: 3$");
  EXPECT_EXIT(print_threads("1024"), ::testing::ExitedWithCode(0), "^threads: 1024$");
}

TEST_F(ThreadsDeathTest, OpenMPsVariableCounts) {
  for (const char* text : {"3", "3,2"}) {
    EXPECT_EXIT(print_threads(text, "OMP_NUM_THREADS"), ::testing::ExitedWithCode(0),
                "^threads: 3$");
  }
  EXPECT_EXIT(print_threads("many", "OMP_NUM_THREADS"), ::testing::ExitedWithCode(0),
              "^threads: [1-9]");
}

TEST_F(ThreadsDeathTest, EnvironmentIsChecked) {
  for (const char* text :
       {"", "0", "-1", "two", "2x", " 2", "2.0", "1025", "99999999999999999999"}) {
    EXPECT_EXIT(print_threads(text), ::testing::ExitedWithCode(0),
                "^value: TAPER_THREADS must be a number in \\[1, 1024\\], got \"" +
                    std::string(text) + "\"$");
  }
}

TEST(Threads, AreAtLeastOne) { EXPECT_GE(threads(), 1); }

TEST(Threads, NumberIsSetAndChecked) {
  const int before = threads();
  for (int count : {1, 3, 1024}) {
    const ThreadCount scope(count);
    EXPECT_EQ(threads(), count);
  }
  for (int count : {0, -5, 1025}) {
    EXPECT_EQ(thrown_text(ErrorKind::value, [&] { set_threads(count); }),
              "set_threads: the count must be in [1, 1024], got " + std::to_string(count));
  }
  EXPECT_EQ(threads(), before);
}

// ---------------------------------------------------------------------------------- parallel_for

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (int count_of_threads : {1, 2, 3, 7}) {
    const ThreadCount scope(count_of_threads);
    for (int64_t count : {1, 2, 3, 10, 1000, 4097}) {
      for (int64_t grain : {0, 1, 3, 1000, 5000}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
        parallel_for(count, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        for (const auto& times : seen) ASSERT_EQ(times, 1) << count << ", grain " << grain;
      }
    }
  }
}

TEST(ParallelFor, CallsNothingForNothing) {
  EXPECT_EQ(parts_of(0, 1), Parts());
  EXPECT_EQ(parts_of(-3, 1), Parts());
}

TEST(ParallelFor, PartsDependOnCountGrainAndThreadsOnly) {
  const ThreadCount scope(4);
  EXPECT_EQ(parts_of(10, 1), (Parts{{0, 2}, {2, 5}, {5, 7}, {7, 10}}));
  EXPECT_EQ(parts_of(10, 4), (Parts{{0, 5}, {5, 10}}));
  EXPECT_EQ(parts_of(10, 6), (Parts{{0, 10}}));
  EXPECT_EQ(parts_of(3, 1), (Parts{{0, 1}, {1, 2}, {2, 3}}));
}

TEST(ParallelFor, UsesThreads) {
  const ThreadCount scope(2);
  std::atomic<int> arrived{0};
  parallel_for(2, 1, [&](int64_t, int64_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();  // only another thread can end this
  });
  EXPECT_EQ(arrived, 2);
}

TEST(ParallelFor, RethrowsAnException) {
  for (int count : {1, 2, 4}) {
    const ThreadCount scope(count);
    for (int64_t bad : {0, 99}) {
      const auto run = [&] {
        parallel_for(100, 1, [&](int64_t begin, int64_t end) {
          if (begin <= bad && bad < end) fail(ErrorKind::index, "not " + std::to_string(bad));
        });
      };
      EXPECT_EQ(thrown_text(ErrorKind::index, run), "not " + std::to_string(bad));
    }
    EXPECT_THROW(parallel_for(100, 1, [](int64_t, int64_t) { throw std::runtime_error("all"); }),
                 std::runtime_error);
    EXPECT_EQ(parts_of(100, 1).size(), static_cast<size_t>(count));  // and goes on working
  }
}

TEST(ParallelFor, NestedCallsRunOnTheirThread) {
  const ThreadCount scope(2);
  std::atomic<int> inner_parts{0};
  std::atomic<bool> moved{false};
  parallel_for(2, 1, [&](int64_t, int64_t) {
    const auto here = std::this_thread::get_id();
    parallel_for(100, 1, [&](int64_t begin, int64_t end) {
      ++inner_parts;
      if (begin != 0 || end != 100 || std::this_thread::get_id() != here) moved = true;
    });
  });
  EXPECT_EQ(inner_parts, 2);
  EXPECT_FALSE(moved);
  EXPECT_EQ(parts_of(100, 1).size(), 2u);
}

TEST(ParallelFor, RunsOnSeveralThreadsAtOnce) {
  const ThreadCount scope(2);
  std::atomic<int64_t> total{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        parallel_for(1000, 1, [&](int64_t begin, int64_t end) { total += end - begin; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 400'000);
}

// ---------------------------------------------------------------------------------- serial scopes

#if !defined(__SANITIZE_THREAD__)  // there oneDNN always has one
TEST(PrepareThread, SetsWhatOpenMpUses) {
  const ThreadCount scope(3);
  prepare_thread();
  EXPECT_EQ(omp_get_max_threads(), 3);
  set_threads(2);
  prepare_thread();
  EXPECT_EQ(omp_get_max_threads(), 2);
  std::thread([] {
    prepare_thread();
    EXPECT_EQ(omp_get_max_threads(), 2);
  }).join();
}
#endif

TEST(SerialScope, KeepsEverythingOnItsThread) {
  const ThreadCount scope(4);
  {
    const SerialScope serial;
    EXPECT_EQ(parts_of(100, 1), (Parts{{0, 100}}));
    prepare_thread();
    EXPECT_EQ(omp_get_max_threads(), 1);
    {
      const SerialScope inner;
      EXPECT_EQ(parts_of(100, 1), (Parts{{0, 100}}));
    }
    EXPECT_EQ(parts_of(100, 1), (Parts{{0, 100}}));
    EXPECT_EQ(threads(), 4);
    std::thread([] { EXPECT_EQ(parts_of(100, 1).size(), 4u); }).join();  // another thread's matter
  }
  EXPECT_EQ(parts_of(100, 1).size(), 4u);
#if !defined(__SANITIZE_THREAD__)
  prepare_thread();
  EXPECT_EQ(omp_get_max_threads(), 4);
#endif
}

TEST(SerialScope, EndsWithAnException) {
  const ThreadCount scope(2);
  try {
    const SerialScope serial;
    parallel_for(10, 1, [](int64_t, int64_t) { throw std::runtime_error("out"); });
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(parts_of(10, 1).size(), 2u);
}

// ---------------------------------------------------------------------------------- fork

/// Runs `body` in a forked process; its exit code, or minus the signal that ended it.
template <class Body>
int forked_exit_code(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);  // a child that waits for threads which do not exist
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Fork, TheChildWorksOnOneThread) {
  const ThreadCount scope(2);
  EXPECT_EQ(parts_of(100, 1).size(), 2u);  // so that the parent has a worker
  const int code = forked_exit_code([] {
    if (threads() != 1) return 1;
    if (parts_of(100, 1) != Parts{{0, 100}}) return 2;
    const Tensor x = ones({64, 64});
    if (sum(matmul(x, x)).item() != 64 * 64 * 64) return 3;
    return 0;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(threads(), 2);
  EXPECT_EQ(parts_of(100, 1).size(), 2u);
}

TEST(Fork, TheChildCannotAskForMoreThreads) {
  const ThreadCount scope(2);
  EXPECT_EQ(parts_of(100, 1).size(), 2u);
  const int code = forked_exit_code([] {
    set_threads(1);
    try {
      set_threads(2);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::unsupported && threads() == 1 ? 0 : 1;
    }
    return 2;
  });
  EXPECT_EQ(code, 0);
}

TEST(Fork, TheChildCanAllocateWhateverOtherThreadsDo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own malloc may be locked in the child";
#endif
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) give_back(allocate(100'000), 100'000);  // holds the allocator's lock often
  });
  int failures = 0;
  for (int i = 0; i < 50; ++i) {
    failures += forked_exit_code([] {
                  const size_t before = memory_stats().in_use;
                  void* block = allocate(100'000);
                  if (memory_stats().in_use <= before) return 1;
                  give_back(block, 100'000);
                  return memory_stats().in_use == before ? 0 : 1;
                }) != 0;
  }
  stop = true;
  busy.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace taper

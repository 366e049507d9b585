// Random numbers that several threads draw.
#include <taper/ops/random/generator.h>

#include <gtest/gtest.h>

#include <barrier>
#include <set>
#include <thread>
#include <vector>

#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;
using Words = std::vector<int64_t>;

TEST(Generator, ThreadsNeverDrawTheSameKey) {
  manual_seed(3);
  constexpr int threads = 4;
  constexpr int draws = 300;
  std::vector<Words> offsets(threads);
  std::vector<std::thread> all;
  for (Words& mine : offsets) {
    all.emplace_back([&mine] {
      for (int i = 0; i < draws; ++i) {
        mine.push_back(default_generator().draw(2).to_vector<int64_t>()[1]);
        rand({4});  // one block each
        default_generator().state();
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  std::set<int64_t> different;
  for (const Words& mine : offsets) different.insert(mine.begin(), mine.end());
  EXPECT_EQ(different.size(), size_t{threads} * draws);
  EXPECT_EQ(default_generator().state().to_vector<int64_t>(), (Words{3, threads * draws * 3}));
}

/// Draws of each kind, two in a row, in dtypes of so many bits that equal numbers are no accident.
void draw_each(int64_t count, Generator* generator, std::vector<double>& all) {
  const auto add = [&](const Tensor& drawn) {
    const auto values = drawn.to_vector<double>();
    all.insert(all.end(), values.begin(), values.end());
  };
  for (int i = 0; i < 2; ++i) add(rand({count}, DType::f64, generator));
  for (int i = 0; i < 2; ++i) add(randn({count}, DType::f64, generator));
  for (int i = 0; i < 2; ++i) add(randint(0, int64_t{1} << 52, {count}, DType::i64, generator));
}

size_t count_different(const std::vector<double>& numbers) {
  return std::set<double>(numbers.begin(), numbers.end()).size();
}

TEST(Generator, ThreadsNeverDrawTheSameNumbers) {
  manual_seed(11);
  std::vector<std::vector<double>> drawn(2);
  std::barrier together(2);  // else one may be done before the other begins
  std::vector<std::thread> threads;
  for (std::vector<double>& mine : drawn) {
    threads.emplace_back([&] {
      for (int64_t count = 1; count <= 60; ++count) {
        together.arrive_and_wait();
        draw_each(count, nullptr, mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  drawn[0].insert(drawn[0].end(), drawn[1].begin(), drawn[1].end());
  EXPECT_EQ(count_different(drawn[0]), drawn[0].size());
}

TEST(Generator, DrawsThatFollowEachOtherShareNoNumber) {
  Generator own(12);
  std::vector<double> all;
  for (int64_t count = 1; count <= 60; ++count) draw_each(count, &own, all);
  EXPECT_EQ(count_different(all), all.size());
}

TEST(Generator, OneOfOnesOwnRepeatsWhateverOthersDraw) {
  const auto draw = [] {
    Generator own(5);
    Tensor all = normal({100}, 0, 1, DType::f32, &own);
    for (int i = 0; i < 50; ++i) all = all + uniform({100}, 0, 1, DType::f32, &own);
    return all.to_vector<float>();
  };
  const std::vector<float> alone = draw();
  std::thread other([] {
    for (int i = 0; i < 500; ++i) rand({10});
  });
  EXPECT_EQ(draw(), alone);
  other.join();
}

TEST(Generator, GoesOnFromAState) {
  Generator generator(9);
  uniform({10}, 0, 1, DType::f32, &generator);
  const Tensor state = generator.state();
  const auto first = uniform({10}, 0, 1, DType::f32, &generator).to_vector<float>();
  generator.set_state(state);
  EXPECT_EQ(uniform({10}, 0, 1, DType::f32, &generator).to_vector<float>(), first);
  thrown_text(ErrorKind::dtype, [&] { generator.set_state(tensor({1.f, 2.f})); });
  thrown_text(ErrorKind::shape, [&] { generator.set_state(zeros({3}, DType::i64)); });
  thrown_text(ErrorKind::shape, [&] { generator.set_state({}); });
}

TEST(GeneratorScope, DrawsDependOnItsNumbersOnly) {
  manual_seed(1);
  const auto draw = [](uint64_t seed, uint64_t major, uint64_t minor) {
    const GeneratorScope scope(default_generator(), seed, major, minor);
    return rand({8}).to_vector<float>();
  };
  const auto first = draw(1, 2, 3);
  const Words before = default_generator().state().to_vector<int64_t>();
  EXPECT_EQ(before, (Words{1, 0}));
  rand({3});
  manual_seed(4);
  EXPECT_EQ(draw(1, 2, 3), first);
  std::set<std::vector<float>> different{first};
  for (const auto& numbers : {draw(1, 3, 2), draw(2, 1, 3), draw(0, 0, 0), draw(1, 2, 4)}) {
    different.insert(numbers);
  }
  EXPECT_EQ(different.size(), 5u);
}

TEST(GeneratorScope, HoldsOnItsOwnThread) {
  manual_seed(1);
  const auto expected = rand({8}).to_vector<float>();
  manual_seed(1);
  const GeneratorScope scope(default_generator(), 1, 2, 3);
  std::vector<float> other;
  std::thread([&] { other = rand({8}).to_vector<float>(); }).join();
  EXPECT_EQ(other, expected);
}

}  // namespace
}  // namespace taper

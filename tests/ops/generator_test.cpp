// Random numbers that several threads draw.
#include <taper/ops/random/generator.h>

#include <gtest/gtest.h>

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

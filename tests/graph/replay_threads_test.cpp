// Replays on several threads, and beside threads that draw random numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <thread>

#include <taper/taper.h>

namespace taper {
namespace {

using Words = std::vector<int64_t>;

Words offset_of(const Tensor& key) { return key.to_vector<int64_t>(); }

/// Two draws with work between them.
Tensor draw_twice(const Tensor& x) { return dropout(exp(dropout(x, 0.5)), 0.25); }

TEST(ReplayThreads, AReplayReservesItsDraws) {
  const Tensor x = ones({40});
  auto compiled = compile(draw_twice);
  manual_seed(7);
  const std::vector<float> eager[] = {draw_twice(x).to_vector<float>(),
                                      draw_twice(x).to_vector<float>()};
  const Words after = offset_of(default_generator().state());
  manual_seed(7);
  for (const std::vector<float>& expected : eager) {
    EXPECT_EQ(compiled(x).to_vector<float>(), expected);
  }
  EXPECT_EQ(offset_of(default_generator().state()), after);
}

TEST(ReplayThreads, DrawOtherNumbersThanEagerThreads) {
  const Tensor x = ones({64});
  auto compiled = compile([](const Tensor& t) { return rand({64}) + t + rand({64}) * 0; });
  compiled(x);
  manual_seed(7);
  constexpr int rounds = 100;
  std::vector<std::vector<float>> drawn[3];
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < rounds; ++i) {
        const Tensor numbers = t == 0 ? rand({64}) + 1 : compiled(x);
        drawn[t].push_back(numbers.to_vector<float>());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::vector<float>> different;
  for (const auto& mine : drawn) different.insert(mine.begin(), mine.end());
  EXPECT_EQ(different.size(), 3u * rounds);
  EXPECT_EQ(compiled.captures(), 1u);
  // 16 blocks of four numbers a draw: one draw of the eager thread, two of a replay.
  EXPECT_EQ(offset_of(default_generator().state()), (Words{7, rounds * 16 * 5}));
}

TEST(ReplayThreads, ARefusedReplayGivesItsDrawsBack) {
  manual_seed(7);
  auto compiled = compile([](const Tensor& logits, const Tensor& labels) {
    return cross_entropy(dropout(logits, 0.5), labels);
  });
  const Tensor logits = ones({2, 3});
  compiled(logits, tensor({0, 1}));
  const Words before = offset_of(default_generator().state());
  EXPECT_THROW(compiled(logits, tensor({0, 3})), Error);
  EXPECT_EQ(offset_of(default_generator().state()), before);
}

TEST(ReplayThreads, EachThreadTrainsItsOwnNet) {
  std::vector<std::thread> threads;
  std::vector<double> losses(3);
  for (size_t t = 0; t < losses.size(); ++t) {
    threads.emplace_back([&losses, t] {
      nn::Sequential net{nn::Linear(4, 8), nn::BatchNorm1d(8), nn::Dropout(0.5), nn::Linear(8, 2)};
      optim::Adam adam(net.parameters(), {.lr = 0.01});
      auto step = compile([&](const Tensor& x, const Tensor& y) {
        const Tensor loss = cross_entropy(net(x), y);
        adam.step(gradients(loss, net.parameters()));
        return loss.detach();
      });
      for (int i = 0; i < 20; ++i) losses[t] = step(randn({6, 4}), randint(0, 2, {6})).item();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const double loss : losses) EXPECT_TRUE(std::isfinite(loss));
}

}  // namespace
}  // namespace taper

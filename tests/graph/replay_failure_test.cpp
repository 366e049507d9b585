// What a replay that throws leaves in the cells: always a whole value, the old or the new one.

#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/failing_allocation.h"

namespace taper {
namespace {

using Values = std::vector<std::vector<double>>;

/// A training step with all kinds of cells.
struct Training {
  nn::Sequential net{nn::Linear(8, 40), nn::BatchNorm1d(40), nn::ReLU(), nn::Dropout(0.5),
                     nn::Linear(40, 4)};
  optim::Adam adam{net.parameters(), {.lr = 0.01}};
  State average{"average", zeros({30, 30})};   // its update has several steps
  State momentum{"momentum", ones({30, 30})};  // and this one a single step
  State left{"left", full({700}, 1)};          // these change places
  State right{"right", full({700}, 2)};
  State twin{"twin", zeros({30, 30})};  // takes the value of another
  State counted{"counted", zeros({}, DType::i64)};

  Tensor step(const Tensor& x, const Tensor& y) {
    adam.zero_grad();
    const Tensor loss = cross_entropy(net(x), y);
    loss.backward();
    adam.step();
    const no_grad off;
    average.set(average.value() * 0.75 + loss.detach() + 1);
    momentum.set(momentum.value() + loss.detach());
    twin.set(momentum.value());
    const Tensor before = left.value();
    left.set(right.value());
    right.set(before);
    counted.set(counted.value() + 1);
    return loss;
  }

  std::vector<State> cells() const {
    std::vector<State> all = net.parameters();
    for (const auto& [name, cell] : net.named_buffers()) all.push_back(cell);
    for (const auto& [name, cell] : adam.state()) all.push_back(cell);
    all.insert(all.end(), {average, momentum, left, right, twin, counted});
    all.push_back(default_generator().cell());
    return all;
  }
  /// The cells, and behind them the gradients.
  Values values() const {
    Values all;
    for (const State& cell : cells()) all.push_back(cell.value().to_vector<double>());
    for (const State& cell : net.parameters()) {
      const Tensor grad = cell.grad();
      all.push_back(grad.defined() ? grad.to_vector<double>() : std::vector<double>());
    }
    return all;
  }
};

/// A tensor of the same values that nothing else holds.
Tensor copy_of(const Tensor& x) {
  const no_grad off;
  return x.detach() * 1;
}

TEST(ReplayFailure, OfAnyAllocationLeavesEachCellOldOrNew) {
  manual_seed(3);
  Training training;
  auto step = compile([&](const Tensor& x, const Tensor& y) { return training.step(x, y); });
  const Tensor x = randn({6, 8});
  const Tensor y = randint(0, 4, {6});
  step(x, y);  // captures
  step(x, y);  // the gradients are there now
  std::vector<Tensor> start;
  std::vector<Tensor> grads;
  for (const State& cell : training.cells()) start.push_back(copy_of(cell.value()));
  for (const State& cell : training.net.parameters()) grads.push_back(copy_of(cell.grad()));
  const auto begin_again = [&] {
    const std::vector<State> cells = training.cells();
    for (size_t i = 0; i < cells.size(); ++i) cells[i].set(copy_of(start[i]));
    const std::vector<State> parameters = training.net.parameters();
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].set_grad(copy_of(grads[i]));
  };
  begin_again();
  const Values before = training.values();
  step(x, y);
  const Values after = training.values();
  const size_t captures = step.captures();
  int failures = 0;
  int mixed = 0;
  for (int64_t allocation = 0;; ++allocation) {
    begin_again();
    bool happened = false;
    bool thrown = false;
    {
      const testing::FailingAllocation failing(allocation);
      try {
        step(x, y);
      } catch (const Error& error) {
        thrown = std::string(error.what()).find("cannot allocate") != std::string::npos;
      }
      happened = testing::FailingAllocation::happened();
    }
    ASSERT_EQ(thrown, happened) << "allocation " << allocation;
    if (!happened) break;
    ++failures;
    const Values now = training.values();
    bool some_old = false;
    bool some_new = false;
    for (size_t i = 0; i < now.size(); ++i) {
      ASSERT_TRUE(now[i] == before[i] || now[i] == after[i])
          << "allocation " << allocation << ", cell " << i;
      some_old |= now[i] != after[i];
      some_new |= now[i] != before[i];
    }
    mixed += some_old && some_new ? 1 : 0;
    for (const State& cell : training.net.parameters()) {
      ASSERT_TRUE(cell.requires_grad() && cell.value().requires_grad());
    }
  }
  EXPECT_GT(failures, 100);
  EXPECT_GT(mixed, 0) << "no failure came behind a cell's new value: the test is too weak";
  EXPECT_EQ(training.values(), after);
  EXPECT_EQ(step.captures(), captures);
}

TEST(ReplayFailure, OfALabelLeavesEveryCellAsItWas) {
  manual_seed(4);
  Training training;
  auto step = compile([&](const Tensor& x, const Tensor& y) { return training.step(x, y); });
  const Tensor x = randn({6, 8});
  const Tensor y = randint(0, 4, {6});
  for (int i = 0; i < 2; ++i) step(x, y);
  const Values before = training.values();
  const size_t captures = step.captures();
  EXPECT_THROW(step(x, full({6}, 4, DType::i64)), Error);
  EXPECT_EQ(training.values(), before);
  EXPECT_EQ(step.captures(), captures);
}

TEST(ReplayFailure, BehindAnUpdateLeavesEveryCellAsItWas) {
  const State weight("weight", ones({3}));
  auto step = compile([&](const Tensor& index) {
    weight.set(weight.value() * 2);
    return take(weight.value(), index);
  });
  step(tensor<int64_t>({0}));
  EXPECT_THROW(step(tensor<int64_t>({3})), Error);
  EXPECT_EQ(weight.value().to_vector<float>(), (std::vector<float>{2, 2, 2}));
  EXPECT_EQ(step(tensor<int64_t>({1})).item(), 4);
}

TEST(Replay, WritesOnlyIntoBuffersThatNobodyElseHolds) {
  const State weight("weight", ones({500}));
  auto step = compile([&] { weight.set(weight.value() + 1); });
  step();
  const std::byte* place = weight.value().raw();
  step();
  EXPECT_EQ(weight.value().raw(), place);  // in place
  const Tensor kept = weight.value();
  step();
  EXPECT_EQ(kept.to_vector<float>()[0], 3);
  EXPECT_EQ(weight.value().to_vector<float>()[0], 4);
}

}  // namespace
}  // namespace taper

// The mode of modules belongs to the calls of a thread.
#include <taper/nn/mode_scope.h>

#include <gtest/gtest.h>

#include <thread>

#include <taper/graph/compile.h>
#include <taper/nn/layers.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>

namespace taper::nn {
namespace {

TEST(ModeScope, HoldsOnItsThreadUntilItsEnd) {
  Sequential net{Linear(2, 2), Dropout(0.5)};
  const Module within(net.state()->children[1].second);
  {
    const ModeScope evaluation(net, false);
    EXPECT_FALSE(net.training());
    EXPECT_FALSE(within.training());
    std::thread([&] { EXPECT_TRUE(within.training()); }).join();
    {
      const ModeScope inner(within, true);
      EXPECT_TRUE(within.training());
      EXPECT_FALSE(net.training());
    }
    EXPECT_FALSE(within.training());
  }
  EXPECT_TRUE(net.training());
  EXPECT_TRUE(within.training());
}

TEST(ModeScope, TrainAndEvalWithinChangeItsModesOnly) {
  Sequential net{Linear(2, 2), Dropout(0.5)};
  Module within(net.state()->children[1].second);
  {
    const ModeScope evaluation(net, false);
    within.train();  // as a net does that keeps its dropout when it predicts
    EXPECT_TRUE(within.training());
    EXPECT_FALSE(net.training());
    net.train();
    EXPECT_TRUE(net.training());
    net.eval();
  }
  EXPECT_TRUE(net.training());
  net.eval();
  EXPECT_FALSE(within.training());
}

TEST(ModeScope, APlanIsTheOneOfItsMode) {
  Sequential net{Dropout(1.0)};
  auto compiled = compile([&](const Tensor& x) { return net(x); });
  const Tensor x = ones({3});
  EXPECT_EQ(sum(compiled(x)).item(), 0);
  {
    const ModeScope evaluation(net, false);
    EXPECT_EQ(sum(compiled(x)).item(), 3);
    std::thread([&] { EXPECT_EQ(sum(compiled(x)).item(), 0); }).join();
    EXPECT_EQ(sum(compiled(x)).item(), 3);
  }
  EXPECT_EQ(sum(compiled(x)).item(), 0);
  EXPECT_EQ(compiled.captures(), 2u);
}

TEST(ModeScope, ABatchThatIsRefusedLeavesTheStatistics) {
  BatchNorm1d norm({.num_features = 3});
  norm.weight.set(ones({3}, DType::f64));  // does not go with f32 inputs
  EXPECT_THROW(norm(randn({4, 3})), Error);
  EXPECT_EQ(norm.running_mean.value().to_vector<float>(), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(norm.running_var.value().to_vector<float>(), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(norm.num_batches_tracked.value().item(), 0);
}

}  // namespace
}  // namespace taper::nn

// What a step that throws leaves: nothing changed by a mistake, each cell whole without memory.
#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"
#include "tests/core/failing_allocation.h"

namespace taper::optim {
namespace {

using testing::thrown_text;
using Values = std::vector<std::vector<double>>;

struct Training {
  State a{"a", full({3, 2}, 1.5), true};
  State b{"b", full({2}, 2.5), true};
  State bias{"bias", full({4}, 3.5), true};

  template <class O>
  Values values(const O& optimizer) const {
    Values all;
    for (const State& cell : {a, b, bias}) all.push_back(cell.value().to_vector<double>());
    for (const auto& [name, cell] : optimizer.state()) {
      all.push_back(cell.value().template to_vector<double>());
    }
    return all;
  }
};

/// A wrong gradient of the last parameter of the second group.
template <class O, class Options>
void expect_unchanged(const Options& options) {
  const Training t;
  O optimizer({{.parameters = {t.a}}, {.parameters = {t.b, t.bias}}}, options);
  const std::vector<Tensor> good{ones({3, 2}), ones({2}), ones({4})};
  optimizer.step(good);
  const Values before = t.values(optimizer);
  const auto refuse = [&](ErrorKind kind, const Tensor& wrong, const std::string& part) {
    const std::string text = thrown_text(kind, [&] { optimizer.step({good[0], good[1], wrong}); });
    EXPECT_NE(text.find("`bias` (parameter 2) is f32[4], its gradient must be too, got " + part),
              std::string::npos)
        << text;
    EXPECT_EQ(t.values(optimizer), before);
  };
  refuse(ErrorKind::shape, ones({5}), "f32[5]");
  refuse(ErrorKind::shape, ones({1}), "f32[1]");       // would broadcast
  refuse(ErrorKind::shape, ones({3, 4}), "f32[3,4]");  // the weight would
  refuse(ErrorKind::dtype, ones({4}, DType::f64), "f64[4]");
  optimizer.step(good);
  EXPECT_NE(t.values(optimizer), before);
}

TEST(OptimizerStep, AWrongGradientChangesNothing) {
  expect_unchanged<SGD>(SGDOptions{.lr = 0.1});
  expect_unchanged<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9});
  expect_unchanged<Adam>(AdamOptions{.lr = 0.1});
}

/// Each allocation of a step fails in turn: every cell has its old or its new value.
template <class O, class Options>
void expect_whole(const Options& options) {
  const std::vector<Tensor> grads{ones({3, 2}), ones({2}), ones({4})};
  for (int64_t before = 0;; ++before) {
    const Training t;
    O optimizer(std::vector<State>{t.a, t.b, t.bias}, options);
    optimizer.step(grads);
    const Training done;
    O reference(std::vector<State>{done.a, done.b, done.bias}, options);
    reference.step(grads);
    reference.step(grads);
    const Values old = t.values(optimizer);
    const Values fresh = done.values(reference);
    bool failed = false;
    {
      const testing::FailingAllocation failing(before);
      try {
        optimizer.step(grads);
      } catch (const Error&) {
        failed = true;
      }
    }
    const Values now = t.values(optimizer);
    ASSERT_EQ(now.size(), old.size());
    for (size_t i = 0; i < now.size(); ++i) {
      EXPECT_TRUE(now[i] == old[i] || now[i] == fresh[i]) << "cell " << i << ", " << before;
    }
    for (const State& cell : {t.a, t.b, t.bias}) EXPECT_TRUE(cell.value().requires_grad());
    if (!failed) {
      EXPECT_EQ(now, fresh);
      EXPECT_GT(before, 5);
      return;
    }
  }
}

TEST(OptimizerStep, WithoutMemoryEachCellIsOldOrNew) {
  expect_whole<SGD>(SGDOptions{.lr = 0.1});
  expect_whole<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9});
  expect_whole<Adam>(AdamOptions{.lr = 0.1});
}

/// A captured step and an eager one, where a parameter is frozen for a while.
template <class O, class Options>
void expect_captured_like_eager(const Options& options) {
  const auto run = [&](bool captured) {
    const Training t;
    O optimizer(std::vector<State>{t.a, t.b, t.bias}, options);
    auto step = [&](const Tensor& x) {
      const Tensor y = sum(t.a.value() * x) + sum(t.b.value() * t.b.value()) +
                       sum(t.bias.value() * t.bias.value());
      optimizer.step(gradients(y, std::vector<State>{t.a, t.b, t.bias}));
    };
    auto compiled = compile(step);
    for (int i = 0; i < 9; ++i) {
      if (i == 2) t.b.set_requires_grad(false);
      if (i == 5) t.b.set_requires_grad(true);
      const Tensor x = full({3, 2}, 0.5 + i);
      captured ? compiled(x) : step(x);
    }
    return t.values(optimizer);
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(OptimizerStep, IsTheSameCapturedWhenAParameterComesBack) {
  expect_captured_like_eager<SGD>(SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5});
  expect_captured_like_eager<Adam>(AdamOptions{.lr = 0.1});
}

TEST(StepFailure, AParameterThatIsNotLikeItsSlotsChangesNothing) {
  const State weight("weight", ones({2, 2}), true);
  const State bias("bias", ones({2}), true);
  SGD sgd(std::vector<State>{weight, bias}, {.lr = 0.1, .momentum = 0.9});
  sgd.step({ones({2, 2}), ones({2})});
  bias.set(zeros({3}));
  const std::vector<float> before = weight.value().to_vector<float>();
  const std::string text =
      thrown_text(ErrorKind::shape, [&] { sgd.step({ones({2, 2}), ones({3})}); });
  EXPECT_EQ(text,
            "optimizer: `bias` (parameter 1) is f32[3], its `momentum_buffer` is f32[2]; "
            "attach a new optimizer");
  EXPECT_EQ(weight.value().to_vector<float>(), before);
  EXPECT_EQ(sgd.state()[0].second.value().item(), 1);
}

TEST(StepFailure, AnAttachThatFailsLeavesNothingAttached) {
  for (int64_t n = 0;; ++n) {
    const Training t;
    Adam adam;
    bool failed = false;
    {
      const testing::FailingAllocation fails(n);
      try {
        adam.attach({t.a, t.b, t.bias});
      } catch (const Error&) {
        failed = true;
      }
    }
    EXPECT_EQ(adam.attached(), !failed) << n;
    if (!failed) break;
    adam.attach({t.a, t.b, t.bias});
    adam.step({ones({3, 2}), ones({2}), ones({4})});
    EXPECT_EQ(adam.state().size(), 8u) << n;
  }
}

TEST(StepFailure, AStateThatFailsToLoadLeavesTheOldOne) {
  const Training t;
  Adam adam({.lr = 0.1});
  adam.attach({t.a, t.b, t.bias});
  std::vector<std::pair<std::string, Tensor>> saved;
  for (const auto& [name, cell] : adam.state()) saved.emplace_back(name, cell.value().detach());
  adam.step({ones({3, 2}), ones({2}), ones({4})});
  const Values before = t.values(adam);
  for (int64_t n = 0;; ++n) {
    const testing::FailingAllocation fails(n);
    try {
      adam.load_state(saved);
      break;
    } catch (const Error&) {
      taper::detail::allocations_before_failure = -1;
      ASSERT_EQ(t.values(adam), before) << n;
    }
  }
}

}  // namespace
}  // namespace taper::optim

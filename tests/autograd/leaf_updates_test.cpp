// Leaves that are updated by hand under no_grad.

#include <gtest/gtest.h>

#include <vector>

#include <taper/taper.h>

#include "tests/core/error_testing.h"
#include "tests/core/failing_allocation.h"

namespace taper {
namespace {

using testing::thrown_text;
using Floats = std::vector<float>;

Floats floats(const Tensor& x) { return x.to_vector<float>(); }

TEST(LeafUpdates, AStepOfGradientDescentKeepsTheLeaf) {
  Tensor w = tensor({3.0, -1.0}).set_requires_grad();
  for (int step = 0; step < 2; ++step) {  // w -= 0.25 * d(w^2)/dw halves w
    sum(w * w).backward();
    {
      const no_grad scope;
      w -= 0.25 * w.grad();
    }
    EXPECT_TRUE(w.requires_grad());
    EXPECT_TRUE(w.grad().defined());
    w.zero_grad();
    EXPECT_FALSE(w.grad().defined());
  }
  EXPECT_EQ(floats(w), (Floats{0.75, -0.25}));
}

TEST(LeafUpdates, EveryUpdateInPlaceKeepsIt) {
  Tensor w = tensor({3.0, 5.0}).set_requires_grad();
  sum(w).backward();
  {
    const no_grad scope;
    w += 1;
    w *= tensor({2.0, 1.0});
    w /= 2;
    w -= 1;
    w[0] = 7;
    w[{Slice(1, 2)}] += 1;
  }
  EXPECT_EQ(floats(w), (Floats{7, 3}));
  EXPECT_EQ(floats(w.grad()), (Floats{1, 1}));
  sum(w * w).backward();
  EXPECT_EQ(floats(w.grad()), (Floats{15, 7}));
}

TEST(LeafUpdates, OthersThatSharedTheValuesKeepTheirs) {
  Tensor w = tensor({1.0}).set_requires_grad();
  const Tensor value = tensor({4.0});
  const Tensor before = w;
  {
    const no_grad scope;
    w[{Slice()}] = value;
  }
  EXPECT_TRUE(w.requires_grad());
  EXPECT_FALSE(value.requires_grad());
  EXPECT_EQ(before.item(), 1);
}

TEST(LeafUpdates, AnotherShapeOrDtypeIsRefusedAndChangesNothing) {
  Tensor w = tensor({1.0, 2.0}).set_requires_grad();
  const no_grad scope;
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { w += ones({3, 2}); }),
            "an update in place keeps the shape and dtype of a leaf, whose gradient has them too "
            "(leaf f32[2], result f32[3,2]); assign to the result of an expression instead");
  thrown_text(ErrorKind::value, [&] { w *= ones({2}, DType::f64); });
  thrown_text(ErrorKind::shape, [&] { w *= ones({3}); });
  EXPECT_TRUE(w.requires_grad());
  EXPECT_EQ(floats(w), (Floats{1, 2}));
}

TEST(LeafUpdates, WithTheTapeOnTheResultIsComputed) {
  Tensor w = tensor({2.0}).set_requires_grad();
  const Tensor leaf = w;
  w *= 3;
  sum(w).backward();
  EXPECT_EQ(leaf.grad().item(), 3);
}

TEST(LeafUpdates, TheValueOfACellBecomesPlainData) {
  const State cell("w", tensor({2.0}), true);
  Tensor value = cell.value();
  const no_grad scope;
  value += 1;
  EXPECT_FALSE(value.requires_grad());
  EXPECT_EQ(cell.value().item(), 2);
}

TEST(LeafUpdates, WhatTheTapeSavesIsNotWrittenInto) {
  const auto slope = [](auto&& update) {
    Tensor w = tensor({3.f}).set_requires_grad();
    Tensor h = tensor({5.f});
    update(h, w);
    sum(h).backward();
    return w.grad().item();
  };
  EXPECT_EQ(slope([](Tensor& h, const Tensor& w) { h *= w; }), 5);
  EXPECT_NEAR(slope([](Tensor& h, const Tensor& w) { h /= w; }), -5.0 / 9, 1e-6);
  EXPECT_EQ(slope([](Tensor& h, const Tensor& w) { h %= w; }), -1);
  EXPECT_EQ(slope([](Tensor& h, const Tensor& w) { h += w; }), 1);
  EXPECT_EQ(slope([](Tensor& h, const Tensor& w) { h[0] *= w[0]; }), 5);
}

TEST(Tape, AWantOfMemoryWhileACallIsRecordedIsAnError) {
  const Tensor x = full({4}, 0.5).set_requires_grad();
  for (const auto& f : std::vector<std::function<Tensor()>>{
           [&] { return tanh(x); }, [&] { return softmax(x); }, [&] { return max(x); }}) {
    bool done = false;
    for (int64_t first = 0; !done; ++first) {
      try {
        const testing::FailingAllocation failing(first);
        f();
        done = true;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("cannot allocate"), std::string::npos);
      }
    }
  }
}

TEST(LeafUpdates, OneThatFailsForWantOfMemoryLeavesTheLeaf) {
  for (int64_t n = 0;; ++n) {
    Tensor w = ones({3}).set_requires_grad();
    bool failed = false;
    {
      const no_grad off;
      const Tensor step = full({3}, 2);
      const testing::FailingAllocation fails(n);
      try {
        w -= step;
      } catch (const Error&) {
        failed = true;
      }
    }
    EXPECT_TRUE(w.requires_grad()) << n;
    EXPECT_EQ(w.to_vector<float>(), std::vector<float>(3, failed ? 1.f : -1.f)) << n;
    if (!failed) break;
  }
}

TEST(LeafUpdates, AFrozenCellKeepsNoGradientOfAnotherShape) {
  for (const bool together : {false, true}) {
    const State w("w", ones({2}), true);
    sum(w.value() * 2).backward();
    w.set_requires_grad(false);
    if (together) {
      set_together(std::vector<std::pair<State, Tensor>>{{w, ones({3})}});
    } else {
      w.set(ones({3}));
    }
    w.set_requires_grad(true);
    EXPECT_FALSE(w.grad().defined());
    sum(w.value() * 2).backward();
    EXPECT_EQ(w.grad().shape(), Shape{3});
  }
}

TEST(LeafUpdates, AReplayKeepsNoGradientOfAnotherShape) {
  const State w("w", ones({2}), true);
  auto assign = compile([&](const Tensor& x) { w.set(x * 1.0); });
  assign(ones({2}));
  assign(ones({3}));
  sum(w.value() * 2).backward();
  assign(ones({2}));
  EXPECT_EQ(w.value().shape(), Shape{2});
  EXPECT_FALSE(w.grad().defined());
}

}  // namespace
}  // namespace taper

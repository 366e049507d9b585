#include <gtest/gtest.h>

#include <set>
#include <thread>

#include <taper/taper.h>

#include "tests/core/error_testing.h"
#include "tests/core/failing_allocation.h"

namespace taper {
namespace {

using Gradients = std::vector<std::vector<float>>;

/// Gradients of the input and of every parameter of a net with dropout and batch norm.
Gradients gradients_of(bool recompute) {
  manual_seed(7);
  nn::Linear first({.in_features = 6, .out_features = 8});
  nn::BatchNorm1d norm({.num_features = 8});
  nn::Linear last({.in_features = 8, .out_features = 2});
  Tensor x = rand({5, 6}).set_requires_grad();
  const auto block = [=](const Tensor& in) mutable { return dropout(tanh(norm(first(in))), 0.4); };
  auto plain = block;
  const Tensor h = recompute ? checkpoint(block, x * 2) : plain(x * 2);
  const Tensor loss = sum(last(h) * last(h)) + sum(rand({2}));
  loss.backward();
  Gradients all{x.grad().to_vector<float>(), {loss.item<float>()}};
  for (const nn::Module* module :
       {static_cast<nn::Module*>(&first), static_cast<nn::Module*>(&norm),
        static_cast<nn::Module*>(&last)}) {
    for (const State& cell : module->parameters()) {
      all.push_back(cell.grad().to_vector<float>());
    }
    for (const auto& [name, cell] : module->named_buffers()) {
      all.push_back(cell.value().to_vector<float>());
    }
  }
  all.push_back(default_generator().state().to_vector<float>());
  return all;
}

TEST(Checkpoint, GivesThePlainGradientsBuffersAndRandomNumbersBitForBit) {
  EXPECT_EQ(gradients_of(true), gradients_of(false));
}

/// What a recomputation draws again is drawn on its thread only: others never get it a second time.
TEST(Checkpoint, DrawsOfOtherThreadsGoOn) {
  manual_seed(2);
  std::vector<int64_t> offsets;
  const auto draw_elsewhere = [&] {
    std::thread([&] {
      offsets.push_back(default_generator().draw(1).to_vector<int64_t>()[1]);
    }).join();
  };
  Tensor x = rand({100}).set_requires_grad();
  const Tensor y = checkpoint(
      [&](const Tensor& in) {
        const Tensor kept = dropout(in * 1, 0.5);
        draw_elsewhere();
        return dropout(kept, 0.5);
      },
      x);
  sum(y).backward();
  draw_elsewhere();
  ASSERT_EQ(offsets.size(), 3u);
  EXPECT_EQ(std::set<int64_t>(offsets.begin(), offsets.end()).size(), 3u);
}

/// Of two operands; `forward` is not const.
struct Cell : nn::Layer<Cell> {
  nn::Linear fc = child("fc", nn::Linear(3, 3));
  Tensor forward(const Tensor& x, const Tensor& h) { return tanh(fc(x) + h); }
};

TEST(Checkpoint, TakesAModule) {
  const Tensor x = rand({2, 3});
  const auto gradient = [](const nn::Module& module, auto&& run) {
    for (const State& cell : module.parameters()) cell.zero_grad();
    sum(square(run())).backward();
    return module.parameters()[0].grad().template to_vector<float>();
  };
  nn::Linear fc(3, 2);
  EXPECT_EQ(gradient(fc, [&] { return checkpoint(fc, x); }), gradient(fc, [&] { return fc(x); }));
  nn::Sequential net{nn::Linear(3, 4), nn::Tanh()};
  EXPECT_EQ(gradient(net, [&] { return checkpoint(net, x); }),
            gradient(net, [&] { return net(x); }));
  Cell cell;
  EXPECT_EQ(gradient(cell, [&] { return checkpoint(cell, x, x); }),
            gradient(cell, [&] { return cell(x, x); }));
}

TEST(Checkpoint, LowersThePeakOfMemory) {
  const auto peak = [](bool recompute) {
    Tensor x = ones({100000}).set_requires_grad();
    const auto block = [](const Tensor& in) {
      Tensor y = in;
      for (int i = 0; i < 10; ++i) y = tanh(y) * y;
      return y;
    };
    const size_t before = memory_stats().in_use;
    reset_peak_memory();
    Tensor y = x;
    for (int i = 0; i < 8; ++i) y = recompute ? checkpoint(block, y) : block(y);
    sum(y).backward();
    return memory_stats().peak - before;
  };
  const size_t plain = peak(false);
  const size_t saved = peak(true);
  EXPECT_LT(saved * 3, plain) << saved << " of " << plain << " bytes";
}

TEST(Checkpoint, DifferentiatesByWhatTheFunctionCapturesOnlyOnce) {
  const auto run = [](bool recompute) {
    Tensor w = tensor<double>({3.0}).set_requires_grad();
    const Tensor inner = w * w;
    const auto f = [&](const Tensor& x) { return x * inner * w; };
    const Tensor x = w + 1;
    sum(recompute ? checkpoint(f, x) : f(x)).backward();
    return w.grad().item();
  };
  EXPECT_EQ(run(true), run(false));
  EXPECT_EQ(run(true), 4 * 27 + 3 * 9);  // of w^4 + w^3
}

TEST(Checkpoint, HasGradientsOfGradients) {
  EXPECT_TRUE(gradgradcheck(
      [](const std::vector<Tensor>& in) {
        return checkpoint([](const Tensor& x) { return x * x * sin(x); }, in[0]);
      },
      {tensor<double>({0.5, -1.2})}));
}

TEST(Checkpoint, ReturningItsInputPassesTheGradientOn) {
  Tensor x = tensor({2.f}).set_requires_grad();
  sum(checkpoint([](const Tensor& in) { return in; }, x) * 5).backward();
  EXPECT_EQ(x.grad().item(), 5);
}

TEST(Checkpoint, SaysWhatIsWrong) {
  Tensor x = tensor({2.f}).set_requires_grad();
  const Tensor loss = sum(checkpoint([](const Tensor& in) { return in * 2; }, x));
  loss.backward();
  EXPECT_NE(testing::thrown_text(ErrorKind::value, [&] { loss.backward(); }).find("keep_graph"),
            std::string::npos);
  int calls = 0;
  const Tensor other = sum(checkpoint(
      [&](const Tensor& in) { return calls++ == 0 ? in * 2 : astype(in, DType::f64); }, x));
  const std::string text = testing::thrown_text(ErrorKind::value, [&] { other.backward(); });
  EXPECT_EQ(text,
            "backward of checkpoint: the function gave another result than in the forward pass: "
            "f64[1], before f32[1] (input 0 f32[1])");
}

TEST(Checkpoint, AnotherModeInTheBackwardPassIsAnError) {
  nn::Dropout dropout(0.5);
  const Tensor x = ones({6}).set_requires_grad();
  const Tensor y = checkpoint(dropout, x);
  dropout.eval();
  EXPECT_NE(testing::thrown_text(ErrorKind::value, [&] { sum(y).backward(); })
                .find("no longer those of the forward pass"),
            std::string::npos);
}

TEST(Checkpoint, ABackwardPassThatFailsLeavesTheCells) {
  nn::Sequential net{nn::Linear(3, 4), nn::BatchNorm1d(4), nn::Linear(4, 1)};
  const Tensor x = ones({5, 3});
  const auto statistics = [&] {
    std::vector<std::vector<double>> all;
    for (const auto& [name, cell] : net.named_buffers()) {
      all.push_back(cell.value().to_vector<double>());
    }
    return all;
  };
  for (int64_t n = 0;; ++n) {
    const Tensor loss = sum(checkpoint(net, x));
    const auto before = statistics();
    bool failed = false;
    {
      const testing::FailingAllocation fails(n);
      try {
        loss.backward();
      } catch (const Error&) {
        failed = true;
      }
    }
    ASSERT_EQ(statistics(), before) << n;
    if (!failed) break;
  }
}

}  // namespace
}  // namespace taper

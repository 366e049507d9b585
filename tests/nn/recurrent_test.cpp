// What LSTM promises beside its numbers, which layers_golden_test.cpp holds against PyTorch's.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <taper/taper.h>

#include "../core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

std::vector<float> numbers(const Tensor& x) { return x.to_vector<float>(); }

/// The features of the last step of [N,T,C].
struct LastStep : Layer<LastStep> {
  Tensor forward(const Tensor& x) const {
    return squeeze(slice(x, 1, x.size(1) - 1, x.size(1)), {1});
  }
};

TEST(LSTM, NamesItsOperandsAndResults) {
  const AnyModule lstm{LSTM(3, 4)};
  EXPECT_EQ(lstm.operands().names, (std::vector<std::string>{"x", "h_0", "c_0"}));
  EXPECT_EQ(lstm.required_operands(), 1u);
  EXPECT_EQ(lstm.outputs(), (std::vector<std::string>{"output", "h_n", "c_n"}));
}

TEST(LSTM, ItsSequenceGoesOnInSequential) {
  const Sequential net{LSTM({.input_size = 3, .hidden_size = 4, .batch_first = true}),
                       LSTM({.input_size = 4, .hidden_size = 5, .batch_first = true}), LastStep(),
                       Linear(5, 2)};
  EXPECT_EQ(net(randn({7, 6, 3})).shape(), (Shape{7, 2}));
  EXPECT_EQ(Sequential(LSTM(3, 4), Linear(4, 1))(randn({6, 7, 3})).shape(), (Shape{6, 7, 1}));
}

TEST(LSTM, GoesOnFromTheStatesThatItGave) {
  const LSTM lstm({.input_size = 3, .hidden_size = 4, .num_layers = 2, .proj_size = 2});
  const Tensor x = randn({9, 5, 3});
  const LSTMResult whole = lstm(x);
  const LSTMResult first = lstm(slice(x, 0, 0, 4));
  const LSTMResult second = lstm(slice(x, 0, 4, 9), first.h_n, first.c_n);
  EXPECT_EQ(numbers(concat({first.output, second.output})), numbers(whole.output));
  EXPECT_EQ(numbers(second.h_n), numbers(whole.h_n));
  EXPECT_EQ(numbers(second.c_n), numbers(whole.c_n));
}

TEST(LSTM, TheSecondDirectionReadsTheSequenceBackwards) {
  const LSTM both({.input_size = 2, .hidden_size = 3, .bidirectional = true});
  LSTM forward(2, 3);
  StateDict weights;
  for (const auto& [name, value] : both.state_dict()) {
    const size_t end = name.find("_reverse");
    if (end != std::string::npos) weights.emplace_back(name.substr(0, end), value);
  }
  forward.load_state_dict(weights);
  const Tensor x = randn({5, 4, 2});
  const Tensor backwards = flip(forward(flip(x, {0})).output, {0});
  EXPECT_EQ(numbers(slice(both(x).output, -1, 3, 6)), numbers(backwards));
}

// Longer ones than are recorded step by step.
TEST(LSTM, TakesSequencesOfAnyLength) {
  const LSTM lstm({.input_size = 1, .hidden_size = 1, .bidirectional = true});
  const auto run = [&](const Tensor& x) {
    const LSTMResult result = lstm(x);
    const auto grads = gradients(sum(square(result.output)), lstm.parameters());
    return std::pair(result.output.detach(), concat({flatten(grads[0], 0), grads[6]}));
  };
  auto compiled = compile(run);
  const Tensor x = randn({5000, 1, 1});
  const auto [output, grads] = run(x);
  const auto [again, same] = compiled(x);
  EXPECT_EQ(numbers(again), numbers(output));
  EXPECT_EQ(numbers(same), numbers(grads));
  EXPECT_LT(compiled.graph().nodes.size(), 100u);
  const LSTM one(1, 1);
  const auto half = one(slice(x, 0, 0, 3000));
  EXPECT_EQ(numbers(one(slice(x, 0, 3000, 5000), half.h_n, half.c_n).h_n), numbers(one(x).h_n));
}

TEST(LSTM, DropsOutputsBetweenItsLayersInTraining) {
  LSTM lstm({.input_size = 2, .hidden_size = 3, .num_layers = 2, .dropout = 1});
  const Tensor x = randn({5, 4, 2});
  const auto without = numbers(lstm(zeros({5, 4, 2})).output);
  EXPECT_EQ(numbers(lstm(x).output), without);  // the second layer sees zeros
  lstm.eval();
  EXPECT_NE(numbers(lstm(x).output), without);
}

TEST(LSTM, RefusesOperandsThatDoNotFit) {
  const Sequential net{LSTM(3, 4)};
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { net(ones({5, 2, 7})); }),
            "lstm: takes x [T,N,3], or [T,3] without a batch (x f32[5,2,7]) in model.0; "
            "LSTM(7, 4) would fit");
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { net(ones({5, 2, 3}, DType::f64)); }),
            "lstm: x must be f32, as the weights are (x f64[5,2,3]) in model.0; x is f64: "
            "astype(x, DType::f32)");
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { net(ones({0, 2, 3})); }),
            "lstm: a sequence must have a step (x f32[0,2,3]) in model.0");
  const LSTM lstm({.input_size = 3, .hidden_size = 4, .batch_first = true, .bidirectional = true});
  const Tensor x = ones({2, 5, 3});
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { lstm(x, zeros({1, 2, 4}), zeros({2, 2, 4})); }),
            "lstm: h_0 must be f32[2,2,4] (x f32[2,5,3], h_0 f32[1,2,4], c_0 f32[2,2,4]) in LSTM");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lstm(x, zeros({2, 2, 4})); }),
            "lstm: h_0 and c_0 come together (x f32[2,5,3], h_0 f32[2,2,4]) in LSTM");
  EXPECT_EQ(thrown_text(ErrorKind::shape, [] { LSTM(1, 4)(ones({5})); }),
            "lstm: takes x [T,N,1], or [T,1] without a batch (x f32[5]) in LSTM; "
            "expand_dims(x, -1) would fit");
}

TEST(LSTM, RefusesOptionsThatDoNotFit) {
  EXPECT_EQ(thrown_text(ErrorKind::value,
                        [] { LSTM({.input_size = 3, .hidden_size = 4, .proj_size = 4}); }),
            "LSTM: `proj_size` must be below hidden_size, got 4");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { LSTM(3, 0); }),
            "LSTM: `hidden_size` must be at least 1, got 0");
  EXPECT_EQ(thrown_text(ErrorKind::value,
                        [] { LSTM({.input_size = 3, .hidden_size = 4, .dropout = 1.5}); }),
            "LSTM: `dropout` must be in [0, 1], got 1.5");
}

TEST(LSTM, ItsWeightsAreUniformWithinTheRootOfTheHiddenSize) {
  for (const auto& [name, value] : LSTM(100, 64).state_dict()) {
    EXPECT_LE(max(abs(value)).item(), 0.125) << name;
    EXPECT_GT(max(abs(value)).item(), 0.12) << name;
  }
}

// ---------------------------------------------------------------------------------- what it learns

/// Bits [T,N,1], a sequence's own part of them ones, and how many were one up to each step.
std::pair<Tensor, Tensor> bits(int64_t steps, int64_t batch, Generator& generator) {
  const Tensor part = rand({1, batch, 1}, DType::f32, &generator);
  const Tensor ones = rand({steps, batch, 1}, DType::f32, &generator) < part;
  const Tensor x = astype(ones, DType::f32);
  const Tensor upto =
      astype(expand_dims(arange(steps), 1) >= expand_dims(arange(steps), 0), DType::f32);
  return {x, expand_dims(matmul(upto, squeeze(x, {2})), 2)};
}

TEST(LSTM, LearnsToCountTheOnesOfLongSequences) {
  manual_seed(1);
  Generator generator(2);
  const Sequential net{LSTM(1, 16), Linear(16, 1)};
  const auto count = [&](const Tensor& x) { return 10 * net(x); };
  optim::Adam adam(net.parameters());
  constexpr int steps = 2500;
  for (int i = 0; i < steps; ++i) {
    const int64_t length = randint(20, 61, {}, DType::i64, &generator).item<int64_t>();
    const auto [x, counts] = bits(length, 32, generator);
    adam.set_lr(0.04 * (1 - static_cast<double>(i) / steps));
    adam.zero_grad();
    mse_loss(count(x), counts).backward();
    optim::clip_grad_norm(net.parameters(), 1);
    adam.step();
  }
  int64_t right = 0;
  int64_t total = 0;
  for (const int64_t length : {20, 30, 40, 50, 60}) {
    const auto [x, counts] = bits(length, 200, generator);
    const Tensor good = round(count(x)[length - 1]) == counts[length - 1];
    right += sum(astype(good, DType::i64)).item<int64_t>();
    total += good.numel();
  }
  EXPECT_GE(static_cast<double>(right) / static_cast<double>(total), 0.95);
}

TEST(LSTM, LearnsTheSignOfASum) {
  manual_seed(3);
  Generator generator(4);
  const auto data = [&](int64_t count) {
    const Tensor x = randn({count, 10, 1}, DType::f32, &generator);
    return std::pair(x, astype(sum(x, 1) > 0, DType::f32));
  };
  const auto [x, y] = data(2048);
  const Sequential net{LSTM({.input_size = 1, .hidden_size = 50, .batch_first = true}), LastStep(),
                       Linear(50, 1)};
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  for (int epoch = 0; epoch < 8; ++epoch) {
    for (int64_t i = 0; i < x.size(0); i += 64) {
      adam.zero_grad();
      const Tensor logits = net(slice(x, 0, i, i + 64));
      binary_cross_entropy_with_logits(logits, slice(y, 0, i, i + 64)).backward();
      adam.step();
    }
  }
  const auto [test_x, test_y] = data(1000);
  const Tensor good = astype(net(test_x) > 0, DType::f32) == test_y;
  EXPECT_GE(mean(astype(good, DType::f64)).item(), 0.96);
}

}  // namespace
}  // namespace taper::nn

// Accumulated gradients, clipping, penalties and weights, against arithmetic done by hand.

#include <gtest/gtest.h>

#include <cmath>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/clipping.h>
#include <taper/optim/optimizers.h>
#include <taper/train/batch/weighting.h>
#include <taper/train/fit/trainer.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using data::TensorDataset;
using testing::error_of;

/// y = w x with w = 2 at first and no bias.
nn::Linear line() {
  nn::Linear layer(1, 1, false);
  layer.weight.set(full({1, 1}, 2));
  return layer;
}

/// Examples x = 1, 2, 3 with target 0: the loss of each is (w x)^2 and its gradient 2 w x^2.
TensorDataset ramp() {
  return TensorDataset({from_values<float>({3, 1}, std::vector<float>{1, 2, 3}), zeros({3, 1})});
}

FitOptions one_update() {
  return {.epochs = 1, .batch_size = 3, .shuffle = false, .verbose = false};
}

/// The weight after training with learning rate 0.01.
float weight_after(const data::AnyDataset& dataset, const FitOptions& options) {
  nn::Linear layer = line();
  Trainer trainer(layer, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.01})});
  trainer.fit(dataset, options);
  return layer.weight.value().item<float>();
}

TEST(Weighting, AnUpdateOfOneBatch) {
  // The mean of 4, 16, 36 is 56 / 3.
  EXPECT_FLOAT_EQ(weight_after(ramp(), one_update()), 2 - 0.01f * 56 / 3);
}

TEST(Weighting, AccumulatedBatchesAreOneBatch) {
  FitOptions options = one_update();
  options.batch_size = 2;  // two batches of two and one
  options.accumulate = 2;
  EXPECT_FLOAT_EQ(weight_after(ramp(), options), 2 - 0.01f * 56 / 3);
  options.batch_size = 1;
  options.accumulate = 3;
  EXPECT_FLOAT_EQ(weight_after(ramp(), options), 2 - 0.01f * 56 / 3);
}

TEST(Weighting, ARestOfBatchesIsAnUpdateOfItsOwn) {
  FitOptions options = one_update();
  options.batch_size = 1;
  options.accumulate = 2;
  const double first = 2 - 0.01 * (2 * 2 * 1 + 2 * 2 * 4) / 2;
  EXPECT_FLOAT_EQ(weight_after(ramp(), options), static_cast<float>(first - 0.01 * 2 * first * 9));
}

TEST(Weighting, ClipsByNormAndByValue) {
  FitOptions options = one_update();
  options.clip_norm = 5;
  EXPECT_NEAR(weight_after(ramp(), options), 2 - 0.01 * 5, 1e-6);
  options.clip_norm = 100;
  EXPECT_FLOAT_EQ(weight_after(ramp(), options), 2 - 0.01f * 56 / 3);
  options.clip_norm = 0;
  options.clip_value = 3;
  EXPECT_FLOAT_EQ(weight_after(ramp(), options), 2 - 0.01f * 3);
}

TEST(Weighting, ClipsTheCommonNorm) {
  const State a("a", zeros({2}), true);
  const State b("b", zeros({1}), true);
  const State without("c", zeros({1}), true);
  a.set_grad(tensor({3.f, 0.f}));
  b.set_grad(tensor({4.f}));
  EXPECT_FLOAT_EQ(optim::clip_grad_norm({a, b, without}, 1).item<float>(), 5);
  EXPECT_NEAR(a.grad().to_vector<float>()[0], 0.6, 1e-6);
  EXPECT_NEAR(b.grad().to_vector<float>()[0], 0.8, 1e-6);
  EXPECT_FALSE(without.grad().defined());
  EXPECT_EQ(error_of(ErrorKind::value, [&] { optim::clip_grad_norm({a}, -1); }),
            "clip_grad_norm: `max_norm` must be finite and above 0, got -1.0");
}

TEST(Weighting, PenaltiesAreInTheLossAndTheGradient) {
  FitOptions options = one_update();
  options.l1 = 0.5;
  options.l2 = 0.25;
  // d/dw of 0.5 |w| + 0.25 w^2 at 2 is 0.5 + 1.
  EXPECT_FLOAT_EQ(weight_after(ramp(), options), 2 - 0.01f * (56.f / 3 + 1.5f));
  nn::Linear layer = line();
  Trainer trainer(layer, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.01})});
  EXPECT_NEAR(trainer.fit(ramp(), options)["loss"][0], 56.0 / 3 + 0.5 * 2 + 0.25 * 4, 1e-5);
}

TEST(Weighting, ExamplesHaveWeightsOfTheirOwn) {
  const TensorDataset weighted({ramp().fields()[0], ramp().fields()[1], tensor({0.f, 3.f, 1.f})});
  // (0 * 4 + 3 * 16 + 1 * 36) / 3
  EXPECT_FLOAT_EQ(weight_after(weighted, one_update()), 2 - 0.01f * 28);
}

TEST(Weighting, KeepsTheReductionOfTheLoss) {
  const TensorDataset weighted({ramp().fields()[0], ramp().fields()[1], tensor({0.f, 3.f, 1.f})});
  nn::Linear layer = line();
  Trainer trainer(layer, {.loss = nn::MSELoss({.reduction = Reduction::sum}),
                          .optimizer = optim::SGD({.lr = 0})});
  EXPECT_NEAR(trainer.fit(weighted, one_update())["loss"][0], 0 * 4 + 3 * 16 + 1 * 36, 1e-5);
}

TEST(Weighting, NeedsALossThatIsTheMeanOfItsElements) {
  const Tensor labels = ones({2, 1}, DType::i64);
  const Tensor lengths = ones({2}, DType::i64);
  const std::vector<Tensor> operands{log_softmax(zeros({1, 2, 3}), 2), labels, lengths, lengths};
  const nn::AnyLoss mean_loss = nn::CTCLoss();
  const nn::AnyLoss sum_loss = nn::CTCLoss({.reduction = Reduction::sum});
  EXPECT_EQ(
      error_of(ErrorKind::unsupported,
               [&] { loss_of_batch(mean_loss, operands, 1, ones({2}), {}); }),
      "fit: CTCLoss does more than take the mean of its elements, so that it takes no weights; "
      "with `reduction` = sum it does");
  EXPECT_EQ(loss_of_batch(sum_loss, operands, 1, ones({2}), {}).item(), sum_loss(operands).item());
}

/// Two classes, logits (w x, 0).
TEST(Weighting, ClassesHaveWeights) {
  const Tensor x = from_values<float>({2, 1}, std::vector<float>{1, 1});
  const TensorDataset dataset({x, tensor<int64_t>({0, 1})});
  nn::Linear layer(1, 2, false);
  layer.weight.set(from_values<float>({2, 1}, std::vector<float>{2, 0}));
  Trainer trainer(layer, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD({.lr = 0})});
  FitOptions options = one_update();
  options.class_weight = {1, 10};
  const double p = 1 / (1 + std::exp(-2.0));
  EXPECT_NEAR(trainer.fit(dataset, options)["loss"][0], (-std::log(p) - 10 * std::log(1 - p)) / 2,
              1e-5);
  options.class_weight = {1, 10, 1};
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(dataset, options); }),
            "fit: `class_weight` must hold a number for each of the 2 classes, it holds 3");
}

TEST(Weighting, NeedsALossWhoseReductionIsKnown) {
  nn::Linear layer = line();
  const auto own = [](const Tensor& y, const Tensor& t) { return mse_loss(y, t); };
  Trainer trainer(layer, {.loss = own, .optimizer = optim::SGD({.lr = 0.01})});
  const TensorDataset weighted({ramp().fields()[0], ramp().fields()[1], tensor({0.f, 3.f, 1.f})});
  const std::string text =
      error_of(ErrorKind::unsupported, [&] { trainer.fit(weighted, one_update()); });
  EXPECT_NE(text.find("weigh in the loss itself"), text.npos) << text;
}

TEST(Weighting, RefusesBadAmounts) {
  FitOptions options = one_update();
  options.accumulate = 0;
  EXPECT_EQ(error_of(ErrorKind::value, [&] { weight_after(ramp(), options); }),
            "fit: `accumulate` must be at least 1, got 0");
  options.accumulate = 1;
  options.l2 = -0.5;
  EXPECT_EQ(error_of(ErrorKind::value, [&] { weight_after(ramp(), options); }),
            "fit: `l2` must be at least 0, got -0.5");
}

}  // namespace
}  // namespace taper

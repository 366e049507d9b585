// Fits by an optimizer that computes the loss of a batch again.

#include <gtest/gtest.h>

#include <taper/taper.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

/// y = 2 a - 3 b + 1, in two batches.
data::TensorDataset line() {
  Generator generator(3);
  const Tensor x = normal({32, 2}, 0, 1, DType::f32, &generator);
  return data::TensorDataset({x, sum(x * tensor<float>({2, -3}), 1) + 1});
}

constexpr optim::LBFGSOptions searching{.line_search_fn = optim::LineSearch::strong_wolfe};
/// Still on its way after some steps.
constexpr optim::LBFGSOptions slow{.lr = 0.05, .max_iter = 2};

std::vector<float> fit_line(FitOptions options, const optim::LBFGSOptions& by = searching,
                            double* loss = nullptr) {
  manual_seed(1);
  nn::Sequential net{nn::Linear(2, 1)};
  Trainer trainer(net, {.loss = nn::MSELoss(), .optimizer = optim::LBFGS(by)});
  options.verbose = false;
  trainer.fit(line(), options);
  if (loss != nullptr) *loss = trainer.evaluate(line()).loss;
  std::vector<float> all = net.parameters()[0].value().to_vector<float>();
  all.push_back(net.parameters()[1].value().to_vector<float>()[0]);
  return all;
}

TEST(LbfgsFit, FindsALine) {
  double loss = 1;
  const std::vector<float> found = fit_line({.epochs = 2, .batch_size = 32}, searching, &loss);
  EXPECT_LT(loss, 1e-8);
  EXPECT_NEAR(found[0], 2, 1e-4);
  EXPECT_NEAR(found[1], -3, 1e-4);
  EXPECT_NEAR(found[2], 1, 1e-4);
}

TEST(LbfgsFit, ARecordedStepGivesTheSameBits) {
  for (const FitOptions& options :
       {FitOptions{.epochs = 3, .batch_size = 16}, FitOptions{.epochs = 2,
                                                              .batch_size = 12,
                                                              .clip_norm = 0.5,
                                                              .clip_value = 0.4,
                                                              .l1 = 1e-3,
                                                              .l2 = 1e-2}}) {
    FitOptions recorded = options;
    recorded.compile = true;
    EXPECT_EQ(fit_line(recorded), fit_line(options));
    EXPECT_EQ(fit_line(recorded, slow), fit_line(options, slow));
  }
}

/// The penalty is a part of the loss that is minimised: l2 draws the weights to 0.
TEST(LbfgsFit, MinimisesPenaltiesToo) {
  const std::vector<float> plain = fit_line({.epochs = 2, .batch_size = 32});
  const std::vector<float> drawn = fit_line({.epochs = 4, .batch_size = 32, .l2 = 1});
  EXPECT_LT(std::abs(drawn[0]), std::abs(plain[0]) * 0.8f);
  EXPECT_LT(std::abs(drawn[1]), std::abs(plain[1]) * 0.8f);
}

/// Cut after each update, the same bits; so with what it had learnt of the curvature.
TEST(LbfgsFit, GoesOnAfterAnyCut) {
  const FitOptions whole{.epochs = 3, .batch_size = 12};
  const std::vector<float> expected = fit_line(whole, slow);
  for (const bool compiled : {false, true}) {
    for (int update = 1; update < 9; ++update) {
      const TemporaryFolder folder;
      FitOptions options = whole;
      options.compile = compiled;
      options.checkpoint = {.folder = folder / "kept", .seconds = 1e9, .resume = true};
      options.interrupted = [left = update]() mutable { return --left == 0; };
      EXPECT_NE(fit_line(options, slow), expected);
      options.interrupted = {};
      EXPECT_EQ(fit_line(options, slow), expected) << update << compiled;
    }
  }
}

TEST(LbfgsFit, RefusesAccumulatedBatches) {
  EXPECT_EQ(error_of(ErrorKind::unsupported, [] { fit_line({.accumulate = 2}); }),
            "fit: LBFGS computes the loss of a batch again, so `accumulate` must be 1, got 2");
}

}  // namespace
}  // namespace taper

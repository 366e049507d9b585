// Transforms of the images that a model is trained on.

#include <gtest/gtest.h>

#include <algorithm>

#include <taper/data/transforms.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/fit/trainer.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using data::RandomCrop;
using data::RandomHorizontalFlip;
using testing::error_of;
using testing::TemporaryFolder;

constexpr int64_t count = 44;

data::TensorDataset images() {
  Generator generator(3);
  const Tensor x = uniform({count, 1, 8, 8}, 0, 1, DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back(i * 7 % 3);
  return data::TensorDataset({x, from_values<int64_t>({count}, labels)});
}

struct Fitted {
  std::vector<float> weights = {};
  std::vector<double> loss = {};
  std::vector<double> val_loss = {};
  bool operator==(const Fitted&) const = default;
};

Fitted fit(const FitOptions& options, const data::AnyDataset& dataset = images()) {
  manual_seed(1);
  nn::Sequential net{nn::Flatten(), nn::Dropout(0.2), nn::Linear(64, 3)};
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam({.lr = 0.01})});
  const History history = trainer.fit(dataset, options);
  Fitted fitted;
  if (history.epochs() > 0) fitted.loss = history["loss"];
  if (history.epochs() > 0 && options.validation_split > 0) fitted.val_loss = history["val_loss"];
  for (const State& cell : trainer.model().parameters()) {
    for (const float value : cell.value().detach().to_vector<float>()) {
      fitted.weights.push_back(value);
    }
  }
  return fitted;
}

FitOptions options() {
  return {.epochs = 3,
          .batch_size = 8,
          .seed = 5,
          .validation_split = 0.1,
          .transforms = {RandomCrop(8, 2), RandomHorizontalFlip()},
          .verbose = false};
}

TEST(Augment, RepeatsForAnyWorkersAndCompiled) {
  const Fitted first = fit(options());
  FitOptions others = options();
  others.workers = 3;
  EXPECT_EQ(fit(others), first);
  others.workers = 0;
  EXPECT_EQ(fit(others), first);
  others.compile = true;
  EXPECT_EQ(fit(others), first);
  others.transforms.clear();
  EXPECT_NE(fit(others), first);
}

TEST(Augment, GoesOnFromEveryStepWithTheBitsOfAnUncutFit) {
  const Fitted whole = fit(options());
  for (int64_t step = 1; step <= 15; step += 2) {
    const TemporaryFolder folder;
    FitOptions cut = options();
    cut.checkpoint = CheckpointOptions{.folder = folder.path(), .seconds = 1e9, .resume = true};
    cut.interrupted = [left = step]() mutable { return --left <= 0; };
    fit(cut);
    cut.interrupted = {};
    EXPECT_EQ(fit(cut), whole) << "cut after step " << step;
  }
}

TEST(Augment, RefusesToGoOnWithOtherTransforms) {
  const TemporaryFolder folder;
  FitOptions cut = options();
  cut.checkpoint = CheckpointOptions{.folder = folder.path(), .seconds = 1e9, .resume = true};
  cut.interrupted = [] { return true; };
  fit(cut);
  cut.transforms = {RandomCrop(8, 2), RandomHorizontalFlip(0.25)};
  const std::string other = error_of(ErrorKind::value, [&] { fit(cut); });
  EXPECT_NE(other.find("`transforms` was [\"RandomCrop(size=[8, 8], padding=2, "), other.npos)
      << other;
  EXPECT_NE(other.find("\"RandomHorizontalFlip(p=0.5)\"], is ["), other.npos) << other;
  EXPECT_NE(other.find("\"RandomHorizontalFlip(p=0.25)\"]"), other.npos) << other;
  cut.transforms.clear();
  const std::string none = error_of(ErrorKind::value, [&] { fit(cut); });
  EXPECT_NE(none.find("\"RandomHorizontalFlip(p=0.5)\"], is []"), none.npos) << none;
  cut.transforms = options().transforms;
  fit(cut);
}

/// What the model saw in training and in evaluation.
struct Seen {
  std::vector<std::vector<float>> training;
  std::vector<std::vector<float>> evaluation;
};

Seen seen_by(const FitOptions& chosen, const data::AnyDataset& dataset) {
  nn::Sequential net{nn::Flatten(), nn::Linear(64, 3)};
  Seen seen;
  net.register_forward_pre_hook([&](const nn::Module& module, std::span<Tensor> inputs) {
    const Tensor x = inputs[0].detach();
    for (int64_t i = 0; i < x.size(0); ++i) {
      (module.training() ? seen.training : seen.evaluation).push_back(x[i].to_vector<float>());
    }
  });
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()});
  trainer.fit(dataset, chosen);
  return seen;
}

TEST(Augment, LeavesWhatIsMeasuredAsItIs) {
  const data::TensorDataset stored = images();
  std::vector<std::vector<float>> plain;
  for (int64_t i = 0; i < count; ++i) plain.push_back(stored.get(i)[0].to_vector<float>());
  const auto is_plain = [&](const std::vector<float>& image) {
    return std::ranges::find(plain, image) != plain.end();
  };
  FitOptions chosen = options();
  for (const bool split : {true, false}) {
    if (!split) {
      chosen.validation_split = 0;
      chosen.validation_data = stored;
    }
    const Seen seen = seen_by(chosen, stored);
    EXPECT_EQ(std::ssize(seen.training), split ? 3 * 39 : 3 * 44);
    EXPECT_EQ(std::ssize(seen.evaluation), split ? 3 * 5 : 3 * 44);
    EXPECT_TRUE(std::ranges::all_of(seen.evaluation, is_plain));
    EXPECT_LT(std::ranges::count_if(seen.training, is_plain), 20);
  }
}

TEST(Augment, RefusesWhatDoesNotFitBeforeTheFirstStep) {
  const data::TensorDataset table({zeros({10, 4}), zeros({10}, DType::i64)});
  EXPECT_EQ(error_of(ErrorKind::shape, [&] { fit(options(), table); }),
            "RandomCrop: takes images [C,H,W], got f32[4]");
  // New images would not fit into a model of the cropped ones.
  FitOptions cropped = options();
  cropped.validation_split = 0;
  cropped.transforms = {RandomCrop(6)};
  nn::Sequential net{nn::Flatten(), nn::Linear(36, 3)};
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()});
  const std::string text = error_of(ErrorKind::shape, [&] { trainer.fit(images(), cropped); });
  EXPECT_NE(text.find("field 0 of the training dataset without transforms is f32[1,8,8], that of "
                      "the training dataset is f32[1,6,6]"),
            text.npos)
      << text;
  // A model that takes both sizes is trained, and so is one on a dataset of the cropped ones.
  struct AnySize : nn::Layer<AnySize> {
    nn::Conv2d conv = child("conv", nn::Conv2d(1, 3, 3));
    Tensor forward(const Tensor& x) const { return mean(conv(x), {2, 3}); }
  };
  Trainer(AnySize(), {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()})
      .fit(images(), cropped);
  cropped.transforms.clear();
  trainer.fit(data::Transformed(images(), {RandomCrop(6)}), cropped);
}

TEST(Augment, LooksAtAllLabelsBehindTransforms) {
  const data::TensorDataset stored = images();
  Tensor labels = stored.fields()[1].values;
  labels[{41}] = 9;
  const data::TensorDataset wrong({stored.fields()[0].values, labels});
  FitOptions chosen = options();
  chosen.validation_split = 0;
  EXPECT_EQ(error_of(ErrorKind::value, [&] { fit(chosen, wrong); }),
            "fit: label 9 of example 41 of the dataset is out of range for 3 classes; the model "
            "needs 10 outputs");
}

}  // namespace
}  // namespace taper

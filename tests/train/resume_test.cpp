// A fit that is cut and resumed must end with the bits of one that was never cut.

#include <gtest/gtest.h>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/callbacks/stopping.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::content_of;
using testing::error_of;
using testing::TemporaryFolder;

constexpr int64_t examples = 44;
constexpr int64_t epochs = 3;

data::TensorDataset images() {
  Generator generator(3);
  const Tensor x = uniform({examples, 1, 8, 8}, 0, 1, DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < examples; ++i) labels.push_back(i * 7 % 3);
  return data::TensorDataset({x, from_values<int64_t>({examples}, labels)});
}

/// With everything that has a memory: dropout, running statistics, momentum.
nn::Sequential model() {
  return nn::Sequential{nn::Conv2d(1, 4, 3), nn::BatchNorm2d(4), nn::ReLU(),       nn::MaxPool2d(2),
                        nn::Flatten(),       nn::Dropout(0.5),   nn::Linear(36, 3)};
}

struct Result {
  std::string weights;
  Value history;
};

struct Training {
  FitOptions options = {.epochs = epochs,
                        .batch_size = 8,
                        .seed = 5,
                        .validation_split = 0.1,
                        .verbose = false,
                        .schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{1, 0.5})};

  Result run(const TemporaryFolder& folder) const {
    manual_seed(1);
    nn::Sequential net = model();
    Trainer trainer(net, {.loss = nn::CrossEntropyLoss(),
                          .optimizer = optim::Adam({.lr = 0.01}),
                          .metrics = {"accuracy"}});
    History history;
    try {
      history = trainer.fit(images(), options);
    } catch (const Error&) {
      save(net, folder / "model.safetensors");
      throw;
    }
    save(net, folder / "model.safetensors");
    Fields kept;
    for (const std::string& name : history.names()) {
      if (name != "epoch_seconds") kept.emplace_back(name, Value(history[name]));
    }
    return {content_of(folder / "model.safetensors"), Value(kept)};
  }
};

CheckpointOptions in(const TemporaryFolder& folder, double seconds = 0) {
  return {.folder = folder / "checkpoints", .seconds = seconds, .resume = true};
}

/// Says yes after this many updates.
std::function<bool()> after(int64_t updates) {
  return [updates]() mutable { return --updates <= 0; };
}

TEST(Resume, GivesTheBitsOfAnUncutFitFromEveryStep) {
  const TemporaryFolder whole;
  const Result expected = Training().run(whole);
  for (int64_t step = 1; step <= 15; ++step) {
    const TemporaryFolder folder;
    Training training;
    training.options.checkpoint = in(folder, 1e9);
    training.options.interrupted = after(step);
    training.run(folder);
    training.options.interrupted = {};
    const Result resumed = training.run(folder);
    EXPECT_EQ(resumed.weights, expected.weights) << "cut after step " << step;
    EXPECT_EQ(resumed.history, expected.history) << "cut after step " << step;
  }
}

TEST(Resume, GoesOnAfterEverySingleStep) {
  const TemporaryFolder whole;
  const Result expected = Training().run(whole);
  const TemporaryFolder folder;
  Training training;
  training.options.checkpoint = in(folder);
  Result last;
  for (int cut = 0; cut < 16; ++cut) {
    training.options.interrupted = after(1);
    last = training.run(folder);
  }
  training.options.interrupted = {};
  last = training.run(folder);
  EXPECT_EQ(last.weights, expected.weights);
  EXPECT_EQ(last.history, expected.history);
}

TEST(Resume, StartsAnewWithoutACheckpoint) {
  const TemporaryFolder folder;
  Training training;
  const Result expected = training.run(folder);
  training.options.checkpoint = in(folder);
  EXPECT_EQ(training.run(folder).weights, expected.weights);
}

TEST(Resume, LeavesAFinishedFitAsItIs) {
  const TemporaryFolder folder;
  Training training;
  training.options.checkpoint = in(folder);
  const Result first = training.run(folder);
  const Result again = training.run(folder);
  EXPECT_EQ(again.weights, first.weights);
  EXPECT_EQ(again.history, first.history);
}

TEST(Resume, LetsCallbacksEndAFinishedFit) {
  const TemporaryFolder folder;
  Training training;
  training.options.checkpoint = in(folder);
  // Epoch 1 is the best by this measure, so its weights are put back at the end.
  const auto best = [] {
    return std::make_shared<BestWeights>(
        BestWeightsOptions{.monitor = "loss", .mode = MonitorMode::max});
  };
  training.options.callbacks = {best()};
  const Result first = training.run(folder);
  training.options.callbacks = {best()};
  EXPECT_EQ(training.run(folder).weights, first.weights);
  const TemporaryFolder plain;
  EXPECT_NE(Training().run(plain).weights, first.weights);
}

TEST(Resume, GoesOnWithMoreEpochs) {
  const TemporaryFolder folder;
  Training training;
  training.options.epochs = 5;
  const Result expected = training.run(folder);
  training.options.checkpoint = in(folder);
  training.options.epochs = 2;
  training.run(folder);
  training.options.epochs = 5;
  EXPECT_EQ(training.run(folder).weights, expected.weights);
}

TEST(Resume, KeepsGroupsOfAccumulatedBatchesWhole) {
  Training training;
  training.options.accumulate = 2;
  const TemporaryFolder whole;
  const Result expected = training.run(whole);
  for (int64_t update = 1; update <= 8; ++update) {
    const TemporaryFolder folder;
    training.options.checkpoint = in(folder, 1e9);
    training.options.interrupted = after(update);
    training.run(folder);
    training.options.interrupted = {};
    EXPECT_EQ(training.run(folder).weights, expected.weights) << "cut after update " << update;
  }
}

TEST(Resume, RefusesAnotherTrainingByName) {
  const TemporaryFolder folder;
  Training training;
  training.options.checkpoint = in(folder);
  training.run(folder);
  training.options.epochs = 4;
  training.options.batch_size = 4;
  const std::string text = error_of(ErrorKind::value, [&] { training.run(folder); });
  EXPECT_NE(text.find("`batch_size` was 8, is 4"), text.npos) << text;
  EXPECT_NE(text.find("fit: cannot go on from "), text.npos) << text;
}

TEST(Resume, RefusesOtherDataOfTheSameSize) {
  const TemporaryFolder folder;
  const auto fit = [&](const data::AnyDataset& data) {
    manual_seed(1);
    nn::Sequential net{nn::Flatten(), nn::Linear(64, 3)};
    Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()});
    trainer.fit(data, {.epochs = 1, .verbose = false, .checkpoint = in(folder)});
  };
  const data::TensorDataset whole = images();
  fit(whole);
  fit(whole);
  Tensor x = whole.fields()[0].values;
  x[{3, 0, 0, 0}] = 7;
  const data::TensorDataset other({x, whole.fields()[1].values});
  const std::string text = error_of(ErrorKind::value, [&] { fit(other); });
  EXPECT_NE(text.find("the training data are not those that it began with"), text.npos) << text;
}

TEST(Resume, RefusesAnotherScheduleForTheSameEpochs) {
  const TemporaryFolder folder;
  Training training;
  training.options.checkpoint = in(folder);
  training.options.interrupted = after(2);  // in the first epoch, whose rates are the same
  training.run(folder);
  training.options.interrupted = {};
  const auto first = training.options.schedule;
  training.options.schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{2, 0.5});
  std::string text = error_of(ErrorKind::value, [&] { training.run(folder); });
  EXPECT_NE(text.find("`schedule` gives other learning rates than it did"), text.npos) << text;
  training.options.schedule = nullptr;
  text = error_of(ErrorKind::value, [&] { training.run(folder); });
  EXPECT_NE(text.find("`schedule` gives other"), text.npos) << text;
  training.options.schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{1, 0.5});
  training.run(folder);  // an equal one
}

TEST(Resume, RefusesOtherValidationDataAndLossOptions) {
  const TemporaryFolder folder;
  const auto fit = [&](const std::optional<data::AnyDataset>& validation, Reduction reduction) {
    manual_seed(1);
    nn::Sequential net{nn::Flatten(), nn::Linear(64, 3)};
    Trainer trainer(
        net, {.loss = nn::CrossEntropyLoss({.reduction = reduction}), .optimizer = optim::SGD()});
    trainer.fit(images(), {.epochs = 2,
                           .validation_data = validation,
                           .verbose = false,
                           .checkpoint = in(folder, 1e9),
                           .interrupted = after(1)});
  };
  fit({}, Reduction::mean);
  std::string text =
      error_of(ErrorKind::value, [&] { fit(data::AnyDataset(images()), Reduction::mean); });
  EXPECT_NE(text.find("the validation data are not those that it began with"), text.npos) << text;
  text = error_of(ErrorKind::value, [&] { fit({}, Reduction::sum); });
  EXPECT_NE(text.find("`loss_options` was {\"reduction\": \"mean\"}, is "), text.npos) << text;
  fit({}, Reduction::mean);
}

TEST(Resume, RefusesFewerEpochsThanItHasHad) {
  const TemporaryFolder folder;
  Training training;
  training.options.checkpoint = in(folder);
  training.options.interrupted = after(7);  // of 5 steps an epoch
  training.run(folder);
  training.options.interrupted = {};
  training.options.epochs = 1;
  const std::string text = error_of(ErrorKind::value, [&] { training.run(folder); });
  EXPECT_NE(text.find("`epochs` is 1, but the training is in epoch 2"), text.npos) << text;
  training.options.epochs = 2;
  training.run(folder);
  const std::string after_the_end = error_of(ErrorKind::value, [&] {
    training.options.epochs = 1;
    training.run(folder);
  });
  EXPECT_NE(after_the_end.find("`epochs` is 1, but the training is in epoch 2"), after_the_end.npos)
      << after_the_end;
}

TEST(Resume, ARefusedOptimizerLeavesTheModelAsItWas) {
  const TemporaryFolder folder;
  manual_seed(1);
  const auto fit = [&](nn::Sequential& net, size_t trained) {
    optim::Adam adam({{.parameters = {net.parameters()[trained]}, .options = {}}},
                     optim::AdamOptions());
    Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = std::move(adam)});
    trainer.fit(images(), {.epochs = 1, .verbose = false, .checkpoint = in(folder)});
  };
  nn::Sequential first{nn::Flatten(), nn::Linear(64, 3)};
  fit(first, 0);
  nn::Sequential second{nn::Flatten(), nn::Linear(64, 3)};
  const Tensor before = second.parameters()[0].value();
  const Tensor draws = default_generator().state();
  const std::string text = error_of(ErrorKind::shape, [&] { fit(second, 1); });
  EXPECT_NE(text.find("0.exp_avg is f32[3] in this training, f32[3,64] in the checkpoint"),
            text.npos)
      << text;
  EXPECT_EQ(second.parameters()[0].value().to_vector<float>(), before.to_vector<float>());
  EXPECT_EQ(default_generator().state().to_vector<int64_t>(), draws.to_vector<int64_t>());
}

TEST(Resume, RefusesOtherOptionsOfAnyGroup) {
  const TemporaryFolder folder;
  const auto fit = [&](double decay) {
    manual_seed(1);
    nn::Sequential net{nn::Flatten(), nn::Linear(64, 3)};
    const std::vector<State> cells = net.parameters();
    optim::Adam adam({{.parameters = {cells[0]}, .options = {{"lr", 0.1}}},
                      {.parameters = {cells[1]}, .options = {{"weight_decay", decay}}}},
                     optim::AdamOptions());
    Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = std::move(adam)});
    trainer.fit(images(), {.epochs = 1, .verbose = false, .checkpoint = in(folder)});
  };
  fit(0.5);
  fit(0.5);
  const std::string text = error_of(ErrorKind::value, [&] { fit(0.25); });
  EXPECT_NE(text.find("`optimizer_options` was "), text.npos) << text;
}

TEST(Resume, GoesOnWhenACheckpointCannotBeSaved) {
  const TemporaryFolder folder;
  testing::put(folder / "checkpoints", "in the way");
  Training training;
  training.options.checkpoint = in(folder);
  training.options.checkpoint->resume = false;
  std::vector<std::string> warnings;
  training.options.checkpoint->on_warning = [&](const std::string& text) {
    warnings.push_back(text);
  };
  const TemporaryFolder whole;
  const std::string text = error_of(ErrorKind::io, [&] { training.run(folder); });
  EXPECT_NE(text.find("/checkpoints: "), std::string::npos) << text;  // the last save must not fail
  EXPECT_EQ(content_of(folder / "model.safetensors"), Training().run(whole).weights);
  ASSERT_EQ(warnings.size(), 1u);  // one for all others, which fail alike
  EXPECT_NE(warnings[0].find("no checkpoint was saved: "), std::string::npos) << warnings[0];
}

}  // namespace
}  // namespace taper

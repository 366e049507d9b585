// Fits with schedules by epoch and by update: what they do, and that a cut, a plan and accumulated
// batches change no bit of it.

#include <gtest/gtest.h>

#include <taper/io/sha256.h>
#include <taper/taper.h>
#include <taper/train/runs/checkpoint.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using optim::ScheduleInterval;
using testing::content_of;
using testing::error_of;
using testing::TemporaryFolder;

/// 20 examples: batches of 8, 8 and 4.
data::TensorDataset examples() {
  Generator generator(3);
  const Tensor x = normal({20, 4}, 0, 1, DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 20; ++i) labels.push_back(i * i * 7 % 11 % 3);
  return data::TensorDataset({x, from_values<int64_t>({20}, labels)});
}

/// Notes the rate and the momentum (or beta1) behind each batch.
struct Recorder : Callback {
  std::vector<double> rates;
  std::vector<double> momenta;
  void on_batch_end(Trainer& trainer, const Logs&) override {
    rates.push_back(trainer.optimizer()->lr());
    for (const auto& [name, value] : trainer.optimizer()->present_options()) {
      if (name == "momentum") momenta.push_back(*value.get_if<double>());
      if (name == "betas") momenta.push_back((*value.get_if<Value::Reals>())[0]);
    }
  }
};

struct Result {
  std::vector<double> rates;
  std::vector<double> momenta;
  std::string weights;
  std::vector<double> losses;
};

using SchedulePointer = std::shared_ptr<optim::Schedule>;

struct Training {
  SchedulePointer schedule;
  FitOptions options = {
      .epochs = 4, .batch_size = 8, .seed = 5, .verbose = false, .schedule_monitor = "loss"};
  optim::AnyOptimizer (*optimizer)() = [] {
    return optim::AnyOptimizer(optim::SGD({.lr = 0.25, .momentum = 0.9}));
  };

  Result run(const TemporaryFolder& folder) const {
    manual_seed(1);
    nn::Sequential net{nn::Linear(4, 8), nn::Tanh(), nn::Dropout(0.1), nn::Linear(8, 3)};
    Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optimizer()});
    const auto recorder = std::make_shared<Recorder>();
    FitOptions all = options;
    all.schedule = schedule;
    all.callbacks.push_back(recorder);
    const History history = trainer.fit(examples(), all);
    save(net, folder / "model.safetensors");
    return {recorder->rates, recorder->momenta, content_of(folder / "model.safetensors"),
            history.has("loss") ? history["loss"] : std::vector<double>()};
  }
};

/// The same bits when cut after each update and, all over again, with recorded steps.
void expect_same_when_cut(Training training, int64_t updates) {
  const TemporaryFolder whole;
  const Result expected = training.run(whole);
  for (const bool compiled : {true, false}) {
    training.options.compile = compiled;
    for (int64_t update = 1; update < updates; ++update) {
      const TemporaryFolder folder;
      training.options.checkpoint = {.folder = folder / "kept", .seconds = 1e9, .resume = true};
      training.options.interrupted = [left = update]() mutable { return --left == 0; };
      training.run(folder);
      training.options.interrupted = {};
      const Result resumed = training.run(folder);
      EXPECT_EQ(resumed.weights, expected.weights) << update << compiled;
      EXPECT_EQ(resumed.losses, expected.losses) << update << compiled;
    }
  }
}

SchedulePointer one_cycle(const optim::OneCycleLROptions& options) {
  return std::make_shared<optim::OneCycleLR>(options);
}

TEST(ScheduledFit, OneCycleCountsUpdatesAndKnowsHowMany) {
  const TemporaryFolder folder;
  Training training{.schedule = one_cycle({.max_lr = 0.5})};
  const Result found = training.run(folder);
  const std::vector<State> x{State("x", zeros({1}), true)};
  optim::SGD sgd(x, {.lr = 0.25, .momentum = 0.9});
  optim::LRScheduler scheduler(sgd, optim::OneCycleLR({.max_lr = 0.5, .total_steps = 12}));
  ASSERT_EQ(found.rates.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(found.rates[i], sgd.lr()) << i;
    EXPECT_EQ(found.momenta[i], *Value(sgd.present_options()).find("momentum")->get_if<double>());
    scheduler.step();
  }
}

TEST(ScheduledFit, CanBeToldWhatAStepIs) {
  const TemporaryFolder folder;
  Training training{.schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{2, 0.5})};
  training.options.epochs = 2;
  training.options.schedule_interval = ScheduleInterval::update;
  EXPECT_EQ(training.run(folder).rates, std::vector({0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625}));
  training.options.accumulate = 2;  // two updates an epoch
  EXPECT_EQ(training.run(folder).rates, std::vector({0.25, 0.25, 0.25, 0.125, 0.125, 0.125}));
  training.options.accumulate = 1;
  training.options.epochs = 3;
  training.schedule = one_cycle({.max_lr = 1, .anneal_strategy = optim::AnnealStrategy::linear});
  training.options.schedule_interval = ScheduleInterval::epoch;
  const std::vector<double> rates = training.run(folder).rates;
  EXPECT_EQ(rates[0], rates[2]);
  EXPECT_NE(rates[2], rates[3]);
  EXPECT_NEAR(rates[8], 1 / 25e4, 1e-12);
}

TEST(ScheduledFit, OneCycleGoesOnAfterAnyCut) {
  expect_same_when_cut({.schedule = one_cycle({.max_lr = 0.5})}, 12);
  Training adam{.schedule = one_cycle({.max_lr = 0.05, .three_phase = true})};
  adam.optimizer = [] { return optim::AnyOptimizer(optim::AdamW({.lr = 0.1})); };
  adam.options.epochs = 3;
  expect_same_when_cut(adam, 9);
}

TEST(ScheduledFit, AccumulatedUpdatesGoOnAfterAnyCut) {
  Training training{.schedule = one_cycle({.max_lr = 0.5})};
  training.options.accumulate = 2;
  expect_same_when_cut(training, 8);
}

TEST(ScheduledFit, APlateauGoesOnAfterAnyCut) {
  Training training{.schedule =
                        std::make_shared<optim::ReduceLROnPlateau>(optim::ReduceLROnPlateauOptions{
                            .factor = 0.5, .patience = 0, .threshold = 0.05})};
  training.options.epochs = 6;
  const TemporaryFolder folder;
  const std::vector<double> rates = training.run(folder).rates;
  EXPECT_LT(rates.back(), rates.front());
  EXPECT_EQ(rates[0], rates[2]);
  expect_same_when_cut(training, 18);
}

TEST(ScheduledFit, PutsBackWhatItMoved) {
  manual_seed(1);
  nn::Sequential net{nn::Linear(4, 3)};
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(),
                        .optimizer = optim::Adam({.lr = 0.25, .betas = {0.8, 0.99}})});
  FitOptions options{.epochs = 2, .batch_size = 8, .verbose = false};
  options.schedule = one_cycle({.max_lr = 0.5});
  for (int i = 0; i < 2; ++i) {
    trainer.fit(examples(), options);
    EXPECT_EQ(trainer.optimizer()->lr(), 0.25);
    EXPECT_EQ(trainer.optimizer()->present_options(), trainer.optimizer()->group_options(0));
  }
}

TEST(ScheduledFit, AFinishedOneGoesOnWithMoreEpochs) {
  const TemporaryFolder folder;
  Training training{.schedule = one_cycle({.max_lr = 0.5})};
  training.options.epochs = 2;
  training.options.checkpoint = {.folder = folder / "kept", .seconds = 1e9, .resume = true};
  training.run(folder);
  training.options.epochs = 4;
  const Result more = training.run(folder);
  EXPECT_EQ(more.losses.size(), 4u);
  const TemporaryFolder other;
  const std::vector<double> whole = Training{.schedule = training.schedule}.run(other).rates;
  EXPECT_EQ(more.rates, std::vector(whole.begin() + 6, whole.end()));
}

/// Checkpoints had no state of a schedule, and told one from another by its factors.
TEST(ScheduledFit, GoesOnFromAnOlderCheckpoint) {
  Training training{.schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{1, 0.5})};
  const TemporaryFolder whole;
  const Result expected = training.run(whole);
  for (int update : {2, 3, 7}) {
    const TemporaryFolder folder;
    training.options.checkpoint = {.folder = folder / "kept", .seconds = 1e9, .resume = true};
    training.options.interrupted = [left = update]() mutable { return --left == 0; };
    training.run(folder);
    CheckpointFolder kept(folder / "kept");
    Checkpoint checkpoint = kept.load()->checkpoint;
    EXPECT_EQ(std::erase_if(checkpoint.progress,
                            [](const auto& field) { return field.first == "scheduler"; }),
              1u);
    EXPECT_EQ(*Value(checkpoint.progress).find("schedule"),
              Value(sha256("1.0\n0.5\n0.25\n0.125\n")));
    kept.save(checkpoint, false);
    training.options.interrupted = {};
    EXPECT_EQ(training.run(folder).weights, expected.weights) << update;
  }
}

/// One rule with the options of both.
TEST(ScheduledFit, ThePlateauCallbackReducesEachGroupFromItsOwnRate) {
  manual_seed(1);
  nn::Sequential net{nn::Linear(4, 3)};
  const std::vector<State> cells = net.parameters();
  optim::SGD sgd({{.parameters = {cells[0]}, .options = {{"lr", 0.5}}}, {.parameters = {cells[1]}}},
                 optim::SGDOptions{.lr = 0.25});
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = sgd});
  FitOptions options{.epochs = 2, .batch_size = 8, .verbose = false};
  options.callbacks = {std::make_shared<ReduceOnPlateau>(ReduceOnPlateauOptions{
      .monitor = "loss", .factor = 0.5, .patience = 1, .min_delta = 1e3, .min_lr = 0.2})};
  trainer.fit(examples(), options);
  EXPECT_EQ(sgd.lr(0), 0.25);
  EXPECT_EQ(sgd.lr(1), 0.2);
}

TEST(ScheduledFit, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  Training training{.schedule = one_cycle({.max_lr = 0.5, .total_steps = 10})};
  EXPECT_EQ(error_of(ErrorKind::value, [&] { training.run(folder); }),
            "OneCycleLR: it has 10 steps, step 11 was asked for");
  training.schedule = std::make_shared<optim::ReduceLROnPlateau>();
  training.options.schedule_interval = ScheduleInterval::update;
  EXPECT_EQ(error_of(ErrorKind::value, [&] { training.run(folder); }),
            "fit: a schedule that watches a number moves by epochs");
  training.options.schedule_interval = {};
  training.options.schedule_monitor = "val_loss";
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { training.run(folder); }),
            "fit: the schedule: no number `val_loss` to monitor; there are: loss, learning_rate, "
            "epoch_seconds; `val_` numbers need `validation_data` or `validation_split`");
  training.schedule = one_cycle({.max_lr = 0.5});
  training.options.checkpoint = {.folder = folder / "kept", .seconds = 1e9, .resume = true};
  training.options.interrupted = [left = 2]() mutable { return --left == 0; };
  training.run(folder);
  training.options.schedule_interval = ScheduleInterval::epoch;
  const std::string text = error_of(ErrorKind::value, [&] { training.run(folder); });
  EXPECT_NE(text.find("`schedule` gives other learning rates than it did"), text.npos) << text;
}

}  // namespace
}  // namespace taper

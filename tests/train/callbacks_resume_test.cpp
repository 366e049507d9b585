// Fits with callbacks that remember, cut and resumed: they must end as one that was never cut.

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include <taper/core/warning.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/callbacks/board.h>
#include <taper/train/callbacks/csv_logger.h>
#include <taper/train/callbacks/lambda_callback.h>
#include <taper/train/callbacks/rates.h>
#include <taper/train/callbacks/stopping.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::content_of;
using testing::error_of;
using testing::TemporaryFolder;

/// Labels that have nothing to do with the inputs, so that the validation loss soon rises.
data::TensorDataset noise() {
  constexpr int64_t examples = 32;
  Generator generator(3);
  const Tensor x = uniform({examples, 4}, 0, 1, DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < examples; ++i) labels.push_back(i * i * 7 % 11 % 3);
  return data::TensorDataset({x, from_values<int64_t>({examples}, labels)});
}

struct Result {
  std::string weights;
  std::vector<double> losses;
  std::string table;
  bool operator==(const Result&) const = default;
};

/// The rows without their last number, the seconds.
std::string without_seconds(const std::string& table) {
  std::istringstream in(table);
  std::string rows;
  for (std::string row; std::getline(in, row);) rows += row.substr(0, row.rfind(',')) + "\n";
  return rows;
}

/// With new callbacks each time, as in a new process; cut after this many updates, if not 0.
Result run(const TemporaryFolder& folder, int64_t cut_after, int64_t epochs = 30) {
  manual_seed(1);
  nn::Sequential net{nn::Linear(4, 32), nn::Tanh(), nn::Linear(32, 3)};
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam({.lr = 0.1})});
  const std::string table = (folder / "log.csv").string();
  const auto stop = std::make_shared<EarlyStopping>(EarlyStoppingOptions{.patience = 4});
  const auto best = std::make_shared<BestWeights>();
  const auto reduce =
      std::make_shared<ReduceOnPlateau>(ReduceOnPlateauOptions{.factor = 0.5, .patience = 2});
  const auto csv = std::make_shared<CSVLogger>(CSVLoggerOptions{.path = table});
  const auto board =
      std::make_shared<TensorBoard>(TensorBoardOptions{.log_dir = (folder / "logs").string()});
  FitOptions options{.epochs = epochs, .batch_size = 8, .seed = 5, .validation_split = 0.25};
  options.verbose = false;
  options.callbacks = {stop, best, reduce, csv, board};
  options.checkpoint = {.folder = folder / "checkpoints", .seconds = 1e9, .resume = true};
  if (cut_after > 0) {
    options.interrupted = [cut_after]() mutable { return --cut_after == 0; };
  }
  const History history = trainer.fit(noise(), options);
  save(net, folder / "model.safetensors");
  return {content_of(folder / "model.safetensors"),
          history.has("loss") ? history["loss"] : std::vector<double>(),
          without_seconds(content_of(table))};
}

TEST(ResumedCallbacks, DoWhatTheyDoInAFitThatIsNotCut) {
  const TemporaryFolder whole;
  const Result expected = run(whole, 0);
  EXPECT_GT(expected.losses.size(), 4u);
  EXPECT_LT(expected.losses.size(), 30u);  // stopped early
  const auto updates = static_cast<int64_t>(3 * expected.losses.size());
  for (int64_t step = 1; step < updates; ++step) {
    const TemporaryFolder folder;
    run(folder, step);
    EXPECT_EQ(run(folder, 0), expected) << "cut after update " << step;
  }
}

TEST(ResumedCallbacks, MoreEpochsGiveEarlyStoppingItsPatienceAgain) {
  const TemporaryFolder folder;
  const size_t stopped = run(folder, 0).losses.size();
  EXPECT_EQ(run(folder, 0).losses.size(), stopped);  // it has ended
  EXPECT_GE(run(folder, 0, 40).losses.size(), stopped + 4);
}

TEST(ResumedCallbacks, AreOfTheSameKinds) {
  const TemporaryFolder folder;
  const auto fit = [&](const std::shared_ptr<Callback>& callback) {
    manual_seed(1);
    nn::Sequential net{nn::Linear(4, 3)};
    Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD({.lr = 0.1})});
    trainer.fit(noise(), {.epochs = 2,
                          .batch_size = 8,
                          .verbose = false,
                          .callbacks = {callback},
                          .checkpoint =
                              CheckpointOptions{.folder = folder / "checkpoints", .resume = true}});
  };
  const BestWeightsOptions lowest{.monitor = "loss"};
  fit(std::make_shared<BestWeights>(lowest));
  fit(std::make_shared<BestWeights>(lowest));
  const std::string text = error_of(
      ErrorKind::value, [&] { fit(std::make_shared<LambdaCallback>(LambdaCallbackOptions())); });
  EXPECT_NE(text.find("`callbacks` was [\"taper::BestWeights\"], is [\"taper::LambdaCallback\"]"),
            text.npos)
      << text;
}

/// Full from the first write on, which Linux has as a file.
TEST(ResumedCallbacks, AFullDiskForALogCostsNoTraining) {
  const TemporaryFolder folder;
  nn::Sequential net{nn::Linear(4, 3)};
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD({.lr = 0.1})});
  FitOptions options{.epochs = 3, .batch_size = 8, .verbose = false};
  options.callbacks = {std::make_shared<CSVLogger>(CSVLoggerOptions{.path = "/dev/full"})};
  std::vector<std::string> heard;
  const WarningHandler before =
      set_warning_handler([&](const std::string& text) { heard.push_back(text); });
  const History history = trainer.fit(noise(), options);
  set_warning_handler(before);
  EXPECT_EQ(history["loss"].size(), 3u);
  EXPECT_EQ(heard, std::vector<std::string>({"CSVLogger: cannot write /dev/full; the training "
                                             "goes on without this log"}));
}

}  // namespace
}  // namespace taper

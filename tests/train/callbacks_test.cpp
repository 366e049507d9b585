#include <taper/train/callbacks/csv_logger.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>
#include <taper/optim/optimizers.h>
#include <taper/train/callbacks/board.h>
#include <taper/train/callbacks/lambda_callback.h>
#include <taper/train/callbacks/rates.h>
#include <taper/train/callbacks/stopping.h>
#include <taper/train/callbacks/time_limit.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/metrics/metrics.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::content_of;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

nn::Sequential small_model() { return nn::Sequential{nn::Linear(2, 1)}; }

Trainer trainer_of(const nn::AnyModule& model) {
  return Trainer(model, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.5})});
}

Logs epoch_of(int64_t epoch, NamedNumbers values) {
  return {.epoch = epoch, .epochs = 100, .values = std::move(values)};
}

void set_weights(const nn::Module& model, double value) {
  for (const State& cell : model.parameters()) {
    cell.set(full(cell.value().shape(), value));
  }
}

double weight_of(const nn::Module& model) {
  return model.parameters()[0].value().to_vector<double>()[0];
}

/// Runs epochs whose `val_loss` are `losses`, with weights equal to the epoch; the number of epochs
/// until the callback stopped. The state is moved into a new callback before epoch `cut`.
template <class Made>
int64_t run(const nn::Sequential& model, const std::vector<double>& losses,
            const std::function<std::shared_ptr<Made>()>& make, int64_t cut = -1,
            std::vector<double>* rates = nullptr, int64_t first = 0) {
  Trainer trainer = trainer_of(model);
  std::shared_ptr<Made> callback = make();
  callback->on_train_begin(trainer);
  int64_t epoch = first;
  while (epoch < std::ssize(losses) && !callback->stop_training) {
    if (epoch == cut) {
      const CallbackState state = callback->state();
      const Value through_json = parse_json(to_json(Value(state.values)));
      callback = make();
      callback->resume({*through_json.get_if<Fields>(), state.tensors});
      callback->on_train_begin(trainer);
      if (callback->stop_training) break;
    }
    set_weights(model, static_cast<double>(epoch));
    callback->on_epoch_begin(trainer, epoch);
    callback->on_epoch_end(
        trainer, epoch_of(epoch, {{"loss", 1}, {"val_loss", losses[static_cast<size_t>(epoch)]}}));
    if (rates != nullptr) rates->push_back(trainer.optimizer()->lr());
    ++epoch;
  }
  callback->on_train_end(trainer);
  return epoch;
}

std::function<std::shared_ptr<EarlyStopping>()> stopping(const EarlyStoppingOptions& options) {
  return [options] { return std::make_shared<EarlyStopping>(options); };
}

// The numbers of epochs in the next tests are counted by hand from Keras 3's definition.

TEST(EarlyStopping, StopsAfterPatience) {
  const nn::Sequential model = small_model();
  const std::vector<double> losses = {5, 4, 4.5, 3, 3.2, 3.1, 3, 2};
  EXPECT_EQ(run(model, losses, stopping({})), 3);
  EXPECT_EQ(run(model, losses, stopping({.patience = 2})), 6);
  EXPECT_EQ(run(model, losses, stopping({.patience = 4})), 8);
  EXPECT_EQ(run(model, losses, stopping({.min_delta = 1.5})), 2);
  EXPECT_EQ(run(model, losses, stopping({.min_delta = -1.5, .patience = 2})), 3);
  EXPECT_EQ(run(model, losses, stopping({.mode = MonitorMode::max})), 2);
  EXPECT_EQ(run(model, losses, stopping({.patience = 2, .baseline = 3.5})), 3);
  EXPECT_EQ(run(model, losses, stopping({.start_from_epoch = 3})), 5);
  EXPECT_EQ(weight_of(model), 4);
}

TEST(EarlyStopping, RestoresTheBestWeights) {
  const nn::Sequential model = small_model();
  const std::vector<double> losses = {5, 4, 4.5, 3, 3.2, 3.1, 3, 2};
  EXPECT_EQ(run(model, losses, stopping({.patience = 2, .restore_best_weights = true})), 6);
  EXPECT_EQ(weight_of(model), 3);
}

TEST(EarlyStopping, NumbersThatAreNotFiniteNeverImprove) {
  const double nan = std::nan("");
  const double infinite = std::numeric_limits<double>::infinity();
  const nn::Sequential model = small_model();
  EXPECT_EQ(run(model, {nan, infinite, 3, nan, 4, 5, 1}, stopping({.patience = 3})), 6);
}

TEST(EarlyStopping, GoesOnFromItsStateAsIfNotCut) {
  const nn::Sequential model = small_model();
  const std::vector<double> losses = {5, 4, 4.5, 3, 3.2, 3.1, 3, 2};
  for (int64_t cut = 0; cut < 6; ++cut) {
    EXPECT_EQ(run(model, losses, stopping({.patience = 2, .restore_best_weights = true}), cut), 6);
    EXPECT_EQ(weight_of(model), 3);
  }
}

TEST(EarlyStopping, StaysStoppedUnlessItHasMorePatience) {
  Trainer trainer = trainer_of(small_model());
  EarlyStopping first;
  first.on_train_begin(trainer);
  first.on_epoch_end(trainer, epoch_of(0, {{"val_loss", 1}}));
  first.on_epoch_end(trainer, epoch_of(1, {{"val_loss", 2}}));
  EXPECT_TRUE(first.stop_training);
  EXPECT_EQ(first.best(), 1);
  for (const int64_t patience : {0, 5}) {
    EarlyStopping second({.patience = patience});
    second.resume(first.state());
    second.on_train_begin(trainer);
    EXPECT_EQ(second.stop_training, patience == 0);
  }
}

TEST(EarlyStopping, NamesTheNumbersThatThereAre) {
  Trainer trainer = trainer_of(small_model());
  EarlyStopping callback;
  callback.on_train_begin(trainer);
  EXPECT_EQ(error_of(ErrorKind::not_found,
                     [&] { callback.on_epoch_end(trainer, epoch_of(0, {{"loss", 1}})); }),
            "EarlyStopping: no number `val_loss` to monitor; there are: loss; `val_` numbers need "
            "`validation_data` or `validation_split`");
  EarlyStopping other({.monitor = "accurracy"});
  EXPECT_EQ(error_of(ErrorKind::not_found,
                     [&] { other.on_epoch_end(trainer, epoch_of(0, {{"loss", 1}, {"f1", 1}})); }),
            "EarlyStopping: no number `accurracy` to monitor; there are: loss, f1");
  EXPECT_EQ(error_of(ErrorKind::value, [] { EarlyStopping({.patience = -1}); }),
            "EarlyStopping: `patience` must be at least 0, got -1");
}

TEST(Monitor, TakesTheLargerForMetrics) {
  const Trainer trainer(small_model(), {.loss = nn::CrossEntropyLoss(),
                                        .optimizer = optim::SGD(),
                                        .metrics = {metrics::TopKAccuracy(2), "perplexity"}});
  const auto rises = [&](const char* name, MonitorMode mode = MonitorMode::automatic) {
    Monitor monitor("X", name, mode);
    monitor.begin(trainer);
    return monitor.improves(2, 1);
  };
  EXPECT_TRUE(rises("top_2_accuracy"));
  EXPECT_FALSE(rises("val_perplexity"));
  EXPECT_TRUE(rises("accuracy"));
  EXPECT_TRUE(rises("val_f1"));
  EXPECT_FALSE(rises("val_loss"));
  EXPECT_FALSE(rises("epoch_seconds"));
  EXPECT_FALSE(rises("accuracy", MonitorMode::min));
}

TEST(BestWeights, AreKeptRestoredAndSaved) {
  const TemporaryFolder folder;
  const std::string path = (folder / "best.safetensors").string();
  const std::vector<double> losses = {5, 2, 4, 3};
  for (int64_t cut = -1; cut < 4; ++cut) {
    const nn::Sequential model = small_model();
    EXPECT_EQ(
        run<BestWeights>(
            model, losses,
            [&] { return std::make_shared<BestWeights>(BestWeightsOptions{.path = path}); }, cut),
        4);
    EXPECT_EQ(weight_of(model), 1);
    set_weights(model, 9);
    load(model, path);
    EXPECT_EQ(weight_of(model), 1);
  }
  const nn::Sequential model = small_model();
  run<BestWeights>(model, losses, [] {
    return std::make_shared<BestWeights>(BestWeightsOptions{.restore = false});
  });
  EXPECT_EQ(weight_of(model), 3);
}

TEST(TimeLimit, EndsAfterTheBatchAndCountsTheTimeBefore) {
  Trainer trainer = trainer_of(small_model());
  double now = 100;
  const auto clock = [&] { return now; };
  TimeLimit first({.seconds = 10}, clock);
  first.on_train_begin(trainer);
  now = 106;
  first.on_batch_end(trainer, {});
  EXPECT_FALSE(first.stop_training);
  TimeLimit second({.seconds = 10}, clock);
  second.resume(first.state());
  now = 1000;
  second.on_train_begin(trainer);
  now = 1003.5;
  second.on_batch_end(trainer, {});
  EXPECT_FALSE(second.stop_training);
  now = 1004;
  second.on_batch_end(trainer, {});
  EXPECT_TRUE(second.stop_training);
  EXPECT_EQ(error_of(ErrorKind::value, [] { TimeLimit({.seconds = 0}); }),
            "TimeLimit: `seconds` must be finite and above 0, got 0.0");
}

TEST(ReduceOnPlateau, MultipliesTheRateAsKerasDoes) {
  const std::vector<double> losses = {5, 5, 5, 5, 5, 5, 5, 1, 1, 1};
  const ReduceOnPlateauOptions options{.factor = 0.5, .patience = 2, .cooldown = 2, .min_lr = 0.2};
  const std::vector<double> expected = {0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2};
  for (int64_t cut = -1; cut < 10; ++cut) {
    std::vector<double> rates;
    run<ReduceOnPlateau>(
        small_model(), losses, [&] { return std::make_shared<ReduceOnPlateau>(options); }, cut,
        &rates);
    EXPECT_EQ(rates, expected) << cut;
  }
  EXPECT_EQ(error_of(ErrorKind::value, [] { ReduceOnPlateau({.factor = 1}); }),
            "ReduceOnPlateau: `factor` must be above 0 and below 1, got 1.0");
}

TEST(LearningRateScheduler, AsksTheFunction) {
  std::vector<double> rates;
  run<LearningRateScheduler>(
      small_model(), {1, 1, 1},
      [] {
        return std::make_shared<LearningRateScheduler>(
            [](int64_t epoch, double lr) { return epoch == 1 ? lr / 4 : lr; });
      },
      -1, &rates);
  EXPECT_EQ(rates, (std::vector<double>{0.5, 0.125, 0.125}));
  error_of(ErrorKind::value, [] { LearningRateScheduler({}); });
}

TEST(LambdaCallback, CallsWhatIsGiven) {
  std::string events;
  run<LambdaCallback>(small_model(), {1, 1}, [&] {
    return std::make_shared<LambdaCallback>(LambdaCallbackOptions{
        .on_train_begin = [&](Trainer&) { events += "["; },
        .on_train_end = [&](Trainer&) { events += "]"; },
        .on_epoch_end = [&](Trainer&, const Logs& logs) { events += std::to_string(logs.epoch); }});
  });
  EXPECT_EQ(events, "[01]");
}

TEST(CSVLogger, CutsTheRowsAfterTheCheckpoint) {
  const TemporaryFolder folder;
  const std::string path = (folder / "log.csv").string();
  Trainer trainer = trainer_of(small_model());
  CSVLogger first({.path = path});
  first.on_train_begin(trainer);
  first.on_epoch_end(trainer, epoch_of(0, {{"loss", 0.5}}));
  const CallbackState state = first.state();
  first.on_epoch_end(trainer, epoch_of(1, {{"loss", 0.25}}));
  first.on_train_end(trainer);
  EXPECT_EQ(content_of(path), "epoch,loss\n1,0.5\n2,0.25\n");
  for (int i = 0; i < 2; ++i) {
    CSVLogger second({.path = path});
    second.resume(state);
    second.on_train_begin(trainer);
    second.on_epoch_end(trainer, epoch_of(1, {{"loss", 0.125}}));
    second.on_train_end(trainer);
    EXPECT_EQ(content_of(path), "epoch,loss\n1,0.5\n2,0.125\n");
  }
  std::filesystem::remove(path);
  CSVLogger third({.path = path});
  third.resume(state);
  third.on_train_begin(trainer);
  third.on_epoch_end(trainer, epoch_of(1, {{"loss", 0.125}}));
  EXPECT_EQ(content_of(path), "epoch,loss\n1,0.5\n2,0.125\n");  // what was lost, too
}

TEST(Callbacks, AreMadeByName) {
  const std::map<std::string, Fields> known = {{"EarlyStopping", {{"mode", "max"}}},
                                               {"BestWeights", {{"monitor", "loss"}}},
                                               {"TimeLimit", {{"seconds", 3.0}}},
                                               {"ReduceOnPlateau", {}},
                                               {"TensorBoard", {{"log_dir", "logs"}}}};
  for (const auto& [name, options] : known) {
    EXPECT_NE(CallbackFactory::get(name, "callback").make(options), nullptr);
  }
  error_of(ErrorKind::value, [] { CallbackFactory::get("TensorBoard", "callback").make({}); });
}

TEST(TensorBoard, DrawsTheTreeOfModules) {
  const nn::Sequential model{nn::Conv2d(1, 2, 3), nn::ReLU()};
  std::map<std::string, EventGraphNode> nodes;
  for (EventGraphNode& node : graph_of(model)) nodes.emplace(node.name, node);
  EXPECT_EQ(nodes.size(), 6u);
  EXPECT_EQ(nodes.at("model/0/Conv2d").inputs,
            (std::vector<std::string>{"input", "model/0/weight", "model/0/bias"}));
  EXPECT_EQ(nodes.at("model/1/ReLU").inputs, std::vector<std::string>{"model/0/Conv2d"});
  EXPECT_EQ(nodes.at("output").inputs, std::vector<std::string>{"model/1/ReLU"});
}

struct Residual : nn::Layer<Residual> {
  nn::Linear inner = child("inner", nn::Linear(3, 3));
  Tensor forward(const Tensor& x) const { return relu(inner(x)) + x; }
};

TEST(TensorBoard, DrawsTheCallsOfAFit) {
  const nn::Sequential model{Residual(), nn::Linear(3, 2)};
  Trainer trainer(model, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()});
  trainer.fit(data::TensorDataset({ones({4, 3}), tensor<int64_t>({0, 1, 1, 0})}),
              {.batch_size = 4, .verbose = false});
  ASSERT_NE(trainer.graph(), nullptr);
  std::map<std::string, std::vector<std::string>> inputs;
  for (EventGraphNode& node : graph_of(*trainer.graph(), model)) inputs[node.name] = node.inputs;
  using Names = std::vector<std::string>;
  const std::map<std::string, Names> expected = {
      {"input", {}},
      {"model/0/inner/weight", {}},
      {"model/0/inner/bias", {}},
      {"model/0/inner/linear", {"input", "model/0/inner/weight", "model/0/inner/bias"}},
      {"model/0/relu", {"model/0/inner/linear"}},
      {"model/0/add", {"model/0/relu", "input"}},
      {"model/1/weight", {}},
      {"model/1/bias", {}},
      {"model/1/linear", {"model/0/add", "model/1/weight", "model/1/bias"}},
      {"output", {"model/1/linear"}}};
  EXPECT_EQ(inputs, expected);
}

TEST(TensorBoard, WritesAFileForEachRunAndAnotherWhenResumed) {
  const TemporaryFolder folder;
  Trainer trainer = trainer_of(small_model());
  const auto files = [&](const char* run) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder / run)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  };
  CallbackState state;
  for (const double now : {1000.0, 2000.0}) {
    TensorBoard callback({.log_dir = folder.path().string()}, [&] { return now; });
    if (now == 2000) callback.resume(state);
    callback.on_train_begin(trainer);
    callback.on_epoch_end(trainer, epoch_of(0, {{"loss", 1}, {"val_loss", 2}}));
    state = callback.state();
    callback.on_train_end(trainer);
  }
  const std::vector<std::string> names = {"events.out.tfevents.0000001000.00000.taper",
                                          "events.out.tfevents.0000002000.00000.taper"};
  EXPECT_EQ(files("train"), names);
  EXPECT_EQ(files("validation"), names);
}

TEST(TensorBoard, ShowsALongEpochBySteps) {
  const TemporaryFolder folder;
  double now = 1000;
  Trainer trainer = trainer_of(small_model());
  TensorBoard callback({.log_dir = folder.path().string()}, [&] { return now; });
  callback.on_train_begin(trainer);
  for (int64_t step = 1; step <= 12; ++step) {
    now += 1;
    Logs logs = epoch_of(0, {{"loss", 1.0 / static_cast<double>(step)}});
    logs.total_step = step;
    callback.on_batch_end(trainer, logs);
  }
  callback.on_train_end(trainer);
  std::string events;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "steps")) {
    events += testing::content_of(entry.path());
  }
  size_t count = 0;
  for (size_t at = events.find("batch_loss"); at != events.npos;
       at = events.find("batch_loss", at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, 2u);  // at steps 5 and 10
  TensorBoard never({.log_dir = (folder / "b").string(), .seconds = 0}, [&] { return now += 9; });
  never.on_train_begin(trainer);
  never.on_batch_end(trainer, epoch_of(0, {{"loss", 1}}));
  EXPECT_FALSE(std::filesystem::exists(folder / "b" / "steps"));
}

}  // namespace
}  // namespace taper

#include <taper/train/fit/trainer.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/callbacks/csv_logger.h>
#include <taper/train/callbacks/ema.h>
#include <taper/train/fit/progress.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using data::TensorDataset;
using testing::error_of;
using testing::TemporaryFolder;

constexpr int64_t count = 30;

/// Points in the plane; the class is the larger of x, y and -x-y.
TensorDataset points(DType dtype = DType::f32) {
  Generator generator(3);
  const Tensor x = normal({count, 2}, 0, 1, DType::f32, &generator);
  const auto xy = x.to_vector<float>();
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) {
    const float a = xy[static_cast<size_t>(2 * i)];
    const float b = xy[static_cast<size_t>(2 * i + 1)];
    labels.push_back(a > b && a > -a - b ? 0 : b > -a - b ? 1 : 2);
  }
  return TensorDataset({astype(x, dtype), from_values<int64_t>({count}, labels)});
}

nn::Sequential small_model() {
  manual_seed(1);
  return nn::Sequential{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 3)};
}

TrainerOptions classify(double lr = 0.05) {
  return {.loss = nn::CrossEntropyLoss(),
          .optimizer = optim::Adam(optim::AdamOptions{.lr = lr}),
          .metrics = {"accuracy"}};
}

FitOptions quiet(int64_t epochs) {
  return {.epochs = epochs, .batch_size = 8, .seed = 5, .verbose = false};
}

std::vector<std::vector<float>> values_of(const nn::Module& model) {
  std::vector<std::vector<float>> values;
  for (const auto& [name, value] : model.state_dict()) values.push_back(value.to_vector<float>());
  return values;
}

class Recorder : public Callback {
 public:
  void on_train_begin(Trainer&) override { events += "["; }
  void on_train_end(Trainer&) override { events += "]"; }
  void on_epoch_begin(Trainer&, int64_t) override { events += "("; }
  void on_epoch_end(Trainer&, const Logs& logs) override {
    events += ")";
    last = logs;
  }
  void on_batch_end(Trainer& trainer, const Logs& logs) override {
    events += "b";
    rates.push_back(trainer.optimizer()->lr());
    if (events.size() >= stop_after) stop_training = true;
    EXPECT_TRUE(trainer.model().training());
    EXPECT_EQ(logs.values.front().first, "loss");
  }

  std::string events;
  std::vector<double> rates;
  Logs last;
  size_t stop_after = std::numeric_limits<size_t>::max();
};

TEST(Trainer, LearnsAndRecords) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  const History history = trainer.fit(points(), quiet(40));
  EXPECT_EQ(history.epochs(), 40u);
  EXPECT_EQ(history.names(),
            (std::vector<std::string>{"loss", "accuracy", "learning_rate", "epoch_seconds"}));
  EXPECT_LT(history["loss"].back(), 0.3 * history["loss"].front());
  EXPECT_GT(trainer.evaluate(points())["accuracy"], 0.9);
  EXPECT_NE(to_json(history.to_value()).find("\"loss\": ["), std::string::npos);
}

TEST(Trainer, DoesTheStepsOfALoopByHand) {
  nn::Sequential by_hand = small_model();
  optim::Adam adam(by_hand.parameters(), optim::AdamOptions{.lr = 0.05});
  data::Loader loader(points(), {.batch_size = 8, .shuffle = true, .seed = 5});
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    for (const data::Batch& batch : loader.epoch(epoch)) {
      adam.zero_grad();
      cross_entropy(by_hand(batch[0]), batch[1]).backward();
      adam.step();
    }
  }
  nn::Sequential model = small_model();
  Trainer(model, classify()).fit(points(), quiet(2));
  EXPECT_EQ(values_of(model), values_of(by_hand));
}

TEST(Trainer, ASecondFitGoesOn) {
  nn::Sequential once = small_model();
  Trainer(once, classify()).fit(points(), quiet(3));
  nn::Sequential twice = small_model();
  Trainer trainer(twice, classify());
  trainer.fit(points(), quiet(1));
  trainer.fit(points(), quiet(2));
  EXPECT_EQ(values_of(once), values_of(twice));
}

TEST(Trainer, EvaluatesInEvaluationModeAndRestoresModes) {
  manual_seed(1);
  nn::Dropout dropout(0.9);
  nn::Sequential model{nn::Linear(2, 8), dropout, nn::Linear(8, 3)};
  dropout.eval();
  const Trainer trainer(model, classify());
  const Tensor x = points().fields()[0].values;
  EXPECT_EQ(trainer.predict(x).to_vector<float>(), trainer.predict(x).to_vector<float>());
  EXPECT_TRUE(model.training());
  EXPECT_FALSE(dropout.training());
  model.train();
  trainer.evaluate(points());
  EXPECT_TRUE(dropout.training());
  model.eval();
  Trainer(model, classify()).fit(points(), quiet(1));
  EXPECT_FALSE(model.training());
}

TEST(Trainer, EvaluationCountsEveryExample) {
  nn::Sequential model = small_model();
  const Trainer trainer(model, classify());
  const Evaluation found = trainer.evaluate(points(), {.batch_size = 7});
  const Tensor x = points().fields()[0].values;
  const Tensor y = points().fields()[1].values;
  EXPECT_EQ(found.examples, count);
  EXPECT_NEAR(found.loss, cross_entropy(model(x), y).item(), 1e-6);
  ASSERT_TRUE(found.confusion.has_value());
  EXPECT_EQ(found.confusion->total(), count);
  EXPECT_EQ(found.class_names, (std::vector<std::string>{"0", "1", "2"}));
  std::ostringstream text;
  text << found;
  EXPECT_NE(text.str().find("precision  recall      f1  support"), std::string::npos);
  EXPECT_NE(text.str().find("confusion"), std::string::npos);
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { found["f1"]; }),
            "evaluation: no `f1`; there are: loss accuracy");
}

TEST(Trainer, PredictsDatasetsAndTensorsInBatches) {
  nn::Sequential model = small_model();
  const Trainer trainer(model, classify());
  const Tensor all = trainer.predict(points(), {.batch_size = 7});
  EXPECT_EQ(all.shape(), (Shape{count, 3}));
  EXPECT_FALSE(all.requires_grad());
  const Tensor again = trainer.predict(points().fields()[0].values, {.batch_size = 7});
  EXPECT_EQ(all.to_vector<float>(), again.to_vector<float>());
  const Tensor inputs_only = trainer.predict(TensorDataset({points().fields()[0].values}));
  EXPECT_EQ(inputs_only.shape(), all.shape());
}

TEST(Trainer, Validates) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  FitOptions options = quiet(2);
  options.validation_split = 0.2;
  const History history = trainer.fit(points(), options);
  EXPECT_EQ(history["val_loss"].size(), 2u);
  const data::TrainValidation parts = data::split(points(), 0.2);
  EXPECT_NEAR(history["val_loss"].back(), trainer.evaluate(parts.validation).loss, 1e-6);
  EXPECT_TRUE(history.has("val_accuracy"));
  options.validation_data = points();
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(points(), options); }),
            "fit: give `validation_split` or `validation_data`, not both");
}

TEST(Trainer, CastsFloatingInputsToTheModel) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  EXPECT_NO_THROW(trainer.fit(points(DType::f64), quiet(1)));
  EXPECT_EQ(trainer.predict(points(DType::f64)).dtype(), DType::f32);
}

TEST(Trainer, TakesBinaryTargetsOfBothShapes) {
  const Tensor x = from_values<float>({4, 1}, std::vector<float>{-2, -1, 1, 2});
  const Tensor y = from_values<int64_t>({4}, std::vector<int64_t>{0, 0, 1, 1});
  const auto accuracy = [&](nn::AnyLoss loss, const nn::Sequential& model, const Tensor& target) {
    Trainer trainer(model, {.loss = loss,
                            .optimizer = optim::SGD(optim::SGDOptions{.lr = 1}),
                            .metrics = {"accuracy", "f1"}});
    trainer.fit(TensorDataset({x, target}), quiet(60));
    return trainer.evaluate(TensorDataset({x, target}))["accuracy"];
  };
  EXPECT_EQ(accuracy(nn::BCEWithLogitsLoss(), nn::Sequential{nn::Linear(1, 1)}, y), 1);
  const nn::Sequential probabilities{nn::Linear(1, 1), nn::Sigmoid()};
  EXPECT_EQ(accuracy(nn::BCELoss(), probabilities, reshape(astype(y, DType::f32), {4, 1})), 1);
}

TEST(Trainer, ARegressionHasOnlyALoss) {
  const TensorDataset line({from_values<float>({3, 1}, std::vector<float>{0, 1, 2}),
                            from_values<float>({3}, std::vector<float>{1, 3, 5})});
  nn::Sequential model{nn::Linear(1, 1)};
  Trainer trainer(model,
                  {.loss = nn::MSELoss(), .optimizer = optim::SGD(optim::SGDOptions{.lr = 0.1})});
  trainer.fit(line, quiet(300));
  const Evaluation found = trainer.evaluate(line);
  EXPECT_LT(found.loss, 1e-3);
  EXPECT_FALSE(found.confusion.has_value());
  Trainer wrong(model, {.loss = nn::MSELoss(), .optimizer = optim::SGD(), .metrics = {"accuracy"}});
  EXPECT_EQ(error_of(ErrorKind::unsupported, [&] { wrong.fit(line, quiet(1)); }),
            "fit: the metric `accuracy` needs classes; MSELoss with target f32[3,1] has none");
}

TEST(Trainer, NamesTheRowOfABadLabel) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  std::vector<int64_t> labels(count, 0);
  labels[19] = 12;
  const TensorDataset bad({points().fields()[0].values, from_values<int64_t>({count}, labels)});
  FitOptions options = quiet(1);
  options.shuffle = false;
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(bad, options); }),
            "fit: label 12 of example 19 of the dataset is out of range for 3 classes; the model "
            "needs 13 outputs");
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.evaluate(bad); }),
            "evaluate: label 12 at row 19 of batch 0 is out of range for 3 classes");
}

TEST(Trainer, StopsAtALossThatIsNotFinite) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  const Tensor x = points().fields()[0].values * std::numeric_limits<float>::infinity();
  const TensorDataset bad({x, points().fields()[1].values});
  const auto before = values_of(model);
  const std::string text = error_of(ErrorKind::value, [&] { trainer.fit(bad, quiet(1)); });
  EXPECT_NE(text.find("nan at epoch 1, step 1"), text.npos) << text;
  EXPECT_EQ(values_of(model), before);
  EXPECT_TRUE(model.training());
}

TEST(Trainer, TheLossNamesShapesThatDoNotFit) {
  const nn::Sequential model{nn::Identity()};  // outputs [N,1,3], as if a Flatten were forgotten
  const Trainer trainer(model, classify());
  const TensorDataset data({zeros({4, 1, 3}), ones({4}, DType::i64)});
  const std::string text = error_of(ErrorKind::shape, [&] { trainer.evaluate(data); });
  EXPECT_TRUE(text.starts_with("cross_entropy: ")) << text;
  EXPECT_NE(text.find("(input f32[4,1,3], target i64[4])"), text.npos) << text;
}

TEST(Trainer, NamesTheBatchOfABadEvaluation) {
  const Trainer trainer(small_model(), classify());
  const Tensor x = points().fields()[0].values * std::numeric_limits<float>::quiet_NaN();
  const TensorDataset bad({x, points().fields()[1].values});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.evaluate(bad); }),
            "evaluate: the loss of batch 0 is nan; look for bad numbers in the data and the "
            "parameters");
}

struct NoOutput : nn::Layer<NoOutput> {
  Tensor forward(const Tensor&) const { return {}; }
};

TEST(Trainer, RefusesWhatIsUndefined) {
  const Trainer trainer(NoOutput(), classify());
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.evaluate(points()); }),
            "evaluate: the model's output is undefined");
  nn::Sequential model = small_model();
  Trainer own(model, {.loss = [](const Tensor&, const Tensor&) { return Tensor(); },
                      .optimizer = optim::SGD()});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { own.fit(points(), quiet(1)); }),
            "fit: the loss is undefined");
}

TEST(Trainer, ChecksTheValidationDataBeforeTraining) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  const auto before = values_of(model);
  FitOptions options = quiet(1);
  options.validation_data = TensorDataset({zeros({0, 2}), zeros({0}, DType::i64)});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(points(), options); }),
            "fit: the validation dataset is empty");
  options.validation_data = TensorDataset({zeros({3, 2})});
  EXPECT_EQ(
      error_of(ErrorKind::value, [&] { trainer.fit(points(), options); }),
      "fit: examples must be {input, target} or {input, target, weight}, the validation dataset's "
      "have 1 field");
  options = quiet(1);
  options.callbacks = {nullptr};
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(points(), options); }),
            "fit: a callback is null");
  options.callbacks = {std::make_shared<EMA>(), std::make_shared<EMA>(), std::make_shared<EMA>()};
  options.callbacks[2] = options.callbacks[0];
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(points(), options); }),
            "fit: a callback is given twice: taper::EMA");
  EXPECT_EQ(values_of(model), before);
}

TEST(Trainer, CountsNoClassesWhereThereAreTooMany) {
  const nn::Sequential model{nn::Linear(2, ConfusionMatrix::most_classes + 1)};
  const auto make = [&](std::vector<AnyMetric> metrics) {
    return Trainer(
        model,
        {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD(), .metrics = std::move(metrics)});
  };
  EXPECT_FALSE(make({}).evaluate(points()).confusion.has_value());
  const Evaluation found = make({"accuracy", "f1"}).evaluate(points());
  EXPECT_FALSE(found.confusion.has_value());
  EXPECT_LE(found["accuracy"], 1);
}

TEST(Progress, HoldsTheLargestNumbers) {
  ::testing::internal::CaptureStdout();
  {
    Progress progress(true, std::numeric_limits<int64_t>::max(), 1000);
    progress.begin_epoch(0);
    progress.show(1, 64, {});
  }
  const std::string line = ::testing::internal::GetCapturedStdout();
  EXPECT_NE(line.find(" left"), line.npos) << line;
  EXPECT_EQ(line.find(" 0:00 left"), line.npos) << line;
}

TEST(Progress, CountsOnlyTheStepsOfThisProcess) {
  ::testing::internal::CaptureStdout();
  {
    Progress progress(true, 1, 1001);
    progress.begin_epoch(0, 1000, 64000);
    progress.show(1001, 64000, {});
  }
  const std::string line = ::testing::internal::GetCapturedStdout();
  EXPECT_NE(line.find("  0 items/s"), line.npos) << line;
}

TEST(Trainer, RefusesBadOptions) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(points(), quiet(0)); }),
            "fit: `epochs` must be at least 1, got 0");
  FitOptions options = quiet(1);
  options.batch_size = 100;
  options.drop_last = true;
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(points(), options); }),
            "fit: `drop_last` leaves no batch of 100 from 30 examples");
  const TensorDataset inputs({points().fields()[0].values});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(inputs, quiet(1)); }),
            "fit: examples must be {input, target} or {input, target, weight}, the dataset's have "
            "1 field");
  error_of(ErrorKind::not_found, [&] { classify().metrics = {"speed"}; });
}

TEST(Trainer, CallsCallbacksAndStops) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  auto recorder = std::make_shared<Recorder>();
  FitOptions options = quiet(2);
  options.callbacks = {recorder};
  trainer.fit(points(), options);
  EXPECT_EQ(recorder->events, "[(bbbb)(bbbb)]");
  EXPECT_EQ(recorder->last.values.back().first, "epoch_seconds");
  recorder->events = "";
  recorder->stop_after = 4;
  EXPECT_EQ(trainer.fit(points(), options).epochs(), 1u);
  EXPECT_EQ(recorder->events, "[(bb)]");
}

TEST(Trainer, FollowsAScheduleAndPutsTheRateBack) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify(0.5));
  auto recorder = std::make_shared<Recorder>();
  FitOptions options = quiet(3);
  options.batch_size = count;
  options.callbacks = {recorder};
  options.schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{1, 0.5});
  trainer.fit(points(), options);
  EXPECT_EQ(recorder->rates, (std::vector<double>{0.5, 0.25, 0.125}));
  EXPECT_EQ(trainer.optimizer()->lr(), 0.5);
}

TEST(Trainer, LogsToCsv) {
  const TemporaryFolder folder;
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  FitOptions options = quiet(2);
  options.callbacks = {CallbackFactory::get("CSVLogger", "callback")
                           .make({{"path", (folder / "log.csv").string()}})};
  trainer.fit(points(), options);
  const std::string text = testing::content_of(folder / "log.csv");
  EXPECT_TRUE(text.starts_with("epoch,loss,accuracy,learning_rate,epoch_seconds\n1,")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  options.callbacks = {CallbackFactory::get("CSVLogger", "callback")
                           .make({{"path", (folder / "no").string() + "/log.csv"}})};
  error_of(ErrorKind::io, [&] { trainer.fit(points(), options); });
}

TEST(Trainer, WritesALineForEachEpochOutsideATerminal) {
  nn::Sequential model = small_model();
  Trainer trainer(model, classify());
  FitOptions options = quiet(3);
  options.verbose = true;
  ::testing::internal::CaptureStdout();
  trainer.fit(points(), options);
  const std::string text = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
  EXPECT_TRUE(text.starts_with("epoch 1/3  ")) << text;
  EXPECT_EQ(text.find('\r'), text.npos) << text;
}

TEST(Trainer, AnomalyModeNamesOpLayerEpochAndStep) {
  struct Net : nn::Layer<Net> {
    nn::Linear head = child("head", nn::Linear(2, 3));
    Tensor forward(const Tensor& x) const { return head(x); }
  };
  Tensor x = ones({16, 2});
  x[{12, 1}] = std::numeric_limits<float>::max();
  Net net;
  net.head.weight.set(full({3, 2}, 4));
  Trainer trainer(net, classify());
  FitOptions options = quiet(1);
  options.shuffle = false;
  options.detect_anomaly = true;
  try {
    trainer.fit(TensorDataset({x, zeros({16}, DType::i64)}), options);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.op(), "linear");
    EXPECT_EQ(error.layer(), "model.head");
    EXPECT_NE(std::string(error.what()).find("linear: output has inf at [4,0] (x f32[8,2], "),
              std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find(" in model.head at epoch 1, step 2"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace taper

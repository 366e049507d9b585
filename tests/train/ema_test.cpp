// Averaged weights: PyTorch's numbers, and what they are in a fit.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include <taper/taper.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using Json = nlohmann::json;
using testing::error_of;
using testing::TemporaryFolder;

struct Values : nn::Layer<Values> {
  Tensor forward(const Tensor& x) const { return x * weight.value(); }
  nn::Parameter weight = parameter("weight", zeros({3}));
  nn::Buffer mean = buffer("mean", zeros({2}));
  nn::Buffer count = buffer("count", zeros({}, DType::i64));
};

void set_values(nn::Module& module, const Json& step) {
  module.load_state_dict(
      {{"weight", from_values({3}, step.at("weight").get<std::vector<double>>(), DType::f32)},
       {"mean", from_values({2}, step.at("mean").get<std::vector<double>>(), DType::f32)},
       {"count", full({}, step.at("count").get<int64_t>(), DType::i64)}});
}

/// Written by make_ema_golden.py.
TEST(EMA, AgreesWithPyTorchsAveragedModel) {
  const Json cases = Json::parse(std::ifstream(TAPER_SOURCE_DIR "/tests/train/ema_golden.json"));
  ASSERT_EQ(cases.size(), 6u);
  for (const Json& json : cases) {
    SCOPED_TRACE(json.dump());
    Values module;
    EMA ema({.decay = json.at("decay").get<double>(), .use_buffers = json.at("use_buffers")});
    for (const Json& step : json.at("steps")) {
      set_values(module, step);
      ema.update(module);
      const EMA::Scope averaged(ema, module);
      for (const auto& [name, value] : module.state_dict()) {
        // Integers are the module's own: PyTorch averages them and drops the fraction.
        const Json& expected = name == "count" ? step.at(name) : step.at("averages").at(name);
        const std::vector<double> found = value.to_vector<double>();
        for (size_t i = 0; i < found.size(); ++i) {
          const double wanted =
              value.rank() == 0 ? expected.get<double>() : expected[i].get<double>();
          EXPECT_NEAR(found[i], wanted, 1e-6) << name;
        }
      }
    }
    EXPECT_EQ(ema.updates(), 6);
  }
}

TEST(EMA, FollowsFasterWhileItWarmsUp) {
  Values module;
  EMA ema({.decay = 0.25, .warm_up = true});
  double average = 0;
  for (int n = 0; n < 6; ++n) {
    const double value = n * n;
    module.weight.set(full({3}, value));
    ema.update(module);
    const double decay = std::min(0.25, (1.0 + n) / (10.0 + n));
    average = n == 0 ? value : decay * average + (1 - decay) * value;
    EXPECT_NEAR(ema.averages()[0].second.to_vector<double>()[1], average, 1e-5);
  }
}

TEST(EMA, AScopePutsTheModulesOwnValuesBack) {
  Values module;
  EMA ema({.decay = 0.5});
  const auto weight = [&] { return module.weight.value().to_vector<float>(); };
  {
    const EMA::Scope nothing(ema, module);
    EXPECT_EQ(weight(), std::vector<float>(3, 0));
  }
  for (double value : {2.0, 4.0}) {
    module.weight.set(full({3}, value));
    ema.update(module);
  }
  {
    const EMA::Scope averaged(ema, module);
    EXPECT_EQ(weight(), std::vector<float>(3, 3));
    EXPECT_TRUE(module.weight.value().requires_grad());
    EXPECT_EQ(error_of(ErrorKind::value, [&] { ema.update(module); }),
              "EMA: update within a scope, where weights are averages");
    EXPECT_EQ(error_of(ErrorKind::value, [&] { EMA::Scope(ema, module); }),
              "EMA: a scope within a scope");
  }
  EXPECT_EQ(weight(), std::vector<float>(3, 4));
  ema.apply_to(module);
  EXPECT_EQ(weight(), std::vector<float>(3, 3));
}

TEST(EMA, RefusesAnotherModuleAndOptionsOutOfRange) {
  EMA ema;
  ema.update(nn::Linear(2, 3));
  EXPECT_EQ(error_of(ErrorKind::value, [&] { ema.update(Values()); }),
            "EMA: the module has 1 values, 2 were averaged before");
  EXPECT_EQ(error_of(ErrorKind::value, [&] { ema.update(nn::Linear(4, 3)); }),
            "EMA: `weight` f32[3,4] is none of the values that were averaged before");
  EXPECT_EQ(error_of(ErrorKind::value, [] { EMA({.decay = 1}); }),
            "EMA: `decay` must be in [0, 1), got 1.0");
}

// ---------------------------------------------------------------------------------- in a fit

/// Targets with much noise.
data::TensorDataset noisy_line(int64_t examples) {
  Generator generator(5);
  const Tensor x = normal({examples, 4}, 0, 1, DType::f32, &generator);
  const Tensor noise = normal({examples, 1}, 0, 1, DType::f32, &generator);
  const Tensor y = matmul(x, tensor({{1.0}, {-2.0}, {0.5}, {3.0}})) + noise;
  return data::TensorDataset({x, y});
}

struct Fitted {
  History history;
  std::vector<float> weights;
  double loss = 0;  // of the model that is left, on the examples set aside
  int64_t updates = 0;
  bool operator==(const Fitted& other) const {
    return weights == other.weights && loss == other.loss && updates == other.updates;
  }
};

/// Targets without noise.
data::TensorDataset fresh() {
  Generator generator(6);
  const Tensor x = normal({64, 4}, 0, 1, DType::f32, &generator);
  return data::TensorDataset({x, matmul(x, tensor({{1.0}, {-2.0}, {0.5}, {3.0}}))});
}

Fitted fit(const EMAOptions& averaging, FitOptions options,
           const std::vector<std::shared_ptr<Callback>>& others = {}, int64_t examples = 44) {
  manual_seed(1);
  const nn::Linear model(4, 1);
  Trainer trainer(model, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.1})});
  const auto ema = std::make_shared<EMA>(averaging);
  options.batch_size = 4;
  options.seed = 7;
  options.verbose = false;
  options.validation_data = fresh();
  options.callbacks = {ema};
  options.callbacks.insert(options.callbacks.end(), others.begin(), others.end());
  Fitted fitted;
  fitted.history = trainer.fit(noisy_line(examples), options);
  fitted.weights = model.weight.value().to_vector<float>();
  fitted.loss = trainer.evaluate(fresh(), {.batch_size = 4}).loss;
  fitted.updates = ema->updates();
  return fitted;
}

TEST(EMA, LeavesABetterModelThanTheLastUpdateOfANoisyProblem) {
  const double last = fit({.decay = 0.97, .apply = false}, {.epochs = 4}, {}, 400).loss;
  const double averaged = fit({.decay = 0.97}, {.epochs = 4}, {}, 400).loss;
  EXPECT_LT(averaged, 0.5 * last) << last;
}

TEST(EMA, CountsUpdatesAndNotBatches) {
  EXPECT_EQ(fit({}, {.epochs = 3}).updates, 33);
  EXPECT_EQ(fit({}, {.epochs = 3, .accumulate = 4}).updates, 9);  // of 4, 4 and 3 batches
}

TEST(EMA, ValidationSeesTheAverages) {
  const Fitted averaged = fit({.decay = 0.9}, {.epochs = 3});
  EXPECT_EQ(averaged.history["val_loss"].back(), averaged.loss);
  const Fitted trained = fit({.decay = 0.9, .evaluate = false}, {.epochs = 3});
  EXPECT_NE(trained.history["val_loss"].back(), averaged.loss);
  EXPECT_EQ(trained.weights, averaged.weights);
  // What is trained is the same whatever is evaluated.
  EXPECT_EQ(trained.history["loss"], averaged.history["loss"]);
  const Fitted last = fit({.decay = 0.9, .evaluate = false, .apply = false}, {.epochs = 3});
  EXPECT_EQ(last.history["val_loss"].back(), last.loss);
  EXPECT_EQ(last.history["val_loss"], trained.history["val_loss"]);
}

TEST(EMA, ACompiledFitHasTheSameBits) {
  EXPECT_EQ(fit({.decay = 0.9}, {.epochs = 3, .accumulate = 2}),
            fit({.decay = 0.9}, {.epochs = 3, .accumulate = 2, .compile = true}));
}

TEST(EMA, EarlyStoppingRestoresTheBestAverages) {
  const auto stop = std::make_shared<EarlyStopping>(
      EarlyStoppingOptions{.patience = 3, .restore_best_weights = true});
  const Fitted fitted = fit({.decay = 0.5}, {.epochs = 30}, {stop});
  const std::vector<double> losses = fitted.history["val_loss"];
  EXPECT_LT(losses.size(), 30u);
  EXPECT_EQ(fitted.loss, *std::ranges::min_element(losses));
}

TEST(EMA, ATrainingThatIsCutEndsAsOneThatIsNot) {
  const auto run = [](const TemporaryFolder& folder, int64_t cut_after) {
    FitOptions options{.epochs = 4, .accumulate = 2};
    options.checkpoint = {.folder = folder / "checkpoints", .seconds = 1e9, .resume = true};
    if (cut_after > 0) {
      options.interrupted = [cut_after]() mutable { return --cut_after == 0; };
    }
    return fit({.decay = 0.8, .warm_up = true}, options);
  };
  const TemporaryFolder whole;
  const Fitted expected = run(whole, 0);
  // Asked after each of 6 updates and each batch of the validation.
  for (int64_t cut_after : {1, 4, 6, 7, 9, 30}) {
    const TemporaryFolder folder;
    run(folder, cut_after);
    EXPECT_EQ(run(folder, 0), expected) << "cut after " << cut_after;
  }
  EXPECT_EQ(run(whole, 0), expected);  // it was complete
}

struct Failing : Callback {
  void on_batch_end(Trainer& trainer, const Logs&) override {
    trained = trainer.model().state_dict()[0].second.to_vector<float>();
  }
  void on_epoch_end(Trainer& trainer, const Logs&) override {
    averaged = trainer.model().state_dict()[0].second.to_vector<float>();
    throw std::runtime_error("no more");
  }
  std::vector<float> trained;
  std::vector<float> averaged;
};

TEST(EMA, AnExceptionLeavesTheTrainedWeights) {
  manual_seed(1);
  const nn::Linear model(4, 1);
  Trainer trainer(model, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.1})});
  const auto failing = std::make_shared<Failing>();
  EXPECT_THROW(trainer.fit(noisy_line(16), {.batch_size = 4,
                                            .verbose = false,
                                            .callbacks = {std::make_shared<EMA>(), failing}}),
               std::runtime_error);
  EXPECT_NE(failing->averaged, failing->trained);
  EXPECT_EQ(model.weight.value().to_vector<float>(), failing->trained);
}

TEST(EMA, IsMadeByName) {
  const auto ema = CallbackFactory::get("EMA", "callback").make({{"decay", Value(0.5)}});
  EXPECT_NE(dynamic_cast<EMA*>(ema.get()), nullptr);
}

}  // namespace
}  // namespace taper

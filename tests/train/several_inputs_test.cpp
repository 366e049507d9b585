// Models and losses of several tensors, from the data set to the run folder.

#include <gtest/gtest.h>

#include <algorithm>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/report/summary.h>
#include <taper/train/run_fit.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using data::TensorDataset;
using testing::error_of;
using testing::TemporaryFolder;

constexpr int64_t count = 40;

struct GateOptions {
  Required<Positive<int64_t>> features;
};
/// Features that another input lets through.
class Gate : public nn::Layer<Gate, GateOptions> {
 public:
  using Layer::Layer;
  static constexpr std::array<std::string_view, 2> operands{"features", "opening"};
  Tensor forward(const Tensor& features, const Tensor& opening) const {
    return features * sigmoid(opening * weight.value());
  }
  nn::Parameter weight = parameter("weight", ones({options().features}));
};
const FactoryFor<nn::AnyModule, Gate> gate_entry{"Features that another input lets through."};

nn::Sequential gated() {
  manual_seed(2);
  return nn::Sequential{Gate(3), nn::Linear(3, 1)};
}

struct Parts {
  Tensor features;
  Tensor opening;
  Tensor target;
};

Parts examples(int64_t seed = 4) {
  Generator generator(static_cast<uint64_t>(seed));
  Parts parts{.features = normal({count, 3}, 0, 1, DType::f32, &generator),
              .opening = normal({count, 3}, 0, 1, DType::f32, &generator),
              .target = {}};
  parts.target = sum(parts.features * sigmoid(parts.opening * 2), 1) + 1;
  return parts;
}

TensorDataset dataset(int64_t seed = 4) {
  const Parts parts = examples(seed);
  return TensorDataset({parts.features, parts.opening, parts.target});
}

TrainerOptions regression() {
  return {.loss = nn::MSELoss(), .optimizer = optim::Adam({.lr = 0.05}), .metrics = {"mae"}};
}

FitOptions quiet(int64_t epochs) {
  return {.epochs = epochs, .batch_size = 8, .seed = 5, .verbose = false};
}

std::vector<float> numbers_of(const nn::Module& model) {
  std::vector<float> all;
  for (const auto& [name, value] : model.state_dict()) {
    const auto values = value.to_vector<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(SeveralInputs, AreTheFirstFieldsOfTheExamples) {
  const nn::Sequential net = gated();
  Trainer trainer(net, regression());
  const Evaluation before = trainer.evaluate(dataset());
  trainer.fit(dataset(), quiet(60));
  const Evaluation after = trainer.evaluate(dataset());
  EXPECT_LT(after.loss, before.loss / 20);
  EXPECT_EQ(after.examples, count);
  const Parts parts = examples();
  const Tensor predicted = trainer.predict({parts.features, parts.opening});
  EXPECT_EQ(predicted.shape(), (Shape{count, 1}));
  EXPECT_EQ(trainer.predict(dataset()).to_vector<float>(), predicted.to_vector<float>());
  const auto error = abs(flatten(predicted) - parts.target);
  EXPECT_NEAR(after.metrics[0].second, mean(error).item(), 1e-5);
}

TEST(SeveralInputs, TrainCompiledToTheSameBits) {
  std::vector<std::vector<float>> trained;
  for (const bool compiled : {false, true}) {
    const nn::Sequential net = gated();
    Trainer trainer(net, regression());
    FitOptions options = quiet(3);
    options.compile = compiled;
    options.l2 = 1e-3;
    trainer.fit(dataset(), options);
    trained.push_back(numbers_of(net));
  }
  EXPECT_EQ(trained[0], trained[1]);
}

TEST(SeveralInputs, MayBeFollowedByAWeightForEachExample) {
  const Parts parts = examples();
  const Tensor weight = astype(arange(count) < count / 2, DType::f32);
  const nn::Sequential net = gated();
  const nn::Sequential half = gated();
  FitOptions whole = quiet(1);
  whole.batch_size = count;
  whole.shuffle = false;
  Trainer weighed(net, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.1})});
  weighed.fit(TensorDataset({parts.features, parts.opening, parts.target, weight}), whole);
  // Half of the examples, each of half the weight in the mean over all of them.
  Trainer cut(half, {.loss = nn::MSELoss(), .optimizer = optim::SGD({.lr = 0.05})});
  const auto first = [](const Tensor& x) { return slice(x, 0, 0, count / 2); };
  cut.fit(TensorDataset({first(parts.features), first(parts.opening), first(parts.target)}), whole);
  const auto expected = numbers_of(half);
  const auto found = numbers_of(net);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(SeveralInputs, MustBeAsManyFieldsAsTheModelTakes) {
  const Parts parts = examples();
  Trainer trainer(gated(), regression());
  const TensorDataset two({parts.features, parts.target});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(two, quiet(1)); }),
            "fit: examples must be {features, opening, target} or {features, opening, target, "
            "weight}, the dataset's have 2 fields");
  EXPECT_EQ(
      error_of(ErrorKind::value,
               [&] { trainer.predict(TensorDataset(std::vector<data::Field>{parts.target})); }),
      "predict: the model takes 2 inputs, the dataset's examples have 1 fields");
  EXPECT_EQ(error_of(ErrorKind::shape,
                     [&] { trainer.predict({parts.features, slice(parts.opening, 0, 0, 3)}); }),
            "predict: the inputs are f32[40,3] and f32[3,3], of different numbers of examples");
}

TEST(SeveralInputs, AreAllLookedAtBeforeTheFirstStep) {
  Parts parts = examples();
  std::vector<float> values = parts.opening.to_vector<float>();
  values[7] = std::numeric_limits<float>::quiet_NaN();
  const Tensor opening = from_values<float>({count, 3}, values);
  Trainer trainer(gated(), regression());
  const auto fit = [&] {
    trainer.fit(TensorDataset({parts.features, opening, parts.target}), quiet(1));
  };
  EXPECT_EQ(error_of(ErrorKind::value, fit),
            "fit: field 1 of example 2 of the dataset holds nan; replace missing values or leave "
            "the example out");
}

TEST(SeveralInputs, AreToldByTheModelOfARun) {
  const TemporaryFolder folder;
  const nn::Sequential net = gated();
  Trainer trainer(net, regression());
  FitOptions options = quiet(2);
  options.run = folder.path() / "run";
  trainer.fit(dataset(), options);
  const SavedModel saved = load_model(options.run);
  ASSERT_EQ(saved.info.inputs.size(), 2u);
  EXPECT_EQ(saved.info.inputs[0].name, "features");
  EXPECT_EQ(saved.info.inputs[1].name, "opening");
  EXPECT_EQ(saved.info.inputs[1].shape, (std::vector<int64_t>{3}));
  EXPECT_EQ(saved.info.inputs[1].dtype, DType::f32);
  EXPECT_EQ(numbers_of(saved.model), numbers_of(net));
  EXPECT_TRUE(std::filesystem::exists(options.run / "report.html"));
  // And the training goes on.
  options.run_details.use = RunFolderUse::resume;
  options.epochs = 4;
  const nn::Sequential again = gated();
  Trainer resumed(again, regression());
  EXPECT_EQ(resumed.fit(dataset(), options).epochs(), 4u);
  const nn::Sequential uncut = gated();
  Trainer all(uncut, regression());
  all.fit(dataset(), quiet(4));
  EXPECT_EQ(numbers_of(again), numbers_of(uncut));
}

struct TwoOutputs {
  Tensor first;
  Tensor second;
};
struct Twins : nn::Layer<Twins> {
  TwoOutputs forward(const Tensor& x) const { return {left(x), right(x)}; }
  nn::Linear left = child("left", nn::Linear(2, 1));
  nn::Linear right = child("right", nn::Linear(2, 1));
};

/// Pulls two outputs of a model to two targets.
struct PairLoss {
  static constexpr nn::LossMeaning meaning{.outputs = 2};
  static constexpr std::array<std::string_view, 4> operands{"a", "b", "a_target", "b_target"};
  Tensor operator()(const Tensor& a, const Tensor& b, const Tensor& to_a,
                    const Tensor& to_b) const {
    return mean(square(a - to_a)) + mean(square(b - reshape(to_b, b.shape())));
  }
};

TEST(SeveralOutputs, GoToALossThatTakesThem) {
  manual_seed(3);
  const Twins net;
  const Tensor x = normal({count, 2});
  const Tensor sums = sum(x, 1);
  Trainer trainer(net, {.loss = PairLoss(), .optimizer = optim::Adam({.lr = 0.1})});
  trainer.fit(TensorDataset({x, sums, sums * 2}), quiet(60));
  EXPECT_LT(trainer.evaluate(TensorDataset({x, sums, sums * 2})).loss, 1e-3);
  const auto [left, right] = net(ones({1, 2}));
  EXPECT_NEAR(left.item(), 2, 0.05);
  EXPECT_NEAR(right.item(), 4, 0.05);
  EXPECT_EQ(error_of(ErrorKind::value, [&] { trainer.fit(TensorDataset({x, sums}), quiet(1)); }),
            "fit: examples must be {input, a_target, b_target} or {input, a_target, b_target, "
            "weight}, the dataset's have 2 fields");
  Trainer single(nn::Linear(2, 1), {.loss = PairLoss(), .optimizer = optim::SGD({.lr = 0.1})});
  EXPECT_EQ(
      error_of(ErrorKind::value, [&] { single.fit(TensorDataset({x, sums, sums}), quiet(1)); }),
      "fit: the loss takes 2 outputs of the model, it gave 1");
}

TEST(SeveralOutputs, StandInTheSummary) {
  const ModelSummary summary = summarize(Twins(), zeros({1, 2}));
  ASSERT_EQ(summary.layers.size(), 2u);
  const ModelSummary gates = summarize(gated(), {zeros({1, 3}), zeros({1, 3})});
  EXPECT_EQ(to_string(gates.inputs), "f32[1,3], f32[1,3]");
  EXPECT_EQ(to_string(gates.layers[0].outputs), "f32[1,3]");
}

}  // namespace
}  // namespace taper

#include <taper/train/metrics/outputs.h>

#include <gtest/gtest.h>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/report/report_data.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::error_of;

const Spec scores = zeros({2, 3}).spec();
const Spec one_each = zeros({2, 1}).spec();
const Spec numbers = zeros({2}, DType::i64).spec();

Tensor squared(const Tensor& input, const Tensor& target) { return mean(square(input - target)); }

/// A loss of one's own that says what it takes.
struct Certain {
  static constexpr nn::LossMeaning meaning{.input = OutputScale::probabilities};
  Tensor operator()(const Tensor& input, const Tensor& target) const {
    return mean(abs(input - target));
  }
};

TEST(Outputs, MeanWhatTheLossSays) {
  const OutputMeaning classes{Task::classes, OutputScale::logits};
  const OutputMeaning regression{};
  EXPECT_EQ((OutputRule{nn::CrossEntropyLoss()})(scores, numbers), classes);
  EXPECT_EQ((OutputRule{nn::BCELoss()})(one_each, one_each),
            (OutputMeaning{Task::binary, OutputScale::probabilities}));
  EXPECT_EQ((OutputRule{nn::BCEWithLogitsLoss()})(one_each, one_each),
            (OutputMeaning{Task::binary, OutputScale::logits}));
  EXPECT_EQ((OutputRule{nn::BCEWithLogitsLoss()})(scores, scores),
            (OutputMeaning{Task::labels, OutputScale::logits}));
  EXPECT_EQ((OutputRule{nn::MSELoss()})(scores, numbers), regression);
  EXPECT_EQ((OutputRule{Certain()})(scores, scores),
            (OutputMeaning{Task::labels, OutputScale::probabilities}));
}

TEST(Outputs, OfALossThatSaysNothingFollowTheTaskOrTheTensors) {
  const OutputMeaning classes{Task::classes, OutputScale::logits};
  EXPECT_EQ((OutputRule{squared})(scores, numbers), classes);
  EXPECT_EQ((OutputRule{squared})(scores, scores), OutputMeaning{});
  EXPECT_EQ((OutputRule{squared, Task::binary})(one_each, one_each),
            (OutputMeaning{Task::binary, OutputScale::logits}));
}

TEST(Outputs, OfAModelThatEndsInASoftmaxAreProbabilities) {
  EXPECT_EQ((OutputRule{nn::CrossEntropyLoss(), {}, true})(scores, numbers),
            (OutputMeaning{Task::classes, OutputScale::probabilities}));
  EXPECT_EQ((OutputRule{nn::MSELoss(), {}, true})(scores, scores), OutputMeaning{});
  const Tensor x = from_values<float>({1, 2}, std::vector<float>{0.25F, 0.75F});
  EXPECT_EQ(class_probabilities({Task::classes, OutputScale::probabilities}, x).to_vector<float>(),
            x.to_vector<float>());
}

TEST(Outputs, GiveClassesAndTheirProbabilities) {
  const Tensor two = from_values<float>({2, 3}, std::vector<float>{1, 5, 2, -1, -3, -2});
  const OutputMeaning classes{Task::classes, OutputScale::logits};
  EXPECT_EQ(predicted_classes(classes, two).to_vector<int>(), (std::vector<int>{1, 0}));
  EXPECT_EQ(class_probabilities(classes, two).to_vector<float>(),
            softmax(two, 1).to_vector<float>());

  const Tensor each = from_values<float>({4, 1}, std::vector<float>{-1, 0.4F, 0.5F, 0.6F});
  const OutputMeaning probabilities{Task::binary, OutputScale::probabilities};
  const OutputMeaning logits{Task::binary, OutputScale::logits};
  EXPECT_EQ(predicted_classes(probabilities, each).to_vector<int>(),
            (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(predicted_classes(logits, each).to_vector<int>(), (std::vector<int>{0, 1, 1, 1}));
  const Tensor both = class_probabilities(logits, from_values<float>({1}, std::vector<float>{0}));
  EXPECT_EQ(both.shape(), (Shape{1, 2}));
  EXPECT_EQ(both.to_vector<float>(), (std::vector<float>{0.5F, 0.5F}));

  EXPECT_EQ(error_of(ErrorKind::unsupported, [&] { class_probabilities({}, two); }),
            "class_probabilities: a regression has no classes");
  EXPECT_EQ(error_of(ErrorKind::unsupported, [&] { predicted_classes({}, two); }),
            "predicted_classes: there is no one class for an example");
}

// ----------------------------------------------------------------------------- of a whole training

/// Eight points on a line, the right half of class 1.
data::TensorDataset points(DType targets) {
  std::vector<float> x;
  std::vector<int64_t> y;
  for (int64_t i = 0; i < 8; ++i) {
    x.push_back(static_cast<float>(i) - 3.5F);
    y.push_back(i < 4 ? 0 : 1);
  }
  return data::TensorDataset(
      {from_values<float>({8, 1}, x), astype(from_values<int64_t>({8}, y), targets)});
}

Trainer trained(const nn::Sequential& net, nn::AnyLoss loss, const data::TensorDataset& data) {
  Trainer trainer(net, {.loss = std::move(loss),
                        .optimizer = optim::SGD(optim::SGDOptions{.lr = 0.5}),
                        .metrics = {"accuracy"}});
  trainer.fit(data, {.epochs = 60, .verbose = false});
  return trainer;
}

std::optional<ClassifierFacts> facts_of(const Trainer& trainer, const data::TensorDataset& data) {
  return classifier_facts({.model = trainer.model(),
                           .info = {.name = "", .data = ""},
                           .history = {},
                           .run = {},
                           .test = trainer.evaluate(data),
                           .data = data},
                          10);
}

TEST(Outputs, OfOneLogitAreCalibratedAsTwoClasses) {
  manual_seed(3);
  const auto data = points(DType::f32);
  const auto trainer = trained(nn::Sequential{nn::Linear(1, 1)}, nn::BCEWithLogitsLoss(), data);
  const auto facts = facts_of(trainer, data);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->mistakes.empty());
  int64_t counted = 0;
  for (const CalibrationBin& bin : facts->bins) counted += bin.examples;
  EXPECT_EQ(counted, 8);
  EXPECT_EQ(facts->bins[9].accuracy, 1);
  EXPECT_LT(facts->bins[9].confidence, 1);
}

TEST(Outputs, OfASoftmaxAreNotSoftmaxedAgain) {
  manual_seed(3);
  const auto data = points(DType::i64);
  const auto trainer = trained(nn::Sequential{nn::Linear(1, 2), nn::Softmax({.dim = 1})},
                               nn::CrossEntropyLoss(), data);
  const Tensor outputs = trainer.predict(data);
  const auto facts = facts_of(trainer, data);
  ASSERT_TRUE(facts);
  double mean_confidence = 0;
  for (const CalibrationBin& bin : facts->bins) {
    mean_confidence += bin.confidence * static_cast<double>(bin.examples) / 8;
  }
  EXPECT_NEAR(mean_confidence, mean(max(outputs, 1)).item(), 1e-6);
  // Also of a model that this trainer did not train.
  const Trainer other(trainer.model(), {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()});
  EXPECT_EQ(other.evaluate(data).outputs,
            (OutputMeaning{Task::classes, OutputScale::probabilities}));
}

TEST(Outputs, OfASigmoidAreProbabilitiesWhateverTheLossExpects) {
  manual_seed(3);
  const auto data = points(DType::f32);
  const auto trainer =
      trained(nn::Sequential{nn::Linear(1, 1), nn::Sigmoid()}, nn::BCEWithLogitsLoss(), data);
  EXPECT_EQ(trainer.evaluate(data)["accuracy"], 1);
}

TEST(Outputs, OfALossOfOnesOwnAreWhatTheTrainerIsTold) {
  const auto data = points(DType::f32);
  Trainer trainer(nn::Sequential{nn::Linear(1, 1), nn::Sigmoid()},
                  {.loss = squared,
                   .optimizer = optim::SGD(optim::SGDOptions{.lr = 1}),
                   .metrics = {"accuracy"},
                   .task = Task::binary});
  trainer.fit(data, {.epochs = 60, .verbose = false});
  EXPECT_EQ(trainer.evaluate(data)["accuracy"], 1);
}

TEST(Outputs, AreKeptWithTheModel) {
  const testing::TemporaryFolder folder;
  const nn::Sequential net{nn::Linear(1, 1)};
  const ModelInfo info{.name = "",
                       .data = "",
                       .loss = "BCELoss",
                       .outputs = {Task::binary, OutputScale::probabilities}};
  save_run(folder.path(), net, info, {}, {}, {});
  const ModelInfo found = load_model(folder.path()).info;
  EXPECT_EQ(found.loss, "BCELoss");
  EXPECT_EQ(found.outputs, info.outputs);
  const std::string text = testing::content_of(folder / "model.json");
  EXPECT_NE(text.find("\"task\": \"binary\""), text.npos) << text;
  EXPECT_NE(text.find("\"outputs\": \"probabilities\""), text.npos) << text;
}

TEST(Outputs, OfAPictureOfAnyScaleAreDrawn) {
  const Tensor stored = from_values<float>({1, 1, 3}, std::vector<float>{0, 0.2F, 1});
  const std::vector<int64_t> pixels{0, 51, 255};
  EXPECT_EQ(to_picture(stored, 1 / 255.0).to_vector<int64_t>(), pixels);
  EXPECT_EQ(to_picture(stored, 1).to_vector<int64_t>(), pixels);
  EXPECT_EQ(to_picture(stored * 255, 1).to_vector<int64_t>(), pixels);
  EXPECT_EQ(to_picture(stored * 4 - 2, 1).to_vector<int64_t>(), pixels);
}

TEST(Data, KnowsWhatItsInputsWereMultipliedBy) {
  const Tensor pixels = zeros({4, 1, 2, 2}, DType::u8);
  const data::TensorDataset data({{pixels, {.scale = 0.5F}}, zeros({4})});
  EXPECT_EQ(data.input_scale(), 0.5);
  EXPECT_EQ(data::Subset(data, {1, 2}).input_scale(), 0.5);
  EXPECT_EQ(data::TensorDataset({zeros({4, 1})}).input_scale(), 1);
}

}  // namespace
}  // namespace taper

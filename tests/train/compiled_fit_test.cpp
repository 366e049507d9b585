// A fit whose steps are recorded and replayed against one whose steps are calls.

#include <gtest/gtest.h>

#include <taper/taper.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::error_of;

/// 22 pictures of three classes: batches of 8, 8 and 6.
data::TensorDataset pictures() {
  Generator generator(3);
  const Tensor x = normal({22, 1, 8, 8}, 0, 1, DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 22; ++i) labels.push_back(i % 3);
  return data::TensorDataset({x, from_values<int64_t>({22}, labels)});
}

nn::Sequential make_model() {
  manual_seed(1);
  return nn::Sequential{nn::Conv2d(1, 4, 3), nn::BatchNorm2d(4), nn::ReLU(),
                        nn::Dropout(0.25),   nn::Flatten(),      nn::Linear(144, 3)};
}

struct Trained {
  History history;
  std::vector<std::vector<float>> cells;
};

Trained train(FitOptions options, bool compiled) {
  const nn::Sequential model = make_model();
  Trainer trainer(model, {.loss = nn::CrossEntropyLoss(),
                          .optimizer = optim::SGD({.lr = 0.05, .momentum = 0.9}),
                          .metrics = {"accuracy"}});
  manual_seed(9);
  options.epochs = 3;
  options.batch_size = 8;
  options.verbose = false;
  options.compile = compiled;
  Trained result;
  result.history = trainer.fit(pictures(), options);
  for (const auto& [name, value] : model.state_dict()) {
    result.cells.push_back(value.to_vector<float>());
  }
  return result;
}

void expect_same_bits(const FitOptions& options) {
  const Trained called = train(options, false);
  const Trained replayed = train(options, true);
  EXPECT_EQ(replayed.cells, called.cells);
  for (const char* name : {"loss", "accuracy"}) {
    EXPECT_EQ(replayed.history[name], called.history[name]) << name;
  }
}

TEST(CompiledFit, GivesTheSameBits) { expect_same_bits({}); }

TEST(CompiledFit, GivesTheSameBitsWithEveryOptionOfAStep) {
  expect_same_bits({.validation_split = 0.2,
                    .schedule = std::make_shared<optim::StepLR>(optim::StepLROptions{1, 0.5}),
                    .accumulate = 2,
                    .clip_norm = 0.5,
                    .clip_value = 0.1,
                    .l1 = 1e-3,
                    .l2 = 1e-2,
                    .class_weight = {1, 2, 0.5}});
}

TEST(CompiledFit, NamesABadLabelAndLeavesTheParameters) {
  data::TensorDataset data = pictures();
  const Tensor labels = tensor({0, 1, 2, 0, 7, 1});
  const auto fit = [&](bool compiled) {
    const nn::Sequential model{nn::Linear(2, 3)};
    const auto before = model.state_dict()[0].second.to_vector<float>();
    Trainer trainer(model, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD({.lr = 1})});
    const std::string text = error_of(
        ErrorKind::value, [&] { trainer.evaluate(data::TensorDataset({ones({6, 2}), labels})); });
    EXPECT_NE(text.find("label 7 at row 4 of batch 0"), text.npos) << text;
    const Tensor x = full({6, 2}, std::numeric_limits<float>::quiet_NaN());
    const std::string not_finite = error_of(ErrorKind::value, [&] {
      trainer.fit(data::TensorDataset({x, zeros({6}, DType::i64)}),
                  {.verbose = false, .compile = compiled});
    });
    EXPECT_EQ(model.state_dict()[0].second.to_vector<float>(), before);
    return not_finite;
  };
  EXPECT_EQ(fit(true), fit(false));
}

TEST(CompiledFit, SaysWhereAModelLooksAtValues) {
  struct Net : nn::Layer<Net> {
    nn::Linear head = child("head", nn::Linear(2, 3));
    Tensor forward(const Tensor& x) const { return sum(x).item() > 0 ? head(x) : head(-x); }
  };
  Trainer trainer(Net(), {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD({.lr = 0.1})});
  const data::TensorDataset data({ones({4, 2}), zeros({4}, DType::i64)});
  trainer.fit(data, {.verbose = false});
  const std::string text = error_of(
      ErrorKind::unsupported, [&] { trainer.fit(data, {.verbose = false, .compile = true}); });
  EXPECT_NE(text.find("`where`"), text.npos) << text;
}

}  // namespace
}  // namespace taper

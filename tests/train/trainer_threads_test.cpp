// Trainers that several threads use.
#include <taper/train/fit/trainer.h>

#include <gtest/gtest.h>

#include <thread>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>

namespace taper {
namespace {

nn::Sequential net_with_dropout() {
  return nn::Sequential{nn::Linear(2, 16), nn::BatchNorm1d(16), nn::Dropout(0.5),
                        nn::Linear(16, 3)};
}

data::TensorDataset points() {
  Generator generator(3);
  return data::TensorDataset(
      {normal({24, 2}, 0, 1, DType::f32, &generator), randint(0, 3, {24}, DType::i64, &generator)});
}

TrainerOptions classify() {
  return {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam(optim::AdamOptions{.lr = 0.01})};
}

FitOptions quiet(int64_t epochs) { return {.epochs = epochs, .batch_size = 8, .verbose = false}; }

TEST(TrainerThreads, SeveralPredictAndEvaluateWithOneModel) {
  nn::Sequential model = net_with_dropout();
  const Trainer trainer(model, classify());
  const data::TensorDataset dataset = points();
  const Tensor inputs = dataset.fields()[0].values;
  const std::vector<float> alone = trainer.predict(inputs).to_vector<float>();
  const double loss = trainer.evaluate(dataset).loss;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 30; ++i) {
        if (t % 2 == 0) {
          EXPECT_EQ(trainer.predict(inputs).to_vector<float>(), alone);
        } else {
          EXPECT_EQ(trainer.evaluate(dataset).loss, loss);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(model.training());
}

/// Looks at the model in the middle of a fit, as callbacks do.
class Looking : public Callback {
 public:
  Looking(nn::Module model, Tensor inputs) : model_(std::move(model)), inputs_(std::move(inputs)) {}
  void on_batch_end(Trainer& trainer, const Logs&) override {
    EXPECT_TRUE(model_.training());
    const auto first = trainer.predict(inputs_).to_vector<float>();
    EXPECT_EQ(trainer.predict(inputs_).to_vector<float>(), first);  // no dropout
    EXPECT_TRUE(model_.training());
    ++looks;
  }
  int looks = 0;

 private:
  nn::Module model_;
  Tensor inputs_;
};

TEST(TrainerThreads, ACallbackThatPredictsLeavesTheFitInTrainingMode) {
  nn::Sequential model = net_with_dropout();
  model.eval();
  Trainer trainer(model, classify());
  const data::TensorDataset dataset = points();
  auto looking = std::make_shared<Looking>(model, dataset.fields()[0].values);
  FitOptions options = quiet(2);
  options.callbacks.push_back(looking);
  trainer.fit(dataset, options);
  EXPECT_EQ(looking->looks, 6);
  EXPECT_FALSE(model.training());  // as it was before
}

TEST(TrainerThreads, EachFitsItsOwnNet) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([] {
      Trainer trainer(net_with_dropout(), classify());
      FitOptions options = quiet(2);
      options.workers = 2;
      EXPECT_EQ(trainer.fit(points(), options).epochs(), 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace taper

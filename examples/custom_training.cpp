// A loss, a metric and a callback of one's own in a training.
#include <taper/taper.h>
#include <taper/train/metrics/metrics.h>

#include <iostream>

namespace tp = taper;

/// A loss is any callable of (input, target) that gives a tensor of one element. This one is the
/// mean of (1 - p)^2 * -log p: Lin et al., "Focal loss for dense object detection" (2017).
tp::Tensor focal_loss(const tp::Tensor& logits, const tp::Tensor& target) {
  const tp::Tensor log_p = sum(log_softmax(logits, 1) * one_hot(target, logits.size(1)), 1);
  const tp::Tensor miss = 1 - exp(log_p);
  return -mean(miss * miss * log_p);
}

struct WrongSums {
  int64_t wrong = 0;
  int64_t total = 0;
};

/// A metric gathers what it needs of each batch and makes a number of it when asked. These sums are
/// saved with a training, and added where two parts of the data are merged.
struct ErrorRate final : tp::MetricWith<ErrorRate, tp::NoOptions, WrongSums> {
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "error_rate";
  bool larger_is_better() const override { return false; }
  std::string refusal(const tp::OutputMeaning& meaning) const override {
    return tp::unless_classes(meaning);
  }
  void update(const tp::Measured& batch) override {
    for (size_t i = 0; i < batch.truth().size(); ++i) {
      sums().wrong += batch.truth()[i] != batch.predicted()[i] ? 1 : 0;
    }
    sums().total += std::ssize(batch.truth());
  }
  double value() const override { return tp::ratio(sums().wrong, sums().total); }
};

/// From now on it has a name.
const tp::FactoryFor<tp::Metric, ErrorRate> error_rate{"The part predicted wrong."};

/// A callback overrides what it needs. This one ends the training when a number is good enough.
struct StopWhenGood : tp::Callback {
  void on_epoch_end(tp::Trainer&, const tp::Logs& logs) override {
    for (const auto& [name, value] : logs.values) {
      if (name == "error_rate" && value < 0.05) stop_training = true;
    }
  }
};

int main() {
  tp::manual_seed(0);
  const tp::Tensor x = tp::rand({200, 2}) * 2 - 1;
  const tp::Tensor y = tp::astype(tp::greater(sum(x, 1), 0.0), tp::DType::i64);

  tp::Trainer trainer(
      tp::nn::Sequential{tp::nn::Linear(2, 16), tp::nn::ReLU(), tp::nn::Linear(16, 2)},
      {.loss = focal_loss, .optimizer = tp::optim::Adam({.lr = 0.02}), .metrics = {"error_rate"}});
  const tp::History history = trainer.fit(tp::data::TensorDataset({x, y}),
                                          {.epochs = 50,
                                           .batch_size = 20,
                                           .verbose = false,
                                           .callbacks = {std::make_shared<StopWhenGood>()}});
  std::cout << "stopped early: " << (history["error_rate"].size() < 50 ? "yes" : "no")
            << ", error rate below 0.05: " << (history["error_rate"].back() < 0.05 ? "yes" : "no")
            << '\n';
}

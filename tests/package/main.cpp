// What others do with an installed Taper. The program says what went wrong and returns 1.
#include <taper/taper.h>

#include <cmath>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "check.h"

namespace tp = taper;

namespace {

// Made before main: what the library registers must be there by then, in the static library too.
tp::nn::Linear global_layer(3, 2);
const tp::Tensor global_tensor = -tp::rand({3});

struct WrongSums {
  int64_t wrong = 0;
  int64_t total = 0;
};

/// A metric of this program's own.
class ErrorRate final : public tp::MetricWith<ErrorRate, tp::NoOptions, WrongSums> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "error_rate";
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

const tp::FactoryFor<tp::Metric, ErrorRate> error_rate{"The part predicted wrong."};

struct CounterOptions {
  int64_t from = 0;
};

/// Counts the epochs.
class Counter final : public tp::WithOptions<Counter, tp::Callback, CounterOptions> {
 public:
  using WithOptions::WithOptions;
  void on_epoch_end(tp::Trainer&, const tp::Logs& logs) override {
    ++count_;
    for (const auto& [name, value] : logs.values) measured_ |= name == "error_rate";
  }
  int64_t count() const { return count_; }
  bool measured() const { return measured_; }

 private:
  int64_t count_ = options().from;
  bool measured_ = false;
};

const tp::FactoryFor<tp::Callback, Counter> counter_entry{"Counts the epochs from a number."};

/// A module of this program's own.
class Net : public tp::nn::Layer<Net> {
 public:
  Net()
      : hidden_(child("hidden", tp::nn::Linear(2, 8))),
        norm_(child("norm", tp::nn::BatchNorm1d(8))),
        out_(child("out", tp::nn::Linear(8, 2))) {}
  tp::Tensor forward(const tp::Tensor& x) const { return out_(tp::tanh(norm_(hidden_(x)))); }

 private:
  tp::nn::Linear hidden_;
  tp::nn::BatchNorm1d norm_;
  tp::nn::Linear out_;
};

int failures = 0;

void trains_with_its_own_module_metric_and_callback() {
  tp::manual_seed(0);
  std::vector<float> points;
  std::vector<int64_t> classes;
  for (int i = 0; i < 256; ++i) {
    const float x = std::sin(static_cast<float>(i));
    const float y = std::cos(static_cast<float>(3 * i));
    points.insert(points.end(), {x, y});
    classes.push_back(x > y ? 1 : 0);
  }
  const tp::data::TensorDataset data(
      {tp::from_values({256, 2}, points), tp::from_values({256}, classes)});

  const auto callback =
      tp::CallbackFactory::get("Counter", "callback").make({{"from", int64_t{10}}});
  tp::Trainer trainer(Net(), {.loss = tp::nn::CrossEntropyLoss(),
                              .optimizer = tp::optim::Adam({.lr = 0.05}),
                              .metrics = {"accuracy", "error_rate"}});
  trainer.fit(data, {.epochs = 5, .batch_size = 32, .verbose = false, .callbacks = {callback}});
  const auto counter = std::dynamic_pointer_cast<Counter>(callback);
  expect(counter && counter->count() == 15, "the callback counts 5 epochs from 10");
  expect(counter && counter->measured(), "the metric of this program is measured");
  expect(tp::MetricFactory::find("error_rate") == &error_rate, "the metric is found by its name");
  expect(trainer.evaluate(data).loss < 0.3, "the network learns");
}

void finds_what_the_library_registers() {
  expect(tp::CallbackFactory::find("CSVLogger") != nullptr, "the library's callback is found");
  expect(tp::MetricFactory::all().size() > 1, "the library's metrics are listed");
}

void differentiates() {
  const auto cube = [](const std::vector<tp::Tensor>& x) { return tp::sum(x[0] * x[0] * x[0]); };
  const tp::Tensor slope = tp::grad(cube)({tp::tensor({2.0F, -1.0F})});
  expect(slope.to_vector<float>() == std::vector<float>{12, 3}, "the gradient of x^3 is 3 x^2");
}

void catches_errors_by_type() {
  try {
    tp::matmul(tp::tensor({1.0F}), tp::from_values({2, 1}, std::vector<float>{1, 2}));
    expect(false, "matmul refuses shapes that do not fit");
  } catch (const tp::Error& error) {
    expect(error.kind() == tp::ErrorKind::shape && error.op() == "matmul", error.what());
    expect(tp::kind_name(error.kind()) == "shape", "the kind has a name");
  }
}

}  // namespace

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "wrong: " << what << '\n';
  ++failures;
}

int main() {
  try {
    trains_with_its_own_module_metric_and_callback();
    finds_what_the_library_registers();
    differentiates();
    catches_errors_by_type();
    uses_parts_by_name_and_by_type();
    expect(global_layer(tp::reshape(global_tensor, {1, 3})).shape() == tp::Shape{1, 2},
           "objects at namespace scope");
  } catch (const std::exception& error) {
    std::cerr << "not caught as a taper::Error where it should be: " << error.what() << '\n';
    return 1;
  }
  if (failures == 0) std::cout << "all good\n";
  return failures == 0 ? 0 : 1;
}

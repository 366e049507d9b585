// Each kind of part, made from its registry by name and by its type: both must do the same, and
// what a program compiles of them must be found in the installed library.
#include <taper/taper.h>

#include <memory>
#include <string>
#include <vector>

#include "check.h"

namespace tp = taper;
using tp::Fields;
using tp::Tensor;
using tp::Value;

namespace {

std::vector<double> numbers(const std::vector<Tensor>& tensors) {
  std::vector<double> all;
  for (const Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    const auto values = tp::astype(tensor, tp::DType::f64).to_vector<double>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

std::vector<double> outputs(const tp::nn::AnyModule& module, const std::vector<Tensor>& operands) {
  return numbers(module(operands));
}

template <class M>
void layer(const std::string& name, const Fields& options, M made,
           const std::vector<Tensor>& operands) {
  tp::nn::AnyModule by_name = tp::nn::ModuleFactory::get(name, "layer").make(options);
  by_name.load_state_dict(made.state_dict());
  const tp::nn::AnyModule by_type(std::move(made));
  expect(by_type.type() == name, name + " knows its name");
  expect(outputs(by_name, operands) == outputs(by_type, operands), name + " by name and by type");
  expect(by_name.config() == by_type.config(), name + " is described alike");
}

void layers() {
  const Tensor x = tp::randn({5, 2, 4});
  layer("LSTM", {{"input_size", Value(4)}, {"hidden_size", Value(3)}}, tp::nn::LSTM(4, 3), {x});
  layer("LayerNorm", {{"normalized_shape", Value(4)}}, tp::nn::LayerNorm(4), {x});
  layer("Embedding", {{"num_embeddings", Value(7)}, {"embedding_dim", Value(4)}},
        tp::nn::Embedding(7, 4), {tp::tensor({0, 6, 3})});
  layer("MultiheadAttention", {{"embed_dim", Value(4)}, {"num_heads", Value(2)}},
        tp::nn::MultiheadAttention(4, 2), {x, x, x});
}

void loss(const std::string& name, const Fields& options, const tp::nn::AnyLoss& by_type,
          const std::vector<Tensor>& operands) {
  const tp::nn::AnyLoss by_name = tp::nn::LossFactory::get(name, "loss").make(options);
  expect(by_type.type() == name, name + " knows its name");
  expect(by_name(operands).item() == by_type(operands).item(), name + " by name and by type");
}

void losses() {
  const Tensor x = tp::randn({6});
  loss("HuberLoss", {{"delta", Value(0.5)}}, tp::nn::HuberLoss({.delta = 0.5}), {x, x * 3});
  loss("CTCLoss", {}, tp::nn::CTCLoss(),
       {tp::log_softmax(tp::randn({5, 1, 3}), 2), tp::tensor({{1, 2}}), tp::tensor({5}),
        tp::tensor({2})});
}

/// A weight behind some steps down a bowl.
template <class Optimizer>
std::vector<double> trained(Optimizer& optimizer) {
  const tp::State weight("weight", tp::tensor({1.0, -2.0}));
  weight.set_requires_grad(true);
  optimizer.attach({weight});
  for (int i = 0; i < 4; ++i) {
    optimizer.step([&] {
      optimizer.zero_grad();
      const Tensor value = tp::sum(tp::square(weight.value()) * tp::tensor({1.0, 5.0}));
      value.backward();
      return value;
    });
  }
  return numbers({weight.value()});
}

template <class Optimizer>
void optimizer(const std::string& name) {
  const std::shared_ptr<tp::optim::Optimizer> by_name =
      tp::optim::OptimizerFactory::get(name, "optimizer").make({{"lr", Value(0.125)}});
  Optimizer by_type({.lr = 0.125});
  expect(by_type.type() == name, name + " knows its name");
  expect(trained(*by_name) == trained(by_type), name + " by name and by type");
}

void schedules() {
  const tp::optim::OneCycleLR cycle({.max_lr = 0.5, .total_steps = 10});
  const std::shared_ptr<tp::optim::Schedule> by_name =
      tp::optim::ScheduleFactory::get("OneCycleLR", "schedule")
          .make({{"max_lr", Value(0.5)}, {"total_steps", Value(10)}});
  expect(by_name->rate(1, {.step = 3}) == cycle.rate(1, {.step = 3}), "OneCycleLR by name");
  const tp::State weight("weight", tp::tensor({1.0}));
  weight.set_requires_grad(true);
  tp::optim::SGD sgd(std::vector{weight}, {.lr = 1});
  const auto reduced = [&](auto schedule) {
    tp::optim::LRScheduler plateau(sgd, std::move(schedule));
    plateau.step(1.0);
    plateau.step(2.0);
    const double rate = plateau.get_last_lr()[0];
    plateau.put_back();
    return rate;
  };
  expect(reduced(tp::optim::ReduceLROnPlateau({.patience = 0})) == 0.1,
         "ReduceLROnPlateau by type");
  const auto plateau_by_name = tp::optim::ScheduleFactory::get("ReduceLROnPlateau", "schedule")
                                   .make({{"patience", Value(0)}});
  expect(reduced(std::shared_ptr<const tp::optim::Schedule>(plateau_by_name)) == 0.1,
         "ReduceLROnPlateau by name");
}

void metrics() {
  const tp::OutputMeaning classes{tp::Task::classes, tp::OutputScale::logits};
  const tp::Measured of_classes(classes, tp::randn({20, 4}), tp::randint(0, 4, {20}));
  const tp::Measured of_numbers({}, tp::randn({20}), tp::randn({20}));
  const auto alike = [&](const std::string& name, const Fields& options, tp::Metric& by_type,
                         bool numbers = false) {
    const tp::Measured& batch = numbers ? of_numbers : of_classes;
    const auto by_name = tp::MetricFactory::get(name, "metric").make(options);
    by_name->update(batch);
    by_type.update(batch);
    expect(by_name->value() == by_type.value() && by_type.value() != 0, name + " by name and type");
  };
  tp::metrics::TopKAccuracy top({.k = 2});
  alike("top_k_accuracy", {{"k", Value(2)}}, top);
  tp::metrics::AUC auc;
  alike("auc", {}, auc);
  tp::metrics::LogLoss log_loss;
  alike("log_loss", {}, log_loss);
  tp::metrics::Perplexity perplexity;
  alike("perplexity", {}, perplexity);
  tp::metrics::MAE mae;
  alike("mae", {}, mae, true);
  tp::metrics::MSE mse;
  alike("mse", {}, mse, true);
  tp::metrics::RMSE rmse;
  alike("rmse", {}, rmse, true);
  tp::metrics::R2 r2;
  alike("r2", {}, r2, true);
}

void transforms() {
  const Tensor images = tp::rand({4, 1, 8, 8});
  const auto changed = [&](const tp::data::AnyTransform& transform) {
    tp::manual_seed(9);
    const tp::data::Transformed dataset(tp::data::TensorDataset({images}), {transform});
    return numbers({dataset.get(0)[0]});
  };
  const auto alike = [&](const std::string& name, const Fields& options, auto by_type) {
    const auto found = changed(by_type);
    expect(found == changed(tp::data::AnyTransform(name, options)), name + " by name and by type");
    expect(found != numbers({images[0]}), name + " changes images");
  };
  alike("RandomCrop", {{"size", Value(6)}}, tp::data::RandomCrop(6));
  alike("RandomHorizontalFlip", {{"p", Value(1.0)}}, tp::data::RandomHorizontalFlip(1.0));
  alike("RandomRotation", {{"degrees", Value(30)}}, tp::data::RandomRotation(30));
}

void averages() {
  const auto by_name = tp::CallbackFactory::get("EMA", "callback").make({{"decay", Value(0.5)}});
  const auto by_type = std::make_shared<tp::EMA>(tp::EMAOptions{.decay = 0.5});
  std::vector<std::vector<double>> weights;
  for (const std::shared_ptr<tp::Callback>& each :
       {by_name, std::shared_ptr<tp::Callback>(by_type), std::make_shared<tp::Callback>()}) {
    tp::manual_seed(3);
    const tp::nn::Linear net(2, 1);
    tp::Trainer trainer(net, {.loss = tp::nn::MSELoss(), .optimizer = tp::optim::SGD({.lr = 0.1})});
    const tp::data::TensorDataset data({tp::ones({8, 2}), tp::zeros({8, 1})});
    trainer.fit(data, {.epochs = 3, .batch_size = 4, .verbose = false, .callbacks = {each}});
    weights.push_back(numbers({net.weight.value()}));
  }
  expect(weights[0] == weights[1], "EMA by name and by type");
  expect(weights[0] != weights[2], "EMA is not what the last update left");
  expect(by_type->updates() == 6, "EMA counts updates");
}

}  // namespace

void uses_parts_by_name_and_by_type() {
  tp::manual_seed(1);
  layers();
  losses();
  optimizer<tp::optim::RMSprop>("RMSprop");
  optimizer<tp::optim::AdamW>("AdamW");
  optimizer<tp::optim::LBFGS>("LBFGS");
  schedules();
  metrics();
  transforms();
  averages();
}

#include <taper/train/fit/trainer.h>

#include <algorithm>
#include <cmath>

#include <taper/autograd/autograd.h>
#include <taper/core/error.h>
#include <taper/nn/mode_scope.h>
#include <taper/ops/ops.h>
#include <taper/train/batch/batch_loss.h>
#include <taper/train/batch/batch_rules.h>
#include <taper/train/checks/preflight.h>
#include <taper/train/fit/fit_run.h>
#include <taper/train/metrics/meter.h>

namespace taper {
namespace {

/// `pass` and `what` name the dataset in the message.
void check_not_empty(const data::Dataset& dataset, const char* pass,
                     const std::string& what = "dataset") {
  if (dataset.size() == 0) {
    fail(ErrorKind::value, std::string(pass) + ": the " + what + " is empty");
  }
}

void check_fields(const FieldRoles& roles, const data::Dataset& dataset, const char* pass,
                  const std::string& what = "dataset") {
  check_not_empty(dataset, pass, what);
  roles.check(dataset.specs().size(), pass, what);
}

void require(bool good, const char* rule, double got) {
  if (good) return;
  fail(ErrorKind::value, std::string("fit: ") + rule + ", got " +
                             (got == std::floor(got) && std::abs(got) < 1e15
                                  ? std::to_string(static_cast<int64_t>(got))
                                  : print_real(got)));
}

bool is_amount(double value) { return value >= 0 && std::isfinite(value); }

void check_options(const FitOptions& options, const optim::Optimizer& optimizer) {
  require(options.epochs >= 1, "`epochs` must be at least 1", static_cast<double>(options.epochs));
  require(options.accumulate >= 1, "`accumulate` must be at least 1",
          static_cast<double>(options.accumulate));
  if (optimizer.needs_closure() && options.accumulate > 1) {
    fail(ErrorKind::unsupported, "fit: " + std::string(optimizer.type()) +
                                     " computes the loss of a batch again, so `accumulate` must be "
                                     "1, got " +
                                     std::to_string(options.accumulate));
  }
  require(is_amount(options.clip_norm), "`clip_norm` must be at least 0", options.clip_norm);
  require(is_amount(options.clip_value), "`clip_value` must be at least 0", options.clip_value);
  require(is_amount(options.l1), "`l1` must be at least 0", options.l1);
  require(is_amount(options.l2), "`l2` must be at least 0", options.l2);
  for (const double weight : options.class_weight) {
    require(is_amount(weight), "`class_weight` must hold numbers of at least 0", weight);
  }
  if (options.validation_split != 0 && options.validation_data) {
    fail(ErrorKind::value, "fit: give `validation_split` or `validation_data`, not both");
  }
  for (const auto& callback : options.callbacks) {
    if (callback == nullptr) fail(ErrorKind::value, "fit: a callback is null");
    if (std::ranges::count(options.callbacks, callback) > 1) {
      fail(ErrorKind::value, "fit: a callback is given twice: " + callback->kind());
    }
  }
  if (!options.checkpoint) return;
  require(is_amount(options.checkpoint->seconds), "`checkpoint.seconds` must be at least 0",
          options.checkpoint->seconds);
  if (options.checkpoint->folder.empty() && options.run.empty()) {
    fail(ErrorKind::value, "fit: `checkpoint.folder` is empty");
  }
  if (!options.checkpoint->folder.empty() && !options.run.empty()) {
    fail(ErrorKind::value, "fit: give `checkpoint.folder` or `run`, not both");
  }
}

}  // namespace

Trainer::Trainer(const Trainer& other) = default;
Trainer::Trainer(Trainer&& other) noexcept = default;
Trainer& Trainer::operator=(const Trainer& other) = default;
Trainer& Trainer::operator=(Trainer&& other) noexcept = default;
Trainer::~Trainer() = default;

Trainer::Trainer(nn::AnyModule model, TrainerOptions options)
    : model_(std::move(model)),
      loss_(std::move(options.loss)),
      optimizer_(std::move(options.optimizer)),
      task_(options.task) {
  for (const AnyMetric& metric : options.metrics) {
    const std::string name = metric->name();
    const auto is_it = [&](const AnyMetric& other) { return other->name() == name; };
    if (std::ranges::any_of(metrics_, is_it)) {
      fail(ErrorKind::value, "Trainer: the metric `" + name + "` is given twice");
    }
    metrics_.push_back(metric);
  }
}

Tensor Trainer::forward(std::vector<Tensor> inputs) const {
  return nn::detail::first(model_(fit_inputs(std::move(inputs), model_)));
}

OutputRule Trainer::output_rule(const data::Dataset& dataset) const {
  const bool probabilities =
      graph_ ? ends_in_probabilities(*graph_) : ends_in_probabilities(model_, dataset.specs(), 1);
  return {loss_, task_, probabilities};
}

void Trainer::watch(const BatchLoss& batch_loss, const data::Batch& batch, const BatchPlace& place,
                    Meter& meter,
                    FunctionRef<BatchResult(std::optional<Spec>& output)> step) const {
  std::optional<Spec> output;
  BatchResult outcome;
  try {
    outcome = step(output);
  } catch (const Error&) {
    // A label that no class has: its row says more than the op.
    if (output) meter.check(*output, batch_loss.target(batch.fields, output->shape), place);
    throw;
  }
  const Tensor target = batch_loss.target(batch.fields, outcome.output.shape());
  meter.check(outcome.output.spec(), target, place);
  meter.add(outcome.loss, outcome.output, target, place);
}

Tensor Trainer::penalty(double l1, double l2) const {
  Tensor total;
  const auto include = [&](const Tensor& term) { total = total.defined() ? total + term : term; };
  for (const State& cell : model_.parameters()) {
    const Tensor weight = cell.value();
    if (weight.rank() < 2) continue;
    if (l1 > 0) include(sum(abs(weight)) * l1);
    if (l2 > 0) include(sum(square(weight)) * l2);
  }
  return total.defined() ? total : zeros({}, dtype_of_model(model_));
}

void Trainer::check_fit(const data::AnyDataset& dataset, const FitOptions& options) const {
  check_options(options, *optimizer_);
  const FieldRoles roles(model_, loss_);
  check_fields(roles, *dataset, "fit");
  if (options.validation_data) {
    check_fields(roles, **options.validation_data, "fit", "validation dataset");
  }
  if (options.run_details.test_data) {
    check_fields(roles, **options.run_details.test_data, "fit", "test dataset");
  }
}

History Trainer::fit_here(const data::AnyDataset& dataset, const FitOptions& options) {
  check_fit(dataset, options);
  if (!optimizer_->attached()) optimizer_->attach(model_.parameters());
  const nn::ModeScope mode(model_, true);
  const enable_grad on;
  if (options.validation_split == 0) {
    return FitRun(*this, dataset, options.validation_data, options).run();
  }
  const data::TrainValidation parts = data::split(dataset, options.validation_split);
  return FitRun(*this, parts.train, data::AnyDataset(parts.validation), options).run();
}

Evaluation Trainer::evaluate(const data::AnyDataset& dataset,
                             const EvaluateOptions& options) const {
  check_fields(FieldRoles(model_, loss_), *dataset, "evaluate");
  data::Loader loader(dataset, {.batch_size = options.batch_size, .workers = options.workers});
  const nn::ModeScope mode(model_, false);
  return *evaluate_with(loader, output_rule(*dataset), 0);
}

std::optional<Evaluation> Trainer::evaluate_with(data::Loader& loader, const OutputRule& rule,
                                                 int64_t epoch,
                                                 const std::function<bool()>& interrupted) const {
  const nn::ModeScope mode(model_, false);
  const no_grad off;
  Meter meter(rule, metrics_, true);
  const BatchLoss batch_loss(model_, loss_);
  for (const data::Batch& batch : loader) {
    watch(
        batch_loss, batch, {"evaluate", epoch, batch.index}, meter,
        [&](std::optional<Spec>& output) { return batch_loss("evaluate", batch.fields, output); });
    if (interrupted && interrupted()) return {};
  }
  Evaluation found{.loss = meter.loss(),
                   .metrics = meter.metrics(),
                   .examples = meter.examples(),
                   .confusion = meter.confusion(),
                   .class_names = {},
                   .outputs = meter.meaning()};
  if (found.confusion) {
    found.class_names = names_of_classes(loader.dataset(), found.confusion->classes());
  }
  return found;
}

Tensor Trainer::predict(const data::AnyDataset& dataset, const EvaluateOptions& options) const {
  check_not_empty(*dataset, "predict");
  const size_t inputs = model_.required_operands();
  if (dataset->specs().size() < inputs) {
    fail(ErrorKind::value, "predict: the model takes " + std::to_string(inputs) +
                               " inputs, the dataset's examples have " +
                               std::to_string(dataset->specs().size()) + " fields");
  }
  const nn::ModeScope mode(model_, false);
  const no_grad off;
  data::Loader loader(dataset, {.batch_size = options.batch_size, .workers = options.workers});
  std::vector<Tensor> outputs;
  for (const data::Batch& batch : loader) {
    outputs.push_back(nn::detail::first(model_(model_inputs(model_, batch.fields))));
  }
  return outputs.size() == 1 ? outputs[0] : concat(outputs, 0);
}

Tensor Trainer::predict(const Tensor& input, const EvaluateOptions& options) const {
  return predict(std::vector<Tensor>{input}, options);
}

Tensor Trainer::predict(const std::vector<Tensor>& inputs, const EvaluateOptions& options) const {
  if (inputs.empty()) fail(ErrorKind::value, "predict: there is no input");
  for (const Tensor& input : inputs) {
    if (!input.defined() || input.rank() == 0) {
      fail(ErrorKind::value, "predict: the inputs need a first axis that counts them");
    }
    if (input.size(0) == inputs[0].size(0)) continue;
    fail(ErrorKind::shape, "predict: the inputs are " + to_string(inputs[0].spec()) + " and " +
                               to_string(input.spec()) + ", of different numbers of examples");
  }
  if (options.batch_size < 1) {
    fail(ErrorKind::value,
         "predict: `batch_size` must be at least 1, got " + std::to_string(options.batch_size));
  }
  const nn::ModeScope mode(model_, false);
  const no_grad off;
  std::vector<Tensor> outputs;
  const int64_t rows = inputs[0].size(0);
  for (int64_t row = 0; row < rows || outputs.empty(); row += options.batch_size) {
    const int64_t end = std::min(rows, row + options.batch_size);
    std::vector<Tensor> part;
    for (const Tensor& input : inputs) part.push_back(slice(input, 0, row, end));
    outputs.push_back(forward(std::move(part)));
  }
  return outputs.size() == 1 ? outputs[0] : concat(outputs, 0);
}

}  // namespace taper

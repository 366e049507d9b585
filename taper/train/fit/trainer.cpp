#include <taper/train/fit/trainer.h>

#include <algorithm>
#include <cmath>

#include <taper/autograd/autograd.h>
#include <taper/core/error.h>
#include <taper/nn/mode_scope.h>
#include <taper/ops/ops.h>
#include <taper/train/batch/batch_rules.h>
#include <taper/train/batch/weighting.h>
#include <taper/train/checks/preflight.h>
#include <taper/train/fit/fit_run.h>
#include <taper/train/metrics/meter.h>

namespace taper {
namespace {

/// `pass` and `what` name the dataset in the message.
void check_fields(const data::Dataset& dataset, const char* pass, size_t least,
                  const std::string& what = "dataset") {
  if (dataset.size() == 0) {
    fail(ErrorKind::value, std::string(pass) + ": the " + what + " is empty");
  }
  const size_t count = dataset.specs().size();
  if (count >= least && (least == 1 || count <= 3)) return;
  fail(ErrorKind::value, std::string(pass) + ": examples must be {input, target} or {input, " +
                             "target, weight}, the " + what + "'s have " + std::to_string(count) +
                             (count == 1 ? " field" : " fields"));
}

void require(bool good, const char* rule, double got) {
  if (good) return;
  fail(ErrorKind::value, std::string("fit: ") + rule + ", got " +
                             (got == std::floor(got) && std::abs(got) < 1e15
                                  ? std::to_string(static_cast<int64_t>(got))
                                  : print_real(got)));
}

bool is_amount(double value) { return value >= 0 && std::isfinite(value); }

void check_options(const FitOptions& options) {
  require(options.epochs >= 1, "`epochs` must be at least 1", static_cast<double>(options.epochs));
  require(options.accumulate >= 1, "`accumulate` must be at least 1",
          static_cast<double>(options.accumulate));
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

Tensor Trainer::forward(const Tensor& input) const { return model_(fit_input(input, model_)); }

OutputRule Trainer::output_rule(const data::Dataset& dataset) const {
  const bool probabilities = graph_ ? ends_in_probabilities(*graph_)
                                    : ends_in_probabilities(model_, dataset.specs()[0], 1);
  return {loss_, task_, probabilities};
}

Trainer::Outcome Trainer::outcome_of(const Tensor& input, const Tensor& target,
                                     const Tensor& sample_weight, const FitOptions* training,
                                     std::optional<Spec>& seen) const {
  const Tensor output = forward(input);
  check_output(training != nullptr ? "fit" : "evaluate", output);
  seen = output.spec();
  const std::vector<double> no_weights;
  const auto& class_weight = training != nullptr ? training->class_weight : no_weights;
  Tensor loss = loss_of_batch(loss_, output, target_for(loss_, target, output.shape()),
                              sample_weight, class_weight);
  if (training != nullptr && (training->l1 > 0 || training->l2 > 0)) {
    loss = loss + penalty(training->l1, training->l2);
  }
  return {std::move(loss), output};
}

void Trainer::watch(const data::Batch& batch, const BatchPlace& place, Meter& meter,
                    FunctionRef<Outcome(std::optional<Spec>& output)> step) const {
  std::optional<Spec> output;
  Outcome outcome;
  try {
    outcome = step(output);
  } catch (const Error&) {
    // A label that no class has: its row says more than the op.
    if (output) meter.check(*output, target_for(loss_, batch[1], output->shape), place);
    throw;
  }
  const Tensor target = target_for(loss_, batch[1], outcome.output.shape());
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
  check_options(options);
  check_fields(*dataset, "fit", 2);
  if (options.validation_data) {
    check_fields(**options.validation_data, "fit", 2, "validation dataset");
  }
  if (options.run_details.test_data) {
    check_fields(**options.run_details.test_data, "fit", 2, "test dataset");
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
  check_fields(*dataset, "evaluate", 2);
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
  for (const data::Batch& batch : loader) {
    watch(batch, {"evaluate", epoch, batch.index}, meter, [&](std::optional<Spec>& output) {
      return outcome_of(batch[0], batch[1], weights_of(batch), nullptr, output);
    });
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
  check_fields(*dataset, "predict", 1);
  const nn::ModeScope mode(model_, false);
  const no_grad off;
  data::Loader loader(dataset, {.batch_size = options.batch_size, .workers = options.workers});
  std::vector<Tensor> outputs;
  for (const data::Batch& batch : loader) outputs.push_back(forward(batch[0]));
  return outputs.size() == 1 ? outputs[0] : concat(outputs, 0);
}

Tensor Trainer::predict(const Tensor& inputs, const EvaluateOptions& options) const {
  if (!inputs.defined() || inputs.rank() == 0) {
    fail(ErrorKind::value, "predict: the inputs need a first axis that counts them");
  }
  if (options.batch_size < 1) {
    fail(ErrorKind::value,
         "predict: `batch_size` must be at least 1, got " + std::to_string(options.batch_size));
  }
  const nn::ModeScope mode(model_, false);
  const no_grad off;
  std::vector<Tensor> outputs;
  const int64_t rows = inputs.size(0);
  for (int64_t row = 0; row < rows || outputs.empty(); row += options.batch_size) {
    const int64_t end = std::min(rows, row + options.batch_size);
    outputs.push_back(forward(slice(inputs, 0, row, end)));
  }
  return outputs.size() == 1 ? outputs[0] : concat(outputs, 0);
}

}  // namespace taper

#include <taper/train/trainer.h>

#include <chrono>

#include <taper/autograd/autograd.h>
#include <taper/core/error.h>
#include <taper/ops/ops.h>
#include <taper/train/meter.h>
#include <taper/train/mode_scope.h>
#include <taper/train/progress.h>

namespace taper {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The dtype of the model's first floating parameter, f32 if there is none.
DType dtype_of_model(const nn::Module& model) {
  for (const State& cell : model.parameters()) {
    if (is_float(cell.value().dtype())) return cell.value().dtype();
  }
  return DType::f32;
}

/// Targets [N] for outputs [N,1], or the other way round, in the shape of the outputs.
Tensor fit_target(const Tensor& target, const Tensor& output) {
  Shape longer = target.shape();
  longer.push_back(1);
  Shape shorter = output.shape();
  shorter.push_back(1);
  const bool differ_by_one_axis = longer == output.shape() || shorter == target.shape();
  return differ_by_one_axis ? reshape(target, output.shape()) : target;
}

/// `pass` and `what` name the dataset in the message.
void check_fields(const data::Dataset& dataset, const char* pass, size_t least,
                  const std::string& what = "dataset") {
  if (dataset.size() == 0) {
    fail(ErrorKind::value, std::string(pass) + ": the " + what + " is empty");
  }
  const size_t count = dataset.specs().size();
  if (count >= least && (least == 1 || count == least)) return;
  fail(ErrorKind::value, std::string(pass) + ": examples must be {input, target}, the " + what +
                             "'s have " + std::to_string(count) + " fields");
}

std::vector<std::string> names_of_classes(const data::Dataset& dataset, int64_t classes) {
  std::vector<std::string> names = dataset.class_names();
  for (auto i = static_cast<int64_t>(names.size()); i < classes; ++i) {
    names.push_back(std::to_string(i));
  }
  names.resize(static_cast<size_t>(classes));
  return names;
}

}  // namespace

// ---------------------------------------------------------------------------------- one fit

/// The state of one call of `fit`.
class FitRun {
 public:
  FitRun(Trainer& trainer, const data::AnyDataset& train,
         const std::optional<data::AnyDataset>& validation, const FitOptions& options)
      : trainer_(trainer),
        options_(options),
        loader_(train, {.batch_size = options.batch_size,
                        .shuffle = options.shuffle,
                        .seed = options.seed,
                        .drop_last = options.drop_last,
                        .workers = options.workers}),
        progress_(options.verbose, options.epochs, loader_.batches()),
        first_lr_(trainer.optimizer_->lr()) {
    if (validation) {
      validation_.emplace(*validation, data::LoaderOptions{.batch_size = options.batch_size,
                                                           .workers = options.workers});
    }
    if (loader_.batches() == 0) {
      fail(ErrorKind::value, "fit: `drop_last` leaves no batch of " +
                                 std::to_string(options.batch_size) + " from " +
                                 std::to_string(loader_.examples()) + " examples");
    }
  }
  ~FitRun() {
    if (options_.schedule) trainer_.optimizer_->set_lr(first_lr_);
  }
  FitRun(const FitRun&) = delete;
  FitRun& operator=(const FitRun&) = delete;

  History run() {
    for (const auto& callback : options_.callbacks) callback->stop_training = false;
    for (const auto& callback : options_.callbacks) callback->on_train_begin(trainer_);
    for (int64_t epoch = 0; epoch < options_.epochs && !stopped(); ++epoch) run_epoch(epoch);
    for (const auto& callback : options_.callbacks) callback->on_train_end(trainer_);
    return std::move(history_);
  }

 private:
  bool stopped() const {
    for (const auto& callback : options_.callbacks) {
      if (callback->stop_training) return true;
    }
    return false;
  }

  void run_epoch(int64_t epoch) {
    const Clock::time_point start = Clock::now();
    if (options_.schedule) {
      trainer_.optimizer_->set_lr(first_lr_ * options_.schedule->factor(epoch));
    }
    for (const auto& callback : options_.callbacks) callback->on_epoch_begin(trainer_, epoch);
    progress_.begin_epoch(epoch);
    Meter meter(std::string(trainer_.loss_.type()), trainer_.metrics_, false);
    Logs logs{.epoch = epoch,
              .epochs = options_.epochs,
              .steps = loader_.batches(),
              .total_step = total_step_,
              .values = {}};
    for (data::Batch batch; !stopped() && next_batch(batch, logs.step);) {
      run_step(batch, epoch, meter, logs);
    }
    const double train_seconds = seconds_since(start);
    logs.values = numbers(meter.loss(), meter.metrics(), "");
    if (validation_) {
      const Evaluation found = trainer_.evaluate_with(validation_->epoch(0), epoch);
      for (auto& number : numbers(found.loss, found.metrics, "val_")) logs.values.push_back(number);
    }
    const double seconds = seconds_since(start);
    progress_.end_epoch(meter.examples(), train_seconds, seconds, logs.values);
    logs.values.emplace_back("epoch_seconds", seconds);
    history_.append(logs.values);
    ++trainer_.epochs_trained_;
    for (const auto& callback : options_.callbacks) callback->on_epoch_end(trainer_, logs);
  }

  bool next_batch(data::Batch& batch, int64_t step) {
    if (step == 0) loader_.epoch(trainer_.epochs_trained_);
    batch = {};  // so that its memory can be used again
    std::optional<data::Batch> next = loader_.next();
    if (next) batch = std::move(*next);
    return !batch.fields.empty();
  }

  void run_step(const data::Batch& batch, int64_t epoch, Meter& meter, Logs& logs) {
    trainer_.optimizer_->zero_grad();
    data::Batch numbered = batch;
    numbered.epoch = epoch;  // messages count the epochs of this fit
    const Tensor loss = trainer_.loss_of(numbered, meter, true);
    loss.backward();
    trainer_.optimizer_->step();
    ++logs.step;
    logs.total_step = ++total_step_;
    const bool show = progress_.is_due();
    if (!show && options_.callbacks.empty()) return;
    logs.values = numbers(meter.loss(), meter.metrics(), "");
    if (show) progress_.show(logs.step, meter.examples(), logs.values);
    for (const auto& callback : options_.callbacks) callback->on_batch_end(trainer_, logs);
  }

  static NamedNumbers numbers(double loss, const NamedNumbers& metrics, const char* prefix) {
    NamedNumbers all{{std::string(prefix) + "loss", loss}};
    for (const auto& [name, value] : metrics) all.emplace_back(prefix + name, value);
    return all;
  }

  Trainer& trainer_;
  const FitOptions& options_;
  data::Loader loader_;
  std::optional<data::Loader> validation_;
  Progress progress_;
  double first_lr_;
  int64_t total_step_ = 0;
  History history_;
};

// ---------------------------------------------------------------------------------- the trainer

Trainer::Trainer(nn::AnyModule model, TrainerOptions options)
    : model_(std::move(model)),
      loss_(std::move(options.loss)),
      optimizer_(std::move(options.optimizer)) {
  for (const std::string& name : options.metrics) {
    if (name != "loss") metrics_.push_back(&Metric::get(name));
  }
}

Tensor Trainer::forward(const Tensor& input) const {
  const DType dtype = dtype_of_model(model_);
  const bool cast = is_float(input.dtype()) && input.dtype() != dtype;
  return model_(cast ? astype(input, dtype) : input);
}

Tensor Trainer::loss_of(const data::Batch& batch, Meter& meter, bool training) const {
  const BatchPlace place{training ? "fit" : "evaluate", batch.epoch, batch.index};
  const Tensor output = forward(batch[0]);
  if (!output.defined()) {
    fail(ErrorKind::value, std::string(place.pass) + ": the model's output is undefined");
  }
  const Tensor target =
      loss_.type() == "CrossEntropyLoss" ? batch[1] : fit_target(batch[1], output);
  meter.check(output, target, place);
  const Tensor loss = loss_(output, target);
  meter.add(loss, output, target, place);
  return loss;
}

History Trainer::fit(const data::AnyDataset& dataset, const FitOptions& options) {
  if (options.epochs < 1) {
    fail(ErrorKind::value,
         "fit: `epochs` must be at least 1, got " + std::to_string(options.epochs));
  }
  if (options.validation_split != 0 && options.validation_data) {
    fail(ErrorKind::value, "fit: give `validation_split` or `validation_data`, not both");
  }
  check_fields(*dataset, "fit", 2);
  if (options.validation_data) {
    check_fields(**options.validation_data, "fit", 2, "validation dataset");
  }
  for (const auto& callback : options.callbacks) {
    if (callback == nullptr) fail(ErrorKind::value, "fit: a callback is null");
  }
  if (!optimizer_->attached()) optimizer_->attach(model_.parameters());
  const ModeScope mode(model_, true);
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
  return evaluate_with(loader, 0);
}

Evaluation Trainer::evaluate_with(data::Loader& loader, int64_t epoch) const {
  const ModeScope mode(model_, false);
  const no_grad off;
  Meter meter(std::string(loss_.type()), metrics_, true);
  for (const data::Batch& batch : loader) {
    data::Batch numbered = batch;
    numbered.epoch = epoch;
    loss_of(numbered, meter, false);
  }
  Evaluation found{.loss = meter.loss(),
                   .metrics = meter.metrics(),
                   .examples = meter.examples(),
                   .confusion = meter.confusion(),
                   .class_names = {}};
  if (found.confusion) {
    found.class_names = names_of_classes(loader.dataset(), found.confusion->classes());
  }
  return found;
}

Tensor Trainer::predict(const data::AnyDataset& dataset, const EvaluateOptions& options) const {
  check_fields(*dataset, "predict", 1);
  const ModeScope mode(model_, false);
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
  const ModeScope mode(model_, false);
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

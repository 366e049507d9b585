#include <taper/train/meter.h>

#include <cmath>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/core/value.h>

namespace taper {
namespace {

std::string name_of(const BatchPlace& place) { return " of batch " + std::to_string(place.batch); }

[[noreturn]] void fail_not_finite(double loss, const BatchPlace& place) {
  const char* sign = loss < 0 ? "-" : "";
  const std::string number = std::isnan(loss) ? "nan" : sign + std::string("inf");
  const std::string pass(place.pass);
  if (place.pass != "fit") {
    fail(ErrorKind::value, pass + ": the loss" + name_of(place) + " is " + number +
                               "; look for bad numbers in the data and the parameters");
  }
  fail(ErrorKind::value, pass + ": the loss is " + number + " at epoch " +
                             std::to_string(place.epoch + 1) + ", step " +
                             std::to_string(place.batch + 1) +
                             "; try a smaller learning rate, or look for bad numbers in the data");
}

/// True for logits [N,C,...] and integer targets [N,...].
bool are_classes(const Tensor& output, const Tensor& target) {
  if (output.rank() < 2 || is_float(target.dtype())) return false;
  Shape without_classes = output.shape();
  without_classes.erase(1);
  return without_classes == target.shape();
}

/// The first element that is neither 0 nor 1; the number of elements if there is none.
size_t first_not_binary(const std::vector<double>& values) {
  size_t i = 0;
  while (i < values.size() && (values[i] == 0 || values[i] == 1)) ++i;
  return i;
}

}  // namespace

void Meter::check(const Tensor& output, const Tensor& target, const BatchPlace& place) {
  task_ = task_of(loss_name_, output, target);
  if (task_ == Task::classes) {
    check_classes(output, target, place);
  } else if (task_ != Task::regression && (always_count_ || !metrics_.empty())) {
    check_binary(output, target, place);
  } else if (!metrics_.empty()) {
    fail(ErrorKind::unsupported, std::string(place.pass) + ": the metric `" +
                                     std::string(metrics_.front()->name) + "` needs classes; " +
                                     (loss_name_.empty() ? "the loss" : loss_name_) +
                                     " with target " + to_string(target.spec()) + " has none");
  }
}

void Meter::check_classes(const Tensor& output, const Tensor& target, const BatchPlace& place) {
  if (!are_classes(output, target)) return;  // the loss says what is wrong
  const int64_t classes = output.size(1);
  const std::string bad = find_bad_label(target, classes);
  if (!bad.empty()) {
    fail(ErrorKind::value, std::string(place.pass) + ": " + bad + name_of(place) +
                               " is out of range for " + std::to_string(classes) + " classes");
  }
  const bool wanted = always_count_ && classes <= ConfusionMatrix::most_classes;
  if (!confusion_ && (wanted || !metrics_.empty())) confusion_.emplace(classes);
}

void Meter::check_binary(const Tensor& output, const Tensor& target, const BatchPlace& place) {
  const bool one_each = output.rank() == 1 || (output.rank() == 2 && output.size(1) == 1);
  const std::vector<double> values = one_each ? target.to_vector<double>() : std::vector<double>();
  const size_t bad = first_not_binary(values);
  if (one_each && bad == values.size()) {
    if (!confusion_) confusion_.emplace(2);
    return;
  }
  confusion_.reset();
  if (metrics_.empty()) {
    always_count_ = false;
    return;
  }
  if (!one_each) {
    fail(ErrorKind::unsupported, std::string(place.pass) + ": metrics of a binary loss need " +
                                     "outputs [N] or [N,1], got " + to_string(output.spec()));
  }
  fail(ErrorKind::value, std::string(place.pass) + ": metrics need targets 0 or 1, got " +
                             print_real(values[bad]) + " at row " + std::to_string(bad) +
                             name_of(place));
}

void Meter::add(const Tensor& loss, const Tensor& output, const Tensor& target,
                const BatchPlace& place) {
  if (!loss.defined()) fail(ErrorKind::value, std::string(place.pass) + ": the loss is undefined");
  if (loss.numel() != 1) {
    fail(ErrorKind::value, std::string(place.pass) + ": the loss must be one number, it is " +
                               to_string(loss.spec()) + "; use its reduction \"mean\"");
  }
  const double value = loss.item();
  if (!std::isfinite(value)) fail_not_finite(value, place);
  const int64_t size = target.rank() == 0 ? 1 : target.size(0);
  loss_sum_ += value * static_cast<double>(size);
  examples_ += size;
  if (confusion_) confusion_->add(target, predicted_classes(task_, output));
}

namespace {

struct MeterState {
  double loss_sum = 0;
  int64_t examples = 0;
  int64_t task = 0;
  std::vector<int64_t> confusion = {};  // empty if classes are not counted
};

}  // namespace

Fields Meter::state() const {
  return to_fields(MeterState{loss_sum_, examples_, static_cast<int64_t>(task_),
                              confusion_ ? confusion_->counts() : std::vector<int64_t>()});
}

void Meter::load_state(const Fields& state) {
  const auto known = parse_fields<MeterState>("meter", state);
  if (known.task < 0 || known.task > static_cast<int64_t>(Task::regression)) {
    fail(ErrorKind::value, "meter: there is no task " + std::to_string(known.task));
  }
  loss_sum_ = known.loss_sum;
  examples_ = known.examples;
  task_ = static_cast<Task>(known.task);
  if (!known.confusion.empty()) confusion_ = ConfusionMatrix::from_counts(known.confusion);
}

double Meter::loss() const {
  return examples_ == 0 ? 0 : loss_sum_ / static_cast<double>(examples_);
}

NamedNumbers Meter::metrics() const {
  NamedNumbers numbers;
  for (const Metric* metric : metrics_) {
    numbers.emplace_back(metric->name, confusion_ ? (*metric)(*confusion_) : 0);
  }
  return numbers;
}

}  // namespace taper

#include <taper/train/metrics/meter.h>

#include <algorithm>
#include <cmath>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/core/value.h>
#include <taper/train/batch/batch_rules.h>

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
bool are_classes(const Spec& output, const Tensor& target) {
  if (output.shape.rank() < 2 || is_float(target.dtype())) return false;
  Shape without_classes = output.shape;
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

void check_metrics(std::string_view pass, const std::vector<AnyMetric>& metrics,
                   std::string_view loss_name, const OutputMeaning& meaning, const Spec& output,
                   const Spec& target) {
  for (const AnyMetric& metric : metrics) {
    const std::string needed = metric->refusal(meaning);
    const std::string who = std::string(pass) + ": the metric `" + metric->name() + "` needs ";
    if (!needed.empty()) {
      fail(ErrorKind::unsupported, who + needed + "; " +
                                       (loss_name.empty() ? "the loss" : std::string(loss_name)) +
                                       " with target " + to_string(target) + " has none");
    }
    if (meaning.task == Task::regression && output.shape.numel() != target.shape.numel()) {
      fail(ErrorKind::unsupported, who + "targets of the output's shape, got " + to_string(target) +
                                       " for " + to_string(output));
    }
  }
}

bool count_classes(const std::vector<AnyMetric>& metrics) {
  return std::ranges::any_of(metrics, [](const AnyMetric& metric) {
    return !metric->refusal({.task = Task::regression}).empty();
  });
}

Meter::Meter(OutputRule rule, const std::vector<AnyMetric>& metrics, bool with_confusion)
    : rule_(std::move(rule)), kinds_(metrics), with_confusion_(with_confusion) {
  for (const AnyMetric& metric : metrics) metrics_.push_back(metric->fresh());
}

void Meter::check(const Spec& output, const Tensor& target, const BatchPlace& place) {
  meaning_ = rule_(output, target.spec());
  check_metrics(place.pass, kinds_, rule_.loss.type(), meaning_, output, target.spec());
  can_measure_ = true;
  if (meaning_.task == Task::classes) check_classes(output, target, place);
  const bool is_binary = meaning_.task == Task::binary || meaning_.task == Task::labels;
  if (is_binary && (with_confusion_ || !metrics_.empty())) check_binary(output, target, place);
}

void Meter::check_probabilities(const Tensor& output, const BatchPlace& place) const {
  const std::optional<nn::LossMeaning> loss = rule_.loss.meaning();
  if (!loss || loss->input != OutputScale::probabilities) return;
  if (!is_float(output.dtype())) return;  // the loss says what is wrong
  const std::vector<double> values = output.to_vector<double>();
  const auto is_outside = [](double value) { return value < 0 || value > 1; };
  const auto found = std::ranges::find_if(values, is_outside);
  if (found == values.end()) return;
  std::string way = "; end it in a sigmoid";
  if (!loss->of_logits.empty()) way += ", or take " + std::string(loss->of_logits) + " for logits";
  fail(ErrorKind::value, std::string(place.pass) + ": " + std::string(rule_.loss.type()) +
                             " takes probabilities in [0, 1], the model gave " +
                             print_real(*found) + name_of(place) + way);
}

void Meter::check_classes(const Spec& output, const Tensor& target, const BatchPlace& place) {
  can_measure_ = are_classes(output, target);
  if (!can_measure_) return;  // the loss says what is wrong
  const int64_t classes = output.shape[1];
  const std::string bad = find_bad_label(target, classes);
  if (!bad.empty()) {
    fail(ErrorKind::value, std::string(place.pass) + ": " + bad + name_of(place) +
                               " is out of range for " + std::to_string(classes) + " classes");
  }
  const bool wanted = with_confusion_ && classes <= ConfusionMatrix::most_classes;
  if (!confusion_ && wanted) confusion_.emplace(classes);
}

void Meter::check_binary(const Spec& output, const Tensor& target, const BatchPlace& place) {
  can_measure_ = output.shape.numel() == target.numel();
  if (!can_measure_) return;  // the loss says what is wrong
  const std::vector<double> values = target.to_vector<double>();
  const size_t bad = first_not_binary(values);
  if (bad == values.size()) {
    if (!confusion_ && with_confusion_ && meaning_.task == Task::binary) confusion_.emplace(2);
    return;
  }
  confusion_.reset();
  with_confusion_ = false;
  if (!count_classes(kinds_)) return;
  const int64_t rows = target.rank() == 0 ? 1 : target.size(0);
  const int64_t row = static_cast<int64_t>(bad) / (target.numel() / rows);
  fail(ErrorKind::value, std::string(place.pass) + ": metrics need targets 0 or 1, got " +
                             print_real(values[bad]) + " at row " + std::to_string(row) +
                             name_of(place));
}

void Meter::add(const Tensor& loss, const Tensor& output, const Tensor& target,
                const BatchPlace& place) {
  check_probabilities(output, place);
  check_loss(place.pass, loss);
  const double value = loss.item();
  if (!std::isfinite(value)) fail_not_finite(value, place);
  const int64_t size = target.rank() == 0 ? 1 : target.size(0);
  loss_sum_ += value * static_cast<double>(size);
  examples_ += size;
  if (!can_measure_) return;
  const Measured batch(meaning_, output.detach(), target);
  for (const auto& metric : metrics_) metric->update(batch);
  if (!confusion_) return;
  for (size_t i = 0; i < batch.truth().size(); ++i) {
    confusion_->add(batch.truth()[i], batch.predicted()[i]);
  }
}

namespace {

struct MeterState {
  double loss_sum = 0;
  int64_t examples = 0;
  std::vector<int64_t> confusion = {};  // empty if classes are not counted
  Fields metrics = {};                  // the state of each by its name
};

}  // namespace

Fields Meter::state() const {
  MeterState state{.loss_sum = loss_sum_, .examples = examples_};
  if (confusion_) state.confusion = confusion_->counts();
  for (const auto& metric : metrics_) {
    state.metrics.emplace_back(metric->name(), Value(metric->state()));
  }
  return to_fields(state);
}

void Meter::load_state(const Fields& state) {
  const auto known = parse_fields<MeterState>("meter", state);
  loss_sum_ = known.loss_sum;
  examples_ = known.examples;
  if (!known.confusion.empty()) confusion_ = ConfusionMatrix::from_counts(known.confusion);
  for (const auto& metric : metrics_) {
    const auto same = [&](const auto& entry) { return entry.first == metric->name(); };
    const auto found = std::ranges::find_if(known.metrics, same);
    const Fields* fields =
        found != known.metrics.end() ? found->second.template get_if<Fields>() : nullptr;
    if (fields == nullptr) {
      fail(ErrorKind::value, "meter: the metric `" + metric->name() + "` is missing");
    }
    metric->load_state(*fields);
  }
}

double Meter::loss() const {
  return examples_ == 0 ? 0 : loss_sum_ / static_cast<double>(examples_);
}

NamedNumbers Meter::metrics() const {
  NamedNumbers numbers;
  for (const auto& metric : metrics_) numbers.emplace_back(metric->name(), metric->value());
  return numbers;
}

NamedNumbers Meter::numbers() const {
  NamedNumbers all = metrics();
  all.insert(all.begin(), {"loss", loss()});
  return all;
}

}  // namespace taper

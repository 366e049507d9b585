#include <taper/train/metrics/metric.h>

#include <algorithm>

#include <taper/core/error.h>
#include <taper/ops/ops.h>

namespace taper {

AnyMetric::AnyMetric(std::string_view name, const Fields& options)
    : inner_(MetricFactory::get(name, "metric").make(options)) {}

namespace {

/// The classes of [N,C,...] behind the other axes.
Tensor moved_last(const Tensor& x) {
  Shape axes{0};
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  axes.push_back(1);
  return permute_dims(x, axes);
}

}  // namespace

namespace detail {

void fail_merge(std::string_view name) {
  fail(ErrorKind::value,
       std::string(name) + ": only one of the same type and options can be merged");
}

}  // namespace detail

int64_t Measured::classes() const {
  if (meaning_.task == Task::binary) return 2;
  return output_.rank() < 2 ? 1 : output_.size(1);
}

const std::vector<int64_t>& Measured::truth() const {
  if (!truth_.empty()) return truth_;
  std::vector<int64_t> labels = flatten(target_).to_vector<int64_t>();
  for (const int64_t label : labels) {
    if (label >= 0 && label < classes()) continue;
    fail(ErrorKind::index, "metrics: label " + std::to_string(label) + " is out of range for " +
                               std::to_string(classes()) + " classes");
  }
  truth_ = std::move(labels);
  return truth_;
}

const std::vector<int64_t>& Measured::predicted() const {
  if (predicted_.empty()) predicted_ = predicted_classes(meaning_, output_).to_vector<int64_t>();
  return predicted_;
}

const std::vector<double>& Measured::probabilities() const {
  if (!probabilities_.empty()) return probabilities_;
  Tensor each = class_probabilities(meaning_, astype(output_, DType::f64));
  // [N,C,H,W]: a row for each place.
  if (each.rank() > 2) each = moved_last(each);
  probabilities_ = each.to_vector<double>();
  return probabilities_;
}

const std::vector<uint8_t>& Measured::labels() const {
  if (!labels_.empty()) return labels_;
  if (meaning_.task == Task::labels) {
    const Tensor rows = target_.rank() > 2 ? moved_last(target_) : target_;
    for (const double label : rows.to_vector<double>()) labels_.push_back(label >= 0.5 ? 1 : 0);
    return labels_;
  }
  const auto count = static_cast<size_t>(classes());
  labels_.resize(truth().size() * count);
  for (size_t i = 0; i < truth().size(); ++i) {
    labels_[i * count + static_cast<size_t>(truth()[i])] = 1;
  }
  return labels_;
}

int64_t Measured::columns() const {
  const int64_t rows = output_.rank() == 0 ? 1 : output_.size(0);
  return rows == 0 ? 1 : std::max<int64_t>(1, output_.numel() / rows);
}

const std::vector<double>& Measured::values() const {
  if (values_.empty()) values_ = output_.to_vector<double>();
  return values_;
}

const std::vector<double>& Measured::targets() const {
  if (targets_.empty()) targets_ = target_.to_vector<double>();
  return targets_;
}

std::string unless_classes(const OutputMeaning& meaning) {
  return meaning.task == Task::classes || meaning.task == Task::binary
             ? ""
             : "one class for each example";
}

std::string unless_labels(const OutputMeaning& meaning) {
  return meaning.task == Task::regression ? "classes" : "";
}

std::string unless_regression(const OutputMeaning& meaning) {
  return meaning.task == Task::regression ? "" : "numbers";
}

}  // namespace taper

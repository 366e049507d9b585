#include <taper/train/fit/monitor.h>

#include <algorithm>
#include <cmath>

#include <taper/core/error.h>
#include <taper/train/fit/trainer.h>

namespace taper {
namespace {

/// Of the numbers that are none of the metrics, such as the loss, the smaller is better.
bool is_larger_better(std::string_view name, const std::vector<AnyMetric>& metrics) {
  if (name.starts_with(validation_prefix)) name.remove_prefix(validation_prefix.size());
  for (const AnyMetric& metric : metrics) {
    if (metric->name() == name) return metric->larger_is_better();
  }
  const MetricFactory* known = MetricFactory::find(name);  // where a program calls the callbacks
  return known != nullptr && known->make({})->larger_is_better();
}

}  // namespace

Monitor::Monitor(std::string_view owner, std::string name, MonitorMode mode, double min_delta)
    : owner_(owner),
      name_(std::move(name)),
      mode_(mode),
      larger_is_better_(mode == MonitorMode::max),
      min_delta_(std::abs(min_delta)) {}

void Monitor::begin(const Trainer& trainer) {
  if (mode_ == MonitorMode::automatic) {
    larger_is_better_ = is_larger_better(name_, trainer.metrics());
  }
  const std::vector<std::string>& names = trainer.recorded_names();
  if (names.empty()) return;  // called by other than a fit
  if (std::ranges::find(names, name_) == names.end()) fail_unknown(names);
}

double Monitor::read(const Logs& logs) const {
  std::vector<std::string> names;
  for (const auto& [name, value] : logs.values) {
    if (name == name_) return value;
    names.push_back(name);
  }
  fail_unknown(names);
}

void Monitor::fail_unknown(const std::vector<std::string>& names) const {
  std::string known;
  bool has_validation = false;
  for (const std::string& name : names) {
    has_validation |= name.starts_with(validation_prefix);
    known += (known.empty() ? "" : ", ") + name;
  }
  std::string text =
      std::string(owner_) + ": no number `" + name_ + "` to monitor; there are: " + known;
  if (name_.starts_with(validation_prefix) && !has_validation) {
    text += "; `val_` numbers need `validation_data` or `validation_split`";
  }
  fail(ErrorKind::not_found, text);
}

bool Monitor::improves(double value, const std::optional<double>& than) const {
  if (!std::isfinite(value)) return false;
  if (!than) return true;
  return larger_is_better_ ? value - min_delta_ > *than : value + min_delta_ < *than;
}

}  // namespace taper

// How the command line names a part of a training that has options: NAME:option=value,...
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/factory.h>
#include <taper/nn/loss.h>
#include <taper/optim/optimizer.h>
#include <taper/train/fit/callback.h>
#include <taper/train/metrics/metric.h>

#include "commands.h"

namespace taper::cli {

/// What a text such as `RandomCrop:padding=2` names.
struct Part {
  std::string name;
  Fields options = {};
};

/// `0.9`, `[0.9, 0.99]` and `true` are what they are in JSON, anything else is a text.
Value value_of(const std::string& text);

/// The parts of "accuracy,f1:average=macro,beta=2": what has a `=` and no `:` before it is an
/// option of the part before it.
std::vector<std::string> split_parts(const std::string& text);

/// Throws UsageError naming the flag for an option without a value.
Part parse_part(std::string_view flag, const std::string& text);

/// As `parse_part` reads it, with the values as they are in JSON.
std::string to_text(const Part& part);

/// Throws UsageError for an option that is none of these, which it lists with kinds and defaults.
void check_part(std::string_view flag, const Part& part, const std::vector<FieldInfo>& options);

/// The word `none` is no value of an option that may have none.
Fields with_nones(Fields given, const std::vector<FieldInfo>& options);

/// Runs `f`; what is wrong with the value of the flag is wrong usage.
template <class F>
auto as_usage(std::string_view flag, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const Error& error) {
    throw UsageError(std::string(flag) + ": " + error.what());
  }
}

/// The registered name, in capitals or not; `name` itself if there is none.
std::string same_name(const std::vector<std::string_view>& registered, const std::string& name);

/// What a flag takes: the parts of one registry.
template <class FactoryOfParts>
struct PartFlag {
  const char* flag;  // "--augment"
  const char* noun;  // "transform"

  std::vector<std::string> names() const {
    const std::vector<std::string_view> all = Registry<FactoryOfParts>::names();
    return {all.begin(), all.end()};
  }

  /// The part, by its registered name.
  Part parse(const std::string& text) const {
    Part part = parse_part(flag, text);
    part.name = same_name(Registry<FactoryOfParts>::names(), part.name);
    return part;
  }

  /// The texts of the parts, each of its own, as they stand in the manifest of a run.
  std::vector<std::string> normal(const std::vector<std::string>& texts) const {
    std::vector<std::string> normal;
    for (const std::string& text : texts) {
      for (const std::string& each : split_parts(text)) normal.push_back(to_text(parse(each)));
    }
    return normal;
  }

  /// Throws UsageError for a name that there is not.
  const FactoryOfParts& entry(const std::string& name) const {
    return find_named([&]() -> auto& { return FactoryOfParts::get(name, noun); });
  }

  /// Throws UsageError for a name or an option that there is not and for what cannot be made.
  typename FactoryOfParts::Product make(const Part& part) const {
    const FactoryOfParts& found = entry(part.name);
    check_part(flag, part, found.options());
    const Fields options = with_nones(part.options, found.options());
    return as_usage(flag, [&] { return found.make(options); });
  }
  typename FactoryOfParts::Product make(const std::string& text) const { return make(parse(text)); }
};

inline constexpr PartFlag<nn::LossFactory> loss_flag{"--loss", "loss"};
inline constexpr PartFlag<MetricFactory> metrics_flag{"--metrics", "metric"};
inline constexpr PartFlag<CallbackFactory> callback_flag{"--callback", "callback"};
inline constexpr PartFlag<optim::OptimizerFactory> optimizer_flag{"--optimizer", "optimizer"};

}  // namespace taper::cli

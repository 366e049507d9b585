#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/value.h>

namespace taper {

/// Stands before the names of what validation data gave.
inline constexpr std::string_view validation_prefix = "val_";

/// Names in order, each with a number: `loss`, the metrics, and with `val_` before it what the
/// validation data gave.
using NamedNumbers = std::vector<std::pair<std::string, double>>;

/// What training recorded: a list for each name with one number for each epoch.
class TAPER_API History {
 public:
  /// Adds the numbers of one epoch.
  void append(const NamedNumbers& epoch);

  /// The number of epochs.
  size_t epochs() const { return lists_.empty() ? 0 : lists_.front().second.size(); }
  std::vector<std::string> names() const;
  bool has(std::string_view name) const;
  /// `history["val_accuracy"].back()`. Throws not_found naming what there is.
  const std::vector<double>& operator[](std::string_view name) const;

  /// {"loss": [...], "accuracy": [...], ...}
  Value to_value() const;
  /// The history that gave this. Throws value if it is none.
  static History from_value(const Value& value);

 private:
  std::vector<std::pair<std::string, std::vector<double>>> lists_;
};

}  // namespace taper

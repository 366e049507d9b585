#pragma once

#include <functional>
#include <initializer_list>
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

/// Numbers that are computed when somebody looks at them; a copy holds them.
class TAPER_API LazyNumbers {
 public:
  LazyNumbers() = default;
  LazyNumbers(NamedNumbers numbers) : numbers_(std::move(numbers)) {}  // NOLINT
  LazyNumbers(std::initializer_list<NamedNumbers::value_type> numbers) : numbers_(numbers) {}
  explicit LazyNumbers(std::function<NamedNumbers()> source) : source_(std::move(source)) {}
  LazyNumbers(const LazyNumbers& other) : numbers_(other.get()) {}
  LazyNumbers(LazyNumbers&&) noexcept = default;
  LazyNumbers& operator=(const LazyNumbers& other) { return *this = LazyNumbers(other.get()); }
  LazyNumbers& operator=(LazyNumbers&&) noexcept = default;
  ~LazyNumbers() = default;

  const NamedNumbers& get() const {
    if (source_) numbers_ = std::exchange(source_, {})();
    return numbers_;
  }
  operator const NamedNumbers&() const { return get(); }  // NOLINT
  auto begin() const { return get().begin(); }
  auto end() const { return get().end(); }
  const auto& front() const { return get().front(); }
  const auto& back() const { return get().back(); }
  const auto& operator[](size_t i) const { return get()[i]; }
  size_t size() const { return get().size(); }

 private:
  mutable NamedNumbers numbers_;
  mutable std::function<NamedNumbers()> source_;
};

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

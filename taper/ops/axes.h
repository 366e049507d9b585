#pragma once

#include <concepts>
#include <optional>
#include <vector>

#include <taper/ops/attributes.h>

namespace taper {

/// The axes of a reduction: none given means all. `sum(x)`, `sum(x, 1)`, `sum(x, {0, 2})`.
class TAPER_API Axes {
 public:
  Axes() = default;
  Axes(int64_t axis) : axes_(Shape{axis}) {}                         // NOLINT
  Axes(Axis axis) : Axes(axis.value) {}                              // NOLINT
  Axes(int axis) : Axes(static_cast<int64_t>(axis)) {}               // NOLINT
  Axes(std::initializer_list<int64_t> axes) : axes_(Shape(axes)) {}  // NOLINT
  template <std::same_as<bool> Bool>
  Axes(Bool keepdims) = delete;                                   // is no axis
  Axes(const Shape& axes) : axes_(axes) {}                        // NOLINT
  Axes(const std::vector<int64_t>& axes) : axes_(Shape(axes)) {}  // NOLINT

  bool all() const { return !axes_.has_value(); }
  const std::optional<Shape>& given() const { return axes_; }
  /// Normalised, ascending, distinct. Throws Violation(index) or Violation(value).
  Shape resolve(int rank) const;
  bool operator==(const Axes&) const = default;

 private:
  std::optional<Shape> axes_;
};

template <>
struct FieldCodec<Axes> {
  static constexpr FieldType type = FieldType::axes;
  static std::string kind() { return "list of int or none"; }
  static Value to_value(const Axes& axes) {
    return axes.all() ? Value() : FieldCodec<Shape>::to_value(*axes.given());
  }
  static Axes from_value(const Value& value) {
    if (value.is_none()) return {};
    if (const int64_t* axis = value.get_if<int64_t>()) return Axes(*axis);
    return Axes(FieldCodec<Shape>::from_value(value));
  }
};

}  // namespace taper

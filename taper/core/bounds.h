// Numbers of options that bound themselves: `Required<Positive<int64_t>> in_channels;`.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include <taper/core/fields.h>

namespace taper {

namespace detail {

constexpr bool is_finite(double value) {
  return value - value == 0;  // <cmath> is large
}

}  // namespace detail

// The rules. `holds` tells it of one number, `text` is what an error says that it must be.

template <int64_t low>
struct AtLeast {
  static bool holds(double value) { return value >= low && detail::is_finite(value); }
  static std::string text(bool is_real) {
    return (is_real ? "finite and at least " : "at least ") + std::to_string(low);
  }
};

struct Finite {
  static bool holds(double value) { return detail::is_finite(value); }
  static std::string text(bool /*is_real*/) { return "finite"; }
};

template <int64_t low>
struct Above {
  static bool holds(double value) { return value > low && detail::is_finite(value); }
  static std::string text(bool /*is_real*/) { return "finite and above " + std::to_string(low); }
};

/// [0, 1]
struct WithinOne {
  static bool holds(double value) { return value >= 0 && value <= 1; }
  static std::string text(bool /*is_real*/) { return "in [0, 1]"; }
};

/// [0, 1)
struct BelowOne {
  static bool holds(double value) { return value >= 0 && value < 1; }
  static std::string text(bool /*is_real*/) { return "in [0, 1)"; }
};

/// (0, 1)
struct BetweenZeroAndOne {
  static bool holds(double value) { return value > 0 && value < 1; }
  static std::string text(bool /*is_real*/) { return "above 0 and below 1"; }
};

namespace detail {

template <class T>
struct ElementOf {
  using Type = T;
};
template <class T>
  requires requires { typename T::value_type; }
struct ElementOf<T> {
  using Type = typename T::value_type;
};

}  // namespace detail

/// A field whose value, or each of its elements, keeps the rule. It takes and gives a T implicitly
/// and takes any number of its kind, so that it can be made; `check_options` throws where the rule
/// is broken.
template <class T, class Rule>
class Bounded {
 public:
  using Held = T;
  using Element = typename detail::ElementOf<T>::Type;

  constexpr Bounded() = default;
  template <class U>
    requires(Fits<U, T> && !std::same_as<std::remove_cvref_t<U>, Bounded>)
  constexpr Bounded(U&& value) : value_(static_cast<T>(std::forward<U>(value))) {}  // NOLINT
  /// The elements of a pair: `.stride = {2, 1}`.
  template <Fits<Element> First, Fits<Element> Second>
    requires(!std::same_as<Element, T>)
  constexpr Bounded(First first, Second second)
      : value_{static_cast<Element>(first), static_cast<Element>(second)} {}

  constexpr const T& value() const { return value_; }
  constexpr operator const T&() const { return value_; }  // NOLINT
  constexpr const Element& operator[](size_t i) const
    requires(!std::same_as<Element, T>)
  {
    return value_[i];
  }

  /// "must be ..." without the first two words.
  static std::string rule() { return Rule::text(std::is_floating_point_v<Element>); }

  /// The first element that breaks the rule, else null.
  constexpr const Element* broken() const {
    if constexpr (std::same_as<Element, T>) {
      return Rule::holds(static_cast<double>(value_)) ? nullptr : &value_;
    } else {
      for (const Element& each : value_) {
        if (!Rule::holds(static_cast<double>(each))) return &each;
      }
      return nullptr;
    }
  }

 private:
  T value_{};
};

using FiniteReal = Bounded<double, Finite>;
template <class T>
using NonNegative = Bounded<T, AtLeast<0>>;
/// Counts of at least 1, real numbers above 0.
template <class T>
using Positive = Bounded<T, std::conditional_t<std::is_floating_point_v<T>, Above<0>, AtLeast<1>>>;
using Probability = Bounded<double, WithinOne>;
/// The weight of the past in a running mean.
template <class T>
using Decay = Bounded<T, BelowOne>;

/// Throws value "SGD: `nesterov` needs a momentum, got 0" unless the rule between fields holds.
TAPER_API void check_rule(bool holds, std::string_view owner, const char* rule, const Value& got);

template <class T, class Rule>
struct FieldCodec<Bounded<T, Rule>> {
  static constexpr FieldType type = field_type<T>;
  static std::string kind() { return FieldCodec<T>::kind(); }
  static Value to_value(const Bounded<T, Rule>& field) {
    return FieldCodec<T>::to_value(field.value());
  }
  static Bounded<T, Rule> from_value(const Value& value) {
    return FieldCodec<T>::from_value(value);
  }
};

template <class T, class Rule>
struct detail::Unwrapped<Bounded<T, Rule>> {
  using Type = T;
};

}  // namespace taper

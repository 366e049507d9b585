// What an elementwise optimizer is: its options with the formula of one step.
//
//   struct SGDOptions {
//     NonNegative<double> lr = 1e-3;
//     NonNegative<double> momentum = 0;
//
//     static constexpr std::array slots{Slot{"momentum_buffer", true}};
//     bool keeps(size_t) const { return momentum > 0; }
//     template <class T>
//     TAPER_FN T operator()(const StepNumbers& now, const T& p, const T& g, Slots<T, 1>& s) const {
//       s[0] = fma(T(momentum), s[0], g);
//       return p - T(now.lr) * s[0];
//     }
//   };
//   }
//   TAPER_OPTIMIZER(SGD, "Gradient descent with momentum.")
//
// The formula is a functor (backend/cpu/simd/functors.h): it gives the parameter's next value and
// changes the slots, tensors like the parameter that begin at zero. `keeps` says which optional
// slots there are, the others are 0 in the formula. A rule whose step has numbers of its own, such
// as Adam's bias corrections, makes them once a step: `Numbers numbers(const StepNumbers&) const`.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <string_view>
#include <utility>

#include "taper/core/api.h"
#include "taper/core/bounds.h"

namespace taper::optim {

/// The numbers of one step of a parameter.
struct StepNumbers {
  double lr = 0;
  double count = 1;  ///< of its steps, from 1
};

/// A tensor like the parameter that its updates keep, by PyTorch's name.
struct Slot {
  std::string_view name;
  bool optional = false;
};

/// What a rule's formula changes: the slots in their order.
template <class T, size_t count>
using Slots = std::array<T, count>;

namespace detail {

template <class Rule>
inline constexpr size_t slot_count = Rule::slots.size();

/// Which slots there are, by bit.
template <class Rule>
unsigned slots_kept(const Rule& rule) {
  unsigned mask = 0;
  for (size_t i = 0; i < slot_count<Rule>; ++i) {
    if constexpr (requires { rule.keeps(i); }) {
      if (Rule::slots[i].optional && !rule.keeps(i)) continue;
    }
    mask |= 1u << i;
  }
  return mask;
}

/// Whether slots can be these.
template <class Rule>
constexpr bool can_keep(unsigned mask) {
  for (size_t i = 0; i < slot_count<Rule>; ++i) {
    if (!Rule::slots[i].optional && (mask >> i & 1u) == 0) return false;
  }
  return mask >> slot_count<Rule> == 0;
}

/// Where optional slots are there or not, the number of all combinations.
template <class Rule>
inline constexpr size_t masks = size_t{1} << slot_count<Rule>;

template <class Rule>
auto numbers_of(const Rule& rule, const StepNumbers& now) {
  if constexpr (requires { rule.numbers(now); }) {
    return rule.numbers(now);
  } else {
    return now;
  }
}

/// The functor of (p, grad, slots that are kept...): {p', slots'...}.
template <class Rule, unsigned mask>
struct UpdateStep {
  static constexpr size_t kept = std::popcount(mask);
  static constexpr size_t results = 1 + kept;
  static constexpr size_t operand_count = 2 + kept;
  Rule rule;
  decltype(numbers_of(std::declval<Rule>(), StepNumbers())) numbers;

  template <class T, class... S>
  TAPER_FN auto operator()(const T& p, const T& grad, const S&... slots) const {
    const std::array<T, kept> before{slots...};
    Slots<T, slot_count<Rule>> all = spread(before, std::make_index_sequence<slot_count<Rule>>());
    const T next = rule(numbers, p, grad, all);
    if constexpr (kept == 0) {
      return next;
    } else {
      return gather(next, all, std::make_index_sequence<kept>());
    }
  }

 private:
  /// The place of the k-th kept slot among all.
  static constexpr size_t place(size_t k) {
    size_t i = 0;
    for (;; ++i) {
      if ((mask >> i & 1u) == 0) continue;
      if (k-- == 0) return i;
    }
  }
  static constexpr bool has(size_t i) { return (mask >> i & 1u) != 0; }
  static constexpr size_t rank(size_t i) { return std::popcount(mask & ((1u << i) - 1)); }

  template <size_t i, class T>
  TAPER_FN static T at(const std::array<T, kept>& before) {
    if constexpr (has(i)) {
      return before[rank(i)];
    } else {
      return T(0.0);
    }
  }
  template <class T, size_t... I>
  TAPER_FN static auto spread(const std::array<T, kept>& before, std::index_sequence<I...>) {
    return Slots<T, sizeof...(I)>{at<I>(before)...};
  }
  template <class T, size_t... K>
  TAPER_FN static auto gather(const T& next, const Slots<T, slot_count<Rule>>& all,
                              std::index_sequence<K...>) {
    return std::array<T, results>{next, all[place(K)]...};
  }
};

}  // namespace detail
}  // namespace taper::optim

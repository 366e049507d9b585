// Private: the options of an optimizer that are real numbers, but for its rate, in their order.
// They are what a schedule may change over time.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include <taper/core/fields.h>

namespace taper::optim::detail {

template <class T>
inline constexpr size_t real_count = 0;
template <>
inline constexpr size_t real_count<double> = 1;
template <size_t N>
inline constexpr size_t real_count<std::array<double, N>> = N;

/// What a field holds behind its bounds.
template <class Field>
using HeldBy = typename taper::detail::Unwrapped<Field>::Type;

/// Calls visit(numbers) with the std::array<double, N> of each field of real numbers, which takes
/// what is left in there.
template <class Options, class Visit>
void each_real(Options& options, Visit&& visit) {
  each_field(options, [&]<class Field>(std::string_view name, Field& field) {
    using Held = HeldBy<std::remove_const_t<Field>>;
    if constexpr (real_count<Held> > 0) {
      if (name == "lr") return;
      std::array<double, real_count<Held>> numbers;
      if constexpr (std::is_same_v<Held, double>) {
        numbers = {static_cast<const Held&>(field)};
        visit(numbers);
        if constexpr (!std::is_const_v<Field>) field = Held(numbers[0]);
      } else {
        numbers = static_cast<const Held&>(field);
        visit(numbers);
        if constexpr (!std::is_const_v<Field>) field = Held(numbers);
      }
    }
  });
}

template <class Options>
std::vector<double> real_numbers(const Options& options) {
  std::vector<double> all;
  each_real(options,
            [&](const auto& numbers) { all.insert(all.end(), numbers.begin(), numbers.end()); });
  return all;
}

/// The options with these numbers, of which there must be as many.
template <class Options>
Options with_numbers(Options options, std::span<const double> given) {
  each_real(options, [&](auto& numbers) {
    for (double& number : numbers) {
      number = given.front();
      given = given.subspan(1);
    }
  });
  return options;
}

}  // namespace taper::optim::detail

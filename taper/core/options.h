// What layers, losses, optimizers, schedules, callbacks and transforms have in common: a class is
// its options and what it does with them.
//
//   struct StepLROptions { Required<Positive<int64_t>> step_size; double gamma = 0.1; };
//
//   class StepLR final : public WithOptions<StepLR, Schedule, StepLROptions> {
//    public:
//     using WithOptions::WithOptions;
//     double factor(int64_t epoch) const override;
//   };
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <taper/core/api.h>
#include <taper/core/bounds.h>
#include <taper/core/parse_fields.h>

namespace taper {

/// The options of a class that has none.
struct TAPER_API NoOptions{};

namespace detail {

template <class T>
consteval std::string_view type_signature() {
  return __PRETTY_FUNCTION__;
}

/// "Conv2d" of "... [with T = taper::nn::Conv2d; std::string_view = ...]" or "... [T = ...]".
template <class T>
consteval std::string_view class_name() {
  std::string_view text = type_signature<T>();
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  const size_t colon = text.rfind(':');
  return colon == std::string_view::npos ? text : text.substr(colon + 1);
}

/// Arguments that are the options' fields, from the first one on.
template <class Options, class... Args>
concept OptionFields =
    sizeof...(Args) > 0 && !(std::derived_from<std::remove_cvref_t<Args>, Options> || ...) &&
    requires(Args&&... args) { Options{std::forward<Args>(args)...}; };

}  // namespace detail

/// The part of `Derived` that follows from its options: its name, the constructors from options and
/// from fields in their order, `options()`, and the check of what the fields say themselves. Throws
/// value as `check_options` does. Members of `Derived` are made afterwards and may use `options()`.
template <class Derived, class Base, class OptionsOf>
class TAPER_API WithOptions : public Base {
 public:
  using Options = OptionsOf;
  /// The name of the class, under which a registry knows it.
  static constexpr std::string_view type_name = detail::class_name<Derived>();

  WithOptions() : WithOptions(Options{}) {}
  explicit WithOptions(Options options);
  template <class... Args>
    requires(!(std::derived_from<std::remove_cvref_t<Args>, WithOptions> || ...) &&
             detail::OptionFields<Options, Args...>)
  explicit WithOptions(Args&&... args) : WithOptions(Options{std::forward<Args>(args)...}) {}

  const Options& options() const { return options_; }

 private:
  Options options_;
};

// Not inline: the library has those of its own classes.
template <class Derived, class Base, class OptionsOf>
WithOptions<Derived, Base, OptionsOf>::WithOptions(Options options) : options_(std::move(options)) {
  check_options(type_name, options_);
  if constexpr (requires { this->set_name(std::string()); }) this->set_name(std::string(type_name));
}

}  // namespace taper

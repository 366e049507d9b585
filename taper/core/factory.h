// What modules, losses, optimizers, schedules and callbacks share: a class with one struct of
// options is made from its name and keywords (Python, model.json, the command line).
//
// A class T, derived from WithOptions (core/options.h), registers itself with one line in its own
// file:
//
//   static const FactoryFor<Module, Conv2d> conv2d_entry{"Convolves ..."};
//
// and is found by Factory<Module>::get("Conv2d", "module").make({{"in_channels", 1}, ...}).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/api.h>
#include <taper/core/options.h>
#include <taper/core/registry.h>

namespace taper {

/// An entry that makes a `Base`: by value if Base is a handle or an erased type that T converts to,
/// by std::shared_ptr<Base> if it has a virtual destructor.
template <class Base>
class TAPER_API Factory : public Registered<Factory<Base>> {
 public:
  using Product =
      std::conditional_t<std::has_virtual_destructor_v<Base>, std::shared_ptr<Base>, Base>;

  /// Throws Error(value): "Conv2d: `in_channels` is required", "Conv2d: no attribute ...".
  Product make(const Fields& keywords) const { return make_(this->name, keywords); }

  /// All options with their defaults; required ones are none.
  Fields defaults() const {
    Fields fields;
    for (const FieldInfo& info : options()) {
      fields.emplace_back(std::string(info.name), info.default_value);
    }
    return fields;
  }

  /// All options with type, default and whether they are required.
  std::vector<FieldInfo> options() const { return options_(); }

  static const Factory* find(std::string_view name) { return Registry<Factory>::find(name); }

  /// Throws not_found; `what` is a noun for the message, such as "module".
  static const Factory& get(std::string_view name, std::string_view what) {
    return Registry<Factory>::get(name, what);
  }

  static std::vector<const Factory*> all() { return Registry<Factory>::all(); }

 protected:
  using Make = Product (*)(std::string_view owner, const Fields& keywords);
  using Describe = std::vector<FieldInfo> (*)();

  Factory(std::string_view entry, std::string_view about, Make maker, Describe describer)
      : Registered<Factory>(entry, about), make_(maker), options_(describer) {}

 private:
  Make make_;
  Describe options_;
};

/// The entry of T, which has `type_name`, `Options` and a constructor from these.
template <class Base, class T>
class FactoryFor final : public Factory<Base> {
 public:
  explicit FactoryFor(std::string_view doc)
      : Factory<Base>(T::type_name, doc, &make_from, &describe_fields<typename T::Options>) {}

 private:
  using Product = typename Factory<Base>::Product;

  static Product make_from(std::string_view owner, const Fields& keywords) {
    auto options = parse_fields<typename T::Options>(owner, keywords);
    if constexpr (std::is_same_v<Product, Base>) {
      return T(std::move(options));
    } else {
      return std::make_shared<T>(std::move(options));
    }
  }
};

}  // namespace taper

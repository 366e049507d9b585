// From keywords to a struct of options and back, with errors that name the field.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <taper/core/api.h>
#include <taper/core/fields.h>
#include <taper/core/value.h>

namespace taper {

namespace detail {

/// The place of `name`; throws "softmax: no attribute `axes`; it has: axis".
TAPER_API size_t find_field(std::string_view owner, std::string_view name,
                            const std::string_view* names, size_t count);
[[noreturn]] TAPER_API void fail_twice(std::string_view owner, std::string_view name);
[[noreturn]] TAPER_API void fail_required(std::string_view owner, std::string_view name);
[[noreturn]] TAPER_API void fail_bounds(std::string_view owner, std::string_view name,
                                        const std::string& rule, const Value& got);
[[noreturn]] TAPER_API void fail_mismatch(std::string_view owner, std::string_view name,
                                          const FieldMismatch& mismatch);

TAPER_API Fields make_fields(const std::string_view* names, const Value* values, size_t count);

}  // namespace detail

/// All fields with their values; a Required field that is not set is none.
template <class A>
Fields to_fields(const A& options) {
  const auto values = detail::field_values(options);
  return detail::make_fields(detail::names_of<A>.data(), values.data(), values.size());
}

template <class A>
A parse_fields(std::string_view owner, const Fields& keywords);

/// A struct of fields as a field: an object, whose missing names keep their defaults.
template <class A>
  requires(std::is_aggregate_v<A> && std::is_class_v<A> && !detail::IsSequence<A>::value)
struct FieldCodec<A> {
  using IsNested = void;
  static constexpr FieldType type = FieldType::object;
  static std::string kind() { return "object"; }
  static Value to_value(const A& object) { return to_fields(object); }
  static A from_value(const Value& value) {
    const Fields* fields = value.get_if<Fields>();
    if (fields == nullptr) throw FieldMismatch(kind(), value);
    return parse_fields<A>("object", *fields);
  }
};

namespace detail {

template <class T>
void read_field(T& field, const Value& value, std::string_view owner, std::string_view name) {
  if constexpr (NestedFields<T>) {
    if (const Fields* fields = value.get_if<Fields>()) {
      field = parse_fields<T>(std::string(owner) + ": `" + std::string(name) + "`", *fields);
      return;
    }
  }
  field = FieldCodec<T>::from_value(value);
}

}  // namespace detail

namespace detail {

template <class T>
void check_field(std::string_view owner, std::string_view name, const T& field) {
  if constexpr (IsRequired<T>::value) {
    if (!field.is_set()) fail_required(owner, name);
    check_field(owner, name, field.wrapped());
  } else if constexpr (IsOptional<T>::value) {
    if (field) check_field(owner, name, *field);
  } else if constexpr (BoundedField<T>) {
    const auto* broken = field.broken();
    if (broken != nullptr) fail_bounds(owner, name, T::rule(), Value(*broken));
  }
}

/// The rule of a bounded field, empty for others.
template <class T>
std::string rule_of() {
  if constexpr (IsRequired<T>::value) {
    return rule_of<std::remove_cvref_t<decltype(std::declval<T>().wrapped())>>();
  } else if constexpr (IsOptional<T>::value) {
    return rule_of<typename T::value_type>();
  } else if constexpr (BoundedField<T>) {
    return T::rule();
  } else {
    return {};
  }
}

}  // namespace detail

/// Throws value for the first Required field that is not set, "Conv2d: `in_channels` is required",
/// and the first bounded one that breaks its rule, "Conv2d: `groups` must be at least 1, got 0";
/// then what the struct's own `void check(std::string_view owner) const` throws, for rules between
/// fields.
template <class A>
void check_options(std::string_view owner, const A& options) {
  each_field(options, [&]<class T>(std::string_view name, const T& field) {
    detail::check_field(owner, name, field);
  });
  if constexpr (requires { options.check(owner); }) options.check(owner);
}

/// An A with the defaults of its definition and then the keywords. Throws Error(value) for an
/// unknown, repeated or missing name, for a value of the wrong type, "softmax: `axis` must be int,
/// got str "x"", and as `check_options` does.
template <class A>
A parse_fields(std::string_view owner, const Fields& keywords) {
  A options{};
  constexpr auto& names = detail::names_of<A>;
  std::array<bool, max_field_count> is_given{};
  for (const auto& keyword : keywords) {
    const std::string& name = keyword.first;
    const Value& value = keyword.second;
    const size_t wanted = detail::find_field(owner, name, names.data(), names.size());
    if (is_given[wanted]) detail::fail_twice(owner, name);
    is_given[wanted] = true;
    try {
      with_fields(options, [&](auto&... fields) {
        [[maybe_unused]] size_t index = 0;
        ((index++ == wanted ? detail::read_field(fields, value, owner, name) : void()), ...);
      });
    } catch (const FieldMismatch& mismatch) {
      detail::fail_mismatch(owner, name, mismatch);
    }
  }
  check_options(owner, options);
  return options;
}

/// What bindings, stubs and documentation need to know about one field.
struct FieldInfo {
  std::string_view name;
  FieldType type = FieldType::other;
  bool may_be_none = false;
  std::string kind;  ///< for people: "int", "list of float", "one of "mean", "sum"", ...
  bool is_required = false;
  Value default_value;        ///< none if it is required
  std::string rule = {};      ///< what its value must be, such as "at least 1"; empty: anything
  std::string_view doc = {};  ///< a line, where somebody wrote one
};

template <class A>
std::vector<FieldInfo> describe_fields() {
  std::vector<FieldInfo> infos;
  const A defaults{};
  each_field(defaults, [&infos]<class T>(std::string_view name, const T& field) {
    constexpr bool is_required = detail::IsRequired<T>::value;
    constexpr bool may_be_none = detail::IsOptional<T>::value || field_type<T> == FieldType::axes;
    infos.push_back({name, field_type<T>, may_be_none, FieldCodec<T>::kind(), is_required,
                     FieldCodec<T>::to_value(field), detail::rule_of<T>()});
  });
  return infos;
}

}  // namespace taper

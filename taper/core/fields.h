// Reflection of plain structs without macros: names, values, equality, hash and print.
//
// A struct of options or attributes is an aggregate of at most 32 fields:
//
//   struct SoftmaxAttrs { int axis = -1; };
//
// Fields are counted by trying to initialise the struct from {}, {}, ..., read by structured
// bindings, and named from __PRETTY_FUNCTION__. A field's type is one that `FieldCodec` knows; a
// C array, a reference or a private member does not compile.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/api.h>
#include <taper/core/error.h>
#include <taper/core/field_count.h>
#include <taper/core/value.h>

namespace taper {

// ---------------------------------------------------------------------------------------------
// Names
namespace detail {

// An object that is declared and never defined: the addresses of its fields are constants, and the
// compiler writes such an address with the field's name.
template <class A>
struct Prototype {
  A value;
};
#pragma GCC diagnostic push
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wundefined-internal"
#pragma clang diagnostic ignored "-Wundefined-var-template"
#endif
template <class A>
extern const Prototype<A> prototype;

template <class T>
struct Address {
  const T* pointer;
};

template <size_t I, class First, class... Rest>
constexpr auto address_of(First& first, Rest&... rest) {
  if constexpr (I == 0) {
    return Address<std::remove_const_t<First>>{&first};
  } else {
    return address_of<I - 1>(rest...);
  }
}

template <class A, size_t I>
consteval auto prototype_address() {
  return with_fields(prototype<A>.value, [](auto&... fields) { return address_of<I>(fields...); });
}
#pragma GCC diagnostic pop

template <auto address>
consteval std::string_view signature() {
  return __PRETTY_FUNCTION__;
}

/// The last identifier of e.g. "... [with auto address = Address<int>{(& prototype<A>.A::axis)};
/// ...".
consteval std::string_view last_identifier(std::string_view text) {
  const auto is_letter = [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<unsigned char>(c) >= 128;
  };
  size_t end = text.rfind('}');
  while (end > 0 && !is_letter(text[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_letter(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

template <class A, size_t... I>
consteval auto make_field_names(std::index_sequence<I...>) {
  return std::array<std::string_view, sizeof...(I)>{
      last_identifier(signature<prototype_address<A, I>()>())...};
}

template <class A>
inline constexpr auto names_of = make_field_names<A>(std::make_index_sequence<field_count<A>()>());

}  // namespace detail

/// The names of A's fields, in order, as std::array<std::string_view, field_count<A>()>.
template <class A>
consteval auto field_names() {
  return detail::names_of<A>;
}

/// Calls visit(name, field) for each field in order.
template <class A, class Visit>
constexpr void each_field(A& a, Visit&& visit) {
  with_fields(a, [&visit](auto&... fields) {
    [[maybe_unused]] const std::string_view* name = detail::names_of<std::remove_const_t<A>>.data();
    (visit(*name++, fields), ...);
  });
}

// ---------------------------------------------------------------------------------------------
// Types of fields

/// The words of an enum whose values count from 0:
///
///   template <> struct EnumNames<Reduction> {
///     static constexpr std::array<std::string_view, 3> names{"none", "mean", "sum"};
///   };
template <class E>
struct EnumNames;

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires { EnumNames<E>::names.size(); };

namespace detail {

/// What a field holds behind a wrapper that bounds it.
template <class T>
struct Unwrapped {
  using Type = T;
};

}  // namespace detail

/// What a field of type T takes: a U that becomes one with its meaning. A real number is not cut to
/// a whole one, and a bool is no number.
template <class U, class T, class From = typename detail::Unwrapped<std::remove_cvref_t<U>>::Type>
concept Fits = std::convertible_to<U, T> &&
               (!std::is_arithmetic_v<From> || !std::is_arithmetic_v<T> ||
                (std::same_as<From, bool> == std::same_as<T, bool> &&
                 (std::is_floating_point_v<T> || !std::is_floating_point_v<From>)));

/// A field without a sensible default: `Required<int64_t> in_channels;`. It takes and gives a T (or
/// what T itself wraps) implicitly; `parse_fields` reports it if it is missing, and so does reading
/// it.
template <class T>
class Required {
 public:
  using Held = typename detail::Unwrapped<T>::Type;

  constexpr Required() = default;
  constexpr Required(T value) : value_(std::move(value)) {}
  template <class U>
    requires(Fits<U, T> && !std::same_as<std::remove_cvref_t<U>, Required> &&
             !std::same_as<std::remove_cvref_t<U>, T>)
  constexpr Required(U&& value) : value_(static_cast<T>(std::forward<U>(value))) {}
  /// The elements of a pair: `.kernel_size = {3, 5}`.
  template <class First, class Second>
    requires std::constructible_from<T, First, Second>
  constexpr Required(First&& first, Second&& second)
      : value_(std::in_place, std::forward<First>(first), std::forward<Second>(second)) {}

  constexpr bool is_set() const { return value_.has_value(); }
  constexpr const Held& value() const { return wrapped(); }
  constexpr operator const Held&() const { return value(); }
  constexpr const Held* operator->() const { return &value(); }
  /// As the field was declared, with its bounds.
  constexpr const T& wrapped() const {
    if (!value_) fail(ErrorKind::value, "a required field is not set");
    return *value_;
  }

 private:
  std::optional<T> value_;
};

/// A value that a field cannot hold. `expected` is what the field takes, e.g. "int"; the text is
/// "must be int, got str "x"".
class TAPER_API FieldMismatch : public Error {
 public:
  FieldMismatch(std::string expected, const Value& got);
  const std::string& expected() const { return expected_; }

 private:
  std::string expected_;
};

/// What a field is, for bindings: how an argument of it is taken and documented.
enum class FieldType : uint8_t {
  other,
  boolean,
  integer,
  real,
  number,  ///< an integer, a real or a bool, kept as it is written
  text,
  choice,  ///< a word of an enum
  list,
  object,
  shape,
  axis,
  axes,
  dtype,
  device,
  subgraph,  ///< a captured function
};

template <>
struct EnumNames<FieldType> {
  static constexpr std::array<std::string_view, 15> names{
      "other",  "boolean", "integer", "real", "number", "text",   "choice",  "list",
      "object", "shape",   "axis",    "axes", "dtype",  "device", "subgraph"};
};

/// How a field of type T turns into a Value and back. A type of your own becomes a field by a
/// specialisation:
///
///   template <> struct FieldCodec<Shape> {
///     static constexpr FieldType type = FieldType::shape;     // left out: other
///     static std::string kind() { return "shape"; }           // in errors and documentation
///     static Value to_value(const Shape& shape);
///     static Shape from_value(const Value& value);            // throws FieldMismatch
///   };
///
/// It is compared by ==, and hashed and printed through its Value.
template <class T>
struct FieldCodec {
  static_assert(!std::is_same_v<T, T>,
                "fields: this type cannot be a field: use bool, a number, an enum with EnumNames, "
                "std::string, std::vector, std::array (not a C array), std::optional, Required, or "
                "specialise taper::FieldCodec");
};

namespace detail {

TAPER_API int64_t read_integer(const Value& value, int64_t low, int64_t high);
TAPER_API double read_real(const Value& value, double largest);
TAPER_API size_t read_enum(const Value& value, const std::string_view* names, size_t count);
TAPER_API std::string enum_kind(const std::string_view* names, size_t count);

/// The double with the shortest text that is the same float, so that 0.1f is saved as 0.1.
TAPER_API double widen(float value);

/// The elements of a list; throws FieldMismatch(kind) if it is none.
TAPER_API std::vector<Value> read_list(const Value& value, const std::string& kind);

}  // namespace detail

template <>
struct TAPER_API FieldCodec<bool> {
  static constexpr FieldType type = FieldType::boolean;
  static std::string kind() { return "bool"; }
  static Value to_value(bool value) { return value; }
  static bool from_value(const Value& value);  // ONNX has no bool: takes 0 and 1 too
};

template <std::integral T>
struct FieldCodec<T> {
  static constexpr T low = std::numeric_limits<T>::min();
  static constexpr T high = std::numeric_limits<T>::max();

  static constexpr FieldType type = FieldType::integer;
  static std::string kind() { return "int"; }
  static Value to_value(T value) { return value; }
  static T from_value(const Value& value) {
    constexpr int64_t bound = std::in_range<int64_t>(high) ? static_cast<int64_t>(high) : INT64_MAX;
    return static_cast<T>(detail::read_integer(value, static_cast<int64_t>(low), bound));
  }
};

template <std::floating_point T>
struct FieldCodec<T> {
  static_assert(sizeof(T) <= sizeof(double), "fields: use double, not long double");

  static constexpr FieldType type = FieldType::real;
  static std::string kind() { return "float"; }
  static Value to_value(T value) {
    if constexpr (std::is_same_v<T, float>) {
      return detail::widen(value);
    } else {
      return value;
    }
  }
  static T from_value(const Value& value) {
    constexpr double largest = static_cast<double>(std::numeric_limits<T>::max());
    return static_cast<T>(detail::read_real(value, largest));
  }
};

template <NamedEnum E>
struct FieldCodec<E> {
  static constexpr auto& names = EnumNames<E>::names;

  static constexpr FieldType type = FieldType::choice;
  static std::string kind() { return detail::enum_kind(names.data(), names.size()); }
  static Value to_value(E value) { return names.at(static_cast<size_t>(value)); }
  static E from_value(const Value& value) {
    return static_cast<E>(detail::read_enum(value, names.data(), names.size()));
  }
};

template <>
struct TAPER_API FieldCodec<std::string> {
  static constexpr FieldType type = FieldType::text;
  static std::string kind() { return "str"; }
  static Value to_value(const std::string& value) { return value; }
  static std::string from_value(const Value& value);
};

template <>
struct TAPER_API FieldCodec<Fields> {
  static constexpr FieldType type = FieldType::object;
  static std::string kind() { return "object"; }
  static Value to_value(const Fields& value) { return value; }
  static Fields from_value(const Value& value);
};

template <class T>
struct FieldCodec<std::vector<T>> {
  static_assert(!std::is_same_v<T, bool>, "fields: std::vector<bool> cannot be a field");

  static constexpr FieldType type = FieldType::list;
  static std::string kind() { return "list of " + FieldCodec<T>::kind(); }
  static Value to_value(const std::vector<T>& elements) {
    Value::List list;
    for (const T& element : elements) list.push_back(FieldCodec<T>::to_value(element));
    return list;
  }
  static std::vector<T> from_value(const Value& value) {
    std::vector<T> elements;
    try {
      for (const Value& element : detail::read_list(value, kind())) {
        elements.push_back(FieldCodec<T>::from_value(element));
      }
    } catch (const FieldMismatch& mismatch) {
      if (!value.is_list()) throw;
      throw FieldMismatch("list of " + mismatch.expected(), value);
    }
    return elements;
  }
};

/// Takes a single element too and repeats it: kernel_size=3.
template <class T, size_t N>
struct FieldCodec<std::array<T, N>> {
  static constexpr FieldType type = FieldType::list;
  static std::string kind() {
    const std::string element = FieldCodec<T>::kind();
    return element + " or list of " + std::to_string(N) + " " + element;
  }
  static Value to_value(const std::array<T, N>& elements) {
    Value::List list;
    for (const T& element : elements) list.push_back(FieldCodec<T>::to_value(element));
    return list;
  }
  static std::array<T, N> from_value(const Value& value) {
    std::array<T, N> elements{};
    try {
      if (!value.is_list()) {
        elements.fill(FieldCodec<T>::from_value(value));
        return elements;
      }
      const std::vector<Value> list = detail::read_list(value, kind());
      if (list.size() != N) throw FieldMismatch(kind(), value);
      for (size_t i = 0; i < N; ++i) elements[i] = FieldCodec<T>::from_value(list[i]);
    } catch (const FieldMismatch&) {
      throw FieldMismatch(kind(), value);
    }
    return elements;
  }
};

template <class T>
inline constexpr FieldType field_type = [] {
  if constexpr (requires { FieldCodec<T>::type; }) return FieldCodec<T>::type;
  return FieldType::other;
}();

template <class T>
struct FieldCodec<std::optional<T>> {
  static constexpr FieldType type = field_type<T>;
  static std::string kind() { return FieldCodec<T>::kind() + " or none"; }
  static Value to_value(const std::optional<T>& value) {
    return value ? FieldCodec<T>::to_value(*value) : Value();
  }
  static std::optional<T> from_value(const Value& value) {
    if (value.is_none()) return std::nullopt;
    try {
      return FieldCodec<T>::from_value(value);
    } catch (const FieldMismatch& mismatch) {
      throw FieldMismatch(mismatch.expected() + " or none", value);
    }
  }
};

template <class T>
struct FieldCodec<Required<T>> {
  static constexpr FieldType type = field_type<T>;
  static std::string kind() { return FieldCodec<T>::kind(); }
  static Value to_value(const Required<T>& field) {
    return field.is_set() ? FieldCodec<T>::to_value(field.wrapped()) : Value();
  }
  static Required<T> from_value(const Value& value) { return FieldCodec<T>::from_value(value); }
};

// ---------------------------------------------------------------------------------------------
// Equality, hash, print
template <class A>
bool fields_equal(const A& a, const A& b);

namespace detail {

template <class T>
struct IsSequence : std::false_type {};
template <class T>
struct IsSequence<std::vector<T>> : std::true_type {};
template <class T, size_t N>
struct IsSequence<std::array<T, N>> : std::true_type {};

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
struct IsRequired : std::false_type {};
template <class T>
struct IsRequired<Required<T>> : std::true_type {};

/// A field that bounds its value, see core/bounds.h.
template <class T>
concept BoundedField = requires(const T& field) {
  field.broken();
  T::rule();
};

}  // namespace detail

/// A struct of fields that is a field itself, without a codec of its own: an object.
template <class T>
concept NestedFields =
    std::is_aggregate_v<T> && std::is_class_v<T> && !detail::IsSequence<T>::value &&
    requires { typename FieldCodec<T>::IsNested; };

namespace detail {

template <class T>
bool same(const T& a, const T& b) {
  static_assert(requires { FieldCodec<T>::kind(); });  // tells which types can be fields
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
  } else if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
  } else if constexpr (IsSequence<T>::value) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!same(a[i], b[i])) return false;
    }
    return true;
  } else if constexpr (IsOptional<T>::value) {
    return a.has_value() == b.has_value() && (!a || same(*a, *b));
  } else if constexpr (IsRequired<T>::value) {
    return a.is_set() == b.is_set() && (!a.is_set() || same(a.value(), b.value()));
  } else if constexpr (BoundedField<T>) {
    return same(a.value(), b.value());
  } else if constexpr (NestedFields<T>) {
    return fields_equal(a, b);
  } else {
    return a == b;
  }
}

/// All fields as values; one instantiation serves print and to_fields.
template <class A>
std::array<Value, field_count<A>()> field_values(const A& a) {
  return with_fields(a, []<class... T>(const T&... fields) {
    return std::array<Value, sizeof...(T)>{FieldCodec<T>::to_value(fields)...};
  });
}

/// "name=value, ..."; a string that stands for an enum or a type of its own (bit i of `words`) has
/// no quotes.
TAPER_API std::string print_fields(const std::string_view* names, const Value* values, size_t count,
                                   uint32_t words);

template <class T>
inline constexpr bool is_word = !std::is_same_v<T, std::string> && !IsSequence<T>::value;
template <class T>
inline constexpr bool is_word<std::optional<T>> = is_word<T>;
template <class T>
inline constexpr bool is_word<Required<T>> = is_word<T>;
template <BoundedField T>
inline constexpr bool is_word<T> = is_word<typename T::Held>;

}  // namespace detail

/// Field by field; floating-point fields by their bits, so that equal attributes mean equal
/// results: NaN equals itself, 0.0 is not -0.0.
template <class A>
bool fields_equal(const A& a, const A& b) {
  return with_fields(a, [&b](const auto&... left) {
    return with_fields(b, [&](const auto&... right) { return (detail::same(left, right) && ...); });
  });
}

/// For people: "axis=-1, keepdims=false, mode=mean, name="x"".
template <class A>
std::string fields_print(const A& a) {
  const auto values = detail::field_values(a);
  const uint32_t words = with_fields(a, []<class... T>(const T&...) {
    uint32_t bits = 0;
    [[maybe_unused]] uint32_t bit = 1;
    ((bits |= detail::is_word<T> ? bit : 0, bit <<= 1), ...);
    return bits;
  });
  return detail::print_fields(detail::names_of<A>.data(), values.data(), values.size(), words);
}

}  // namespace taper

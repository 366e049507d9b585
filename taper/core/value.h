// A generic value: what a Python keyword, an ONNX attribute or a field of a JSON file can hold.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <taper/core/api.h>

namespace taper {

class Value;

/// Named values in order: the keywords of a call, the attributes of a node, a JSON object.
using Fields = std::vector<std::pair<std::string, Value>>;

/// None, bool, int64, double, string, a list of one of these, or an object.
///
/// Lists have one form each: a list of ints only is `Integers`, one of numbers with at least one
/// double is `Reals`, anything else is `List`; the constructor from `List` sees to it. Empty lists
/// of every kind are equal.
class TAPER_API Value {
 public:
  using Integers = std::vector<int64_t>;
  using Reals = std::vector<double>;
  using List = std::vector<Value>;
  using Object = Fields;

  /// In the order of the alternatives below.
  enum class Kind { none, boolean, integer, real, string, integers, reals, list, object };

  // Defined in value.cpp, all of them: inlined, each would cost every op file compile time.
  Value();
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  Value(bool value);
  template <class T>
    requires(std::integral<T> && !std::same_as<T, bool>)
  Value(T value) : Value(checked_integer(value), nullptr) {}
  Value(double value);
  Value(const char* value);
  Value(std::string_view value);
  Value(std::string value);
  Value(Integers value);
  Value(Reals value);
  Value(List value);
  Value(Object value);
  Value(const void*) = delete;  // otherwise any pointer would be a bool

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_none() const { return kind() == Kind::none; }
  bool is_list() const { return kind() >= Kind::integers && kind() <= Kind::list; }

  /// "none", "bool", "int", "float", "str", "list of int", "list of float", "list" or "object".
  std::string_view kind_name() const;

  /// The content if it is exactly a `T` (one of the alternatives), else nullptr.
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }

  /// The value of this name in an object; nullptr if it is missing or this is no object.
  const Value* find(std::string_view name) const;

  /// The number of elements of a list or object, else 0.
  size_t size() const;

  /// For people: `none`, `true`, `3`, `0.5`, `"text"`, `[1, 2]`, `{"name": 1}`.
  std::string print() const;

  /// Same kind and content; doubles by their bits, so NaN equals itself and 0.0 is not -0.0.
  TAPER_API friend bool operator==(const Value& a, const Value& b);

 private:
  Value(int64_t value, std::nullptr_t);

  template <class T>
  static int64_t checked_integer(T value) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(int64_t)) {
      if (value > static_cast<T>(INT64_MAX)) fail_integer(value);
    }
    return static_cast<int64_t>(value);
  }
  [[noreturn]] static void fail_integer(uint64_t value);

  std::variant<std::monostate, bool, int64_t, double, std::string, Integers, Reals, List, Object>
      data_;
};

/// The shortest text that reads back as the same double, always with a point or an exponent.
TAPER_API std::string print_real(double value);

/// The same for a float, so that 0.1f reads `0.1`.
TAPER_API std::string print_real(float value);

/// The text in double quotes with escapes.
TAPER_API std::string print_quoted(std::string_view text);

/// Lists and objects in JSON may be nested this deep.
inline constexpr int max_json_depth = 100;

/// JSON text, `indent` spaces a level; lists of numbers stay on a line, and everything does if
/// `indent` is negative. Throws Error(value) for NaN, infinity, a name given twice, text that is
/// not UTF-8 and for too deep a nesting: what is written can be read and is equal.
TAPER_API std::string to_json(const Value& value, int indent = 2);

/// Reads one JSON text. Throws Error(value) naming line and column for what is not JSON, for a name
/// given twice in an object, integers beyond 64 bits, doubles out of range, too deep a nesting.
TAPER_API Value parse_json(std::string_view text);

}  // namespace taper

#include <taper/core/value.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include <taper/core/error.h>

namespace taper {
namespace {

/// Beyond this, doubles no longer hold every integer.
constexpr int64_t max_exact_integer = int64_t{1} << 53;

bool fits_real(const Value& value) {
  if (value.get_if<double>()) return true;
  const int64_t* integer = value.get_if<int64_t>();
  return integer && *integer >= -max_exact_integer && *integer <= max_exact_integer;
}

double as_real(const Value& value) {
  if (const double* real = value.get_if<double>()) return *real;
  return static_cast<double>(*value.get_if<int64_t>());
}

bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

template <class Real>
std::string shortest(Real value) {
  if (value != value) return "nan";  // whatever its sign bit says
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  const bool is_plain = text.find_first_not_of("-0123456789") == std::string::npos;
  return is_plain ? text + ".0" : text;
}

template <class List, class Print>
std::string join(const List& list, Print print) {
  std::string text;
  for (const auto& element : list) {
    if (!text.empty()) text += ", ";
    text += print(element);
  }
  return text;
}

}  // namespace

Value::Value() = default;
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

Value::Value(bool value) : data_(value) {}
Value::Value(int64_t value, std::nullptr_t) : data_(value) {}
Value::Value(double value) : data_(value) {}
Value::Value(const char* value) : data_(std::string(value)) {}
Value::Value(std::string_view value) : data_(std::string(value)) {}
Value::Value(std::string value) : data_(std::move(value)) {}
Value::Value(Integers value) : data_(std::move(value)) {}
Value::Value(Reals value) : data_(std::move(value)) {}
Value::Value(Object value) : data_(std::move(value)) {}

Value::Value(List value) {
  const auto is_integer = [](const Value& v) { return v.kind() == Kind::integer; };
  if (std::all_of(value.begin(), value.end(), is_integer)) {
    Integers integers;
    integers.reserve(value.size());
    for (const Value& v : value) integers.push_back(*v.get_if<int64_t>());
    data_ = std::move(integers);
  } else if (std::all_of(value.begin(), value.end(), fits_real)) {
    Reals reals;
    reals.reserve(value.size());
    for (const Value& v : value) reals.push_back(as_real(v));
    data_ = std::move(reals);
  } else {
    data_ = std::move(value);
  }
}

void Value::fail_integer(uint64_t value) {
  fail(ErrorKind::value, std::to_string(value) + " is too large for a 64-bit signed integer");
}

std::string_view Value::kind_name() const {
  switch (kind()) {
    case Kind::none:
      return "none";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return "str";
    case Kind::integers:
      return "list of int";
    case Kind::reals:
      return "list of float";
    case Kind::list:
      return "list";
    case Kind::object:
      return "object";
  }
  return "none";
}

const Value* Value::find(std::string_view name) const {
  const Object* object = get_if<Object>();
  if (!object) return nullptr;
  for (const auto& [key, value] : *object) {
    if (key == name) return &value;
  }
  return nullptr;
}

size_t Value::size() const {
  switch (kind()) {
    case Kind::integers:
      return get_if<Integers>()->size();
    case Kind::reals:
      return get_if<Reals>()->size();
    case Kind::list:
      return get_if<List>()->size();
    case Kind::object:
      return get_if<Object>()->size();
    default:
      return 0;
  }
}

std::string Value::print() const {
  switch (kind()) {
    case Kind::none:
      return "none";
    case Kind::boolean:
      return *get_if<bool>() ? "true" : "false";
    case Kind::integer:
      return std::to_string(*get_if<int64_t>());
    case Kind::real:
      return print_real(*get_if<double>());
    case Kind::string:
      return print_quoted(*get_if<std::string>());
    case Kind::integers:
      return "[" + join(*get_if<Integers>(), [](int64_t v) { return std::to_string(v); }) + "]";
    case Kind::reals:
      return "[" + join(*get_if<Reals>(), [](double v) { return print_real(v); }) + "]";
    case Kind::list:
      return "[" + join(*get_if<List>(), [](const Value& v) { return v.print(); }) + "]";
    case Kind::object: {
      const auto print_field = [](const std::pair<std::string, Value>& field) {
        return print_quoted(field.first) + ": " + field.second.print();
      };
      return "{" + join(*get_if<Object>(), print_field) + "}";
    }
  }
  return "none";
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_list() && b.is_list() && a.size() == 0 && b.size() == 0) return true;
  if (a.kind() != b.kind()) return false;
  if (const double* real = a.get_if<double>()) return same_bits(*real, *b.get_if<double>());
  if (const auto* reals = a.get_if<Value::Reals>()) {
    return std::ranges::equal(*reals, *b.get_if<Value::Reals>(), same_bits);
  }
  return a.data_ == b.data_;
}

std::string print_real(double value) { return shortest(value); }

std::string print_real(float value) { return shortest(value); }

std::string print_quoted(std::string_view text) {
  using Json = nlohmann::json;
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// ---------------------------------------------------------------------------------------------
// JSON
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail_depth(const std::string& where) {
  fail(ErrorKind::value,
       where + "nested deeper than " + std::to_string(max_json_depth) + " levels");
}

class JsonWriter {
 public:
  explicit JsonWriter(int indent) : indent_(indent) {}

  void write(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::none:
        text_ += "null";
        break;
      case Value::Kind::real:
        write_real(*value.get_if<double>());
        break;
      case Value::Kind::string:
        write_string(*value.get_if<std::string>());
        break;
      case Value::Kind::reals:
        write_reals(*value.get_if<Value::Reals>());
        break;
      case Value::Kind::list:
        write_list(*value.get_if<Value::List>());
        break;
      case Value::Kind::object:
        write_object(*value.get_if<Value::Object>());
        break;
      case Value::Kind::boolean:
      case Value::Kind::integer:
      case Value::Kind::integers:
        text_ += value.print();
        break;
    }
  }

  std::string take() { return std::move(text_); }

 private:
  void write_real(double value) {
    if (!std::isfinite(value)) {
      fail(ErrorKind::value, "json: " + print_real(value) + " cannot be written as a number");
    }
    text_ += print_real(value);
  }

  void write_reals(const Value::Reals& reals) {
    const char* separator = "";
    text_ += '[';
    for (double real : reals) {
      text_ += separator;
      write_real(real);
      separator = ", ";
    }
    text_ += ']';
  }

  void write_string(const std::string& string) {
    try {
      text_ += Json(string).dump();
    } catch (const Json::type_error&) {
      fail(ErrorKind::value, "json: the text " + print_quoted(string) + " is not UTF-8");
    }
  }

  void write_list(const Value::List& list) {
    open('[');
    for (const Value& element : list) {
      next(&element == list.data());
      write(element);
    }
    close(']', list.empty());
  }

  void write_object(const Value::Object& object) {
    std::unordered_set<std::string_view> names;
    open('{');
    for (const auto& field : object) {
      const auto& [name, value] = field;
      if (!names.insert(name).second) {
        fail(ErrorKind::value, "json: the name " + print_quoted(name) + " is given twice");
      }
      next(&field == object.data());
      write_string(name);
      text_ += ": ";
      write(value);
    }
    close('}', object.empty());
  }

  void open(char bracket) {
    if (++depth_ > max_json_depth) fail_depth("json: ");
    text_ += bracket;
  }

  void next(bool is_first) {
    if (!is_first) text_ += indent_ < 0 ? ", " : ",";
    break_line();
  }

  void close(char bracket, bool is_empty) {
    --depth_;
    if (!is_empty) break_line();
    text_ += bracket;
  }

  void break_line() {
    if (indent_ < 0) return;
    text_ += '\n';
    text_.append(static_cast<size_t>(depth_) * static_cast<size_t>(indent_), ' ');
  }

  int indent_;
  int depth_ = 0;
  std::string text_;
};

/// Walks over the text and tells the reader how far the parser has come.
class TrackedIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator(const char* at, const char** seen) : at_(at), seen_(seen) {}

  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const TrackedIterator& a, const TrackedIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_;
  const char** seen_;
};

/// Receives the parser's events and builds a Value; every refusal goes through `refuse`.
class JsonReader : public nlohmann::json_sax<Json> {
 public:
  explicit JsonReader(std::string_view text) : text_(text), seen_(text.data()) {}

  Value read() {
    const char* begin = text_.data();
    const char* end = begin + text_.size();
    Json::sax_parse(TrackedIterator(begin, &seen_), TrackedIterator(end, &seen_), this);
    return std::move(result_);
  }

  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) refuse_integer(std::to_string(value));
    return add(Value(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") == string_t::npos) refuse_integer(text);
    return add(Value(value));
  }
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { refuse("binary data"); }

  bool start_array(size_t) override {
    open(false);
    return true;
  }
  bool end_array() override {
    Value::List list = std::move(stack_.back().list);
    stack_.pop_back();
    return add(Value(std::move(list)));
  }

  bool start_object(size_t) override {
    open(true);
    return true;
  }
  bool key(string_t& name) override {
    Level& level = stack_.back();
    if (!level.names.insert(name).second) {
      refuse("the name " + print_quoted(name) + " is given twice");
    }
    level.object.emplace_back(std::move(name), Value());
    return true;
  }
  bool end_object() override {
    Value::Object object = std::move(stack_.back().object);
    stack_.pop_back();
    return add(Value(std::move(object)));
  }

  bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
    if (position > 0) seen_ = text_.data() + std::min(position, text_.size());
    // The library's text begins with its own name, and often position: "[...] parse error at ...:
    // ".
    std::string_view what = error.what();
    if (what.starts_with('[')) what.remove_prefix(std::min(what.size(), what.find("] ") + 2));
    const size_t position_end = what.starts_with("parse error") ? what.find(": ") : what.npos;
    refuse(std::string(position_end == what.npos ? what : what.substr(position_end + 2)));
  }

 private:
  /// A list or object that is still open.
  struct Level {
    bool is_object = false;
    Value::List list = {};
    Value::Object object = {};
    std::unordered_set<std::string> names = {};
  };

  void open(bool is_object) {
    if (stack_.size() >= static_cast<size_t>(max_json_depth)) fail_depth(where());
    stack_.push_back({.is_object = is_object});
  }

  bool add(Value value) {
    if (stack_.empty()) {
      result_ = std::move(value);
    } else if (stack_.back().is_object) {
      stack_.back().object.back().second = std::move(value);
    } else {
      stack_.back().list.push_back(std::move(value));
    }
    return true;
  }

  std::string where() const {
    const size_t used = static_cast<size_t>(seen_ - text_.data());
    const std::string_view before = text_.substr(0, used > 0 ? used - 1 : 0);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t line_end = before.rfind('\n');
    const size_t column = before.size() - (line_end == before.npos ? 0 : line_end + 1) + 1;
    return "json: line " + std::to_string(line) + ", column " + std::to_string(column) + ": ";
  }

  [[noreturn]] void refuse(const std::string& why) const { fail(ErrorKind::value, where() + why); }

  [[noreturn]] void refuse_integer(const std::string& text) const {
    refuse("the integer " + text.substr(0, 40) + " does not fit 64 bits");
  }

  std::string_view text_;
  const char* seen_;
  std::vector<Level> stack_;
  Value result_;
};

}  // namespace

std::string to_json(const Value& value, int indent) {
  JsonWriter writer(indent);
  writer.write(value);
  return writer.take();
}

Value parse_json(std::string_view text) { return JsonReader(text).read(); }

}  // namespace taper

#include <taper/core/fields.h>

#include <charconv>
#include <cmath>

#include <taper/core/bounds.h>
#include <taper/core/parse_fields.h>

namespace taper {
namespace {

constexpr size_t longest_shown_value = 80;

/// "str "x"", "int 3", "none".
std::string describe(const Value& value) {
  std::string text(value.kind_name());
  if (value.is_none()) return text;
  std::string content = value.print();
  if (content.size() > longest_shown_value) {
    content.resize(longest_shown_value);
    content += "...";
  }
  return text + " " + content;
}

}  // namespace

void check_rule(bool holds, std::string_view owner, const char* rule, const Value& got) {
  if (holds) return;
  fail(ErrorKind::value, std::string(owner) + ": " + rule + ", got " + got.print());
}

FieldMismatch::FieldMismatch(std::string expected, const Value& got)
    : Error(ErrorKind::value, "must be " + expected + ", got " + describe(got)),
      expected_(std::move(expected)) {}

bool FieldCodec<bool>::from_value(const Value& value) {
  if (const bool* boolean = value.get_if<bool>()) return *boolean;
  const int64_t* integer = value.get_if<int64_t>();
  if (!integer || (*integer != 0 && *integer != 1)) throw FieldMismatch(kind(), value);
  return *integer == 1;
}

std::string FieldCodec<std::string>::from_value(const Value& value) {
  const std::string* text = value.get_if<std::string>();
  if (!text) throw FieldMismatch(kind(), value);
  return *text;
}

Fields FieldCodec<Fields>::from_value(const Value& value) {
  const Fields* fields = value.get_if<Fields>();
  if (!fields) throw FieldMismatch(kind(), value);
  return *fields;
}

namespace detail {

int64_t read_integer(const Value& value, int64_t low, int64_t high) {
  const int64_t* integer = value.get_if<int64_t>();
  if (!integer) throw FieldMismatch("int", value);
  if (*integer < low || *integer > high) {
    const std::string range = std::to_string(low) + " to " + std::to_string(high);
    throw FieldMismatch("int from " + range, value);
  }
  return *integer;
}

double read_real(const Value& value, double largest) {
  if (const int64_t* integer = value.get_if<int64_t>()) return static_cast<double>(*integer);
  const double* real = value.get_if<double>();
  if (!real) throw FieldMismatch("float", value);
  if (std::isfinite(*real) && std::fabs(*real) > largest) {
    throw FieldMismatch("float up to " + print_real(static_cast<float>(largest)), value);
  }
  return *real;
}

size_t read_enum(const Value& value, const std::string_view* names, size_t count) {
  if (const std::string* word = value.get_if<std::string>()) {
    for (size_t i = 0; i < count; ++i) {
      if (names[i] == *word) return i;
    }
  }
  throw FieldMismatch(enum_kind(names, count), value);
}

std::string enum_kind(const std::string_view* names, size_t count) {
  std::string text = "one of ";
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += ", ";
    text += print_quoted(names[i]);
  }
  return text;
}

double widen(float value) {
  char buffer[64];
  const char* end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  double shortest = 0;
  std::from_chars(buffer, end, shortest);
  return static_cast<float>(shortest) == value ? shortest : static_cast<double>(value);
}

std::vector<Value> read_list(const Value& value, const std::string& kind) {
  if (const auto* integers = value.get_if<Value::Integers>()) {
    return {integers->begin(), integers->end()};
  }
  if (const auto* reals = value.get_if<Value::Reals>()) return {reals->begin(), reals->end()};
  if (const auto* list = value.get_if<Value::List>()) return *list;
  throw FieldMismatch(kind, value);
}

std::string print_fields(const std::string_view* names, const Value* values, size_t count,
                         uint32_t words) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += ", ";
    text += names[i];
    text += '=';
    const std::string* word = values[i].get_if<std::string>();
    text += word && (words >> i & 1) ? *word : values[i].print();
  }
  return text;
}

Fields make_fields(const std::string_view* names, const Value* values, size_t count) {
  Fields fields;
  fields.reserve(count);
  for (size_t i = 0; i < count; ++i) fields.emplace_back(std::string(names[i]), values[i]);
  return fields;
}

size_t find_field(std::string_view owner, std::string_view name, const std::string_view* names,
                  size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (names[i] == name) return i;
  }
  std::string text = std::string(owner) + ": no attribute `" + std::string(name) + "`; it has";
  if (count == 0) text += " none";
  for (size_t i = 0; i < count; ++i) {
    text += i == 0 ? ": " : ", ";
    text += names[i];
  }
  fail(ErrorKind::value, text);
}

void fail_twice(std::string_view owner, std::string_view name) {
  fail(ErrorKind::value, std::string(owner) + ": `" + std::string(name) + "` is given twice");
}

void fail_required(std::string_view owner, std::string_view name) {
  fail(ErrorKind::value, std::string(owner) + ": `" + std::string(name) + "` is required");
}

void fail_bounds(std::string_view owner, std::string_view name, const std::string& rule,
                 const Value& got) {
  fail(ErrorKind::value, std::string(owner) + ": `" + std::string(name) + "` must be " + rule +
                             ", got " + got.print());
}

void fail_mismatch(std::string_view owner, std::string_view name, const FieldMismatch& mismatch) {
  fail(ErrorKind::value,
       std::string(owner) + ": `" + std::string(name) + "` " + std::string(mismatch.what()));
}

}  // namespace detail
}  // namespace taper

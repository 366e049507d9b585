#include <taper/core/dtype.h>

#include <ostream>
#include <string>
#include <utility>

namespace taper {
namespace {

constexpr std::pair<std::string_view, std::string_view> names[] = {
    {"f32", "float32"}, {"f64", "float64"}, {"f16", "float16"}, {"bf16", "bfloat16"},
    {"i8", "int8"},     {"i16", "int16"},   {"i32", "int32"},   {"i64", "int64"},
    {"u8", "uint8"},    {"bool", "bool"}};

DType promote_floats(DType a, DType b) {
  if (item_size(a) == item_size(b)) return DType::f32;  // f16 with bf16: neither holds the other
  return item_size(a) > item_size(b) ? a : b;
}

DType promote_integers(DType a, DType b) {
  if (is_signed(a) && is_signed(b)) return item_size(a) > item_size(b) ? a : b;
  const DType with_sign = is_signed(a) ? a : b;  // the other one is u8
  return with_sign == DType::i8 ? DType::i16 : with_sign;
}

}  // namespace

std::string_view dtype_name(DType dtype) { return names[static_cast<size_t>(dtype)].first; }

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << dtype_name(dtype); }

DType parse_dtype(std::string_view name) {
  std::string known;
  for (DType dtype : all_dtypes) {
    const auto& [printed, user] = names[static_cast<size_t>(dtype)];
    if (name == printed || name == user) return dtype;
    known += (known.empty() ? "" : ", ") + std::string(user);
  }
  fail(ErrorKind::not_found, "unknown dtype `" + std::string(name) + "`; there are: " + known);
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_bool(a)) return b;
  if (is_bool(b)) return a;
  if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
  return is_float(a) ? promote_floats(a, b) : promote_integers(a, b);
}

}  // namespace taper

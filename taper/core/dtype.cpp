#include <taper/core/dtype.h>

#include <ostream>
#include <string>

namespace taper {
namespace {

const DTypeInfo& info_of(DType dtype) { return dtype_table[static_cast<size_t>(dtype)]; }

/// The user's constant, whose last _ only keeps it from being a word of C++.
std::string_view user_name(DType dtype) {
  std::string_view name = info_of(dtype).constant;
  if (name.ends_with('_')) name.remove_suffix(1);
  return name;
}

DType promote_floats(DType a, DType b) {
  if (item_size(a) == item_size(b)) return DType::f32;  // f16 with bf16: neither holds the other
  return item_size(a) > item_size(b) ? a : b;
}

DType promote_integers(DType a, DType b) {
  if (is_signed(a) == is_signed(b)) return item_size(a) > item_size(b) ? a : b;
  const DType with_sign = is_signed(a) ? a : b;
  const DType other = is_signed(a) ? b : a;
  if (item_size(with_sign) > item_size(other)) return with_sign;
  for (DType wider : all_dtypes) {
    const DTypeInfo& info = info_of(wider);
    if (info.kind == Kind::signed_integer && info.size == 2 * item_size(other)) return wider;
  }
  fail(ErrorKind::dtype, std::string(dtype_name(a)) + " and " + std::string(dtype_name(b)) +
                             " have no common integer dtype; convert one with astype");
}

}  // namespace

std::string_view kind_name(Kind kind) {
  constexpr std::string_view names[] = {"floating", "signed integer", "unsigned integer", "bool",
                                        "complex"};
  return names[static_cast<size_t>(kind)];
}

std::string_view dtype_name(DType dtype) { return info_of(dtype).printed; }

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << dtype_name(dtype); }

DType parse_dtype(std::string_view name) {
  std::string known;
  for (DType dtype : all_dtypes) {
    if (name == dtype_name(dtype) || name == user_name(dtype)) return dtype;
    known += (known.empty() ? "" : ", ") + std::string(user_name(dtype));
  }
  fail(ErrorKind::not_found, "unknown dtype `" + std::string(name) + "`; there are: " + known);
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_bool(a)) return b;
  if (is_bool(b)) return a;
  if (is_complex(a) || is_complex(b)) {
    const bool is_wide = complex_of(a) == DType::c128 || complex_of(b) == DType::c128;
    return is_wide ? DType::c128 : DType::c64;
  }
  if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
  return is_float(a) ? promote_floats(a, b) : promote_integers(a, b);
}

}  // namespace taper

#include <taper/core/number.h>

#include <cmath>

#include <taper/core/value.h>

namespace taper {
namespace {

template <class T>
T element_of(const Number& value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    if (is_float(value.dtype)) return T(to_float_for_half(value.real));
    return T(value.above_integers ? to_float_for_half(detail::whole_as<uint64_t>(value))
                                  : to_float_for_half(value.integer));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value.real != 0 || value.imag != 0;
  } else if constexpr (is_complex_type<T>) {
    return convert<T>(value, "");  // refuses nothing
  } else {
    return detail::real_as<T>(value);
  }
}

template <class T>
bool fits_type(const Number& value) {
  if (is_complex(value.dtype)) return is_complex_type<T> || std::is_same_v<T, bool>;
  if constexpr (!std::is_integral_v<T> || std::is_same_v<T, bool>) {
    return true;
  } else {
    return detail::is_one_of<T>(value);
  }
}

}  // namespace

std::string to_string(const Number& value) {
  if (is_complex(value.dtype)) {
    const std::string imag = print_real(value.imag);
    return print_real(value.real) + (imag[0] == '-' ? "" : "+") + imag + "j";
  }
  if (is_bool(value.dtype)) return value.integer != 0 ? "true" : "false";
  if (is_float(value.dtype)) return print_real(value.real);
  return value.above_integers ? std::to_string(static_cast<uint64_t>(value.integer))
                              : std::to_string(value.integer);
}

bool fits(const Number& value, DType dtype) {
  return visit<kinds::every>(dtype, [&]<class T>() { return fits_type<T>(value); });
}

std::string misfit(const Number& value, DType dtype) {
  const std::string name(dtype_name(dtype));
  if (is_complex(value.dtype)) {
    return to_string(value) + " is complex and no value of " + name;
  }
  if (!std::isfinite(value.real)) return to_string(value) + " is no value of " + name;
  return visit_dtype(dtype, [&]<class T>() -> std::string {
    if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      return to_string(value) + " is out of the range of " + name + ", " +
             std::to_string(Limits::min()) + " to " + std::to_string(Limits::max());
    } else {
      return to_string(value) + " is no value of " + name;
    }
  });
}

Element convert(const Number& value, DType dtype, std::string_view who) {
  return visit<kinds::every>(dtype, [&]<class T>() {
    if (!fits_type<T>(value)) {
      fail(ErrorKind::value, std::string(who) + ": " + misfit(value, dtype));
    }
    return Element(element_of<T>(value));
  });
}

void detail::fail_complex(const Number& value, std::string_view who) {
  fail(ErrorKind::value, std::string(who) + ": " + to_string(value) +
                             " is complex; take real(x) or imag(x), or read complex numbers");
}

void detail::fail_misfit(const Number& value, bool is_signed, size_t bytes, std::string_view who) {
  const size_t bits = 8 * bytes;
  const std::string type = (is_signed ? "int" : "uint") + std::to_string(bits) + "_t";
  std::string text = std::string(who) + ": " + to_string(value);
  if (!std::isfinite(value.real)) fail(ErrorKind::value, text + " is no value of " + type);
  const uint64_t highest = ~uint64_t{0} >> (64 - bits + (is_signed ? 1 : 0));
  const std::string lowest = is_signed ? "-" + std::to_string(highest + 1) : "0";
  text += " is out of the range of " + type + ", " + lowest + " to " + std::to_string(highest);
  fail(ErrorKind::value, text);
}

}  // namespace taper

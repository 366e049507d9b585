#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tests/ops/op_cases.h"

// What the results of rows are held against: the oracle in float64, or the same bits.

namespace taper::testing {

/// Each element by itself: such a row keeps the memory order of its inputs and reads any strides.
inline bool is_elementwise(const OpBase& op) {
  return op.has_kernel && op.layout == Layout::like_inputs && op.any_strides;
}

/// Digits after the leading one, and the exponent of the smallest normal number.
struct Precision {
  int digits;
  int least_exponent;
};

inline Precision precision(DType dtype) {
  switch (real_of(dtype)) {
    case DType::f64:
      return {52, -1022};
    case DType::f16:
      return {10, -14};
    case DType::bf16:
      return {7, -126};
    default:
      return {23, -126};
  }
}

/// The distance of neighbouring numbers of the dtype at `value`.
inline double ulp(DType dtype, double value) {
  const Precision p = precision(dtype);
  const int exponent = value == 0 ? p.least_exponent : std::ilogb(value);
  return std::ldexp(1.0, std::max(exponent, p.least_exponent) - p.digits);
}

/// What one rounding costs relative to a number.
inline double step(DType dtype) { return std::ldexp(1.0, -precision(dtype).digits - 1); }

/// Whether the dtype rounds `value` to infinity.
inline bool overflows(DType dtype, double value) {
  const Precision p = precision(dtype);
  return std::abs(value) >= std::ldexp(2 - step(dtype), 1 - p.least_exponent);
}

/// How far an element may be from the oracle's: its own rounding, and a share of the largest.
struct Room {
  DType computed;  // what the row computes in, before it rounds its result to another dtype
  double ulps;     // of the element itself, in that dtype
  double share;    // of the largest element: what sums and steps in between may lose

  double around(DType dtype, double expected, double largest) const {
    const double rounding = dtype == computed ? 0 : ulp(dtype, expected) / 2;
    return rounding + ulps * ulp(computed, expected) + share * largest;
  }
};

/// 4 ULP. Kernels compute 16-bit numbers in f32 and round once, so that these are within 1 ULP of
/// their own; an expansion rounds after each of its ops. Elementwise rows have no sums. The error
/// of a sum of random terms grows with the root of their number. A sample's `tolerance` multiplies
/// all.
inline Room room_of(const OpBase& op, DType result, double tolerance, int64_t terms) {
  const DType dtype = real_of(result);
  const DType computed = item_size(dtype) < 4 && op.has_kernel ? DType::f32 : dtype;
  const double root = std::sqrt(static_cast<double>(terms));
  const double share = is_elementwise(op) ? 0 : 4 * step(computed) * root;
  if (is_complex(result)) tolerance *= std::sqrt(2);  // as much in each part
  return {computed, 4 * tolerance, share * tolerance};
}

inline std::vector<Tensor> to_double(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> converted;
  for (const Tensor& input : inputs) {
    if (!input.defined() || !is_inexact(input.dtype())) {
      converted.push_back(input);
    } else {
      converted.push_back(astype(input, is_complex(input.dtype()) ? DType::c128 : DType::f64));
    }
  }
  return converted;
}

/// The operands as the row's rule sees them.
inline std::vector<Tensor> promoted(const OpBase& op, const std::vector<Tensor>& inputs) {
  if (op.promotion == Promotion::none) return inputs;
  const auto args = as_args(inputs);
  const Promoted promoted(op, args);
  std::vector<Tensor> tensors;
  for (const Arg& arg : promoted.args()) tensors.push_back(*arg.tensor);
  return tensors;
}

inline Results oracle(const OpBase& op, const AnySample& sample,
                      const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> exact = to_double(promoted(op, inputs));
  const auto args = as_args(exact);
  if (op.has_reference) return op.reference(Inputs(args), sample.attrs.get());
  return op.expand(Inputs(args), sample.attrs.get());
}

/// What the oracle computed as the dtype holds it: integers keep their low bits, bools the truth.
/// Floats stay as they are, lest the library's own rounding be what judges it.
inline Tensor as_held(const Tensor& expected, DType dtype) {
  if (is_inexact(dtype) || expected.dtype() == dtype) return expected;
  return is_bool(dtype) ? astype(expected, dtype) : astype(astype(expected, DType::i64), dtype);
}

inline double size_of(double value) { return std::abs(value); }
inline double size_of(const Complex<double>& value) { return std::hypot(value.re, value.im); }

/// How far the elements of two tensors lie from each other.
inline std::vector<double> distances(const Tensor& a, const Tensor& b) {
  return visit_widest(is_complex(a.dtype()) ? DType::c128 : DType::f64, [&]<class T>() {
    std::vector<double> apart;
    const std::vector<T> from = a.to_vector<T>();
    const std::vector<T> to = b.to_vector<T>();
    for (size_t i = 0; i < from.size(); ++i) {
      if constexpr (!std::is_integral_v<T>) apart.push_back(size_of(from[i] - to[i]));
    }
    return apart;
  });
}

/// For each element of an output of an elementwise row of several operands, how far the oracle's
/// moves when these move by as many ULP as the element may: where terms cancel, rounding them costs
/// that much. A function of one number has no terms.
inline std::vector<double> moved_by_operands(const OpCase& c, const std::vector<Tensor>& inputs,
                                             int output, const Tensor& expected, const Room& room) {
  std::vector<Tensor> operands = to_double(inputs);
  std::vector<double> moved(static_cast<size_t>(expected.numel()), 0.0);
  if (inputs.size() < 2) return moved;
  for (Tensor& operand : operands) {
    if (!operand.defined() || !is_inexact(operand.dtype())) continue;
    const Tensor before = operand;
    operand = before * (1 + 2 * step(room.computed));
    const std::vector<double> by = distances(oracle(*c.op, c.sample, operands)[output], expected);
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += room.ulps * by[i];
    operand = before;
  }
  return moved;
}

/// Integers and bools must be equal.
inline void expect_equal(const Tensor& actual, const Tensor& expected, const std::string& where) {
  visit_widest(actual.dtype(), [&]<class T>() {
    const std::vector<T> a = actual.to_vector<T>();
    const std::vector<T> e = expected.to_vector<T>();
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] == e[i]) continue;
      FAIL() << where << ": element " << i << " is " << to_string(number_of(a[i])) << ", expected "
             << to_string(number_of(e[i]));
    }
  });
}

/// Whether an element needs no room.
inline bool is_as_expected(double actual, double expected, DType dtype) {
  if (actual == expected || (std::isnan(expected) && std::isnan(actual))) return true;
  return std::isinf(actual) && actual * expected > 0 && overflows(dtype, expected);
}
inline bool is_as_expected(const Complex<double>& actual, const Complex<double>& expected,
                           DType dtype) {
  return is_as_expected(actual.re, expected.re, dtype) &&
         is_as_expected(actual.im, expected.im, dtype);
}

/// `more()` gives further room for each element; it is asked for only if one needs it.
template <class T, class More>
void expect_near(const Tensor& actual, const Tensor& expected, const Room& room,
                 const std::string& where, More&& more) {
  const DType dtype = real_of(actual.dtype());
  const std::vector<T> a = actual.to_vector<T>();
  const std::vector<T> e = expected.to_vector<T>();
  double largest = 1;
  for (const T& value : e) {
    if (std::isfinite(size_of(value))) largest = std::max(largest, size_of(value));
  }
  std::vector<double> further;
  for (size_t i = 0; i < a.size(); ++i) {
    if (is_as_expected(a[i], e[i], dtype)) continue;
    const double apart = size_of(a[i] - e[i]);
    double allowed = room.around(dtype, size_of(e[i]), largest);
    if (!(apart <= allowed)) {
      if (further.empty()) further = more();
      if (!further.empty()) allowed += further[i];
    }
    ASSERT_LE(apart, allowed) << where << ": element " << i << " is " << to_string(number_of(a[i]))
                              << ", expected " << to_string(number_of(e[i])) << ", which is "
                              << apart / ulp(dtype, size_of(e[i])) << " ULP";
  }
}

/// What the oracle says, of complex numbers by the size of the difference.
template <class More>
void expect_close(const Tensor& actual, const Tensor& oracles, const Room& room,
                  const std::string& where, More&& more) {
  ASSERT_EQ(to_string(actual.shape()), to_string(oracles.shape())) << where;
  const DType dtype = actual.dtype();
  const Tensor expected = as_held(oracles, dtype);
  if (!is_inexact(dtype)) {
    expect_equal(actual, expected, where);
  } else if (is_complex(dtype)) {
    expect_near<Complex<double>>(actual, expected, room, where, more);
  } else {
    expect_near<double>(actual, expected, room, where, more);
  }
}

/// The elements in row-major order, as bytes.
inline std::string bits(const Tensor& x) {
  const size_t item = item_size(x.dtype());
  std::string bytes(item * static_cast<size_t>(x.numel()), '\0');
  const auto* base = reinterpret_cast<const char*>(x.raw());
  char* to = bytes.data();
  for_each_offset(x.shape(), x.strides(), [&](int64_t offset) {
    std::memcpy(to, base + offset * static_cast<int64_t>(item), item);
    to += item;
  });
  return bytes;
}

inline void expect_same_bits(const Tensor& actual, const Tensor& expected,
                             const std::string& where) {
  ASSERT_EQ(actual.defined(), expected.defined()) << where;
  if (!actual.defined()) return;
  ASSERT_EQ(to_string(actual.spec()), to_string(expected.spec())) << where;
  if (bits(actual) == bits(expected)) return;
  visit_widest(actual.dtype(), [&]<class T>() {
    const auto a = actual.to_vector<T>();
    const auto e = expected.to_vector<T>();
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(to_string(number_of(a[i])), to_string(number_of(e[i])))
          << where << ": element " << i;
    }
  });
  FAIL() << where << ": NaNs or zeros of other bits";
}

/// Whether the row's rule takes operands of these specs.
inline bool accepts(const OpBase& op, const AnySample& sample, const std::vector<Tensor>& inputs) {
  const auto args = as_args(inputs);
  try {
    inferred(op, sample, args);
    return true;
  } catch (const Violation&) {
    return false;
  } catch (const Error& error) {
    EXPECT_NE(error.kind(), ErrorKind::internal) << op.name << ": " << error.what();
    return false;
  }
}

/// The results of the row on `inputs` must have the specs of its rule and the values `expected`.
/// `terms` is how many an element may be the sum of, if that is more than a few.
inline void check_results(const OpCase& c, const std::vector<Tensor>& inputs, const Results& actual,
                          const Results& expected, const std::string& where, int64_t terms = 1) {
  const Specs specs = inferred(*c.op, c.sample, as_args(inputs));
  for (int i = 0; i < specs.count; ++i) {
    ASSERT_EQ(to_string(actual[i].spec()), to_string(specs[i])) << where;
    if (specs[0].shape.numel() == 0) continue;
    ASSERT_TRUE(expected[i].defined()) << where << ": no oracle for output " << i;
    const DType dtype = specs[i].dtype;
    const Room room = room_of(*c.op, dtype, c.sample.tolerance, terms);
    expect_close(actual[i], expected[i], room, where, [&] {
      return is_elementwise(*c.op) ? moved_by_operands(c, inputs, i, expected[i], room)
                                   : std::vector<double>();
    });
  }
}

inline void check_against_oracle(const OpCase& c, const std::vector<Tensor>& inputs,
                                 const std::string& where, int64_t terms = 1) {
  const Results actual = run(*c.op, c.sample, inputs);  // first: it refuses what no oracle takes
  const bool is_empty = actual[0].numel() == 0;         // and some need an element
  const Results expected = is_empty ? Results() : oracle(*c.op, c.sample, inputs);
  check_results(c, inputs, actual, expected, where, terms);
}

}  // namespace taper::testing

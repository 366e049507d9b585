// Every pair of dtypes, at the edges of both, against the rules computed in long double.

#include <taper/backend/cpu/convert.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <taper/core/dtype.h>

namespace taper {
namespace {

using Real = long double;

/// A format's value of a whole number of bits: what the nearest is measured by.
template <class T>
Real value_of(T stored) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<float>(stored);
  } else {
    return stored;
  }
}

/// The 16-bit number nearest to `value`, of two equally near ones the one with an even last bit.
template <class T>
T nearest(Real value) {
  constexpr float largest = std::is_same_v<T, Half> ? 65504.0f : 3.3895313892515355e38f;
  if (std::isnan(value) || std::isinf(value)) return T(static_cast<float>(value));
  // Half a step beyond the largest is infinity: there the next number would stand.
  const Real step = std::is_same_v<T, Half> ? 32.0L : std::ldexp(1.0L, 120);
  if (std::fabs(value) >= largest + step / 2) return T(value < 0 ? -INFINITY : INFINITY);
  T low = T(0.0f);
  low.bits = std::signbit(value) ? 0x8000 : 0;
  T best = low;
  for (int bit = 14; bit >= 0; --bit) {  // the greatest magnitude that is not above
    T more = best;
    more.bits = static_cast<uint16_t>(more.bits | 1u << bit);
    if (std::fabs(value_of(more)) <= std::fabs(value)) best = more;
  }
  T above = best;
  ++above.bits;
  const Real down = std::fabs(value) - std::fabs(value_of(best));
  const Real up = std::fabs(value_of(above)) - std::fabs(value);
  if (std::isnan(up) || std::isinf(up) || down < up) return best;
  if (up < down) return above;
  return (best.bits & 1) == 0 ? best : above;
}

template <class To, class From>
To expected(From from) {
  const Real value = value_of(from);
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) {
    return nearest<To>(value);
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_integral_v<From>) {
    const auto bits = static_cast<uint64_t>(from);
    To low;
    std::memcpy(&low, &bits, sizeof low);
    return low;
  } else {
    if (std::isnan(value)) return 0;
    const Real lowest = std::numeric_limits<To>::min();
    const Real highest = std::numeric_limits<To>::max();
    return static_cast<To>(std::fmin(std::fmax(std::trunc(value), lowest), highest));
  }
}

template <class T>
std::vector<T> edges() {
  std::vector<T> values;
  if constexpr (std::is_same_v<T, bool>) {
    values = {true, false, true};
  } else if constexpr (std::is_integral_v<T>) {
    for (int64_t x : {0, 1, 2, 77, 127, 128, 255, 256, 257, 2049, 2051, 65519, 65520, 65535}) {
      values.push_back(static_cast<T>(x));
      values.push_back(static_cast<T>(-x));
      values.push_back(static_cast<T>(std::numeric_limits<T>::max() - x));
      values.push_back(static_cast<T>(std::numeric_limits<T>::min() + x));
    }
    for (int bit = 0; bit < 63; ++bit) {
      values.push_back(static_cast<T>((int64_t{1} << bit) + 1));
      values.push_back(static_cast<T>((int64_t{3} << bit / 2) - (int64_t{1} << bit)));
    }
  } else {
    for (double x : {0.0,
                     0.5,
                     0.99,
                     1.0,
                     1.5,
                     2.5,
                     126.9,
                     127.0,
                     128.0,
                     255.5,
                     256.0,
                     32767.5,
                     65503.0,
                     65519.9,
                     65520.0,
                     2147483520.0,
                     2147483647.0,
                     2147483648.0,
                     4e9,
                     9223372036854774784.0,
                     9.3e18,
                     1e30,
                     3.3895e38,
                     3.4e38,
                     5.96e-8,
                     2.9e-8,
                     6.1e-5,
                     1.0009765625,
                     1.00048828125,
                     1.000488281250001,
                     1.0014648437500002,
                     1.00390625,
                     1.01171875,
                     1e-40,
                     1e300,
                     HUGE_VAL,
                     std::nan("")}) {
      values.push_back(static_cast<T>(static_cast<float>(x)));
      if constexpr (std::is_same_v<T, double>) values.push_back(x);
      values.push_back(static_cast<T>(static_cast<float>(-x)));
    }
  }
  return values;
}

template <class T>
bool same(T a, T b) {
  if (std::isnan(value_of(a)) && std::isnan(value_of(b))) return true;
  return std::memcmp(&a, &b, sizeof a) == 0;
}

/// `count` elements from `begin` on, with steps in elements.
template <class From, class To>
void check(const std::vector<From>& values, size_t begin, int64_t count, int64_t from_step,
           int64_t to_step) {
  const auto from_size = static_cast<size_t>((count - 1) * from_step + 1);
  std::vector<std::byte> from(from_size * sizeof(From));
  std::vector<std::byte> to(static_cast<size_t>((count - 1) * to_step + 2) * sizeof(To),
                            std::byte{0xA5});
  const auto source = [&](int64_t i) {
    return static_cast<From>(values[(begin + static_cast<size_t>(i)) % values.size()]);
  };
  for (int64_t i = 0; i < count; ++i) {
    const From value = source(i);
    std::memcpy(from.data() + static_cast<size_t>(i * from_step) * sizeof(From), &value,
                sizeof value);
  }
  copy_convert(to.data(), dtype_of<To>, {to_step}, from.data(), dtype_of<From>, {from_step},
               {count});
  for (int64_t i = 0; i < count; ++i) {
    To got;
    std::memcpy(&got, to.data() + static_cast<size_t>(i * to_step) * sizeof(To), sizeof got);
    const To wanted = expected<To>(source(i));
    ASSERT_TRUE(same(got, wanted))
        << dtype_name(dtype_of<From>) << " to " << dtype_name(dtype_of<To>) << " of "
        << static_cast<double>(value_of(source(i))) << ": " << static_cast<double>(value_of(got))
        << ", not " << static_cast<double>(value_of(wanted)) << "; " << count << " elements, steps "
        << from_step << " and " << to_step;
  }
  for (size_t i = to.size() - sizeof(To); i < to.size(); ++i) {
    ASSERT_EQ(to[i], std::byte{0xA5}) << "written behind the end";
  }
}

TEST(Convert, DoesWhatTheRulesSayForEveryPair) {
  for (const DType from : all_dtypes) {
    for (const DType to : all_dtypes) {
      if (is_complex(from) || is_complex(to)) continue;
      visit_dtype(from, [&]<class From>() {
        visit_dtype(to, [&]<class To>() {
          const std::vector<From> values = edges<From>();
          const auto all = static_cast<int64_t>(values.size());
          check<From, To>(values, 0, all, 1, 1);
          check<From, To>(values, 0, all, 3, 1);
          check<From, To>(values, 0, all, 1, 2);
          check<From, To>(values, 0, all, 2, 3);
          check<From, To>(values, 3, 700, 1, 1);  // more than a block
          check<From, To>(values, 3, 700, 2, 2);
          for (int64_t count = 1; count < 40; ++count) {
            check<From, To>(values, static_cast<size_t>(count), count, 1, 1);
          }
        });
      });
      if (HasFatalFailure()) return;
    }
  }
}

/// Every other element of a buffer, from and to complex numbers.
TEST(Convert, TakesComplexNumbersInParts) {
  const std::vector<int16_t> whole = {1, -2, 3, 4, 5, -6};
  std::vector<Complex<float>> narrow(6, {9, 9});
  copy_convert(reinterpret_cast<std::byte*>(narrow.data()), DType::c64, {1},
               reinterpret_cast<const std::byte*>(whole.data()), DType::i16, {2}, {3});
  EXPECT_TRUE(narrow[0] == Complex<float>(1) && narrow[1] == Complex<float>(3));
  EXPECT_TRUE(narrow[2] == Complex<float>(5) && narrow[3] == Complex<float>(9, 9));
  narrow[1] = {0.1f, -INFINITY};
  std::vector<Complex<double>> wide(5, {7, 7});
  copy_convert(reinterpret_cast<std::byte*>(wide.data()), DType::c128, {2},
               reinterpret_cast<const std::byte*>(narrow.data()), DType::c64, {1}, {3});
  EXPECT_TRUE(wide[0] == Complex<double>(1) && wide[1] == Complex<double>(7, 7));
  EXPECT_TRUE(wide[2] == Complex<double>(0.1f, -INFINITY) && wide[4] == Complex<double>(5));
}

}  // namespace
}  // namespace taper

// Remainders against integer arithmetic and the C library.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace taper {
namespace {

/// That of Python: with the sign of the divisor.
template <class T>
T python_remainder(T a, T b) {
  if (std::is_signed_v<T> && b == T(-1)) return 0;
  const T rest = static_cast<T>(a % b);
  return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
}

template <class T>
void check_integers(const std::vector<T>& a, const std::vector<T>& b) {
  const Shape shape{static_cast<int64_t>(a.size())};
  const std::vector<T> got =
      remainder(from_values(shape, a), from_values(shape, b)).template to_vector<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(got[i], python_remainder(a[i], b[i])) << +a[i] << " % " << +b[i];
  }
}

TEST(Remainder, OfAllBytes) {
  std::vector<int8_t> a, b;
  std::vector<uint8_t> c, d;
  for (int x = 0; x < 256; ++x) {
    for (int y = 1; y < 256; ++y) {
      a.push_back(static_cast<int8_t>(x - 128));
      b.push_back(static_cast<int8_t>(y < 128 ? y : y - 256));
      c.push_back(static_cast<uint8_t>(x));
      d.push_back(static_cast<uint8_t>(y));
    }
  }
  check_integers(a, b);
  check_integers(c, d);
}

/// Neighbours of multiples, where a rounded quotient would be taken for a whole one, and the ends.
template <class T>
void check_near_multiples() {
  using Limits = std::numeric_limits<T>;
  std::mt19937_64 random(7);
  std::vector<T> a, b;
  const auto add = [&](T x, T y) {
    if (y == 0) return;
    a.push_back(x);
    b.push_back(y);
  };
  const T ends[] = {
      Limits::min(), Limits::min() + 1, Limits::max(), Limits::max() - 1, 1, -1, 2, 3};
  for (T x : ends) {
    for (T y : ends) add(x, y);
  }
  for (int i = 0; i < 20'000; ++i) {
    const int shift = static_cast<int>(random() % (sizeof(T) * 8 - 1));
    const T y = static_cast<T>(static_cast<T>(random()) >> shift);
    if (y == 0 || y == -1) continue;
    const T multiple = static_cast<T>(static_cast<T>(random()) / y * y);
    add(multiple, y);
    if (multiple < Limits::max()) add(static_cast<T>(multiple + 1), y);
    if (multiple > Limits::min()) add(static_cast<T>(multiple - 1), y);
  }
  check_integers(a, b);
}

TEST(Remainder, OfIntegersNearMultiples) {
  check_near_multiples<int16_t>();
  check_near_multiples<int32_t>();
  check_near_multiples<int64_t>();
}

template <class T>
T float_remainder(T a, T b) {
  const T rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(T(0), b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

/// Random bits are numbers of all sizes; beside them quotients that are whole or nearly so.
template <class T, class Word>
void check_floats() {
  std::mt19937_64 random(11);
  std::vector<T> a, b;
  const T special[] = {0,
                       -T(0),
                       1,
                       -1,
                       T(0.1),
                       T(0.3),
                       std::numeric_limits<T>::denorm_min(),
                       std::numeric_limits<T>::max(),
                       std::numeric_limits<T>::infinity(),
                       std::numeric_limits<T>::quiet_NaN()};
  for (T x : special) {
    for (T y : special) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  for (int i = 0; i < 20'000; ++i) {
    a.push_back(std::bit_cast<T>(static_cast<Word>(random())));
    b.push_back(std::bit_cast<T>(static_cast<Word>(random())));
    const T y = static_cast<T>(std::ldexp(static_cast<double>(random() % 1'000'003) + 1, -13));
    const T whole = y * static_cast<T>(random() % 4'000'000);
    for (T x : {whole, std::nextafter(whole, T(0)), std::nextafter(whole, whole * 2), -whole}) {
      a.push_back(x);
      b.push_back(i % 2 == 0 ? y : -y);
    }
  }
  const Shape shape{static_cast<int64_t>(a.size())};
  const std::vector<T> got =
      remainder(from_values(shape, a), from_values(shape, b)).template to_vector<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    const T want = float_remainder(a[i], b[i]);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got[i])) << a[i] << " % " << b[i];
    } else if (!std::isinf(b[i])) {  // of which the row says more than C
      ASSERT_EQ(got[i], want) << a[i] << " % " << b[i];
      ASSERT_EQ(std::signbit(got[i]), std::signbit(want)) << a[i] << " % " << b[i];
    }
  }
}

TEST(Remainder, OfFloatsIsExact) {
  check_floats<float, uint32_t>();
  check_floats<double, uint64_t>();
}

}  // namespace
}  // namespace taper

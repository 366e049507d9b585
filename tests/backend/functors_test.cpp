// Accuracy of the elementary functions against the C library's long double, their special values,
// equality of scalars and SIMD in every bit, and tile functions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/backend/exact_functions.h"
#include "tests/backend/functors_isa.h"

namespace taper {
namespace {

namespace ft = functor_test;
using exact::ulps;

// ------------------------------------------------------------------------------------ helpers

// A fixed sequence (splitmix64).
class Generator {
 public:
  explicit Generator(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

template <class E>
using WordOf = std::conditional_t<sizeof(E) == 4, uint32_t, uint64_t>;

template <class E>
WordOf<E> bits_of(E x) {
  return __builtin_bit_cast(WordOf<E>, x);
}

// Equal in every bit, or both NaN.
template <class E>
bool same(E a, E b) {
  return (std::isnan(a) && std::isnan(b)) || bits_of(a) == bits_of(b);
}

const ft::Table* table_of(int level) {
  if (level == 3) {
    const bool ok = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return ok ? &v3::functor_table() : nullptr;
  }
  const bool ok = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512cd");
  return ok ? &v4::functor_table() : nullptr;
}

// The tables that this machine can run.
std::vector<std::pair<std::string, const ft::Table*>> tables() {
  std::vector<std::pair<std::string, const ft::Table*>> found;
  for (const int level : {3, 4}) {
    if (const ft::Table* table = table_of(level)) found.emplace_back(std::to_string(level), table);
  }
  return found;
}

template <class E>
const ft::Tiles& tiles_of(const ft::Table& table) {
  if constexpr (sizeof(E) == 4) {
    return table.f32;
  } else {
    return table.f64;
  }
}

template <class E>
std::vector<E> specials() {
  using L = std::numeric_limits<E>;
  std::vector<E> values;
  for (const E x : {E(0),          L::denorm_min(),
                    L::min() / 2,  L::min(),
                    L::epsilon(),  E(0.25),
                    E(0.5),        E(0.625),
                    E(0.75),       E(1),
                    E(1.5),        E(2),
                    E(2.5),        E(3),
                    E(4),          E(5),
                    E(88),         E(89),
                    E(103),        E(104),
                    E(709),        E(710),
                    E(745),        E(746),
                    E(1e10),       E(1e30),
                    L::max(),      L::infinity(),
                    L::quiet_NaN()}) {
    values.push_back(x);
    values.push_back(-x);
  }
  return values;
}

// All exponents and signs, then points spread evenly over [low, high], then the special values.
template <class E>
std::vector<E> sweep(double low, double high, size_t count, uint64_t seed) {
  Generator generator(seed);
  std::vector<E> xs = specials<E>();
  for (size_t i = 0; i < count; ++i) {
    const auto word = static_cast<WordOf<E>>(generator.next() >> (64 - 8 * sizeof(E)));
    xs.push_back(__builtin_bit_cast(E, word));
  }
  for (size_t i = 0; i < count; ++i) xs.push_back(static_cast<E>(generator.uniform(low, high)));
  return xs;
}

template <class E>
std::vector<E> run(ft::TileFn tile, const std::vector<const void*>& in, size_t n,
                   const void* functor = nullptr) {
  std::vector<E> out(n);
  tile(in.data(), out.data(), n, functor);
  return out;
}

// ----------------------------------------------------------------------------------- accuracy

struct Case {
  const char* name;
  ft::Unary index;
  float (*f32)(float);
  double (*f64)(double);
  long double (*exact)(long double);
  double low;
  double high;
  double bound32;  // ULP
  double bound64;
};

#define TAPER_CASE(name) \
  #name, ft::k_##name, [](float x) { return fn::name(x); }, [](double x) { return fn::name(x); }
#define TAPER_STD(name) [](long double x) -> long double { return std::name(x); }

const Case kCases[] = {
    {TAPER_CASE(exp), TAPER_STD(exp), -110, 90, 1, 2},
    {TAPER_CASE(expm1), TAPER_STD(expm1), -3, 3, 2, 2},
    {TAPER_CASE(log), TAPER_STD(log), 0, 4, 1, 2},
    {TAPER_CASE(log1p), TAPER_STD(log1p), -1, 3, 2, 2},
    {TAPER_CASE(tanh), TAPER_STD(tanh), -4, 4, 2, 4},
    {TAPER_CASE(sigmoid), exact::sigmoid, -100, 30, 3, 4},
    {TAPER_CASE(softplus), exact::softplus, -100, 30, 3, 4},
    {TAPER_CASE(erf), TAPER_STD(erf), -4, 4, 1, 2},
    {TAPER_CASE(silu), exact::silu, -110, 30, 4, 4},
    {TAPER_CASE(gelu), exact::gelu, -14, 6, 4, 4},
    {TAPER_CASE(normal_cdf), exact::normal_cdf, -14, 6, 5, 5},
    {TAPER_CASE(normal_pdf), exact::normal_pdf, -14, 14, 4, 4},
    {TAPER_CASE(sin), TAPER_STD(sin), -1e6, 1e6, 2, 2},
    {TAPER_CASE(cos), TAPER_STD(cos), -1e6, 1e6, 2, 2},
    {TAPER_CASE(sqrt), TAPER_STD(sqrt), 0, 9, 0.501, 0.501},
    {TAPER_CASE(rsqrt), [](long double x) { return 1 / std::sqrt(x); }, 0, 9, 2, 2},
    {TAPER_CASE(rint), TAPER_STD(rint), -9, 9, 0, 0},
    {TAPER_CASE(floor), TAPER_STD(floor), -9, 9, 0, 0},
    {TAPER_CASE(abs), TAPER_STD(fabs), -9, 9, 0, 0},
};

template <class E>
void check_accuracy(const Case& c, E (*f)(E), double bound) {
  double worst = 0;
  E worst_at = 0;
  for (const E x : sweep<E>(c.low, c.high, 100000, 1)) {
    const long double exact = c.exact(x);
    const E y = f(x);
    if (exact == 0) {
      EXPECT_TRUE(y == 0 && std::signbit(y) == std::signbit(exact)) << c.name << ' ' << x;
    }
    const double error = ulps(y, exact);
    if (error > worst) {
      worst = error;
      worst_at = x;
    }
  }
  EXPECT_LE(worst, bound) << c.name << " f" << 8 * sizeof(E) << " at " << worst_at;
  std::printf("  %-9s f%d  %.2f ULP at %.9g\n", c.name, static_cast<int>(8 * sizeof(E)), worst,
              static_cast<double>(worst_at));
}

TEST(Functors, AccuracyOfFloat) {
  for (const Case& c : kCases) check_accuracy<float>(c, c.f32, c.bound32);
}
TEST(Functors, AccuracyOfDouble) {
  for (const Case& c : kCases) check_accuracy<double>(c, c.f64, c.bound64);
}

template <class E>
void check_pow(double bound) {
  Generator generator(2);
  const double largest_log = std::log(static_cast<double>(std::numeric_limits<E>::max()));
  double worst = 0;
  std::pair<E, E> worst_at = {};
  const auto check = [&](E x, E y) {
    const long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(y));
    const double error = ulps(fn::pow(x, y), exact);
    if (error > worst) {
      worst = error;
      worst_at = {x, y};
    }
  };
  for (size_t i = 0; i < 100000; ++i) {
    // Results over the whole range: y = (log of the result) / log(x).
    const double log_x = generator.uniform(-largest_log, largest_log);
    const double log_result = generator.uniform(-1.05 * largest_log, 1.05 * largest_log);
    check(static_cast<E>(std::exp(log_x)), static_cast<E>(log_result / log_x));
    const double near_one = 1 + std::exp(generator.uniform(-16, 0)) * (i % 2 ? 0.99 : -0.99);
    check(static_cast<E>(near_one), static_cast<E>(log_result / std::log(near_one)));
    check(static_cast<E>(generator.uniform(-4, 4)), static_cast<E>(generator.next() % 41) - 20);
  }
  EXPECT_LE(worst, bound) << "pow f" << 8 * sizeof(E) << " at " << worst_at.first << ' '
                          << worst_at.second;
  std::printf("  pow       f%d  %.2f ULP at (%.9g, %.9g)\n", static_cast<int>(8 * sizeof(E)), worst,
              static_cast<double>(worst_at.first), static_cast<double>(worst_at.second));
  // C's rules for zeros, infinities, NaN and signs.
  for (const E x : specials<E>()) {
    for (const E y : specials<E>()) {
      const E expected = std::pow(x, y);
      const E actual = fn::pow(x, y);
      EXPECT_EQ(std::isnan(actual), std::isnan(expected)) << x << ' ' << y;
      if (std::isnan(expected)) continue;
      EXPECT_EQ(std::signbit(actual), std::signbit(expected)) << x << ' ' << y;
      const long double exact = expected;
      EXPECT_LE(ulps(actual, exact), bound + 1) << x << ' ' << y << ' ' << actual;
    }
  }
}

TEST(Functors, PowOfFloat) { check_pow<float>(2); }
TEST(Functors, PowOfDouble) { check_pow<double>(2); }

TEST(Functors, MinimumAndMaximumPropagateNaN) {
  const float nan = NAN;
  EXPECT_TRUE(std::isnan(fn::minimum(nan, 1.0f)) && std::isnan(fn::minimum(1.0f, nan)));
  EXPECT_TRUE(std::isnan(fn::maximum(nan, 1.0f)) && std::isnan(fn::maximum(1.0f, nan)));
  EXPECT_EQ(fn::minimum(1.0, 2.0), 1.0);
  EXPECT_EQ(fn::maximum(1.0, 2.0), 2.0);
  EXPECT_TRUE(std::isnan(fn::max(0.0f, nan)));
  EXPECT_EQ(fn::max(nan, 0.0f), 0.0f);
}

// ------------------------------------------------------------------------ SIMD against scalars

template <class E>
void check_bits(const std::string& isa, const ft::Tiles& tiles) {
  for (const Case& c : kCases) {
    const std::vector<E> xs = sweep<E>(c.low, c.high, 50000, 3);
    const std::vector<E> ys = run<E>(tiles.unary[c.index], {xs.data()}, xs.size());
    size_t different = 0;
    for (size_t i = 0; i < xs.size(); ++i) {
      E expected;
      if constexpr (sizeof(E) == 4) {
        expected = c.f32(xs[i]);
      } else {
        expected = c.f64(xs[i]);
      }
      if (!same(ys[i], expected) && ++different == 1) {
        ADD_FAILURE() << isa << ' ' << c.name << ' ' << xs[i] << ": " << ys[i] << ' ' << expected;
      }
    }
    EXPECT_EQ(different, 0u) << isa << ' ' << c.name << " f" << 8 * sizeof(E);
  }
  std::vector<E> xs;
  std::vector<E> ys;
  for (const E x : specials<E>()) {
    for (const E y : specials<E>()) {
      xs.push_back(x);
      ys.push_back(y);
    }
  }
  Generator generator(4);
  for (size_t i = 0; i < 50000; ++i) {
    xs.push_back(static_cast<E>(generator.uniform(-1, 20)));
    ys.push_back(static_cast<E>(generator.uniform(-30, 30)));
  }
  const std::vector<E> powers = run<E>(tiles.pow, {xs.data(), ys.data()}, xs.size());
  for (size_t i = 0; i < xs.size(); ++i) {
    ASSERT_TRUE(same(powers[i], fn::pow(xs[i], ys[i]))) << isa << ' ' << xs[i] << ' ' << ys[i];
  }
  const std::vector<E> points = sweep<E>(-6, 6, 20000, 5);
  const std::vector<E> values = run<E>(tiles.gelu, {points.data()}, points.size());
  const std::vector<E> slopes = run<E>(tiles.gelu_first, {points.data()}, points.size());
  const std::vector<E> bends = run<E>(tiles.gelu_second, {points.data()}, points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    ASSERT_TRUE(same(values[i], ft::Gelu()(points[i]))) << isa << ' ' << points[i];
    ASSERT_TRUE(same(slopes[i], ft::First<ft::Gelu>()(points[i]))) << isa << ' ' << points[i];
    ASSERT_TRUE(same(bends[i], ft::Second<ft::Gelu>()(points[i]))) << isa << ' ' << points[i];
  }
}

TEST(Functors, SimdEqualsScalarInEveryBit) {
  for (const auto& [isa, table] : tables()) {
    check_bits<float>(isa, table->f32);
    check_bits<double>(isa, table->f64);
  }
}

// -------------------------------------------------------------------------------------- tiles

constexpr size_t kLongest = 150;

template <class E>
std::vector<E> numbers(size_t n, uint64_t seed) {
  Generator generator(seed);
  std::vector<E> values(n);
  for (E& v : values) v = static_cast<E>(generator.uniform(0.1, 2));
  return values;
}

template <class E>
void check_tiles(const ft::Tiles& tiles) {
  const E guard = E(-77);
  for (size_t n = 0; n <= kLongest; ++n) {
    // Exact sizes, so that a sanitizer sees a read behind the end.
    std::vector<std::vector<E>> in;
    for (uint64_t k = 0; k < 12; ++k) in.push_back(numbers<E>(n, k));
    const void* pointers[12];
    for (size_t k = 0; k < 12; ++k) pointers[k] = in[k].data();
    std::vector<E> out(n + 40, guard);

    const ft::MulAdd3 mul_add{1.5f};
    tiles.mul_add3(pointers, out.data(), n, &mul_add);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(out[i], mul_add(in[0][i], in[1][i], in[2][i]));
    for (size_t i = n; i < out.size(); ++i) ASSERT_EQ(out[i], guard);

    tiles.sum12(pointers, out.data(), n, nullptr);
    for (size_t i = 0; i < n; ++i) {
      const auto x = [&](size_t k) { return in[k][i]; };
      ASSERT_EQ(out[i], ft::Sum12()(x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7), x(8), x(9),
                                    x(10), x(11)));
    }

    std::vector<uint8_t> truth(n + 40, 9);
    if (n > 3) in[0][3] = std::numeric_limits<E>::quiet_NaN();
    tiles.between(pointers, truth.data(), n, nullptr);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(truth[i], ft::Between()(in[0][i], in[1][i], in[2][i]) ? 1 : 0);
    }
    for (size_t i = n; i < truth.size(); ++i) ASSERT_EQ(truth[i], 9);
    if (n > 3) in[0][3] = E(1);

    std::vector<uint8_t> mask(truth.begin(), truth.begin() + static_cast<ptrdiff_t>(n));
    for (uint8_t& m : mask) m = static_cast<uint8_t>(m * 0x80);
    const void* choice[3] = {mask.data(), in[1].data(), in[2].data()};
    std::fill(out.begin(), out.end(), guard);
    tiles.select(choice, out.data(), n, nullptr);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(out[i], mask[i] ? in[1][i] : in[2][i]);
    for (size_t i = n; i < out.size(); ++i) ASSERT_EQ(out[i], guard);

    // Outputs that are inputs.
    const ft::Adam adam{0.1f};
    const std::vector<std::vector<E>> before(in.begin(), in.begin() + 4);
    void* results[3] = {in[0].data(), in[2].data(), in[3].data()};
    tiles.adam(pointers, results, n, &adam);
    for (size_t i = 0; i < n; ++i) {
      const auto y = adam(before[0][i], before[1][i], before[2][i], before[3][i]);
      ASSERT_EQ(in[0][i], y[0]);
      ASSERT_EQ(in[1][i], before[1][i]);
      ASSERT_EQ(in[2][i], y[1]);
      ASSERT_EQ(in[3][i], y[2]);
    }
    const std::vector<E> copy = in[1];
    tiles.mul_add3(pointers, in[1].data(), n, &mul_add);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(in[1][i], mul_add(in[0][i], copy[i], in[2][i]));
  }
}

TEST(Functors, TilesOfEveryLength) {
  for (const auto& [isa, table] : tables()) {
    SCOPED_TRACE(isa);
    check_tiles<float>(table->f32);
    check_tiles<double>(table->f64);
  }
}

double half_value(uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int fraction = h & 1023;
  double v = 0;
  if (exponent == 31) {
    v = fraction ? NAN : INFINITY;
  } else if (exponent == 0) {
    v = std::ldexp(fraction, -24);
  } else {
    v = std::ldexp(1024 + fraction, exponent - 25);
  }
  return h >> 15 ? -v : v;
}

TEST(Functors, Conversions) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  for (const auto& [isa, table] : tables()) {
    SCOPED_TRACE(isa);
    std::vector<float> wide(all.size());
    std::vector<uint16_t> back(all.size());
    table->f16_to_f32(all.data(), wide.data(), all.size());
    table->f32_to_f16(wide.data(), back.data(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      const float exact = static_cast<float>(half_value(all[i]));
      ASSERT_TRUE(same(wide[i], exact)) << i;
      if (std::isnan(exact)) {
        ASSERT_TRUE(std::isnan(half_value(back[i]))) << i;
      } else {
        ASSERT_EQ(back[i], all[i]);
      }
    }
    // Between two neighbours: to the nearer one, in the middle to the even one.
    for (uint16_t h = 0; h < 0x7c00; ++h) {
      const double next = h == 0x7bff ? 65536 : half_value(static_cast<uint16_t>(h + 1));
      const float middle = static_cast<float>((half_value(h) + next) / 2);
      const float in[3] = {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, 1e9f)};
      uint16_t out[3];
      table->f32_to_f16(in, out, 3);
      ASSERT_EQ(out[0], h);
      ASSERT_EQ(out[1], h + (h & 1));
      ASSERT_EQ(out[2], h + 1);
    }
    table->bf16_to_f32(all.data(), wide.data(), all.size());
    table->f32_to_bf16(wide.data(), back.data(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(bits_of(wide[i]), static_cast<uint32_t>(i) << 16);
      ASSERT_EQ(back[i], std::isnan(wide[i]) ? (i | 0x40) : i);
    }
    for (uint32_t h = 0; h < 0x7f80; ++h) {
      const uint32_t middle = (h << 16) | 0x8000;
      const float in[3] = {__builtin_bit_cast(float, middle - 1), __builtin_bit_cast(float, middle),
                           __builtin_bit_cast(float, middle + 1)};
      uint16_t out[3];
      table->f32_to_bf16(in, out, 3);
      ASSERT_EQ(out[0], h);
      ASSERT_EQ(out[1], h + (h & 1));
      ASSERT_EQ(out[2], h + 1);
    }
    const float low_nan = __builtin_bit_cast(float, 0xff800001u);
    uint16_t out = 0;
    table->f32_to_bf16(&low_nan, &out, 1);
    EXPECT_EQ(out, 0xffc0);
    for (size_t n = 0; n < 40; ++n) {
      const std::vector<float> in = numbers<float>(n, 6);
      std::vector<uint16_t> short_out(n + 20, 7);
      table->f32_to_f16(in.data(), short_out.data(), n);
      for (size_t i = n; i < short_out.size(); ++i) ASSERT_EQ(short_out[i], 7);
      std::vector<float> again(n);
      table->f16_to_f32(short_out.data(), again.data(), n);
      for (size_t i = 0; i < n; ++i) ASSERT_NEAR(again[i], in[i], 1e-3);
    }
  }
}

}  // namespace
}  // namespace taper

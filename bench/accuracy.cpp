// How far the elementary functions are from long double, as the table of docs/accuracy.md:
// `build/release/bench/accuracy`. Float: every 4093rd of all numbers and 2^20 of the range where
// the function varies; double: 2^20 of each. It takes half a minute.

#include <taper/taper.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>
#include <vector>

#include "tests/backend/exact_functions.h"

namespace taper {
namespace {

constexpr uint64_t samples = uint64_t{1} << 20;

struct Function {
  const char* name;
  Tensor (*op)(const Tensor&);
  long double (*exact)(long double);
  double low;  // the range where it varies
  double high;
};

#define TAPER_STD(name) [](long double x) -> long double { return std::name(x); }

const Function functions[] = {
    {"exp", exp, TAPER_STD(exp), -110, 90},
    {"expm1", expm1, TAPER_STD(expm1), -3, 3},
    {"log", log, TAPER_STD(log), 0, 4},
    {"log1p", log1p, TAPER_STD(log1p), -1, 3},
    {"sqrt", sqrt, TAPER_STD(sqrt), 0, 9},
    {"rsqrt", rsqrt, [](long double x) { return 1 / std::sqrt(x); }, 0, 9},
    {"reciprocal", reciprocal, [](long double x) { return 1 / x; }, -9, 9},
    {"sin", sin, TAPER_STD(sin), -1e6, 1e6},
    {"cos", cos, TAPER_STD(cos), -1e6, 1e6},
    {"tanh", tanh, TAPER_STD(tanh), -4, 4},
    {"sinh", sinh, TAPER_STD(sinh), -90, 90},
    {"erf", erf, TAPER_STD(erf), -4, 4},
    {"sigmoid", sigmoid, exact::sigmoid, -100, 30},
    {"softplus", softplus, exact::softplus, -100, 30},
    {"gelu", gelu, exact::gelu, -14, 6},
    {"silu", silu, exact::silu, -110, 30},
    {"elu", [](const Tensor& x) { return elu(x, 1); },
     [](long double x) { return x > 0 ? x : std::expm1(x); }, -3, 3},
};

/// A fixed sequence (splitmix64).
uint64_t next(uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double between(double low, double high, uint64_t& state) {
  return low + (high - low) * static_cast<double>(next(state) >> 11) * 0x1p-53;
}

template <class E>
std::vector<E> arguments(double low, double high) {
  using Word = std::conditional_t<sizeof(E) == 4, uint32_t, uint64_t>;
  uint64_t state = 1;
  std::vector<E> values;
  for (uint64_t i = 0; i < samples; ++i) {
    const Word word = sizeof(E) == 4 ? static_cast<Word>(i * 4093) : static_cast<Word>(next(state));
    E value;
    std::memcpy(&value, &word, sizeof value);
    values.push_back(value);
    values.push_back(static_cast<E>(between(low, high, state)));
  }
  return values;
}

template <class E>
double worst_of(const Function& function) {
  const std::vector<E> x = arguments<E>(function.low, function.high);
  const std::vector<E> y =
      function.op(from_values<E>({static_cast<int64_t>(x.size())}, x)).template to_vector<E>();
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, exact::ulps(y[i], function.exact(x[i])));
  }
  return worst;
}

/// Bases of all sizes with results over the whole range, and bases near 1.
template <class E>
double worst_of_pow() {
  const double largest_log = std::log(static_cast<double>(std::numeric_limits<E>::max()));
  uint64_t state = 2;
  std::vector<E> x;
  std::vector<E> y;
  for (uint64_t i = 0; i < samples / 2; ++i) {
    const double log_x = between(-largest_log, largest_log, state);
    const double log_result = between(-1.05 * largest_log, 1.05 * largest_log, state);
    x.push_back(static_cast<E>(std::exp(log_x)));
    y.push_back(static_cast<E>(log_result / log_x));
    const double near_one = 1 + std::exp(between(-16, 0, state)) * (i % 2 ? 0.99 : -0.99);
    x.push_back(static_cast<E>(near_one));
    y.push_back(static_cast<E>(log_result / std::log(near_one)));
  }
  const Shape shape{static_cast<int64_t>(x.size())};
  const std::vector<E> z =
      pow(from_values<E>(shape, x), from_values<E>(shape, y)).template to_vector<E>();
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const long double exact =
        std::pow(static_cast<long double>(x[i]), static_cast<long double>(y[i]));
    worst = std::max(worst, exact::ulps(z[i], exact));
  }
  return worst;
}

void print_row(const char* name, double single, double twice) {
  std::printf("| `%s` | %.2f | %.2f |\n", name, single, twice);
  std::fflush(stdout);
}

}  // namespace
}  // namespace taper

int main() {
  using namespace taper;
  std::printf("| function | f32 | f64 |\n|---|---|---|\n");
  for (const Function& function : functions) {
    print_row(function.name, worst_of<float>(function), worst_of<double>(function));
  }
  print_row("pow", worst_of_pow<float>(), worst_of_pow<double>());
  return 0;
}

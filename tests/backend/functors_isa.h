// Functors under test and the table through which functors_isa.cpp, compiled once per instruction
// set, hands out their tile functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "taper/backend/cpu/simd/dual.h"

namespace taper::functor_test {

using TileFn = void (*)(const void* const* in, void* out, size_t n, const void* functor);
using MultiFn = void (*)(const void* const* in, void* const* out, size_t n, const void* functor);
using ConvertFn = void (*)(const void* in, void* out, size_t n);

// The functions of one argument, each with a functor of its name.
// clang-format off: it never settles on one layout of this list
#define TAPER_TEST_UNARY(X) \
  X(exp) X(expm1) X(log) X(log1p) X(tanh) X(sigmoid) X(softplus) X(erf) \
  X(silu) X(gelu) X(normal_cdf) X(normal_pdf) X(sin) X(cos) X(sqrt) X(rsqrt) X(rint) X(floor) X(abs)
// clang-format on

#define TAPER_TEST_FUNCTOR(name) \
  struct Do_##name {             \
    template <class T>           \
    T operator()(T x) const {    \
      return name(x);            \
    }                            \
  };
TAPER_TEST_UNARY(TAPER_TEST_FUNCTOR)
#undef TAPER_TEST_FUNCTOR

enum Unary {
#define TAPER_TEST_ENUM(name) k_##name,
  TAPER_TEST_UNARY(TAPER_TEST_ENUM)
#undef TAPER_TEST_ENUM
      kUnaryCount
};

struct Pow {
  template <class T>
  T operator()(T x, T y) const {
    return pow(x, y);
  }
};

struct Gelu {
  template <class T>
  T operator()(T x) const {
    return gelu(x);
  }
};

struct MulAdd3 {
  float scale = 1;
  template <class T>
  T operator()(T a, T b, T c) const {
    return fma(a, b * T(scale), c);
  }
};

struct Sum12 {
  template <class T>
  T operator()(T a, T b, T c, T d, T e, T f, T g, T h, T i, T j, T k, T l) const {
    return ((a + b) + (c + d)) + ((e + f) - (g + h)) + ((i + j) - (k + l));
  }
};

// Every operator of masks.
struct Between {
  template <class T>
  auto operator()(T x, T low, T high) const {
    return ((x > low) & (x <= high)) | !(x == x);
  }
};

struct Select {
  template <class M, class T>
  T operator()(M mask, T a, T b) const {
    return where(mask, a, b);
  }
};

struct Adam {
  float rate = 0.01f;
  template <class T>
  std::array<T, 3> operator()(T p, T g, T m, T v) const {
    const T next_m = fma(T(0.9), m, T(0.1) * g);
    const T next_v = fma(T(0.999), v, T(0.001) * g * g);
    const T next_p = p - T(rate) * next_m / (sqrt(next_v) + T(1e-8));
    return {next_p, next_m, next_v};
  }
};

template <class F>
struct First {
  template <class T>
  T operator()(T x) const {
    return F()(fn::Dual<T>(x, T(1.0))).derivative;
  }
};

template <class F>
struct Second {
  template <class T>
  T operator()(T x) const {
    using D = fn::Dual<T>;
    const D inner(x, T(1.0));
    return F()(fn::Dual<D>(inner, D(1.0))).derivative.derivative;
  }
};

// The tile functions of one instruction set and element type.
struct Tiles {
  TileFn unary[kUnaryCount];
  TileFn pow;
  TileFn gelu;
  TileFn gelu_first;
  TileFn gelu_second;
  TileFn mul_add3;
  TileFn sum12;
  TileFn between;
  TileFn select;
  MultiFn adam;
};

struct Table {
  Tiles f32;
  Tiles f64;
  ConvertFn f16_to_f32;
  ConvertFn f32_to_f16;
  ConvertFn bf16_to_f32;
  ConvertFn f32_to_bf16;
};

}  // namespace taper::functor_test

namespace taper::v3 {
const functor_test::Table& functor_table();
}
namespace taper::v4 {
const functor_test::Table& functor_table();
}

#include <taper/ops/pointwise/pointwise.h>

#if TAPER_ROWS
#include <cmath>
#endif

namespace taper {

#define TAPER_UNARY_FUNCTOR(Name, expression) \
  struct Name {                               \
    template <class T>                        \
    TAPER_FN T operator()(const T& x) const { \
      return expression;                      \
    }                                         \
  };

TAPER_UNARY_FUNCTOR(Sqrt, sqrt(x))
TAPER_UNARY_FUNCTOR(Rsqrt, T(1.0) / sqrt(x))
TAPER_UNARY_FUNCTOR(Exp, exp(x))
TAPER_UNARY_FUNCTOR(Expm1, expm1(x))
TAPER_UNARY_FUNCTOR(Log, log(x))
TAPER_UNARY_FUNCTOR(Log1p, log1p(x))
TAPER_UNARY_FUNCTOR(Sin, sin(x))
TAPER_UNARY_FUNCTOR(Cos, cos(x))
TAPER_UNARY_FUNCTOR(Tanh, tanh(x))
TAPER_UNARY_FUNCTOR(Erf, erf(x))
TAPER_UNARY_FUNCTOR(Sigmoid, sigmoid(x))
TAPER_UNARY_FUNCTOR(Softplus, softplus(x))
#undef TAPER_UNARY_FUNCTOR

/// With e = exp(|x|) - 1, which keeps the digits near zero; where exp would overflow before sinh,
/// as a product of exp(|x| / 2).
struct Sinh {
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    const T a = abs(x);
    const T e = expm1(a);
    const T y = T(0.5) * (e + e / (e + T(1.0)));
    const auto is_large = a >= T(20.0);
    if (__builtin_expect(any_lane(is_large), 0)) {
      const T half = exp(T(0.5) * a);
      return copysign(where(is_large, T(0.5) * half * half, y), x);
    }
    return copysign(y, x);
  }
};

struct Power {
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    if constexpr (std::is_integral_v<T>) {  // modulo 2^bits, as products of integers are
      auto square = static_cast<uint64_t>(a);
      auto left = static_cast<uint64_t>(b);
      uint64_t result = 1;
#pragma GCC unroll 4
      for (int bit = 0; bit < 4; ++bit) {  // no branch where exponents are small
        result *= (left >> bit & 1) != 0 ? square : 1;
        square *= square;
      }
      for (left >>= 4; left != 0; left >>= 1) {
        result *= (left & 1) != 0 ? square : 1;
        square *= square;
      }
      return static_cast<T>(result);
    } else {
      return pow(a, b);
    }
  }
};

/// By the bits of the number: its exponent is moved to that of 0.5. A subnormal number has none, so
/// it is made larger first.
struct Frexp {
  static constexpr bool scalar = true;
  static constexpr size_t results = 2;
  template <class T>
  TAPER_FN std::tuple<T, int32_t> operator()(const T& x) const {
    using Word = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint64_t>;
    constexpr int digits = std::is_same_v<T, float> ? 23 : 52;
    constexpr Word field = std::is_same_v<T, float> ? 0xff : 0x7ff;
    constexpr Word half = field / 2 - 1;  // the exponent field of 0.5
    constexpr T larger = static_cast<T>(uint64_t{1} << digits);
    const bool is_subnormal = (__builtin_bit_cast(Word, x) >> digits & field) == 0;
    const Word bits = __builtin_bit_cast(Word, is_subnormal ? x * larger : x);
    const Word exponent = bits >> digits & field;
    const Word mantissa = (bits & ~(field << digits)) | half << digits;
    const bool stays = x == T(0) || exponent == field;
    const auto power =
        static_cast<int32_t>(exponent) - static_cast<int32_t>(half) - (is_subnormal ? digits : 0);
    return {stays ? x : __builtin_bit_cast(T, mantissa), stays ? 0 : power};
  }
};

/// g * (1 - y^2) and g * y * (1 - y): one pass each for the gradients from the saved output.
struct TanhGrad {
  template <class T>
  TAPER_FN T operator()(const T& g, const T& y) const {
    return g * (T(1.0) - y * y);
  }
};
struct SigmoidGrad {
  template <class T>
  TAPER_FN T operator()(const T& g, const T& y) const {
    return g * (y * (T(1.0) - y));
  }
};

TAPER_TILES(Sqrt)
TAPER_TILES(Rsqrt)
TAPER_TILES(Exp)
TAPER_TILES(Expm1)
TAPER_TILES(Log)
TAPER_TILES(Log1p)
TAPER_TILES(Sin)
TAPER_TILES(Cos)
TAPER_TILES(Tanh)
TAPER_TILES(Sinh)
TAPER_TILES(Erf)
TAPER_TILES(Sigmoid)
TAPER_TILES(Softplus)
TAPER_TILES(Power)
TAPER_TILES(Frexp)
TAPER_TILES(TanhGrad)
TAPER_TILES(SigmoidGrad)

#if TAPER_ROWS

namespace {

template <class F>
std::vector<Sample<F>> wide() {
  return {{.inputs = {{.shape = {3, 4}, .low = -4, .high = 4}}}, {.inputs = {{.shape = {}}}}};
}
template <class F>
std::vector<Sample<F>> positive() {
  return {{.inputs = {{.shape = {3, 4}, .low = 0.2, .high = 4}}},
          {.inputs = {{.shape = {5}, .low = 0.5, .high = 50}}}};
}
SampleInput whole(const Shape& shape, double low, double high, DType dtype = DType::i64) {
  return {.shape = shape, .low = low, .high = high, .dtype = dtype};
}
std::vector<Sample<Power>> power_samples() {
  const SampleInput flags{.shape = {2}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {
      {.inputs = {{.shape = {3, 4}, .low = 0.3, .high = 3}, {.shape = {4}, .low = -2, .high = 2}}},
      {.inputs = {{.shape = {}, .low = 0.5, .high = 2}, {.shape = {2, 3}}}},
      {.inputs = {whole({3, 4}, -4, 4), whole({3, 4}, 0, 5)}},
      {.inputs = {whole({2, 1}, -4, 4), whole({5}, 0, 5)}},
      {.inputs = {whole({7}, 0, 3, DType::i32), whole({}, 2, 3, DType::i32)}},
      {.inputs = {whole({3}, 1, 4), whole({3}, -4, -1)}, .error = "is no integer"},
      {.inputs = {flags, flags}, .error = "does not take bool"},
      {.inputs = {whole({2, 3}, 0, 3), whole({2}, 0, 3)}, .error = "do not broadcast"}};
}
std::vector<Sample<Frexp>> frexp_samples() {
  return {{.inputs = {{.shape = {3, 4}, .low = 0.55, .high = 0.95}}},
          {.inputs = {{.shape = {2, 7}, .low = -3.9, .high = -2.1}}},
          {.inputs = {{.shape = {3}, .low = 0, .high = 5, .dtype = DType::i32}}}};
}
template <class F>
std::vector<Sample<F>> two_same() {
  return {{.inputs = {{.shape = {3, 4}}, {.shape = {3, 4}}}}};
}

Tensor tanh_grad(const Tensor& grad, const Tensor& y);
Tensor sigmoid_grad(const Tensor& grad, const Tensor& y);

Grads tanh_grad_vjp(const Saved& s, const TanhGrad&) {
  const Tensor& grad = s.grad();
  return {s.needs(0) ? tanh_grad(grad, s.in(1)) : Tensor(),
          s.needs(1) ? grad * s.in(0) * (s.in(1) * -2) : Tensor()};
}
Grads sigmoid_grad_vjp(const Saved& s, const SigmoidGrad&) {
  const Tensor& grad = s.grad();
  return {s.needs(0) ? sigmoid_grad(grad, s.in(1)) : Tensor(),
          s.needs(1) ? grad * s.in(0) * (1 - s.in(1) * 2) : Tensor()};
}

const PointwiseOp<TanhGrad> tanh_grad_op =
    Pointwise<TanhGrad>{.name = "tanh_grad",
                        .doc = "grad * (1 - y * y): the gradient of tanh from its output.",
                        .internal = true,
                        .inputs = {"grad", "y"},
                        .grad = Grad<TanhGrad>(tanh_grad_vjp, Saves::inputs),
                        .reuse = {{0, 0}},
                        .no_golden = golden_in_its_row,
                        .samples = two_same<TanhGrad>};
const PointwiseOp<SigmoidGrad> sigmoid_grad_op =
    Pointwise<SigmoidGrad>{.name = "sigmoid_grad",
                           .doc = "grad * y * (1 - y): the gradient of sigmoid from its output.",
                           .internal = true,
                           .inputs = {"grad", "y"},
                           .grad = Grad<SigmoidGrad>(sigmoid_grad_vjp, Saves::inputs),
                           .reuse = {{0, 0}},
                           .no_golden = golden_in_its_row,
                           .samples = two_same<SigmoidGrad>};

Tensor tanh_grad(const Tensor& grad, const Tensor& y) { return tanh_grad_op({grad, y}); }
Tensor sigmoid_grad(const Tensor& grad, const Tensor& y) { return sigmoid_grad_op({grad, y}); }

Grads sqrt_vjp(const Saved& s, const Sqrt&) { return {s.grad() * 0.5 / s.out()}; }
Grads rsqrt_vjp(const Saved& s, const Rsqrt&) { return {s.grad() * -0.5 * (s.out() / s.in(0))}; }
Grads exp_vjp(const Saved& s, const Exp&) { return {s.grad() * s.out()}; }
Grads expm1_vjp(const Saved& s, const Expm1&) { return {s.grad() * (s.out() + 1)}; }
Grads log_vjp(const Saved& s, const Log&) { return {s.grad() / s.in(0)}; }
Grads log1p_vjp(const Saved& s, const Log1p&) { return {s.grad() / (s.in(0) + 1)}; }
Grads sin_vjp(const Saved& s, const Sin&) { return {s.grad() * cos(s.in(0))}; }
Grads cos_vjp(const Saved& s, const Cos&) { return {-(s.grad() * sin(s.in(0)))}; }
Grads tanh_vjp(const Saved& s, const Tanh&) { return {tanh_grad(s.grad(), s.out())}; }
Grads sigmoid_vjp(const Saved& s, const Sigmoid&) { return {sigmoid_grad(s.grad(), s.out())}; }
Grads softplus_vjp(const Saved& s, const Softplus&) { return {s.grad() * sigmoid(s.in(0))}; }
/// cosh(x) = sqrt(1 + sinh(x)^2), without overflow of the square.
Grads sinh_vjp(const Saved& s, const Sinh&) {
  const Tensor y = s.out();
  const double large = item_size(y.dtype()) < 4 ? 64 : 1e9;  // from where 1 makes no difference
  const Tensor is_large = greater(abs(y), large);
  const Tensor root = sqrt(square(where(is_large, 0, y)) + 1);
  return {s.grad() * where(is_large, abs(y), root)};
}
/// A mantissa grows by 2^-exponent of what x does.
Grads frexp_vjp(const Saved& s, const Frexp&) {
  const Tensor exponent = astype(s.out(1), s.in_spec(0).dtype);
  return {s.grad(0) * pow(2, -exponent)};
}
/// 2 / sqrt(pi) * exp(-x^2)
Grads erf_vjp(const Saved& s, const Erf&) {
  return {s.grad() * (exp(-square(s.in(0))) * 1.1283791670955126)};
}

/// The conventions of PyTorch: for x1 zero where the exponent is 0.
Grads pow_vjp(const Saved& s, const Power&) {
  const Tensor& base = s.in(0);
  const Tensor& exponent = s.in(1);
  Grads grads(2);
  if (s.needs(0)) {
    // Where the factor is 0 the power must be finite in every derivative: 0 * inf would be NaN.
    Tensor vanishes = equal(exponent, 0);
    if (exponent.requires_grad()) {  // whose own slope at 0 stays then
      vanishes = logical_and(vanishes, equal(abs(reciprocal(base)), INFINITY));
    }
    const Tensor slope = exponent * pow(base, where(vanishes, 1, exponent) - 1);
    grads[0] = detail::reduce_to(s.grad() * slope, s.in_spec(0).shape);
  }
  if (s.needs(1)) {
    // 0 where 0 stays 0; NaN for a base below 0, where the power is not defined beside the
    // exponent.
    const Tensor stays = logical_and(equal(base, 0), greater_equal(exponent, 0));
    const Tensor slope = where(stays, 0, s.out() * log(where(stays, 1, base)));
    grads[1] = detail::reduce_to(s.grad() * slope, s.in_spec(1).shape);
  }
  return grads;
}

template <class T>
void check_exponents(const View& exponents) {
  for_each_offset(exponents.shape(), *exponents.strides, [&](int64_t offset) {
    const T exponent = exponents.as<const T>()[offset];
    if (exponent >= T(0)) return;
    violate(ErrorKind::value, "an integer to the power " + std::to_string(exponent) +
                                  " is no integer; convert the base to a float with astype");
  });
}
void power_cpu(const Kernel& kernel, const Power& attrs) {
  visit_dtype(kernel.in(1).dtype(), [&]<class T>() {
    if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) check_exponents<T>(kernel.in(1));
  });
  detail::run_value<Power>(kernel, attrs);
}

template <class F>
Pointwise<F> unary(std::string_view name, std::string_view doc, typename Grad<F>::Rule rule,
                   Saves saves, std::vector<Sample<F>> (*samples)(), Onnx onnx = {}) {
  return {.name = name,
          .doc = doc,
          .promotion = Promotion::to_float,
          .grad = Grad<F>(rule, saves),
          .onnx = onnx,
          .samples = samples};
}

const PointwiseOp<Sqrt> sqrt_op = unary<Sqrt>("sqrt", "The square root; NaN below zero.", sqrt_vjp,
                                              Saves::outputs, positive<Sqrt>, {"Sqrt", 6});
const PointwiseOp<Rsqrt> rsqrt_op =
    unary<Rsqrt>("rsqrt", "1 / sqrt(x).", rsqrt_vjp, Saves::both, positive<Rsqrt>);
const PointwiseOp<Exp> exp_op =
    unary<Exp>("exp", "e to the power x.", exp_vjp, Saves::outputs, wide<Exp>, {"Exp", 6});
const PointwiseOp<Expm1> expm1_op =
    unary<Expm1>("expm1", "exp(x) - 1, exact near zero.", expm1_vjp, Saves::outputs, wide<Expm1>);
const PointwiseOp<Log> log_op = unary<Log>("log", "The natural logarithm; NaN below zero.", log_vjp,
                                           Saves::inputs, positive<Log>, {"Log", 6});
const PointwiseOp<Log1p> log1p_op = unary<Log1p>("log1p", "log(1 + x), exact near zero.", log1p_vjp,
                                                 Saves::inputs, positive<Log1p>);
const PointwiseOp<Sin> sin_op =
    unary<Sin>("sin", "The sine of x radians.", sin_vjp, Saves::inputs, wide<Sin>, {"Sin", 7});
const PointwiseOp<Cos> cos_op =
    unary<Cos>("cos", "The cosine of x radians.", cos_vjp, Saves::inputs, wide<Cos>, {"Cos", 7});
const PointwiseOp<Tanh> tanh_op = unary<Tanh>("tanh", "The hyperbolic tangent.", tanh_vjp,
                                              Saves::outputs, wide<Tanh>, {"Tanh", 6});
const PointwiseOp<Sinh> sinh_op =
    unary<Sinh>("sinh", "The hyperbolic sine.", sinh_vjp, Saves::outputs, wide<Sinh>, {"Sinh", 9});
const PointwiseOp<Frexp> frexp_op =
    Pointwise<Frexp>{.name = "frexp",
                     .doc = "The mantissa, from 0.5 to 1, and the exponent of 2 of each number.",
                     .outputs = {"mantissa", "exponent"},
                     .promotion = Promotion::to_float,
                     .grad = Grad<Frexp>(frexp_vjp, Saves::outputs),
                     .reuse = {{0, 0}},
                     .samples = frexp_samples};
const PointwiseOp<Erf> erf_op =
    unary<Erf>("erf", "The error function.", erf_vjp, Saves::inputs, wide<Erf>, {"Erf", 9});
const PointwiseOp<Sigmoid> sigmoid_op = Pointwise<Sigmoid>{.name = "sigmoid",
                                                           .doc = "1 / (1 + exp(-x)).",
                                                           .promotion = Promotion::to_float,
                                                           .grad = {{sigmoid_vjp, Saves::outputs}},
                                                           .role = Role::probabilities,
                                                           .onnx = {"Sigmoid", 6},
                                                           .samples = wide<Sigmoid>};
const PointwiseOp<Softplus> softplus_op =
    unary<Softplus>("softplus", "log(1 + exp(x)), without overflow.", softplus_vjp, Saves::inputs,
                    wide<Softplus>, {"Softplus", 1});
const Op<Power> pow_op{{.name = "pow",
                        .aliases = {"power"},
                        .doc = "x1 to the power x2; integers keep their dtype and wrap around.",
                        .inputs = {"x1", "x2"},
                        .promotion = Promotion::same,
                        .infer = detail::infer_functor<Power>,
                        .reference = detail::reference_pointwise<Power>,
                        .grad = {pow_vjp, Saves::both},
                        .layout = Layout::like_inputs,
                        .any_strides = true,
                        .refuses_values = true,
                        .reuse = {{0, 0}, {0, 1}},
                        .kernels = {.cpu = power_cpu},
                        .onnx = {"Pow", 15},
                        .samples = power_samples}};

}  // namespace

Tensor sqrt(const Tensor& x) { return sqrt_op({x}); }
Tensor rsqrt(const Tensor& x) { return rsqrt_op({x}); }
Tensor exp(const Tensor& x) { return exp_op({x}); }
Tensor expm1(const Tensor& x) { return expm1_op({x}); }
Tensor log(const Tensor& x) { return log_op({x}); }
Tensor log1p(const Tensor& x) { return log1p_op({x}); }
Tensor sin(const Tensor& x) { return sin_op({x}); }
Tensor cos(const Tensor& x) { return cos_op({x}); }
Tensor tanh(const Tensor& x) { return tanh_op({x}); }
Tensor sinh(const Tensor& x) { return sinh_op({x}); }
std::pair<Tensor, Tensor> frexp(const Tensor& x) {
  const Arg args[] = {x};
  Results parts = frexp_op.all(args);
  return {std::move(parts[0]), std::move(parts[1])};
}
Tensor erf(const Tensor& x) { return erf_op({x}); }
Tensor sigmoid(const Tensor& x) { return sigmoid_op({x}); }
Tensor softplus(const Tensor& x) { return softplus_op({x}); }
Tensor pow(const Operand& x1, const Operand& x2) { return pow_op({x1, x2}); }

#endif

}  // namespace taper

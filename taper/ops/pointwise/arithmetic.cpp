#include <taper/ops/pointwise/pointwise.h>

#if TAPER_ROWS
#include <limits>

#include <taper/backend/cpu/reduce.h>
#include <taper/ops/complex/conjugate.h>
#include <taper/ops/pointwise/rebind.h>
#endif

namespace taper {

struct Add {
  static constexpr bool takes_complex = true;
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a + b);
  }
};
struct Subtract {
  static constexpr bool takes_complex = true;
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a - b);
  }
};
/// By fused products, so that every place of a run rounds alike: compilers fuse plain ones of
/// complex numbers in vectors of them, whatever they are told, and not behind these.
template <class T>
TAPER_FN Complex<T> fused_product(const Complex<T>& a, const Complex<T>& b) {
  return {fma(a.re, b.re, -(a.im * b.im)), fma(a.re, b.im, a.im * b.re)};
}

struct Multiply {
  static constexpr bool takes_complex = true;
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    if constexpr (is_complex_type<T>) {
      return fused_product(a, b);
    } else {
      return T(a * b);
    }
  }
};
struct Divide {
  static constexpr bool takes_complex = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return a / b;
  }
};
/// The quotient's floor in floats, where it is exact: for numbers of at most half as many bits a
/// quotient that is no integer lies further from one than it is rounded. Vectors have no division
/// of integers.
template <class T>
using Quotient = std::conditional_t<sizeof(T) < 4, float, double>;

/// The remainder with the sign of the divisor, as Python's %; of infinities as NumPy's.
struct Remainder {
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    if constexpr (std::is_integral_v<T>) {
      // Zero is refused before; by -1 the lowest integer has no quotient, by 1 the same remainder.
      const T divisor = (b == T(0)) | (std::is_signed_v<T> & (b == T(-1))) ? T(1) : b;
      if constexpr (sizeof(T) < 8) {
        const auto x = static_cast<Quotient<T>>(a);
        const auto y = static_cast<Quotient<T>>(divisor);
        using Whole = std::conditional_t<sizeof(T) < 4, int32_t, T>;  // vectors convert to it
        return static_cast<T>(static_cast<Whole>(x - floor(x / y) * y));
      } else {  // no branches: signs are as good as random
        const auto rest = T(a % divisor);
        const bool other_side = (rest != T(0)) & ((rest < T(0)) != (divisor < T(0)));
        return T(rest + (other_side ? divisor : T(0)));
      }
    } else {
      const T rest = fmod(a, b);
      const auto other_side = ((rest < T(0.0)) & (b > T(0.0))) | ((rest > T(0.0)) & (b < T(0.0)));
      return where(rest == T(0.0), copysign(T(0.0), b), where(other_side, rest + b, rest));
    }
  }
};
struct Negative {
  static constexpr bool takes_complex = true;
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return T(-x);
  }
};
struct Square {
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return T(x * x);
  }
};
struct Reciprocal {
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return T(1.0) / x;
  }
};
struct Maximum {
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    if constexpr (std::is_integral_v<T>) {
      return a > b ? a : b;
    } else {
      return where((a > b) | (a != a), a, b);  // NaN of either operand
    }
  }
};
struct Minimum {
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    if constexpr (std::is_integral_v<T>) {
      return a < b ? a : b;
    } else {
      return where((a < b) | (a != a), a, b);
    }
  }
};
/// sqrt(re^2 + im^2), times a power of 2 where a square would overflow or lose digits. Infinite if
/// a part is, even beside a NaN.
template <class T>
TAPER_FN T size_of_complex(T re, T im) {
  constexpr bool is_double = std::is_same_v<T, double>;
  constexpr T infinity = __builtin_inf();
  constexpr T most = is_double ? 0x1p500 : 0x1p60;
  constexpr T least = is_double ? 0x1p-400 : 0x1p-40;
  constexpr T power = is_double ? 0x1p600 : 0x1p100;
  const T a = re < 0 ? -re : re;
  const T b = im < 0 ? -im : im;
  const bool is_large = (a > most) | (b > most);
  const bool is_small = (a < least) & (b < least);
  const T factor = is_large ? 1 / power : is_small ? power : T(1);
  const T back = is_large ? power : is_small ? 1 / power : T(1);
  const T x = a * factor;
  const T y = b * factor;
  T root;
  if constexpr (is_double) {
    root = __builtin_sqrt(x * x + y * y) * back;
  } else {
    root = __builtin_sqrtf(x * x + y * y) * back;
  }
  const bool is_infinite = (a == infinity) | (b == infinity);
  return is_infinite ? infinity : root;
}
struct Abs {
  static constexpr bool takes_complex = true;
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN auto operator()(const T& x) const {
    if constexpr (is_complex_type<T>) {
      return size_of_complex(x.re, x.im);
    } else if constexpr (std::is_integral_v<T>) {
      return x < T(0) ? T(-x) : x;
    } else {
      return abs(x);
    }
  }
};
struct Conj {
  static constexpr bool takes_complex = true;
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    if constexpr (is_complex_type<T>) {
      return {x.re, -x.im};
    } else {
      return x;
    }
  }
};
struct Sign {
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    if constexpr (std::is_integral_v<T>) {
      return T((x > T(0)) - (x < T(0)));
    } else {
      return where(x > T(0.0), T(1.0), where(x < T(0.0), T(-1.0), x));
    }
  }
};
struct Clip {
  static constexpr bool takes_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& x, const T& low, const T& high) const {
    if constexpr (std::is_integral_v<T>) {
      const T y = x < low ? low : x;
      return y > high ? high : y;
    } else {  // NaN of any
      const T y = where((x < low) | (low != low), low, x);
      return where((y > high) | (high != high), high, y);
    }
  }
};
struct Floor {
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return floor(x);
    }
  }
};
struct Round {
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return rint(x);
    }
  }
};

TAPER_TILES(Add)
TAPER_TILES(Subtract)
TAPER_TILES(Multiply)
TAPER_TILES(Divide)
TAPER_TILES(Remainder)
TAPER_TILES(Negative)
TAPER_TILES(Square)
TAPER_TILES(Reciprocal)
TAPER_TILES(Maximum)
TAPER_TILES(Minimum)
TAPER_TILES(Abs)
TAPER_TILES(Conj)
TAPER_TILES(Sign)
TAPER_TILES(Clip)
TAPER_TILES(Floor)
TAPER_TILES(Round)

#if TAPER_ROWS

namespace {

/// Equal shapes, a row or a column against a matrix, scalars, three axes.
template <class F>
std::vector<Sample<F>> binary_samples() {
  return {{.inputs = {{.shape = {2, 3}}, {.shape = {2, 3}}}},
          {.inputs = {{.shape = {4, 5}}, {.shape = {5}}}},
          {.inputs = {{.shape = {4, 1}}, {.shape = {3}}}},
          {.inputs = {{.shape = {}}, {.shape = {7}}}},
          {.inputs = {{.shape = {2, 1, 3}}, {.shape = {4, 1}}}},
          {.inputs = {{.shape = {2, 3}}, {.shape = {2}}}, .error = "do not broadcast"}};
}

std::vector<Sample<Add>> add_samples() {
  auto samples = binary_samples<Add>();
  const SampleInput whole{.shape = {3, 4}, .low = -9, .high = 9, .dtype = DType::i32};
  const SampleInput bytes{.shape = {4}, .low = 0, .high = 99, .dtype = DType::u8};
  samples.push_back({.inputs = {{.shape = {3, 4}}, whole}});
  samples.push_back({.inputs = {bytes, whole}});
  return samples;
}

std::vector<Sample<Divide>> divide_samples() {
  auto samples = binary_samples<Divide>();
  for (auto& sample : samples) sample.inputs[1].away = 0.3;
  const SampleInput whole{.shape = {2}, .low = 1, .high = 9, .dtype = DType::i32};
  samples.push_back({.inputs = {whole, whole}});
  return samples;
}

std::vector<Sample<Remainder>> remainder_samples() {
  const SampleInput whole{.shape = {3, 5}, .low = -20, .high = 20, .dtype = DType::i32};
  const SampleInput divisor{.shape = {5}, .low = 2, .high = 7, .dtype = DType::i32};
  const SampleInput below{.shape = {3, 1}, .low = -7, .high = -1, .dtype = DType::i32};
  const SampleInput zeros{.shape = {5}, .low = 0, .high = 1, .dtype = DType::i32};
  const SampleInput flags{.shape = {5}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {{.inputs = {{.shape = {4, 5}, .low = 0.1, .high = 0.9}, {.shape = {5}, .low = 1}}},
          {.inputs = {{.shape = {2, 3}, .low = 0.1, .high = 0.9},
                      {.shape = {2, 3}, .low = -3, .high = -1}}},
          {.inputs = {whole, divisor}},
          {.inputs = {whole, below}},
          {.inputs = {whole, zeros}, .error = "x2 is 0, by which integers have no remainder"},
          {.inputs = {flags, flags}, .error = "does not take bool"}};
}

template <class F>
std::vector<Sample<F>> extreme_samples() {
  return {{.inputs = {{.shape = {4, 5}, .apart = 0.01}, {.shape = {4, 5}, .low = -0.9}}},
          {.inputs = {{.shape = {3, 1}}, {.shape = {4}}}}};
}

template <class F>
std::vector<Sample<F>> unary_samples() {
  return {{.inputs = {{.shape = {3, 4}, .away = 0.05}}},
          {.inputs = {{.shape = {}, .away = 0.05}}},
          {.inputs = {{.shape = {2, 3, 5}, .low = -3, .high = 3, .away = 0.3}}}};
}

std::vector<Sample<Clip>> clip_samples() {
  const SampleInput x{.shape = {4, 9}, .low = -2, .high = 2, .apart = 0.01};
  const SampleInput low{.shape = {9}, .low = -1, .high = 0};
  const SampleInput high{.shape = {4, 1}, .low = 0.2, .high = 1};
  const SampleInput none{.absent = true};
  const SampleInput whole{.shape = {3, 7}, .low = -9, .high = 9, .dtype = DType::i32};
  const SampleInput bound{.shape = {}, .low = -3, .high = 3, .dtype = DType::i32};
  return {{.inputs = {x, low, high}},
          {.inputs = {x, high, low}},
          {.inputs = {x, {.shape = {}}}},
          {.inputs = {x, none, high}},
          {.inputs = {x}},
          {.inputs = {whole, bound, none}},
          {.inputs = {whole, low, none}, .error = "do not broadcast"}};
}

std::vector<Sample<Floor>> floor_samples() {
  return {{.inputs = {{.shape = {4, 10}, .low = -5, .high = 5, .apart = 0.1}}}};
}
std::vector<Sample<Round>> round_samples() {
  return {{.inputs = {{.shape = {4, 10}, .low = -5, .high = 5, .apart = 0.1}}}};
}

Tensor to(const Saved& saved, size_t input, const Tensor& grad) {
  return detail::reduce_to(grad, saved.in_spec(input).shape);
}

Grads add_vjp(const Saved& s, const Add&) {
  return {s.needs(0) ? to(s, 0, s.grad()) : Tensor(), s.needs(1) ? to(s, 1, s.grad()) : Tensor()};
}
Grads subtract_vjp(const Saved& s, const Subtract&) {
  return {s.needs(0) ? to(s, 0, s.grad()) : Tensor(), s.needs(1) ? to(s, 1, -s.grad()) : Tensor()};
}
Grads multiply_vjp(const Saved& s, const Multiply&) {
  return {s.needs(0) ? to(s, 0, s.grad() * conjugate(s.in(1))) : Tensor(),
          s.needs(1) ? to(s, 1, s.grad() * conjugate(s.in(0))) : Tensor()};
}
Grads divide_vjp(const Saved& s, const Divide&) {
  const Tensor by = s.grad() / conjugate(s.in(1));
  return {s.needs(0) ? to(s, 0, by) : Tensor(),
          s.needs(1) ? to(s, 1, -(by * conjugate(s.in(0) / s.in(1)))) : Tensor()};
}
/// x1 - x2 * floor(x1 / x2) with the quotient held fixed.
Grads remainder_vjp(const Saved& s, const Remainder&) {
  return {s.needs(0) ? to(s, 0, s.grad()) : Tensor(),
          s.needs(1) ? to(s, 1, -(s.grad() * floor(s.in(0) / s.in(1)))) : Tensor()};
}
void remainder_cpu(const Kernel& kernel, const Remainder& attrs) {
  const View& divisor = kernel.in(1);
  if (!is_float(divisor.dtype()) && !all_true(divisor)) {
    violate(ErrorKind::value,
            "x2 is 0, by which integers have no remainder; convert x1 to a float with astype");
  }
  detail::run_value<Remainder>(kernel, attrs);
}
/// Of a piecewise constant function.
template <class F>
Grads zero_vjp(const Saved& s, const F&) {
  return {zeros_like(s.grad())};
}
Grads negative_vjp(const Saved& s, const Negative&) { return {-s.grad()}; }
Grads square_vjp(const Saved& s, const Square&) { return {s.grad() * (s.in(0) * 2)}; }
Grads reciprocal_vjp(const Saved& s, const Reciprocal&) {
  const Tensor y = s.out();
  return {-(s.grad() * (y * y))};
}
Grads abs_vjp(const Saved& s, const Abs&) {
  const Tensor& x = s.in(0);
  if (!is_complex(x.dtype())) return {s.grad() * sign(x)};
  const Tensor size = abs(x);
  return {s.grad() * (x / where(equal(size, 0), 1, size))};  // its direction
}
Grads conj_vjp(const Saved& s, const Conj&) { return {conj(s.grad())}; }

/// That of three operands like x, of which the bounds may be absent.
Specs infer_clip(const InSpecs& in, const Clip&) {
  if (is_bool(in[0].dtype)) violate(ErrorKind::dtype, "does not take bool");
  Spec out = in[0];
  for (size_t i = 1; i < in.size(); ++i) {
    if (in.present(i)) out.shape = broadcast_shapes(out.shape, in[i].shape);
  }
  return out;
}
Results expand_clip(const Inputs& in, const Clip&) {
  Tensor y = in[0];
  if (in.size() > 1 && in[1].defined()) y = maximum(y, in[1]);
  if (in.size() > 2 && in[2].defined()) y = minimum(y, in[2]);
  return {{y}};
}
/// A bound that is absent is the end of the dtype's range.
void clip_cpu(const Kernel& kernel, const Clip& attrs) {
  const DType dtype = kernel.in(0).dtype();
  const ScalarView lowest = visit_dtype(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) return ScalarView(std::numeric_limits<T>::min(), dtype);
    return ScalarView(-std::numeric_limits<double>::infinity(), dtype);
  });
  const ScalarView highest = visit_dtype(dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) return ScalarView(std::numeric_limits<T>::max(), dtype);
    return ScalarView(std::numeric_limits<double>::infinity(), dtype);
  });
  const auto bound = [&](size_t i, const ScalarView& otherwise) {
    return kernel.inputs.size() > i && kernel.in(i).present() ? kernel.in(i) : otherwise.view();
  };
  const View inputs[] = {kernel.in(0), bound(1, lowest), bound(2, highest)};
  run_pointwise(tiles_of<Clip>().value, &attrs, inputs, kernel.outputs, detail::pointwise_grain);
}
/// To the bound where it bounds, `high` before `low`; an element that equals a bound is within.
Grads clip_vjp(const Saved& s, const Clip&) {
  Grads grads(s.inputs());
  Tensor grad = s.grad();
  const bool has_low = s.inputs() > 1 && s.in(1).defined();
  if (s.inputs() > 2 && s.in(2).defined()) {
    const Tensor above = greater(has_low ? maximum(s.in(0), s.in(1)) : s.in(0), s.in(2));
    if (s.needs(2)) grads[2] = to(s, 2, where(above, grad, 0));
    grad = where(above, 0, grad);
  }
  if (has_low) {
    const Tensor below = less(s.in(0), s.in(1));
    if (s.needs(1)) grads[1] = to(s, 1, where(below, grad, 0));
    grad = where(below, 0, grad);
  }
  if (s.needs(0)) grads[0] = to(s, 0, grad);
  return grads;
}

/// The larger (smaller) operand takes the gradient; equal ones half each.
template <class F>
Grads extreme_vjp(const Saved& s, const F&) {
  constexpr bool is_max = std::is_same_v<F, Maximum>;
  const Tensor& a = s.in(0);
  const Tensor& b = s.in(1);
  const Tensor first = is_max ? greater(a, b) : less(a, b);
  const Tensor share = where(equal(a, b), Operand(0.5), astype(first, s.grad().dtype()));
  const Tensor to_first = s.grad() * astype(share, s.grad().dtype());
  return {to(s, 0, to_first), to(s, 1, s.grad() - to_first)};
}

const PointwiseOp<Add> add_op = Pointwise<Add>{.name = "add",
                                               .doc = "x1 + x2.",
                                               .grad = Grad<Add>(add_vjp, Saves::nothing),
                                               .onnx = {"Add", 7},
                                               .samples = add_samples};
const PointwiseOp<Subtract> subtract_op =
    Pointwise<Subtract>{.name = "subtract",
                        .aliases = {"sub"},
                        .doc = "x1 - x2.",
                        .grad = Grad<Subtract>(subtract_vjp, Saves::nothing),
                        .onnx = {"Sub", 7},
                        .samples = binary_samples<Subtract>};
const PointwiseOp<Multiply> multiply_op =
    Pointwise<Multiply>{.name = "multiply",
                        .aliases = {"mul"},
                        .doc = "x1 * x2.",
                        .grad = Grad<Multiply>(multiply_vjp, Saves::inputs),
                        .onnx = {"Mul", 7},
                        .samples = binary_samples<Multiply>};
const PointwiseOp<Divide> divide_op =
    Pointwise<Divide>{.name = "divide",
                      .aliases = {"div", "true_divide"},
                      .doc = "x1 / x2; integers become floats.",
                      .promotion = Promotion::to_float,
                      .grad = Grad<Divide>(divide_vjp, Saves::inputs),
                      .onnx = {"Div", 7},
                      .samples = divide_samples};
const Op<Remainder> remainder_op{
    {.name = "remainder",
     .aliases = {"mod"},
     .doc = "x1 - x2 * floor(x1 / x2): the remainder with the sign of x2, as Python's %.",
     .inputs = {"x1", "x2"},
     .promotion = Promotion::same,
     .infer = detail::infer_functor<Remainder>,
     .reference = detail::reference_pointwise<Remainder>,
     .grad = {remainder_vjp, Saves::inputs},
     .layout = Layout::like_inputs,
     .any_strides = true,
     .refuses_values = true,
     .reuse = {{0, 0}, {0, 1}},
     .kernels = {.cpu = remainder_cpu},
     .samples = remainder_samples}};
const PointwiseOp<Maximum> maximum_op =
    Pointwise<Maximum>{.name = "maximum",
                       .doc = "The larger of x1 and x2; NaN if either is.",
                       .grad = Grad<Maximum>(extreme_vjp<Maximum>, Saves::inputs),
                       .onnx = {"Max", 12},
                       .samples = extreme_samples<Maximum>};
const PointwiseOp<Minimum> minimum_op =
    Pointwise<Minimum>{.name = "minimum",
                       .doc = "The smaller of x1 and x2; NaN if either is.",
                       .grad = Grad<Minimum>(extreme_vjp<Minimum>, Saves::inputs),
                       .onnx = {"Min", 12},
                       .samples = extreme_samples<Minimum>};
const PointwiseOp<Negative> negative_op =
    Pointwise<Negative>{.name = "negative",
                        .aliases = {"neg"},
                        .doc = "-x.",
                        .grad = Grad<Negative>(negative_vjp, Saves::nothing),
                        .onnx = {"Neg", 6},
                        .samples = unary_samples<Negative>};
const PointwiseOp<Square> square_op =
    Pointwise<Square>{.name = "square",
                      .doc = "x * x.",
                      .grad = Grad<Square>(square_vjp, Saves::inputs),
                      .samples = unary_samples<Square>};
const PointwiseOp<Reciprocal> reciprocal_op =
    Pointwise<Reciprocal>{.name = "reciprocal",
                          .doc = "1 / x.",
                          .promotion = Promotion::to_float,
                          .grad = Grad<Reciprocal>(reciprocal_vjp, Saves::outputs),
                          .onnx = {"Reciprocal", 6},
                          .samples = unary_samples<Reciprocal>};
const PointwiseOp<Abs> abs_op = Pointwise<Abs>{.name = "abs",
                                               .aliases = {"absolute"},
                                               .doc = "The absolute value; its gradient at 0 is 0.",
                                               .grad = Grad<Abs>(abs_vjp, Saves::inputs),
                                               .onnx = {"Abs", 6},
                                               .samples = unary_samples<Abs>};
const PointwiseOp<Conj> conj_op =
    Pointwise<Conj>{.name = "conj",
                    .aliases = {"conjugate"},
                    .doc = "The complex conjugate; of real numbers themselves.",
                    .grad = Grad<Conj>(conj_vjp, Saves::nothing),
                    .samples = unary_samples<Conj>};
const PointwiseOp<Sign> sign_op =
    Pointwise<Sign>{.name = "sign",
                    .doc = "-1, 0 or 1; NaN stays.",
                    .grad = Grad<Sign>(zero_vjp<Sign>, Saves::nothing),
                    .onnx = {"Sign", 9},
                    .samples = unary_samples<Sign>};
const Op<Clip> clip_op{{.name = "clip",
                        .aliases = {"clamp"},
                        .doc = "x kept within [low, high]; `high` wins where low > high.",
                        .inputs = {"x", "low?", "high?"},
                        .promotion = Promotion::same,
                        .infer = infer_clip,
                        .expand = expand_clip,
                        .grad = {clip_vjp, Saves::inputs},
                        .layout = Layout::like_inputs,
                        .any_strides = true,
                        .reuse = {{0, 0}},
                        .kernels = {.cpu = clip_cpu},
                        .onnx = {"Clip", 12},
                        .samples = clip_samples}};
const PointwiseOp<Floor> floor_op =
    Pointwise<Floor>{.name = "floor",
                     .doc = "The largest integer not above x.",
                     .grad = Grad<Floor>(zero_vjp<Floor>, Saves::nothing),
                     .onnx = {"Floor", 6},
                     .samples = floor_samples};
const PointwiseOp<Round> round_op =
    Pointwise<Round>{.name = "round",
                     .doc = "The nearest integer, ties to even.",
                     .grad = Grad<Round>(zero_vjp<Round>, Saves::nothing),
                     .onnx = {"Round", 11},
                     .samples = round_samples};

}  // namespace

Tensor add(const Operand& x1, const Operand& x2) { return add_op({x1, x2}); }
Tensor subtract(const Operand& x1, const Operand& x2) { return subtract_op({x1, x2}); }
Tensor multiply(const Operand& x1, const Operand& x2) { return multiply_op({x1, x2}); }
Tensor divide(const Operand& x1, const Operand& x2) { return divide_op({x1, x2}); }
Tensor remainder(const Operand& x1, const Operand& x2) { return remainder_op({x1, x2}); }
Tensor maximum(const Operand& x1, const Operand& x2) { return maximum_op({x1, x2}); }
Tensor minimum(const Operand& x1, const Operand& x2) { return minimum_op({x1, x2}); }
Tensor negative(const Tensor& x) { return negative_op({x}); }
Tensor abs(const Tensor& x) { return abs_op({x}); }
Tensor conj(const Tensor& x) { return conj_op({x}); }
Tensor sign(const Tensor& x) { return sign_op({x}); }
Tensor square(const Tensor& x) { return square_op({x}); }
Tensor reciprocal(const Tensor& x) { return reciprocal_op({x}); }
Tensor clip(const Tensor& x, const std::optional<Operand>& low,
            const std::optional<Operand>& high) {
  const Tensor none;
  return clip_op({x, low ? Arg(*low) : Arg(none), high ? Arg(*high) : Arg(none)});
}
Tensor floor(const Tensor& x) { return floor_op({x}); }
Tensor round(const Tensor& x) { return round_op({x}); }

Tensor& operator+=(Tensor& a, const Operand& b) { return rebind(a, b, add_op); }
Tensor& operator-=(Tensor& a, const Operand& b) { return rebind(a, b, subtract_op); }
Tensor& operator*=(Tensor& a, const Operand& b) { return rebind(a, b, multiply_op); }
Tensor& operator/=(Tensor& a, const Operand& b) { return rebind(a, b, divide_op); }
Tensor& operator%=(Tensor& a, const Operand& b) { return rebind(a, b, remainder_op); }

#endif

}  // namespace taper

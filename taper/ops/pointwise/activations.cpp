#include <taper/ops/pointwise/pointwise.h>

namespace taper {

struct Relu {
  static constexpr bool dual_gradient = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return where(x <= T(0.0), T(0.0), x);  // NaN passes; the derivative at 0 is 0
  }
};
struct LeakyRelu {
  static constexpr bool dual_gradient = true;
  double negative_slope = 0.01;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return where(x > T(0.0), x, scaled(negative_slope, x));
  }
};
/// Clevert et al., "Fast and accurate deep network learning by exponential linear units" (2015).
struct Elu {
  static constexpr bool dual_gradient = true;
  double alpha = 1;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return where(x > T(0.0), x, scaled(alpha, expm1(where(x > T(0.0), T(0.0), x))));
  }
};
/// Hendrycks and Gimpel, "Gaussian error linear units" (2016), the exact form.
struct Gelu {
  static constexpr bool dual_gradient = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return gelu(x);
  }
};
struct Silu {
  static constexpr bool dual_gradient = true;
  template <class T>
  TAPER_FN T operator()(const T& x) const {
    return silu(x);
  }
};

TAPER_TILES(Relu)
TAPER_TILES(LeakyRelu)
TAPER_TILES(Elu)
TAPER_TILES(Gelu)
TAPER_TILES(Silu)

#if TAPER_ROWS

namespace {

template <class F>
std::vector<Sample<F>> samples() {
  return {{.inputs = {{.shape = {3, 5}, .low = -3, .high = 3, .away = 0.05}}},
          {.inputs = {{.shape = {2, 3, 2, 2}, .away = 0.05}}},
          {.inputs = {{.shape = {2}, .dtype = DType::i32}}, .error = "takes floating tensors"}};
}

/// With another attribute, too.
template <class F>
std::vector<Sample<F>> samples_of_two() {
  std::vector<Sample<F>> all = samples<F>();
  all.push_back(
      {.inputs = {{.shape = {2, 3}, .low = -3, .high = 3, .away = 0.05}}, .attrs = {0.3}});
  return all;
}

const PointwiseOp<Relu> relu_op = Pointwise<Relu>{.name = "relu",
                                                  .doc = "x where it is positive, else 0.",
                                                  .onnx = {"Relu", 6},
                                                  .samples = samples<Relu>};
const PointwiseOp<LeakyRelu> leaky_relu_op =
    Pointwise<LeakyRelu>{.name = "leaky_relu",
                         .doc = "x where it is positive, else negative_slope * x.",
                         .attributes = {{"negative_slope", "The factor of negative x."}},
                         .onnx = {"LeakyRelu", 6, {{"negative_slope", "alpha"}}},
                         .samples = samples_of_two<LeakyRelu>};
const PointwiseOp<Elu> elu_op =
    Pointwise<Elu>{.name = "elu",
                   .doc = "x where it is positive, else alpha * (exp(x) - 1).",
                   .attributes = {{"alpha", "Minus the limit for very negative x."}},
                   .onnx = {"Elu", 6},
                   .samples = samples_of_two<Elu>};
const PointwiseOp<Gelu> gelu_op =
    Pointwise<Gelu>{.name = "gelu",
                    .doc = "x times the standard normal distribution function of x.",
                    .onnx = {"Gelu", 20},
                    .samples = samples<Gelu>};
const PointwiseOp<Silu> silu_op =
    Pointwise<Silu>{.name = "silu", .doc = "x * sigmoid(x).", .samples = samples<Silu>};

}  // namespace

Tensor relu(const Tensor& x) { return relu_op({x}); }
Tensor leaky_relu(const Tensor& x, double negative_slope) {
  return leaky_relu_op({x}, {negative_slope});
}
Tensor elu(const Tensor& x, double alpha) { return elu_op({x}, {alpha}); }
Tensor gelu(const Tensor& x) { return gelu_op({x}); }
Tensor silu(const Tensor& x) { return silu_op({x}); }

#endif

}  // namespace taper

#include <taper/ops/pointwise/pointwise.h>

#if TAPER_ROWS
#include <taper/ops/pointwise/rebind.h>
#endif

namespace taper {

struct BitwiseAnd {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a & b);
  }
};
struct BitwiseOr {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a | b);
  }
};
struct BitwiseXor {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a ^ b);
  }
};
struct BitwiseInvert {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  template <class T>
  TAPER_FN T operator()(const T& a) const {
    return T(~a);
  }
};

TAPER_TILES(BitwiseAnd)
TAPER_TILES(BitwiseOr)
TAPER_TILES(BitwiseXor)
TAPER_TILES(BitwiseInvert)

#if TAPER_ROWS

namespace {

template <class F>
std::vector<Sample<F>> bitwise_samples() {
  const SampleInput bits{.shape = {3, 5}, .low = -99, .high = 99, .dtype = DType::i32};
  const SampleInput row{.shape = {5}, .low = -99, .high = 99, .dtype = DType::i32};
  const SampleInput bytes{.shape = {7}, .low = 0, .high = 255, .dtype = DType::u8};
  const SampleInput flags{.shape = {4, 5}, .low = 0, .high = 2, .dtype = DType::boolean};
  const SampleInput reals{.shape = {2}};
  return {{.inputs = {bits, row}},
          {.inputs = {bytes, bytes}},
          {.inputs = {flags, flags}},
          {.inputs = {bits, {.shape = {5}, .low = 0, .high = 2, .dtype = DType::boolean}}},
          {.inputs = {reals, reals}, .error = "does not take f32"}};
}

std::vector<Sample<BitwiseInvert>> invert_samples() {
  return {{.inputs = {{.shape = {3, 5}, .low = -99, .high = 99, .dtype = DType::i32}}},
          {.inputs = {{.shape = {2}}}, .error = "does not take f32"},
          {.inputs = {{.shape = {7}, .low = 0, .high = 2, .dtype = DType::boolean}}}};
}

template <class F>
Pointwise<F> bitwise(std::string_view name, std::string_view doc, Onnx onnx) {
  return {.name = name,
          .doc = doc,
          .grad = Grad<F>(not_differentiable{"it takes integers"}),
          .onnx = onnx,
          .samples = bitwise_samples<F>};
}

/// A bool is a byte of 0 or 1, whose own inverse would be no bool.
void invert_cpu(const Kernel& kernel, const BitwiseInvert& attrs) {
  if (!is_bool(kernel.in(0).dtype())) return detail::run_value<BitwiseInvert>(kernel, attrs);
  const ScalarView one(1, DType::boolean);
  const View inputs[] = {kernel.in(0), one.view()};
  const BitwiseXor differs;
  run_pointwise(tiles_of<BitwiseXor>().value, &differs, inputs, kernel.outputs,
                detail::pointwise_grain);
}

Results invert_reference(const Inputs& in, const BitwiseInvert& attrs) {
  if (!is_bool(in[0].dtype())) return detail::reference_pointwise<BitwiseInvert>(in, attrs);
  std::vector<double> values = in[0].to_vector<double>();
  for (double& value : values) value = 1 - value;
  return {{from_values(in[0].shape(), values)}};
}

const PointwiseOp<BitwiseAnd> and_op = bitwise<BitwiseAnd>(
    "bitwise_and", "Each bit is set in both; of bools, both are true.", {"BitwiseAnd", 18});
const PointwiseOp<BitwiseOr> or_op = bitwise<BitwiseOr>(
    "bitwise_or", "Each bit is set in either; of bools, either is true.", {"BitwiseOr", 18});
const PointwiseOp<BitwiseXor> xor_op = bitwise<BitwiseXor>(
    "bitwise_xor", "Each bit is set in one only; of bools, they differ.", {"BitwiseXor", 18});
const Op<BitwiseInvert> invert_op{{.name = "bitwise_invert",
                                   .aliases = {"bitwise_not"},
                                   .doc = "Each bit is not set in x; of bools, the opposite.",
                                   .inputs = {"x"},
                                   .infer = detail::infer_functor<BitwiseInvert>,
                                   .reference = invert_reference,
                                   .grad = not_differentiable{"it takes integers"},
                                   .layout = Layout::like_inputs,
                                   .any_strides = true,
                                   .reuse = {{0, 0}},
                                   .kernels = {.cpu = invert_cpu},
                                   .onnx = {"BitwiseNot", 18},
                                   .samples = invert_samples}};

}  // namespace

Tensor bitwise_and(const Operand& x1, const Operand& x2) { return and_op({x1, x2}); }
Tensor bitwise_or(const Operand& x1, const Operand& x2) { return or_op({x1, x2}); }
Tensor bitwise_xor(const Operand& x1, const Operand& x2) { return xor_op({x1, x2}); }
Tensor bitwise_invert(const Tensor& x) { return invert_op({x}); }

Tensor& operator&=(Tensor& a, const Operand& b) { return rebind(a, b, and_op); }
Tensor& operator|=(Tensor& a, const Operand& b) { return rebind(a, b, or_op); }
Tensor& operator^=(Tensor& a, const Operand& b) { return rebind(a, b, xor_op); }

#endif

}  // namespace taper

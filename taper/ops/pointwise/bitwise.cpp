#include <taper/ops/pointwise/pointwise.h>

#if TAPER_ROWS
#include <taper/ops/pointwise/operands.h>
#endif

namespace taper {

struct BitwiseAnd {
  static constexpr bool only_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a & b);
  }
};
struct BitwiseOr {
  static constexpr bool only_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a | b);
  }
};
struct BitwiseXor {
  static constexpr bool only_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a, const T& b) const {
    return T(a ^ b);
  }
};
struct BitwiseInvert {
  static constexpr bool only_integers = true;
  template <class T>
  TAPER_FN T operator()(const T& a) const {
    return T(~a);
  }
};

TAPER_VALUE_TILES(BitwiseAnd)
TAPER_VALUE_TILES(BitwiseOr)
TAPER_VALUE_TILES(BitwiseXor)
TAPER_VALUE_TILES(BitwiseInvert)

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
          {.inputs = {bits, flags}, .error = "must have one dtype"},
          {.inputs = {reals, reals}, .error = "does not take f32"}};
}

std::vector<Sample<BitwiseInvert>> invert_samples() {
  return {{.inputs = {{.shape = {3, 5}, .low = -99, .high = 99, .dtype = DType::i32}}},
          {.inputs = {{.shape = {2}}}, .error = "does not take f32"},
          {.inputs = {{.shape = {2}, .low = 0, .high = 2, .dtype = DType::boolean}},
           .error = "takes integers; of bools, logical_not"}};
}

template <class F>
Pointwise<F> bitwise(std::string_view name, std::string_view doc, Onnx onnx) {
  return {.name = name,
          .doc = doc,
          .grad = Grad<F>(not_differentiable{"it takes integers"}),
          .onnx = onnx,
          .samples = bitwise_samples<F>};
}

/// The inverse of the byte that holds a bool would be no bool.
Specs infer_invert(const InSpecs& in, const BitwiseInvert& attrs) {
  if (is_bool(in[0].dtype)) violate(ErrorKind::dtype, "takes integers; of bools, logical_not");
  return detail::infer_functor<BitwiseInvert>(in, attrs);
}

const PointwiseOp<BitwiseAnd> and_op = bitwise<BitwiseAnd>(
    "bitwise_and", "Each bit is set in both; of bools, both are true.", {"BitwiseAnd", 18});
const PointwiseOp<BitwiseOr> or_op = bitwise<BitwiseOr>(
    "bitwise_or", "Each bit is set in either; of bools, either is true.", {"BitwiseOr", 18});
const PointwiseOp<BitwiseXor> xor_op = bitwise<BitwiseXor>(
    "bitwise_xor", "Each bit is set in one only; of bools, they differ.", {"BitwiseXor", 18});
const Op<BitwiseInvert> invert_op{{.name = "bitwise_invert",
                                   .doc = "Each bit is not set in x.",
                                   .inputs = {"x"},
                                   .infer = infer_invert,
                                   .reference = detail::reference_pointwise<BitwiseInvert>,
                                   .grad = not_differentiable{"it takes integers"},
                                   .layout = Layout::like_inputs,
                                   .any_strides = true,
                                   .reuse = {{0, 0}},
                                   .kernels = {.cpu = detail::run_value<BitwiseInvert>},
                                   .onnx = {"BitwiseNot", 18},
                                   .samples = invert_samples}};

}  // namespace

Tensor bitwise_and(const Operand& x1, const Operand& x2) { return call_promoted(and_op, x1, x2); }
Tensor bitwise_or(const Operand& x1, const Operand& x2) { return call_promoted(or_op, x1, x2); }
Tensor bitwise_xor(const Operand& x1, const Operand& x2) { return call_promoted(xor_op, x1, x2); }
Tensor bitwise_invert(const Tensor& x) {
  return x.defined() && is_bool(x.dtype()) ? logical_not(x) : invert_op({x});
}

Tensor& operator&=(Tensor& a, const Operand& b) { return rebind(a, b, and_op); }
Tensor& operator|=(Tensor& a, const Operand& b) { return rebind(a, b, or_op); }
Tensor& operator^=(Tensor& a, const Operand& b) { return rebind(a, b, xor_op); }

#endif

}  // namespace taper

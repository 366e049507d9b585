#include <algorithm>
#include <cmath>

#include <taper/backend/cpu/convert.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// Conversion between dtypes.

namespace taper {
namespace {

struct AsTypeAttrs {
  Required<DType> dtype;
};

void convert_cpu(const Kernel& k, const AsTypeAttrs&) {
  const View& x = k.in(0);
  const View& y = k.out();
  copy_convert(y.data, y.dtype(), *y.strides, x.data, x.dtype(), *x.strides, x.shape());
}

Specs infer(const InSpecs& in, const AsTypeAttrs& attrs) {
  if (is_complex(in[0].dtype) && !is_complex(attrs.dtype)) {
    violate(ErrorKind::dtype, "complex numbers become no " + std::string(dtype_name(attrs.dtype)) +
                                  "; take real(x), imag(x) or abs(x)");
  }
  Spec out = in[0];
  out.dtype = attrs.dtype;
  return out;
}

/// What an integer dtype keeps of a float: what is before its point, at most the nearest end.
double truncated(double value, DType to) {
  const int bits = static_cast<int>(item_size(to)) * 8 - (is_signed(to) ? 1 : 0);
  const double above = std::ldexp(1.0, bits);
  const double whole = std::isnan(value) ? 0 : std::trunc(value);
  return std::clamp(whole, is_signed(to) ? -above : 0, above - 1);
}

/// Integers keep their low bits.
Tensor low_bits(const Tensor& x, DType to) {
  const uint64_t mask = ~uint64_t{0} >> (64 - 8 * item_size(to));
  const uint64_t sign = is_signed(to) ? mask / 2 + 1 : 0;
  std::vector<uint64_t> bits;
  if (x.dtype() == DType::u64) {
    bits = x.to_vector<uint64_t>();
  } else {
    for (int64_t value : x.to_vector<int64_t>()) bits.push_back(static_cast<uint64_t>(value));
  }
  for (uint64_t& value : bits) value = ((value & mask) ^ sign) - sign;
  if (!is_signed(to)) return from_values(x.shape(), bits);
  return from_values(x.shape(), std::vector<int64_t>(bits.begin(), bits.end()));
}

Results reference(const Inputs& in, const AsTypeAttrs& attrs) {
  if (!is_float(in[0].dtype()) && is_integer(attrs.dtype)) {
    return {{low_bits(in[0], attrs.dtype)}};
  }
  if (is_complex(in[0].dtype())) {
    return {{from_values(in[0].shape(), in[0].to_vector<Complex<double>>())}};
  }
  std::vector<double> values = in[0].to_vector<double>();
  for (double& value : values) {
    if (is_bool(attrs.dtype)) {
      value = value != 0 ? 1 : 0;
    } else if (is_integer(attrs.dtype)) {
      value = truncated(value, attrs.dtype);
    }
  }
  Results results;
  results[0] = from_values(in[0].shape(), values);
  return results;
}

/// Only a conversion between inexact dtypes is on the tape with a gradient to hand on.
Grads vjp(const Saved& s, const AsTypeAttrs&) {
  if (!s.needs(0)) return {Tensor()};
  const DType dtype = s.in_spec(0).dtype;
  return {astype(is_complex(dtype) ? s.grad() : real(s.grad()), dtype)};
}

std::vector<Sample<AsTypeAttrs>> samples() {
  const SampleInput wide{.shape = {3, 37}, .low = -400, .high = 400};
  const SampleInput integers{.shape = {4, 5}, .low = -300, .high = 300, .dtype = DType::i64};
  const SampleInput bytes{.shape = {6}, .low = 0, .high = 256, .dtype = DType::u8};
  const SampleInput flags{.shape = {2, 3}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {{.inputs = {{.shape = {2, 3, 4}}}, .attrs = {DType::f64}},
          {.inputs = {{.shape = {}}}, .attrs = {DType::f64}},
          {.inputs = {{.shape = {5, 67}}}, .attrs = {DType::f32}},
          {.inputs = {{.shape = {5, 67}}}, .attrs = {DType::f16}},
          {.inputs = {{.shape = {5, 67}}}, .attrs = {DType::bf16}},
          {.inputs = {{.shape = {0, 3}}}, .attrs = {DType::f16}},
          {.inputs = {wide}, .attrs = {DType::i8}},
          {.inputs = {wide}, .attrs = {DType::u8}},
          {.inputs = {wide}, .attrs = {DType::i64}},
          {.inputs = {wide}, .attrs = {DType::boolean}},
          {.inputs = {integers}, .attrs = {DType::f32}},
          {.inputs = {integers}, .attrs = {DType::i8}},
          {.inputs = {integers}, .attrs = {DType::u8}},
          {.inputs = {integers}, .attrs = {DType::boolean}},
          {.inputs = {bytes}, .attrs = {DType::f16}},
          {.inputs = {bytes}, .attrs = {DType::i8}},
          {.inputs = {flags}, .attrs = {DType::bf16}},
          {.inputs = {flags}, .attrs = {DType::i32}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {DType::c128}},
          {.inputs = {{.shape = {2, 3}, .dtype = DType::c64}}, .attrs = {DType::c128}},
          {.inputs = {{.shape = {2}, .dtype = DType::c64}},
           .attrs = {DType::f32},
           .error = "complex numbers become no f32; take real(x)"}};
}

const Op<AsTypeAttrs> astype_op{
    {.name = "astype",
     .doc = "The values as another dtype. Floats become integers by truncation, NaN gives 0, out "
            "of range the nearest end; integers keep their low bits; bool is x != 0.",
     .attributes = {{"dtype", "The dtype of the result."}},
     .inputs = {"x"},
     .takes = kinds::every,
     .infer = infer,
     .reference = reference,
     .grad = {vjp, Saves::nothing},
     .layout = Layout::like_inputs,
     .any_strides = true,
     .role = Role::keeps,
     .kernels = {.cpu = convert_cpu},
     .onnx = {"Cast", 13, {{"dtype", "to"}}},
     .samples = samples}};

}  // namespace

Tensor astype(const Tensor& x, DType dtype) {
  if (x.defined() && x.dtype() == dtype) return x;
  return astype_op({x}, {dtype});
}

}  // namespace taper

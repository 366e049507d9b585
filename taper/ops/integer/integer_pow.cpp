#include <taper/ops/integer/integer_pow.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

/// By squaring, modulo 2^bits as products of integers are.
template <class T>
T power(T base, T exponent) {
  auto square = static_cast<uint64_t>(base);
  uint64_t result = 1;
  for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
    if ((left & 1) != 0) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

Specs infer(const InSpecs& in, const NoAttrs&) {
  if (!is_integer(in[0].dtype) || in[0].dtype != in[1].dtype) {
    violate(ErrorKind::dtype, "takes two integer tensors of one dtype; convert with astype");
  }
  Spec out = in[0];
  out.shape = broadcast_shapes(in[0].shape, in[1].shape);
  return out;
}

/// The strides that read `view` as if it had the shape of the result.
Strides spread_strides(const View& view, const Shape& shape) {
  Strides strides = shape;
  const int shift = shape.rank() - view.rank();
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool repeats = axis < shift || view.shape()[axis - shift] == 1;
    strides[axis] = repeats ? 0 : (*view.strides)[axis - shift];
  }
  return strides;
}

template <class T>
void check_exponents(const View& exponents) {
  const T* values = exponents.as<T>();
  for_each_offset(exponents.shape(), *exponents.strides, [&](int64_t offset) {
    if constexpr (std::is_signed_v<T>) {
      if (values[offset] < 0) {
        violate(ErrorKind::value, "an integer to the power " + std::to_string(values[offset]) +
                                      " is no integer; convert the base to a float with astype");
      }
    }
  });
}

void cpu(const Kernel& kernel, const NoAttrs&) {
  const Shape& shape = kernel.out().shape();
  visit_dtype(kernel.out().dtype(), [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      check_exponents<T>(kernel.in(1));
      const T* bases = kernel.in(0).as<T>();
      const T* exponents = kernel.in(1).as<T>();
      std::vector<int64_t> places;
      places.reserve(static_cast<size_t>(shape.numel()));
      for_each_offset(shape, spread_strides(kernel.in(1), shape),
                      [&](int64_t offset) { places.push_back(offset); });
      T* out = kernel.out().as<T>();
      size_t i = 0;
      for_each_offset(shape, spread_strides(kernel.in(0), shape), [&](int64_t offset) {
        out[i] = power(bases[offset], exponents[places[i]]);
        ++i;
      });
    }
  });
}

Results reference(const Inputs& in, const NoAttrs&) {
  const Shape shape = broadcast_shapes(in[0].shape(), in[1].shape());
  const auto bases = broadcast_to(in[0], shape).to_vector<int64_t>();
  const auto exponents = broadcast_to(in[1], shape).to_vector<int64_t>();
  std::vector<int64_t> values(bases.size(), 1);
  for (size_t i = 0; i < values.size(); ++i) {
    for (int64_t k = 0; k < exponents[i]; ++k) values[i] *= bases[i];
  }
  Results results;
  results[0] = from_values(shape, values);
  return results;
}

std::vector<Sample<NoAttrs>> samples() {
  const auto of = [](Shape shape, double low, double high, DType dtype = DType::i64) {
    return SampleInput{.shape = shape, .low = low, .high = high, .dtype = dtype};
  };
  return {{.inputs = {of({3, 4}, -4, 4), of({3, 4}, 0, 5)}},
          {.inputs = {of({2, 1}, -4, 4), of({5}, 0, 5)}},
          {.inputs = {of({7}, 0, 3, DType::i32), of({}, 2, 3, DType::i32)}},
          {.inputs = {of({3}, 1, 4), of({3}, -4, -1)}, .error = "is no integer"},
          {.inputs = {{.shape = {2}}, {.shape = {2}}}, .error = "takes two integer tensors"},
          {.inputs = {of({2, 3}, 0, 3), of({2}, 0, 3)}, .error = "do not broadcast"}};
}

const Op<NoAttrs> integer_pow_op{
    {.name = "integer_pow",
     .doc = "x1 to the power x2 for integers, which keep their dtype and wrap around.",
     .inputs = {"x1", "x2"},
     .infer = infer,
     .reference = reference,
     .grad = not_differentiable{"it takes integers"},
     .any_strides = true,
     .refuses_values = true,
     .kernels = {.cpu = cpu},
     .samples = samples}};

}  // namespace

Tensor integer_pow(const Tensor& x1, const Tensor& x2) { return integer_pow_op({x1, x2}); }

}  // namespace taper

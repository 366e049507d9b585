#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include <taper/backend/cpu/strided.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// Conversion between dtypes.

namespace taper {
namespace {

struct AsTypeAttrs {
  DType dtype = DType::f32;
};

/// Truncates without undefined behaviour: NaN gives 0, out of range the nearest end.
template <class To, class From>
To to_integer(From value) {
  constexpr From low = static_cast<From>(std::numeric_limits<To>::min());
  // One above the largest To: a power of two, exact in From where the largest itself is not.
  constexpr To half = std::numeric_limits<To>::max() / 2 + 1;
  constexpr From above = static_cast<From>(half) * 2;
  if (value >= above) return std::numeric_limits<To>::max();
  if (value <= low) return std::numeric_limits<To>::min();
  return value == value ? static_cast<To>(value) : To(0);
}

/// The type that arithmetic on a stored type happens in.
template <class T>
auto load(T value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else {
    return static_cast<float>(value);
  }
}

template <class To, class From>
To convert(From stored) {
  if constexpr (std::is_same_v<To, From>) {
    return stored;
  } else {
    const auto value = load(stored);
    using Value = std::remove_const_t<decltype(value)>;
    if constexpr (std::is_same_v<To, bool>) {
      return value != Value(0);
    } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Value>) {
      return to_integer<To>(value);
    } else if constexpr (std::is_arithmetic_v<To>) {
      return static_cast<To>(value);
    } else {
      return static_cast<To>(to_float_for_half(value));
    }
  }
}

/// Converts n elements, steps in bytes.
using ConvertRow = void (*)(const std::byte* from, int64_t from_step, std::byte* to,
                            int64_t to_step, int64_t n);

/// The vector conversion of a pair of dtypes; null if there is none.
template <class From, class To>
auto conversion_tile() {
  [[maybe_unused]] const ConversionTiles& tiles = conversion_tiles();
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, Half>) {
    return tiles.f32_to_f16;
  } else if constexpr (std::is_same_v<From, float> && std::is_same_v<To, BFloat16>) {
    return tiles.f32_to_bf16;
  } else if constexpr (std::is_same_v<From, Half> && std::is_same_v<To, float>) {
    return tiles.f16_to_f32;
  } else if constexpr (std::is_same_v<From, BFloat16> && std::is_same_v<To, float>) {
    return tiles.bf16_to_f32;
  } else {
    return nullptr;
  }
}

template <class From, class To>
void convert_row(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
                 int64_t n) {
  if (from_step == sizeof(From) && to_step == sizeof(To)) {
    const auto tile = conversion_tile<From, To>();
    if constexpr (!std::is_same_v<decltype(tile), const std::nullptr_t>) {
      tile(from, to, static_cast<size_t>(n));
    } else {
      const auto* in = reinterpret_cast<const From*>(from);
      auto* out = reinterpret_cast<To*>(to);
      for (int64_t i = 0; i < n; ++i) out[i] = convert<To>(in[i]);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    *reinterpret_cast<To*>(to + i * to_step) =
        convert<To>(*reinterpret_cast<const From*>(from + i * from_step));
  }
}

ConvertRow converter(DType from, DType to) {
  return visit_dtype(from, [&]<class From>() {
    return visit_dtype(to, []<class To>() -> ConvertRow { return convert_row<From, To>; });
  });
}

void convert_cpu(const Kernel& k, const AsTypeAttrs&) {
  constexpr int64_t grain = 1 << 16;
  const View& x = k.in(0);
  const View& y = k.out();
  if (x.numel() == 0) return;
  const ConvertRow convert = converter(x.dtype(), y.dtype());
  const std::array strides = {*y.strides, *x.strides};
  const std::array sizes = {item_size(y.dtype()), item_size(x.dtype())};
  const StridedLoop loop(x.shape(), strides, sizes);
  const int64_t to_step = loop.inner_stride(0);
  const int64_t from_step = loop.inner_stride(1);
  if (loop.rank == 1) {
    parallel_for(loop.inner(), grain, [&](int64_t begin, int64_t end) {
      convert(x.data + begin * from_step, from_step, y.data + begin * to_step, to_step,
              end - begin);
    });
    return;
  }
  const int64_t row_grain = std::max<int64_t>(1, grain / loop.inner());
  parallel_for(loop.rows(), row_grain, [&](int64_t begin, int64_t end) {
    std::byte* const bases[] = {y.data, x.data};
    loop.for_rows(bases, begin, end, [&](std::byte* const* at) {
      convert(at[1], from_step, at[0], to_step, loop.inner());
    });
  });
}

Specs infer(const InSpecs& in, const AsTypeAttrs& attrs) {
  Spec out = in[0];
  out.dtype = attrs.dtype;
  return out;
}

/// What an integer dtype keeps of a whole number: the nearest end for floats, else the low bits.
double as_integer(double value, DType from, DType to) {
  const int bits = static_cast<int>(item_size(to)) * 8 - (is_signed(to) ? 1 : 0);
  const double above = std::ldexp(1.0, bits);
  const double low = is_signed(to) ? -above : 0;
  const double whole = std::isnan(value) ? 0 : std::trunc(value);
  if (is_float(from)) return std::clamp(whole, low, above - 1);
  const double span = above - low;
  return whole - span * std::floor((whole - low) / span);
}

Results reference(const Inputs& in, const AsTypeAttrs& attrs) {
  std::vector<double> values = in[0].to_vector<double>();
  for (double& value : values) {
    if (is_bool(attrs.dtype)) {
      value = value != 0 ? 1 : 0;
    } else if (is_integer(attrs.dtype)) {
      value = as_integer(value, in[0].dtype(), attrs.dtype);
    }
  }
  Results results;
  results[0] = from_values(in[0].shape(), values);
  return results;
}

/// Only a conversion between floating dtypes is on the tape with a gradient to hand on.
Grads vjp(const Saved& s, const AsTypeAttrs&) {
  return {s.needs(0) ? astype(s.grad(), s.in_spec(0).dtype) : Tensor()};
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
          {.inputs = {flags}, .attrs = {DType::i32}}};
}

const Op<AsTypeAttrs> astype_op{
    {.name = "astype",
     .doc = "The values as another dtype. Floats become integers by truncation, NaN gives 0, out "
            "of range the nearest end; integers keep their low bits; bool is x != 0.",
     .inputs = {"x"},
     .infer = infer,
     .reference = reference,
     .grad = {vjp, Saves::nothing},
     .layout = Layout::like_inputs,
     .any_strides = true,
     .role = Role::keeps,
     .kernels = {.cpu = convert_cpu},
     .onnx = {"Cast", 13},
     .samples = samples}};

}  // namespace

Tensor astype(const Tensor& x, DType dtype) {
  if (x.defined() && x.dtype() == dtype) return x;
  return astype_op({x}, {dtype});
}

}  // namespace taper

#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include <taper/core/philox.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/promotion.h>

// Turns the samples of the rows into calls. Everything here works on every row alike.

namespace taper::testing {

/// One sample of one row.
struct OpCase {
  const OpBase* op;
  AnySample sample;
  size_t index;
};

inline std::vector<OpCase> all_cases(bool errors) {
  std::vector<OpCase> cases;
  for (const OpBase* op : all_ops()) {
    size_t index = 0;
    for (AnySample& sample : op->samples()) {
      if (sample.error.empty() != errors) cases.push_back({op, std::move(sample), index});
      ++index;
    }
  }
  return cases;
}

/// Deterministic uniform numbers in [0, 1).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : seed_(seed) {}
  double next() {
    const auto words = philox(seed_, count_++);
    return uniform_double(words[0], words[1]);
  }

 private:
  uint64_t seed_;
  uint64_t count_ = 0;
};

/// The values that a sample describes for one input, as float64 in row-major order.
inline std::vector<double> input_values(const SampleInput& input, uint64_t seed) {
  Numbers numbers(seed);
  const auto count = static_cast<size_t>(input.shape.numel());
  std::vector<double> values(count);
  if (input.apart > 0) {  // a shuffled grid
    const double step = (input.high - input.low) / static_cast<double>(std::max<size_t>(count, 1));
    for (size_t i = 0; i < count; ++i) {
      values[i] = input.low + (static_cast<double>(i) + 0.5) * step;
    }
    for (size_t i = count; i > 1; --i) {
      std::swap(values[i - 1],
                values[static_cast<size_t>(numbers.next() * static_cast<double>(i))]);
    }
  } else {
    for (double& value : values) value = input.low + numbers.next() * (input.high - input.low);
  }
  for (double& value : values) {
    if (!is_inexact(input.dtype)) value = std::floor(value);
    if (input.away > 0 && std::abs(value) < input.away) {
      value = value < 0 ? value - input.away : value + input.away;
    }
  }
  return values;
}

/// Integers of 8 bytes, drawn as doubles, with low bits of their own.
inline Tensor with_low_bits(const Tensor& x, uint64_t seed) {
  return visit_widest(x.dtype(), [&]<class T>() {
    std::vector<T> values = x.to_vector<T>();
    if constexpr (std::is_integral_v<T>) {
      for (size_t i = 0; i < values.size(); ++i)
        values[i] ^= static_cast<T>(philox(seed, i)[0] >> 21);
    }
    return astype(from_values(x.shape(), values), x.dtype());
  });
}

inline Tensor make_input(const SampleInput& input, DType floating, uint64_t seed) {
  if (input.absent) return {};
  const DType dtype = input.dtype == DType::f32 ? floating : input.dtype;
  const std::vector<double> values = input_values(input, seed);
  if (!is_complex(dtype)) {
    const Tensor x = astype(from_values(input.shape, values), dtype);
    const bool is_whole = is_integer(dtype) && input.high - input.low > 0x1p53;
    return is_whole ? with_low_bits(x, seed) : x;
  }
  const std::vector<double> imaginary = input_values(input, seed + 10'000);
  std::vector<Complex<double>> both;
  for (size_t i = 0; i < values.size(); ++i) both.emplace_back(values[i], imaginary[i]);
  return astype(from_values(input.shape, both), dtype);
}

/// Other `seed`s give other values.
inline std::vector<Tensor> make_inputs(const AnySample& sample, DType floating, uint64_t seed = 0) {
  std::vector<Tensor> inputs;
  for (const SampleInput& input : sample.inputs) {
    inputs.push_back(make_input(input, floating, seed * 100 + inputs.size() + 1));
  }
  return inputs;
}

inline std::vector<Arg> as_args(const std::vector<Tensor>& inputs) {
  return {inputs.begin(), inputs.end()};
}

/// What the row's rule says of operands that a call has promoted.
inline Specs inferred(const OpBase& op, const AnySample& sample, const std::vector<Arg>& args) {
  check_kinds(op, args);
  if (op.promotion == Promotion::none) return op.infer(InSpecs(args), sample.attrs.get());
  const Promoted promoted(op, args);
  return op.infer(InSpecs(promoted.args()), sample.attrs.get());
}

inline Results run(const OpBase& op, const AnySample& sample, const std::vector<Tensor>& inputs) {
  const auto args = as_args(inputs);
  return call(op, sample.attrs.get(), args);
}

/// All outputs of the call.
inline std::vector<Tensor> run_all(const OpBase& op, const AnySample& sample,
                                   const std::vector<Tensor>& inputs) {
  const Specs specs = inferred(op, sample, as_args(inputs));
  const Results results = run(op, sample, inputs);
  std::vector<Tensor> outputs;
  for (int i = 0; i < specs.count; ++i) outputs.push_back(results[i]);
  return outputs;
}

inline constexpr DType floating_dtypes[] = {DType::f64, DType::f32, DType::f16, DType::bf16};

inline bool takes_floats(const AnySample& sample) {
  for (const SampleInput& input : sample.inputs) {
    if (!input.absent && input.dtype == DType::f32) return true;
  }
  return false;
}

inline std::string case_name(const OpCase& op_case) {
  return std::string(op_case.op->name) + "_" + std::to_string(op_case.index);
}

/// Keeps gtest from printing the bytes.
inline void PrintTo(const OpCase& op_case, std::ostream* out) { *out << case_name(op_case); }

inline std::string name_of(const ::testing::TestParamInfo<OpCase>& info) {
  return case_name(info.param);
}

}  // namespace taper::testing

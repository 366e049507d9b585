// Tensors in the files of golden cases, and how near a result must be to them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include <taper/core/value.h>
#include <taper/ops/ops.h>

namespace taper::testing {

using Json = nlohmann::json;

template <class T>
T to_number(const Json& value) {
  if constexpr (is_complex_type<T>) {
    return {to_number<Real<T>>(value.at(0)), to_number<Real<T>>(value.at(1))};
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(value.get<int64_t>());
  } else {
    const double number = value.is_string()
                              ? std::strtod(value.get_ref<const std::string&>().c_str(), nullptr)
                              : value.get<double>();
    if constexpr (std::is_same_v<T, double>) return number;
    return static_cast<T>(static_cast<float>(number));
  }
}

inline Tensor to_tensor(const Json& json) {
  if (json.is_null()) return {};
  const Shape shape(json.at("shape").get<std::vector<int64_t>>());
  const Json& values = json.at("values");
  Tensor tensor = empty(shape, parse_dtype(json.at("dtype").get<std::string>()));
  check_count(shape, values.size());
  visit<kinds::every>(tensor.dtype(), [&]<class T>() {
    std::transform(values.begin(), values.end(), tensor.mutable_data<T>(), to_number<T>);
  });
  return tensor;
}

inline std::vector<Tensor> to_tensors(const Json& list) {
  std::vector<Tensor> tensors;
  for (const Json& json : list) tensors.push_back(to_tensor(json));
  return tensors;
}

/// How far a result may be from the reference: absolute + relative * |reference|.
struct Room {
  explicit Room(const Json& json)
      : relative(json.value("rtol", 0.0)),
        absolute(json.value("atol", 0.0)),
        zero_sign(json.value("zero_sign", false)) {}
  bool allows(double actual, double expected) const {
    if (std::isnan(expected)) return std::isnan(actual);
    if (zero_sign && expected == 0 && std::signbit(actual) != std::signbit(expected)) return false;
    if (actual == expected) return true;
    const double difference = std::abs(actual - expected);
    return std::isfinite(difference) && difference <= absolute + relative * std::abs(expected);
  }
  double relative;
  double absolute;
  bool zero_sign;  // whether 0 and -0 differ
};

inline void expect_agrees(const Tensor& actual, const Tensor& expected, const Room& room) {
  ASSERT_EQ(to_string(actual.spec()), to_string(expected.spec()));
  if (is_complex(expected.dtype())) {  // each part by itself
    expect_agrees(real(actual), real(expected), room);
    return expect_agrees(imag(actual), imag(expected), room);
  }
  if (!is_float(expected.dtype())) {
    return visit_widest(expected.dtype(), [&]<class T>() {
      EXPECT_EQ(actual.to_vector<T>(), expected.to_vector<T>());
    });
  }
  const std::vector<double> a = actual.to_vector<double>();
  const std::vector<double> e = expected.to_vector<double>();
  for (size_t i = 0; i < e.size(); ++i) {
    EXPECT_TRUE(room.allows(a[i], e[i]))
        << "element " << i << " is " << print_real(a[i]) << ", the reference " << print_real(e[i]);
  }
}

}  // namespace taper::testing

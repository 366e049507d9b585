#include <gtest/gtest.h>

#include <limits>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Head : nn::Layer<Head> {
  Head() { set_name("head"); }
  Tensor forward(const Tensor& x) { return log(x); }
};
struct Net : nn::Layer<Net> {
  Head head = child("head", Head());
  Tensor forward(const Tensor& x) { return head(x); }
};
struct Roots : nn::Layer<Roots> {
  Roots() { set_name("fc1"); }
  Tensor forward(const Tensor& x) { return sqrt(x); }
};

TEST(DetectAnomaly, NamesTheOpTheOperandsAndTheLayerWhereItArises) {
  Net net;
  const Tensor x = tensor({1.f, 2.f, 3.f, 0.f});
  EXPECT_NO_THROW(net(x));
  const detect_anomaly on;
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { net(x); }),
            "log: output has -inf at [3] (x f32[4]) in model.head");
  try {
    net(x);
  } catch (const Error& error) {
    EXPECT_EQ(error.op(), "log");
    EXPECT_EQ(error.layer(), "model.head");
  }
}

TEST(DetectAnomaly, SaysThatAnOperandWasBadAlready) {
  const detect_anomaly on;
  const Tensor x = from_values<float>({2, 2}, std::vector<float>{0, 1, not_a_number, 1});
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { exp(x); }),
            "exp: output has nan at [1,0], x has nan already (x f32[2,2])");
  const std::string text = thrown_text(ErrorKind::value, [&] {
    const Tensor y = tensor({infinity});
    y - y;
  });
  EXPECT_NE(text.find("output has nan at [0], "), std::string::npos) << text;
  EXPECT_NE(text.find("has inf already"), std::string::npos) << text;
}

TEST(DetectAnomaly, LooksAtBothPartsOfComplexNumbers) {
  const detect_anomaly on;
  const Tensor x = tensor(std::vector<Complex<float>>{{1, 2}, {1e30f, 0}});
  const std::string text =
      thrown_text(ErrorKind::value, [&] { (void)(x * Complex<float>(0, -1e30f)); });
  EXPECT_EQ(text.find("multiply: output has -inf at [1]"), 0u) << text;
}

TEST(DetectAnomaly, LetsMasksPass) {
  const detect_anomaly on;
  const Tensor scores = tensor({1.f, 2.f, 3.f});
  const Tensor masked = where(greater(scores, 2.5f), full({3}, -infinity), scores);
  EXPECT_EQ(softmax(masked, 0).to_vector<float>()[2], 0.f);
}

TEST(DetectAnomaly, NamesTheOpWhoseGradientIsNotFinite) {
  Tensor x = tensor({0.f, 1.f, 4.f, 9.f}).set_requires_grad();
  const Roots roots;
  const detect_anomaly on;
  Roots layer = roots;
  const Tensor loss = sum(layer(x));
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { loss.backward(); }),
            "backward of sqrt: the gradient of x has inf at [0] (x f32[4]) in fc1");
}

TEST(DetectAnomaly, HoldsForItsScopeAndNests) {
  const Tensor zero = tensor({0.f});
  {
    const detect_anomaly outer;
    {
      const detect_anomaly inner;
    }
    EXPECT_THROW(log(zero), Error);
  }
  EXPECT_NO_THROW(log(zero));
  EXPECT_EQ(interpreter, nullptr);
}

TEST(DetectAnomaly, IsOffWithinOneThatIsOff) {
  const Tensor x = tensor({-1.0}).set_requires_grad();
  const detect_anomaly outside;
  {
    const detect_anomaly off(false);
    EXPECT_NO_THROW(log(x));
    EXPECT_NO_THROW(gradients(sum(sqrt(x)), std::vector<Tensor>{x}));
    const detect_anomaly on;
    EXPECT_THROW(log(x), Error);
  }
  EXPECT_THROW(log(x), Error);
}

TEST(DetectAnomaly, GivesTheSameBits) {
  const auto gradient = [] {
    manual_seed(3);
    nn::Linear layer({.in_features = 4, .out_features = 3});
    sum(dropout(relu(layer(ones({2, 4}))), 0.5)).backward();
    optim::Adam adam(layer.parameters());
    adam.step();
    return layer.parameters()[0].value().to_vector<float>();
  };
  const auto plain = gradient();
  const detect_anomaly on;
  EXPECT_EQ(gradient(), plain);
}

}  // namespace
}  // namespace taper

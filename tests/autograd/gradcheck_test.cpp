#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;

/// x^2 whose gradient is wrong for the element `wrong`, if there is such a one.
TensorFunction square(int64_t wrong) {
  return custom_function(
      {.name = "square",
       .forward = [](const std::vector<Tensor>& in) { return in[0] * in[0]; },
       .backward =
           [wrong](const Tensor& grad, const std::vector<Tensor>& in, const Tensor&) {
             const Tensor index = astype(arange(in[0].numel()), DType::f64);
             return std::vector<Tensor>{
                 grad * in[0] *
                 where(equal(index, static_cast<double>(wrong)), 3.0, full({}, 2.0, DType::f64))};
           }});
}

TEST(Gradcheck, AcceptsRightGradients) {
  const Tensor x = tensor<double>({0.5, -1.0, 2.0});
  EXPECT_TRUE(gradcheck(square(-1), {x}));
  EXPECT_TRUE(gradcheck(square(-1), {x}, {.fast_mode = true}));
  EXPECT_TRUE(gradgradcheck(square(-1), {x}));
  EXPECT_TRUE(gradcheck([](const std::vector<Tensor>& in) { return in[0] * exp(in[1]); },
                        {x, tensor<double>({0.25})}));
}

TEST(Gradcheck, TakesAFunctionThatDependsOnNoInput) {
  const auto f = [](const std::vector<Tensor>& in) { return ones_like(in[0]); };
  const Tensor x = tensor({0.5, -1.5}, DType::f64);
  EXPECT_TRUE(gradcheck(f, {x}));
  EXPECT_TRUE(gradgradcheck(f, {x}));
}

TEST(Gradcheck, NamesTheElementAndBothNumbers) {
  const Tensor x = tensor<double>({0.5, -1.0, 2.0});
  const std::string text = thrown_text(ErrorKind::value, [&] { gradcheck(square(2), {x}); });
  EXPECT_EQ(text.substr(0, 58), "gradcheck: the gradient of output[2] by input 0 at [2] is ");
  EXPECT_NE(text.find("is 6.0, differences give 4"), std::string::npos) << text;
  EXPECT_NE(text.find("(input 0 f64[3])"), std::string::npos) << text;
  EXPECT_FALSE(gradcheck(square(2), {x}, {.raise_exception = false}));
  EXPECT_FALSE(gradcheck(square(2), {x}, {.raise_exception = false, .fast_mode = true}));
}

TEST(Gradcheck, NeedsDoubleInputs) {
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [] { gradcheck(square(-1), {tensor({1.f})}); }),
            "gradcheck: input 0 must be float64, since differences need the digits; convert with "
            "astype (input 0 f32[1])");
  EXPECT_NE(thrown_text(ErrorKind::value, [] { gradcheck(square(-1), {tensor<int>({1})}); })
                .find("no floating input"),
            std::string::npos);
}

TEST(Gradcheck, ChecksInputsAndParametersOfALayer) {
  nn::Linear layer({.in_features = 3, .out_features = 2});
  const std::vector<float> before = layer.parameters()[0].value().to_vector<float>();
  EXPECT_TRUE(
      gradcheck_module(layer, from_values<double>({2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6})));
  EXPECT_EQ(layer.parameters()[0].value().to_vector<float>(), before);
  EXPECT_EQ(layer.parameters()[0].value().dtype(), DType::f32);
  EXPECT_TRUE(layer.parameters()[0].value().requires_grad());
}

/// a * (W x) + y.
struct Mixed : nn::Layer<Mixed> {
  nn::Linear fc = child("fc", nn::Linear(3, 2));
  nn::Parameter scale = parameter("scale", tensor({0.5f}));
  Tensor forward(const Tensor& x, const Tensor& y) { return scale.value() * fc(x) + y; }
};
/// Its gradient leaves the parameter out.
struct Forgetful : nn::Layer<Forgetful> {
  nn::Parameter scale = parameter("scale", tensor({0.5f}));
  Tensor forward(const Tensor& x) const { return scale.value().detach() * x; }
};

TEST(Gradcheck, TakesALayerOfAnyNumberOfOperands) {
  const Tensor x = from_values<double>({2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6});
  const Tensor y = from_values<double>({2, 2}, std::vector<double>{1, 2, 3, 4});
  EXPECT_TRUE(gradcheck(nn::Linear(3, 2), x));
  EXPECT_TRUE(gradcheck(nn::Linear(3, 2), {x}));
  EXPECT_TRUE(gradcheck(nn::Sequential{nn::Linear(3, 2), nn::Tanh()}, {x}, {.fast_mode = true}));
  EXPECT_TRUE(gradcheck(Mixed(), {x, y}));
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { gradcheck(Mixed(), {x, y, y}); }),
            "gradcheck: `model` does not take 3 tensors and give one");
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { gradcheck(Forgetful(), x); }).find("`scale`"),
            std::string::npos);
}

/// The derivative of its gradient is not that of what it computes.
struct Straight : nn::Layer<Straight> {
  nn::Parameter scale = parameter("scale", tensor({0.5f}));
  Tensor forward(const Tensor& x) const {
    const Tensor y = scale.value() * x;
    return y.detach() * y;
  }
};

TEST(Gradcheck, ChecksTheSecondGradientsOfALayer) {
  const Tensor x = from_values<double>({2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6}) / 10;
  EXPECT_TRUE(gradgradcheck(nn::Sequential{nn::Linear(3, 2), nn::Tanh()}, x));
  EXPECT_TRUE(gradgradcheck(Mixed(), {x, from_values<double>({2, 2}, {1., 2., 3., 4.})}));
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { gradgradcheck(Straight(), x); })
                .find("gradgradcheck: the gradient of output"),
            std::string::npos);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { gradgradcheck(Mixed(), {x}); }),
            "gradgradcheck: `model` does not take 1 tensors and give one");
}

TEST(Gradcheck, LeavesTheBuffersOfALayerAsTheyWere) {
  nn::BatchNorm1d layer({.num_features = 2});
  const auto buffers = [&] {
    std::vector<std::vector<double>> all;
    for (const auto& [name, cell] : layer.named_buffers()) {
      all.push_back(cell.value().to_vector<double>());
    }
    return all;
  };
  const auto before = buffers();
  EXPECT_TRUE(gradcheck_module(
      layer, from_values<double>({3, 2}, std::vector<double>{1, -2, 0.5, 4, 2, 3})));
  EXPECT_EQ(buffers(), before);
}

TEST(CustomFunction, SaysWhatIsWrong) {
  const auto with = [](std::vector<Tensor> grads) {
    return custom_function({.name = "twice",
                            .forward = [](const std::vector<Tensor>& in) { return in[0] * 2; },
                            .backward = [grads](const Tensor&, const std::vector<Tensor>&,
                                                const Tensor&) { return grads; }});
  };
  Tensor x = tensor({1.f, 2.f}).set_requires_grad();
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { sum(with({})({x})).backward(); }),
            "backward of twice: backward gave 0 gradients for 1 inputs (input 0 f32[2])");
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { sum(with({ones({3})})({x})).backward(); }),
            "backward of twice: the gradient of input 0 is f32[3], the input f32[2] (input 0 "
            "f32[2])");
  EXPECT_NE(thrown_text(ErrorKind::value, [] { custom_function({}); }).find("needs forward"),
            std::string::npos);
}

}  // namespace
}  // namespace taper

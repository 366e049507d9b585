#include <gtest/gtest.h>

#include <cmath>

#include <taper/taper.h>

namespace taper {
namespace {

std::string error_text(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Backward, AddsToTheGradientOfEveryLeaf) {
  Tensor x = tensor({1.f, 2.f, 3.f}).set_requires_grad();
  Tensor w = tensor({4.f, 5.f, 6.f}).set_requires_grad();
  sum(x * w).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(w.grad().to_vector<float>(), (std::vector<float>{1, 2, 3}));
  sum(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{5, 6, 7}));
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Backward, CopiesOfALeafShareItsGradient) {
  Tensor x = tensor({2.f}).set_requires_grad();
  const Tensor copy = x;
  sum(x * x).backward();
  EXPECT_EQ(copy.grad().item(), 4);
}

TEST(Backward, ATensorUsedTwiceGetsBothParts) {
  Tensor x = tensor({3.f}).set_requires_grad();
  const Tensor y = x * x;
  sum(y * y + y).backward();
  EXPECT_EQ(x.grad().item(), 4 * 27 + 6);
}

TEST(Backward, SaysWhatIsWrong) {
  Tensor x = tensor({1.f, 2.f}).set_requires_grad();
  EXPECT_NE(error_text([&] { (x * 2).backward(); }).find("the loss must have one element; sum it"),
            std::string::npos);
  EXPECT_NE(error_text([&] {
              sum(tensor({1.f})).backward();
            }).find("does not depend on anything that requires a gradient"),
            std::string::npos);
  const Tensor loss = sum(x * x);
  loss.backward();
  EXPECT_NE(error_text([&] { loss.backward(); }).find("keep_graph = true"), std::string::npos);
  const Tensor kept = sum(x * x);
  kept.backward(true);
  kept.backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{6, 12}));
}

TEST(Backward, IntegersHaveNoGradients) {
  Tensor x = tensor<int>({1, 2});
  EXPECT_NE(error_text([&] { x.set_requires_grad(); }).find("only floating tensors"),
            std::string::npos);
}

TEST(Backward, LongChainsNeedNoStack) {
  Tensor x = tensor<double>({1.0}).set_requires_grad();
  {
    Tensor y = x;
    for (int i = 0; i < 300000; ++i) y = y + 1;
    sum(y).backward(true);
  }
  EXPECT_EQ(x.grad().item(), 1);
}

TEST(Backward, NoGradRecordsNothing) {
  Tensor x = tensor({1.f}).set_requires_grad();
  {
    const no_grad off;
    EXPECT_FALSE((x * 2).requires_grad());
    const enable_grad on;
    EXPECT_TRUE((x * 2).requires_grad());
  }
  EXPECT_TRUE((x * 2).requires_grad());
  EXPECT_FALSE((x * 2).detach().requires_grad());
}

TEST(Backward, RefusesMoreOperandsThanANodeCounts) {
  const Tensor x = ones({}).set_requires_grad();
  EXPECT_EQ(stack(std::vector<Tensor>(70'000, x.detach())).numel(), 70'000);
  EXPECT_NE(error_text([&] {
              stack(std::vector<Tensor>(70'000, x));
            }).find("less than 65,535 operands and results, got 70000; take it in parts"),
            std::string::npos);
  EXPECT_NE(
      error_text([&] { split(ones({70'000}), 1); }).find("gives at most 65535 parts, not 70000"),
      std::string::npos);
}

TEST(Backward, GoesAgainThroughWhatSavedNothing) {
  Tensor x = tensor({1.0, 2.0, 3.0, 4.0});
  x.set_requires_grad();
  const std::vector<Tensor> parts = split(x + 1, 2);
  sum(parts[0]).backward();
  sum(-parts[1]).backward();  // through the same addition and the same split
  EXPECT_EQ(x.grad().to_vector<double>(), (std::vector<double>{1, 1, -1, -1}));
}

TEST(Backward, NamesScalarOperandsAndLeavesOutAbsentOnes) {
  Tensor x = full({}, 2).set_requires_grad();
  const Tensor loss = x * full({}, 3);
  loss.backward();
  EXPECT_EQ(error_text([&] { loss.backward(); }),
            "backward of multiply: the graph was freed by an earlier backward pass; pass "
            "keep_graph = true to that one (x1 f32[], x2 f32[])");
  Tensor rows = ones({2, 3}).set_requires_grad();
  const Tensor product = sum(linear(rows, ones({1, 3})) * 2);
  product.backward();
  const Tensor again = linear(rows, ones({1, 3}));
  sum(again).backward();
  EXPECT_NE(error_text([&] { sum(again).backward(); })
                .find("backward of linear: the graph was freed by an earlier backward pass; pass "
                      "keep_graph = true to that one (x f32[2,3], weight f32[1,3])"),
            std::string::npos);
}

TEST(Gradients, OfInnerTensorsAndOfNothing) {
  Tensor x = tensor({2.f}).set_requires_grad();
  const Tensor other = tensor({2.f}).set_requires_grad();
  const Tensor y = x * x;
  const Tensor loss = sum(y * y);
  const std::vector<Tensor> grads = gradients(loss, std::vector<Tensor>{x, y, other});
  EXPECT_EQ(grads[0].item(), 32);
  EXPECT_EQ(grads[1].item(), 8);
  EXPECT_FALSE(grads[2].defined());
  EXPECT_FALSE(x.grad().defined());
}

TEST(Gradients, OfGradients) {
  Tensor x = tensor<double>({0.5, -1.0, 2.0}).set_requires_grad();
  const Tensor first = gradients(sum(x * x * x), std::vector<Tensor>{x}, true)[0];
  const Tensor second = gradients(sum(first), std::vector<Tensor>{x}, true)[0];
  const Tensor third = gradients(sum(second), std::vector<Tensor>{x})[0];
  EXPECT_EQ(first.to_vector<double>(), (std::vector<double>{0.75, 3, 12}));
  EXPECT_EQ(second.to_vector<double>(), (std::vector<double>{3, -6, 12}));
  EXPECT_EQ(third.to_vector<double>(), (std::vector<double>{6, 6, 6}));
}

TEST(Gradients, ThirdOrderThroughAFunctorsExpansion) {
  // silu'''(0.3), from the closed form s(1-s)[3(1-2s) + x(1-6s+6s^2)], s = sigmoid(0.3).
  Tensor x = tensor<double>({0.3}).set_requires_grad();
  Tensor y = silu(x);
  for (int i = 0; i < 3; ++i) y = gradients(sum(y), std::vector<Tensor>{x}, true)[0];
  const double s = 1 / (1 + std::exp(-0.3));
  EXPECT_NEAR(y.item(), s * (1 - s) * (3 * (1 - 2 * s) + 0.3 * (1 - 6 * s + 6 * s * s)), 1e-12);
}

TEST(Transforms, GradAndValueAndGrad) {
  const TensorFunction f = [](const std::vector<Tensor>& in) { return sum(sin(in[0]) * in[1]); };
  const Tensor x = tensor<double>({0.5});
  const Tensor k = tensor<double>({3.0});
  EXPECT_NEAR(grad(f)({x, k}).item(), 3 * std::cos(0.5), 1e-15);
  EXPECT_NEAR(grad(f, 1)({x, k}).item(), std::sin(0.5), 1e-15);
  EXPECT_NEAR(grad(grad(f))({x, k}).item(), -3 * std::sin(0.5), 1e-15);
  const auto [value, grads] = value_and_grad(f, {0, 1})({x, k});
  EXPECT_NEAR(value.item(), 3 * std::sin(0.5), 1e-15);
  EXPECT_NEAR(grads[0].item(), 3 * std::cos(0.5), 1e-15);
  EXPECT_FALSE(value.requires_grad());
  EXPECT_NE(error_text([&] { grad(f, 2)({x, k}); }).find("operand 2 was asked for"),
            std::string::npos);
}

TEST(State, KeepsItsLeafWhenItIsAssigned) {
  const State w("w", tensor({1.f}), true);
  sum(w.value() * 3).backward();
  EXPECT_EQ(w.grad().item(), 3);
  w.set(tensor({5.f}));
  EXPECT_TRUE(w.requires_grad());
  EXPECT_EQ(w.grad().item(), 3);
  sum(w.value() * w.value()).backward();
  EXPECT_EQ(w.grad().item(), 13);
}

}  // namespace
}  // namespace taper

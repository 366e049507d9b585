#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;

TEST(TensorHook, SeesTheWholeGradientOnceAndMayReplaceIt) {
  Tensor x = tensor({1.f, 2.f}).set_requires_grad();
  const Tensor y = x * 3;
  std::vector<std::vector<float>> seen;
  HookHandle handle = register_hook(y, [&](const Tensor& grad) {
    seen.push_back(grad.to_vector<float>());
    return grad * 10;
  });
  const Tensor loss = sum(y * y + y);
  loss.backward(true);
  EXPECT_EQ(seen, (std::vector<std::vector<float>>{{7, 13}}));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{210, 390}));
  handle.remove();
  handle.remove();
  x.zero_grad();
  loss.backward();
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{21, 39}));
}

TEST(TensorHook, OfAParameterChangesItsGradient) {
  const State w("w", tensor({2.f}), true);
  const HookHandle handle = register_hook(w.value(), [](const Tensor& grad) { return -grad; });
  sum(w.value() * 5).backward();
  EXPECT_EQ(w.grad().item(), -5);
}

TEST(TensorHook, RunsInOrderAndMayOnlyLook) {
  Tensor x = tensor({1.f}).set_requires_grad();
  std::string order;
  register_hook(x, [&](const Tensor&) { return order += "a", Tensor(); });
  register_hook(x, [&](const Tensor&) { return order += "b", Tensor(); });
  sum(x * 4).backward();
  EXPECT_EQ(order, "ab");
  EXPECT_EQ(x.grad().item(), 4);
}

TEST(TensorHook, SaysWhatIsWrong) {
  Tensor x = tensor({1.f, 2.f});
  const auto same = [](const Tensor& grad) { return grad; };
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { register_hook(x, same); }).find("not on the tape"),
            std::string::npos);
  x.set_requires_grad();
  register_hook(x, [](const Tensor& grad) { return sum(grad); });
  const std::string text = thrown_text(ErrorKind::shape, [&] { sum(x).backward(); });
  EXPECT_NE(text.find("(gradient f32[2], hook f32[])"), std::string::npos) << text;
}

}  // namespace
}  // namespace taper

#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper::nn {
namespace {

struct Scale : Layer<Scale> {
  Tensor forward(const Tensor& x, double by) { return x * by; }
};
struct Pair : Layer<Pair> {
  std::pair<Tensor, Tensor> forward(const Tensor& x) { return {x, x}; }
};

TEST(ModuleHooks, SeeAndReplaceInputsAndOutput) {
  Scale scale;
  HookHandle before = scale.register_forward_pre_hook(
      [](const Module&, std::vector<Tensor>& inputs) { inputs[0] = inputs[0] + 1; });
  std::vector<float> seen;
  HookHandle after = scale.register_forward_hook(
      [&](const Module& module, const std::vector<Tensor>& inputs, const Tensor& output) {
        EXPECT_EQ(module.name(), "model");
        EXPECT_EQ(inputs.size(), 1u);
        seen.push_back(output.item<float>());
        return -output;
      });
  EXPECT_EQ(scale(tensor({2.f}), 10.0).item(), -30);
  EXPECT_EQ(seen, (std::vector<float>{30}));
  before.remove();
  EXPECT_EQ(scale(tensor({2.f}), 10.0).item(), -20);
  after.remove();
  EXPECT_EQ(scale(tensor({2.f}), 10.0).item(), 20);
}

TEST(ModuleHooks, ReadFeatureMapsWithinAModel) {
  Linear first({.in_features = 3, .out_features = 4});
  Sequential model(first, ReLU(), Linear(4, 2));
  Tensor features;
  HookHandle handle = first.register_forward_hook(
      [&](const Module&, const std::vector<Tensor>&, const Tensor& output) {
        features = output;
        return Tensor();
      });
  const Tensor y = model(ones({5, 3}));
  EXPECT_EQ(features.shape(), (Shape{5, 4}));
  EXPECT_EQ(y.shape(), (Shape{5, 2}));
  features = Tensor();
  Sequential copy = clone(model);
  copy(ones({5, 3}));
  EXPECT_FALSE(features.defined());
}

TEST(ModuleHooks, OfOneTensorNeedASingleTensorAsResult) {
  Pair pair;
  HookHandle handle = pair.register_forward_hook(
      [](const Module&, const std::vector<Tensor>&, const Tensor& output) { return output; });
  EXPECT_EQ(testing::thrown_text(ErrorKind::unsupported, [&] { pair(tensor({1.f})); }),
            "register_forward_hook: `model` gives 2 tensors; a hook that takes a vector of them "
            "sees all in model");
  handle.remove();
  EXPECT_EQ(pair(tensor({1.f})).first.item(), 1);
}

TEST(ModuleHooks, OfAVectorSeeAndReplaceAllResults) {
  Pair pair;
  size_t seen = 0;
  HookHandle handle = pair.register_forward_hook(
      [&](const Module&, const std::vector<Tensor>&, const std::vector<Tensor>& outputs) {
        seen = outputs.size();
        return std::vector<Tensor>{outputs[0] * 10, outputs[1]};
      });
  const Tensor second = Pair()(tensor({1.f})).second;
  EXPECT_EQ(pair(tensor({1.f})).first.item(), 10);
  EXPECT_EQ(pair(tensor({1.f})).second.item(), second.item());
  EXPECT_EQ(seen, 2u);
  handle.remove();
  pair.register_forward_hook(
      [](const Module&, const std::vector<Tensor>&, const std::vector<Tensor>& outputs) {
        return std::vector<Tensor>{outputs[0]};
      });
  EXPECT_EQ(testing::thrown_text(ErrorKind::value, [&] { pair(tensor({1.f})); }),
            "register_forward_hook: the hook made 1 outputs of 2 in model");
}

TEST(Hooks, SeeAnOperandThatIsASelection) {
  Linear layer(2, 2, false);
  layer.weight.set(ones({2, 2}));
  std::vector<Shape> seen;
  layer.register_forward_pre_hook([](const Module&, std::vector<Tensor>& inputs) {
    for (Tensor& input : inputs) input = input * 10;
  });
  layer.register_forward_hook([&](const Module&, const std::vector<Tensor>& inputs, const Tensor&) {
    for (const Tensor& input : inputs) seen.push_back(input.shape());
    return Tensor();
  });
  Tensor x = from_values<float>({2, 2}, std::vector<float>{1, 2, 3, 4});
  EXPECT_EQ(layer(x[0]).to_vector<float>(), (std::vector<float>{30, 30}));
  EXPECT_EQ(layer(x[{Slice(1, 2)}]).to_vector<float>(), (std::vector<float>{70, 70}));
  EXPECT_EQ(seen, (std::vector<Shape>{{2}, {1, 2}}));
}

struct SumOfAll : Layer<SumOfAll> {
  Tensor forward(const std::vector<Tensor>& many, const Tensor& last) {
    return many[0] + many[1] + last;
  }
};

TEST(Hooks, OfAListInFrontOfATensorKeepTheirPlaces) {
  SumOfAll layer;
  layer.register_forward_pre_hook([](const Module&, std::vector<Tensor>& inputs) {
    ASSERT_EQ(inputs.size(), 3u);
    inputs[2] = inputs[2] * 10;
  });
  std::vector<Tensor> many{tensor({1.f}), tensor({2.f})};
  EXPECT_EQ(layer(many, tensor({3.f})).item(), 33);
  EXPECT_EQ(layer(std::as_const(many), tensor({3.f})).item(), 33);
}

}  // namespace
}  // namespace taper::nn

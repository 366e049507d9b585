// Modules and losses of several tensors, their type erased.
#include <gtest/gtest.h>

#include <taper/taper.h>

#include "../core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

struct Split : Layer<Split> {
  struct Halves {
    Tensor low;
    Tensor high;
  };
  Halves forward(const Tensor& x) const {
    const int64_t half = x.size(-1) / 2;
    return {slice(x, -1, 0, half), slice(x, -1, half, 2 * half)};
  }
};

struct Mix : Layer<Mix> {
  static constexpr std::array<std::string_view, 3> operands{"left", "right", "scale"};
  Tensor forward(const Tensor& left, const Tensor& right, const Tensor& scale = {}) const {
    const Tensor sum = left + 10 * right;
    return scale.defined() ? sum * scale : sum;
  }
};

struct Pairing : Layer<Pairing> {
  std::tuple<Tensor, Tensor> forward(const Tensor& x) const { return {x, -x}; }
};

std::vector<double> numbers(const Tensor& x) { return x.to_vector<double>(); }

std::vector<Tensor> call(const AnyModule& module, const std::vector<Tensor>& operands) {
  return module(std::span<const Tensor>(operands));
}

TEST(Operands, HaveNamesAndANumber) {
  const AnyModule mix{Mix()};
  EXPECT_EQ(mix.operands().names, (std::vector<std::string>{"left", "right", "scale"}));
  EXPECT_EQ(mix.operands().required, 2u);
  const AnyModule linear{Linear(2, 3)};
  EXPECT_EQ(linear.operands().names, (std::vector<std::string>{"x"}));
  EXPECT_EQ(AnyModule(Split()).outputs(), (std::vector<std::string>{"low", "high"}));
  EXPECT_TRUE(linear.outputs().empty());
  EXPECT_EQ(AnyLoss(MSELoss()).operands().names, (std::vector<std::string>{"input", "target"}));
  const auto three = [](const Tensor& a, const Tensor& b, const Tensor& c) {
    return sum(a * b * c);
  };
  EXPECT_EQ(AnyLoss(three).operands().names, (std::vector<std::string>{"input", "target", "x2"}));
  EXPECT_EQ(AnyLoss(three).operands().required, 3u);
}

TEST(Operands, OptionalOnesNeedNotBeGiven) {
  const AnyModule mix{Mix()};
  const Tensor a = tensor<double>({1, 2});
  const Tensor b = tensor<double>({3, 4});
  EXPECT_EQ(numbers(call(mix, {a, b})[0]), (std::vector<double>{31, 42}));
  EXPECT_EQ(numbers(call(mix, {a, b, tensor<double>({2})})[0]), (std::vector<double>{62, 84}));
}

TEST(Operands, AWrongNumberIsNamed) {
  const Tensor x = ones({2});
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { AnyModule{Mix()}(x); }),
            "module `model` takes 2 to 3 tensors (left, right, scale), got 1");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { call(AnyModule(Linear(2, 1)), {x, x}); }),
            "Linear takes 1 tensor (x), got 2");
  const std::vector<Tensor> one{x};
  EXPECT_EQ(
      thrown_text(ErrorKind::value, [&] { AnyLoss{MSELoss()}(std::span<const Tensor>(one)); }),
      "MSELoss takes 2 tensors (input, target), got 1");
}

TEST(Operands, TheFirstOfSeveralOutputsIsTheOutput) {
  const Tensor x = tensor<double>({1, 2, 3, 4});
  EXPECT_EQ(numbers(AnyModule(Split())(x)), (std::vector<double>{1, 2}));
  const auto both = call(AnyModule(Pairing()), {x});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(numbers(both[1]), (std::vector<double>{-1, -2, -3, -4}));
}

TEST(Sequential, PassesAsManyTensorsAsAreNeeded) {
  const Sequential net{Split(), Mix()};
  const Tensor x = tensor<double>({1, 2, 3, 4});
  EXPECT_EQ(numbers(net(x)), (std::vector<double>{31, 42}));
  // A module that needs one takes the first; optional operands are not filled.
  EXPECT_EQ(numbers(Sequential(Split(), Split(), Pairing())(x)), (std::vector<double>{1}));
  const auto all = call(AnyModule(Sequential(Split(), Pairing())), {x});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(numbers(all[1]), (std::vector<double>{-1, -2}));
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { Sequential(ReLU(), Mix())(x); }),
            "module `1` takes 2 to 3 tensors (left, right, scale), got 1 in model");
}

TEST(Sequential, TakesAllOperandsOfItsFirstModule) {
  const AnyModule net{Sequential(Mix(), ReLU())};
  EXPECT_EQ(net.operands().names, (std::vector<std::string>{"left", "right", "scale"}));
  const std::vector<Tensor> operands{tensor<double>({1, 2}), tensor<double>({3, 4}),
                                     tensor<double>({-1})};
  EXPECT_EQ(numbers(call(net, operands)[0]), (std::vector<double>{0, 0}));
  const AnyModule copy = clone(net);
  EXPECT_EQ(numbers(call(copy, {operands[0], operands[1]})[0]), (std::vector<double>{31, 42}));
}

TEST(Sequential, ReplacedModulesMayNeedMore) {
  Sequential net{Split(), ReLU()};
  const Tensor x = tensor<double>({1, 2, 3, 4});
  EXPECT_EQ(numbers(net(x)), (std::vector<double>{1, 2}));
  replace(net[1], Mix());
  EXPECT_EQ(numbers(net(x)), (std::vector<double>{31, 42}));
}

TEST(Hooks, SeeTheTensorsOfAList) {
  AnyModule net{Sequential(Mix(), ReLU())};
  size_t seen = 0;
  const HookHandle before =
      net.register_forward_pre_hook([&](const Module&, std::vector<Tensor>& inputs) {
        seen = inputs.size();
        inputs[1] = zeros_like(inputs[1]);
      });
  const HookHandle after = net.register_forward_hook(
      [](const Module&, const std::vector<Tensor>&, const Tensor& y) { return -y; });
  const std::vector<Tensor> operands{tensor<double>({1, 2}), tensor<double>({3, 4})};
  EXPECT_EQ(numbers(call(net, operands)[0]), (std::vector<double>{-1, -2}));
  EXPECT_EQ(seen, 2u);
  EXPECT_EQ(numbers(operands[1]), (std::vector<double>{3, 4}));
}

TEST(Gradients, FlowThroughSeveralTensors) {
  const Sequential net{Linear(4, 4), Split(), Mix()};
  const Tensor x = ones({3, 4});
  sum(net(x)).backward();
  const std::vector<double> slopes = numbers(net[0].parameters()[1].grad());
  EXPECT_EQ(slopes, (std::vector<double>{3, 3, 30, 30}));
}

struct Counted : Layer<Counted, SoftmaxOptions> {
  using Layer::Layer;
  Tensor forward(const Tensor& x) const { return softmax(x, options().dim); }
};

// A layer of a program's own is made as the library's are.
TEST(Options, MakeALayerByFieldsAndByNames) {
  EXPECT_EQ(Counted::type_name, "Counted");
  EXPECT_EQ(Counted(1).options().dim, 1);
  EXPECT_EQ(Counted({.dim = 2}).options().dim, 2);
  EXPECT_EQ(Counted().options().dim, -1);
  const Conv2d conv(1, 8, Size2(3, 5), 2);
  EXPECT_EQ(conv.options().kernel_size.value(), Size2(3, 5));
  EXPECT_EQ(conv.options().stride.value(), Size2(2, 2));
  const Conv2d named({.in_channels = 1, .out_channels = 8, .kernel_size = {3, 5}, .stride = 2});
  EXPECT_EQ(named.weight.value().shape(), conv.weight.value().shape());
  static_assert(!std::is_constructible_v<Conv2d, int, int, int, int, int, int, int, bool, int>);
  static_assert(!std::is_constructible_v<Linear, std::string, int>);
}

TEST(Options, FieldsSayTheirBounds) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Linear(3, 0); }),
            "Linear: `out_features` must be at least 1, got 0");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Linear(); }), "Linear: `in_features` is required");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { MaxPool2d(2, 0); }),
            "MaxPool2d: `stride` must be at least 1, got 0");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Conv2d(1, 1, 3, 1, Size2(0, -1)); }),
            "Conv2d: `padding` must be at least 0, got -1");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Dropout(std::nan("")); }),
            "Dropout: `p` must be in [0, 1], got nan");
  const auto infos = ModuleFactory::get("BatchNorm2d", "module").options();
  EXPECT_EQ(infos[0].rule, "at least 1");
  EXPECT_EQ(infos[1].rule, "finite and at least 0");
  EXPECT_EQ(infos[3].rule, "");
}

}  // namespace
}  // namespace taper::nn

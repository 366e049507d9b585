// What a compiled function must not leave behind, and what belongs to its copies.
#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

std::string error_text(auto&& action) {
  return testing::thrown_text(ErrorKind::unsupported, action);
}

TEST(CompileKeeps, RefusesWhatItKeepsInAVariableOutside) {
  Tensor mean;  // a replay would not see that it is there by now
  auto f = compile([&](const Tensor& x) {
    mean = mean.defined() ? mean * 0.5f + x * 0.5f : x;
    return mean + 1;
  });
  EXPECT_EQ(error_text([&] { f(ones({2})); }),
            "capture: the function keeps an operand (f32[2]) beyond its call, which replays would "
            "not renew; return it, or keep it in a State");
  std::vector<Tensor> seen;
  auto g = compile([&](const Tensor& x) {
    seen.push_back(exp(x).detach());
    return x + 1;
  });
  EXPECT_EQ(error_text([&] { g(ones({2})); }),
            "capture: the function keeps a result of exp (f32[2]) beyond its call, which replays "
            "would not renew; return it, or keep it in a State");
  // What was kept and let go, what a cell keeps and what another capture around it owns is none.
  const State kept("kept", zeros({2}));
  auto h = compile([&](const Tensor& x) {
    seen.clear();
    seen.push_back(x * 2);
    const Graph inner = capture({x}, [](const std::vector<Tensor>& in) {
                          return std::vector<Tensor>{in[0] * 3};
                        }).graph;
    kept.set(seen.back());
    const State local("local", x + 3);
    local.set(local.value() * 2);
    seen.clear();
    return local.value() + static_cast<int64_t>(inner.nodes.size());
  });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(h(ones({2})).to_vector<float>(), std::vector({9.f, 9.f}));
  EXPECT_EQ(kept.value().to_vector<float>(), std::vector({2.f, 2.f}));
}

TEST(CompileKeeps, RefusesToChangeAMode) {
  nn::Dropout layer(0.5);
  auto f = compile([&](const Tensor& x) {
    layer.train();
    return layer(x);
  });
  f(ones({4}));
  f(ones({4}));
  EXPECT_EQ(f.captures(), 1u);
  layer.eval();
  EXPECT_EQ(error_text([&] { f(ones({4})); }),
            "train: `Dropout` would change its mode within a captured function, which replays do "
            "not repeat; change it before, or make an nn::ModeScope in the function");
  EXPECT_FALSE(layer.training());
  auto scoped = compile([&](const Tensor& x) {
    const nn::ModeScope mode(layer, true);
    layer.eval();  // in the scope only
    return layer(x);
  });
  EXPECT_EQ(scoped(ones({4})).to_vector<float>(), std::vector<float>(4, 1.f));
}

TEST(CompileKeeps, AnOperandBecomesNoLeaf) {
  auto f = compile([](const Tensor& x) {
    Tensor y = x;
    y.set_requires_grad();
    sum(y * y).backward();
    return y.grad();
  });
  EXPECT_EQ(error_text([&] { f(ones({2})); }),
            "set_requires_grad: an operand of a captured function (f32[2]) becomes no leaf of the "
            "caller's; make one of it, `x = x.detach()`, or take `grad`");
  auto g = compile([](const Tensor& x) {
    Tensor y = x.detach().set_requires_grad();
    sum(y * y).backward();
    return y.grad();
  });
  for (int i = 0; i < 2; ++i) EXPECT_EQ(g(ones({2})).to_vector<float>(), std::vector({2.f, 2.f}));
}

TEST(CompileKeeps, AConstantIsUpdatedAsAHandleOfItsOwn) {
  const Tensor k = tensor({1.f, 2.f});
  const State cell("cell", zeros({2}));
  auto f = compile([&](const Tensor& x) {
    Tensor q = constant(k);
    q += x;
    cell.set(constant(k));
    update(cell, [&](Tensor& old) {
      old += x;
      return old;
    });
    return q;
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(f(ones({2})).to_vector<float>(), std::vector({2.f, 3.f}));
    EXPECT_EQ(cell.value().to_vector<float>(), std::vector({2.f, 3.f}));
    EXPECT_EQ(k.to_vector<float>(), std::vector({1.f, 2.f}));
  }
}

/// Members of a module that have cells of their own in them.
struct Learner : nn::Layer<Learner> {
  nn::Linear layer = child("layer", nn::Linear(2, 2));
  optim::SGD groups{{{.parameters = {layer.weight}}, {.parameters = {layer.bias}}}, {.lr = 1.0}};
  optim::AnyOptimizer any = make_any();
  TensorFunction custom = custom_function(
      {.forward = [l = layer](const std::vector<Tensor>& in) mutable { return l(in[0]); },
       .backward = [](const Tensor& grad, const std::vector<Tensor>&,
                      const Tensor&) { return std::vector<Tensor>{grad}; }});
  struct Apply {
    nn::Linear layer;
    Tensor operator()(const Tensor& x) {
      const no_grad off;
      return layer(x);
    }
  };
  Compiled<Apply> fast = compile(Apply{layer});
  Tensor forward(const Tensor& x) { return layer(x); }

 private:
  optim::AnyOptimizer make_any() {
    optim::Adam adam({.lr = 1.0});
    adam.attach(parameters());
    return adam;
  }
};

TEST(CompileKeeps, ACloneComputesAndLearnsWithItsOwnCells) {
  Learner net;
  const Tensor x = ones({1, 2});
  const std::vector<float> before = net.fast(x).to_vector<float>();
  Learner copy = nn::clone(net);
  for (const State& cell : copy.parameters()) cell.set(zeros(cell.value().shape()));
  const std::vector<float> nothing(2, 0.f);
  EXPECT_EQ(copy.fast(x).to_vector<float>(), nothing);
  EXPECT_EQ(copy.custom({x}).to_vector<float>(), nothing);
  EXPECT_EQ(net.fast(x).to_vector<float>(), before);
  const std::vector<Tensor> grads{ones({2, 2}), ones({2})};
  copy.groups.step(grads);
  EXPECT_EQ(copy.layer.bias.value().to_vector<float>(), std::vector(2, -1.f));
  EXPECT_EQ(net.fast(x).to_vector<float>(), before);
  copy.any->step(grads);
  EXPECT_LT(copy.layer.bias.value()[0].item(), -1.5);
  EXPECT_EQ(net.fast(x).to_vector<float>(), before);
  copy.groups.set_lr(0.25);
  net.groups.scale_lr(0.5);
  EXPECT_EQ(net.groups.lr(), 0.5);
  EXPECT_EQ(net.groups.lr(1), 0.5);
  EXPECT_EQ(copy.groups.lr(1), 0.25);
}

}  // namespace
}  // namespace taper

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <thread>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

std::string error_text(auto&& action) {
  return testing::thrown_text(ErrorKind::unsupported, action);
}

constexpr const char* ways =
    "which would hold its present values for ever; pass it as an operand, keep it in a State, or "
    "say constant(t)";

// ---------------------------------------------------------------------------------- what it holds

TEST(Compile, RefusesATensorThatTheFunctionHolds) {
  const Tensor weight = tensor({1.f, 2.f});
  auto scaled = compile([&](const Tensor& x) { return x * weight; });
  EXPECT_EQ(error_text([&] { scaled(ones({2})); }),
            std::string("multiply: x2 was made outside the captured function, ") + ways +
                " (x1 f32[2], x2 f32[2])");
  auto itself = compile([&] { return weight; });
  EXPECT_EQ(error_text([&] { itself(); }),
            std::string("capture: result 0 was made outside the captured function, ") + ways +
                " (f32[2])");
  const State cell("cell", zeros({2}));
  auto assigned = compile([&] { cell.set(weight); });
  EXPECT_EQ(error_text([&] { assigned(); }),
            std::string("the new value of cell `cell` was made outside the captured function, ") +
                ways + " (f32[2])");
  EXPECT_EQ(cell.value().to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(interpreter, nullptr);
  EXPECT_EQ(capture_number, 0u);
}

TEST(Compile, RefusesToLookAtATensorThatTheFunctionHolds) {
  const Tensor scale = tensor({2.f});
  const Tensor mask = tensor({true, false});
  const std::string text =
      "the value of a tensor that was made outside the captured function was asked for (f32[1]): "
      "the graph would hold for ever what follows from its present value; pass it as an operand "
      "and choose with `where`, or say constant(t)";
  auto item = compile([&](const Tensor& x) { return x * scale.item(); });
  EXPECT_EQ(error_text([&] { item(ones({2})); }), text);
  auto vector = compile([&](const Tensor& x) { return x * scale.to_vector<float>()[0]; });
  EXPECT_EQ(error_text([&] { vector(ones({2})); }), text);
  auto data = compile([&](const Tensor& x) { return x * *scale.data<float>(); });
  EXPECT_EQ(error_text([&] { data(ones({2})); }), text);
  auto branch = compile([&](const Tensor& x) { return scale > 1 ? x : x * 2; });
  EXPECT_NE(error_text([&] { branch(ones({2})); }).find("was made outside"), std::string::npos);
  auto pick = compile([&](const Tensor& x) { return x[mask]; });
  EXPECT_NE(error_text([&] { pick(ones({2})); }).find("(bool[2])"), std::string::npos);
  auto inside = compile([&](const Tensor& x) { return x * tensor({3.f}).item(); });
  EXPECT_EQ(inside(ones({2})).to_vector<float>(), (std::vector<float>{3, 3}));
  auto allowed = compile([&](const Tensor& x) { return x * constant(scale).item(); });
  EXPECT_EQ(allowed(ones({2})).to_vector<float>(), (std::vector<float>{2, 2}));
}

TEST(Compile, ViewsOfATensorThatItHoldsAreRefusedToo) {
  const Tensor table = ones({3, 2});
  const Tensor row = table[1];
  auto f = compile([&](const Tensor& x) { return x + row.detach(); });
  EXPECT_NE(error_text([&] { f(ones({2})); }).find("x2 was made outside"), std::string::npos);
}

TEST(Compile, HoldsWhatTheFunctionCallsConstant) {
  Tensor weight = tensor({1.f, 2.f});
  auto scaled = compile([&](const Tensor& x) { return x * constant(weight) + weight; });
  EXPECT_EQ(scaled(ones({2})).to_vector<float>(), (std::vector<float>{2, 4}));
  weight = tensor({10.f, 20.f});
  EXPECT_EQ(scaled(ones({2})).to_vector<float>(), (std::vector<float>{2, 4}));
  EXPECT_EQ(scaled.captures(), 1u);
  EXPECT_EQ(constant(weight).impl(), weight.impl());
  EXPECT_FALSE(constant(Tensor()).defined());
  auto asked = compile([&](const Tensor& x) { return x * constant(weight).to_vector<float>()[1]; });
  EXPECT_EQ(asked(ones({1})).item(), 20);
}

TEST(Compile, HoldsWhatTheFunctionMakesFromValues) {
  auto f = compile([](const Tensor& x) {
    const Tensor made = tensor({3.f, 4.f});
    return x * made + arange(2) + full({2}, 0.5);
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(f(ones({2})).to_vector<float>(), (std::vector<float>{3.5, 5.5}));
  }
  EXPECT_EQ(f.captures(), 1u);
}

TEST(Compile, ACellMadeInsideOfAnOperandKeepsWhatItGot) {
  std::vector<State> made;
  auto f = compile([&](const Tensor& x) {
    if (made.empty()) made.emplace_back("made", x * 2);
    return made[0].value() + 1;
  });
  EXPECT_EQ(f(full({1}, 3)).item(), 7);
  EXPECT_EQ(f(full({1}, 5)).item(), 7);
  EXPECT_EQ(made[0].value().item(), 6);
}

TEST(Compile, SaysWhichTensorComesFromAnotherCapture) {
  Tensor left;
  auto first = compile([&](const Tensor& x) {
    left = x * 2;
    return x * 3;
  });
  EXPECT_THROW(first(ones({2})), Error);
  auto second = compile([&](const Tensor& x) { return x + left; });
  EXPECT_EQ(error_text([&] { second(ones({2})); }),
            "add: x2 belongs to another capture and has no data here; pass it as an operand, or "
            "return it from the function that made it (x1 f32[2], x2 f32[2])");
  EXPECT_NE(
      error_text([&] { (void)left.to_vector<float>(); }).find("made while a function was captured"),
      std::string::npos);
  // Of one around it.
  const Tensor x = ones({2});
  const auto inner = [](const Tensor& outer) {
    capture({outer},
            [&](const std::vector<Tensor>& in) -> std::vector<Tensor> { return {in[0] + outer}; });
  };
  EXPECT_NE(error_text([&] {
              capture({x}, [&](const std::vector<Tensor>& in) -> std::vector<Tensor> {
                inner(in[0]);
                return {};
              });
            }).find("add: x2 belongs to another capture"),
            std::string::npos);
  EXPECT_EQ(capture_number, 0u);
}

TEST(Compile, AModesCheckerInsideACaptureLetsConstantsThrough) {
  const Tensor weight = tensor({2.f});
  auto f = compile([&](const Tensor& x) {
    const detect_anomaly check;
    return x * constant(weight);
  });
  EXPECT_EQ(f(ones({1})).item(), 2);
}

// ---------------------------------------------------------------------------------- the tape

TEST(Compile, RunsTheFunctionItselfWhileItsResultIsOnTheTape) {
  nn::Linear layer(1, 1, false);
  layer.weight.set(full({1, 1}, 3));
  auto forward = compile([&](const Tensor& x) { return sum(layer(x)); });
  for (int i = 0; i < 2; ++i) {
    const Tensor loss = forward(full({1, 1}, 5));
    ASSERT_TRUE(loss.requires_grad());
    EXPECT_EQ(gradients(loss, layer.parameters())[0].item(), 5);
  }
  EXPECT_EQ(forward.captures(), 1u);
  const no_grad off;
  EXPECT_EQ(forward(full({1, 1}, 5)).item(), 15);
  EXPECT_EQ(forward.captures(), 2u);
}

TEST(Compile, ReplaysAStepThatTookItsGradientsInside) {
  nn::Linear layer(1, 1, false);
  layer.weight.set(full({1, 1}, 3));
  int runs = 0;
  auto step = compile([&](const Tensor& x) {
    ++runs;
    const Tensor output = layer(x);
    const Tensor loss = sum(output);
    const Tensor grad = gradients(loss, layer.parameters())[0];
    return std::vector<Tensor>{loss, output, grad, loss * 2};
  });
  for (int i = 0; i < 3; ++i) {
    const std::vector<Tensor> results = step(full({1, 1}, 5));
    EXPECT_EQ(results[2].item(), 5);
    EXPECT_FALSE(results[0].requires_grad());
  }
  EXPECT_EQ(runs, 1);
}

TEST(Compile, RunsTheFunctionItselfWhereItKeepsTheGraph) {
  nn::Linear layer(1, 1, false);
  layer.weight.set(full({1, 1}, 3));
  auto slope = compile([&](const Tensor& x) {
    const Tensor loss = sum(square(layer(x)));
    return gradients(loss, layer.parameters(), true)[0];
  });
  for (int i = 0; i < 2; ++i) {
    // d/dw (w x)^2 = 2 w x^2, and its slope 2 x^2.
    const Tensor first = slope(full({1, 1}, 5));
    EXPECT_EQ(first.item(), 150);
    EXPECT_EQ(gradients(sum(first), layer.parameters())[0].item(), 50);
  }
}

TEST(Compile, ACellThatIsFirstAssignedIsGuardedToo) {
  const State cell("cell", ones({1}), true);
  auto slope = compile([&](const Tensor& x) {
    cell.set(x * 2);
    const Tensor loss = sum(cell.value() * x);
    return gradients(loss, std::vector<State>{cell})[0];
  });
  EXPECT_EQ(slope(full({1}, 3)).item(), 3);
  cell.set_requires_grad(false);
  EXPECT_THROW(slope(full({1}, 3)), Error);  // as the function itself
  cell.set_requires_grad(true);
  EXPECT_EQ(slope(full({1}, 4)).item(), 4);
}

TEST(Compile, ATransformInsideIsReplayed) {
  int runs = 0;
  auto slope = compile([&](const Tensor& x) {
    ++runs;
    return grad([](const std::vector<Tensor>& in) { return sum(in[0] * in[0]); })({x});
  });
  EXPECT_EQ(slope(full({1}, 3)).item(), 6);
  EXPECT_EQ(slope(full({1}, 4)).item(), 8);
  EXPECT_EQ(runs, 1);
}

// ---------------------------------------------------------------------------------- threads

TEST(Compile, SeveralThreadsMayCallOneObject) {
  manual_seed(6);
  nn::Sequential net{nn::Linear(4, 8), nn::Tanh(), nn::Linear(8, 2)};
  auto forward = compile([&](const Tensor& x) { return net(x); });
  std::vector<std::thread> threads;
  std::vector<Tensor> results(4);
  for (size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      const no_grad off;
      for (int k = 0; k < 50; ++k) {
        results[i] = forward(full({1 + static_cast<int64_t>(i % 2), 4}, 0.25));
        EXPECT_EQ(forward.graph().nodes.size(), 3u);
        EXPECT_GE(forward.captures(), 1u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const no_grad off;
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor expected = net(full({1 + static_cast<int64_t>(i % 2), 4}, 0.25));
    EXPECT_EQ(results[i].to_vector<float>(), expected.to_vector<float>());
  }
  EXPECT_EQ(forward.captures(), 2u);
}

TEST(Compile, IsCapturedAgainWhenACellThatWasOnlyAskedNeedsNoGradient) {
  const State cell("weight", ones({2}), true);
  auto scaled = compile([&](const Tensor& x) {
    const no_grad off;
    return cell.requires_grad() ? x * 2 : x * 3;
  });
  EXPECT_EQ(scaled(ones({1})).item(), 2);
  cell.set_requires_grad(false);
  EXPECT_EQ(scaled(ones({1})).item(), 3);
}

TEST(Compile, AFunctionMayReturnPartOfATensorOfItsOwn) {
  auto first = compile([](const Tensor& x) {
    Tensor y = x * 2;
    return y[0];
  });
  for (const float value : {3.f, 5.f}) {
    EXPECT_EQ(first(full({2}, value)).item<float>(), 2 * value);
  }
  EXPECT_EQ(first.captures(), 1u);
}

TEST(Compile, AGraphOutlivesItsPlan) {
  auto twice = compile([](const Tensor& x) { return x * 2; });
  twice(ones({1}));
  const Graph graph = twice.graph();
  for (int64_t size = 2; size < 20; ++size) twice(ones({size}));
  verify(graph);
  EXPECT_EQ(twice.graph().specs.back().shape, (Shape{19}));
}

TEST(Compile, AnOperandThatIsGivenTwiceIsNotOverwritten) {
  const auto same = [](auto&& f, const Tensor& x) {
    auto compiled = compile([&](const Tensor& given) { return f(given); });
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(compiled(x).template to_vector<float>(), f(x).template to_vector<float>());
    }
  };
  same(
      [](const Tensor& x) {
        Tensor t = x * 1;
        t[tensor({1, 2, 0})] = t;
        return t;
      },
      tensor({1.f, 2.f, 3.f}));
  same(
      [](const Tensor& x) {
        Tensor t = x * 1;
        t[Slice({}, {}, -1)] = t;
        return t;
      },
      tensor({1.f, 2.f, 3.f, 4.f}));
  same(
      [](const Tensor& x) {
        const Tensor t = x * 1;
        return slice_update(t, t, 0, {}, {}, -1);
      },
      tensor({1.f, 2.f, 3.f, 4.f}));
}

TEST(Compile, WhatIsMadeInsideBeginsAnewAtEachCall) {
  const Tensor one = ones({1});
  auto state = compile([](const Tensor& x) {
    const State s("s", zeros({1}));
    s.set(s.value() + x);
    return s.value();
  });
  auto draws = compile([](const Tensor& x) {
    Generator generator(3);
    return x * rand({2}, DType::f32, &generator);
  });
  const State w("w", zeros({1}), true);
  auto step = compile([&](const Tensor& x) {
    optim::SGD sgd(std::vector<State>{w}, {.lr = 1, .momentum = 0.5});
    sgd.step({x});
  });
  std::vector<float> first;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(state(one).item(), 1);
    const std::vector<float> drawn = draws(one).to_vector<float>();
    if (i == 1) first = drawn;
    EXPECT_EQ(drawn, first);
    step(one);
    EXPECT_EQ(w.value().item(), -i);
  }
  EXPECT_EQ(state.captures() + draws.captures() + step.captures(), 3u);
}

TEST(Compile, ACellMadeInsideOfAnOutsideTensorIsRefused) {
  const Tensor start = zeros({1});
  auto f = compile([&](const Tensor& x) {
    const State s("s", start);
    return s.value() + x;
  });
  EXPECT_NE(error_text([&] { f(ones({1})); }).find("was made outside"), std::string::npos);
}

TEST(Compile, HooksOfAParameterAreGuarded) {
  const State w("w", tensor({2.f}), true);
  auto slope = compile([&](const Tensor& x) {
    w.zero_grad();
    sum(w.value() * x).backward();
    return w.grad();
  });
  EXPECT_EQ(slope(ones({1})).item(), 1);
  HookHandle hook = register_hook(w.value(), [](const Tensor& g) { return g * 10; });
  EXPECT_EQ(slope(ones({1})).item(), 10);
  EXPECT_EQ(slope(ones({1})).item(), 10);
  w.set_requires_grad(false);
  w.set_requires_grad(true);  // keeps the hook
  EXPECT_EQ(slope(ones({1})).item(), 10);
  EXPECT_EQ(slope.captures(), 2u);
  hook.remove();
  EXPECT_EQ(slope(ones({1})).item(), 1);
}

TEST(Compile, MembersThatAreOnlyReadAreGuarded) {
  struct Walk : nn::Layer<Walk> {
    nn::Sequential layers = child("layers", nn::Sequential{nn::Linear(4, 4)});
    Tensor forward(const Tensor& x) const {
      Tensor y = x;
      for (const nn::AnyModule& layer : layers.layers()) y = layer(y);
      return y;
    }
  };
  struct Biased : nn::Layer<Biased> {
    nn::Linear head = child("head", nn::Linear(4, 4));
    Tensor forward(const Tensor& x) const {
      return head.bias ? x + 1 : x * head.options().out_features.value();
    }
  };
  const no_grad off;
  Walk walk;
  auto walks = compile([&](const Tensor& x) { return walk(x); });
  EXPECT_EQ(walks(ones({1, 4})).shape(), (Shape{1, 4}));
  walk.layers.append(nn::Linear(4, 2));
  EXPECT_EQ(walks(ones({1, 4})).shape(), (Shape{1, 2}));
  Biased biased;
  auto asks = compile([&](const Tensor& x) { return biased(x); });
  EXPECT_EQ(asks(ones({1})).item(), 2);
  nn::replace(biased.head, nn::Linear(4, 7, false));
  EXPECT_EQ(asks(ones({1})).item(), 7);
  EXPECT_EQ(asks(ones({1})).item(), 7);
  EXPECT_EQ(asks.captures(), 2u);
}

TEST(Compile, AnUpdateInPlaceOfAnOutsideTensorIsRefused) {
  Tensor w = ones({2});
  auto f = compile([&](const Tensor& x) {
    const Tensor held = constant(w);
    w += x;
    return held;
  });
  EXPECT_EQ(error_text([&] { f(ones({2})); }),
            "a tensor that was made outside the captured function is updated in place (f32[2]), "
            "which later calls would not repeat; keep it in a State, or make a new tensor, `y = x "
            "+ 1`");
  auto g = compile([&](const Tensor& x) {
    const Tensor held = constant(w);
    w[0] = x[0];
    return held;
  });
  EXPECT_NE(error_text([&] { g(ones({2})); }).find("updated in place"), std::string::npos);
  EXPECT_EQ(w.to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(Compile, WhatACaptureLeavesIsNoValueElsewhere) {
  Tensor leak;
  auto f = compile([&](const Tensor& x) {
    leak = x * 2;
    return x + 1;
  });
  EXPECT_THROW(f(ones({1})), Error);
  const State w("w", ones({1}), true);
  for (const auto& use : std::vector<std::function<void()>>{
           [&] { w.set(leak); },
           [&] { w.set_grad(leak); },
           [&] { State("s", leak); },
           [&] { default_generator().set_state(leak); },
       }) {
    EXPECT_THROW(use(), Error);
  }
  const State v("v", ones({1}), true);
  optim::SGD sgd(std::vector<State>{v, w}, {.lr = 1});
  EXPECT_NE(error_text([&] { sgd.step({ones({1}), leak}); }).find("holds no data"),
            std::string::npos);
  EXPECT_EQ(v.value().item(), 1);
  EXPECT_EQ(w.value().item(), 1);
  nn::Linear layer(1, 1, false);
  const float before = layer.weight.value().item<float>();
  Tensor matrix;
  EXPECT_THROW(compile([&](const Tensor& x) { return matrix = x * 2, x + 1; })(ones({1, 1})),
               Error);
  EXPECT_NE(error_text([&] { layer.load_state_dict({{"weight", matrix}}); }).find("holds no data"),
            std::string::npos);
  EXPECT_EQ(layer.weight.value().item<float>(), before);
}

TEST(Compile, AFunctionMayAskForItsOwnCaptures) {
  std::function<size_t()> captures;
  auto f = compile([&](const Tensor& x) { return x * static_cast<double>(captures() + 1); });
  captures = [&] { return f.captures(); };
  EXPECT_EQ(f(ones({1})).item(), 1);
}

TEST(Compile, AModeSaidInsideIsNoDependence) {
  nn::Sequential net{nn::Dropout(0.5)};
  auto f = compile([&](const Tensor& x) {
    const nn::ModeScope mode(net, false);
    return net(x);
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(f(ones({1})).item(), 1);
  EXPECT_EQ(f.captures(), 1u);
}

TEST(Compile, AStandardizerMayBeUsedInside) {
  const data::Standardizer standard(tensor({{1.f}, {3.f}}));
  auto f = compile([&](const Tensor& x) { return standard.inverse(standard(x)); });
  EXPECT_EQ(f(full({1, 1}, 5)).item(), 5);
}

TEST(Compile, WhatIsMadeAtTheFirstCallAndKeptGoesOn) {
  std::optional<State> count;
  auto counts = compile([&](const Tensor& x) {
    if (!count) count.emplace("count", zeros({}));
    count->set(count->value() + 1);
    return x + count->value();
  });
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(counts(zeros({1})).item(), i);
  count->set(full({}, 10));
  EXPECT_EQ(counts(zeros({1})).item(), 11);
  const auto losses = [](auto&& wrap) {
    const State w("w", ones({1}), true);
    optim::Adam adam({.lr = 0.1});
    auto step = wrap([&](const Tensor& x) {
      if (!adam.attached()) adam.attach({w});
      adam.zero_grad();
      const Tensor loss = sum(square(w.value() * x));
      loss.backward();
      adam.step();
      return loss.detach();
    });
    std::vector<float> all;
    for (int i = 0; i < 6; ++i) all.push_back(step(ones({1})).template item<float>());
    return all;
  };
  EXPECT_EQ(losses([](auto f) { return compile(f); }), losses([](auto f) { return f; }));
}

TEST(Compile, FlagsOfOutsideCellsAreNotWrittenInside) {
  const State d("d", ones({1}), true);
  auto f = compile([&](const Tensor& x) {
    d.set_requires_grad(false);
    return x * d.value();
  });
  EXPECT_NE(error_text([&] { f(ones({1})); }).find("set_requires_grad: `d` was made outside"),
            std::string::npos);
  EXPECT_TRUE(d.requires_grad());
}

TEST(Compile, ACloneInsideHasTheValuesOfTheCapture) {
  auto f = compile([](const Tensor& x) {
    const no_grad off;
    nn::Linear layer(1, 1, false);
    layer.weight.set(full({1, 1}, 5));
    return clone(layer)(x);
  });
  EXPECT_EQ(f(ones({1, 1})).item(), 5);
}

TEST(Compile, TakesAVectorOfTensors) {
  auto total = compile([](const std::vector<Tensor>& terms) {
    Tensor all = terms[0];
    for (size_t i = 1; i < terms.size(); ++i) all = all + terms[i];
    return all;
  });
  const Tensor x = tensor({1.0, 2.0});
  EXPECT_EQ(total(std::vector<Tensor>{x, x, x}).to_vector<double>(), (std::vector<double>{3, 6}));
  EXPECT_EQ(total(std::vector<Tensor>{x, x}).to_vector<double>(), (std::vector<double>{2, 4}));
  EXPECT_EQ(total(std::vector<Tensor>{x * 2, x}).to_vector<double>(), (std::vector<double>{3, 6}));
  EXPECT_EQ(total.captures(), 2u);
}

}  // namespace
}  // namespace taper

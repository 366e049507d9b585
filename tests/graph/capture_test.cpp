#include <gtest/gtest.h>

#include <complex>
#include <cstring>
#include <limits>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using Nets = std::vector<nn::AnyModule>;

nn::Sequential convnet() {
  return nn::Sequential{nn::Conv2d(1, 8, 3),  nn::ReLU(),          nn::MaxPool2d(2),
                        nn::Conv2d(8, 16, 3), nn::ReLU(),          nn::MaxPool2d(2),
                        nn::Flatten(),        nn::Linear(400, 32), nn::ReLU(),
                        nn::Dropout(0.5),     nn::Linear(32, 10)};
}

nn::Sequential normed_net() {
  return nn::Sequential{nn::Conv2d(1, 8, 3), nn::BatchNorm2d(8), nn::ReLU(),
                        nn::MaxPool2d(2),    nn::Dropout(0.25),  nn::Flatten(),
                        nn::Linear(1352, 10)};
}

/// Trains one copy eagerly and one by replay with the same data, seed and optimizer, and compares
/// every loss and every cell bit for bit.
template <class MakeOptimizer>
void expect_replay_equals_eager(const nn::Sequential& net, MakeOptimizer make_optimizer) {
  constexpr int steps = 100;
  manual_seed(7);
  std::vector<Tensor> images;
  std::vector<Tensor> labels;
  for (int i = 0; i < 5; ++i) {
    images.push_back(randn({16, 1, 28, 28}));
    labels.push_back(randint(0, 10, {16}));
  }
  auto run = [&](bool captured) {
    nn::Sequential copy = nn::clone(net);
    auto optimizer = make_optimizer(copy.parameters());
    auto step = [&](const Tensor& x, const Tensor& y) {
      const Tensor loss = cross_entropy(copy(x), y);
      optimizer.step(gradients(loss, copy.parameters()));
      return loss;
    };
    auto compiled = compile(step);
    manual_seed(11);
    std::vector<double> losses;
    for (int i = 0; i < steps; ++i) {
      const auto batch = static_cast<size_t>(i % 5);
      const Tensor loss =
          captured ? compiled(images[batch], labels[batch]) : step(images[batch], labels[batch]);
      losses.push_back(loss.item());
    }
    EXPECT_EQ(compiled.captures(), captured ? 1u : 0u);
    std::vector<std::vector<double>> cells;
    for (const auto& [name, value] : copy.state_dict()) {
      cells.push_back(value.template to_vector<double>());
    }
    for (const auto& [name, cell] : optimizer.state()) {
      cells.push_back(cell.value().template to_vector<double>());
    }
    cells.push_back(default_generator().state().to_vector<double>());
    return std::pair(losses, cells);
  };
  const auto eager = run(false);
  const auto replayed = run(true);
  EXPECT_EQ(eager.first, replayed.first);
  EXPECT_EQ(eager.second, replayed.second);
  EXPECT_NE(eager.first.back(), eager.first.front());
}

TEST(Capture, TheConvnetsTrainingStepReplaysBitForBit) {
  manual_seed(1);
  expect_replay_equals_eager(convnet(), [](std::vector<State> parameters) {
    return optim::Adam(std::move(parameters), {.lr = 1e-3});
  });
}

TEST(Capture, BatchNormDropoutAndMomentumReplayBitForBit) {
  manual_seed(2);
  expect_replay_equals_eager(normed_net(), [](std::vector<State> parameters) {
    return optim::SGD(std::move(parameters),
                      {.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-4, .nesterov = true});
  });
}

TEST(Capture, TheTapeStyleStepReplaysToo) {
  manual_seed(3);
  auto run = [](bool captured) {
    manual_seed(4);
    nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()};
    optim::SGD optimizer(net.parameters(), {.lr = 0.5});
    const Tensor x = from_values<float>({4, 2}, std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1});
    const Tensor y = from_values<float>({4, 1}, std::vector<float>{0, 1, 1, 0});
    auto step = [&](const Tensor& input, const Tensor& target) {
      optimizer.zero_grad();
      const Tensor loss = binary_cross_entropy(net(input), target);
      loss.backward();
      optimizer.step();
      return loss;
    };
    auto compiled = compile(step);
    double last = 0;
    for (int i = 0; i < 50; ++i) last = (captured ? compiled(x, y) : step(x, y)).item();
    return last;
  };
  EXPECT_EQ(run(false), run(true));
}

TEST(Capture, ModesAndShapesMakeNewPlans) {
  const no_grad off;
  manual_seed(5);
  nn::Sequential net{nn::Linear(4, 4), nn::Dropout(0.5)};
  auto forward = compile([&](const Tensor& x) { return net(x); });
  const Tensor x = ones({2, 4});
  forward(x);
  forward(x);
  EXPECT_EQ(forward.captures(), 1u);
  net.eval();
  EXPECT_EQ(forward(x).to_vector<float>(), net(x).to_vector<float>());
  EXPECT_EQ(forward.captures(), 2u);
  forward(ones({3, 4}));
  EXPECT_EQ(forward.captures(), 3u);
  net.train();
  forward(x);
  EXPECT_EQ(forward.captures(), 3u);
}

TEST(Capture, ALearningRateIsNoConstant) {
  nn::Linear layer(1, 1, false);
  layer.weight.set(ones({1, 1}));
  optim::SGD optimizer(layer.parameters(), {.lr = 1.0});
  auto step = compile(
      [&](const Tensor& x) { optimizer.step(gradients(sum(layer(x)), layer.parameters())); });
  step(ones({1, 1}));
  EXPECT_EQ(layer.weight.value().item(), 0);
  optimizer.set_lr(0.25);
  step(ones({1, 1}));
  EXPECT_EQ(layer.weight.value().item(), -0.25);
}

TEST(Capture, AskingForAValueNamesTheOpAndTheWayOut) {
  auto f = compile([](const Tensor& x) { return sum(x).item() > 0 ? x : -x; });
  try {
    f(ones({3}));
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find("sum: "), 0u) << text;
    EXPECT_NE(text.find("`where`"), std::string::npos) << text;
  }
  EXPECT_EQ(interpreter, nullptr);
}

TEST(Capture, CellsKeepTheirValuesWhileItRecords) {
  const State counter("counter", zeros({}));
  auto count = compile([&] { counter.set(counter.value() + 1); });
  for (int i = 0; i < 3; ++i) count();
  EXPECT_EQ(counter.value().item(), 3);
}

TEST(Capture, AFailedReplayLeavesTheCells) {
  const State total("total", zeros({}));
  auto add_at = compile([&](const Tensor& x, const Tensor& index) {
    total.set(total.value() + sum(take(x, index)));
  });
  add_at(ones({3}), tensor<int64_t>({1, 2}));
  EXPECT_EQ(total.value().item(), 2);
  EXPECT_THROW(add_at(ones({3}), tensor<int64_t>({1, 5})), Error);
  EXPECT_EQ(total.value().item(), 2);
}

TEST(Capture, ResultsStayWhenItRunsAgain) {
  auto twice = compile([](const Tensor& x) { return x * 2; });
  const Tensor first = twice(tensor({1.f}));
  twice(tensor({5.f}));
  EXPECT_EQ(first.item(), 2);
}

TEST(Capture, AGraphPrintsItsNodes) {
  const no_grad off;
  nn::Linear layer(2, 3);
  auto f = compile([&](const Tensor& x) { return relu(layer(x)); });
  f(ones({1, 2}));
  const std::string text = to_string(f.graph());
  EXPECT_NE(text.find("f32[1,3] = linear("), std::string::npos) << text;
  EXPECT_NE(text.find("= cell weight"), std::string::npos) << text;
  EXPECT_NE(text.find(" in Linear"), std::string::npos) << text;
}

TEST(Capture, NumbersAreImmediatesOfTheGraph) {
  auto f = compile([](const Tensor& x) { return (x * 2 + 0.5) * x; });
  f(ones({2}));
  EXPECT_TRUE(f.graph().constants.empty());
  EXPECT_EQ(to_string(f.graph()),
            "%0 f32[2] = input\n"
            "%2 f32[2] = multiply(%0, 2.0)\n"
            "%4 f32[2] = add(%2, 0.5)\n"
            "%5 f32[2] = multiply(%4, %0)\n"
            "return %5\n");
}

/// With a number of every kind beside operands of every dtype.
TEST(Capture, NumbersOfEveryDtypeAreReplayedAsTheyAre) {
  const auto expect_same = [](const Tensor& x, const auto& number) {
    const auto f = [&](const Tensor& a) { return where(a == a, number, a); };
    auto compiled = compile(f);
    const Tensor expected = f(x);
    for (int run = 0; run < 2; ++run) {
      const Tensor found = compiled(x);
      ASSERT_EQ(found.spec(), expected.spec());
      EXPECT_EQ(std::memcmp(found.raw(), expected.raw(),
                            item_size(x.dtype()) * static_cast<size_t>(x.numel())),
                0)
          << to_string(x.spec());
    }
  };
  for (DType dtype : all_dtypes) {
    const Tensor x = ones({3}, dtype);
    expect_same(x, 1);
    if (!is_inexact(dtype)) continue;
    expect_same(x, -0.0);
    expect_same(x, 0.1);
    expect_same(x, std::numeric_limits<double>::infinity());
    expect_same(x, std::numeric_limits<double>::quiet_NaN());
  }
  expect_same(ones({3}, DType::u64), UINT64_MAX);
  expect_same(ones({3}, DType::i64), INT64_MIN);
  expect_same(ones({3}, DType::c128), std::complex<double>(0.1, -0.0));
}

TEST(Verify, FindsAValueUsedBeforeItIsDefined) {
  auto f = compile([](const Tensor& x) { return relu(x) + 1; });
  f(ones({2}));
  Graph graph = f.graph();
  verify(graph);
  std::swap(graph.nodes[0], graph.nodes[1]);
  EXPECT_THROW(verify(graph), Error);
}

/// What `verify` says of the graph of x @ w after `change`.
template <class Change>
std::string verify_after(Change&& change) {
  auto f = compile([](const Tensor& x, const Tensor& w) { return matmul(x, w); });
  f(ones({2, 3}), ones({3, 4}));
  Graph graph = f.graph();
  change(graph);
  return testing::thrown_text(ErrorKind::internal, [&] { verify(graph); });
}

TEST(Verify, NamesTheNodeWhoseOperandsAreWrong) {
  const std::string node = "verify: node 0 (matmul): ";
  EXPECT_EQ(verify_after([](Graph& graph) { graph.nodes[0].inputs.pop_back(); }),
            node + "it has 1 operands");
  EXPECT_EQ(verify_after([](Graph& graph) { graph.nodes[0].inputs[1] = no_value; }),
            node + "operand 1 is absent");
  EXPECT_EQ(verify_after([](Graph& graph) {
              graph.nodes[0].inputs[1] = graph.inputs[0];
            }).substr(0, node.size()),
            node);
  EXPECT_EQ(verify_after([](Graph& graph) {
              graph.specs[static_cast<size_t>(graph.nodes[0].outputs[0])].shape = {2, 5};
            }),
            node + "its rule gives f32[2,4]");
  EXPECT_EQ(verify_after([](Graph& graph) { graph.nodes[0].op = nullptr; }),
            "verify: node 0 has no op");
  EXPECT_EQ(verify_after([](Graph& graph) { graph.nodes[0].on_tape.resize(17); }),
            node + "it says of 17 operands where gradients flow");
  EXPECT_EQ(verify_after([](Graph& graph) {
              graph.specs.push_back({DType::f32, {}, {2}});
              graph.constants.emplace_back(static_cast<ValueId>(graph.specs.size()) - 1,
                                           zeros({7}, DType::i32));
            }),
            "verify: the constant %3 is i32[7]");
  const auto with_number = [](const Spec& spec, int64_t number) {
    return verify_after([&](Graph& graph) {
      graph.specs.push_back(spec);
      graph.immediates.emplace_back(static_cast<ValueId>(graph.specs.size()) - 1, Number(number));
    });
  };
  EXPECT_EQ(with_number({DType::f32, {}, {3}}, 2), "verify: the number %3 is f32[3]");
  EXPECT_NE(with_number({DType::u8, {}, {}}, -5).find("verify: the number %3: "),
            std::string::npos);
  EXPECT_EQ(verify_after([](Graph& graph) { graph.outputs_on_tape = {true, false}; }),
            "verify: the graph says of 2 of its 1 outputs where gradients flow");
}

}  // namespace
}  // namespace taper

// Members of modules: places of cells and children. Expected values are closed forms.

#include <gtest/gtest.h>

#include <memory>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

/// y = W x with all weights equal to `value`, so a row of ones gives in * value.
Linear constant_linear(int64_t in, int64_t out, float value) {
  Linear layer(in, out, false);
  layer.weight.set(full({out, in}, value));
  return layer;
}

struct Net : Layer<Net> {
  Linear stem = child("stem", constant_linear(2, 3, 1));
  Linear head = child("head", constant_linear(3, 4, 1));
  Tensor forward(const Tensor& x) const { return head(stem(x)); }
};

template <class M>
concept Replaceable = requires(M& member, M other) { replace(member, std::move(other)); };
static_assert(Replaceable<Linear>);
// The members of the layer behind it would stay those of the old one.
static_assert(!Replaceable<Module>);

// What must not compile.
static_assert(!std::is_convertible_v<Parameter, State>);
static_assert(!std::is_constructible_v<State, Parameter>);
static_assert(std::is_convertible_v<Parameter&, State>);
static_assert(!std::is_assignable_v<Linear&, Linear>);
static_assert(!std::is_assignable_v<Net&, Net>);
static_assert(!std::is_assignable_v<Module&, Module>);
static_assert(!std::is_assignable_v<Sequential&, Sequential>);
static_assert(std::is_nothrow_move_constructible_v<Linear>);
static_assert(std::is_nothrow_move_constructible_v<AnyModule>);

std::vector<std::string> names(const StateDict& values) {
  std::vector<std::string> result;
  for (const auto& [name, value] : values) result.push_back(name);
  return result;
}

TEST(Members, AnAssignedCellIsTrainedSavedAndUsed) {
  struct Coder : Layer<Coder> {
    Linear encode = child("encode", constant_linear(2, 2, 1));
    Linear decode = child("decode", constant_linear(2, 2, 5));
    Tensor forward(const Tensor& x) const { return decode(encode(x)); }
  };
  Coder net;
  Coder copy = net;
  net.decode.weight = net.encode.weight;
  EXPECT_EQ(copy.decode.weight, net.encode.weight);
  EXPECT_EQ(net.parameters().size(), 1u);
  EXPECT_EQ(net.num_parameters(), 4);
  EXPECT_EQ(names(net.state_dict()), (std::vector<std::string>{"encode.weight", "decode.weight"}));
  // 1 x 2 ones through two products with 2 x 2 ones: 2, then 4.
  EXPECT_EQ(copy(ones({1, 2})).to_vector<float>(), (std::vector<float>{4, 4}));
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  sum(net(ones({1, 2}))).backward();
  sgd.step();
  EXPECT_EQ(net.decode.weight.value().to_vector<float>(),
            net.encode.weight.value().to_vector<float>());
  // y = sum over k of (W W x)_k: d/dW is 1 (W x)^T + (W^T 1) x^T = 2 + 2 for each element.
  EXPECT_EQ(net.encode.weight.value().to_vector<float>(), (std::vector<float>(4, -3)));
}

TEST(Members, ACellOfOnesOwnTakesThePlaceUnderItsName) {
  Net net;
  const State table("table", full({4, 3}, 2.f), true);
  net.head.weight = table;
  EXPECT_EQ(names(net.state_dict()), (std::vector<std::string>{"stem.weight", "head.weight"}));
  EXPECT_EQ(net.parameters()[1], table);
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 12));  // 2 * 3 * 2
}

TEST(Members, WithoutACellCannotBeReadOrAssigned) {
  Linear plain(2, 2, false);
  Linear biased(2, 2);
  EXPECT_FALSE(plain.bias);
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { plain.bias.value(); }).find("has no cell"),
            std::string::npos);
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { plain.bias = biased.bias; })
                .find("cannot be assigned; make the layer with it"),
            std::string::npos);
  for (const auto& assign : std::vector<std::function<void()>>{
           [&] { plain.bias = Linear(2, 2).bias; }, [&] { plain.bias = std::move(biased.bias); }}) {
    EXPECT_NE(thrown_text(ErrorKind::value, assign).find("cannot be assigned; make the layer with"),
              std::string::npos);
  }
  EXPECT_EQ(plain.parameters().size(), 1u);
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { biased.bias = State(); }).find("a null cell"),
            std::string::npos);
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { biased.bias = plain.bias; }).find("has no cell"),
            std::string::npos);
}

TEST(Members, AnOptimizerAttachedBeforeTyingThrows) {
  Net net;
  Linear other = constant_linear(3, 4, 2);
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  net.head.weight = other.weight;
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { sgd.step(); }),
            "optimizer: `weight` (parameter 1) was attached before `weight` of `head` was assigned "
            "another cell; make a new optimizer of the module's parameters()");
}

TEST(Members, AReplacedChildIsTrainedSavedAndUsed) {
  Net net;
  net.eval();
  replace(net.head, constant_linear(3, 2, 10));
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{60, 60}));  // 2 * 3 * 10
  EXPECT_EQ(net.parameters()[1], net.head.weight);
  EXPECT_EQ(net.parameters()[1].value().shape(), (Shape{2, 3}));
  EXPECT_EQ(names(net.state_dict()), (std::vector<std::string>{"stem.weight", "head.weight"}));
  net.train();
  EXPECT_TRUE(net.head.training());
  net.eval();
  EXPECT_FALSE(net.head.training());
  EXPECT_NE(thrown_text(ErrorKind::shape, [&] { net.head(ones({1, 5})); }).find("in head"),
            std::string::npos);
}

TEST(Members, HandlesCopiedBeforeAReplacementThrowAtTheirNextCall) {
  Net net;
  Net copy = net;
  Linear head = net.head;
  Sequential around{net, ReLU()};
  Sequential direct{net.head};
  Trainer trainer(net, {.loss = MSELoss(), .optimizer = optim::SGD({.lr = 0.1})});
  replace(net.head, constant_linear(3, 4, 2));
  const std::string text = thrown_text(ErrorKind::value, [&] { copy(ones({1, 2})); });
  EXPECT_EQ(text.find("module: `head` of `0` was replaced; this handle was copied before: copy it "
                      "from the module again, and make a Trainer or Sequential that holds it anew"),
            0u)
      << text;
  thrown_text(ErrorKind::value, [&] { head(ones({1, 3})); });
  thrown_text(ErrorKind::value, [&] { around(ones({1, 2})); });
  thrown_text(ErrorKind::value, [&] { direct(ones({1, 3})); });
  thrown_text(ErrorKind::value, [&] { trainer.predict(ones({1, 2})); });
  thrown_text(ErrorKind::value, [&] { clone(copy); });
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 12));
  replace(copy.head, net.head);
  EXPECT_EQ(copy(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 12));
  // The old one lives on as a clone.
  EXPECT_EQ(clone(head)(ones({1, 3})).to_vector<float>(), std::vector<float>(4, 3));
}

TEST(Members, AHandleWithinWhatWasReplacedThrows) {
  struct Outer : Layer<Outer> {
    Net block = child("block", Net());
    Tensor forward(const Tensor& x) const { return block(x); }
  };
  Outer net;
  Linear inner = net.block.stem;
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  replace(net.block, Net());
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { inner(ones({1, 2})); })
                .find("`block` of `model` was replaced"),
            std::string::npos);
  EXPECT_NE(
      thrown_text(ErrorKind::value, [&] { sgd.step(); }).find("`block` of `model` was replaced"),
      std::string::npos);
}

TEST(Members, WhatIsPutBackIsInUseAgain) {
  Net net;
  const Linear first = net.head;
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  replace(net.head, constant_linear(3, 4, 2));
  thrown_text(ErrorKind::value, [&] { sgd.step(); });
  replace(net.head, first);
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 6));
  EXPECT_EQ(first(ones({1, 3})).to_vector<float>(), std::vector<float>(4, 3));
  thrown_text(ErrorKind::value, [&] { sgd.step(); });
  optim::SGD(net.parameters(), optim::SGDOptions{.lr = 1}).step();
}

TEST(Members, AnOptimizerThrowsThoughAnotherPlaceHoldsTheCell) {
  struct Both : Layer<Both> {
    Net a = child("a", Net());
    Linear b = child("b", constant_linear(3, 4, 2));
    Tensor forward(const Tensor& x) const { return a(x); }
  };
  Both both;
  both.b.weight = both.a.head.weight;
  optim::SGD sgd(both.parameters(), optim::SGDOptions{.lr = 1});
  replace(both.b, constant_linear(3, 4, 7));
  // The cell is still that of `a.head`, but the new one of `b` would stay as it is.
  thrown_text(ErrorKind::value, [&] { sgd.step(); });
  EXPECT_EQ(both.parameters().size(), 3u);
  optim::SGD(both.parameters(), optim::SGDOptions{.lr = 1}).step();
}

TEST(Members, AnOptimizerAttachedBeforeAnAdapterWasPutAroundALayerThrows) {
  struct Adapter : Layer<Adapter> {
    explicit Adapter(const AnyModule& layer) : base(child("base", layer)) {}
    AnyModule base;
    Parameter scale = parameter("scale", ones({1}));
    Tensor forward(const Tensor& x) const { return base(x) * scale.value(); }
  };
  Sequential net{constant_linear(2, 3, 1)};
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  replace(net[0], Adapter(net[0]));
  EXPECT_EQ(names(net.state_dict()), (std::vector<std::string>{"0.scale", "0.base.weight"}));
  thrown_text(ErrorKind::value, [&] { sgd.step(); });
  optim::SGD next(net.parameters(), optim::SGDOptions{.lr = 1});
  sum(net(ones({1, 2}))).backward();
  next.step();
  EXPECT_EQ(net.parameters()[0].value().item(), 1 - 3 * 2);  // d/d scale: 3 outputs of 2
}

TEST(Members, AnOptimizerThrowsForAChildThatCameFromAModuleThatIsGone) {
  Net net;
  {
    Net trained;
    replace(net.head, trained.head);
  }
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  sgd.step();
  replace(net.head, constant_linear(3, 4, 2));
  thrown_text(ErrorKind::value, [&] { sgd.step(); });
}

TEST(Members, ACopyThatReadsTheCellsOfAReplacedChildThrows) {
  struct Table : Layer<Table> {
    Linear table = child("table", constant_linear(2, 3, 1));
    Tensor forward(const Tensor& x) const { return linear(x, table.weight.value()); }
  };
  Table net;
  const Table copy = net;
  const Linear first = net.table;
  replace(net.table, constant_linear(2, 3, 2));
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(3, 4));
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { copy(ones({1, 2})); })
                .find("`table` of `model` was replaced"),
            std::string::npos);
  // Outside of a call one may look, such as to keep a part of what was replaced.
  net.table.weight.set(first.weight.value());
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(3, 2));
}

TEST(Members, SwapExchangesTheCellsOfTwoPlaces) {
  struct Two : Layer<Two> {
    Linear a = child("a", constant_linear(2, 1, 1));
    Linear b = child("b", constant_linear(2, 1, 5));
    Tensor forward(const Tensor& x) const { return a(x); }
  };
  Two net;
  using std::swap;
  swap(net.a.weight, net.b.weight);
  EXPECT_EQ(net.parameters().size(), 2u);
  EXPECT_EQ(net.state_dict()[0].second.to_vector<float>(), (std::vector<float>{5, 5}));
  EXPECT_EQ(net.state_dict()[1].second.to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(Members, ACellNeedsAValue) {
  struct Given : Layer<Given> {
    explicit Given(bool trained) {
      if (trained) {
        parameter("w", Tensor());
      } else {
        buffer("w", Tensor());
      }
    }
  };
  for (const bool trained : {true, false}) {
    EXPECT_EQ(thrown_text(ErrorKind::value, [&] { Given given(trained); }),
              "module: `w` is given no value");
  }
  BatchNorm1d norm(2);
  norm.running_mean.set(Tensor());
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { norm.state_dict(); }),
            "state_dict: `running_mean` has no value");
  norm.load_state_dict(BatchNorm1d(2).state_dict());
  EXPECT_EQ(norm.running_mean.value().to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(Members, AMovedMemberIsNotTied) {
  struct Several : Layer<Several> {
    std::vector<Parameter> scales;
    Several() {
      for (int i = 0; i < 3; ++i) {
        scales.push_back(parameter("scale" + std::to_string(i), ones({1}) * i));
      }
    }
  };
  Several net;
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { net.scales.erase(net.scales.begin()); }),
            "module: `scale0` was assigned a member that is moved or temporary, as `std::swap` and "
            "erasing from a vector do; both would be one cell. Name the other one to tie them, or "
            "say nn::swap(a, b)");
  thrown_text(ErrorKind::value, [&] { std::swap(net.scales[0], net.scales[1]); });
  EXPECT_EQ(net.parameters().size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(net.scales[static_cast<size_t>(i)].value().item(), i);
}

TEST(Members, AnOptimizerMissesNoChildThatTakesThePlaceOfOneWithoutParameters) {
  struct Activated : Layer<Activated> {
    Linear stem = child("stem", constant_linear(2, 2, 1));
    AnyModule head = child("head", AnyModule(ReLU()));
    Tensor forward(const Tensor& x) const { return head(stem(x)); }
  };
  Activated net;
  optim::SGD sgd(net.parameters(), {.lr = 1});
  replace(net.head, Tanh());
  sgd.step(std::vector<Tensor>(sgd.parameters().size()));
  replace(net.head, constant_linear(2, 2, 1));
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { sgd.step(); })
                .find("was attached before `head` of `model` was replaced"),
            std::string::npos);
}

TEST(Members, AnOptimizerAttachedBeforeAReplacementThrows) {
  Net net;
  optim::Adam adam({{.parameters = net.stem.parameters()}, {.parameters = net.head.parameters()}},
                   {.lr = 1});
  replace(net.head, constant_linear(3, 4, 2));
  const auto before = net.state_dict();
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { adam.step(); }),
            "optimizer: `weight` (parameter 1) was attached before `head` of `model` was replaced; "
            "make a new optimizer of the module's parameters()");
}

TEST(Members, AReplacementThatCannotBeChangesNothing) {
  Net net;
  Linear free(2, 2);
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { replace(free, Linear(2, 2)); })
                .find("is no child of a module"),
            std::string::npos);
  AnyModule erased = Sequential{ReLU()};
  Sequential outer{erased, ReLU()};
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { replace(outer[1], outer); })
                .find("cannot be a child within itself"),
            std::string::npos);
  EXPECT_EQ(outer(tensor({-1.f, 2.f})).to_vector<float>(), (std::vector<float>{0, 2}));
}

TEST(Members, ALayerOfASequentialCanBeReplaced) {
  Sequential net{constant_linear(2, 3, 1), ReLU()};
  Sequential copy = net;
  replace(net[0], constant_linear(2, 2, -1));
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(net.parameters()[0].value().shape(), (Shape{2, 2}));
  thrown_text(ErrorKind::value, [&] { copy(ones({1, 2})); });
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { net[0] = ReLU(); }).find("nn::replace"),
            std::string::npos);
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { net[2]; }),
            "Sequential: layer 2 was asked for, there are 2");
  // An exchange would leave what is saved behind.
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { std::swap(net[0], net[1]); }).find("nn::replace"),
            std::string::npos);
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{0, 0}));
  AnyModule best = clone(net);
  best = copy;  // a handle of one's own
  EXPECT_EQ(best.parameters(), net.parameters());
  // One that goes on within the new one.
  replace(net[0], Sequential{net[0], constant_linear(2, 1, -1)});
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{4}));
}

TEST(Members, ACopyOfASequentialFromBeforeAnAppendThrows) {
  Sequential net{constant_linear(2, 3, 1)};
  const Sequential copy = net;
  auto run = compile([&](const Tensor& x) { return net(x); });
  const no_grad off;
  EXPECT_EQ(run(ones({1, 2})).shape(), (Shape{1, 3}));
  net.append(constant_linear(3, 1, 2));
  EXPECT_EQ(run(ones({1, 2})).item(), 12);  // 2 * 1, then 3 * 2 * 2
  EXPECT_NE(
      thrown_text(ErrorKind::value, [&] { copy(ones({1, 2})); })
          .find("module: `model` was given `1` through another handle; this handle was copied"),
      std::string::npos);
}

TEST(Members, ACopyFromBeforeADefinitionThrows) {
  struct Grown : Layer<Grown> {
    std::vector<Linear> layers;
    std::vector<Parameter> scales;
    void add_layer() {
      layers.push_back(child("fc" + std::to_string(layers.size()), constant_linear(2, 2, 1)));
    }
    void add_scale() {
      scales.push_back(parameter("scale" + std::to_string(scales.size()), ones({1}) * 3));
    }
    Tensor forward(Tensor x) const {
      for (const Linear& layer : layers) x = layer(x);
      for (const Parameter& scale : scales) x = x * scale.value();
      return x;
    }
  };
  Grown net;
  const Grown empty = net;
  net.add_layer();
  const Grown with_layer = net;
  const Sequential around{net};
  EXPECT_EQ(with_layer(ones({1, 2})).to_vector<float>(), (std::vector<float>{2, 2}));
  net.add_scale();
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{6, 6}));
  const std::string text = thrown_text(ErrorKind::value, [&] { empty(ones({1, 2})); });
  EXPECT_NE(text.find("was given `fc0` through another handle; this handle was copied before"),
            std::string::npos)
      << text;
  thrown_text(ErrorKind::value, [&] { with_layer(ones({1, 2})); });
  thrown_text(ErrorKind::value, [&] { around(ones({1, 2})); });
  thrown_text(ErrorKind::value, [&] { clone(with_layer)(ones({1, 2})); });
  EXPECT_EQ(clone(net)(ones({1, 2})).to_vector<float>(), (std::vector<float>{6, 6}));
}

TEST(Members, AChildInTwoPlacesIsReplacedInOne) {
  struct Twice : Layer<Twice> {
    Linear a = child("a", constant_linear(2, 2, 1));
    Linear b = child("b", a);
    Tensor forward(const Tensor& x) const { return b(a(x)); }
  };
  Twice net;
  Twice copy = net;
  replace(net.a, constant_linear(2, 2, 3));
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{12, 12}));  // 2 * 3, 2 * 6
  EXPECT_EQ(net.parameters().size(), 2u);
  thrown_text(ErrorKind::value, [&] { copy(ones({1, 2})); });
  copy.b(ones({1, 2}));
}

TEST(Members, ClonesHaveTheirOwnPlaces) {
  Net net;
  Net copy = clone(net);
  copy.head.weight = copy.head.weight;
  copy.head.weight.set(zeros({4, 3}));
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 6));
  EXPECT_EQ(copy(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 0));
  replace(copy.head, constant_linear(3, 4, 2));
  EXPECT_EQ(copy(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 12));
  EXPECT_EQ(copy.state_dict()[1].second.to_vector<float>(), std::vector<float>(12, 2));
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), std::vector<float>(4, 6));
  Linear head = clone(net.head);
  EXPECT_NE(head.weight, net.head.weight);
  EXPECT_EQ(head.parameters()[0], head.weight);
}

TEST(Members, AChildHeldByAPointerCannotBeCloned) {
  struct Pointed : Layer<Pointed> {
    std::shared_ptr<Linear> fc = std::make_shared<Linear>(child("fc", constant_linear(2, 2, 1)));
    Tensor forward(const Tensor& x) const { return (*fc)(x); }
  };
  Sequential net{ReLU(), Pointed()};
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { clone(net); }).find("clone: the child `1.fc`"),
            std::string::npos);
  EXPECT_EQ(net(ones({1, 2})).to_vector<float>(), (std::vector<float>{2, 2}));
}

TEST(Members, NamesOfPathsAreRefused) {
  struct Named : Layer<Named> {
    explicit Named(const std::string& cell, const std::string& inner) {
      parameter(cell, zeros({1}));
      child(inner, ReLU());
    }
    Tensor forward(const Tensor& x) const { return x; }
  };
  Named("a", "b");
  EXPECT_NE(thrown_text(ErrorKind::value, [] { Named("a.b", "c"); }).find("named `a.b`"),
            std::string::npos);
  thrown_text(ErrorKind::value, [] { Named("a", "b.c"); });
  thrown_text(ErrorKind::value, [] { Named("", "c"); });
  thrown_text(ErrorKind::value, [] { Named("a", ""); });
  thrown_text(ErrorKind::value, [] { Named("a", "a"); });
}

// A change of a module makes plans of it invalid.

TEST(ModuleVersions, AChangeCapturesAgain) {
  Net net;
  auto run = compile([&](const Tensor& x) { return net(x); });
  const no_grad off;
  const Tensor x = ones({1, 2});
  const auto first = [&] { return run(x).to_vector<float>()[0]; };
  EXPECT_EQ(first(), 6);
  EXPECT_EQ(first(), 6);
  EXPECT_EQ(run.captures(), 1u);
  replace(net.head, constant_linear(3, 4, 2));
  EXPECT_EQ(first(), 12);
  EXPECT_EQ(run.captures(), 2u);
  net.stem.weight = State("w", full({3, 2}, 3.f), true);
  EXPECT_EQ(first(), 36);
  HookHandle hook = net.stem.register_forward_hook(
      [](const Module&, const std::vector<Tensor>&, const Tensor& y) { return y * 0; });
  EXPECT_EQ(first(), 0);
  hook.remove();
  EXPECT_EQ(first(), 36);
  EXPECT_EQ(run.captures(), 5u);
  EXPECT_EQ(first(), 36);
  EXPECT_EQ(run.captures(), 5u);
}

TEST(ModuleVersions, ACompiledHandleThatIsOutOfDateThrows) {
  Net net;
  auto run = compile([copy = net](const Tensor& x) { return copy(x); });
  const no_grad off;
  EXPECT_EQ(run(ones({1, 2})).to_vector<float>()[0], 6);
  replace(net.head, constant_linear(3, 4, 2));
  thrown_text(ErrorKind::value, [&] { run(ones({1, 2})); });
}

TEST(ModuleVersions, CellsReadWithoutACallAreGuardedToo) {
  Net net;
  auto total = compile([&] {
    Tensor sum_of_all = zeros({});
    for (const State& cell : net.parameters()) sum_of_all = sum_of_all + sum(cell.value());
    return sum_of_all;
  });
  auto head = compile([&] { return sum(net.head.weight.value()); });
  const no_grad off;
  EXPECT_EQ(total().item(), 18);
  EXPECT_EQ(head().item(), 12);
  net.head.weight = State("w", full({4, 3}, 2.f), true);
  EXPECT_EQ(total().item(), 30);
  EXPECT_EQ(head().item(), 24);
  replace(net.head, constant_linear(3, 1, 1));
  EXPECT_EQ(total().item(), 9);
  EXPECT_EQ(head().item(), 3);
}

TEST(ModuleVersions, ACompiledStepOfAnOldOptimizerThrows) {
  Net net;
  optim::SGD sgd(net.parameters(), optim::SGDOptions{.lr = 1});
  auto step = compile([&](const Tensor& grad) {
    net.stem.weight.set_grad(grad);
    sgd.step();
  });
  step(ones({3, 2}));
  EXPECT_EQ(net.stem.weight.value().to_vector<float>(), std::vector<float>(6, 0));
  replace(net.head, constant_linear(3, 1, 1));
  thrown_text(ErrorKind::value, [&] { step(ones({3, 2})); });
  EXPECT_EQ(net.stem.weight.value().to_vector<float>(), std::vector<float>(6, 0));
}

}  // namespace
}  // namespace taper::nn

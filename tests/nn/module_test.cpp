#include <gtest/gtest.h>

#include <cmath>

#include <taper/taper.h>

namespace taper::nn {
namespace {

std::string error_text(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::vector<std::string> names(const NamedStates& states) {
  std::vector<std::string> result;
  for (const auto& [name, cell] : states) result.push_back(name);
  return result;
}

struct Block : Layer<Block> {
  Linear fc;
  explicit Block(int64_t width) : fc(child("fc", Linear(width, width))) {}
  Tensor forward(const Tensor& x) { return relu(fc(x)) + x; }
};

/// A vector of blocks, two inputs, a tuple output, a shared child.
struct Net : Layer<Net> {
  Linear stem = child("stem", Linear(3, 4));
  std::vector<Block> blocks;
  Linear head = child("head", Linear(4, 2));
  Linear same = child("same", head);
  Net() {
    for (int i = 0; i < 2; ++i) blocks.push_back(child("block" + std::to_string(i), Block(4)));
  }
  std::tuple<Tensor, Tensor> forward(const Tensor& x, const Tensor& y) {
    Tensor h = stem(x) + stem(y);
    for (Block& block : blocks) h = block(h);
    return {head(h), same(h)};
  }
};

TEST(Module, NamesItsParametersByPathAndEachOnce) {
  const Net net;
  EXPECT_EQ(names(net.named_parameters()),
            (std::vector<std::string>{"stem.weight", "stem.bias", "head.weight", "head.bias",
                                      "block0.fc.weight", "block0.fc.bias", "block1.fc.weight",
                                      "block1.fc.bias"}));
  EXPECT_EQ(net.num_parameters(), 3 * 4 + 4 + 4 * 2 + 2 + 2 * (16 + 4));
}

// A layer can be called with what its `forward` takes, and says so at the call.
static_assert(std::is_invocable_v<Linear, Tensor>);
static_assert(!std::is_invocable_v<Linear, Tensor, Tensor>);
static_assert(!std::is_invocable_v<Linear, std::string>);
static_assert(std::is_invocable_v<Net, Tensor, Tensor>);
static_assert(!std::is_invocable_v<const Net, Tensor, Tensor>);  // its `forward` is not const
static_assert(TensorModule<Linear> && TensorModule<Net>);
static_assert(TensorLoss<MSELoss> && !TensorLoss<Linear> && !TensorLoss<Net>);
static_assert(!std::is_constructible_v<AnyLoss, ReLU>);
static_assert(!std::is_constructible_v<AnyModule, MSELoss>);
static_assert(std::is_constructible_v<AnyLoss, CrossEntropyLoss>);

TEST(Module, TakesSeveralInputsAndReturnsATuple) {
  Net net;
  const auto [a, b] = net(ones({5, 3}), zeros({5, 3}));
  EXPECT_EQ(a.shape(), (Shape{5, 2}));
  EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>());
}

TEST(Module, CopiesShareCells) {
  Net net;
  Net copy = net;
  copy.head.weight.set(zeros({2, 4}));
  EXPECT_EQ(net.head.weight.value().to_vector<float>(), std::vector<float>(8, 0));
}

TEST(Module, ClonesAreIndependentAndKeepWhatIsShared) {
  Net net;
  Net copy = clone(net);
  EXPECT_EQ(copy.stem.weight.value().to_vector<float>(),
            net.stem.weight.value().to_vector<float>());
  copy.head.weight.set(zeros({2, 4}));
  EXPECT_NE(net.head.weight.value().to_vector<float>(), std::vector<float>(8, 0));
  EXPECT_EQ(copy.same.weight.value().to_vector<float>(), std::vector<float>(8, 0));
  EXPECT_EQ(copy.parameters()[2], copy.head.weight);
  copy.blocks[0].fc.bias.set(ones({4}));
  EXPECT_EQ(copy.state_dict()[7].second.to_vector<float>(), std::vector<float>(4, 1));
  const auto [a, b] = copy(ones({1, 3}), ones({1, 3}));
  EXPECT_EQ(a.to_vector<float>(), copy.head.bias.value().to_vector<float>());
  copy.eval();
  EXPECT_TRUE(net.training());
}

TEST(Module, ASequentialClonesItsErasedLayers) {
  Sequential net{Linear(2, 2), ReLU()};
  Sequential copy = clone(net);
  copy.parameters()[0].set(zeros({2, 2}));
  copy.parameters()[1].set(zeros({2}));
  EXPECT_EQ(copy(ones({1, 2})).to_vector<float>(), std::vector<float>(2, 0));
  EXPECT_NE(net.parameters()[0].value().to_vector<float>(), std::vector<float>(4, 0));
}

TEST(Module, ErrorsNameTheLayersPath) {
  struct Model : Layer<Model> {
    Sequential body = child("body", Sequential{Flatten(), Linear(400, 120)});
    Tensor forward(const Tensor& x) { return body(x); }
  };
  Model model;
  EXPECT_EQ(error_text([&] { model(ones({64, 16, 4, 4})); }),
            "linear: weight expects 400 features, x has 256 (x f32[64,256], weight f32[120,400]) "
            "in model.body.1; Linear(256, 120) would fit");
  EXPECT_EQ(error_text([&] { relu(tensor<int>({1, 2})); }).find("relu: takes floating tensors"),
            0u);
}

TEST(Module, StateDictsLoadOnlyWhole) {
  Linear a(2, 2);
  Linear b(2, 2);
  b.load_state_dict(a.state_dict());
  EXPECT_EQ(b.weight.value().to_vector<float>(), a.weight.value().to_vector<float>());
  StateDict values = a.state_dict();
  values[1].second = zeros({3});
  EXPECT_EQ(error_text([&] { b.load_state_dict(values); }),
            "load_state_dict: bias is f32[2] in the module, f32[3] in the values");
  values.pop_back();
  EXPECT_EQ(error_text([&] { b.load_state_dict(values); }), "load_state_dict: missing: bias");
  values = a.state_dict();
  values.emplace_back("scale", zeros({1}));
  EXPECT_EQ(error_text([&] { b.load_state_dict(values); }),
            "load_state_dict: not in the module: scale");
  values = a.state_dict();
  values[0].second = Tensor();
  EXPECT_EQ(error_text([&] { b.load_state_dict(values); }),
            "load_state_dict: weight has an undefined value");
}

TEST(Module, TwoChildrenOfOneNameAreRefused) {
  struct Twice : Layer<Twice> {
    Linear a = child("fc", Linear(1, 1));
    Linear b = child("fc", Linear(1, 1));
    Tensor forward(const Tensor& x) { return x; }
  };
  EXPECT_EQ(error_text([] { Twice(); }), "module: two of its cells and children are named `fc`");
}

TEST(Module, LossesNameThemselvesInErrors) {
  EXPECT_EQ(error_text([] { CrossEntropyLoss()(ones({2, 3}), tensor<int64_t>({0, 3})); }),
            "cross_entropy: index 3 at position 1 is out of range for axis 1 of size 3 (input "
            "f32[2,3], target i64[2]) in CrossEntropyLoss");
}

TEST(Layers, StartAsPyTorchDoes) {
  manual_seed(0);
  const Linear fc(100, 50);
  for (float value : fc.weight.value().to_vector<float>()) EXPECT_LE(std::abs(value), 0.1f);
  const Conv2d conv(4, 8, 5);
  EXPECT_EQ(conv.weight.value().shape(), (Shape{8, 4, 5, 5}));
  for (float value : conv.bias.value().to_vector<float>()) EXPECT_LE(std::abs(value), 0.1f);
}

TEST(Layers, RefuseBadOptions) {
  EXPECT_EQ(error_text([] { Linear(0, 3); }), "Linear: `in_features` must be at least 1, got 0");
  EXPECT_EQ(error_text([] { Conv2d(3, 4, 3, 1, 0, 1, 2); }),
            "Conv2d: `groups` must divide in_channels and out_channels, got 2");
  EXPECT_EQ(error_text([] { Conv2d(3, 4, 3, 1, -1); }),
            "Conv2d: `padding` must be at least 0, got -1");
  EXPECT_EQ(error_text([] { BatchNorm1d({.num_features = 3, .momentum = 7}); }),
            "BatchNorm1d: `momentum` must be in [0, 1], got 7.0");
  EXPECT_EQ(error_text([] { Dropout(1.5); }), "Dropout: `p` must be in [0, 1], got 1.5");
  EXPECT_NE(error_text([] {
              BatchNorm2d bn(3);
              bn(ones({2, 4, 5, 5}));
            }).find("BatchNorm2d expects 3 channels"),
            std::string::npos);
  EXPECT_EQ(error_text([] { AvgPool2d(1 << 29)(ones({1, 1, 1 << 10, 1 << 10})); }),
            "avg_pool2d: the window covers 536870912 places, the padded x has 1024 (x "
            "f32[1,1,1024,1024]) in AvgPool2d; the image is smaller than the window: pool less "
            "before it, "
            "or take a smaller window");
}

TEST(Layers, NameWhatNeedsTooMuchMemory) {
  const std::string text = error_text([] { Conv2d(1, 1, 1, 1, 1 << 29)(ones({1, 1, 1, 1})); });
  EXPECT_EQ(text.find("conv2d: cannot allocate "), 0u) << text;
  EXPECT_NE(text.find("(x f32[1,1,1,1], weight f32[1,1,1,1], bias f32[1]) in Conv2d"),
            std::string::npos)
      << text;
}

TEST(Layers, BatchNormTracksAndUsesStatistics) {
  // x = 0..7 in one channel: mean 3.5, variance 5.25 (unbiased 6).
  BatchNorm2d norm(1);
  const Tensor x = reshape(astype(arange(8), float32), {2, 1, 2, 2});
  const Tensor y = norm(x);
  EXPECT_NEAR(mean(y).item(), 0, 1e-6);
  EXPECT_NEAR(var(y).item(), 1, 1e-5);
  EXPECT_NEAR(norm.running_mean.value().item(), 0.35, 1e-6);
  EXPECT_NEAR(norm.running_var.value().item(), 0.9 + 0.6, 1e-6);
  EXPECT_EQ(norm.num_batches_tracked.value().item<int64_t>(), 1);
  norm.eval();
  EXPECT_NEAR(norm(x).to_vector<double>()[0], -0.35 / std::sqrt(1.5 + 1e-5), 1e-6);
}

TEST(Registry, DescribesAndRemakesEveryLibraryModel) {
  const Sequential net{Conv2d(1, 2, 3, 2, 1), BatchNorm2d(2),  ReLU(),
                       MaxPool2d(2),          AvgPool2d(2, 1), Flatten(),
                       Dropout(0.1),          Linear(8, 3),    Softmax()};
  const AnyModule made = module_from_config(parse_json(to_json(net.config())));
  EXPECT_EQ(to_json(made.config()), to_json(net.config()));
  EXPECT_EQ(made.num_parameters(), net.num_parameters());
}

TEST(Registry, NamesWhatIsWrongInADescription) {
  auto make = [](const char* json) { return module_from_config(parse_json(json)); };
  EXPECT_NE(error_text([&] { make(R"({"type": "Conv9d"})"); }).find("unknown module `Conv9d`"),
            std::string::npos);
  EXPECT_EQ(error_text([&] { make(R"({"type": "Linear", "options": {"in_features": 3}})"); }),
            "Linear: `out_features` is required, in model");
  EXPECT_EQ(error_text([&] {
              make(R"({"type": "Sequential", "layers": [{"type": "ReLU"}, {"type": "Sequential",
                       "layers": [{"type": "Linear", "options": {"in_features": 3}}]}]})");
            }),
            "Linear: `out_features` is required, in model.1.0");
  const std::string known = error_text([&] { make(R"({"type": "Sequentia"})"); });
  EXPECT_NE(known.find(", ReLU, "), std::string::npos) << known;
  EXPECT_NE(known.find("did you mean `Sequential`?, in model"), std::string::npos) << known;
  EXPECT_NE(error_text([&] { make(R"({"layers": []})"); }).find("a module needs a `type`"),
            std::string::npos);
  struct Own : Layer<Own> {
    Tensor forward(const Tensor& x) { return x; }
  };
  EXPECT_NE(error_text([] { AnyModule(Own()).config(); }).find("a module of your own"),
            std::string::npos);
}

TEST(BatchNorm, RoundsNumbersOf16BitsOnce) {
  for (const auto& [dtype, bound] :
       {std::pair(DType::bf16, 0.5 / 128), std::pair(DType::f16, 0.5 / 1024)}) {
    Generator generator(5);
    const Tensor x = astype(randn({512, 3}, DType::f32, &generator) + 30, dtype);
    BatchNorm1d norm(3);
    for (const State& cell : norm.parameters()) cell.set(astype(cell.value(), dtype));
    for (const auto& [name, cell] : norm.named_buffers()) {
      if (is_float(cell.value().dtype())) cell.set(astype(cell.value(), dtype));
    }
    const Tensor wide = astype(x, DType::f64);
    const Tensor right = (wide - mean(wide, 0)) / taper::sqrt(var(wide, 0) + 1e-5);
    const Tensor y = norm(x);
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_EQ(norm.running_mean.value().dtype(), dtype);
    const Tensor error = abs(astype(y, DType::f64) - right) / (abs(right) + 0.01);
    EXPECT_LE(max(error).item(), 1.01 * bound);
    const Tensor given = batch_norm(x, norm.running_mean.value(), norm.running_var.value(),
                                    norm.weight.value(), norm.bias.value(), 1e-5);
    const Tensor m = astype(norm.running_mean.value(), DType::f64);
    const Tensor v = astype(norm.running_var.value(), DType::f64);
    const Tensor expected = (wide - m) / taper::sqrt(v + 1e-5);
    EXPECT_LE(max(abs(astype(given, DType::f64) - expected) / abs(expected)).item(), 1.01 * bound);
  }
}

}  // namespace
}  // namespace taper::nn

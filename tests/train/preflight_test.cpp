#include <taper/train/checks/preflight.h>

#include <gtest/gtest.h>

#include <taper/core/warning.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using data::TensorDataset;
using nn::Sequential;

/// What is warned of.
std::vector<std::string> warnings_of(const nn::AnyModule& model, const nn::AnyLoss& loss,
                                     const TensorDataset& dataset) {
  std::vector<std::string> heard;
  const WarningHandler before =
      set_warning_handler([&](const std::string& text) { heard.push_back(text); });
  const optim::SGD optimizer(model.parameters());
  check_before_training(model, loss, optimizer, dataset, {}, {});
  set_warning_handler(before);
  return heard;
}

TensorDataset pixels(double scale, const std::vector<int64_t>& labels) {
  std::vector<float> values;
  for (int i = 0; i < 64; ++i) values.push_back(static_cast<float>(i * 4 * scale));
  return TensorDataset({from_values<float>({4, 1, 4, 4}, values),
                        from_values<int64_t>({std::ssize(labels)}, labels)});
}

using Texts = std::vector<std::string>;

TEST(Preflight, WarnsOfUnscaledPixels) {
  const Sequential model{nn::Flatten(), nn::Linear(16, 2)};
  EXPECT_EQ(warnings_of(model, nn::CrossEntropyLoss(), pixels(1, {0, 1, 0, 1})),
            (Texts{"fit: the inputs are whole numbers up to 252, as if pixels were not scaled; "
                   "multiply them by 1 / 255"}));
  EXPECT_EQ(warnings_of(model, nn::CrossEntropyLoss(), pixels(1 / 255., {0, 1, 0, 1})), Texts());
  const Sequential normalised{nn::BatchNorm2d(1), nn::Flatten(), nn::Linear(16, 2)};
  EXPECT_EQ(warnings_of(normalised, nn::CrossEntropyLoss(), pixels(1, {0, 1, 0, 1})), Texts());
}

TEST(Preflight, WarnsOfProbabilitiesWhereLogitsAreMeant) {
  const Sequential model{nn::Flatten(), nn::Linear(16, 2), nn::Softmax()};
  EXPECT_EQ(warnings_of(model, nn::CrossEntropyLoss(), pixels(0.01, {0, 1, 0, 1})),
            (Texts{"fit: CrossEntropyLoss expects logits, the model ends in softmax (in model.2): "
                   "leave it out"}));
}

TEST(Preflight, WarnsOfClassesWithoutAnExample) {
  const Sequential model{nn::Flatten(), nn::Linear(16, 4)};
  EXPECT_EQ(warnings_of(model, nn::CrossEntropyLoss(), pixels(0.01, {0, 2, 0, 2})),
            (Texts{"fit: the model has 4 classes, no training example is of class 1, 3"}));
}

TEST(Preflight, WarnsOfLogitsWhereProbabilitiesAreMeant) {
  const TensorDataset flags({ones({4, 16}), zeros({4})});
  EXPECT_EQ(warnings_of(Sequential{nn::Linear(16, 1)}, nn::BCELoss(), flags),
            (Texts{"fit: BCELoss expects probabilities, the model ends in linear (in model.0): "
                   "BCEWithLogitsLoss takes logits"}));
  EXPECT_EQ(warnings_of(Sequential{nn::Linear(16, 1), nn::Sigmoid()}, nn::BCELoss(), flags),
            Texts());
}

/// Its layers are no children.
struct Stack : nn::Layer<Stack> {
  Stack() : first(child("first", nn::Linear(16, 2))), more{nn::Linear(2, 2, false)} {}
  Tensor forward(const Tensor& x) const { return more[0](first(x)); }
  nn::Linear first;
  std::vector<nn::Linear> more;
};

/// Cells in a container, which can be moved to another module.
struct Weights : nn::Layer<Weights> {
  Weights() { each.push_back(parameter("weight", ones({16, 2}))); }
  Tensor forward(const Tensor& x) const { return matmul(x, each[0].value()); }
  std::vector<nn::Parameter> each;
};

TEST(Preflight, WarnsOfCellsThatAreNotTheModels) {
  const TensorDataset data({ones({4, 16}), from_values<int64_t>({4}, {0, 1, 0, 1})});
  const std::string behind =
      ", which is none of its parameters: it is neither trained nor saved; a member of a module "
      "comes from child(...) or parameter(...), and stays in that module";
  EXPECT_EQ(
      warnings_of(Sequential{Stack()}, nn::CrossEntropyLoss(), data),
      (Texts{"fit: the model computes with `weight` (f32[2,2], in model.0.Linear)" + behind}));
  Weights one;
  Weights other;
  std::swap(one.each, other.each);
  EXPECT_EQ(warnings_of(Sequential{one}, nn::CrossEntropyLoss(), data),
            (Texts{"fit: the model computes with `weight` (f32[16,2], in model.0)" + behind}));
}

/// Holds a table of its own that is no cell.
struct Shifted : nn::Layer<Shifted> {
  explicit Shifted(int64_t outputs) : head(child("head", nn::Linear(3, outputs))) {}
  Tensor forward(const Tensor& x) const { return head(x + shift); }
  nn::Linear head;
  Tensor shift = tensor({1.f, 2.f, 3.f});
};

TEST(Preflight, ChecksAModelThatHoldsATensor) {
  const Shifted model(2);
  const optim::SGD optimizer(model.parameters());
  const TensorDataset dataset({ones({4, 3}), tensor<int64_t>({0, 1, 2, 1})});
  const std::string text = testing::error_of(ErrorKind::value, [&] {
    check_before_training(model, nn::CrossEntropyLoss(), optimizer, dataset, {}, {});
  });
  EXPECT_NE(text.find("label 2 of example 2"), std::string::npos) << text;
}

/// What is refused without a step.
std::string refusal(ErrorKind kind, const nn::AnyLoss& loss, std::vector<data::Field> fields,
                    const PreflightOptions& options, int64_t outputs = 2) {
  const Sequential model{nn::Linear(3, outputs)};
  const optim::SGD optimizer(model.parameters());
  return testing::error_of(kind, [&] {
    check_before_training(model, loss, optimizer, TensorDataset(std::move(fields)), {}, options);
  });
}

TEST(Preflight, RefusesWeightsThatDoNotFit) {
  const Tensor x = ones({4, 3});
  const Tensor y = tensor<int64_t>({0, 1, 0, 1});
  EXPECT_EQ(refusal(ErrorKind::value, nn::CrossEntropyLoss(), {x, y}, {.class_weight = {1, 2, 3}}),
            "fit: `class_weight` must hold a number for each of the 2 classes, it holds 3");
  EXPECT_EQ(refusal(ErrorKind::shape, nn::CrossEntropyLoss(), {x, y, ones({4, 2})}, {}),
            "fit: each example needs one weight, the batch has 4 examples and weights f32[4,2]");
  const auto own = [](const Tensor& output, const Tensor& target) {
    return cross_entropy(output, target);
  };
  EXPECT_EQ(refusal(ErrorKind::unsupported, own, {x, y, ones({4})}, {}),
            "fit: weights need the loss of each element, which a loss of your own does not give; "
            "weigh in the loss itself");
}

TEST(Preflight, RefusesMetricsWithoutClasses) {
  const PreflightOptions options{.metrics = {"accuracy"}};
  EXPECT_EQ(refusal(ErrorKind::unsupported, nn::MSELoss(), {ones({4, 3}), ones({4, 2})}, options),
            "fit: the metric `accuracy` needs classes; MSELoss with target f32[4,2] has none");
  EXPECT_EQ(refusal(ErrorKind::unsupported, nn::BCEWithLogitsLoss(), {ones({4, 3}), ones({4, 2})},
                    {.metrics = {"perplexity"}}),
            "fit: the metric `perplexity` needs one class for each example; BCEWithLogitsLoss with "
            "target f32[4,2] has none");
  EXPECT_EQ(refusal(ErrorKind::unsupported, nn::CrossEntropyLoss(),
                    {ones({4, 3}), zeros({4}, DType::i64)}, {.metrics = {"accuracy", "mae"}}),
            "fit: the metric `mae` needs numbers; CrossEntropyLoss with target i64[4] has none");
  EXPECT_EQ(refusal(ErrorKind::value, nn::BCEWithLogitsLoss(), {ones({4, 3}), full({4}, 0.5)},
                    options, 1),
            "fit: target 0.5 of example 0 of the dataset is neither 0 nor 1, as metrics need it");
}

TEST(Preflight, LeavesNoTrace) {
  const Sequential model{nn::BatchNorm2d(1), nn::Flatten(), nn::Dropout(0.5), nn::Linear(16, 2)};
  const auto values = [&] {
    std::vector<std::vector<double>> all;
    for (const auto& [name, value] : model.state_dict()) all.push_back(value.to_vector<double>());
    all.push_back(default_generator().state().to_vector<double>());
    return all;
  };
  const auto before = values();
  EXPECT_EQ(warnings_of(model, nn::CrossEntropyLoss(), pixels(0.01, {0, 1, 0, 1})), Texts());
  EXPECT_EQ(values(), before);
  EXPECT_TRUE(model.training());
}

struct LooksAtValues : nn::Layer<LooksAtValues> {
  nn::Linear inner = child("inner", nn::Linear(16, 2));
  Tensor forward(const Tensor& x) const { return inner(flatten(x, 1, -1)) * sum(x).item(); }
};

TEST(Preflight, LeavesModelsThatLookAtValuesToTheFirstStep) {
  EXPECT_EQ(warnings_of(LooksAtValues(), nn::CrossEntropyLoss(), pixels(0.01, {0, 1, 0, 1})),
            Texts());
}

TEST(Preflight, CallsNoHooks) {
  Sequential model{nn::Flatten(), nn::Linear(16, 2)};
  int calls = 0;
  HookHandle handle = model.register_forward_pre_hook(
      [&calls](const nn::Module&, std::vector<Tensor>&) { ++calls; });
  warnings_of(model, nn::CrossEntropyLoss(), pixels(0.01, {0, 1, 0, 1}));
  EXPECT_EQ(calls, 0);
}

TEST(Preflight, LooksThroughSubsetsOfSubsets) {
  const Sequential model{nn::Linear(3, 2)};
  const optim::SGD optimizer(model.parameters());
  std::vector<int64_t> labels(60, 0);
  labels[57] = 7;
  const TensorDataset whole({ones({60, 3}), from_values<int64_t>({60}, labels)});
  std::vector<int64_t> order(60);
  for (size_t i = 0; i < 60; ++i) order[i] = 59 - static_cast<int64_t>(i);
  const data::Subset backwards(whole, order);
  std::vector<int64_t> odd;
  for (int64_t i = 0; i < 60; i += 2) odd.push_back(i);  // 57 is the second of these
  const std::string text = testing::error_of(ErrorKind::value, [&] {
    check_before_training(model, nn::CrossEntropyLoss(), optimizer, data::Subset(backwards, odd),
                          {}, {.batch_size = 1});
  });
  EXPECT_NE(text.find("label 7 of example 1 of the dataset"), text.npos) << text;
}

TEST(Preflight, RefusesAnOptimizerOfAnotherModel) {
  const Sequential model{nn::Flatten(), nn::Linear(16, 2)};
  const optim::SGD optimizer(nn::Linear(16, 2).parameters());
  EXPECT_EQ(testing::error_of(ErrorKind::value,
                              [&] {
                                check_before_training(model, nn::CrossEntropyLoss(), optimizer,
                                                      pixels(1, {0, 1, 0, 1}), {}, {});
                              }),
            "fit: the optimizer holds none of the model's parameters; attach it to this model's");
}

/// Takes targets above 0 only.
struct LogRatio {
  Tensor operator()(const Tensor& input, const Tensor& target) const {
    return mean(square(flatten(input) - log(target)));
  }
  std::optional<nn::TargetFault> find_fault(const Spec&, std::span<const Tensor> targets) const {
    const auto values = targets[0].to_vector<double>();
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] > 0) continue;
      return nn::TargetFault{.element = static_cast<int64_t>(i),
                             .what = "target " + print_real(values[i]),
                             .why = "has no logarithm"};
    }
    return {};
  }
};

TEST(Preflight, AsksTheLossForItsOwnRule) {
  const nn::Linear model(2, 1);
  const optim::SGD optimizer(model.parameters());
  const auto refusal = [&](const std::vector<float>& targets, data::FieldOptions options) {
    const TensorDataset dataset({ones({3, 2}), {from_values<float>({3}, targets), options}});
    return testing::error_of(ErrorKind::value, [&] {
      check_before_training(model, LogRatio(), optimizer, dataset, {}, {});
    });
  };
  EXPECT_EQ(refusal({1, 2, 0}, {}), "fit: target 0.0 of example 2 of the dataset has no logarithm");
  // The values are those that the loss gets: scaled.
  EXPECT_EQ(refusal({1, -3, 0}, {.scale = 0.5F}),
            "fit: target -1.5 of example 1 of the dataset has no logarithm");
}

TEST(Preflight, LooksAtScaledTargets) {
  const nn::Linear model(2, 1);
  const optim::SGD optimizer(model.parameters());
  const Tensor masks = astype(tensor({0, 255, 0}), DType::u8);
  const TensorDataset dataset({ones({3, 2}), {masks, {.scale = 1 / 255.F}}});
  EXPECT_NO_THROW(check_before_training(model, nn::BCEWithLogitsLoss(), optimizer, dataset, {},
                                        {.metrics = {"accuracy"}}));
}

}  // namespace
}  // namespace taper

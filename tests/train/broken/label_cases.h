#pragma once

#include <limits>

#include "broken.h"

namespace taper::broken {

struct NoOutput : nn::Layer<NoOutput> {
  nn::Parameter weight = parameter("weight", ones({1}));
  Tensor forward(const Tensor&) const { return {}; }
};

inline std::vector<Case> label_cases() {
  using namespace nn;
  const auto shape = ErrorKind::shape;
  const auto dtype = ErrorKind::dtype;
  const auto value = ErrorKind::value;
  const auto to = [](const Tensor& target, const AnyLoss& loss = CrossEntropyLoss(),
                     int64_t outputs = 3) {
    return [=] {
      return Attempt{
          .model = Sequential{Linear(6, outputs)}, .loss = loss, .train = {ones({4, 6}), target}};
    };
  };
  const Tensor one = ones({4});
  const std::string ce = "CrossEntropyLoss";
  return {
      {"negative label", value, "", "", "", "label -1 of example 2 of the dataset is out of range",
       "; labels count from 0", to(labels({0, 1, -1, 2}))},
      {"labels from 1", value, "", "", "", "label 3 of example 2 of the dataset is out of range",
       "; labels count from 0", to(labels({1, 2, 3, 1}))},
      {"label too large", value, "", "", "", "label 9 of example 1", "the model needs 10 outputs",
       to(labels({0, 9, 1, 2}))},
      {"float labels", dtype, "cross_entropy", ce, "(input f32[4,3], target f32[4])",
       "target must hold class indices", "; target is f32: astype(target, DType::i64)", to(one)},
      {"one-hot floats", dtype, "cross_entropy", ce, "(input f32[4,3], target f32[4,3])",
       "target must hold class indices", "; target looks one-hot: argmax(target, 1) would fit",
       to(ones({4, 3}))},
      {"one-hot integers", shape, "cross_entropy", ce, "(input f32[4,3], target i64[4,3])",
       "target must have shape [4]", "argmax(target, 1) would fit", to(ones({4, 3}, DType::i64))},
      {"bool labels", dtype, "cross_entropy", ce, "(input f32[4,3], target bool[4])",
       "target must hold class indices", "; target is bool: astype(target, DType::i64)",
       to(ones({4}, DType::boolean))},
      {"labels [N,1]", shape, "cross_entropy", ce, "(input f32[4,3], target i64[4,1])",
       "target must have shape [4]", "; squeeze(target, 1) would fit",
       to(ones({4, 1}, DType::i64))},
      {"float labels [N,1]", dtype, "cross_entropy", ce, "(input f32[4,3], target f32[4,1])",
       "target must hold class indices", "squeeze(astype(target, DType::i64), 1) would fit",
       to(ones({4, 1}))},
      {"outputs with axes", shape, "cross_entropy", ce, "(input f32[4,1,3], target i64[4])",
       "target must have shape [4,3]", "Flatten() in the model would fit",
       [=] {
         return Attempt{.model = Sequential{Linear(6, 3)},
                        .train = {ones({4, 1, 6}), good_labels()}};
       }},
      {"classes for a binary loss", shape, "binary_cross_entropy_with_logits", "BCEWithLogitsLoss",
       "(input f32[4,3], target i64[4])", "target must have the shape", "",
       to(good_labels(), BCEWithLogitsLoss())},
      {"targets too wide", shape, "mse_loss", "MSELoss", "(input f32[4,1], target f32[4,2])",
       "target must have the shape", "; the model needs 2 outputs, it has 1",
       to(ones({4, 2}), MSELoss(), 1)},
      {"targets too narrow", shape, "mse_loss", "MSELoss", "(input f32[4,3], target f32[4,2])",
       "target must have the shape", "; the model needs 2 outputs, it has 3",
       to(ones({4, 2}), MSELoss())},
      {"targets of other axes", shape, "mse_loss", "MSELoss", "(input f32[4,4], target f32[4,2,2])",
       "target must have the shape", "; reshape(target, {4, 4}) would fit",
       to(ones({4, 2, 2}), MSELoss(), 4)},
      {"loss not reduced", value, "", "", "", "the loss must be one number, it is f32[4]",
       "use its reduction \"mean\"",
       to(good_labels(), CrossEntropyLoss({.reduction = Reduction::none}))},
      {"loss undefined", value, "", "", "", "the loss is undefined", "",
       to(good_labels(), [](const Tensor&, const Tensor&) { return Tensor(); })},
      {"output undefined", value, "", "", "", "the model's output is undefined", "",
       [] { return Attempt{.model = NoOutput(), .train = {ones({4, 6}), good_labels()}}; }},
      {"nan in a target", value, "", "", "", "field 1 of example 0 of the dataset holds nan",
       "; replace missing values", to(one * std::numeric_limits<float>::quiet_NaN(), MSELoss(), 1)},
      {"nan in an input", value, "", "", "", "field 0 of example 1 of the dataset holds nan",
       "; replace missing values",
       [] {
         std::vector<float> values(8, 1);
         values[3] = std::numeric_limits<float>::quiet_NaN();
         return Attempt{.model = Sequential{Linear(2, 3)},
                        .train = {from_values<float>({4, 2}, values), good_labels()}};
       }},
      {"binary targets of -1 and 1", value, "", "", "",
       "target -1.0 of example 1 of the dataset is outside [0, 1], as BCEWithLogitsLoss needs it",
       "; (target + 1) / 2 makes 0 and 1 of -1 and 1",
       to(tensor({1.f, -1.f, 1.f, 1.f}), BCEWithLogitsLoss(), 1)},
      {"binary targets of 1 and 2", value, "", "", "",
       "target 2.0 of example 3 of the dataset is outside [0, 1], as BCELoss needs it",
       "; target - 1 makes 0 and 1 of 1 and 2", to(tensor({1.f, 1.f, 1.f, 2.f}), BCELoss(), 1)},
      {"logits for BCELoss", value, "", "", "",
       "BCELoss takes probabilities in [0, 1], the model gave 3.0",
       "; end it in a sigmoid, or take BCEWithLogitsLoss for logits",
       [] {
         Linear layer(6, 1);
         layer.weight.set(full({1, 6}, 0.5));
         layer.bias.set(zeros({1}));
         return Attempt{
             .model = Sequential{layer}, .loss = BCELoss(), .train = {ones({4, 6}), ones({4})}};
       }},
      {"validation label", value, "", "", "",
       "label 3 of example 1 of the validation dataset is out of range", "; labels count from 0",
       [] {
         return Attempt{.model = Sequential{Linear(6, 3)},
                        .train = {ones({4, 6}), good_labels()},
                        .validation = {ones({2, 6}), labels({0, 3})}};
       }},
      {"nothing to train", value, "", "", "", "there are no parameters to train", "",
       [] {
         return Attempt{.model = Sequential{Identity()}, .train = {ones({4, 3}), good_labels()}};
       }},
      {"all frozen", value, "", "", "", "the model has no parameter to train",
       "; set_requires_grad(true)",
       [] {
         Sequential model{Linear(6, 3)};
         model.set_requires_grad(false);
         return Attempt{.model = model, .train = {ones({4, 6}), good_labels()}};
       }},
      {"one field", value, "", "", "", "the dataset's have 1 field", "",
       [] { return Attempt{.model = Sequential{Linear(6, 3)}, .train = {ones({4, 6})}}; }},
      {"no examples", value, "", "", "", "the dataset is empty", "",
       [] {
         return Attempt{.model = Sequential{Linear(6, 3)},
                        .train = {zeros({0, 6}), zeros({0}, DType::i64)}};
       }},
      {"fields of other lengths", shape, "", "", "", "", "",
       [] {
         return Attempt{.model = Sequential{Linear(6, 3)}, .train = {ones({4, 6}), labels({0, 1})}};
       }},
  };
}

}  // namespace taper::broken

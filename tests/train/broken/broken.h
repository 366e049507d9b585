// The corpus of broken models and data sets: what a fit must say before its first step.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/train/fit/trainer.h>

namespace taper::broken {

using nn::Sequential;

/// What is fitted.
struct Attempt {
  nn::AnyModule model;
  nn::AnyLoss loss = nn::CrossEntropyLoss();
  std::vector<Tensor> train;
  std::vector<Tensor> validation = {};
  int64_t batch_size = 4;
};

/// The fields that the message must have; an empty one is not looked for.
struct Case {
  std::string name;
  ErrorKind kind;
  std::string op;
  std::string layer;
  std::string operands;
  std::string rule;
  std::string fix;
  std::function<Attempt()> attempt;
};

inline Tensor labels(std::vector<int64_t> values) {
  return from_values<int64_t>({std::ssize(values)}, values);
}
inline Tensor good_labels() { return labels({0, 1, 2, 0}); }

}  // namespace taper::broken

// The cases of layers_golden.json, and what each of them expects of a layer.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <taper/taper.h>

#include "tests/ops/golden_json.h"

namespace taper::testing {

struct LayerCase {
  std::string layer;
  size_t index;  // among those of its layer
  Json json;
};

/// Keeps gtest from printing the bytes.
inline void PrintTo(const LayerCase& golden, std::ostream* out) {
  *out << golden.layer << " case " << golden.index;
}

inline const std::vector<LayerCase>& layer_cases() {
  static const std::vector<LayerCase> cases = [] {
    std::ifstream file(TAPER_SOURCE_DIR "/tests/nn/layers_golden.json");
    const Json list = Json::parse(file, nullptr, false);
    std::vector<LayerCase> read;
    for (const Json& json : list.is_array() ? list : Json::array()) {
      const std::string layer = json.at("layer");
      const auto same = std::ranges::count(read, layer, &LayerCase::layer);
      read.push_back({layer, static_cast<size_t>(same), json});
    }
    return read;
  }();
  return cases;
}

inline nn::StateDict named_tensors(const Json& list) {
  nn::StateDict named;
  for (const Json& pair : list) named.emplace_back(pair[0], to_tensor(pair[1]));
  return named;
}

/// Gives the module's cells the values of the case, in their dtype, and its mode.
inline void set_cells(nn::Module& module, const LayerCase& golden) {
  module.train(golden.json.at("training").get<bool>());
  nn::NamedStates cells = module.named_parameters();
  for (const auto& buffer : module.named_buffers()) cells.push_back(buffer);
  for (const auto& [name, value] : named_tensors(golden.json.at("cells"))) {
    const auto found = std::ranges::find(cells, name, &std::pair<std::string, State>::first);
    if (found != cells.end()) found->second.set(value);
  }
}

/// A layer as a function of its operands, of which some may be undefined.
using LayerFunction = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

/// What `call` gives for the operands, then the gradients of operands and of the module's
/// parameters for the cotangents.
inline std::vector<Tensor> outputs_and_gradients(const LayerCase& golden, const nn::Module& module,
                                                 std::vector<Tensor> operands,
                                                 const LayerFunction& call) {
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (golden.json.at("grads")[i].is_null()) continue;
    operands[i] = operands[i].detach().set_requires_grad();
    leaves.push_back(operands[i]);
  }
  for (const State& cell : module.parameters()) leaves.push_back(cell.value());
  std::vector<Tensor> results = call(operands);
  const std::vector<Tensor> cotangents = to_tensors(golden.json.at("cotangents"));
  Tensor loss;
  for (size_t i = 0; i < cotangents.size(); ++i) {
    if (!cotangents[i].defined()) continue;
    const Tensor term = sum(results.at(i) * cotangents[i]);
    loss = loss.defined() ? loss + term : term;
  }
  for (Tensor& result : results) result = result.defined() ? result.detach() : result;
  const std::vector<Tensor> found =
      leaves.empty() ? std::vector<Tensor>() : gradients(loss, leaves);
  results.insert(results.end(), found.begin(), found.end());
  return results;
}

/// Outputs, gradients and changed cells against the file's.
inline void expect_golden(const LayerCase& golden, const nn::Module& module,
                          const LayerFunction& call) {
  const Json& json = golden.json;
  const Room room(json);
  const std::vector<Tensor> results =
      outputs_and_gradients(golden, module, to_tensors(json.at("inputs")), call);
  nn::StateDict expected;
  for (const Json& y : json.at("outputs")) expected.emplace_back("output", to_tensor(y));
  for (const Json& x : json.at("grads")) {
    if (!x.is_null()) expected.emplace_back("gradient of an operand", to_tensor(x));
  }
  for (auto& [name, grad] : named_tensors(json.at("cell_grads"))) {
    expected.emplace_back("gradient of " + name, grad);
  }
  ASSERT_EQ(results.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(expected[i].first);
    const Tensor& wanted = expected[i].second;
    ASSERT_EQ(results[i].defined(), wanted.defined());
    if (wanted.defined()) expect_agrees(results[i], wanted, room);
  }
  const nn::StateDict cells = module.state_dict();
  for (const auto& [name, value] : named_tensors(json.at("changed"))) {
    SCOPED_TRACE(name);
    const auto found = std::ranges::find(cells, name, &std::pair<std::string, Tensor>::first);
    ASSERT_NE(found, cells.end());
    expect_agrees(found->second, value, room);
  }
}

}  // namespace taper::testing

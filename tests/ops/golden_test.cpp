// Calls of rows with the results of NumPy and PyTorch: golden.json, written by make_golden.py. The
// rows' own oracles repeat their author's formulas; these numbers do not.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include <taper/autograd/autograd.h>
#include <taper/graph/capture.h>

#include "tests/ops/golden_json.h"
#include "tests/ops/op_cases.h"

namespace taper::testing {
namespace {

struct GoldenCase {
  std::string op;
  size_t index;  // among those of its op
  Json json;
};

/// Keeps gtest from printing the bytes.
void PrintTo(const GoldenCase& golden, std::ostream* out) {
  *out << golden.op << " case " << golden.index;
}

/// Every case of the file; none if it cannot be read, which `CoversEveryRow` tells.
const std::vector<GoldenCase>& golden_cases() {
  static const std::vector<GoldenCase> cases = [] {
    std::ifstream file(TAPER_SOURCE_DIR "/tests/ops/golden.json");
    const Json list = Json::parse(file, nullptr, false);
    std::vector<GoldenCase> read;
    for (const Json& json : list.is_array() ? list : Json::array()) {
      const std::string op = json.at("op");
      const bool same = !read.empty() && read.back().op == op;
      read.push_back({op, same ? read.back().index + 1 : 0, json});
    }
    return read;
  }();
  return cases;
}

Results run(const GoldenCase& golden, const std::vector<Tensor>& inputs) {
  const OpBase& op = Registry<OpBase>::get(golden.op, "op");
  const Value attrs = parse_json(golden.json.value("attrs", Json::object()).dump());
  const auto args = as_args(inputs);
  return call(op, op.attrs_from_fields(*attrs.get_if<Fields>()).get(), args);
}

/// The gradients of the first output in the inputs for which the case has some.
std::vector<Tensor> gradients_of(const GoldenCase& golden, std::vector<Tensor> inputs,
                                 const Tensor& cotangent) {
  const Json& grads = golden.json.at("grads");
  std::vector<Tensor> leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (grads[i].is_null()) continue;
    inputs[i] = inputs[i].detach().set_requires_grad();
    leaves.push_back(inputs[i]);
  }
  return gradients(run(golden, inputs)[0], leaves, false, cotangent);
}

class Golden : public ::testing::TestWithParam<GoldenCase> {
 protected:
  const OpBase& op = Registry<OpBase>::get(GetParam().op, "op");
};
class GoldenGradient : public Golden {};

TEST_P(Golden, AgreesWithTheReference) {
  const Json& json = GetParam().json;
  SCOPED_TRACE(json.dump());
  const std::vector<Tensor> expected = to_tensors(json.at("outputs"));
  const Results actual = run(GetParam(), to_tensors(json.at("inputs")));
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    expect_agrees(actual[static_cast<int>(i)], expected[i], Room(json));
  }
}

TEST_P(GoldenGradient, AgreesWithTheReference) {
  const Json& json = GetParam().json;
  SCOPED_TRACE(json.dump());
  const std::vector<Tensor> expected = to_tensors(json.at("grads"));
  const std::vector<Tensor> inputs = to_tensors(json.at("inputs"));
  ASSERT_EQ(expected.size(), inputs.size());
  const std::vector<Tensor> actual =
      gradients_of(GetParam(), inputs, to_tensor(json.at("cotangent")));
  size_t leaf = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!expected[i].defined()) continue;
    SCOPED_TRACE("gradient of input " + std::to_string(i));
    expect_agrees(actual[leaf++], expected[i], Room(json));
  }
}

bool has_gradient(const GoldenCase& c) { return c.json.contains("grads"); }

std::vector<GoldenCase> cases_with_gradient() {
  std::vector<GoldenCase> cases;
  std::ranges::copy_if(golden_cases(), std::back_inserter(cases), has_gradient);
  return cases;
}

TEST(GoldenCases, CoverEveryRowAndEveryGradient) {
  for (const OpBase* op : all_ops()) {
    const auto is_of_op = [op](const GoldenCase& c) { return c.op == op->name; };
    const bool has_case = std::ranges::any_of(golden_cases(), is_of_op);
    if (op->no_golden != nullptr) {
      EXPECT_FALSE(has_case) << op->name
                             << " has a case and says that it has none: " << op->no_golden;
      continue;
    }
    EXPECT_TRUE(has_case) << op->name << " has no case in golden.json; add one to make_golden.py";
    // The gradient of an inlined op is that of the ops that it is made of.
    if (op->why_not_differentiable != nullptr || op->inlined) continue;
    EXPECT_TRUE(std::ranges::any_of(
        golden_cases(), [&](const GoldenCase& c) { return is_of_op(c) && has_gradient(c); }))
        << op->name << " has no gradient in golden.json";
  }
}

/// The ops that the gradient of a case runs.
void add_ops_of_gradient(const GoldenCase& golden, std::set<const OpBase*>& ops) {
  const std::vector<Tensor> inputs = to_tensors(golden.json.at("inputs"));
  std::vector<Tensor> operands{to_tensor(golden.json.at("cotangent"))};
  std::ranges::copy_if(inputs, std::back_inserter(operands), &Tensor::defined);
  const Captured captured = capture(operands, [&](const std::vector<Tensor>& symbols) {
    std::vector<Tensor> given = inputs;
    auto next = symbols.begin() + 1;
    for (Tensor& input : given) {
      if (input.defined()) input = *next++;
    }
    return gradients_of(golden, given, symbols[0]);
  });
  for (const GraphNode& node : captured.graph.nodes) ops.insert(node.op);
}

TEST(GoldenCases, RunTheDerivativesThatHaveNone) {
  std::set<const OpBase*> ran;
  for (const GoldenCase& golden : cases_with_gradient()) add_ops_of_gradient(golden, ran);
  for (const OpBase* op : all_ops()) {
    if (op->no_golden == nullptr || std::string_view(op->no_golden) != golden_in_its_row) continue;
    EXPECT_TRUE(ran.contains(op)) << "no golden gradient runs " << op->name;
  }
}

std::string name_of(const ::testing::TestParamInfo<GoldenCase>& info) {
  return info.param.op + "_" + std::to_string(info.param.index);
}

INSTANTIATE_TEST_SUITE_P(Rows, Golden, ::testing::ValuesIn(golden_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Rows, GoldenGradient, ::testing::ValuesIn(cases_with_gradient()), name_of);

}  // namespace
}  // namespace taper::testing

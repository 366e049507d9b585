// Every registered loss with PyTorch's numbers: losses_golden.json, written by
// make_losses_golden.py.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <taper/autograd/autograd.h>
#include <taper/graph/capture.h>
#include <taper/graph/plan.h>
#include <taper/nn/losses.h>

namespace taper::nn {
namespace {

using Json = nlohmann::json;

const Json& golden() {
  static const Json cases =
      Json::parse(std::ifstream(TAPER_SOURCE_DIR "/tests/nn/losses_golden.json"), nullptr, false);
  return cases;
}

Tensor to_tensor(const Json& json) {
  if (json.is_null()) return {};
  return from_values(Shape(json.at("shape").get<std::vector<int64_t>>()),
                     json.at("values").get<std::vector<double>>(),
                     parse_dtype(json.at("dtype").get<std::string>()));
}

AnyLoss loss_of(const Json& json) {
  const Value options = parse_json(json.at("options").dump());
  return LossFactory::get(json.at("loss").get<std::string>(), "loss")
      .make(*options.get_if<Fields>());
}

void expect_near(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(to_string(actual.spec()), to_string(expected.spec()));
  const std::vector<double> a = actual.to_vector<double>();
  const std::vector<double> e = expected.to_vector<double>();
  for (size_t i = 0; i < e.size(); ++i) {
    EXPECT_NEAR(a[i], e[i], tolerance * (1 + std::abs(e[i]))) << "element " << i;
  }
}

/// The result, and the gradients of the floating operands.
std::vector<Tensor> outcome(const AnyLoss& loss, std::vector<Tensor> operands,
                            const Tensor& cotangent) {
  std::vector<Tensor> leaves;
  for (Tensor& operand : operands) {
    if (!is_float(operand.dtype())) continue;
    operand = operand.detach().set_requires_grad();
    leaves.push_back(operand);
  }
  const Tensor result = loss(std::span<const Tensor>(operands));
  std::vector<Tensor> all = gradients(result, leaves, false, cotangent);
  all.insert(all.begin(), result.detach());
  return all;
}

struct Case {
  AnyLoss loss;
  std::vector<Tensor> operands;
  Tensor cotangent;

  explicit Case(const Json& json)
      : loss(loss_of(json)), cotangent(to_tensor(json.at("cotangent"))) {
    for (const Json& each : json.at("operands")) operands.push_back(to_tensor(each));
  }
};

TEST(LossesGolden, CoverEveryLossWithEveryReduction) {
  std::set<std::pair<std::string, std::string>> covered;
  for (const Json& json : golden()) {
    covered.emplace(json.at("loss"), json.at("options").at("reduction"));
  }
  for (const LossFactory* entry : LossFactory::all()) {
    for (const char* reduction : {"none", "mean", "sum"}) {
      EXPECT_TRUE(covered.contains({std::string(entry->name), reduction}))
          << entry->name << " has no case with " << reduction
          << " in losses_golden.json; add a row to make_losses_golden.py";
    }
  }
}

TEST(LossesGolden, AgreeWithPyTorchInValuesAndGradients) {
  for (const Json& json : golden()) {
    SCOPED_TRACE(json.dump());
    const Case c(json);
    const std::vector<Tensor> actual = outcome(c.loss, c.operands, c.cotangent);
    expect_near(actual[0], to_tensor(json.at("result")), json.at("tolerance"));
    size_t next = 1;
    for (const Json& grad : json.at("grads")) {
      if (!grad.is_null()) expect_near(actual[next++], to_tensor(grad), json.at("tolerance"));
    }
    EXPECT_EQ(next, actual.size());
  }
}

TEST(LossesGolden, ReplayBitForBit) {
  for (const Json& json : golden()) {
    SCOPED_TRACE(json.dump());
    const Case c(json);
    const std::vector<Tensor> eager = outcome(c.loss, c.operands, c.cotangent);
    std::vector<Tensor> given = c.operands;
    given.insert(given.begin(), c.cotangent);
    const Captured captured = capture(given, [&](const std::vector<Tensor>& symbols) {
      return outcome(c.loss, {symbols.begin() + 1, symbols.end()}, symbols[0]);
    });
    const std::vector<Tensor> replayed = Plan(captured, given).run(given);
    ASSERT_EQ(replayed.size(), eager.size());
    for (size_t i = 0; i < eager.size(); ++i) {
      EXPECT_EQ(replayed[i].to_vector<double>(), eager[i].to_vector<double>());
    }
  }
}

TEST(LossesGolden, AreUnreducedByTheirOwnOption) {
  for (const Json& json : golden()) {
    if (json.at("options").at("reduction") != "sum") continue;
    SCOPED_TRACE(json.dump());
    const Case c(json);
    const std::optional<AnyLoss> each = c.loss.unreduced();
    ASSERT_TRUE(each.has_value());
    const std::span<const Tensor> operands(c.operands);
    expect_near(sum((*each)(operands)), to_tensor(json.at("result")), json.at("tolerance"));
  }
}

}  // namespace
}  // namespace taper::nn

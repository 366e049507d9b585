// Saving and loading values. The names are PyTorch's for the same modules.

#include <gtest/gtest.h>

#include <cmath>

#include <taper/taper.h>

#include "tests/core/error_testing.h"
#include "tests/core/failing_allocation.h"

namespace taper::nn {
namespace {

using Names = std::vector<std::string>;
using testing::thrown_text;

Names names(const StateDict& values) {
  Names result;
  for (const auto& [name, value] : values) result.push_back(name);
  return result;
}

TEST(StateDict, HasALayerThatIsUsedTwiceUnderBothNames) {
  const Linear fc(2, 2);
  Sequential net{fc, ReLU(), fc};
  EXPECT_EQ(names(net.state_dict()), (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(net.parameters().size(), 2u);
}

TEST(StateDict, TakesACellOfTwoNamesByEitherIfTheyAreEqual) {
  const Linear fc(1, 1, false);
  Sequential net{fc, fc};
  StateDict values = {{"0.weight", tensor<float>({3})}, {"1.weight", tensor<float>({3})}};
  for (auto& [name, value] : values) value = reshape(value, {1, 1});
  net.load_state_dict(values);
  EXPECT_EQ(fc.weight.value().item(), 3);
  values[1].second = full({1, 1}, 4.f);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { net.load_state_dict(values); }),
            "load_state_dict: 0.weight and 1.weight are one cell of the module, but have "
            "different values");
  EXPECT_EQ(fc.weight.value().item(), 3);
  values.erase(values.begin());
  net.load_state_dict(values);
  EXPECT_EQ(fc.weight.value().item(), 4);
  const Tensor nan = full({1, 1}, NAN);
  net.load_state_dict({{"0.weight", nan}, {"1.weight", nan * 1}});
  EXPECT_TRUE(std::isnan(fc.weight.value().item()));
  EXPECT_EQ(thrown_text(ErrorKind::not_found, [&] { net.load_state_dict({}); }),
            "load_state_dict: missing: 0.weight, 1.weight");
}

TEST(StateDict, RefusesANameThatIsGivenTwice) {
  Linear fc(1, 1, false);
  const float before = fc.weight.value().item<float>();
  EXPECT_EQ(thrown_text(
                ErrorKind::value,
                [&] { fc.load_state_dict({{"weight", zeros({1, 1})}, {"weight", ones({1, 1})}}); }),
            "load_state_dict: `weight` is given twice");
  EXPECT_EQ(fc.weight.value().item<float>(), before);
}

TEST(StateDict, LoadsWhatIsThereWithoutStrictness) {
  Linear fc(1, 1);
  const float bias = fc.bias.value().item<float>();
  const IncompatibleKeys keys =
      fc.load_state_dict({{"scale", ones({3})}, {"weight", ones({1, 1})}}, {.strict = false});
  EXPECT_EQ(keys.missing_keys, (Names{"bias"}));
  EXPECT_EQ(keys.unexpected_keys, (Names{"scale"}));
  EXPECT_EQ(fc.weight.value().item(), 1);
  EXPECT_EQ(fc.bias.value().item<float>(), bias);
  // What has a name must fit, as in PyTorch; nothing is changed then.
  EXPECT_EQ(thrown_text(ErrorKind::shape,
                        [&] {
                          fc.load_state_dict({{"weight", zeros({1, 1})}, {"bias", zeros({2})}},
                                             {.strict = false});
                        }),
            "load_state_dict: bias is f32[1] in the module, f32[2] in the values");
  EXPECT_EQ(fc.weight.value().item(), 1);
  const IncompatibleKeys none =
      fc.load_state_dict({{"weight", zeros({1, 1})}, {"bias", zeros({1})}});
  EXPECT_TRUE(none.missing_keys.empty() && none.unexpected_keys.empty());
}

TEST(StateDict, LoadsTheValuesOfAPrefix) {
  Linear backbone(1, 1);
  const StateDict values = {{"backbone.weight", full({1, 1}, 2.f)},
                            {"backbone.bias", full({1}, 3.f)},
                            {"head.weight", zeros({7})}};
  const IncompatibleKeys keys = backbone.load_state_dict(values, {.prefix = "backbone."});
  EXPECT_TRUE(keys.missing_keys.empty() && keys.unexpected_keys.empty());
  EXPECT_EQ(backbone.weight.value().item(), 2);
  EXPECT_EQ(backbone.bias.value().item(), 3);
  EXPECT_EQ(thrown_text(ErrorKind::not_found,
                        [&] { backbone.load_state_dict(values, {.prefix = "trunk."}); }),
            "load_state_dict: missing: trunk.weight, trunk.bias");
  const IncompatibleKeys head =
      backbone.load_state_dict({{"head.bias", zeros({1})}, {"head.scale", zeros({7})}},
                               {.strict = false, .prefix = "head."});
  EXPECT_EQ(head.missing_keys, (Names{"head.weight"}));
  EXPECT_EQ(head.unexpected_keys, (Names{"head.scale"}));
  EXPECT_EQ(backbone.bias.value().item(), 0);
}

TEST(StateDict, AnAssignmentThatFailsChangesNothing) {
  Linear layer(3, 2);
  const auto values = [&] {
    std::vector<std::vector<float>> all;
    for (const auto& [name, value] : layer.state_dict()) all.push_back(value.to_vector<float>());
    return all;
  };
  const auto before = values();
  const StateDict other = Linear(3, 2).state_dict();
  for (int64_t n = 0;; ++n) {
    const testing::FailingAllocation fails(n);
    try {
      layer.load_state_dict(other);
      break;
    } catch (const Error&) {
      taper::detail::allocations_before_failure = -1;
      ASSERT_EQ(values(), before) << n;
    }
  }
}

}  // namespace
}  // namespace taper::nn

// What MultiheadAttention promises beside the numbers that layers_golden_test.cpp checks: those of
// its call parameters, which PyTorch gave as well, and its errors.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include <taper/taper.h>

#include "../core/error_testing.h"
#include "layer_cases.h"

namespace taper::nn {
namespace {

using testing::Json;
using testing::thrown_text;

MultiheadAttention make(const testing::LayerCase& golden) {
  const Value options = parse_json(golden.json.at("options").dump());
  MultiheadAttention made(
      parse_fields<MultiheadAttentionOptions>("options", *options.get_if<Fields>()));
  testing::set_cells(made, golden);
  return made;
}

TEST(MultiheadAttention, AgreesWithPyTorchForEveryCallParameter) {
  size_t count = 0;
  for (const testing::LayerCase& golden : testing::layer_cases()) {
    if (golden.layer != "MultiheadAttention" || !golden.json.contains("call")) continue;
    SCOPED_TRACE(golden.json.dump());
    const Value fields = parse_json(golden.json.at("call").dump());
    const auto call = parse_fields<AttentionCall>("call", *fields.get_if<Fields>());
    const MultiheadAttention attention = make(golden);
    const auto run = [&](const std::vector<Tensor>& x) {
      const AttentionResult result = attention(x[0], x[1], x[2], x.size() > 3 ? x[3] : Tensor(),
                                               x.size() > 4 ? x[4] : Tensor(), call);
      return std::vector<Tensor>{result.attn_output, result.attn_output_weights};
    };
    testing::expect_golden(golden, attention, run);
    ++count;
  }
  EXPECT_GT(count, 5u);
}

TEST(MultiheadAttention, NamesItsOperandsAndResults) {
  const AnyModule attention{MultiheadAttention(4, 2)};
  EXPECT_EQ(attention.operands().names,
            (std::vector<std::string>{"query", "key", "value", "key_padding_mask", "attn_mask"}));
  EXPECT_EQ(attention.required_operands(), 3u);
  EXPECT_EQ(attention.outputs(), (std::vector<std::string>{"attn_output", "attn_output_weights"}));
}

TEST(MultiheadAttention, IsCausalNeedsNoMask) {
  const MultiheadAttention attention(4, 2);
  const Tensor x = randn({5, 2, 4});
  const Tensor behind = expand_dims(arange(5), 0) > expand_dims(arange(5), 1);
  const Tensor masked = attention(x, x, x, Tensor(), behind).attn_output;
  const Tensor causal = attention(x, x, x, AttentionCall{.is_causal = true}).attn_output;
  EXPECT_EQ(causal.to_vector<float>(), masked.to_vector<float>());
  const Tensor changed = concat({slice(x, 0, 0, 4), randn({1, 2, 4})});
  const Tensor before =
      attention(changed, changed, changed, AttentionCall{.is_causal = true}).attn_output;
  EXPECT_EQ(slice(before, 0, 0, 4).to_vector<float>(), slice(causal, 0, 0, 4).to_vector<float>());
}

TEST(MultiheadAttention, WhereNothingIsAllowedItIsAsInPyTorch) {
  const MultiheadAttention attention(4, 2);
  const Tensor x = randn({3, 2, 4}).set_requires_grad();
  const Tensor padding = tensor<bool>({{true, true, true}, {false, false, true}});
  const AttentionResult with = attention(x, x, x, padding);
  EXPECT_TRUE(std::isnan(with.attn_output_weights.to_vector<float>()[0]));
  EXPECT_TRUE(std::isfinite(with.attn_output_weights.to_vector<float>()[9]));
  const Tensor without =
      attention(x, x, x, padding, Tensor(), AttentionCall{.need_weights = false}).attn_output;
  for (const float each : slice(without, 1, 0, 1).to_vector<float>()) EXPECT_EQ(each, 0);
  sum(without).backward();
  for (const float each : x.grad().to_vector<float>()) EXPECT_TRUE(std::isfinite(each));
}

TEST(MultiheadAttention, DropsWeightsInTrainingOnly) {
  MultiheadAttention attention({.embed_dim = 4, .num_heads = 2, .dropout = 1});
  const Tensor x = randn({3, 2, 4});
  EXPECT_EQ(max(abs(attention(x, x, x).attn_output_weights)).item(), 0);
  attention.eval();
  EXPECT_NEAR(sum(attention(x, x, x).attn_output_weights).item(), 6, 1e-5);
}

TEST(MultiheadAttention, BeginsWithPyTorchsValues) {
  const MultiheadAttention attention(
      {.embed_dim = 64, .num_heads = 4, .add_bias_kv = true, .kdim = 32});
  for (const auto& [name, value] : attention.state_dict()) {
    const double largest = max(abs(value)).item();
    if (name == "in_proj_bias" || name == "out_proj.bias") {
      EXPECT_EQ(largest, 0) << name;
    } else if (name == "bias_k" || name == "bias_v") {
      EXPECT_NEAR(var(value).item(), 1.0 / 64, 0.01) << name;
    } else {
      const double inputs = name == "k_proj_weight" ? 32 : 64;
      const double bound = name == "out_proj.weight" ? 1 / 8.0 : std::sqrt(6 / (inputs + 64));
      EXPECT_LE(largest, bound) << name;
      EXPECT_GT(largest, 0.98 * bound) << name;
    }
  }
}

TEST(MultiheadAttention, RefusesOperandsThatDoNotFit) {
  const MultiheadAttention attention({.embed_dim = 4, .num_heads = 2, .batch_first = true});
  const Tensor q = ones({2, 3, 4});
  const Tensor k = ones({2, 5, 4});
  const auto text = [&](ErrorKind kind, const auto&... operands) {
    return thrown_text(kind, [&] { attention(operands...); });
  };
  EXPECT_EQ(text(ErrorKind::shape, ones({2, 3, 6}), ones({2, 5, 6}), k),
            "multihead_attention: query must have 4 features (query f32[2,3,6], key f32[2,5,6], "
            "value f32[2,5,4]) in MultiheadAttention; MultiheadAttention(6, 2) would fit");
  EXPECT_EQ(text(ErrorKind::shape, q, k, ones({2, 6, 4})),
            "multihead_attention: each key must have a value (query f32[2,3,4], key f32[2,5,4], "
            "value f32[2,6,4]) in MultiheadAttention");
  EXPECT_EQ(text(ErrorKind::shape, q, ones({1, 5, 4}), ones({1, 5, 4})),
            "multihead_attention: query, key and value must be of one batch (query f32[2,3,4], key "
            "f32[1,5,4], value f32[1,5,4]) in MultiheadAttention");
  EXPECT_EQ(text(ErrorKind::shape, q, k, k, zeros({5, 2}, DType::boolean)),
            "multihead_attention: key_padding_mask must be [2,5] (query f32[2,3,4], key "
            "f32[2,5,4], value f32[2,5,4], key_padding_mask bool[5,2]) in MultiheadAttention");
  EXPECT_EQ(text(ErrorKind::shape, q, k, k, Tensor(), zeros({5, 3})),
            "multihead_attention: attn_mask must be [3,5] or [4,3,5] (query f32[2,3,4], key "
            "f32[2,5,4], value f32[2,5,4], attn_mask f32[5,3]) in MultiheadAttention");
  EXPECT_EQ(text(ErrorKind::dtype, q, k, k, Tensor(), zeros({3, 5}, DType::i64)),
            "multihead_attention: masks must be bool or like query (query f32[2,3,4], key "
            "f32[2,5,4], value f32[2,5,4], attn_mask i64[3,5]) in MultiheadAttention");
  EXPECT_EQ(text(ErrorKind::dtype, astype(q, DType::f64), k, k),
            "multihead_attention: query, key and value must be f32, as the weights are (query "
            "f64[2,3,4], key f32[2,5,4], value f32[2,5,4]) in MultiheadAttention; query is f64: "
            "astype(query, DType::f32)");
  EXPECT_EQ(text(ErrorKind::shape, ones({4}), k, k),
            "multihead_attention: query, key and value must have three axes, or two without a "
            "batch (query f32[4], key f32[2,5,4], value f32[2,5,4]) in MultiheadAttention");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { MultiheadAttention(5, 2); }),
            "MultiheadAttention: `num_heads` must divide embed_dim, got 2");
}

TEST(MultiheadAttention, TakesAnEmptyBatch) {
  const MultiheadAttention attention(4, 2);
  const Tensor none = zeros({3, 0, 4});
  EXPECT_EQ(attention(none, none, none).attn_output.shape(), (Shape{3, 0, 4}));
}

}  // namespace
}  // namespace taper::nn

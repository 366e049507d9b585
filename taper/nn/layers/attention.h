#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <taper/nn/layers/linear.h>

namespace taper::nn {

struct TAPER_API MultiheadAttentionOptions {
  Required<Positive<int64_t>> embed_dim;
  Required<Positive<int64_t>> num_heads;
  Probability dropout = 0;  ///< in training, of the attention weights
  bool bias = true;
  bool add_bias_kv = false;                    ///< a trained key and value behind the others
  bool add_zero_attn = false;                  ///< a key and value of zeros behind the others
  std::optional<Positive<int64_t>> kdim = {};  ///< the size of a key; embed_dim
  std::optional<Positive<int64_t>> vdim = {};  ///< that of a value; embed_dim
  bool batch_first = false;
  /// Throws value unless the heads divide embed_dim.
  void check(std::string_view owner) const;
};

/// What a call of attention is told beside its tensors.
struct AttentionCall {
  bool need_weights = true;
  bool average_attn_weights = true;  ///< over the heads
  bool is_causal = false;            ///< no query attends to a key behind its own place
};

struct AttentionResult {
  Tensor attn_output;  ///< [L,N,embed_dim], or [N,L,embed_dim] with batch_first
  /// [N,L,S], or [N,num_heads,L,S] if they are not averaged; undefined if they are not needed.
  Tensor attn_output_weights;
};

/// Vaswani et al., "Attention is all you need" (2017): query [L,N,embed_dim], key [S,N,kdim] and
/// value [S,N,vdim], or N first with `batch_first`, or all of them without N, as the results then
/// are. `key_padding_mask` [N,S] and `attn_mask` [L,S] or [N*num_heads,L,S] are bool, true where no
/// attention is allowed, or floating, to be added to the scores. Where nothing is allowed the
/// weights are NaN, and if they are not needed, the attention is 0, both as in PyTorch; other than
/// there, `is_causal` needs no mask. Sequential and AnyModule give tensors only, so the defaults of
/// `AttentionCall` hold. Throws shape, dtype.
class TAPER_API MultiheadAttention : public Layer<MultiheadAttention, MultiheadAttentionOptions> {
 public:
  static constexpr std::array<std::string_view, 5> operands{"query", "key", "value",
                                                            "key_padding_mask", "attn_mask"};
  using Layer::Layer;
  AttentionResult forward(const Tensor& query, const Tensor& key, const Tensor& value,
                          const Tensor& key_padding_mask = {}, const Tensor& attn_mask = {},
                          const AttentionCall& call = {}) const;
  AttentionResult forward(const Tensor& query, const Tensor& key, const Tensor& value,
                          const AttentionCall& call) const {
    return forward(query, key, value, {}, {}, call);
  }
  std::string hint(const Tensor& query, const Tensor& key, const Tensor& value,
                   const Tensor& key_padding_mask = {}, const Tensor& attn_mask = {},
                   const AttentionCall& call = {}) const;

  // Of `in_proj_weight` [3 * embed_dim, embed_dim] and the three others there is one or the other:
  // these where kdim or vdim differ from embed_dim.
  Parameter in_proj_weight = projection("in_proj_weight", true, 3 * width(), width());
  Parameter q_proj_weight = projection("q_proj_weight", false, width(), width());
  Parameter k_proj_weight = projection("k_proj_weight", false, width(), key_size());
  Parameter v_proj_weight = projection("v_proj_weight", false, width(), value_size());
  Parameter in_proj_bias =
      options().bias ? parameter("in_proj_bias", init::constant({3 * width()}, 0)) : Parameter();
  Parameter bias_k = extra("bias_k");
  Parameter bias_v = extra("bias_v");
  Linear out_proj = child("out_proj", make_out_proj());

 private:
  int64_t width() const;
  int64_t key_size() const;
  int64_t value_size() const;
  Parameter projection(const char* name, bool packed, int64_t rows, int64_t columns);
  Parameter extra(const char* name);
  Linear make_out_proj() const;
  int64_t extras() const;
  void check(const Tensor& query, const Tensor& key, const Tensor& value,
             const Tensor& key_padding_mask, const Tensor& attn_mask) const;
  Tensor project(const Tensor& x, int64_t place, const Parameter& separate) const;
  Tensor in_heads(const Tensor& projected) const;
  Tensor with_extras(const Tensor& heads, const Parameter& bias) const;
  Tensor score_bias(const Tensor& key_padding_mask, const Tensor& attn_mask, bool is_causal,
                    const Tensor& q, int64_t keys) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(MultiheadAttention)

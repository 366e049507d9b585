#include <taper/nn/layers/attention.h>

#include <cmath>
#include <limits>
#include <utility>

#include <taper/nn/hints.h>
#include <taper/ops/composed.h>
#include <taper/ops/ops.h>

namespace taper::nn {

void MultiheadAttentionOptions::check(std::string_view owner) const {
  check_rule(embed_dim % num_heads.value() == 0, owner, "`num_heads` must divide embed_dim",
             num_heads.value());
}

// ---------------------------------------------------------------------------------- cells

int64_t MultiheadAttention::width() const { return options().embed_dim; }

int64_t MultiheadAttention::key_size() const {
  return options().kdim ? options().kdim->value() : width();
}

int64_t MultiheadAttention::value_size() const {
  return options().vdim ? options().vdim->value() : width();
}

int64_t MultiheadAttention::extras() const {
  return (options().add_bias_kv ? 1 : 0) + (options().add_zero_attn ? 1 : 0);
}

Parameter MultiheadAttention::projection(const char* name, bool packed, int64_t rows,
                                         int64_t columns) {
  const bool is_packed = key_size() == width() && value_size() == width();
  if (packed != is_packed) return {};
  return parameter(name, init::xavier_uniform({rows, columns}, columns, rows));
}

/// Normal with the variance of Glorot and Bengio for embed_dim numbers to embed_dim.
Parameter MultiheadAttention::extra(const char* name) {
  if (!options().add_bias_kv) return {};
  return parameter(name,
                   init::normal({1, 1, width()}, 1 / std::sqrt(static_cast<double>(width()))));
}

Linear MultiheadAttention::make_out_proj() const {
  const Linear made(width(), width(), options().bias);
  if (made.bias) made.bias.set(init::constant({width()}, 0));
  return made;
}

// ---------------------------------------------------------------------------------- operands

namespace {

struct Refusal {
  NamedOperands operands;
  void operator()(bool good, ErrorKind kind, const std::string& rule) const {
    if (!good) report("multihead_attention", {kind, rule}, operands);
  }
};

bool is_mask(const Tensor& mask, DType dtype) {
  return !mask.defined() || is_bool(mask.dtype()) || mask.dtype() == dtype;
}

}  // namespace

void MultiheadAttention::check(const Tensor& query, const Tensor& key, const Tensor& value,
                               const Tensor& key_padding_mask, const Tensor& attn_mask) const {
  const Refusal require{{{"query", query},
                         {"key", key},
                         {"value", value},
                         {"key_padding_mask", key_padding_mask},
                         {"attn_mask", attn_mask}}};
  require(query.defined() && key.defined() && value.defined(), ErrorKind::value,
          "query, key and value must be defined");
  const int rank = query.rank();
  require((rank == 2 || rank == 3) && key.rank() == rank && value.rank() == rank, ErrorKind::shape,
          "query, key and value must have three axes, or two without a batch");
  const auto check_size = [&](const Tensor& x, const char* name, int64_t size) {
    require(x.size(-1) == size, ErrorKind::shape,
            std::string(name) + " must have " + std::to_string(size) + " features");
  };
  check_size(query, "query", width());
  check_size(key, "key", key_size());
  check_size(value, "value", value_size());
  const DType dtype = out_proj.weight.value().dtype();
  require(
      query.dtype() == dtype && key.dtype() == dtype && value.dtype() == dtype, ErrorKind::dtype,
      "query, key and value must be " + std::string(dtype_name(dtype)) + ", as the weights are");
  const int time = rank == 3 && options().batch_first ? 1 : 0;
  const int64_t batch = rank == 3 ? query.size(1 - time) : 1;
  const int64_t keys = key.size(time);
  require(value.size(time) == keys, ErrorKind::shape, "each key must have a value");
  require(rank == 2 || (key.size(1 - time) == batch && value.size(1 - time) == batch),
          ErrorKind::shape, "query, key and value must be of one batch");
  require(is_mask(key_padding_mask, dtype) && is_mask(attn_mask, dtype), ErrorKind::dtype,
          "masks must be bool or like query");
  const Shape padding = rank == 3 ? Shape{batch, keys} : Shape{keys};
  require(!key_padding_mask.defined() || key_padding_mask.shape() == padding, ErrorKind::shape,
          "key_padding_mask must be " + to_string(padding));
  const Shape pairs{query.size(time), keys};
  const Shape of_heads{batch * options().num_heads.value(), pairs[0], pairs[1]};
  require(!attn_mask.defined() || attn_mask.shape() == pairs || attn_mask.shape() == of_heads,
          ErrorKind::shape, "attn_mask must be " + to_string(pairs) + " or " + to_string(of_heads));
}

std::string MultiheadAttention::hint(const Tensor& query, const Tensor& key, const Tensor& value,
                                     const Tensor& /*key_padding_mask*/,
                                     const Tensor& /*attn_mask*/,
                                     const AttentionCall& /*call*/) const {
  const std::pair<const char*, const Tensor*> operands[] = {
      {"query", &query}, {"key", &key}, {"value", &value}};
  for (const auto& [name, x] : operands) {
    if (!x->defined()) return {};
    const std::string text = hint_for_dtype(name, *x, out_proj.weight.value().dtype());
    if (!text.empty()) return text;
  }
  const int64_t size = query.rank() > 0 ? query.size(-1) : 0;
  const bool other = size != width() && size > 0 && size % options().num_heads == 0 &&
                     query.shape().back() == key.shape().back();
  return other ? "MultiheadAttention(" + std::to_string(size) + ", " +
                     std::to_string(options().num_heads.value()) + ") would fit"
               : "";
}

// ---------------------------------------------------------------------------------- formula

/// x times its part, 0 to 2, of the weights that stand together, or times its own.
Tensor MultiheadAttention::project(const Tensor& x, int64_t place,
                                   const Parameter& separate) const {
  const auto part = [&](const Parameter& all) {
    return slice(all.value(), 0, place * width(), (place + 1) * width());
  };
  const Tensor bias = in_proj_bias ? part(in_proj_bias) : Tensor();
  return linear(x, separate ? separate.value() : part(in_proj_weight), bias);
}

/// [N, num_heads, L, features of a head] of x in the axes' order of the operands.
Tensor MultiheadAttention::in_heads(const Tensor& projected) const {
  const Shape& x = projected.shape();
  const int64_t count = options().num_heads;
  const Tensor parts = reshape(projected, {x[0], x[1], count, width() / count});
  return permute_dims(parts, options().batch_first ? Shape{0, 2, 1, 3} : Shape{1, 2, 0, 3});
}

/// The keys or values with what the options put behind them.
Tensor MultiheadAttention::with_extras(const Tensor& heads, const Parameter& bias) const {
  const Shape& shape = heads.shape();
  const Shape one{shape[0], shape[1], 1, shape[3]};
  std::vector<Tensor> all{heads};
  if (bias) {
    all.push_back(broadcast_to(reshape(bias.value(), {1, shape[1], 1, shape[3]}), one));
  }
  if (options().add_zero_attn) all.push_back(zeros(one, heads.dtype(), heads.device()));
  return all.size() == 1 ? heads : concat(all, 2);
}

/// What is added to the scores of `keys` keys, minus infinity where a bool mask is true; undefined
/// without a mask.
Tensor MultiheadAttention::score_bias(const Tensor& key_padding_mask, const Tensor& attn_mask,
                                      bool is_causal, const Tensor& q, int64_t keys) const {
  const Shape& shape = q.shape();
  Tensor bias;
  const auto add = [&](const Tensor& mask, const Shape& as) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const auto number = [&](double value) { return full({}, value, q.dtype(), q.device()); };
    const Tensor shaped = reshape(mask, as);
    const Tensor term =
        is_bool(mask.dtype()) ? where(shaped, number(-infinity), number(0)) : shaped;
    bias = bias.defined() ? bias + term : term;
  };
  if (attn_mask.defined()) {
    const bool of_heads = attn_mask.rank() == 3;
    add(attn_mask, {of_heads ? shape[0] : 1, of_heads ? shape[1] : 1, shape[2], keys});
  }
  if (is_causal) {
    add(expand_dims(arange(keys), 0) > expand_dims(arange(shape[2]), 1), {1, 1, shape[2], keys});
  }
  if (key_padding_mask.defined()) add(key_padding_mask, {shape[0], 1, 1, keys});
  return bias.defined() && extras() > 0 ? pad(bias, {0, 0, 0, 0, 0, 0, 0, extras()}) : bias;
}

namespace {

/// softmax, but zeros where every score is minus infinity.
Tensor softmax_or_zero(const Tensor& scores) {
  const Tensor none = max(scores, -1, true) == -std::numeric_limits<double>::infinity();
  return where(none, 0, softmax(where(none, 0, scores)));
}

}  // namespace

AttentionResult MultiheadAttention::forward(const Tensor& query, const Tensor& key,
                                            const Tensor& value, const Tensor& key_padding_mask,
                                            const Tensor& attn_mask,
                                            const AttentionCall& call) const {
  check(query, key, value, key_padding_mask, attn_mask);
  const int batch_axis = options().batch_first ? 0 : 1;
  const bool batched = query.rank() == 3;
  const auto heads_of = [&](const Tensor& x, int64_t place, const Parameter& separate) {
    return in_heads(project(batched ? x : expand_dims(x, batch_axis), place, separate));
  };
  const Tensor q = heads_of(query, 0, q_proj_weight);
  const Tensor k = heads_of(key, 1, k_proj_weight);
  const Tensor v = with_extras(heads_of(value, 2, v_proj_weight), bias_v);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  Tensor scores = matmul(q * scale, matrix_transpose(with_extras(k, bias_k)));
  const Tensor bias = score_bias(key_padding_mask, attn_mask, call.is_causal, q, k.size(2));
  if (bias.defined()) scores = scores + bias;
  const bool may_be_none = bias.defined() && !call.need_weights;
  const Tensor weights = dropout(may_be_none ? softmax_or_zero(scores) : softmax(scores),
                                 options().dropout, training());
  const Shape order = options().batch_first ? Shape{0, 2, 1, 3} : Shape{2, 0, 1, 3};
  const Tensor joined = flatten(permute_dims(matmul(weights, v), order), 2);
  AttentionResult result{out_proj(joined), {}};
  if (!batched) result.attn_output = squeeze(result.attn_output, {batch_axis});
  if (!call.need_weights) return result;
  result.attn_output_weights = call.average_attn_weights ? mean(weights, 1) : weights;
  if (!batched) result.attn_output_weights = squeeze(result.attn_output_weights, {0});
  return result;
}

}  // namespace taper::nn

TAPER_LAYER(MultiheadAttention, "Attention of several heads.")

#include <taper/nn/layers/embedding.h>

#include <taper/autograd/autograd.h>
#include <taper/core/state.h>
#include <taper/nn/hints.h>
#include <taper/ops/composed.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

namespace taper::nn {

void EmbeddingOptions::check(std::string_view owner) const {
  const int64_t count = num_embeddings;
  check_rule(!padding_idx || (*padding_idx >= -count && *padding_idx < count), owner,
             "`padding_idx` must be one of the num_embeddings ids", padding_idx.value_or(0));
  const auto refuse = [&](bool wanted, const char* why) {
    if (wanted) fail(ErrorKind::unsupported, std::string(owner) + ": " + why);
  };
  refuse(sparse, "`sparse` is not supported: gradients are dense");
  refuse(scale_grad_by_freq,
         "`scale_grad_by_freq` is not supported: the gradients of an id's places are added");
}

std::optional<int64_t> Embedding::padding() const {
  const std::optional<int64_t> idx = options().padding_idx;
  return idx && *idx < 0 ? *idx + options().num_embeddings.value() : idx;
}

Tensor Embedding::initial() const {
  Tensor table = init::normal({options().num_embeddings, options().embedding_dim}, 1);
  if (padding() && !UninitialisedScope::active()) table[*padding()] = 0;
  return table;
}

Tensor Embedding::forward(const Tensor& ids) const {
  return composed(
      "embedding", [&] { return NamedOperands{{"ids", ids}, {"weight", weight.value()}}; },
      [&] {
        if (options().max_norm) shorten(ids);
        const Tensor y = take(weight.value(), ids, 0, false);
        if (!padding() || !y.requires_grad()) return y;
        return where(expand_dims(ids == *padding(), -1), y.detach(), y);
      });
}

/// The vectors of these ids with a norm above `max_norm` to that norm.
void Embedding::shorten(const Tensor& ids) const {
  const no_grad off;
  const double p = options().norm_type;
  const double most = *options().max_norm;
  update(weight, [&](Tensor& table) {
    const Tensor places = reshape(ids, {-1});
    const Tensor rows = take(table, places, 0, false);
    const Tensor wide = item_size(rows.dtype()) < 4 ? astype(rows, DType::f32) : rows;
    const Tensor norms = pow(sum(pow(abs(wide), p), 1, true), 1 / p);
    // PyTorch's small number in the divisor.
    const Tensor scale = where(norms > most, most / (norms + 1e-7), 1.0);
    table[places] = astype(wide * scale, rows.dtype());
    return std::move(table);
  });
}

std::string Embedding::hint(const Tensor& ids) const {
  if (!ids.defined() || ids.dtype() == DType::i32) return {};
  return hint_for_dtype("ids", ids, DType::i64);
}

}  // namespace taper::nn

TAPER_LAYER(Embedding, "The vectors of ids.")

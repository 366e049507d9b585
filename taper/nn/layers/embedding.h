#pragma once

#include <optional>

#include <taper/nn/init.h>
#include <taper/nn/layer_entry.h>

namespace taper::nn {

struct TAPER_API EmbeddingOptions {
  Required<Positive<int64_t>> num_embeddings;
  Required<Positive<int64_t>> embedding_dim;
  std::optional<int64_t> padding_idx = {};        ///< an id whose vector gets no gradient
  std::optional<Positive<double>> max_norm = {};  ///< the largest norm of a vector that is used
  Positive<double> norm_type = 2;                 ///< the p of that norm
  bool scale_grad_by_freq = false;
  bool sparse = false;
  /// Throws value for a `padding_idx` that is no id, unsupported for the last two options:
  /// gradients are dense and those of an id that stands in several places are added.
  void check(std::string_view owner) const;
};
/// Ids, i32 or i64 of any shape, to the vectors of a table: [...] to [..., embedding_dim]. The
/// weight [num_embeddings, embedding_dim] is standard normal, the vector of `padding_idx` (counted
/// from the end if negative) zero. An id out of range throws index. With `max_norm` each call
/// shortens the vectors that it uses, so it writes the weight, in evaluation mode as well.
class TAPER_API Embedding : public Layer<Embedding, EmbeddingOptions> {
 public:
  static constexpr std::array<std::string_view, 1> operands{"ids"};
  using Layer::Layer;
  Tensor forward(const Tensor& ids) const;
  std::string hint(const Tensor& ids) const;

  Parameter weight = parameter("weight", initial());

 private:
  Tensor initial() const;
  void shorten(const Tensor& ids) const;
  std::optional<int64_t> padding() const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(Embedding)

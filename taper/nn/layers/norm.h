#pragma once

#include <taper/nn/init.h>
#include <taper/nn/layer_entry.h>
#include <taper/nn/sizes.h>

namespace taper::nn {

struct TAPER_API BatchNormOptions {
  Required<Positive<int64_t>> num_features;
  NonNegative<double> eps = 1e-5;
  Probability momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;
};
/// Ioffe and Szegedy, "Batch normalization" (2015): each channel (axis 1) to mean 0 and variance 1,
/// by the batch's statistics in training mode, by the running ones otherwise.
template <class Derived>
class TAPER_API BatchNorm : public Layer<Derived, BatchNormOptions> {
 public:
  using Layer<Derived, BatchNormOptions>::Layer;
  Tensor forward(const Tensor& x) const;
  std::string hint(const Tensor& x) const;

  // No cells without `affine` or `track_running_stats`.
  Parameter weight = make(this->options().affine, "weight", 1);
  Parameter bias = make(this->options().affine, "bias", 0);
  Buffer running_mean = make_running("running_mean", 0);
  Buffer running_var = make_running("running_var", 1);
  Buffer num_batches_tracked = make_counter();

 private:
  Parameter make(bool wanted, const char* name, double value);
  Buffer make_running(const char* name, double value);
  Buffer make_counter();
  void update_statistics(const Tensor& mean, const Tensor& var, int64_t count) const;
};
/// For x [N,C] or [N,C,L].
class TAPER_API BatchNorm1d : public BatchNorm<BatchNorm1d> {
 public:
  using BatchNorm::BatchNorm;
  static constexpr int least_rank = 2;
  static constexpr int most_rank = 3;
};
/// For images [N,C,H,W].
class TAPER_API BatchNorm2d : public BatchNorm<BatchNorm2d> {
 public:
  using BatchNorm::BatchNorm;
  static constexpr int least_rank = 4;
  static constexpr int most_rank = 4;
};

extern template class BatchNorm<BatchNorm1d>;
extern template class BatchNorm<BatchNorm2d>;

struct TAPER_API LayerNormOptions {
  Required<Positive<Sizes>> normalized_shape;
  NonNegative<double> eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;
  /// Throws value without a size.
  void check(std::string_view owner) const;
};
/// Ba et al., "Layer normalization" (2016): the elements along the last axes, which have
/// `normalized_shape`, to mean 0 and variance 1, times weight plus bias; 16-bit numbers in f32. No
/// weight without `elementwise_affine`, and no bias without it or without `bias`.
class TAPER_API LayerNorm : public Layer<LayerNorm, LayerNormOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
  std::string hint(const Tensor& x) const;

  Parameter weight = make(options().elementwise_affine, "weight", 1);
  Parameter bias = make(options().elementwise_affine && options().bias, "bias", 0);

 private:
  Parameter make(bool wanted, const char* name, double value);
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(BatchNorm1d)
TAPER_LAYER_TYPE(BatchNorm2d)
TAPER_LAYER_TYPE(LayerNorm)

#include <taper/nn/layers/norm.h>

#include <array>

#include <taper/autograd/autograd.h>
#include <taper/nn/hints.h>
#include <taper/ops/composed.h>
#include <taper/ops/ops.h>

namespace taper::nn {
namespace {

[[noreturn]] void refuse(const std::string& rule, const Tensor& x) {
  report("batch_norm", {ErrorKind::shape, rule}, {{"x", x}});
}

/// 16-bit numbers as f32, lest every step of a formula rounds to 16 bits.
Tensor widened(const Tensor& x) {
  return x.defined() && item_size(x.dtype()) < 4 ? astype(x, DType::f32) : x;
}

}  // namespace

template <class Derived>
Parameter BatchNorm<Derived>::make(bool wanted, const char* name, double value) {
  if (!wanted) return {};
  return this->parameter(name, init::constant({this->options().num_features}, value));
}

template <class Derived>
Buffer BatchNorm<Derived>::make_running(const char* name, double value) {
  if (!this->options().track_running_stats) return {};
  return this->buffer(name, init::constant({this->options().num_features}, value));
}

template <class Derived>
Buffer BatchNorm<Derived>::make_counter() {
  if (!this->options().track_running_stats) return {};
  return this->buffer("num_batches_tracked", zeros({}, DType::i64));
}

template <class Derived>
Tensor BatchNorm<Derived>::forward(const Tensor& x) const {
  constexpr int least = Derived::least_rank;
  constexpr int most = Derived::most_rank;
  const int64_t features = this->options().num_features;
  const double eps = this->options().eps;
  if (x.rank() < least || x.rank() > most || x.shape()[1] != features) {
    refuse(std::string(Derived::type_name) + " expects " + std::to_string(features) +
               " channels in axis 1 of " + (least < most ? std::to_string(least) + " or " : "") +
               std::to_string(most) + " axes",
           x);
  }
  if (!this->training() && running_mean) {
    return batch_norm(x, running_mean.value(), running_var.value(), value_of(weight),
                      value_of(bias), eps);
  }
  const int64_t count = x.numel() / features;
  if (count < 2 && this->training()) {
    refuse("training needs more than one value for each channel", x);
  }
  Shape axes{0};
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  const Tensor values = widened(x);
  const Tensor batch_mean = mean(values, axes);
  const Tensor batch_var = var(values, axes);
  const Tensor y = astype(batch_norm(values, batch_mean, batch_var, widened(value_of(weight)),
                                     widened(value_of(bias)), eps),
                          x.dtype());
  // In the end: a call that throws has seen no batch.
  if (this->training() && running_mean) update_statistics(batch_mean, batch_var, count);
  return y;
}

template <class Derived>
std::string BatchNorm<Derived>::hint(const Tensor& x) const {
  if (!x.defined()) return {};
  constexpr bool images = Derived::least_rank == 4;
  const int64_t features = this->options().num_features;
  if (images != (x.rank() == 4)) {
    const bool other = images ? x.rank() == 2 || x.rank() == 3 : x.rank() == 4;
    const auto fit = images ? BatchNorm1d::type_name : BatchNorm2d::type_name;
    return other ? std::string(fit) + "(" + std::to_string(x.size(1)) + ") would fit" : "";
  }
  if (x.rank() < 2 || x.size(1) < 1) return {};
  if (x.size(1) != features) {
    return std::string(Derived::type_name) + "(" + std::to_string(x.size(1)) + ") would fit";
  }
  const bool one_each = this->training() && x.numel() / features < 2;
  return one_each ? "give it batches of more than one example" : "";
}

/// The running variance takes the unbiased estimate, as in PyTorch.
template <class Derived>
void BatchNorm<Derived>::update_statistics(const Tensor& mean, const Tensor& var,
                                           int64_t count) const {
  const no_grad off;
  const double m = this->options().momentum;
  const double unbiased = static_cast<double>(count) / static_cast<double>(count - 1);
  const auto blend = [&](const Tensor& old, const Tensor& fresh, double factor) {
    return astype(old * (1 - m) + fresh.detach() * (m * factor), old.dtype());
  };
  const Tensor next_mean = blend(running_mean.value(), mean, 1);
  const Tensor next_var = blend(running_var.value(), var, unbiased);
  const Tensor next_count = num_batches_tracked.value() + 1;
  set_together(std::array{std::pair{running_mean.cell(), next_mean},
                          std::pair{running_var.cell(), next_var},
                          std::pair{num_batches_tracked.cell(), next_count}});
}

template class BatchNorm<BatchNorm1d>;
template class BatchNorm<BatchNorm2d>;

// ---------------------------------------------------------------------------------- LayerNorm

void LayerNormOptions::check(std::string_view owner) const {
  check_rule(normalized_shape->shape().rank() > 0, owner, "`normalized_shape` needs a size",
             Value(normalized_shape->shape().to_vector()));
}

Parameter LayerNorm::make(bool wanted, const char* name, double value) {
  if (!wanted) return {};
  return parameter(name, init::constant(options().normalized_shape->shape(), value));
}

Tensor LayerNorm::forward(const Tensor& x) const {
  return layer_norm(x, options().normalized_shape->shape(), value_of(weight), value_of(bias),
                    options().eps);
}

std::string LayerNorm::hint(const Tensor& x) const {
  if (!x.defined()) return {};
  const Shape& sizes = options().normalized_shape->shape();
  if (weight && x.dtype() != weight.value().dtype()) {
    return hint_for_dtype("x", x, weight.value().dtype());
  }
  const bool other = sizes.rank() == 1 && x.rank() > 0 && x.size(-1) > 0 && x.size(-1) != sizes[0];
  return other ? "LayerNorm(" + std::to_string(x.size(-1)) + ") would fit" : "";
}

}  // namespace taper::nn

TAPER_LAYER(BatchNorm1d, "Batch normalisation of [N,C] or [N,C,L].")
TAPER_LAYER(BatchNorm2d, "Batch normalisation of images [N,C,H,W].")
TAPER_LAYER(LayerNorm, "Normalises the last axes of each example.")

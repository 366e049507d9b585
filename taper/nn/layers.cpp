#include <taper/nn/layers.h>

#include <array>
#include <cmath>

#include <taper/autograd/autograd.h>
#include <taper/nn/any_module.h>
#include <taper/nn/hints.h>

namespace taper::nn {
namespace {

void require(bool condition, std::string_view owner, const char* rule, const std::string& got) {
  if (!condition) fail(ErrorKind::value, std::string(owner) + ": " + rule + ", got " + got);
}

void require_positive(std::string_view owner, const char* field, int64_t value) {
  require(value >= 1, owner, (std::string("`") + field + "` must be at least 1").c_str(),
          std::to_string(value));
}

void require_positive(std::string_view owner, const char* field, const Pair& value) {
  require_positive(owner, field, std::min(value[0], value[1]));
}

/// He et al., "Delving deep into rectifiers" (2015), with the slope sqrt(5) that PyTorch's Linear
/// and Conv2d take: uniform within 1 / sqrt(fan in).
Tensor init_uniform(const Shape& shape, int64_t fan_in) {
  if (UninitialisedScope::active()) return empty(shape);
  const double bound = fan_in > 0 ? 1 / std::sqrt(static_cast<double>(fan_in)) : 0;
  return uniform(shape, -bound, bound);
}

Tensor init_constant(const Shape& shape, double value) {
  return UninitialisedScope::active() ? empty(shape) : full(shape, value);
}

Tensor value_or_none(const Parameter& cell) { return cell ? cell.value() : Tensor(); }

}  // namespace

Linear::Linear(LinearOptions options) : options_(std::move(options)) {
  check_required(type_name, options_);
  const int64_t in = options_.in_features;
  const int64_t out = options_.out_features;
  require_positive(type_name, "in_features", in);
  require_positive(type_name, "out_features", out);
  weight = parameter("weight", init_uniform({out, in}, in));
  if (options_.bias) bias = parameter("bias", init_uniform({out}, in));
}

Tensor Linear::forward(const Tensor& x) const {
  return explained([&] { return linear(x, weight.value(), value_or_none(bias)); },
                   [&] { return hint_for_linear(x, weight.value(), bool(bias)); });
}

Conv2d::Conv2d(Conv2dOptions options) : options_(std::move(options)) {
  check_required(type_name, options_);
  const int64_t in = options_.in_channels;
  const int64_t out = options_.out_channels;
  const Pair kernel = options_.kernel_size;
  require_positive(type_name, "in_channels", in);
  require_positive(type_name, "out_channels", out);
  require_positive(type_name, "kernel_size", kernel);
  require_positive(type_name, "stride", options_.stride);
  require_positive(type_name, "dilation", options_.dilation);
  require_positive(type_name, "groups", options_.groups);
  require(std::min(options_.padding[0], options_.padding[1]) >= 0, type_name,
          "`padding` must be at least 0",
          std::to_string(std::min(options_.padding[0], options_.padding[1])));
  require(in % options_.groups == 0 && out % options_.groups == 0, type_name,
          "`groups` must divide in_channels and out_channels", std::to_string(options_.groups));
  const int64_t per_group = in / options_.groups;
  const int64_t fan_in = per_group * kernel[0] * kernel[1];
  weight = parameter("weight", init_uniform({out, per_group, kernel[0], kernel[1]}, fan_in));
  if (options_.bias) bias = parameter("bias", init_uniform({out}, fan_in));
}

Tensor Conv2d::forward(const Tensor& x) const {
  return explained(
      [&] {
        return conv2d(x, weight.value(), value_or_none(bias), options_.stride, options_.padding,
                      options_.dilation, options_.groups);
      },
      [&] { return hint_for_conv2d(x, weight.value(), options_.in_channels); });
}

MaxPool2d::MaxPool2d(MaxPool2dOptions options) : options_(std::move(options)) {
  check_required(type_name, options_);
  require_positive(type_name, "kernel_size", options_.kernel_size);
}

Tensor MaxPool2d::forward(const Tensor& x) const {
  return explained(
      [&] { return max_pool2d(x, options_.kernel_size, options_.stride, options_.padding); },
      [&] { return hint_for_pool2d(x); });
}

AvgPool2d::AvgPool2d(AvgPool2dOptions options) : options_(std::move(options)) {
  check_required(type_name, options_);
  require_positive(type_name, "kernel_size", options_.kernel_size);
}

Tensor AvgPool2d::forward(const Tensor& x) const {
  return explained(
      [&] {
        return avg_pool2d(x, options_.kernel_size, options_.stride, options_.padding,
                          options_.count_include_pad);
      },
      [&] { return hint_for_pool2d(x); });
}

template <class Derived>
BatchNorm<Derived>::BatchNorm(BatchNormOptions options, int least_rank, int most_rank)
    : options_(std::move(options)), least_rank_(least_rank), most_rank_(most_rank) {
  check_required(Derived::type_name, options_);
  const int64_t features = options_.num_features;
  require_positive(Derived::type_name, "num_features", features);
  require(options_.eps >= 0 && std::isfinite(options_.eps), Derived::type_name,
          "`eps` must be finite and at least 0", print_real(options_.eps));
  require(options_.momentum >= 0 && options_.momentum <= 1, Derived::type_name,
          "`momentum` must be in [0, 1]", print_real(options_.momentum));
  if (options_.affine) {
    weight = this->parameter("weight", init_constant({features}, 1));
    bias = this->parameter("bias", init_constant({features}, 0));
  }
  if (options_.track_running_stats) {
    running_mean = this->buffer("running_mean", init_constant({features}, 0));
    running_var = this->buffer("running_var", init_constant({features}, 1));
    num_batches_tracked = this->buffer("num_batches_tracked", zeros({}, DType::i64));
  }
}

namespace {

[[noreturn]] void fail_batch_norm(const std::string& rule, const Tensor& x,
                                  const std::string& hint) {
  const std::string layer = layer_path();
  const Error error(ErrorKind::shape,
                    "batch_norm: " + rule + " (x " + to_string(x.spec()) + ")" +
                        (layer.empty() ? "" : " in " + layer),
                    "batch_norm", layer);
  throw with_hint(error, hint);
}

/// 16-bit numbers as f32, lest every step of a formula rounds to 16 bits.
Tensor widened(const Tensor& x) {
  return x.defined() && item_size(x.dtype()) < 4 ? astype(x, DType::f32) : x;
}

}  // namespace

template <class Derived>
Tensor BatchNorm<Derived>::forward(const Tensor& x) const {
  const int64_t features = options_.num_features;
  if (x.rank() < least_rank_ || x.rank() > most_rank_ || x.shape()[1] != features) {
    const std::string rule =
        std::string(Derived::type_name) + " expects " + std::to_string(features) +
        " channels in axis 1 of " +
        (least_rank_ < most_rank_ ? std::to_string(least_rank_) + " or " : "") +
        std::to_string(most_rank_) + " axes";
    fail_batch_norm(rule, x, hint_for_batch_norm(Derived::type_name, x, features));
  }
  if (!this->training() && running_mean) {
    return batch_norm(x, running_mean.value(), running_var.value(), value_or_none(weight),
                      value_or_none(bias), options_.eps);
  }
  const int64_t count = x.numel() / features;
  if (count < 2 && this->training()) {
    fail_batch_norm("training needs more than one value for each channel", x,
                    "give it batches of more than one example");
  }
  Shape axes{0};
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  const Tensor values = widened(x);
  const Tensor batch_mean = mean(values, axes);
  const Tensor batch_var = var(values, axes);
  const Tensor y = astype(batch_norm(values, batch_mean, batch_var, widened(value_or_none(weight)),
                                     widened(value_or_none(bias)), options_.eps),
                          x.dtype());
  // In the end: a call that throws has seen no batch.
  if (this->training() && running_mean) update_statistics(batch_mean, batch_var, count);
  return y;
}

/// The running variance takes the unbiased estimate, as in PyTorch.
template <class Derived>
void BatchNorm<Derived>::update_statistics(const Tensor& mean, const Tensor& var,
                                           int64_t count) const {
  const no_grad off;
  const double m = options_.momentum;
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

Dropout::Dropout(DropoutOptions options) : options_(options) {
  require(options.p >= 0 && options.p <= 1, type_name, "`p` must be in [0, 1]",
          print_real(options.p));
}

Tensor Dropout::forward(const Tensor& x) const { return dropout(x, options_.p, training()); }

Tensor Flatten::forward(const Tensor& x) const {
  return flatten(x, options_.start_dim, options_.end_dim);
}

Tensor Softmax::forward(const Tensor& x) const { return softmax(x, options_.dim); }

Tensor ReLU::forward(const Tensor& x) const { return relu(x); }
Tensor Sigmoid::forward(const Tensor& x) const { return sigmoid(x); }
Tensor Tanh::forward(const Tensor& x) const { return tanh(x); }
Tensor GELU::forward(const Tensor& x) const { return gelu(x); }
Tensor SiLU::forward(const Tensor& x) const { return silu(x); }
Tensor Identity::forward(const Tensor& x) const { return x; }

namespace {

template <class M, class Options = NoOptions>
using Entry = FactoryFor<AnyModule, M, Options>;

const Entry<Linear, LinearOptions> linear_entry{Linear::type_name, "x @ weight^T + bias."};
const Entry<Conv2d, Conv2dOptions> conv2d_entry{Conv2d::type_name,
                                                "Convolution of images [N,C,H,W]."};
const Entry<MaxPool2d, MaxPool2dOptions> max_pool2d_entry{MaxPool2d::type_name,
                                                          "The maximum of each window."};
const Entry<AvgPool2d, AvgPool2dOptions> avg_pool2d_entry{AvgPool2d::type_name,
                                                          "The mean of each window."};
const Entry<BatchNorm1d, BatchNormOptions> batch_norm1d_entry{
    BatchNorm1d::type_name, "Batch normalisation of [N,C] or [N,C,L]."};
const Entry<BatchNorm2d, BatchNormOptions> batch_norm2d_entry{
    BatchNorm2d::type_name, "Batch normalisation of images [N,C,H,W]."};
const Entry<Dropout, DropoutOptions> dropout_entry{Dropout::type_name,
                                                   "Zeroes elements at random in training."};
const Entry<Flatten, FlattenOptions> flatten_entry{Flatten::type_name, "Joins axes into one."};
const Entry<Softmax, SoftmaxOptions> softmax_entry{Softmax::type_name,
                                                   "Exponentials that sum to one."};
const Entry<ReLU> relu_entry{ReLU::type_name, "x where it is positive, else 0."};
const Entry<Sigmoid> sigmoid_entry{Sigmoid::type_name, "1 / (1 + exp(-x))."};
const Entry<Tanh> tanh_entry{Tanh::type_name, "The hyperbolic tangent."};
const Entry<GELU> gelu_entry{GELU::type_name, "x times the normal distribution function of x."};
const Entry<SiLU> silu_entry{SiLU::type_name, "x * sigmoid(x)."};
const Entry<Identity> identity_entry{Identity::type_name, "x itself."};

}  // namespace
template AnyModule::AnyModule(Linear);
template AnyModule::AnyModule(Conv2d);
template AnyModule::AnyModule(MaxPool2d);
template AnyModule::AnyModule(AvgPool2d);
template AnyModule::AnyModule(BatchNorm1d);
template AnyModule::AnyModule(BatchNorm2d);
template AnyModule::AnyModule(Dropout);
template AnyModule::AnyModule(Flatten);
template AnyModule::AnyModule(Softmax);
template AnyModule::AnyModule(ReLU);
template AnyModule::AnyModule(Sigmoid);
template AnyModule::AnyModule(Tanh);
template AnyModule::AnyModule(GELU);
template AnyModule::AnyModule(SiLU);
template AnyModule::AnyModule(Identity);

}  // namespace taper::nn

#pragma once

#include <array>

#include <taper/core/factory.h>
#include <taper/nn/any_module.h>
#include <taper/ops/ops.h>

// The layers. Names, argument order, defaults and initial values are PyTorch's. Each has one struct
// of options and one line in the registry.

namespace taper::nn {

/// Height and width: `3` means both.
struct Size2 {
  Pair value;
  Size2(int64_t both) : value{both, both} {}              // NOLINT
  Size2(int both) : Size2(static_cast<int64_t>(both)) {}  // NOLINT
  Size2(int64_t height, int64_t width) : value{height, width} {}
};

struct LinearOptions {
  Required<int64_t> in_features;
  Required<int64_t> out_features;
  bool bias = true;
};
/// x [..., in_features] to [..., out_features]; weight [out, in] and bias uniform within
/// 1 / sqrt(in_features).
class TAPER_API Linear : public Layer<Linear> {
 public:
  static constexpr std::string_view type_name = "Linear";
  explicit Linear(LinearOptions options);
  Linear(int64_t in_features, int64_t out_features, bool with_bias = true)
      : Linear(LinearOptions{in_features, out_features, with_bias}) {}
  Tensor forward(const Tensor& x) const;
  const LinearOptions& options() const { return options_; }
  Parameter weight;
  Parameter bias;  // no cell without a bias

 private:
  LinearOptions options_;
};

struct Conv2dOptions {
  Required<int64_t> in_channels;
  Required<int64_t> out_channels;
  Required<Pair> kernel_size;
  Pair stride = {1, 1};
  Pair padding = {0, 0};
  Pair dilation = {1, 1};
  int64_t groups = 1;
  bool bias = true;
};
/// Images [N, in_channels, H, W] to [N, out_channels, OH, OW]; weight [out, in / groups, KH, KW]
/// and bias uniform within 1 / sqrt(fan in).
class TAPER_API Conv2d : public Layer<Conv2d> {
 public:
  static constexpr std::string_view type_name = "Conv2d";
  explicit Conv2d(Conv2dOptions options);
  Conv2d(int64_t in_channels, int64_t out_channels, Size2 kernel_size, Size2 stride = 1,
         Size2 padding = 0, Size2 dilation = 1, int64_t groups = 1, bool with_bias = true)
      : Conv2d(Conv2dOptions{in_channels, out_channels, kernel_size.value, stride.value,
                             padding.value, dilation.value, groups, with_bias}) {}
  Tensor forward(const Tensor& x) const;
  const Conv2dOptions& options() const { return options_; }
  Parameter weight;
  Parameter bias;  // no cell without a bias

 private:
  Conv2dOptions options_;
};

struct MaxPool2dOptions {
  Required<Pair> kernel_size;
  std::optional<Pair> stride = {};  // the kernel's size
  Pair padding = {0, 0};
};
class TAPER_API MaxPool2d : public Layer<MaxPool2d> {
 public:
  static constexpr std::string_view type_name = "MaxPool2d";
  explicit MaxPool2d(MaxPool2dOptions options);
  explicit MaxPool2d(Size2 kernel_size) : MaxPool2d(MaxPool2dOptions{kernel_size.value}) {}
  MaxPool2d(Size2 kernel_size, Size2 stride, Size2 padding = 0)
      : MaxPool2d(MaxPool2dOptions{kernel_size.value, stride.value, padding.value}) {}
  Tensor forward(const Tensor& x) const;
  const MaxPool2dOptions& options() const { return options_; }

 private:
  MaxPool2dOptions options_;
};

struct AvgPool2dOptions {
  Required<Pair> kernel_size;
  std::optional<Pair> stride = {};  // the kernel's size
  Pair padding = {0, 0};
  bool count_include_pad = true;
};
class TAPER_API AvgPool2d : public Layer<AvgPool2d> {
 public:
  static constexpr std::string_view type_name = "AvgPool2d";
  explicit AvgPool2d(AvgPool2dOptions options);
  explicit AvgPool2d(Size2 kernel_size) : AvgPool2d(AvgPool2dOptions{kernel_size.value}) {}
  AvgPool2d(Size2 kernel_size, Size2 stride, Size2 padding = 0)
      : AvgPool2d(AvgPool2dOptions{kernel_size.value, stride.value, padding.value}) {}
  Tensor forward(const Tensor& x) const;
  const AvgPool2dOptions& options() const { return options_; }

 private:
  AvgPool2dOptions options_;
};

struct BatchNormOptions {
  Required<int64_t> num_features;
  double eps = 1e-5;
  double momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;
};
/// Ioffe and Szegedy, "Batch normalization" (2015): each channel (axis 1) to mean 0 and variance 1,
/// by the batch's statistics in training mode, by the running ones otherwise.
template <class Derived>
class TAPER_API BatchNorm : public Layer<Derived> {
 public:
  Tensor forward(const Tensor& x) const;
  const BatchNormOptions& options() const { return options_; }
  Parameter weight;
  Parameter bias;
  Buffer running_mean;
  Buffer running_var;
  Buffer num_batches_tracked;

 protected:
  BatchNorm(BatchNormOptions options, int least_rank, int most_rank);

 private:
  void update_statistics(const Tensor& mean, const Tensor& var, int64_t count) const;

  BatchNormOptions options_;
  int least_rank_;
  int most_rank_;
};
/// For x [N,C] or [N,C,L].
class TAPER_API BatchNorm1d : public BatchNorm<BatchNorm1d> {
 public:
  static constexpr std::string_view type_name = "BatchNorm1d";
  explicit BatchNorm1d(BatchNormOptions options) : BatchNorm(std::move(options), 2, 3) {}
  explicit BatchNorm1d(int64_t features) : BatchNorm1d(BatchNormOptions{features}) {}
};
/// For images [N,C,H,W].
class TAPER_API BatchNorm2d : public BatchNorm<BatchNorm2d> {
 public:
  static constexpr std::string_view type_name = "BatchNorm2d";
  explicit BatchNorm2d(BatchNormOptions options) : BatchNorm(std::move(options), 4, 4) {}
  explicit BatchNorm2d(int64_t features) : BatchNorm2d(BatchNormOptions{features}) {}
};

struct DropoutOptions {
  double p = 0.5;
};
/// Zeroes elements with probability p in training mode and scales the others by 1 / (1 - p).
class TAPER_API Dropout : public Layer<Dropout> {
 public:
  static constexpr std::string_view type_name = "Dropout";
  explicit Dropout(DropoutOptions options);
  explicit Dropout(double p = 0.5) : Dropout(DropoutOptions{p}) {}
  Tensor forward(const Tensor& x) const;
  const DropoutOptions& options() const { return options_; }

 private:
  DropoutOptions options_;
};

struct FlattenOptions {
  int64_t start_dim = 1;
  int64_t end_dim = -1;
};
class TAPER_API Flatten : public Layer<Flatten> {
 public:
  static constexpr std::string_view type_name = "Flatten";
  explicit Flatten(FlattenOptions options) : options_(options) {}
  explicit Flatten(int64_t start_dim = 1, int64_t end_dim = -1)
      : Flatten(FlattenOptions{start_dim, end_dim}) {}
  Tensor forward(const Tensor& x) const;
  const FlattenOptions& options() const { return options_; }

 private:
  FlattenOptions options_;
};

struct SoftmaxOptions {
  int64_t dim = -1;
};
class TAPER_API Softmax : public Layer<Softmax> {
 public:
  static constexpr std::string_view type_name = "Softmax";
  explicit Softmax(SoftmaxOptions options) : options_(options) {}
  explicit Softmax(int64_t dim = -1) : Softmax(SoftmaxOptions{dim}) {}
  Tensor forward(const Tensor& x) const;
  const SoftmaxOptions& options() const { return options_; }

 private:
  SoftmaxOptions options_;
};

/// Layers that apply one function and have no options.

#define TAPER_FUNCTION_LAYER(Name)                       \
  class TAPER_API Name : public Layer<Name> {            \
   public:                                               \
    static constexpr std::string_view type_name = #Name; \
    Tensor forward(const Tensor& x) const;               \
    NoOptions options() const { return {}; }             \
  };
TAPER_FUNCTION_LAYER(ReLU)
TAPER_FUNCTION_LAYER(Sigmoid)
TAPER_FUNCTION_LAYER(Tanh)
TAPER_FUNCTION_LAYER(GELU)
TAPER_FUNCTION_LAYER(SiLU)
TAPER_FUNCTION_LAYER(Identity)
#undef TAPER_FUNCTION_LAYER

// Made once, in the library: each would cost a program a tenth of a second to compile.
extern template AnyModule::AnyModule(Linear);
extern template AnyModule::AnyModule(Conv2d);
extern template AnyModule::AnyModule(MaxPool2d);
extern template AnyModule::AnyModule(AvgPool2d);
extern template AnyModule::AnyModule(BatchNorm1d);
extern template AnyModule::AnyModule(BatchNorm2d);
extern template AnyModule::AnyModule(Dropout);
extern template AnyModule::AnyModule(Flatten);
extern template AnyModule::AnyModule(Softmax);
extern template AnyModule::AnyModule(ReLU);
extern template AnyModule::AnyModule(Sigmoid);
extern template AnyModule::AnyModule(Tanh);
extern template AnyModule::AnyModule(GELU);
extern template AnyModule::AnyModule(SiLU);
extern template AnyModule::AnyModule(Identity);

}  // namespace taper::nn

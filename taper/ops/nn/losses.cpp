#include <taper/ops/nn/loss_reduction.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>
#include <taper/ops/widened.h>

// Losses are said in simpler ops; where the gradient has a shorter form, it stands here.

namespace taper {
namespace {

struct LossAttrs {
  Reduction reduction = Reduction::mean;
};

void require_floats(const InSpecs& in) {
  if (!is_float(in[0].dtype)) {
    violate(ErrorKind::dtype, "input must be floating; convert with astype");
  }
}

// ---------------------------------------------------------------------------------- cross_entropy

Shape class_losses(const InSpecs& in) {
  const Shape& input = in[0].shape;
  if (input.rank() < 2) {
    violate(ErrorKind::shape, "input must be logits [N,C] or [N,C,...]");
  }
  Shape losses = input;
  losses.erase(1);
  if (is_float(in[1].dtype) || is_bool(in[1].dtype)) {
    violate(ErrorKind::dtype, "target must hold class indices, i64 or another integer");
  }
  if (in[1].shape != losses) {
    violate(ErrorKind::shape, "target must have shape " + to_string(losses));
  }
  return losses;
}

Specs infer_cross_entropy(const InSpecs& in, const LossAttrs& attrs) {
  require_floats(in);
  return loss_spec(in[0], class_losses(in), attrs.reduction);
}

Results expand_cross_entropy(const Inputs& in, const LossAttrs& attrs) {
  const Tensor target =
      expand_dims(in[1].dtype() == DType::i64 ? in[1] : astype(in[1], DType::i64), 1);
  const Tensor picked = take_along_axis(log_softmax(in[0], 1), target, 1, false);
  return one_result(reduce_loss(-squeeze(picked, 1), attrs.reduction));
}

/// (softmax(input) - one_hot(target)) times the gradient of each loss.
Grads cross_entropy_vjp(const Saved& s, const LossAttrs& attrs) {
  const Tensor& input = s.in(0);
  const int64_t classes = input.shape()[1];
  Tensor hot = one_hot(s.in(1), classes, input.dtype());
  Shape axes{0, input.rank() - 1};  // the classes go from the last place to the second
  for (int i = 1; i + 1 < input.rank(); ++i) axes.push_back(i);
  if (input.rank() > 2) hot = permute_dims(hot, axes);
  Tensor scale = s.grad();
  if (attrs.reduction == Reduction::mean) {
    scale = scale * (1.0 / static_cast<double>(s.in_spec(1).shape.numel()));
  } else if (attrs.reduction == Reduction::none) {
    scale = expand_dims(scale, 1);
  }
  return {(softmax(input, 1) - hot) * scale, Tensor()};
}

std::vector<Sample<LossAttrs>> cross_entropy_samples() {
  const SampleInput labels{.shape = {6}, .low = 0, .high = 4, .dtype = DType::i64};
  return {
      {.inputs = {{.shape = {6, 4}, .low = -3, .high = 3}, labels}},
      {.inputs = {{.shape = {6, 4}}, labels}, .attrs = {Reduction::sum}},
      {.inputs = {{.shape = {6, 4}}, labels}, .attrs = {Reduction::none}},
      {.inputs = {{.shape = {2, 3, 5}},
                  {.shape = {2, 5}, .low = 0, .high = 3, .dtype = DType::i64}}},
      {.inputs = {{.shape = {6, 4}}, {.shape = {5}, .high = 4, .dtype = DType::i64}},
       .error = "cross_entropy: target must have shape [6] (input f32[6,4], target i64[5])"},
      {.inputs = {{.shape = {6, 4}}, {.shape = {6}}}, .error = "target must hold class indices"},
      {.inputs = {{.shape = {2, 4}}, {.shape = {2}, .low = 4, .high = 5, .dtype = DType::i64}},
       .error = "out of range"},
      {.inputs = {{.shape = {2, 4}}, {.shape = {2}, .low = -1, .high = 0, .dtype = DType::i64}},
       .error = "index -1 at position 0 is out of range for axis 1 of size 4"}};
}

const Op<LossAttrs> cross_entropy_op{
    {.name = "cross_entropy",
     .doc = "Negative log-likelihood of class indices under softmax of the logits (axis 1).",
     .attributes = {reduction_line},
     .inputs = {"input", "target"},
     .outputs = {"loss"},
     .infer = infer_cross_entropy,
     .expand = expand_cross_entropy,
     .grad = {cross_entropy_vjp, Saves::inputs},
     .refuses_values = true,
     .onnx = {"SoftmaxCrossEntropyLoss", 13},
     .samples = cross_entropy_samples}};

// ---------------------------------------------------------------------------------- elementwise

Specs infer_elementwise(const InSpecs& in, const LossAttrs& attrs) {
  require_floats(in);
  if (in[1] != in[0]) {
    violate(ErrorKind::shape, "target must have the shape of input");
  }
  return loss_spec(in[0], in[0].shape, attrs.reduction);
}

Results expand_bce(const Inputs& in, const LossAttrs& attrs) {
  const Tensor& x = in[0];
  const Tensor& t = in[1];
  // log(0) counts as -100: the loss stays finite, as in PyTorch.
  const Tensor log_x = maximum(log(x), -100);
  const Tensor log_rest = maximum(log1p(-x), -100);
  return one_result(reduce_loss(-(t * log_x + (1 - t) * log_rest), attrs.reduction));
}

Tensor loss_scale(const Saved& s, Reduction reduction) {
  if (reduction != Reduction::mean) return s.grad();
  return s.grad() * (1.0 / static_cast<double>(s.in_spec(0).shape.numel()));
}

/// (x - t) / (x (1 - x)), with the divisor kept above 1e-12.
Grads bce_vjp(const Saved& s, const LossAttrs& attrs) {
  const Tensor& x = s.in(0);
  const Tensor scale = loss_scale(s, attrs.reduction);
  Grads grads(2);
  if (s.needs(0)) grads[0] = (x - s.in(1)) / maximum(x * (1 - x), 1e-12) * scale;
  if (s.needs(1)) grads[1] = (maximum(log1p(-x), -100) - maximum(log(x), -100)) * scale;
  return grads;
}

Results expand_bce_logits(const Inputs& in, const LossAttrs& attrs) {
  const Tensor& x = in[0];
  const Tensor& t = in[1];
  // softplus(x) - x t would cancel where the prediction is right.
  return one_result(reduce_loss((1 - t) * softplus(x) + t * softplus(-x), attrs.reduction));
}

/// sigmoid(x) - t
Grads bce_logits_vjp(const Saved& s, const LossAttrs& attrs) {
  const Tensor scale = loss_scale(s, attrs.reduction);
  Grads grads(2);
  if (s.needs(0)) grads[0] = (sigmoid(s.in(0)) - s.in(1)) * scale;
  if (s.needs(1)) grads[1] = -(s.in(0) * scale);
  return grads;
}

struct HuberAttrs {
  Reduction reduction = Reduction::mean;
  double delta = 1;
};

Specs infer_huber(const InSpecs& in, const HuberAttrs& attrs) {
  if (!(attrs.delta > 0)) {  // a NaN, too
    violate(ErrorKind::value, "delta must be above 0, got " + print_real(attrs.delta));
  }
  return infer_elementwise(in, {attrs.reduction});
}

/// With c the difference d kept within [-delta, delta]: c (d - c / 2).
Results expand_huber(const Inputs& in, const HuberAttrs& attrs) {
  const Tensor difference = in[0] - in[1];
  const Tensor kept = clip(difference, -attrs.delta, attrs.delta);
  return one_result(reduce_loss(kept * (difference - kept * 0.5), attrs.reduction));
}

/// The difference kept within [-delta, delta].
Grads huber_vjp(const Saved& s, const HuberAttrs& attrs) {
  const Tensor kept = clip(s.in(0) - s.in(1), -attrs.delta, attrs.delta);
  const Tensor slope = kept * loss_scale(s, attrs.reduction);
  Grads grads(2);
  if (s.needs(0)) grads[0] = slope;
  if (s.needs(1)) grads[1] = -slope;
  return grads;
}

/// Differences on either side of delta, none so near that a step crosses it.
std::vector<Sample<HuberAttrs>> huber_samples() {
  const SampleInput x{.shape = {4, 3}, .low = 0.05, .high = 0.95};
  const SampleInput far{.shape = {4, 3}, .low = 2.05, .high = 2.95};
  return {{.inputs = {x, x}},
          {.inputs = {x, far}},
          {.inputs = {far, x}, .attrs = {Reduction::sum, 0.5}},
          {.inputs = {x, x}, .attrs = {Reduction::none, 2.5}},
          {.inputs = {x, x}, .attrs = {.delta = 0}, .error = "delta must be above 0, got 0"},
          {.inputs = {{.shape = {4, 1}}, {.shape = {4}}},
           .error = "target must have the shape of input"}};
}

/// 2 (x - t)
Grads mse_vjp(const Saved& s, const LossAttrs& attrs) {
  const Tensor slope = (s.in(0) - s.in(1)) * (loss_scale(s, attrs.reduction) * 2);
  Grads grads(2);
  if (s.needs(0)) grads[0] = slope;
  if (s.needs(1)) grads[1] = -slope;
  return grads;
}

Results expand_mse(const Inputs& in, const LossAttrs& attrs) {
  return one_result(reduce_loss(square(in[0] - in[1]), attrs.reduction));
}

std::vector<Sample<LossAttrs>> probability_samples() {
  const SampleInput p{.shape = {4, 3}, .low = 0.05, .high = 0.95};
  return {{.inputs = {p, p}},
          {.inputs = {p, p}, .attrs = {Reduction::sum}},
          {.inputs = {p, p}, .attrs = {Reduction::none}},
          {.inputs = {{.shape = {4, 1}}, {.shape = {4}}},
           .error = "target must have the shape of input"}};
}

const Op<LossAttrs> bce_op{
    {.name = "binary_cross_entropy",
     .doc = "-(t log x + (1 - t) log(1 - x)) of probabilities x and targets t.",
     .attributes = {reduction_line},
     .inputs = {"input", "target"},
     .outputs = {"loss"},
     .promotion = Promotion::to_first,
     .infer = infer_elementwise,
     .expand = expand_bce,
     .grad = {bce_vjp, Saves::inputs},
     .samples = probability_samples}};
const Op<LossAttrs> bce_logits_op{{.name = "binary_cross_entropy_with_logits",
                                   .doc = "binary_cross_entropy of sigmoid(x), computed stably.",
                                   .attributes = {reduction_line},
                                   .inputs = {"input", "target"},
                                   .outputs = {"loss"},
                                   .promotion = Promotion::to_first,
                                   .infer = infer_elementwise,
                                   .expand = expand_bce_logits,
                                   .grad = {bce_logits_vjp, Saves::inputs},
                                   .samples = probability_samples}};
const Op<LossAttrs> mse_op{{.name = "mse_loss",
                            .doc = "The squared difference of input and target.",
                            .attributes = {reduction_line},
                            .inputs = {"input", "target"},
                            .outputs = {"loss"},
                            .promotion = Promotion::to_first,
                            .infer = infer_elementwise,
                            .expand = expand_mse,
                            .grad = {mse_vjp, Saves::inputs},
                            .samples = probability_samples}};

const Op<HuberAttrs> huber_op{
    {.name = "huber_loss",
     .doc = "Half the squared difference, beyond `delta` a line of slope `delta`.",
     .attributes = {reduction_line, {"delta", "Where the line begins."}},
     .inputs = {"input", "target"},
     .outputs = {"loss"},
     .promotion = Promotion::to_first,
     .infer = infer_huber,
     .expand = expand_huber,
     .grad = {huber_vjp, Saves::inputs},
     .samples = huber_samples}};

// ---------------------------------------------------------------------------------- batch_norm

struct BatchNormAttrs {
  double eps = 1e-5;
};

Specs infer_batch_norm(const InSpecs& in, const BatchNormAttrs&) {
  require_floats(in);
  if (in[0].shape.rank() < 2) violate(ErrorKind::shape, "takes x [N,C] or [N,C,...]");
  const Shape channels{in[0].shape[1]};
  for (size_t i = 1; i < in.size(); ++i) {
    if (in.present(i) && (in[i].shape != channels || in[i].dtype != in[0].dtype)) {
      violate(ErrorKind::shape, "statistics, weight and bias must be like " +
                                    to_string(Spec{in[0].dtype, in[0].device, channels}));
    }
  }
  return in[0];
}

/// One number for each channel, to be broadcast against `x`.
Tensor along_channels(const Tensor& numbers, const Shape& x) {
  Shape channel = x;
  for (int i = 0; i < channel.rank(); ++i) channel[i] = i == 1 ? x[1] : 1;
  return reshape(numbers, channel);
}

Results expand_batch_norm(const Inputs& in, const BatchNormAttrs& attrs) {
  const Tensor x = widened(in[0]);
  Tensor scale = rsqrt(widened(in[2]) + attrs.eps);
  if (in.present(3)) scale = scale * widened(in[3]);
  Tensor shift = -(widened(in[1]) * scale);
  if (in.present(4)) shift = shift + widened(in[4]);
  const Shape& shape = x.shape();
  const Tensor y = x * along_channels(scale, shape) + along_channels(shift, shape);
  return one_result(narrowed(y, in[0].dtype()));
}

/// With r = 1 / sqrt(var + eps), sums over all axes but the channels': dx = g w r,
/// dmean = -w r sum(g), dvar = -w r^3 / 2 sum(g (x - mean)), dweight = r sum(g (x - mean)).
Grads batch_norm_vjp(const Saved& s, const BatchNormAttrs& attrs) {
  const DType dtype = s.in_spec(0).dtype;
  const Shape& shape = s.in_spec(0).shape;
  Shape others;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i != 1) others.push_back(i);
  }
  const bool has_weight = s.inputs() > 3 && s.in(3).defined();
  const Tensor g = widened(s.grad());
  const Tensor r = rsqrt(widened(s.in(2)) + attrs.eps);
  const Tensor scale = has_weight ? r * widened(s.in(3)) : r;
  Grads grads(s.inputs());
  const auto give = [&](size_t i, const Tensor& grad) { grads[i] = narrowed(grad, dtype); };
  if (s.needs(0)) give(0, g * along_channels(scale, shape));
  const bool needs_bias = s.inputs() > 4 && s.needs(4);
  if (s.needs(1) || needs_bias) {
    const Tensor total = sum(g, others);
    if (s.needs(1)) give(1, -(scale * total));
    if (needs_bias) give(4, total);
  }
  const bool needs_weight = has_weight && s.needs(3);
  if (s.needs(2) || needs_weight) {
    const Tensor centred = widened(s.in(0)) - along_channels(widened(s.in(1)), shape);
    const Tensor total = sum(g * centred, others);
    if (s.needs(2)) give(2, total * (scale * square(r) * -0.5));
    if (needs_weight) give(3, total * r);
  }
  return grads;
}

std::vector<Sample<BatchNormAttrs>> batch_norm_samples() {
  const SampleInput channels{.shape = {3}};
  const SampleInput positive{.shape = {3}, .low = 0.5, .high = 2};
  const SampleInput none{.absent = true};
  return {{.inputs = {{.shape = {4, 3, 2, 5}}, channels, positive, positive, channels}},
          {.inputs = {{.shape = {4, 3}}, channels, positive, none, none}},
          {.inputs = {{.shape = {4, 3}}, channels, positive, none, none}, .attrs = {0.25}},
          {.inputs = {{.shape = {4, 5}}, channels, positive, none, none},
           .error = "statistics, weight and bias must be like f32[5]"}};
}

const Op<BatchNormAttrs> batch_norm_op{
    {.name = "batch_norm",
     .doc = "(x - mean) / sqrt(var + eps) * weight + bias for each channel (axis 1).",
     .attributes = {{"eps", "Added to the variance."}},
     .inputs = {"x", "mean", "var", "weight?", "bias?"},
     .infer = infer_batch_norm,
     .expand = expand_batch_norm,
     .grad = {batch_norm_vjp, Saves::only({0, 1, 2, 3})},
     .onnx = {"BatchNormalization", 15, {{"eps", "epsilon"}}},
     .samples = batch_norm_samples}};

}  // namespace

Tensor cross_entropy(const Tensor& input, const Tensor& target, Reduction reduction) {
  return cross_entropy_op({input, target}, {reduction});
}
Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, Reduction reduction) {
  return bce_op({input, target}, {reduction});
}
Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                        Reduction reduction) {
  return bce_logits_op({input, target}, {reduction});
}
Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  return mse_op({input, target}, {reduction});
}
Tensor huber_loss(const Tensor& input, const Tensor& target, Reduction reduction, double delta) {
  return huber_op({input, target}, {reduction, delta});
}
Tensor batch_norm(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& weight,
                  const Tensor& bias, double eps) {
  return batch_norm_op({x, mean, var, weight, bias}, {eps});
}

}  // namespace taper

#include <taper/backend/cpu/conv.h>

#include <taper/ops/conv/window.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

struct ConvAttrs {
  Pair stride = {1, 1};
  Pair padding = {0, 0};
  Pair dilation = {1, 1};
  int64_t groups = 1;
};

ConvParams params_of(const ConvAttrs& attrs) {
  return {{attrs.stride[0], attrs.stride[1]},
          {attrs.padding[0], attrs.padding[1]},
          {attrs.dilation[0], attrs.dilation[1]},
          attrs.groups};
}

void check_floats(const InSpecs& in) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in.present(i)) continue;
    if (!is_float(in[i].dtype) || in[i].dtype != in[0].dtype) {
      violate(ErrorKind::dtype, "takes floating operands of one dtype; convert with astype");
    }
  }
}

void check_attrs(const ConvAttrs& attrs) {
  for (int i = 0; i < 2; ++i) {
    check_window_attr("stride", attrs.stride[i], 1);
    check_window_attr("dilation", attrs.dilation[i], 1);
    check_window_attr("padding", attrs.padding[i], 0);
  }
  check_window_attr("groups", attrs.groups, 1);
}

/// The shape of the output of x * weight; the one rule of the three convolution rows.
Shape conv_shape(const Shape& x, const Shape& weight, const ConvAttrs& attrs) {
  check_attrs(attrs);
  if (x.rank() != 4 || weight.rank() != 4) {
    violate(ErrorKind::shape, "takes x [N,C,H,W] and weight [O,C/groups,KH,KW]");
  }
  if (x[1] != weight[1] * attrs.groups) {
    violate(ErrorKind::shape, "weight expects " + std::to_string(weight[1] * attrs.groups) +
                                  " input channels, x has " + std::to_string(x[1]));
  }
  if (weight[0] % attrs.groups != 0) {
    violate(ErrorKind::shape, std::to_string(weight[0]) + " output channels do not divide into " +
                                  std::to_string(attrs.groups) + " groups");
  }
  Shape out{x[0], weight[0], 0, 0};
  for (int i = 0; i < 2; ++i) {
    const int64_t reach = window_reach(weight[2 + i], attrs.dilation[i]);
    out[2 + i] = window_places("the kernel", reach, x[2 + i], attrs.padding[i], attrs.stride[i]);
  }
  return out;
}

// ---------------------------------------------------------------------------------- conv2d

Specs infer_conv(const InSpecs& in, const ConvAttrs& attrs) {
  Spec out = in[0];
  out.shape = conv_shape(in[0].shape, in[1].shape, attrs);
  if (in.present(2) && in[2].shape != Shape{out.shape[1]}) {
    violate(ErrorKind::shape, "bias must have shape " + to_string(Shape{out.shape[1]}));
  }
  check_floats(in);
  return out;
}

void conv_cpu(const Kernel& k, const ConvAttrs& attrs) {
  conv2d(k.in(0), k.in(1), k.inputs.size() > 2 ? k.in(2) : View{}, k.out(), params_of(attrs));
}

/// Calls `visit(x index, weight index, out index)` for every product of a convolution.
template <class Visit>
void for_each_product(const Shape& x, const Shape& w, const Shape& out, const ConvAttrs& attrs,
                      Visit&& visit) {
  const int64_t outs = w[0] / attrs.groups;
  for (int64_t i = 0; i < out.numel(); ++i) {
    const int64_t ox = i % out[3];
    const int64_t oy = i / out[3] % out[2];
    const int64_t o = i / (out[3] * out[2]) % out[1];
    const int64_t n = i / (out[3] * out[2] * out[1]);
    for (int64_t j = 0; j < w[1] * w[2] * w[3]; ++j) {
      const int64_t kx = j % w[3];
      const int64_t ky = j / w[3] % w[2];
      const int64_t c = j / (w[3] * w[2]);
      const int64_t y = oy * attrs.stride[0] - attrs.padding[0] + ky * attrs.dilation[0];
      const int64_t column = ox * attrs.stride[1] - attrs.padding[1] + kx * attrs.dilation[1];
      if (y < 0 || y >= x[2] || column < 0 || column >= x[3]) continue;
      const int64_t channel = o / outs * w[1] + c;
      visit(static_cast<size_t>(((n * x[1] + channel) * x[2] + y) * x[3] + column),
            static_cast<size_t>(o * w[1] * w[2] * w[3] + j), static_cast<size_t>(i));
    }
  }
}

Results one_result(const Shape& shape, const std::vector<double>& values) {
  Results results;
  results[0] = from_values(shape, values);
  return results;
}

Results conv_reference(const Inputs& in, const ConvAttrs& attrs) {
  const Shape shape = conv_shape(in[0].shape(), in[1].shape(), attrs);
  const auto x = in[0].to_vector<double>();
  const auto w = in[1].to_vector<double>();
  std::vector<double> out(static_cast<size_t>(shape.numel()), 0.0);
  if (in.size() > 2 && in[2].defined()) {
    const auto bias = in[2].to_vector<double>();
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = bias[i / static_cast<size_t>(shape[2] * shape[3]) % bias.size()];
    }
  }
  for_each_product(in[0].shape(), in[1].shape(), shape, attrs,
                   [&](size_t i, size_t j, size_t o) { out[o] += x[i] * w[j]; });
  return one_result(shape, out);
}

Tensor input_grad(const Tensor& grad, const Tensor& weight, const ConvAttrs& attrs,
                  const Shape& shape);
Results weight_grad(const Tensor& x, const Tensor& grad, const ConvAttrs& attrs,
                    const Shape& shape);

Tensor conv(const Tensor& x, const Tensor& weight, const ConvAttrs& attrs) {
  return conv2d(x, weight, {}, attrs.stride, attrs.padding, attrs.dilation, attrs.groups);
}

Grads conv_vjp(const Saved& s, const ConvAttrs& attrs) {
  Grads grads(s.inputs());
  if (s.needs(0)) grads[0] = input_grad(s.grad(), s.in(1), attrs, s.in_spec(0).shape);
  const bool bias = s.inputs() > 2 && s.needs(2);
  if (s.needs(1)) {
    Results both = weight_grad(s.in(0), s.grad(), attrs, s.in_spec(1).shape);
    grads[1] = both[0];
    if (bias) grads[2] = both[1];
  } else if (bias) {
    grads[2] = sum(s.grad(), {0, 2, 3});
  }
  return grads;
}

std::vector<Sample<ConvAttrs>> conv_samples() {
  const SampleInput none{.absent = true};
  return {{.inputs = {{.shape = {2, 3, 5, 6}}, {.shape = {4, 3, 3, 3}}, {.shape = {4}}}},
          {.inputs = {{.shape = {1, 2, 6, 5}}, {.shape = {3, 2, 3, 2}}, none},
           .attrs = {.stride = {2, 1}, .padding = {1, 2}}},
          {.inputs = {{.shape = {2, 4, 5, 5}}, {.shape = {6, 2, 2, 2}}, {.shape = {6}}},
           .attrs = {.dilation = {2, 1}, .groups = 2}},
          {.inputs = {{.shape = {8, 32, 28, 28}}, {.shape = {128, 64, 3, 3}}, none},
           .error = "conv2d: weight expects 64 input channels, x has 32 (x f32[8,32,28,28], "
                    "weight f32[128,64,3,3])"},
          {.inputs = {{.shape = {1, 1, 2, 2}}, {.shape = {1, 1, 3, 3}}, none},
           .error = "the kernel covers 3 places, the padded x has 2"},
          {.inputs = {{.shape = {1, 1, 4, 4}}, {.shape = {1, 1, 3, 3}}, none},
           .attrs = {.stride = {0, 1}},
           .error = "stride must be in [1, 2147483647], got 0"},
          {.inputs = {{.shape = {1, 1, 3, 3}}, {.shape = {1, 1, 2, 2}}},
           .attrs = {.padding = {int64_t{1} << 62, 0}},
           .error = "padding must be in [0, 2147483647], got 4611686018427387904"}};
}

const Op<ConvAttrs> conv2d_op{
    {.name = "conv2d",
     .doc = "Cross-correlation of images [N,C,H,W] with a weight.",
     .attributes = {{"stride", "The step of the window along height and width."},
                    {"padding", "How many zeros stand on both sides of height and width."},
                    {"dilation", "The distance of neighbours within the kernel."},
                    {"groups", "Into how many parts channels are cut that do not see each other."}},
     .inputs = {"x", "weight", "bias?"},
     .infer = infer_conv,
     .reference = conv_reference,
     .grad = {conv_vjp, Saves::only({0, 1})},
     .layout = Layout::channels_last,
     .any_strides = true,
     .role = Role::weighs,
     .kernels = {.cpu = conv_cpu},
     .onnx = {"Conv",
              11,
              {{"stride", "strides"},
               {"padding", "pads"},
               {"dilation", "dilations"},
               {"groups", "group"}}},
     .samples = conv_samples}};

// ---------------------------------------------------------------------------------- gradients

/// The attributes of the convolution and the shape of what is sought.
struct ConvGradAttrs {
  Pair stride = {1, 1};
  Pair padding = {0, 0};
  Pair dilation = {1, 1};
  int64_t groups = 1;
  Shape shape;
};

ConvAttrs forward_attrs(const ConvGradAttrs& attrs) {
  return {attrs.stride, attrs.padding, attrs.dilation, attrs.groups};
}
ConvGradAttrs grad_attrs(const ConvAttrs& attrs, const Shape& shape) {
  return {attrs.stride, attrs.padding, attrs.dilation, attrs.groups, shape};
}

void check_grad_shape(const Shape& grad, const Shape& x, const Shape& w, const ConvAttrs& attrs) {
  const Shape expected = conv_shape(x, w, attrs);
  if (grad != expected) {
    violate(ErrorKind::shape, "the gradient of the output must have shape " + to_string(expected));
  }
}

Specs infer_input_grad(const InSpecs& in, const ConvGradAttrs& attrs) {
  check_floats(in);
  check_grad_shape(in[0].shape, attrs.shape, in[1].shape, forward_attrs(attrs));
  Spec out = in[0];
  out.shape = attrs.shape;
  return out;
}

void input_grad_cpu(const Kernel& k, const ConvGradAttrs& attrs) {
  conv2d_input_grad(k.in(0), k.in(1), k.out(), params_of(forward_attrs(attrs)));
}

Results input_grad_reference(const Inputs& in, const ConvGradAttrs& attrs) {
  const auto g = in[0].to_vector<double>();
  const auto w = in[1].to_vector<double>();
  std::vector<double> out(static_cast<size_t>(attrs.shape.numel()), 0.0);
  for_each_product(attrs.shape, in[1].shape(), in[0].shape(), forward_attrs(attrs),
                   [&](size_t i, size_t j, size_t o) { out[i] += g[o] * w[j]; });
  return one_result(attrs.shape, out);
}

Grads input_grad_vjp(const Saved& s, const ConvGradAttrs& attrs) {
  Grads grads(2);
  const ConvAttrs forward = forward_attrs(attrs);
  if (s.needs(0)) grads[0] = conv(s.grad(), s.in(1), forward);
  if (s.needs(1)) grads[1] = weight_grad(s.grad(), s.in(0), forward, s.in_spec(1).shape)[0];
  return grads;
}

std::vector<Sample<ConvGradAttrs>> input_grad_samples() {
  return {{.inputs = {{.shape = {2, 4, 3, 4}}, {.shape = {4, 3, 3, 3}}},
           .attrs = {.shape = {2, 3, 5, 6}}},
          {.inputs = {{.shape = {1, 3, 3, 8}}, {.shape = {3, 2, 3, 2}}},
           .attrs = {.stride = {2, 1}, .padding = {1, 2}, .shape = {1, 2, 6, 5}}},
          {.inputs = {{.shape = {2, 6, 3, 4}}, {.shape = {6, 2, 2, 2}}},
           .attrs = {.dilation = {2, 1}, .groups = 2, .shape = {2, 4, 5, 5}}},
          {.inputs = {{.shape = {1, 3, 3, 3}}, {.shape = {3, 2, 3, 2}}},
           .attrs = {.shape = {1, 2, 6, 5}},
           .error = "the gradient of the output must have shape [1,3,4,4]"}};
}

const Op<ConvGradAttrs> input_grad_op{{.name = "conv2d_input_grad",
                                       .doc = "The gradient of conv2d with respect to x.",
                                       .internal = true,
                                       .inputs = {"grad", "weight"},
                                       .infer = infer_input_grad,
                                       .reference = input_grad_reference,
                                       .grad = {input_grad_vjp, Saves::inputs},
                                       .layout = Layout::channels_last,
                                       .any_strides = true,
                                       .kernels = {.cpu = input_grad_cpu},
                                       .no_golden = golden_in_its_row,
                                       .samples = input_grad_samples}};

Specs infer_weight_grad(const InSpecs& in, const ConvGradAttrs& attrs) {
  check_floats(in);
  check_grad_shape(in[1].shape, in[0].shape, attrs.shape, forward_attrs(attrs));
  Spec weight = in[0];
  weight.shape = attrs.shape;
  Spec bias = in[0];
  bias.shape = {attrs.shape[0]};
  return {weight, bias};
}

void weight_grad_cpu(const Kernel& k, const ConvGradAttrs& attrs) {
  conv2d_weight_grad(k.in(0), k.in(1), k.out(0), k.out(1), params_of(forward_attrs(attrs)));
}

Results weight_grad_reference(const Inputs& in, const ConvGradAttrs& attrs) {
  const auto x = in[0].to_vector<double>();
  const auto g = in[1].to_vector<double>();
  const Shape& out = in[1].shape();
  std::vector<double> weight(static_cast<size_t>(attrs.shape.numel()), 0.0);
  for_each_product(in[0].shape(), attrs.shape, out, forward_attrs(attrs),
                   [&](size_t i, size_t j, size_t o) { weight[j] += g[o] * x[i]; });
  std::vector<double> bias(static_cast<size_t>(attrs.shape[0]), 0.0);
  for (size_t i = 0; i < g.size(); ++i) {
    bias[i / static_cast<size_t>(out[2] * out[3]) % bias.size()] += g[i];
  }
  Results results = one_result(attrs.shape, weight);
  results[1] = from_values({attrs.shape[0]}, bias);
  return results;
}

Grads weight_grad_vjp(const Saved& s, const ConvGradAttrs& attrs) {
  Grads grads(2);
  const ConvAttrs forward = forward_attrs(attrs);
  const Tensor& to_weight = s.grad(0);
  const Tensor& to_bias = s.grad(1);
  if (s.needs(0) && to_weight.defined()) {
    grads[0] = input_grad(s.in(1), to_weight, forward, s.in_spec(0).shape);
  }
  if (s.needs(1)) {
    if (to_weight.defined()) grads[1] = conv(s.in(0), to_weight, forward);
    if (to_bias.defined()) {
      const Tensor spread = broadcast_to(reshape(to_bias, {1, -1, 1, 1}), s.in_spec(1).shape);
      grads[1] = grads[1].defined() ? grads[1] + spread : spread;
    }
  }
  return grads;
}

std::vector<Sample<ConvGradAttrs>> weight_grad_samples() {
  return {{.inputs = {{.shape = {2, 3, 5, 6}}, {.shape = {2, 4, 3, 4}}},
           .attrs = {.shape = {4, 3, 3, 3}}},
          {.inputs = {{.shape = {2, 4, 5, 5}}, {.shape = {2, 6, 3, 4}}},
           .attrs = {.dilation = {2, 1}, .groups = 2, .shape = {6, 2, 2, 2}}},
          {.inputs = {{.shape = {1, 2, 6, 5}}, {.shape = {1, 3, 3, 8}}},
           .attrs = {.stride = {2, 1}, .padding = {1, 2}, .shape = {3, 2, 3, 2}}}};
}

const Op<ConvGradAttrs> weight_grad_op{
    {.name = "conv2d_weight_grad",
     .doc = "The gradients of conv2d with respect to its weight and its bias.",
     .internal = true,
     .inputs = {"x", "grad"},
     .outputs = {"grad_weight", "grad_bias"},
     .infer = infer_weight_grad,
     .reference = weight_grad_reference,
     .grad = {weight_grad_vjp, Saves::inputs},
     .any_strides = true,
     .kernels = {.cpu = weight_grad_cpu},
     .no_golden = golden_in_its_row,
     .samples = weight_grad_samples}};

Tensor input_grad(const Tensor& grad, const Tensor& weight, const ConvAttrs& attrs,
                  const Shape& shape) {
  return input_grad_op({grad, weight}, grad_attrs(attrs, shape));
}
Results weight_grad(const Tensor& x, const Tensor& grad, const ConvAttrs& attrs,
                    const Shape& shape) {
  const Arg args[] = {x, grad};
  return weight_grad_op.all(args, grad_attrs(attrs, shape));
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Pair stride, Pair padding,
              Pair dilation, int64_t groups) {
  return conv2d_op({x, weight, bias}, {stride, padding, dilation, groups});
}

}  // namespace taper

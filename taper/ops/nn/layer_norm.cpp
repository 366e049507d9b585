#include <taper/backend/cpu/layer_norm.h>

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>
#include <taper/ops/widened.h>

namespace taper {
namespace {

struct LayerNormAttrs {
  Required<Shape> normalized_shape;
  double eps = 1e-5;
};

/// With `affine` the gradients by weight and bias are wanted, too.
struct LayerNormGradAttrs {
  Required<Shape> normalized_shape;
  double eps = 1e-5;
  bool affine = false;
};

/// The one rule of both rows: floating operands of one dtype, x whose last axes have `sizes`, and
/// behind it operands of these sizes.
void check_operands(const InSpecs& in, size_t x, const Shape& sizes) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (in.present(i) && (!is_float(in[i].dtype) || in[i].dtype != in[0].dtype)) {
      violate(ErrorKind::dtype, "takes floating operands of one dtype; convert with astype");
    }
  }
  if (sizes.rank() == 0) violate(ErrorKind::value, "`normalized_shape` needs a size, got []");
  const Shape& shape = in[x].shape;
  const int first = shape.rank() - sizes.rank();
  bool fits = first >= 0;
  for (int i = 0; fits && i < sizes.rank(); ++i) fits = shape[first + i] == sizes[i];
  if (!fits) violate(ErrorKind::shape, "the last axes must be " + to_string(sizes));
  for (size_t i = x + 1; i < in.size(); ++i) {
    if (in.present(i) && in[i].shape != sizes) {
      violate(ErrorKind::shape, "weight and bias must have shape " + to_string(sizes));
    }
  }
}

/// The axes of x before those that are normalised, or these.
Shape first_axes(const Tensor& x, const Shape& sizes) {
  Shape axes;
  for (int i = 0; i < x.rank() - sizes.rank(); ++i) axes.push_back(i);
  return axes;
}
Shape last_axes(const Tensor& x, const Shape& sizes) {
  Shape axes;
  for (int i = x.rank() - sizes.rank(); i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

/// x less its mean, and 1 / sqrt(variance + eps).
struct Normalised {
  Normalised(const Tensor& x, const Shape& axes, double eps)
      : scale(x - mean(x, axes, true)), centred(scale) {
    scale = rsqrt(mean(square(centred), axes, true) + eps);
  }
  Tensor scale;
  Tensor centred;
};

View optional(const Kernel& k, size_t i) { return k.inputs.size() > i ? k.in(i) : View{}; }

// ---------------------------------------------------------------------------------- gradient

Specs infer_grad(const InSpecs& in, const LayerNormGradAttrs& attrs) {
  const Shape& sizes = attrs.normalized_shape.value();
  check_operands(in, 1, sizes);
  if (in[0].shape != in[1].shape) {
    violate(ErrorKind::shape, "the gradient of the output must have the shape of x");
  }
  if (!attrs.affine) return in[1];
  Spec parameter = in[1];
  parameter.shape = sizes;
  return {in[1], parameter, parameter};
}

void grad_cpu(const Kernel& k, const LayerNormGradAttrs& attrs) {
  const bool affine = attrs.affine;
  layer_norm_grad(k.in(0), k.in(1), optional(k, 2), k.out(0), affine ? k.out(1) : View{},
                  affine ? k.out(2) : View{}, attrs.normalized_shape->numel(), attrs.eps);
}

/// With z the normalised x, r its scale and h = g w: dx = r (h - mean(h) - z mean(h z)),
/// dweight = sum(g z), dbias = sum(g).
Results expand_grad(const Inputs& in, const LayerNormGradAttrs& attrs) {
  const DType dtype = in[1].dtype();
  const Shape& sizes = attrs.normalized_shape.value();
  const Tensor g = widened(in[0]);
  const Tensor x = widened(in[1]);
  const Shape axes = last_axes(x, sizes);
  const Normalised of(x, axes, attrs.eps);
  const Tensor z = of.centred * of.scale;
  const Tensor h = in.present(2) ? g * widened(in[2]) : g;
  const Tensor grad_x = of.scale * (h - mean(h, axes, true) - z * mean(h * z, axes, true));
  Results results;
  results[0] = narrowed(grad_x, dtype);
  if (attrs.affine) {
    const Shape others = first_axes(x, sizes);
    results[1] = narrowed(sum(g * z, others), dtype);
    results[2] = narrowed(sum(g, others), dtype);
  }
  return results;
}

std::vector<Sample<LayerNormGradAttrs>> grad_samples() {
  const SampleInput none{.absent = true};
  return {{.inputs = {{.shape = {3, 7}}, {.shape = {3, 7}}, {.shape = {7}}},
           .attrs = {.normalized_shape = Shape{7}, .affine = true}},
          {.inputs = {{.shape = {2, 3, 5}}, {.shape = {2, 3, 5}}, none},
           .attrs = {.normalized_shape = Shape{3, 5}, .eps = 0.25}},
          {.inputs = {{.shape = {6}}, {.shape = {6}}, {.shape = {6}}},
           .attrs = {.normalized_shape = Shape{6}, .affine = true}},
          {.inputs = {{.shape = {2, 3}}, {.shape = {4, 3}}, none},
           .attrs = {.normalized_shape = Shape{3}},
           .error = "the gradient of the output must have the shape of x"}};
}

const Op<LayerNormGradAttrs> layer_norm_grad_op{
    {.name = "layer_norm_grad",
     .doc = "The gradients of layer_norm with respect to x and, if wanted, weight and bias.",
     .internal = true,
     .inputs = {"grad", "x", "weight?"},
     .outputs = {"grad_x", "grad_affine*"},
     .infer = infer_grad,
     .expand = expand_grad,
     .grad = through_expansion{},
     .reuse = {{0, 0}},
     .kernels = {.cpu = grad_cpu},
     .no_golden = golden_in_its_row,
     .samples = grad_samples}};

// ---------------------------------------------------------------------------------- layer_norm

Specs infer_layer_norm(const InSpecs& in, const LayerNormAttrs& attrs) {
  check_operands(in, 0, attrs.normalized_shape.value());
  return in[0];
}

void layer_norm_cpu(const Kernel& k, const LayerNormAttrs& attrs) {
  layer_norm(k.in(0), optional(k, 1), optional(k, 2), k.out(), attrs.normalized_shape->numel(),
             attrs.eps);
}

Results expand_layer_norm(const Inputs& in, const LayerNormAttrs& attrs) {
  const Tensor x = widened(in[0]);
  const Normalised of(x, last_axes(x, attrs.normalized_shape.value()), attrs.eps);
  Tensor y = of.centred * of.scale;
  if (in.present(1)) y = y * widened(in[1]);
  if (in.present(2)) y = y + widened(in[2]);
  Results results;
  results[0] = narrowed(y, in[0].dtype());
  return results;
}

Grads layer_norm_vjp(const Saved& s, const LayerNormAttrs& attrs) {
  const bool needs_weight = s.inputs() > 1 && s.needs(1);
  const bool needs_bias = s.inputs() > 2 && s.needs(2);
  const Tensor weight = s.inputs() > 1 ? s.in(1) : Tensor();
  const Arg args[] = {s.grad(), s.in(0), weight};
  Results found = layer_norm_grad_op.all(
      args, {attrs.normalized_shape.value(), attrs.eps, needs_weight || needs_bias});
  Grads grads(s.inputs());
  if (s.needs(0)) grads[0] = std::move(found[0]);
  if (needs_weight) grads[1] = std::move(found[1]);
  if (needs_bias) grads[2] = std::move(found[2]);
  return grads;
}

std::vector<Sample<LayerNormAttrs>> samples() {
  const SampleInput none{.absent = true};
  return {{.inputs = {{.shape = {3, 7}}, {.shape = {7}}, {.shape = {7}}},
           .attrs = {.normalized_shape = Shape{7}}},
          {.inputs = {{.shape = {2, 3, 5}}, {.shape = {3, 5}}, none},
           .attrs = {.normalized_shape = Shape{3, 5}, .eps = 0.25}},
          {.inputs = {{.shape = {4, 5}}, none, {.shape = {5}}},
           .attrs = {.normalized_shape = Shape{5}}},
          {.inputs = {{.shape = {6}}}, .attrs = {.normalized_shape = Shape{6}}},
          {.inputs = {{.shape = {2, 4}}},
           .attrs = {.normalized_shape = Shape{3}},
           .error = "the last axes must be [3] (x f32[2,4])"},
          {.inputs = {{.shape = {4}}},
           .attrs = {.normalized_shape = Shape{2, 4}},
           .error = "the last axes must be [2,4]"},
          {.inputs = {{.shape = {2, 4}}, {.shape = {4}}, {.shape = {1}}},
           .attrs = {.normalized_shape = Shape{4}},
           .error = "weight and bias must have shape [4]"},
          {.inputs = {{.shape = {2, 4}}},
           .attrs = {.normalized_shape = Shape{}},
           .error = "`normalized_shape` needs a size, got []"},
          {.inputs = {{.shape = {2, 4}, .dtype = DType::i32}},
           .attrs = {.normalized_shape = Shape{4}},
           .error = "takes floating operands of one dtype; convert with astype"}};
}

const Op<LayerNormAttrs> layer_norm_op{
    {.name = "layer_norm",
     .doc = "(x - mean) / sqrt(var + eps) * weight + bias with statistics over the last axes.",
     .attributes = {{"normalized_shape", "The sizes of the last axes, and of weight and bias."},
                    {"eps", "Added to the variance."}},
     .inputs = {"x", "weight?", "bias?"},
     .infer = infer_layer_norm,
     .expand = expand_layer_norm,
     .grad = {layer_norm_vjp, Saves::only({0, 1})},
     .reuse = {{0, 0}},
     .kernels = {.cpu = layer_norm_cpu},
     .onnx = {"LayerNormalization", 17, {{"normalized_shape", ""}, {"eps", "epsilon"}}},
     .samples = samples}};

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight,
                  const Tensor& bias, double eps) {
  return layer_norm_op({x, weight, bias}, {normalized_shape, eps});
}

}  // namespace taper

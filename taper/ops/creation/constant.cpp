#include <taper/backend/cpu/fill.h>
#include <taper/ops/creation/create.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>

// Tensors of one number, which a captured function makes anew at each run.

namespace taper {
namespace {

// ---------------------------------------------------------------------------------- full

struct FullAttrs {
  Required<Shape> shape;
  Required<Number> value;
  DType dtype = DType::f32;
  Device device = {};
};

constexpr AttributeDoc shape_line{"shape", "The shape of the result."};
constexpr AttributeDoc value_line{"value", "The number, converted by the rule of numbers."};
constexpr AttributeDoc dtype_line{"dtype", "The dtype of the result."};
constexpr AttributeDoc like_line{"dtype", "The dtype of the result; that of x if it is none."};

Specs infer_full(const InSpecs&, const FullAttrs& attrs) {
  if (!fits(attrs.value, attrs.dtype)) {
    violate(ErrorKind::value, misfit(attrs.value, attrs.dtype));
  }
  return created(attrs.dtype, attrs.device, attrs.shape);
}

void full_cpu(const Kernel& kernel, const FullAttrs& attrs) {
  fill(kernel.out(), convert(attrs.value, attrs.dtype, "full"));
}

Results full_reference(const Inputs&, const FullAttrs& attrs) {
  const auto count = static_cast<size_t>(attrs.shape->numel());
  return visit_widest(attrs.dtype, [&]<class T>() {
    const T value = is_bool(attrs.dtype) ? static_cast<T>(convert<bool>(attrs.value, "full"))
                                         : convert<T>(attrs.value, "full");
    return Results{{from_values(attrs.shape, std::vector<T>(count, value))}};
  });
}

std::vector<Sample<FullAttrs>> full_samples() {
  return {
      {.inputs = {}, .attrs = {Shape{3, 5}, -1.5}},
      {.inputs = {}, .attrs = {Shape{}, 7, DType::i64}},
      {.inputs = {}, .attrs = {Shape{2, 0}, true, DType::boolean}},
      {.inputs = {}, .attrs = {Shape{2, 3}, Complex<double>(1, -2), DType::c64}},
      {.inputs = {},
       .attrs = {Shape{2}, Complex<double>(1, -2)},
       .error = "1.0-2.0j is complex and no value of f32"},
      {.inputs = {}, .attrs = {Shape{2}, 300, DType::u8}, .error = "300 is out of the range of u8"},
      {.inputs = {}, .attrs = {Shape{-2}, 0}, .error = "no negative sizes"},
      {.inputs = {},
       .attrs = {Shape{2}, 0, DType::f32, {DeviceKind::cuda, 1}},
       .error = "cuda:1 is not in this build"}};
}

const Op<FullAttrs> full_op{{.name = "full",
                             .doc = "A tensor of one number.",
                             .attributes = {shape_line, value_line, dtype_line, device_line},
                             .infer = infer_full,
                             .reference = full_reference,
                             .grad = not_differentiable{"it has no operands"},
                             .kernels = {.cpu = full_cpu},
                             .onnx = {"ConstantOfShape", 9, {{"shape", "input"}, {"dtype", ""}}},
                             .samples = full_samples}};

// ---------------------------------------------------------------------------------- zeros, ones

struct ConstantAttrs {
  Required<Shape> shape;
  DType dtype = DType::f32;
  Device device = {};
};

template <int value>
Specs infer_constant(const InSpecs& in, const ConstantAttrs& attrs) {
  return infer_full(in, {attrs.shape, value, attrs.dtype, attrs.device});
}
template <int value>
Results expand_constant(const Inputs&, const ConstantAttrs& attrs) {
  return {{full_op({}, {attrs.shape, value, attrs.dtype, attrs.device})}};
}

std::vector<Sample<ConstantAttrs>> constant_samples() {
  return {{.inputs = {}, .attrs = {Shape{3, 5}}}, {.inputs = {}, .attrs = {Shape{2}, DType::i16}}};
}

template <int value>
Row<ConstantAttrs> constant_row(std::string_view name, std::string_view doc) {
  return {.name = name,
          .doc = doc,
          .inlined = true,
          .attributes = {shape_line, dtype_line, device_line},
          .infer = infer_constant<value>,
          .expand = expand_constant<value>,
          .grad = not_differentiable{"it has no operands"},
          .samples = constant_samples};
}

const Op<ConstantAttrs> zeros_op = constant_row<0>("zeros", "A tensor of zeros.");
const Op<ConstantAttrs> ones_op = constant_row<1>("ones", "A tensor of ones.");

// ---------------------------------------------------------------------------------- ..._like

struct FullLikeAttrs {
  Required<Number> value;
  std::optional<DType> dtype = {};
};
struct LikeAttrs {
  std::optional<DType> dtype = {};
};

Specs infer_full_like(const InSpecs& in, const FullLikeAttrs& attrs) {
  const DType dtype = attrs.dtype.value_or(in[0].dtype);
  return infer_full(in, {in[0].shape, attrs.value, dtype, in[0].device});
}
Results expand_full_like(const Inputs& in, const FullLikeAttrs& attrs) {
  const Spec like = infer_full_like(in.specs(), attrs)[0];
  return {{full_op({}, {like.shape, attrs.value, like.dtype, like.device})}};
}
template <int value>
Specs infer_like(const InSpecs& in, const LikeAttrs& attrs) {
  return infer_full_like(in, {value, attrs.dtype});
}
template <int value>
Results expand_like(const Inputs& in, const LikeAttrs& attrs) {
  return expand_full_like(in, {value, attrs.dtype});
}

std::vector<Sample<FullLikeAttrs>> full_like_samples() {
  const SampleInput bytes{.shape = {3}, .low = 0, .high = 9, .dtype = DType::u8};
  return {{.inputs = {{.shape = {2, 3}}}, .attrs = {2.5}},
          {.inputs = {bytes}, .attrs = {7}},
          {.inputs = {bytes}, .attrs = {-7, DType::i8}},
          {.inputs = {bytes}, .attrs = {-7}, .error = "-7 is out of the range of u8"}};
}
std::vector<Sample<LikeAttrs>> like_samples() {
  const SampleInput flags{.shape = {3}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {{.inputs = {{.shape = {2, 3}}}},
          {.inputs = {flags}},
          {.inputs = {flags}, .attrs = {DType::f64}}};
}

const Op<FullLikeAttrs> full_like_op{
    {.name = "full_like",
     .doc = "A tensor of one number in the shape and, unless told otherwise, dtype of x.",
     .inlined = true,
     .attributes = {value_line, like_line},
     .inputs = {"x"},
     .takes = kinds::every,
     .infer = infer_full_like,
     .expand = expand_full_like,
     .grad = not_differentiable{"it does not depend on the values of x"},
     .samples = full_like_samples}};

template <int value>
Row<LikeAttrs> like_row(std::string_view name, std::string_view doc) {
  return {.name = name,
          .doc = doc,
          .inlined = true,
          .attributes = {like_line},
          .inputs = {"x"},
          .takes = kinds::every,
          .infer = infer_like<value>,
          .expand = expand_like<value>,
          .grad = not_differentiable{"it does not depend on the values of x"},
          .samples = like_samples};
}

const Op<LikeAttrs> zeros_like_op = like_row<0>("zeros_like", "Zeros in the shape of x.");
const Op<LikeAttrs> ones_like_op = like_row<1>("ones_like", "Ones in the shape of x.");

}  // namespace

Tensor full(const Shape& shape, const Number& value, DType dtype, Device device) {
  return full_op({}, {shape, value, dtype, device});
}
Tensor zeros(const Shape& shape, DType dtype, Device device) {
  return zeros_op({}, {shape, dtype, device});
}
Tensor ones(const Shape& shape, DType dtype, Device device) {
  return ones_op({}, {shape, dtype, device});
}
Tensor full_like(const Tensor& x, const Number& value, std::optional<DType> dtype) {
  return full_like_op({x}, {value, dtype});
}
Tensor zeros_like(const Tensor& x, std::optional<DType> dtype) {
  return zeros_like_op({x}, {dtype});
}
Tensor ones_like(const Tensor& x, std::optional<DType> dtype) { return ones_like_op({x}, {dtype}); }

}  // namespace taper

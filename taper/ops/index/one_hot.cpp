#include <taper/backend/cpu/gather.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

struct OneHotAttrs {
  Required<int64_t> num_classes;
  DType dtype = DType::f32;
};

Specs infer_one_hot(const InSpecs& in, const OneHotAttrs& attrs) {
  if (!is_integer(in[0].dtype)) {
    violate(ErrorKind::dtype, "takes integers, got " + std::string(dtype_name(in[0].dtype)));
  }
  if (attrs.num_classes < 1) {
    violate(ErrorKind::value,
            "num_classes must be at least 1, got " + std::to_string(attrs.num_classes.value()));
  }
  Spec out = in[0];
  out.dtype = attrs.dtype;
  out.shape.push_back(attrs.num_classes);
  return out;
}

void one_hot_cpu(const Kernel& k, const OneHotAttrs& attrs) {
  one_hot(k.context, k.in(0), attrs.num_classes, k.out());
}

Results one_hot_reference(const Inputs& in, const OneHotAttrs& attrs) {
  std::vector<double> y;
  for (const int64_t index : in[0].to_vector<int64_t>()) {
    for (int64_t i = 0; i < attrs.num_classes; ++i) y.push_back(i == index ? 1 : 0);
  }
  Shape shape = in[0].shape();
  shape.push_back(attrs.num_classes);
  Results results;
  results[0] = from_values(shape, y);
  return results;
}

SampleInput index_input(const Shape& shape, double low, double high, DType dtype = DType::i64) {
  return {.shape = shape, .low = low, .high = high, .dtype = dtype};
}

std::vector<Sample<OneHotAttrs>> one_hot_samples() {
  return {{.inputs = {index_input({5}, 0, 4)}, .attrs = {4}},
          {.inputs = {index_input({2, 3}, 0, 7, DType::i32)}, .attrs = {7, DType::f64}},
          {.inputs = {index_input({6}, 0, 3, DType::u8)}, .attrs = {3, DType::boolean}},
          {.inputs = {index_input({}, 0, 3)}, .attrs = {3, DType::f16}},
          {.inputs = {index_input({0}, 0, 3)}, .attrs = {3, DType::i64}},
          {.inputs = {index_input({2}, 10, 11)},
           .attrs = {10},
           .error = "index 10 at position 0 is not in [0, 10)"},
          {.inputs = {index_input({2}, -1, 0)},
           .attrs = {10},
           .error = "index -1 at position 0 is not in [0, 10)"},
          {.inputs = {index_input({2}, 0, 1)},
           .attrs = {0},
           .error = "num_classes must be at least 1, got 0"},
          {.inputs = {{.shape = {2}}}, .attrs = {3}, .error = "takes integers"}};
}

const Op<OneHotAttrs> one_hot_op{
    {.name = "one_hot",
     .doc = "1 at the index, 0 elsewhere, along a new last axis of size num_classes.",
     .attributes = {{"num_classes", "The size of the new last axis."},
                    {"dtype", "The dtype of the result."}},
     .inputs = {"indices"},
     .infer = infer_one_hot,
     .reference = one_hot_reference,
     .grad = not_differentiable{"it takes integers"},
     .refuses_values = true,
     .kernels = {.cpu = one_hot_cpu},
     .onnx = {"OneHot", 11, {{"num_classes", "depth"}, {"dtype", "values"}}},
     .samples = one_hot_samples}};

}  // namespace

Tensor one_hot(const Tensor& indices, int64_t num_classes, DType dtype) {
  return one_hot_op({indices}, {num_classes, dtype});
}

}  // namespace taper

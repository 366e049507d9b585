#include <taper/nn/hints.h>

namespace taper::nn {
namespace {

/// A shape as C++ would take it.
std::string braced(const Shape& shape) {
  std::string text;
  for (int i = 0; i < shape.rank(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return "{" + text + "}";
}

}  // namespace

std::string hint_for_dtype(const char* name, const Tensor& x, DType wanted) {
  if (x.dtype() == wanted) return {};
  const auto text = [](DType dtype) { return std::string(dtype_name(dtype)); };
  return std::string(name) + " is " + text(x.dtype()) + ": astype(" + name +
         ", DType::" + text(wanted) + ")";
}

std::string hint_for_images(const Tensor& x, int64_t channels) {
  if (x.rank() == 3 && channels == 1) return "expand_dims(x, 1) would fit";
  if (x.rank() == 3 && x.size(0) == channels) return "expand_dims(x, 0) would fit";
  return "x must be images, reshaped to [N,C,H,W]";
}

int64_t elements_of_example(const Tensor& x) {
  int64_t count = 1;
  for (int axis = 1; axis < x.rank(); ++axis) count *= x.size(axis);
  return count;
}

std::string hint_for_elements(const Tensor& input, const Tensor& target) {
  if (!input.defined() || !target.defined()) return {};
  if (!is_float(input.dtype())) return hint_for_dtype("input", input, DType::f32);
  if (input.shape() == target.shape()) return hint_for_dtype("target", target, input.dtype());
  if (input.numel() == target.numel()) {
    return "reshape(target, " + braced(input.shape()) + ") would fit";
  }
  const bool scores = input.rank() == 2 && input.size(1) > 1 && is_integer(target.dtype()) &&
                      target.shape() == Shape{input.size(0)};
  if (scores) return "CrossEntropyLoss takes class indices";
  if (target.rank() == 2 && input.rank() == 2 && target.size(0) == input.size(0)) {
    return "the model needs " + std::to_string(target.size(1)) + " outputs, it has " +
           std::to_string(input.size(1));
  }
  return {};
}

}  // namespace taper::nn

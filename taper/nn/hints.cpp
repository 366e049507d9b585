#include <taper/nn/hints.h>

namespace taper::nn {
namespace {

std::string number(int64_t value) { return std::to_string(value); }

int64_t elements_of_example(const Tensor& x) {
  int64_t count = 1;
  for (int axis = 1; axis < x.rank(); ++axis) count *= x.size(axis);
  return count;
}

/// A shape as C++ would take it.
std::string braced(const Shape& shape) {
  std::string text;
  for (int i = 0; i < shape.rank(); ++i) text += (i == 0 ? "" : ", ") + number(shape[i]);
  return "{" + text + "}";
}

std::string missing_axis_of_images(const Tensor& x, int64_t channels) {
  if (x.rank() == 3 && channels == 1) return "expand_dims(x, 1) would fit";
  if (x.rank() == 3 && x.size(0) == channels) return "expand_dims(x, 0) would fit";
  return "x must be images, reshaped to [N,C,H,W]";
}

}  // namespace

std::string hint_for_dtype(const char* name, const Tensor& x, DType wanted) {
  const auto text = [](DType dtype) { return std::string(dtype_name(dtype)); };
  return std::string(name) + " is " + text(x.dtype()) + ": astype(" + name +
         ", DType::" + text(wanted) + ")";
}

std::string hint_for_linear(const Tensor& x, const Tensor& weight, bool bias) {
  if (!x.defined()) return {};
  const int64_t in = weight.size(1);
  const auto layer = [&](int64_t features) {
    return "Linear(" + number(features) + ", " + number(weight.size(0)) + (bias ? ")" : ", false)");
  };
  if (x.rank() == 0) return "x needs an axis of features";
  if (x.shape().back() == in) {
    return x.dtype() == weight.dtype() ? "" : hint_for_dtype("x", x, weight.dtype());
  }
  if (x.rank() == 1 && in == 1) return "reshape(x, {-1, 1}) would fit";
  if (x.rank() >= 3 && elements_of_example(x) == in) return "Flatten() before it would fit";
  if (x.rank() >= 4) {
    return "Flatten() before it and " + layer(elements_of_example(x)) + " would fit";
  }
  return x.shape().back() >= 1 ? layer(x.shape().back()) + " would fit" : "";
}

std::string hint_for_conv2d(const Tensor& x, const Tensor& weight, int64_t channels) {
  if (!x.defined()) return {};
  if (x.rank() != 4) return missing_axis_of_images(x, channels);
  if (x.size(1) != channels) {
    if (x.size(3) == channels) return "x looks like [N,H,W,C]: permute_dims(x, {0, 3, 1, 2})";
    return "in_channels " + number(x.size(1)) + " would fit";
  }
  if (x.dtype() != weight.dtype()) return hint_for_dtype("x", x, weight.dtype());
  return "the image is smaller than the kernel: pool less before it, or pad it";
}

std::string hint_for_pool2d(const Tensor& x) {
  if (!x.defined()) return {};
  if (!is_float(x.dtype())) return hint_for_dtype("x", x, DType::f32);
  if (x.rank() != 4) return missing_axis_of_images(x, 0);
  return "the image is smaller than the window: pool less before it, or take a smaller window";
}

std::string hint_for_batch_norm(std::string_view type, const Tensor& x, int64_t features) {
  const bool images = type == "BatchNorm2d";
  if (images != (x.rank() == 4)) {
    const bool other = images ? x.rank() == 2 || x.rank() == 3 : x.rank() == 4;
    const std::string fit = images ? "BatchNorm1d(" : "BatchNorm2d(";
    return other ? fit + number(x.size(1)) + ") would fit" : "";
  }
  if (x.rank() < 2 || x.size(1) == features || x.size(1) < 1) return {};
  return std::string(type) + "(" + number(x.size(1)) + ") would fit";
}

std::string hint_for_classes(const Tensor& input, const Tensor& target) {
  if (!input.defined() || !target.defined()) return {};
  if (!is_float(input.dtype())) return hint_for_dtype("input", input, DType::f32);
  if (input.rank() < 2) {
    return input.shape() == target.shape() ? "one number an example: BCEWithLogitsLoss takes it"
                                           : "";
  }
  Shape wanted = input.shape();
  wanted.erase(1);
  if (target.shape() == input.shape() && input.size(1) > 1) {
    return "target looks one-hot: argmax(target, 1) would fit";
  }
  if (target.shape() == wanted) return hint_for_dtype("target", target, DType::i64);
  if (target.rank() == 2 && target.size(1) == 1 && input.rank() == 2) {
    return is_integer(target.dtype()) ? "squeeze(target, 1) would fit"
                                      : "squeeze(astype(target, DType::i64), 1) would fit";
  }
  if (input.rank() > 2 && target.rank() == 1) {
    return "the output has axes behind its classes: Flatten() in the model would fit";
  }
  return {};
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
    return "the model needs " + number(target.size(1)) + " outputs, it has " +
           number(input.size(1));
  }
  return {};
}

}  // namespace taper::nn

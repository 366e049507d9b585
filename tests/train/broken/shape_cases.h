#pragma once

#include "broken.h"

namespace taper::broken {

inline std::vector<Case> shape_cases() {
  using namespace nn;
  const auto shape = ErrorKind::shape;
  const auto dtype = ErrorKind::dtype;
  const auto on = [](const Sequential& model, const Tensor& x) {
    return [=] { return Attempt{.model = model, .train = {x, good_labels()}}; };
  };
  const Tensor table = ones({4, 6});
  const Tensor grey = ones({4, 1, 8, 8});
  const Tensor colour = ones({4, 3, 8, 8});
  return {
      {"in_features", shape, "linear", "model.0", "(x f32[4,6], weight f32[3,5])",
       "weight expects 5 features, x has 6", "; Linear(6, 3) would fit",
       on(Sequential{Linear(5, 3)}, table)},
      {"in_features without bias", shape, "linear", "model.0", "(x f32[4,6], weight f32[3,5])",
       "weight expects 5 features", "; Linear(6, 3, false) would fit",
       on(Sequential{Linear(5, 3, false)}, table)},
      {"second layer", shape, "linear", "model.2", "(x f32[4,8], weight f32[3,9])",
       "weight expects 9 features, x has 8", "; Linear(8, 3) would fit",
       on(Sequential{Linear(6, 8), ReLU(), Linear(9, 3)}, table)},
      {"inner model", shape, "linear", "model.0.1", "(x f32[4,8], weight f32[3,9])",
       "weight expects 9 features, x has 8", "; Linear(8, 3) would fit",
       on(Sequential{Sequential{Linear(6, 8), Linear(9, 3)}, ReLU()}, table)},
      {"in_features after a conv", shape, "linear", "model.2", "(x f32[4,72], weight f32[3,100])",
       "weight expects 100 features, x has 72", "; Linear(72, 3) would fit",
       on(Sequential{Conv2d(1, 2, 3), Flatten(), Linear(100, 3)}, grey)},
      {"flatten missing", shape, "linear", "model.1", "(x f32[4,2,6,6], weight f32[3,72])",
       "weight expects 72 features, x has 6", "; Flatten() before it would fit",
       on(Sequential{Conv2d(1, 2, 3), Linear(72, 3)}, grey)},
      {"flatten missing and features wrong", shape, "linear", "model.1",
       "(x f32[4,2,6,6], weight f32[3,50])", "weight expects 50 features, x has 6",
       "; Flatten() before it and Linear(72, 3) would fit",
       on(Sequential{Conv2d(1, 2, 3), Linear(50, 3)}, grey)},
      {"grey images for colour", shape, "conv2d", "model.0",
       "(x f32[4,1,8,8], weight f32[2,3,3,3])", "weight expects 3 input channels, x has 1",
       "; in_channels 1 would fit", on(Sequential{Conv2d(3, 2, 3)}, grey)},
      {"channels of the second conv", shape, "conv2d", "model.1",
       "(x f32[4,4,6,6], weight f32[8,5,3,3])", "weight expects 5 input channels, x has 4",
       "; in_channels 4 would fit", on(Sequential{Conv2d(3, 4, 3), Conv2d(5, 8, 3)}, colour)},
      {"channels last", shape, "conv2d", "model.0", "(x f32[4,8,8,3], weight f32[2,3,3,3])",
       "weight expects 3 input channels, x has 8", "permute_dims(x, {0, 3, 1, 2})",
       on(Sequential{Conv2d(3, 2, 3)}, ones({4, 8, 8, 3}))},
      {"no axis of channels", shape, "conv2d", "model.0", "(x f32[4,8,8], weight f32[2,1,3,3])",
       "takes x [N,C,H,W]", "; expand_dims(x, 1) would fit",
       on(Sequential{Conv2d(1, 2, 3)}, ones({4, 8, 8}))},
      {"a table for images", shape, "conv2d", "model.0", "(x f32[4,6], weight f32[2,1,3,3])",
       "takes x [N,C,H,W]", "; x must be images, reshaped to [N,C,H,W]",
       on(Sequential{Conv2d(1, 2, 3)}, table)},
      {"convolved to nothing", shape, "conv2d", "model.1", "(x f32[4,2,2,2], weight f32[2,2,3,3])",
       "the kernel covers 3 places, the padded x has 2", "pool less before it, or pad it",
       on(Sequential{Conv2d(1, 2, 7), Conv2d(2, 2, 3)}, grey)},
      {"pooled to nothing", shape, "max_pool2d", "model.1", "(x f32[4,1,2,2]",
       "the window covers 3 places", "pool less before it",
       on(Sequential{MaxPool2d(4), MaxPool2d(3), Linear(1, 3)}, grey)},
      {"averaged to nothing", shape, "avg_pool2d", "model.0", "(x f32[4,1,8,8]",
       "the window covers 9 places", "take a smaller window",
       on(Sequential{AvgPool2d(9), Linear(1, 3)}, grey)},
      {"a table pooled", shape, "max_pool2d", "model.0", "(x f32[4,6]", "takes images [N,C,H,W]",
       "reshaped to [N,C,H,W]", on(Sequential{MaxPool2d(2), Linear(1, 3)}, table)},
      {"num_features", shape, "batch_norm", "model.0", "(x f32[4,6])",
       "BatchNorm1d expects 5 channels", "; BatchNorm1d(6) would fit",
       on(Sequential{BatchNorm1d(5)}, table)},
      {"num_features of images", shape, "batch_norm", "model.0", "(x f32[4,3,8,8])",
       "BatchNorm2d expects 5 channels", "; BatchNorm2d(3) would fit",
       on(Sequential{BatchNorm2d(5)}, colour)},
      {"batch norm of images on a table", shape, "batch_norm", "model.0", "(x f32[4,6])",
       "in axis 1 of 4 axes", "; BatchNorm1d(6) would fit", on(Sequential{BatchNorm2d(6)}, table)},
      {"batch norm of tables on images", shape, "batch_norm", "model.0", "(x f32[4,3,8,8])",
       "in axis 1 of 2 or 3 axes", "; BatchNorm2d(3) would fit",
       on(Sequential{BatchNorm1d(3)}, colour)},
      {"integers", dtype, "linear", "model.0", "(x i64[4,6]", "",
       "; x is i64: astype(x, DType::f32)", on(Sequential{Linear(6, 3)}, ones({4, 6}, DType::i64))},
      {"raw pixels", dtype, "conv2d", "model.0", "(x u8[4,1,8,8]", "",
       "; x is u8: astype(x, DType::f32)",
       on(Sequential{Conv2d(1, 2, 3)}, ones({4, 1, 8, 8}, DType::u8))},
      {"integers pooled", dtype, "max_pool2d", "model.0", "(x i32[4,1,8,8])",
       "takes floating tensors", "; x is i32: astype(x, DType::f32)",
       on(Sequential{MaxPool2d(2), Linear(1, 3)}, ones({4, 1, 8, 8}, DType::i32))},
      {"batch of one", shape, "batch_norm", "model.1", "(x f32[1,6])",
       "training needs more than one value", "batches of more than one example",
       [=] {
         return Attempt{.model = Sequential{Linear(6, 6), BatchNorm1d(6), Linear(6, 3)},
                        .train = {table, good_labels()},
                        .batch_size = 1};
       }},
      {"last batch of one", shape, "batch_norm", "model.1", "(x f32[1,6])",
       "training needs more than one value",
       "; the last batch has 1 of 4 examples: `drop_last` leaves it out",
       [=] {
         return Attempt{.model = Sequential{Linear(6, 6), BatchNorm1d(6), Linear(6, 3)},
                        .train = {table, good_labels()},
                        .batch_size = 3};
       }},
      {"validation of another shape", shape, "linear", "model.0", "(x f32[2,7], weight f32[3,6])",
       "weight expects 6 features, x has 7",
       "; field 0 of the validation dataset is f32[7], that of the training dataset is f32[6]",
       [=] {
         return Attempt{.model = Sequential{Linear(6, 3)},
                        .train = {table, good_labels()},
                        .validation = {ones({2, 7}), labels({0, 1})}};
       }},
  };
}

}  // namespace taper::broken

// Fashion-MNIST as the programs want it.
#pragma once

#include <numeric>

#include <taper/taper.h>

/// The images with a frame of two black pixels: 32x32, as LeNet-5 takes them.
inline taper::data::TensorDataset padded(const taper::data::TensorDataset& images) {
  const auto& pixels = images.fields()[0];
  const taper::Tensor framed = taper::pad(pixels.values, {0, 0, 0, 0, 2, 2, 2, 2});
  return taper::data::TensorDataset({{framed, pixels.options}, images.fields()[1]},
                                    {.class_names = images.class_names()});
}

/// The first `count` examples, or all if it is 0.
inline taper::data::AnyDataset first(const taper::data::AnyDataset& dataset, int64_t count) {
  if (count == 0 || count >= dataset->size()) return dataset;
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return taper::data::Subset(dataset, indices);
}

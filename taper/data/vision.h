// The image datasets that every framework begins with, read from local files.
#pragma once

#include <filesystem>

#include <taper/data/dataset.h>

namespace taper::data {

struct TrainTest {
  TensorDataset train;
  TensorDataset test;
};

/// Fashion-MNIST: 60,000 and 10,000 grey images of clothes, {f32[1,28,28] in [0, 1], i64[] in
/// [0, 10)}, with the names of the 10 classes. The images are kept as u8 and scaled in each batch.
///
/// The files are looked for in `folder`, or without one in `$TAPER_DATA/fashion-mnist` and then in
/// `/usr/share/datasets/fashion-mnist`, where Debian's package dataset-fashion-mnist puts them;
/// gzipped or not, as `train-images-idx3-ubyte` or `train-images.idx3-ubyte`.
///
/// Throws not_found naming the folders and the missing files; io for a damaged file or one that
/// does not hold what it should.
TAPER_API TrainTest fashion_mnist(const std::filesystem::path& folder = {});

/// MNIST: handwritten digits, otherwise as `fashion_mnist`; without `folder` the files are looked
/// for in `$TAPER_DATA/mnist`.
TAPER_API TrainTest mnist(const std::filesystem::path& folder = {});

}  // namespace taper::data

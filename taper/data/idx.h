// The idx format of the MNIST family: http://yann.lecun.com/exdb/mnist/
#pragma once

#include <filesystem>

#include <taper/core/tensor.h>

namespace taper::data {

/// Reads an idx file, gzipped or not: a tensor of the file's shape (at most `Shape::max_rank` axes)
/// and type (u8, i8, i16, i32, f32 or f64).
///
/// Throws io naming the path if the file cannot be read or unpacked, is no idx file, or holds more
/// or less data than its header promises; memory is taken as data arrive, never on the header's
/// word.
TAPER_API Tensor read_idx(const std::filesystem::path& path);

}  // namespace taper::data

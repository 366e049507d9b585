// Private to the datasets.
#pragma once

#include <cstddef>
#include <span>

#include <taper/core/tensor.h>

namespace taper::data {

/// Throws value or shape unless `batch` has room for `rows` examples of these specs: a row-major
/// tensor for each field, whose buffer nobody else holds.
void check_batch(std::span<const Spec> specs, size_t rows, std::span<const Tensor> batch);

}  // namespace taper::data

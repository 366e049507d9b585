#pragma once

#include <taper/core/shape.h>

namespace taper {

/// The offsets of some axes in row-major order; axes of size one are dropped, neighbours merged
/// where memory allows it.
class Walk {
 public:
  /// An axis inside of those before.
  void add(int64_t size, int64_t stride) {
    count_ *= size;
    if (size == 1) return;
    const int last = sizes_.rank() - 1;
    if (last >= 0 && strides_[last] == stride * size) {
      sizes_[last] *= size;
      strides_[last] = stride;
    } else {
      sizes_.push_back(size);
      strides_.push_back(stride);
    }
  }
  int64_t count() const { return count_; }
  int rank() const { return sizes_.rank(); }
  /// From one element to the next; of at most one axis.
  int64_t stride() const { return sizes_.rank() == 0 ? 0 : strides_[0]; }
  int64_t at(int64_t flat) const {
    int64_t offset = 0;
    for (int axis = sizes_.rank() - 1; axis > 0; --axis) {
      offset += flat % sizes_[axis] * strides_[axis];
      flat /= sizes_[axis];
    }
    return offset + flat * stride();
  }

 private:
  int64_t count_ = 1;
  Shape sizes_;
  Strides strides_;
};

}  // namespace taper

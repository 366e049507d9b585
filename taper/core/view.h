#pragma once

#include <taper/core/shape.h>

namespace taper {

/// What a kernel sees of a tensor: borrowed, without counts. `data` is null for an absent operand.
struct View {
  std::byte* data = nullptr;
  const Spec* spec = nullptr;
  const Strides* strides = nullptr;
  bool row_major = true;

  bool present() const { return data != nullptr; }
  const Shape& shape() const { return spec->shape; }
  DType dtype() const { return spec->dtype; }
  int rank() const { return spec->shape.rank(); }
  int64_t numel() const { return spec->shape.numel(); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

}  // namespace taper

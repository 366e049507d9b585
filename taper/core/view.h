#pragma once

#include <span>

#include <taper/core/buffer.h>
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

/// Where a kernel runs.
struct KernelContext {
  Device device;
  void* stream = nullptr;  ///< of the device, in which a kernel for CUDA runs

  /// Scratch memory of the device.
  Buffer workspace(size_t bytes) const { return Buffer(bytes); }
};

/// What a kernel gets: views of its inputs and of its allocated outputs.
struct Kernel {
  std::span<const View> inputs;
  std::span<const View> outputs;
  const KernelContext& context;
  const View& in(size_t i) const { return inputs[i]; }
  const View& out(size_t i = 0) const { return outputs[i]; }
};

}  // namespace taper

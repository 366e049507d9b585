#pragma once

#include <cstddef>

#include <taper/core/allocator.h>
#include <taper/core/shape.h>

namespace taper {

/// Scratch memory from the allocator.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes), data_(allocate(bytes)) {}
  ~Buffer() { give_back(data_, bytes_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  size_t bytes_;
  void* data_;
};

/// Copies elements between two layouts and dtypes, in parallel if large; strides in elements.
/// Floats become integers by truncation, NaN gives 0, out of range the nearest end; integers keep
/// their low bits; bool is x != 0; the 16-bit formats are rounded once.
void copy_convert(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                  DType from_dtype, const Strides& from_strides, const Shape& shape);

}  // namespace taper

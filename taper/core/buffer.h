#pragma once

#include <cstddef>
#include <utility>

#include <taper/core/allocator.h>

namespace taper {

/// Scratch memory from the allocator.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes), data_(allocate(bytes)) {}
  ~Buffer() {
    if (data_ != nullptr) give_back(data_, bytes_);
  }
  Buffer(Buffer&& other) noexcept
      : bytes_(other.bytes_), data_(std::exchange(other.data_, nullptr)) {}
  Buffer& operator=(Buffer&&) = delete;
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  size_t bytes_;
  void* data_;
};

}  // namespace taper

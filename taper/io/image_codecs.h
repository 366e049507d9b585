// Private to images.cpp: the two libraries behind it, whose errors are jumps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <taper/core/tensor.h>

namespace taper {

/// What a decoder is given.
struct ImageBytes {
  std::string_view bytes;
  std::string name;
  int64_t most_pixels;

  [[noreturn]] void fail_io(const std::string& what) const;
  /// Throws io if a picture of this size is refused.
  void check_size(uint64_t width, uint64_t height) const;
};

Tensor decode_png(const ImageBytes& source);
Tensor decode_jpeg(const ImageBytes& source);

/// u8[H,W,C] as u8[C,H,W] of the first `channels` channels.
Tensor planes_of(const Tensor& interleaved, int64_t channels);

}  // namespace taper

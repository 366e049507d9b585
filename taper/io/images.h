// Pictures in PNG and JPEG files as tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <taper/core/tensor.h>

namespace taper {

/// What `read_image` and `decode_image` take if nothing else is said: 2^26 pixels.
inline constexpr int64_t most_image_pixels = int64_t{1} << 26;

/// Decodes a PNG or JPEG file to u8[C,H,W], C 1 for grey pictures and 3 (red, green, blue) for
/// others. What it is is told by its first bytes, not by its name.
///
/// PNG: palettes and small depths are expanded, 16 bits scaled to 8, and what is transparent is
/// composed on white: (c * a + 255 * (255 - a)) / 255, rounded. JPEG: libjpeg's accurate integer
/// DCT, turned as the camera's Exif note says; CMYK gives white times what an ink and black leave.
///
/// Throws io naming the path for a file of another kind, one that is damaged or cut short, and one
/// of more than `most_pixels` pixels, before memory is taken for them.
TAPER_API Tensor read_image(const std::filesystem::path& path,
                            int64_t most_pixels = most_image_pixels);

/// The same for bytes in memory; `name` stands for the path in errors.
TAPER_API Tensor decode_image(std::string_view bytes, const std::string& name = "the picture",
                              int64_t most_pixels = most_image_pixels);

/// A PNG file of u8[H,W], u8[1,H,W] or u8[3,H,W]. The same picture gives the same bytes.
/// Throws dtype or shape for anything else and for pictures without pixels.
TAPER_API std::string encode_png(const Tensor& image);

/// Scales u8[C,H,W] to u8[C,height,width], bilinear, with antialiasing where it shrinks: with
/// s = old size / new size and r = max(s, 1), output i along an axis is the mean of the inputs j
/// weighted by max(0, 1 - |j + 1/2 - (i + 1/2) s| / r). Rounded once, at the end.
/// Throws dtype or shape for other tensors, value for sizes below 1 or of more than 2^26 pixels.
TAPER_API Tensor resize_image(const Tensor& image, int64_t height, int64_t width);

/// Turns u8[3,H,W] into u8[1,H,W] by the luma of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B,
/// rounded. A picture of one channel is returned as it is. Throws dtype or shape for others.
TAPER_API Tensor to_grey(const Tensor& image);

}  // namespace taper

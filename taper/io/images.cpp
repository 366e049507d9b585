#include <taper/io/images.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <taper/core/error.h>
#include <taper/io/files.h>
#include <taper/io/image_codecs.h>

namespace taper {
namespace {

constexpr size_t most_file_bytes = size_t{1} << 30;

/// The name of a kind of file that is known and not read; empty if it is not known.
std::string_view other_kind(std::string_view bytes) {
  struct Kind {
    std::string_view magic;
    std::string_view name;
  };
  constexpr Kind kinds[] = {{"GIF8", "GIF"},      {"BM", "BMP"},  {"RIFF", "WebP or RIFF"},
                            {"II*", "TIFF"},      {"MM", "TIFF"}, {"%PDF", "PDF"},
                            {"\x1f\x8b", "gzip"}, {"<svg", "SVG"}};
  for (const Kind& kind : kinds) {
    if (bytes.starts_with(kind.magic)) return kind.name;
  }
  return {};
}

void check_picture(const char* op, const Tensor& image) {
  if (image.dtype() != DType::u8) {
    fail(ErrorKind::dtype,
         std::string(op) + ": the picture must be u8, got " + to_string(image.spec()));
  }
  if (image.rank() != 3) {
    fail(ErrorKind::shape,
         std::string(op) + ": the picture must be u8[C,H,W], got " + to_string(image.spec()));
  }
}

/// The inputs of one output along an axis: from `first` on, with weights that add up to 1.
struct Taps {
  int64_t first;
  std::vector<double> weights;
};

std::vector<Taps> taps_of(int64_t old_size, int64_t new_size) {
  const double scale = static_cast<double>(old_size) / static_cast<double>(new_size);
  const double radius = std::max(scale, 1.0);
  std::vector<Taps> all;
  for (int64_t i = 0; i < new_size; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = std::max<int64_t>(0, static_cast<int64_t>(centre - radius));
    const auto end = std::min(old_size, static_cast<int64_t>(std::ceil(centre + radius)));
    Taps taps{begin, {}};
    double total = 0;
    for (int64_t j = begin; j < end; ++j) {
      const double distance = std::abs(static_cast<double>(j) + 0.5 - centre);
      taps.weights.push_back(std::max(0.0, 1 - distance / radius));
      total += taps.weights.back();
    }
    for (double& weight : taps.weights) weight /= total;
    all.push_back(std::move(taps));
  }
  return all;
}

template <class Read>
double weighted(const Taps& taps, const Read& read) {
  double total = 0;
  for (size_t k = 0; k < taps.weights.size(); ++k) {
    total += taps.weights[k] * read(taps.first + static_cast<int64_t>(k));
  }
  return total;
}

}  // namespace

void ImageBytes::fail_io(const std::string& what) const {
  fail(ErrorKind::io, "decode_image: " + name + ": " + what);
}

void ImageBytes::check_size(uint64_t width, uint64_t height) const {
  if (width > 0 && height > 0 && height <= static_cast<uint64_t>(most_pixels) / width) return;
  const std::string size = std::to_string(width) + "x" + std::to_string(height) + " pixels";
  fail_io(width == 0 || height == 0
              ? "a picture of " + size
              : size + " are more than the limit of " + std::to_string(most_pixels));
}

Tensor planes_of(const Tensor& interleaved, int64_t channels) {
  const int64_t area = interleaved.size(0) * interleaved.size(1);
  const int64_t stride = interleaved.size(2);
  Tensor planes = empty({channels, interleaved.size(0), interleaved.size(1)}, DType::u8);
  const auto* in = interleaved.data<uint8_t>();
  auto* out = planes.mutable_data<uint8_t>();
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < area; ++i) *out++ = in[i * stride + c];
  }
  return planes;
}

Tensor decode_image(std::string_view bytes, const std::string& name, int64_t most_pixels) {
  const ImageBytes source{bytes, name, most_pixels};
  if (most_pixels < 1) {
    fail(ErrorKind::value,
         "decode_image: `most_pixels` must be at least 1, got " + std::to_string(most_pixels));
  }
  if (bytes.empty()) source.fail_io("the file is empty");
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return decode_png(source);
  if (bytes.starts_with("\xff\xd8\xff")) return decode_jpeg(source);
  const std::string_view kind = other_kind(bytes);
  source.fail_io(kind.empty() ? "neither a PNG nor a JPEG file"
                              : "a " + std::string(kind) + " file; PNG and JPEG are read");
}

Tensor read_image(const std::filesystem::path& path, int64_t most_pixels) {
  return decode_image(read_file(path, most_file_bytes), path.string(), most_pixels);
}

Tensor resize_image(const Tensor& image, int64_t height, int64_t width) {
  check_picture("resize_image", image);
  const int64_t old_height = image.size(1);
  const int64_t old_width = image.size(2);
  if (old_height == 0 || old_width == 0) {
    fail(ErrorKind::shape, "resize_image: the picture has no pixels: " + to_string(image.spec()));
  }
  if (height < 1 || width < 1 || height > most_image_pixels / width) {
    fail(ErrorKind::value, "resize_image: the new size must be at least 1x1 and at most " +
                               std::to_string(most_image_pixels) + " pixels, got " +
                               std::to_string(height) + "x" + std::to_string(width));
  }
  const std::vector<Taps> across = taps_of(old_width, width);
  const std::vector<Taps> down = taps_of(old_height, height);
  const std::vector<uint8_t> pixels = image.to_vector<uint8_t>();
  Tensor result = empty({image.size(0), height, width}, DType::u8);
  auto* out = result.mutable_data<uint8_t>();
  std::vector<double> narrow(static_cast<size_t>(old_height * width));
  for (int64_t c = 0; c < image.size(0); ++c) {
    const uint8_t* plane = pixels.data() + c * old_height * old_width;
    double* cell = narrow.data();
    for (int64_t y = 0; y < old_height; ++y, plane += old_width) {
      for (const Taps& taps : across) *cell++ = weighted(taps, [&](int64_t x) { return plane[x]; });
    }
    for (const Taps& taps : down) {
      for (int64_t x = 0; x < width; ++x) {
        const double value =
            weighted(taps, [&](int64_t y) { return narrow[static_cast<size_t>(y * width + x)]; });
        *out++ = static_cast<uint8_t>(std::lround(value));
      }
    }
  }
  return result;
}

Tensor to_grey(const Tensor& image) {
  check_picture("to_grey", image);
  if (image.size(0) == 1) return image;
  if (image.size(0) != 3) {
    fail(ErrorKind::shape,
         "to_grey: the picture must have 1 or 3 channels, got " + to_string(image.spec()));
  }
  const std::vector<uint8_t> pixels = image.to_vector<uint8_t>();
  const size_t area = pixels.size() / 3;
  Tensor result = empty({1, image.size(1), image.size(2)}, DType::u8);
  auto* out = result.mutable_data<uint8_t>();
  for (size_t i = 0; i < area; ++i) {
    const int luma = 299 * pixels[i] + 587 * pixels[i + area] + 114 * pixels[i + 2 * area];
    out[i] = static_cast<uint8_t>((luma + 500) / 1000);
  }
  return result;
}

}  // namespace taper

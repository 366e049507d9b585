#include <taper/train/report/mosaic.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <taper/ops/ops.h>

namespace taper {
namespace {

std::pair<double, double> finite_range(const double* values, int64_t count) {
  double least = std::numeric_limits<double>::infinity();
  double greatest = -least;
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) continue;
    least = std::min(least, values[i]);
    greatest = std::max(greatest, values[i]);
  }
  return {least, greatest};
}

uint8_t brightness(double value, double least, double greatest) {
  if (!std::isfinite(value)) return 0;
  const double part = greatest > least ? (value - least) / (greatest - least) : 0.5;
  return static_cast<uint8_t>(std::lround(255 * part));
}

}  // namespace

Tensor mosaic(const Tensor& tiles, int64_t columns, int64_t zoom, uint8_t gap, int64_t border,
              int64_t frame) {
  const bool grey = tiles.rank() == 3;
  const int64_t count = tiles.size(0);
  const int64_t channels = grey ? 1 : tiles.size(1);
  const int64_t height = tiles.size(-2);
  const int64_t width = tiles.size(-1);
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t tall = rows * (height * zoom + border) - border;
  const int64_t wide = columns * (width * zoom + border) - border;
  Tensor picture = empty({channels, tall, wide}, DType::u8);
  uint8_t* pixels = picture.mutable_data<uint8_t>();
  std::fill_n(pixels, picture.numel(), gap);
  const auto values = tiles.to_vector<double>();
  const int64_t size = channels * height * width;
  for (int64_t n = 0; n < count; ++n) {
    const double* tile = values.data() + n * size;
    const auto [least, greatest] = finite_range(tile, size);
    const int64_t top = n / columns * (height * zoom + border);
    const int64_t left = n % columns * (width * zoom + border);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t bottom = std::min(tall, top + height * zoom + frame);
      const int64_t begin = std::max<int64_t>(0, left - frame);
      const int64_t end = std::min(wide, left + width * zoom + frame);
      for (int64_t y = std::max<int64_t>(0, top - frame); frame > 0 && y < bottom; ++y) {
        std::fill_n(pixels + (c * tall + y) * wide + begin, end - begin, uint8_t{255});
      }
      uint8_t* corner = pixels + (c * tall + top) * wide + left;
      for (int64_t i = 0; i < height * zoom * width * zoom; ++i) {
        const int64_t y = i / (width * zoom);
        const int64_t x = i % (width * zoom);
        const double value = tile[(c * height + y / zoom) * width + x / zoom];
        corner[y * wide + x] = brightness(value, least, greatest);
      }
    }
  }
  return grey ? reshape(picture, {tall, wide}) : picture;
}

}  // namespace taper

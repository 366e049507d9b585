#include <taper/data/transforms/random_horizontal_flip.h>

#include <algorithm>
#include <cstring>

#include <taper/data/transforms/pixels.h>

namespace taper::data {

void RandomHorizontalFlip::apply(const View& image, const View& out, Draws& draws) const {
  const int64_t count = image.numel();
  if (!draws.happens(options().p)) {
    std::memcpy(out.data, image.data, static_cast<size_t>(count) * item_size(image.dtype()));
    return;
  }
  const int64_t width = image.shape()[2];
  visit_pixels(image.dtype(), [&]<class Pixel>() {
    const Pixel* from = image.as<Pixel>();
    Pixel* to = out.as<Pixel>();
    for (int64_t i = 0; i < count; i += width)
      std::reverse_copy(from + i, from + i + width, to + i);
  });
}

}  // namespace taper::data

TAPER_TRANSFORM(RandomHorizontalFlip, "Turns images left to right at random.")

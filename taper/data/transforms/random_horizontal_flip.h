#pragma once

#include <algorithm>
#include <cstring>

#include <taper/data/transform.h>
#include <taper/data/transforms/pixels.h>

namespace taper::data {

struct TAPER_API RandomHorizontalFlipOptions {
  Probability p = 0.5;  ///< of a flip
};

/// Turns an image [C,H,W] of any dtype left to right with probability `p`, as torchvision does.
class TAPER_API RandomHorizontalFlip final
    : public TransformWith<RandomHorizontalFlip, RandomHorizontalFlipOptions> {
 public:
  using TransformWith::TransformWith;
  void apply(const View& image, const View& out, Draws& draws) const override {
    const int64_t count = image.numel();
    if (!draws.happens(options().p)) {
      std::memcpy(out.data, image.data, static_cast<size_t>(count) * item_size(image.dtype()));
      return;
    }
    const int64_t width = image.shape()[2];
    visit_pixels(image.dtype(), [&]<class Pixel>() {
      const Pixel* from = image.as<Pixel>();
      Pixel* to = out.as<Pixel>();
      for (int64_t i = 0; i < count; i += width) {
        std::reverse_copy(from + i, from + i + width, to + i);
      }
    });
  }
};

}  // namespace taper::data

TAPER_TRANSFORM(RandomHorizontalFlip, "Turns images left to right at random.")

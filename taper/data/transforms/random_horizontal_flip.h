#pragma once

#include <taper/data/transform.h>

namespace taper::data {

struct TAPER_API RandomHorizontalFlipOptions {
  Probability p = 0.5;  ///< of a flip
};

/// Turns an image [C,H,W] of any dtype left to right with probability `p`, as torchvision does.
class TAPER_API RandomHorizontalFlip final
    : public TransformWith<RandomHorizontalFlip, RandomHorizontalFlipOptions> {
 public:
  using TransformWith::TransformWith;
  void apply(const View& image, const View& out, Draws& draws) const override;
};

}  // namespace taper::data

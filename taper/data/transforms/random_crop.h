#pragma once

#include <array>

#include <taper/data/transform.h>
#include <taper/data/transforms/pixels.h>
#include <taper/nn/size2.h>

namespace taper::data {

/// Pixels at each side of an image. `2` means all sides, `{4, 2}` left and right, top and bottom,
/// `{1, 2, 3, 4}` left, top, right, bottom.
class TAPER_API Margins {
 public:
  constexpr Margins() = default;
  template <Fits<int64_t> Whole>
  constexpr Margins(Whole all) : Margins(all, all) {}  // NOLINT: implicit on purpose
  constexpr Margins(int64_t across, int64_t down) : Margins(across, down, across, down) {}
  constexpr Margins(int64_t left_side, int64_t top_side, int64_t right_side, int64_t bottom_side)
      : left(left_side), top(top_side), right(right_side), bottom(bottom_side) {}
  bool operator==(const Margins&) const = default;

  int64_t left = 0;
  int64_t top = 0;
  int64_t right = 0;
  int64_t bottom = 0;
};

/// What stands around an image: `fill`; its last pixels; its reflection without them; or with them.
enum class PaddingMode : uint8_t { constant, edge, reflect, symmetric };

struct TAPER_API RandomCropOptions {
  Required<Positive<nn::Size2>> size;  ///< height and width of the crop
  Margins padding = {};                ///< put around an image before it is cropped; at least 0
  bool pad_if_needed = false;          ///< more, at both sides, where an image is too small
  ChannelValues fill = 0;              ///< of `constant` padding, in the images' own scale
  PaddingMode padding_mode = PaddingMode::constant;
  void check(std::string_view owner) const;
};

/// A part of that size of an image [C,H,W] of any dtype, at a place where each is alike, as
/// torchvision's v2 does: what is padded in all is padded at once.
///
/// Throws shape for an image that is too small to crop or to reflect, value for a `fill` that is
/// not of the images' dtype.
class TAPER_API RandomCrop final : public TransformWith<RandomCrop, RandomCropOptions> {
 public:
  using TransformWith::TransformWith;
  Spec spec(const Spec& image) const override;
  void apply(const View& image, const View& out, Draws& draws) const override;

 private:
  Margins margins(const Shape& image) const;
};

}  // namespace taper::data

namespace taper {

template <>
struct EnumNames<data::PaddingMode> {
  static constexpr std::array<std::string_view, 4> names{"constant", "edge", "reflect",
                                                         "symmetric"};
};

template <>
struct TAPER_API FieldCodec<data::Margins> {
  static constexpr FieldType type = FieldType::list;
  static std::string kind() { return "int or list of 2 or 4 int"; }
  static Value to_value(const data::Margins& field);
  static data::Margins from_value(const Value& value);
};

}  // namespace taper

TAPER_TRANSFORM(RandomCrop, "Takes a part of images at a random place.")

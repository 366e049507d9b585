#pragma once

#include <array>
#include <optional>

#include <taper/data/transform.h>
#include <taper/data/transforms/pixels.h>

namespace taper::data {

/// A range of angles. `15` means from -15 to 15.
class TAPER_API Degrees {
 public:
  using value_type = double;

  constexpr Degrees() = default;
  template <Fits<double> Real>
  constexpr Degrees(Real most) : Degrees(-static_cast<double>(most), most) {}  // NOLINT
  constexpr Degrees(double least, double most) : value_{least, most} {}

  constexpr double operator[](size_t i) const { return value_[i]; }
  constexpr const double* begin() const { return value_.data(); }
  constexpr const double* end() const { return value_.data() + value_.size(); }
  bool operator==(const Degrees&) const = default;

 private:
  std::array<double, 2> value_{};
};

/// What an image is between its pixels: the nearest one, or a mean of four by their distances.
enum class Interpolation : uint8_t { nearest, bilinear };

struct TAPER_API RandomRotationOptions {
  Required<Bounded<Degrees, Finite>> degrees;  ///< counter-clockwise
  Interpolation interpolation = Interpolation::nearest;
  bool expand = false;  ///< images so large that all of the turned one is there: for one angle only
  std::optional<std::array<double, 2>> center = {};  ///< x, y from the upper left corner
  ChannelValues fill = 0;                            ///< outside of the image, in its own scale
  void check(std::string_view owner) const;
};

/// Turns an image [C,H,W] of a real dtype by an angle of which each is alike, as torchvision does.
/// Interpolated integers are rounded.
///
/// `expand` needs `degrees` of one angle, `{90, 90}`: images of a batch have one size. Throws dtype
/// for complex numbers, value for a `fill` that is not of the images' dtype.
class TAPER_API RandomRotation final : public TransformWith<RandomRotation, RandomRotationOptions> {
 public:
  using TransformWith::TransformWith;
  Spec spec(const Spec& image) const override;
  void apply(const View& image, const View& out, Draws& draws) const override;
};

}  // namespace taper::data

namespace taper {

template <>
struct EnumNames<data::Interpolation> {
  static constexpr std::array<std::string_view, 2> names{"nearest", "bilinear"};
};

template <>
struct TAPER_API FieldCodec<data::Degrees> {
  static constexpr FieldType type = FieldType::list;
  static std::string kind() { return "float or list of 2 float"; }
  static Value to_value(const data::Degrees& field);
  static data::Degrees from_value(const Value& value);
};

}  // namespace taper

TAPER_TRANSFORM(RandomRotation, "Turns images by a random angle.")

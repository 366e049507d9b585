#include <taper/data/transforms/random_rotation.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <taper/core/error.h>

namespace taper::data {
namespace {

/// Where a pixel of the result comes from, both counted from the centres of their images: x' = xx x
/// + xy y + x0, alike y'.
struct Turn {
  double xx, xy, x0;
  double yx, yy, y0;
};

/// The inverse of a turn by `angle` degrees, counter-clockwise, around `center`.
Turn turn_back(double angle, double center_x, double center_y) {
  const double radians = angle * std::numbers::pi / 180;
  // Of quarter turns exactly: they only move pixels.
  const bool quarter = std::fmod(angle, 90) == 0;
  const double cosine = quarter ? std::nearbyint(std::cos(radians)) : std::cos(radians);
  const double sine = quarter ? std::nearbyint(std::sin(radians)) : std::sin(radians);
  return {cosine, -sine,  center_x - cosine * center_x + sine * center_y,
          sine,   cosine, center_y - sine * center_x - cosine * center_y};
}

Turn turn_of(const RandomRotationOptions& options, double angle, const Shape& image) {
  if (!options.center) return turn_back(angle, 0, 0);
  const auto& [x, y] = *options.center;
  return turn_back(angle, x - 0.5 * static_cast<double>(image[2]),
                   y - 0.5 * static_cast<double>(image[1]));
}

/// Whole pixels from the first to the last corner. What is off by rounding makes no pixel; as in
/// torchvision all is f32, whose rounding decides for corners that meet pixels.
int64_t extent(const std::array<float, 4>& corners, float half) {
  constexpr float step = 1e-4F;
  const auto [least, most] = std::ranges::minmax(corners);
  const float end = std::ceil(std::trunc((most + half) / step) * step);
  const float begin = std::floor(std::trunc((least + half) / step) * step);
  return static_cast<int64_t>(end - begin);
}

/// Height and width that hold all of the turned image.
std::array<int64_t, 2> expanded(const Turn& turn, const Shape& image) {
  const bool centred = turn.x0 == 0 && turn.y0 == 0;
  if (centred && turn.xy == 0) return {image[1], image[2]};
  if (centred && turn.xx == 0) return {image[2], image[1]};
  const float down = 0.5F * static_cast<float>(image[1]);
  const float across = 0.5F * static_cast<float>(image[2]);
  std::array<float, 4> xs{};
  std::array<float, 4> ys{};
  for (size_t i = 0; i < 4; ++i) {
    const float x = i % 2 == 0 ? -across : across;
    const float y = i < 2 ? -down : down;
    const auto sum = [](double a, double b, double c) {
      return static_cast<float>(a) + static_cast<float>(b) + static_cast<float>(c);
    };
    xs[i] = sum(turn.xx * x, turn.xy * y, turn.x0);
    ys[i] = sum(turn.yx * x, turn.yy * y, turn.y0);
  }
  return {extent(ys, down), extent(xs, across)};
}

/// A place in the image, (0, 0) being the middle of its first pixel.
struct Place {
  double x;
  double y;
};

/// Calls `visit(i, place)` for each pixel of the result.
template <class Visit>
void for_each_place(const Turn& turn, const Shape& image, const Shape& out, Visit&& visit) {
  const double origin_x = 0.5 * static_cast<double>(image[2] - 1);
  const double origin_y = 0.5 * static_cast<double>(image[1] - 1);
  int64_t i = 0;
  for (int64_t row = 0; row < out[1]; ++row) {
    const double y = static_cast<double>(row) - 0.5 * static_cast<double>(out[1] - 1);
    const double x0 = turn.xy * y + turn.x0 + origin_x;
    const double y0 = turn.yy * y + turn.y0 + origin_y;
    for (int64_t column = 0; column < out[2]; ++column) {
      const double x = static_cast<double>(column) - 0.5 * static_cast<double>(out[2] - 1);
      visit(i++, Place{turn.xx * x + x0, turn.yx * x + y0});
    }
  }
}

/// All channels at once: where a pixel comes from costs more than to fetch it.
template <class Pixel>
void turn_nearest(const View& image, const View& out, const Turn& turn,
                  const std::vector<Element>& fill) {
  const Shape& shape = image.shape();
  const auto height = static_cast<double>(shape[1]);
  const auto width = static_cast<double>(shape[2]);
  const int64_t size_in = shape[1] * shape[2];
  const int64_t size_out = out.shape()[1] * out.shape()[2];
  const Pixel* from = image.as<Pixel>();
  Pixel* to = out.as<Pixel>();
  for_each_place(turn, shape, out.shape(), [&](int64_t i, Place at) {
    const double x = at.x + 0.5;
    const double y = at.y + 0.5;
    const bool inside = x >= 0 && x < width && y >= 0 && y < height;
    const int64_t source =
        inside ? static_cast<int64_t>(y) * shape[2] + static_cast<int64_t>(x) : 0;
    for (int64_t c = 0; c < shape[0]; ++c) {
      to[c * size_out + i] =
          inside ? from[c * size_in + source] : fill[static_cast<size_t>(c)].as<Pixel>();
    }
  });
}

/// Four pixels with their weights; one that is outside weighs nothing. At the border torchvision
/// weighs the sum once more by the part that is there, and so do we.
struct Neighbours {
  std::array<int64_t, 4> pixels{};
  std::array<double, 4> weights{};
  double inside = 0;  ///< the weights together

  Neighbours(Place at, int64_t height, int64_t width) {
    const bool is_near = at.x > -1 && at.y > -1 && at.x < static_cast<double>(width) &&
                         at.y < static_cast<double>(height);
    if (!is_near) return;
    const auto left = static_cast<int64_t>(std::floor(at.x));
    const auto top = static_cast<int64_t>(std::floor(at.y));
    const double right_part = at.x - static_cast<double>(left);
    const double lower_part = at.y - static_cast<double>(top);
    for (size_t i = 0; i < 4; ++i) {
      const int64_t x = left + static_cast<int64_t>(i % 2);
      const int64_t y = top + static_cast<int64_t>(i / 2);
      if (x < 0 || x >= width || y < 0 || y >= height) continue;
      pixels[i] = y * width + x;
      weights[i] =
          (i % 2 == 0 ? 1 - right_part : right_part) * (i / 2 == 0 ? 1 - lower_part : lower_part);
    }
    inside = weights[0] + weights[1] + weights[2] + weights[3];
  }
};

template <class T>
void turn_bilinear(const View& image, const View& out, const Turn& turn,
                   const ChannelValues& fill) {
  const Shape& shape = image.shape();
  const int64_t size_in = shape[1] * shape[2];
  const int64_t size_out = out.shape()[1] * out.shape()[2];
  const T* from = image.as<T>();
  T* to = out.as<T>();
  for_each_place(turn, shape, out.shape(), [&](int64_t i, Place at) {
    const Neighbours near(at, shape[1], shape[2]);
    for (int64_t c = 0; c < shape[0]; ++c) {
      double sum = 0;
      for (size_t k = 0; k < 4; ++k) {
        if (near.weights[k] == 0) continue;  // an infinity there must not count
        sum += near.weights[k] * static_cast<double>(from[c * size_in + near.pixels[k]]);
      }
      sum = sum * near.inside + (1 - near.inside) * fill[c];
      if constexpr (std::is_integral_v<T>) sum = std::nearbyint(sum);
      to[c * size_out + i] = convert<T>(sum, RandomRotation::type_name);
    }
  });
}

}  // namespace

void RandomRotationOptions::check(std::string_view owner) const {
  const Degrees& range = degrees;
  check_rule(range[0] <= range[1], owner, "`degrees` must be at least 0 or from small to large",
             FieldCodec<Degrees>::to_value(range));
  check_rule(!expand || range[0] == range[1], owner,
             "`expand` needs one angle, as in `degrees` {90, 90}: images of a batch have one size",
             FieldCodec<Degrees>::to_value(range));
  if (!center) return;
  check_rule(std::isfinite((*center)[0]) && std::isfinite((*center)[1]), owner,
             "`center` must be finite", FieldCodec<std::array<double, 2>>::to_value(*center));
}

Spec RandomRotation::spec(const Spec& image) const {
  Spec made = Transform::spec(image);
  if (is_complex(image.dtype)) {
    fail(ErrorKind::dtype,
         std::string(type_name) + ": takes real images, got " + taper::to_string(image));
  }
  options().fill.elements(image, type_name);
  if (options().expand) {
    const Degrees& range = options().degrees;
    const auto [height, width] = expanded(turn_of(options(), range[0], image.shape), image.shape);
    made.shape = {image.shape[0], height, width};
  }
  return made;
}

void RandomRotation::apply(const View& image, const View& out, Draws& draws) const {
  const Degrees& range = options().degrees;
  const double angle = range[0] + (range[1] - range[0]) * draws.uniform();
  const Turn turn = turn_of(options(), angle, image.shape());
  if (options().interpolation == Interpolation::bilinear) {
    visit_dtype(image.dtype(),
                [&]<class T>() { turn_bilinear<T>(image, out, turn, options().fill); });
    return;
  }
  const std::vector<Element> fill = options().fill.elements(*image.spec, type_name);
  visit_pixels(image.dtype(), [&]<class Pixel>() { turn_nearest<Pixel>(image, out, turn, fill); });
}

}  // namespace taper::data

namespace taper {

Value FieldCodec<data::Degrees>::to_value(const data::Degrees& field) {
  if (field[0] == -field[1] && field[1] >= 0) return field[1];
  return FieldCodec<std::array<double, 2>>::to_value({field[0], field[1]});
}

data::Degrees FieldCodec<data::Degrees>::from_value(const Value& value) {
  try {
    if (!value.is_list()) return FieldCodec<double>::from_value(value);
    const auto range = FieldCodec<std::vector<double>>::from_value(value);
    if (range.size() == 2) return {range[0], range[1]};
  } catch (const FieldMismatch&) {  // NOLINT(bugprone-empty-catch): said below
  }
  throw FieldMismatch(kind(), value);
}

}  // namespace taper

TAPER_TRANSFORM(RandomRotation, "Turns images by a random angle.")

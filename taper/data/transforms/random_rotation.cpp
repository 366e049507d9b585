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

/// The mean of the four pixels around a place, of which those outside of the image weigh nothing;
/// at the border torchvision weighs the sum once more by the part that is there, and so do we.
struct Neighbours {
  int64_t left, top;
  double right_part, lower_part;

  // Rounded down: places near the image are above -1, and a call of floor takes longer.
  explicit Neighbours(Place at)
      : left(static_cast<int64_t>(at.x + 1) - 1),
        top(static_cast<int64_t>(at.y + 1) - 1),
        right_part(at.x - static_cast<double>(left)),
        lower_part(at.y - static_cast<double>(top)) {}

  bool all_inside(int64_t height, int64_t width) const {
    return left >= 0 && top >= 0 && left + 1 < width && top + 1 < height;
  }

  template <class T>
  double inside(const T* channel, int64_t width) const {
    const T* upper = channel + top * width + left;
    const T* lower = upper + width;
    const auto between = [this](const T* pair) {
      return static_cast<double>(pair[0]) * (1 - right_part) +
             static_cast<double>(pair[1]) * right_part;
    };
    return between(upper) * (1 - lower_part) + between(lower) * lower_part;
  }

  template <class T>
  double at_border(const T* channel, int64_t height, int64_t width, double fill) const {
    double sum = 0;
    double there = 0;
    for (int64_t y = std::max<int64_t>(top, 0); y <= std::min(top + 1, height - 1); ++y) {
      for (int64_t x = std::max<int64_t>(left, 0); x <= std::min(left + 1, width - 1); ++x) {
        const double weight =
            (x == left ? 1 - right_part : right_part) * (y == top ? 1 - lower_part : lower_part);
        there += weight;
        sum += weight * static_cast<double>(channel[y * width + x]);
      }
    }
    return sum * there + (1 - there) * fill;
  }
};

template <class T>
T interpolated(double value) {
  if constexpr (std::is_floating_point_v<T>) return static_cast<T>(value);
  return convert<T>(std::is_integral_v<T> ? std::nearbyint(value) : value,
                    RandomRotation::type_name);
}

template <class T>
void turn_bilinear(const View& image, const View& out, const Turn& turn,
                   const ChannelValues& fill) {
  const Shape& shape = image.shape();
  const int64_t height = shape[1];
  const int64_t width = shape[2];
  const int64_t size_out = out.shape()[1] * out.shape()[2];
  T* to = out.as<T>();
  for_each_place(turn, shape, out.shape(), [&](int64_t i, Place at) {
    const bool near = at.x > -1 && at.y > -1 && at.x < static_cast<double>(width) &&
                      at.y < static_cast<double>(height);
    const Neighbours pixels(near ? at : Place{0, 0});
    const bool all = near && pixels.all_inside(height, width);
    const T* channel = image.as<T>();
    for (int64_t c = 0; c < shape[0]; ++c, channel += height * width) {
      const double value = all    ? pixels.inside(channel, width)
                           : near ? pixels.at_border(channel, height, width, fill[c])
                                  : fill[c];
      to[c * size_out + i] = interpolated<T>(value);
    }
  });
}

/// Whether each pixel of the result is one of the image.
bool moves_pixels(const Turn& turn, const Shape& image, const Shape& out) {
  if (turn.x0 != 0 || turn.y0 != 0) return false;
  return turn.xy == 0 || (turn.xx == 0 && out[1] == image[2] && out[2] == image[1]);
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
  const bool exact = moves_pixels(turn, image.shape(), out.shape());
  if (options().interpolation == Interpolation::bilinear && !exact) {
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

#include <taper/data/transforms/random_crop.h>

#include <algorithm>

#include <taper/core/error.h>

namespace taper::data {
namespace {

/// The element of a row or column of `count` that stands for number `i`, which may lie outside.
int64_t mirrored(int64_t i, int64_t count, PaddingMode mode) {
  if (mode == PaddingMode::edge) return std::clamp<int64_t>(i, 0, count - 1);
  const int64_t again = mode == PaddingMode::symmetric ? 1 : 0;  // the last pixel is repeated
  if (i < 0) return -i - again;
  return i < count ? i : 2 * (count - 1) - i + again;
}

/// Pads rows of `width` elements and takes a part of them.
template <class Pixel>
struct RowCrop {
  int64_t width;
  int64_t first;  // of the part, counted from the row's own first element
  int64_t size;   // of the part
  PaddingMode mode;
  Pixel fill;

  void operator()(const Pixel* from, Pixel* to) const {
    const int64_t before = std::clamp<int64_t>(-first, 0, size);
    const int64_t end = std::clamp<int64_t>(width - first, before, size);
    if (mode == PaddingMode::constant) {
      std::fill(to, to + before, fill);
      std::fill(to + end, to + size, fill);
    } else {
      for (int64_t i = 0; i < before; ++i) to[i] = from[mirrored(first + i, width, mode)];
      for (int64_t i = end; i < size; ++i) to[i] = from[mirrored(first + i, width, mode)];
    }
    std::copy(from + first + before, from + first + end, to + before);
  }
};

}  // namespace

void RandomCropOptions::check(std::string_view owner) const {
  const int64_t least = std::min({padding.left, padding.top, padding.right, padding.bottom});
  check_rule(least >= 0, owner, "`padding` must be at least 0", Value(least));
  // Sums of a few of them are numbers still.
  constexpr int64_t largest = int64_t{1} << 40;
  const int64_t most = std::max({padding.left, padding.top, padding.right, padding.bottom});
  check_rule(most <= largest, owner, "`padding` must be at most 2^40", Value(most));
  const int64_t side = std::max(size.value()[0], size.value()[1]);
  check_rule(side <= largest, owner, "`size` must be at most 2^40", Value(side));
}

Margins RandomCrop::margins(const Shape& image) const {
  const RandomCropOptions& o = options();
  Margins all = o.padding;
  if (!o.pad_if_needed) return all;
  const nn::Size2& size = o.size;
  const int64_t down = std::max<int64_t>(0, size[0] - (image[1] + all.top + all.bottom));
  const int64_t across = std::max<int64_t>(0, size[1] - (image[2] + all.left + all.right));
  return {all.left + across, all.top + down, all.right + across, all.bottom + down};
}

Spec RandomCrop::spec(const Spec& image) const {
  Spec made = Transform::spec(image);
  const RandomCropOptions& o = options();
  const nn::Size2& size = o.size;
  const Margins around = margins(image.shape);
  const int64_t height = image.shape[1] + around.top + around.bottom;
  const int64_t width = image.shape[2] + around.left + around.right;
  const auto refuse = [&](const std::string& what) {
    fail(ErrorKind::shape,
         std::string(type_name) + ": " + what + ", the images are " + taper::to_string(image));
  };
  if (height < size[0] || width < size[1]) {
    refuse("a crop of " + std::to_string(size[0]) + " x " + std::to_string(size[1]) +
           " does not fit into " + std::to_string(height) + " x " + std::to_string(width) +
           "; `pad_if_needed` makes room");
  }
  if (o.padding_mode != PaddingMode::constant) {
    const int64_t less = o.padding_mode == PaddingMode::reflect ? 1 : 0;
    const bool edge = o.padding_mode == PaddingMode::edge;
    const auto fits = [&](int64_t before, int64_t after, int64_t side) {
      const int64_t most = std::max(before, after);
      return most == 0 || (edge ? side > 0 : most <= side - less);
    };
    if (!fits(around.top, around.bottom, image.shape[1]) ||
        !fits(around.left, around.right, image.shape[2])) {
      refuse("there are too few pixels to pad in that mode");
    }
  }
  o.fill.elements(image, type_name);
  made.shape = {image.shape[0], size[0], size[1]};
  return made;
}

void RandomCrop::apply(const View& image, const View& out, Draws& draws) const {
  const RandomCropOptions& o = options();
  const Shape& shape = image.shape();
  const nn::Size2& size = o.size;
  const Margins around = margins(shape);
  const auto place = [&](int64_t room) {
    return room == 0 ? 0 : static_cast<int64_t>(draws.below(static_cast<uint64_t>(room) + 1));
  };
  const int64_t top = place(shape[1] + around.top + around.bottom - size[0]) - around.top;
  const int64_t left = place(shape[2] + around.left + around.right - size[1]) - around.left;
  const bool constant = o.padding_mode == PaddingMode::constant;
  visit_pixels(image.dtype(), [&]<class Pixel>() {
    const Pixel* from = image.as<Pixel>();
    Pixel* to = out.as<Pixel>();
    for (int64_t channel = 0; channel < shape[0]; ++channel) {
      const Element fill = convert(o.fill[channel], image.dtype(), type_name);
      const RowCrop<Pixel> crop{shape[2], left, size[1], o.padding_mode, fill.as<Pixel>()};
      for (int64_t y = top; y < top + size[0]; ++y, to += size[1]) {
        if (constant && (y < 0 || y >= shape[1])) {
          std::fill(to, to + size[1], crop.fill);
        } else {
          crop(from + mirrored(y, shape[1], o.padding_mode) * shape[2], to);
        }
      }
      from += shape[1] * shape[2];
    }
  });
}

}  // namespace taper::data

namespace taper {

Value FieldCodec<data::Margins>::to_value(const data::Margins& field) {
  if (field == data::Margins(field.left)) return field.left;
  return FieldCodec<std::array<int64_t, 4>>::to_value(
      {field.left, field.top, field.right, field.bottom});
}

data::Margins FieldCodec<data::Margins>::from_value(const Value& value) {
  try {
    if (!value.is_list()) return FieldCodec<int64_t>::from_value(value);
    const auto sides = FieldCodec<std::vector<int64_t>>::from_value(value);
    if (sides.size() == 1) return sides[0];
    if (sides.size() == 2) return {sides[0], sides[1]};
    if (sides.size() == 4) return {sides[0], sides[1], sides[2], sides[3]};
  } catch (const FieldMismatch&) {  // NOLINT(bugprone-empty-catch): said below
  }
  throw FieldMismatch(kind(), value);
}

}  // namespace taper

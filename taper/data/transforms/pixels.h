// What transforms of images share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <taper/core/fields.h>
#include <taper/core/number.h>
#include <taper/core/tensor.h>

namespace taper::data {

/// A number for all channels of an image, or one for each.
class TAPER_API ChannelValues {
 public:
  ChannelValues(double all = 0) : values_{all} {}                        // NOLINT
  ChannelValues(int all) : values_{static_cast<double>(all)} {}          // NOLINT
  ChannelValues(std::vector<double> each) : values_(std::move(each)) {}  // NOLINT
  ChannelValues(std::initializer_list<double> each) : values_(each) {}   // NOLINT

  const std::vector<double>& values() const { return values_; }
  /// As elements of that dtype. Throws shape unless there is one value or as many as channels, and
  /// value for one that is none of the dtype; `who` begins the message.
  std::vector<Element> elements(const Spec& image, std::string_view who) const;
  double operator[](int64_t channel) const {
    return values_.size() == 1 ? values_[0] : values_[static_cast<size_t>(channel)];
  }
  bool operator==(const ChannelValues&) const = default;

 private:
  std::vector<double> values_;
};

/// With an unsigned type of an element's size, to move elements of any dtype.
template <class F>
void visit_pixels(DType dtype, F&& f) {
  __extension__ using Wide = unsigned __int128;
  switch (item_size(dtype)) {
    case 1:
      return f.template operator()<uint8_t>();
    case 2:
      return f.template operator()<uint16_t>();
    case 4:
      return f.template operator()<uint32_t>();
    case 8:
      return f.template operator()<uint64_t>();
    default:
      return f.template operator()<Wide>();
  }
}

}  // namespace taper::data

namespace taper {

template <>
struct TAPER_API FieldCodec<data::ChannelValues> {
  static constexpr FieldType type = FieldType::other;
  static std::string kind() { return "float or list of float"; }
  static Value to_value(const data::ChannelValues& field);
  static data::ChannelValues from_value(const Value& value);
};

}  // namespace taper

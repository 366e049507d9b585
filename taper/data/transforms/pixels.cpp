#include <taper/data/transforms/pixels.h>

#include <cmath>

#include <taper/core/error.h>

namespace taper {

std::vector<Element> data::ChannelValues::elements(const Spec& image, std::string_view who) const {
  const int64_t channels = image.shape[0];
  if (values_.size() != 1 && std::ssize(values_) != channels) {
    fail(ErrorKind::shape, std::string(who) + ": `fill` must be one number or one for each of " +
                               std::to_string(channels) + " channels, got " +
                               std::to_string(values_.size()));
  }
  std::vector<Element> elements;
  for (int64_t channel = 0; channel < channels; ++channel) {
    const double value = (*this)[channel];
    if (is_integer(image.dtype) && value != std::trunc(value)) {
      fail(ErrorKind::value, std::string(who) + ": `fill`: " + print_real(value) +
                                 " is no value of " + std::string(dtype_name(image.dtype)));
    }
    elements.push_back(convert((*this)[channel], image.dtype, std::string(who) + ": `fill`"));
  }
  return elements;
}

Value FieldCodec<data::ChannelValues>::to_value(const data::ChannelValues& field) {
  if (field.values().size() == 1) return field.values()[0];
  return FieldCodec<std::vector<double>>::to_value(field.values());
}

data::ChannelValues FieldCodec<data::ChannelValues>::from_value(const Value& value) {
  try {
    if (value.is_list()) return FieldCodec<std::vector<double>>::from_value(value);
    return FieldCodec<double>::from_value(value);
  } catch (const FieldMismatch&) {
    throw FieldMismatch(kind(), value);
  }
}

}  // namespace taper

#pragma once

#include <string>

#include <taper/ops/op.h>

namespace taper {

inline constexpr AttributeDoc device_line{"device", "Where the result's memory is."};

/// The spec of a tensor that an op without operands makes. Throws what memory and device refuse.
inline Spec created(DType dtype, Device device, const Shape& shape) {
  if (device != Device()) {
    violate(ErrorKind::unsupported, to_string(device) + " is not in this build");
  }
  checked_bytes(shape, dtype);
  return {dtype, device, shape};
}

}  // namespace taper

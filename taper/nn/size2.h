#pragma once

#include <array>
#include <cstdint>

#include <taper/core/bounds.h>
#include <taper/ops/ops.h>

namespace taper::nn {

/// Height and width: `3` means both.
class Size2 {
 public:
  using value_type = int64_t;

  constexpr Size2() = default;
  constexpr Size2(int64_t both) : value_{both, both} {}             // NOLINT
  constexpr Size2(int both) : Size2(static_cast<int64_t>(both)) {}  // NOLINT
  constexpr Size2(int64_t height, int64_t width) : value_{height, width} {}
  constexpr Size2(const Pair& pair) : value_(pair) {}  // NOLINT

  constexpr operator const Pair&() const { return value_; }  // NOLINT
  constexpr int64_t operator[](size_t i) const { return value_[i]; }
  constexpr const int64_t* begin() const { return value_.data(); }
  constexpr const int64_t* end() const { return value_.data() + value_.size(); }
  bool operator==(const Size2&) const = default;

 private:
  Pair value_{};
};

}  // namespace taper::nn

namespace taper {

template <>
struct FieldCodec<nn::Size2> : FieldCodec<Pair> {
  static Value to_value(const nn::Size2& size) { return FieldCodec<Pair>::to_value(size); }
  static nn::Size2 from_value(const Value& value) { return FieldCodec<Pair>::from_value(value); }
};

}  // namespace taper

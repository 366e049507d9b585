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
  template <Fits<int64_t> Whole>
  constexpr Size2(Whole both) : Size2(both, both) {}  // NOLINT: implicit, as the next but one
  template <Fits<int64_t> Height, Fits<int64_t> Width>
  constexpr Size2(Height height, Width width)
      : value_{static_cast<int64_t>(height), static_cast<int64_t>(width)} {}
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

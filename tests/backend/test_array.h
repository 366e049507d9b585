// Arrays of any dtype and strides for tests of kernels that take views.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <taper/core/view.h>

namespace taper::test {

enum class Layout { row_major, reversed, sliced, broadcast, channels_last };

inline constexpr Layout all_layouts[] = {Layout::row_major, Layout::reversed, Layout::sliced,
                                         Layout::broadcast};

inline Strides layout_strides(const Shape& shape, Layout layout) {
  Strides strides = row_major_strides(shape);
  if (layout == Layout::channels_last) return channels_last_strides(shape);
  if (layout == Layout::reversed) {  // the memory order of the axes is the other way round
    int64_t step = 1;
    for (int i = 0; i < shape.rank(); ++i) {
      strides[i] = step;
      step *= shape[i];
    }
  }
  if (layout == Layout::sliced) {  // every second element, with a gap behind each row
    int64_t step = 2;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      strides[i] = step;
      step = step * shape[i] + 3;
    }
  }
  if (layout == Layout::broadcast && shape.rank() > 0) strides[shape.rank() / 2] = 0;
  return strides;
}

class TestArray {
 public:
  TestArray(DType dtype, const Shape& shape, Layout layout = Layout::row_major)
      : spec_{dtype, {}, shape}, strides_(layout_strides(shape, layout)) {
    int64_t last = 0;
    for (int i = 0; i < shape.rank(); ++i) last += strides_[i] * (shape[i] > 0 ? shape[i] - 1 : 0);
    bytes_.resize(static_cast<size_t>(last + 1) * item_size(dtype), std::byte{0x5a});
  }

  View view() const {
    return {const_cast<std::byte*>(bytes_.data()), &spec_, &strides_,
            is_row_major(spec_.shape, strides_)};
  }
  const Shape& shape() const { return spec_.shape; }
  int64_t numel() const { return spec_.shape.numel(); }

  /// The offset of the element at a row-major position.
  int64_t offset(int64_t position) const {
    int64_t at = 0;
    for (int i = spec_.shape.rank() - 1; i >= 0; --i) {
      at += position % spec_.shape[i] * strides_[i];
      position /= spec_.shape[i];
    }
    return at;
  }

  double get(int64_t position) const {
    return visit_dtype(spec_.dtype, [&]<class T>() {
      T value;
      std::memcpy(&value, bytes_.data() + static_cast<size_t>(offset(position)) * sizeof(T),
                  sizeof(T));
      return static_cast<double>(value);
    });
  }

  void set(int64_t position, double number) {
    visit_dtype(spec_.dtype, [&]<class T>() {
      T value;
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        value = T(static_cast<float>(number));
      } else {
        value = static_cast<T>(number);
      }
      std::memcpy(bytes_.data() + static_cast<size_t>(offset(position)) * sizeof(T), &value,
                  sizeof(T));
    });
  }

  /// Small numbers that every dtype holds (bool takes their truth).
  void fill(uint64_t seed) {
    const bool negative = is_signed(spec_.dtype);
    for (int64_t i = 0; i < numel(); ++i) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const auto number = static_cast<int64_t>(seed >> 40) % 50 - (negative ? 25 : 0);
      set(i, static_cast<double>(number) * (is_float(spec_.dtype) ? 0.25 : 1));
    }
  }

  bool same_bits(const TestArray& other) const { return bytes_ == other.bytes_; }

  std::string name() const {
    std::string strides = to_string(strides_);
    return to_string(spec_) + " with strides " + strides;
  }

 private:
  Spec spec_;
  Strides strides_;
  std::vector<std::byte> bytes_;
};

/// How far a result may be from double arithmetic, relative to the size of its parts.
inline double tolerance(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 1e-13;
    case DType::f32:
      return 2e-6;
    case DType::f16:
      return 2e-3;
    case DType::bf16:
      return 2e-2;
    default:
      return 0;
  }
}

}  // namespace taper::test

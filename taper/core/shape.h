#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/dtype.h>

namespace taper {

/// Up to `max_rank` signed sizes, stored inline. Also holds strides (in elements) and axes.
class TAPER_API Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() {}  // NOLINT: the sizes beyond the rank mean nothing and stay uninitialised
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  Shape(const std::vector<int64_t>& sizes) : Shape(std::span(sizes)) {}
  /// Throws value if there are more than `max_rank` sizes.
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  /// The size of `axis`, counted from the end if negative. Throws index.
  int64_t operator[](int64_t axis) const { return sizes_[place_of(axis)]; }
  int64_t& operator[](int64_t axis) { return sizes_[place_of(axis)]; }
  const int64_t* begin() const { return sizes_; }
  const int64_t* end() const { return sizes_ + rank_; }
  int64_t* begin() { return sizes_; }
  int64_t* end() { return sizes_ + rank_; }
  int64_t back() const { return (*this)[-1]; }
  std::vector<int64_t> to_vector() const { return {begin(), end()}; }

  /// Throw value for one axis too many.
  void push_back(int64_t size);
  /// The new axis in front of `axis`, from 0 to rank(). Throws index.
  void insert(int64_t axis, int64_t size);
  /// Throws index.
  void erase(int64_t axis);

  /// Product of the sizes; 1 for rank 0.
  int64_t numel() const {
    int64_t count = 1;
    for (int64_t size : *this) count *= size;
    return count;
  }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (sizes_[i] != other.sizes_[i]) return false;
    }
    return true;
  }

 private:
  size_t place_of(int64_t axis) const {
    const auto place = static_cast<uint64_t>(axis < 0 ? axis + rank_ : axis);
    if (place >= rank_) [[unlikely]]
      fail_axis(axis);
    return place;
  }
  [[noreturn]] void fail_axis(int64_t axis) const;

  uint8_t rank_ = 0;
  int64_t sizes_[max_rank];  // copied whole: cheaper than a loop over the rank
};

using Strides = Shape;

/// `[8,32,28,28]`
TAPER_API std::string to_string(const Shape& shape);
TAPER_API std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// Strides of a dense row-major array.
TAPER_API Strides row_major_strides(const Shape& shape);

/// Strides of a dense [N,C,H,W] array whose memory order is N,H,W,C.
TAPER_API Strides channels_last_strides(const Shape& shape);

/// Dense strides in the memory order of `like` (same rank): what an elementwise result takes.
TAPER_API Strides strides_in_order_of(const Shape& shape, const Strides& like);

/// True if walking `shape` in row-major order visits memory without gaps.
TAPER_API bool is_row_major(const Shape& shape, const Strides& strides);

/// True if the elements fill one gap-free block in some order, so that it can be walked flat.
TAPER_API bool is_dense(const Shape& shape, const Strides& strides);

/// `axis` counted from the end if negative; throws Violation(index) outside [-rank, rank).
TAPER_API int normalize_axis(int64_t axis, int rank);

/// The common shape as NumPy broadcasts; throws Violation(shape).
TAPER_API Shape broadcast_shapes(const Shape& a, const Shape& b);

/// Bytes for `numel` elements; throws value if a size is negative or the product overflows.
TAPER_API size_t checked_bytes(const Shape& shape, DType dtype);

enum class DeviceKind : uint8_t { cpu, cuda };

/// Where a tensor's memory is: a kind of device and its number.
struct alignas(2) Device {
  DeviceKind kind = DeviceKind::cpu;
  uint8_t index = 0;
  bool operator==(const Device&) const = default;
};

/// `cpu`, `cuda:1`
TAPER_API std::string to_string(Device device);
/// The device of such a text; `cuda` is `cuda:0`. Throws not_found for another.
TAPER_API Device parse_device(std::string_view text);

/// What is known of a tensor without its data.
struct Spec {
  DType dtype = DType::f32;
  Device device = {};
  Shape shape;
  bool operator==(const Spec&) const = default;
};

/// `f32[8,32,28,28]`, with its device where that is not the CPU: `f32[8] on cuda:1`.
TAPER_API std::string to_string(const Spec& spec);
TAPER_API std::ostream& operator<<(std::ostream& out, const Spec& spec);

}  // namespace taper

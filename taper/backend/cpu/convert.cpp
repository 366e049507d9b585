#include <taper/backend/cpu/convert.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/pack.h>
#include <taper/backend/cpu/strided.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {
namespace {

/// Conversions to a complex dtype, a piece at a time: packed, converted as real numbers, and put
/// beside zeros where they have no imaginary parts.
class ComplexRows {
 public:
  ComplexRows(DType to, DType from)
      : item_(item_size(to)),
        from_item_(item_size(from)),
        part_(real_of(to)),
        from_part_(real_of(from)),
        has_parts_(is_complex(from)),
        convert_(
            conversion_tiles().rows[static_cast<size_t>(from_part_)][static_cast<size_t>(part_)]) {}

  void run(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
           int64_t n) const {
    for (int64_t first = 0; first < n; first += piece) {
      convert_piece(from + first * from_step, from_step, to + first * to_step, to_step,
                    std::min(piece, n - first));
    }
  }

 private:
  static constexpr int64_t piece = 512;
  struct alignas(64) Memory {
    std::byte bytes[static_cast<size_t>(piece) * sizeof(Complex<double>)];
  };

  void convert_piece(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
                     int64_t n) const {
    Memory packed;
    Memory parts;
    Memory whole;
    if (from_step != static_cast<int64_t>(from_item_)) {
      pack_kernels().pack[pack_index(from_item_)](from, from_step, packed.bytes, n);
      from = packed.bytes;
    }
    const bool is_apart = to_step != static_cast<int64_t>(item_);
    std::byte* const target = is_apart ? whole.bytes : to;
    std::byte* const converted = has_parts_ ? target : parts.bytes;
    if (convert_ != nullptr) {
      convert_(from, static_cast<int64_t>(item_size(from_part_)), converted,
               static_cast<int64_t>(item_size(part_)), has_parts_ ? 2 * n : n);
      from = converted;
    }
    if (!has_parts_) beside_zeros(from, target, n);
    if (!is_apart) return;
    for (int64_t i = 0; i < n; ++i) {
      std::memcpy(to + i * to_step, target + i * static_cast<int64_t>(item_), item_);
    }
  }

  void beside_zeros(const std::byte* from, std::byte* to, int64_t n) const {
    const auto put = [&]<class T>(T zero) {
      const T* real = reinterpret_cast<const T*>(from);
      T* both = reinterpret_cast<T*>(to);
      for (int64_t i = 0; i < n; ++i) {
        both[2 * i] = real[i];
        both[2 * i + 1] = zero;
      }
    };
    part_ == DType::f32 ? put(0.f) : put(0.0);
  }

  size_t item_;
  size_t from_item_;
  DType part_;
  DType from_part_;
  bool has_parts_;
  ConvertRow convert_;  // null for the same dtype
};

/// One row to another dtype; of complex numbers only to complex ones.
class Rows {
 public:
  Rows(DType to, DType from)
      : complex_(to, from),
        is_complex_(is_complex(to)),
        convert_(conversion_tiles().rows[static_cast<size_t>(from)][static_cast<size_t>(to)]) {}
  void run(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
           int64_t n) const {
    if (is_complex_) return complex_.run(from, from_step, to, to_step, n);
    convert_(from, from_step, to, to_step, n);
  }

 private:
  ComplexRows complex_;
  bool is_complex_;
  ConvertRow convert_;
};

}  // namespace

void copy_convert(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                  DType from_dtype, const Strides& from_strides, const Shape& shape) {
  constexpr int64_t elements_a_thread = int64_t{1} << 16;
  if (to_dtype == from_dtype) {
    return copy_strided(to, to_strides, from, from_strides, shape, item_size(to_dtype));
  }
  if (shape.numel() == 0) return;
  TAPER_CHECK(is_complex(to_dtype) || !is_complex(from_dtype));
  const Rows rows(to_dtype, from_dtype);
  const std::array strides = {to_strides, from_strides};
  const std::array sizes = {item_size(to_dtype), item_size(from_dtype)};
  const StridedLoop loop(shape, strides, sizes);
  const int64_t to_step = loop.inner_stride(0);
  const int64_t from_step = loop.inner_stride(1);
  const int64_t count = loop.inner();
  if (loop.rank == 1) {  // one long row: split the row itself
    return parallel_for(count, elements_a_thread, [&](int64_t begin, int64_t end) {
      rows.run(from + begin * from_step, from_step, to + begin * to_step, to_step, end - begin);
    });
  }
  const int64_t grain = std::max<int64_t>(1, elements_a_thread / count);
  parallel_for(loop.rows(), grain, [&](int64_t begin, int64_t end) {
    std::byte* const bases[] = {to, const_cast<std::byte*>(from)};
    loop.for_rows(bases, begin, end,
                  [&](std::byte* const* at) { rows.run(at[1], from_step, at[0], to_step, count); });
  });
}

}  // namespace taper

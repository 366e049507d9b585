#include <taper/backend/cpu/random.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/kernels.h>
#include <taper/backend/cpu/tiles.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const RandomKernels random_kernels;
}
namespace v4 {
extern const RandomKernels random_kernels;
}

namespace {

constexpr int64_t piece = 512;            // elements made at a time: a multiple of any block's
constexpr int64_t uniform_grain = 32768;  // elements in about 25 µs
constexpr int64_t normal_grain = 8192;

const RandomKernels& kernels() {
  return isa() == Isa::v4 ? v4::random_kernels : v3::random_kernels;
}

void widen(DType dtype, const uint16_t* from, float* to, int64_t count) {
  const ConversionTiles& convert = conversion_tiles();
  (dtype == DType::f16 ? convert.f16_to_f32 : convert.bf16_to_f32)(from, to,
                                                                   static_cast<size_t>(count));
}

void narrow(DType dtype, const float* from, uint16_t* to, int64_t count) {
  const ConversionTiles& convert = conversion_tiles();
  (dtype == DType::f16 ? convert.f32_to_f16 : convert.f32_to_bf16)(from, to,
                                                                   static_cast<size_t>(count));
}

/// Runs `body(first, count)` over [0, count) in parallel, each part starting at a whole piece.
template <class Body>
void for_pieces(int64_t count, int64_t grain, Body body) {
  const int64_t pieces = (count + piece - 1) / piece;
  parallel_for(pieces, grain / piece, [&](int64_t begin, int64_t end) {
    body(begin * piece, std::min(end * piece, count) - begin * piece);
  });
}

/// Calls `body(first, count)` for the single pieces of a part.
template <class Body>
void for_each_piece(int64_t first, int64_t count, Body body) {
  for (int64_t i = 0; i < count; i += piece) body(first + i, std::min(piece, count - i));
}

/// A row-major copy of a view, or room for a result that goes back to it.
class Packed {
 public:
  Packed(const View& view, bool load) : view_(view), strides_(row_major_strides(view.shape())) {
    if (view.row_major) return;
    const size_t item = item_size(view.dtype());
    bytes_ = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(view.numel()) * item);
    if (load) copy_strided(bytes_.get(), strides_, view.data, *view.strides, view.shape(), item);
  }

  View view() const {
    if (!bytes_) return view_;
    return {bytes_.get(), view_.spec, &strides_, true};
  }

  void store() const {
    if (!bytes_) return;
    copy_strided(view_.data, *view_.strides, bytes_.get(), strides_, view_.shape(),
                 item_size(view_.dtype()));
  }

 private:
  const View& view_;
  Strides strides_;
  std::unique_ptr<std::byte[]> bytes_;
};

/// The stream at `element`, the first one of a block.
template <class E>
RandomStream stream_at(uint64_t key, uint64_t offset, int64_t element) {
  return {key, offset + static_cast<uint64_t>(element) / (sizeof(E) == 4 ? 4 : 2)};
}

/// Fills with floats: `make(E*, stream, count)` makes neighbouring elements.
template <class Make>
void fill_floats(const View& out, uint64_t key, uint64_t offset, int64_t grain, Make make) {
  const Packed packed(out, false);
  const View to = packed.view();
  for_pieces(out.numel(), grain, [&](int64_t first, int64_t count) {
    if (to.dtype() == DType::f32) {
      make(to.as<float>() + first, stream_at<float>(key, offset, first), count);
    } else if (to.dtype() == DType::f64) {
      make(to.as<double>() + first, stream_at<double>(key, offset, first), count);
    } else {
      for_each_piece(first, count, [&](int64_t begin, int64_t some) {
        float wide[piece];
        make(wide, stream_at<float>(key, offset, begin), some);
        narrow(to.dtype(), wide, to.as<uint16_t>() + begin, some);
      });
    }
  });
  packed.store();
}

template <class E>
const RandomKernelsOf<E>& kernels_of() {
  if constexpr (std::is_same_v<E, float>) {
    return kernels().f32;
  } else {
    return kernels().f64;
  }
}

/// The largest number of a 16-bit format below the positive or negative `end`.
template <class Short>
float before_short(float end) {
  const auto is_below = [&](uint16_t bits) {
    Short value;
    value.bits = bits;
    return static_cast<float>(value) < end;
  };
  const auto above = Short(end).bits;
  Short result;
  if ((above & 0x7fffu) == 0) {
    result.bits = 0x8001u;  // the negative number nearest to 0
  } else {
    const bool negative = (above & 0x8000u) != 0;
    result.bits = is_below(above) ? above : static_cast<uint16_t>(negative ? above + 1 : above - 1);
  }
  return static_cast<float>(result);
}

/// The largest number of the dtype below `end`, not below `first`: rounding must not give `high`.
template <class E>
E highest_below(E end, E first, DType dtype) {
  if (!(end > first)) return first;
  E highest = std::nextafter(end, first);
  if (dtype == DType::f16) highest = before_short<Half>(static_cast<float>(end));
  if (dtype == DType::bf16) highest = before_short<BFloat16>(static_cast<float>(end));
  return std::max(highest, first);
}

/// `low`, or where numbers of the dtype near it are rounded to one below: the next one above,
/// unless that is not below `high`.
template <class E>
E lowest_from(double low, double high, DType dtype) {
  const E first = static_cast<E>(low);
  const auto next = [&](auto rounded, float above) {
    const bool falls = static_cast<float>(rounded) < static_cast<float>(first);
    return falls && above < high ? static_cast<E>(above) : first;
  };
  const auto end = -static_cast<float>(first);
  if (dtype == DType::f16) return next(Half(static_cast<float>(first)), -before_short<Half>(end));
  if (dtype == DType::bf16) {
    return next(BFloat16(static_cast<float>(first)), -before_short<BFloat16>(end));
  }
  return first;
}

template <class E>
void make_uniform(E* out, RandomStream stream, int64_t count, double low, double high,
                  DType dtype) {
  const E first = lowest_from<E>(low, high, dtype);
  const E highest = highest_below(static_cast<E>(high), first, dtype);
  kernels_of<E>().uniform(stream, out, count, first, static_cast<E>(high - low), highest);
}

template <class E>
void run_dropout(const View& x, const View& out, const View& mask, RandomStream stream,
                 uint32_t threshold, double scale) {
  for_pieces(out.numel(), uniform_grain, [&](int64_t first, int64_t count) {
    const RandomStream at = {stream.key, stream.block + static_cast<uint64_t>(first) / 4};
    kernels_of<E>().dropout(at, x.as<E>() + first, out.as<E>() + first, mask.as<uint8_t>() + first,
                            count, threshold, static_cast<E>(scale));
  });
}

void run_short_dropout(const View& x, const View& out, const View& mask, RandomStream stream,
                       uint32_t threshold, double scale) {
  for_pieces(out.numel(), uniform_grain, [&](int64_t part, int64_t size) {
    for_each_piece(part, size, [&](int64_t first, int64_t count) {
      float wide[piece];
      float result[piece];
      widen(x.dtype(), x.as<uint16_t>() + first, wide, count);
      const RandomStream at = {stream.key, stream.block + static_cast<uint64_t>(first) / 4};
      kernels().f32.dropout(at, wide, result, mask.as<uint8_t>() + first, count, threshold,
                            static_cast<float>(scale));
      narrow(out.dtype(), result, out.as<uint16_t>() + first, count);
    });
  });
}

/// Views of which each is dense in memory, with the same strides.
bool same_dense_order(const View& x, const View& out, const View& mask) {
  if (x.row_major && out.row_major && mask.row_major) return true;
  return *x.strides == *out.strides && *out.strides == *mask.strides &&
         is_dense(out.shape(), *out.strides);
}

void zero(const View& out) {
  const Packed packed(out, false);
  std::memset(packed.view().data, 0, static_cast<size_t>(out.numel()) * item_size(out.dtype()));
  packed.store();
}

}  // namespace

int64_t blocks_used(RandomKind kind, int64_t numel, DType dtype) {
  const bool two_words =
      kind == RandomKind::integers || (kind != RandomKind::dropout && dtype == DType::f64);
  const int64_t of_block = two_words ? 2 : 4;
  return (numel + of_block - 1) / of_block;
}

void fill_uniform(const View& out, uint64_t key, uint64_t offset, double low, double high) {
  fill_floats(out, key, offset, uniform_grain,
              [&]<class E>(E* to, RandomStream stream, int64_t count) {
                make_uniform(to, stream, count, low, high, out.dtype());
              });
}

void fill_normal(const View& out, uint64_t key, uint64_t offset, double mean, double std) {
  fill_floats(
      out, key, offset, normal_grain, [&]<class E>(E* to, RandomStream stream, int64_t count) {
        kernels_of<E>().normal(stream, to, count, static_cast<E>(mean), static_cast<E>(std));
      });
}

void fill_integers(const View& out, uint64_t key, uint64_t offset, int64_t low, int64_t high) {
  const Packed packed(out, false);
  const View to = packed.view();
  const auto start = static_cast<uint64_t>(low);
  const uint64_t range = static_cast<uint64_t>(high) - start;
  for_pieces(out.numel(), uniform_grain, [&](int64_t part, int64_t size) {
    for_each_piece(part, size, [&](int64_t first, int64_t count) {
      uint64_t words[piece];
      kernels().words64(stream_at<double>(key, offset, first), words, count);
      visit_dtype(to.dtype(), [&]<class T>() {
        T* target = to.as<T>() + first;
        for (int64_t i = 0; i < count; ++i) {
          const auto scaled =
              static_cast<uint64_t>((static_cast<unsigned __int128>(words[i]) * range) >> 64);
          target[i] = static_cast<T>(static_cast<int64_t>(start + scaled));
        }
      });
    });
  });
  packed.store();
}

void dropout(const View& x, const View& out, const View& mask, uint64_t key, uint64_t offset,
             double p) {
  if (out.numel() == 0) return;
  if (p >= 1) {
    zero(out);
    zero(mask);
    return;
  }
  if (!same_dense_order(x, out, mask)) {
    const Packed from(x, true);
    const Packed to(out, false);
    const Packed kept(mask, false);
    dropout(from.view(), to.view(), kept.view(), key, offset, p);
    to.store();
    kept.store();
    return;
  }
  const RandomStream stream{key, offset};
  const auto threshold = static_cast<uint32_t>(std::min(p * 0x1p32, 0x1p32 - 1));
  const double scale = 1 / (1 - p);
  if (out.dtype() == DType::f64) {
    run_dropout<double>(x, out, mask, stream, threshold, scale);
  } else if (out.dtype() == DType::f32) {
    run_dropout<float>(x, out, mask, stream, threshold, scale);
  } else {
    run_short_dropout(x, out, mask, stream, threshold, scale);
  }
}

}  // namespace taper

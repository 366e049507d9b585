#include <taper/backend/cpu/parts.h>

#include <algorithm>
#include <cstdlib>

#include <taper/backend/cpu/copy.h>
#include <taper/core/buffer.h>

namespace taper {

Part::Part(const View& whole, bool imaginary) : spec_(*whole.spec), strides_(*whole.strides) {
  spec_.dtype = real_of(spec_.dtype);
  for (int64_t& stride : strides_) stride *= 2;
  data_ = whole.data + (imaginary ? item_size(spec_.dtype) : 0);
}

namespace {

/// Complex numbers with an axis for their parts: the last one.
class Pairs {
 public:
  explicit Pairs(const View& whole) : spec_(*whole.spec), strides_(*whole.strides) {
    spec_.dtype = real_of(spec_.dtype);
    for (int64_t& stride : strides_) stride *= 2;
    spec_.shape.push_back(2);
    strides_.push_back(1);
    view_ = {whole.data, &spec_, &strides_, whole.row_major};
  }
  Pairs(const Pairs&) = delete;
  Pairs& operator=(const Pairs&) = delete;
  const View& view() const { return view_; }

 private:
  Spec spec_;
  Strides strides_;
  View view_;
};

/// Whether the nearest neighbours that are kept lie apart: their parts are not rows of columns.
bool keeps_scattered(const View& x, const Shape& axes) {
  int64_t nearest = INT64_MAX;
  bool is_kept = false;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t step = std::abs((*x.strides)[axis]);
    if (x.shape()[axis] == 1 || step == 0 || step >= nearest) continue;
    nearest = step;
    is_kept = std::find(axes.begin(), axes.end(), axis) == axes.end();
  }
  return is_kept && nearest != 1;
}

}  // namespace

void reduce_parts(ReduceKind kind, const View& x, const View& out, const Shape& axes) {
  if (x.rank() < Shape::max_rank && !keeps_scattered(x, axes)) {
    return reduce(kind, Pairs(x).view(), Pairs(out).view(), axes);
  }
  Spec spec = *out.spec;
  spec.dtype = real_of(spec.dtype);
  const size_t item = item_size(spec.dtype);
  const Buffer results(item * static_cast<size_t>(out.numel()));
  for (const bool imaginary : {false, true}) {
    const View part{results.data(), &spec, out.strides, true};
    reduce(kind, Part(x, imaginary).view(), part, axes);
    copy_strided(Part(out, imaginary).view().data, {2}, results.data(), {1}, {out.numel()}, item);
  }
}

}  // namespace taper

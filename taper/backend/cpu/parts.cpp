#include <taper/backend/cpu/parts.h>

#include <taper/backend/cpu/copy.h>
#include <taper/core/buffer.h>

namespace taper {

Part::Part(const View& whole, bool imaginary) : spec_(*whole.spec), strides_(*whole.strides) {
  spec_.dtype = real_of(spec_.dtype);
  for (int64_t& stride : strides_) stride *= 2;
  data_ = whole.data + (imaginary ? item_size(spec_.dtype) : 0);
}

void reduce_parts(ReduceKind kind, const View& x, const View& out, const Shape& axes) {
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

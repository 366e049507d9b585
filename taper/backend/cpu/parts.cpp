#include <taper/backend/cpu/parts.h>

#include <taper/backend/cpu/convert.h>
#include <taper/backend/cpu/copy.h>
#include <taper/core/tensor.h>

namespace taper {

Part::Part(const View& whole, bool imaginary) : spec_(*whole.spec), strides_(*whole.strides) {
  spec_.dtype = real_of(spec_.dtype);
  for (int64_t& stride : strides_) stride *= 2;
  data_ = whole.data + (imaginary ? item_size(spec_.dtype) : 0);
}

namespace {

void reduce_truth(ReduceKind kind, const View& x, const View& out, const Shape& axes) {
  const Buffer truth(static_cast<size_t>(x.numel()));
  const Spec spec{DType::boolean, x.spec->device, x.shape()};
  const Strides strides = row_major_strides(x.shape());
  std::byte* next = truth.data();
  visit<kinds::complex>(x.dtype(), [&]<class T>() {
    for_each_offset(x.shape(), *x.strides, [&](int64_t offset) {
      const T& element = x.as<const T>()[offset];
      *next++ = std::byte{element.re != 0 || element.im != 0};
    });
  });
  reduce(kind, {truth.data(), &spec, &strides, true}, out, axes);
}

}  // namespace

void reduce_parts(ReduceKind kind, const View& x, const View& out, const Shape& axes) {
  if (kind == ReduceKind::any || kind == ReduceKind::all) return reduce_truth(kind, x, out, axes);
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

#include <taper/core/tensor.h>

#include <cstdio>
#include <ostream>

namespace taper {

constinit thread_local Interpreter* interpreter = nullptr;
constinit thread_local uint32_t capture_number = 0;

template <>
TAPER_API void release(Storage* storage) {
  if (storage->foreign) {
    if (storage->free_foreign != nullptr) storage->free_foreign(storage->context);
    give_back(storage, storage_header_bytes);
    return;
  }
  give_back(storage, storage->bytes);
}

template <>
TAPER_API void release(TensorImpl* impl) {
  impl->~TensorImpl();
  give_back(impl, sizeof(TensorImpl));
}

namespace {

Ptr<Storage> new_storage(size_t data_bytes) {
  const size_t bytes = storage_header_bytes + data_bytes;
  auto* storage = new (allocate(bytes)) Storage;
  storage->bytes = bytes;
  storage->data = reinterpret_cast<std::byte*>(storage) + storage_header_bytes;
  return Ptr<Storage>(storage);
}

/// Makes `storage` (none while capturing) the memory of a tensor whose spec is set.
[[gnu::always_inline]] inline void attach(TensorImpl& impl, Ptr<Storage> storage, int64_t offset) {
  impl.offset = offset;
  if (storage) {
    impl.data = storage->data + offset * static_cast<int64_t>(item_size(impl.spec.dtype));
  }
  impl.storage = std::move(storage);
}

}  // namespace

Tensor empty(const Spec& spec) {
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  impl->spec = spec;
  impl->strides = row_major_strides(spec.shape);
  attach(*impl, new_storage(checked_bytes(spec.shape, spec.dtype)), 0);
  return result;
}

Tensor empty(const Shape& shape, DType dtype) { return empty(Spec{dtype, Device::cpu, shape}); }

Tensor empty_strided(const Spec& spec, const Strides& strides) {
  return empty_strided(spec, strides, is_row_major(spec.shape, strides));
}

Tensor empty_strided(const Spec& spec, const Strides& strides, bool row_major) {
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  impl->spec = spec;
  impl->strides = strides;
  impl->row_major = row_major;
  attach(*impl, new_storage(checked_bytes(spec.shape, spec.dtype)), 0);
  return result;
}

Tensor view_of(const Tensor& base, const Spec& spec, const Strides& strides, int64_t offset) {
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  impl->spec = spec;
  impl->strides = strides;
  impl->row_major = is_row_major(spec.shape, strides);
  attach(*impl, base.impl()->storage, offset);
  return result;
}

Tensor shallow_copy(const Tensor& tensor) {
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  const TensorImpl& from = *tensor.impl();
  impl->spec = from.spec;
  impl->strides = from.strides;
  impl->row_major = from.row_major;
  attach(*impl, from.storage, from.offset);
  impl->value_id = from.value_id;
  impl->capture = from.capture;
  return result;
}

Tensor from_foreign(const void* data, const Spec& spec, void (*free)(void*), void* context) {
  checked_bytes(spec.shape, spec.dtype);
  auto* storage = new (allocate(storage_header_bytes)) Storage;
  storage->foreign = true;
  storage->data = static_cast<std::byte*>(const_cast<void*>(data));
  storage->free_foreign = free;
  storage->context = context;
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  impl->spec = spec;
  impl->strides = row_major_strides(spec.shape);
  attach(*impl, Ptr<Storage>(storage), 0);
  return result;
}

void check_count(const Shape& shape, size_t given) {
  checked_bytes(shape, DType::u8);
  if (static_cast<size_t>(shape.numel()) != given) {
    fail(ErrorKind::value, "a tensor of shape " + to_string(shape) + " takes " +
                               std::to_string(shape.numel()) + " values, got " +
                               std::to_string(given));
  }
}

int64_t Tensor::size(int64_t axis) const {
  try {
    return shape()[normalize_axis(axis, rank())];
  } catch (const Violation& violation) {
    fail(violation.kind, "size: " + violation.rule + " (x " + to_string(spec()) + ")");
  }
}

void Tensor::fail_undefined() {
  fail(ErrorKind::value, "the tensor is undefined: it has no shape, dtype or values");
}

void Tensor::fail_without_data() const {
  if (interpreter == nullptr) {
    fail(ErrorKind::unsupported,
         "the tensor was made while a function was captured and holds no data (" +
             to_string(spec()) + "); return it from the captured function to have its value");
  }
  const std::string origin = interpreter->origin(*this);
  fail(ErrorKind::unsupported,
       origin + ": its value was asked for while the function is captured, when tensors have no " +
           "data (" + to_string(spec()) + "); choose with `where` instead of `if`, or compute " +
           "the value outside the captured function");
}

std::byte* Tensor::checked_data(DType wanted) const {
  if (dtype() != wanted) {
    fail(ErrorKind::dtype, "data: the tensor holds " + std::string(dtype_name(dtype())) + ", not " +
                               std::string(dtype_name(wanted)) + " (" + to_string(spec()) + ")");
  }
  if (!impl_->row_major) {
    fail(ErrorKind::value, "data: the elements are not in row-major order; call contiguous(x) (" +
                               to_string(spec()) + ")");
  }
  return raw();
}

void Tensor::check_writable() const {
  const std::byte* first = raw();
  if (impl_.sole_owner() && impl_->storage.sole_owner() && !impl_->storage->foreign && first)
    return;
  fail(ErrorKind::value,
       "mutable_data: the buffer is shared with another tensor (" + to_string(spec()) + ")");
}

double Tensor::item_as_double() const {
  if (numel() != 1) {
    fail(ErrorKind::value, "item: needs exactly one element, got " + to_string(spec()));
  }
  return visit_dtype(
      dtype(), [&]<class T>() { return static_cast<double>(*reinterpret_cast<const T*>(raw())); });
}

int64_t Tensor::item_as_int64() const {
  if (numel() != 1) {
    fail(ErrorKind::value, "item: needs exactly one element, got " + to_string(spec()));
  }
  return visit_dtype(
      dtype(), [&]<class T>() { return static_cast<int64_t>(*reinterpret_cast<const T*>(raw())); });
}

namespace {

constexpr int64_t most_printed = 6;  // longer axes show their first and last three

template <class T>
std::string element_text(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", static_cast<double>(value));
    return text;
  }
}

template <class T>
std::string nested_text(const T* data, const Shape& shape, const Strides& strides, int axis) {
  if (axis == shape.rank()) return element_text(*data);
  std::string text = "[";
  for (int64_t i = 0; i < shape[axis]; ++i) {
    if (shape[axis] > most_printed && i == most_printed / 2) {
      text += ", ...";
      i = shape[axis] - most_printed / 2;
    }
    text += i > 0 ? ", " : "";
    text += nested_text(data + i * strides[axis], shape, strides, axis + 1);
  }
  return text + "]";
}

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  if (!tensor.impl()->storage) return to_string(tensor.spec()) + " (captured)";
  return visit_dtype(tensor.dtype(), [&]<class T>() {
    return nested_text(reinterpret_cast<const T*>(tensor.raw()), tensor.shape(), tensor.strides(),
                       0) +
           " " + to_string(tensor.spec());
  });
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  return out << to_string(tensor);
}

}  // namespace taper

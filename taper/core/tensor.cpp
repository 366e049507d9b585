#include <taper/core/tensor.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
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
  TensorImpl* impl = new_impl(spec);
  Tensor result{Ptr<TensorImpl>(impl)};
  attach(*impl, new_storage(checked_bytes(spec.shape, spec.dtype)), 0);
  return result;
}

Tensor empty(const Shape& shape, DType dtype) { return empty(Spec{dtype, {}, shape}); }

Tensor& Results::behind(int i) {
  const auto at = static_cast<size_t>(i - inline_outputs);
  if (!more) more = std::make_unique<std::vector<Tensor>>();
  if (at >= more->size()) more->resize(at + 1);
  return (*more)[at];
}

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
  const Ptr<Storage>& storage = base.checked().storage;
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  impl->spec = spec;
  impl->strides = strides;
  impl->row_major = is_row_major(spec.shape, strides);
  attach(*impl, storage, offset);
  return result;
}

Tensor shallow_copy(const Tensor& tensor) {
  const TensorImpl& from = tensor.checked();
  TensorImpl* impl = new_impl();
  Tensor result{Ptr<TensorImpl>(impl)};
  impl->spec = from.spec;
  impl->strides = from.strides;
  impl->row_major = from.row_major;
  attach(*impl, from.storage, from.offset);
  impl->value_id = from.value_id;
  impl->capture = from.capture;
  if (!impl->storage && interpreter != nullptr) [[unlikely]]
    interpreter->note_copy(result);
  return result;
}

Tensor from_foreign(const void* data, const Spec& spec, void (*free)(void*), void* context) {
  checked_bytes(spec.shape, spec.dtype);
  auto* storage = new (allocate(storage_header_bytes)) Storage;
  storage->foreign = true;
  storage->data = static_cast<std::byte*>(const_cast<void*>(data));
  storage->free_foreign = free;
  storage->context = context;
  TensorImpl* impl = new_impl(spec);
  Tensor result{Ptr<TensorImpl>(impl)};
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
  return readable();
}

void Tensor::check_read() const {
  if (checked().storage) interpreter->check_read(*this);
}

void Tensor::check_writable() const {
  const std::byte* first = raw();
  if (impl_.sole_owner() && impl_->storage.sole_owner() && !impl_->storage->foreign && first)
    return;
  fail(ErrorKind::value,
       "mutable_data: the buffer is shared with another tensor (" + to_string(spec()) + ")");
}

Tensor::operator bool() const {
  if (!defined()) {
    fail(ErrorKind::value, "the tensor is undefined and so neither true nor false; ask defined()");
  }
  if (numel() != 1) {
    fail(ErrorKind::value, "only a tensor of one element is true or false, got " +
                               to_string(spec()) + "; say any(x) or all(x)");
  }
  return convert<bool>(item_as_number(), "bool");
}

Number Tensor::item_as_number() const {
  if (numel() != 1) {
    fail(ErrorKind::value, "item: needs exactly one element, got " + to_string(spec()));
  }
  return visit<kinds::every>(
      dtype(), [&]<class T>() { return number_of(*reinterpret_cast<const T*>(readable())); });
}

namespace {

// As in NumPy: a large tensor shows the first and last three of each axis.
constexpr int64_t most_printed_whole = 1000;
constexpr int64_t most_printed = 6;

template <class T>
std::string element_text(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (is_complex_type<T>) {
    const std::string imag = element_text(value.im);
    return element_text(value.re) + (imag[0] == '-' ? "" : "+") + imag + "j";
  } else if (value != value) {
    return "nan";  // whatever its sign bit says
  } else {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", static_cast<double>(value));
    return text;
  }
}

/// Writes elements as nested brackets: a line for each row, one more between matrices, and so on.
template <class T>
class Printer {
 public:
  Printer(const Shape& shape, const Strides& strides) : shape_(shape), strides_(strides) {}

  std::string print(const T* data) {
    if (shape_.numel() == 0) return "[]";
    if (shape_.rank() > 1) find_width(data, 0);
    return nested(data, 0);
  }

 private:
  bool is_shortened(int axis) const {
    return shape_.numel() > most_printed_whole && shape_[axis] > most_printed;
  }

  /// Calls `visit(i)` for the places of an axis that are shown.
  template <class Visit>
  void for_shown(int axis, Visit&& visit) const {
    for (int64_t i = 0; i < shape_[axis]; ++i) {
      if (is_shortened(axis) && i == most_printed / 2) i = shape_[axis] - most_printed / 2;
      visit(i);
    }
  }

  /// The columns of a matrix are as wide as its longest element.
  void find_width(const T* data, int axis) {
    if (axis == shape_.rank()) {
      width_ = std::max(width_, element_text(*data).size());
      return;
    }
    for_shown(axis, [&](int64_t i) { find_width(data + i * strides_[axis], axis + 1); });
  }

  std::string nested(const T* data, int axis) const {
    if (axis == shape_.rank()) {
      const std::string text = element_text(*data);
      return std::string(width_ - std::min(width_, text.size()), ' ') + text;
    }
    const int deeper = shape_.rank() - axis - 1;
    const std::string line = std::string(static_cast<size_t>(deeper), '\n') +
                             std::string(static_cast<size_t>(axis + 1), ' ');
    const std::string between = "," + (deeper > 0 ? line : " ");
    std::string text = "[";
    for_shown(axis, [&](int64_t i) {
      if (i > 0) text += between;
      if (is_shortened(axis) && i == shape_[axis] - most_printed / 2) text += "..." + between;
      text += nested(data + i * strides_[axis], axis + 1);
    });
    return text + "]";
  }

  const Shape& shape_;
  const Strides& strides_;
  size_t width_ = 0;
};

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  if (!tensor.impl()->storage) return to_string(tensor.spec()) + " (captured)";
  return visit<kinds::every>(tensor.dtype(), [&]<class T>() {
    Printer<T> printer(tensor.shape(), tensor.strides());
    return printer.print(reinterpret_cast<const T*>(tensor.raw())) + " " + to_string(tensor.spec());
  });
}

std::vector<Element> elements_of(const Tensor& x) {
  std::vector<Element> elements;
  elements.reserve(static_cast<size_t>(x.numel()));
  visit<kinds::every>(x.dtype(), [&]<class T>() {
    const auto* base = reinterpret_cast<const T*>(x.raw());
    for_each_offset(x.shape(), x.strides(),
                    [&](int64_t offset) { elements.emplace_back(base[offset]); });
  });
  return elements;
}

Tensor from_elements(const Shape& shape, DType dtype, const std::vector<Element>& elements) {
  check_count(shape, elements.size());
  Tensor tensor = empty(shape, dtype);
  const size_t item = item_size(dtype);
  std::byte* to = tensor.raw();
  for (const Element& element : elements) {
    std::memcpy(to, element.data(), item);
    to += item;
  }
  return tensor;
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  return out << to_string(tensor);
}

}  // namespace taper

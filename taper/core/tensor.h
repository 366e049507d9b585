#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <taper/core/allocator.h>
#include <taper/core/interpreter.h>
#include <taper/core/number.h>
#include <taper/core/pointer.h>
#include <taper/core/shape.h>

namespace taper {

/// What the tape knows of a tensor; the tape derives its nodes from it.
struct TapeRecord {
  std::atomic<uint32_t> refs{1};
};

struct IndexItem;
class Selection;
class State;

/// A counted buffer. Its header and its data are one block, except for foreign memory.
struct Storage {
  std::atomic<uint32_t> refs{1};
  uint32_t capture = capture_number;  // the capture that it was made in; 0 outside of any
  bool foreign = false;               // never written, never donated
  size_t bytes = 0;                   // of the whole block, header included
  std::byte* data = nullptr;
  void (*free_foreign)(void* context) = nullptr;
  void* context = nullptr;
};
inline constexpr size_t storage_header_bytes = 64;
static_assert(sizeof(Storage) <= storage_header_bytes);

/// What a Tensor points to.
struct TensorImpl {
  std::atomic<uint32_t> refs{1};
  int32_t value_id = -1;  // its number in the graph being captured
  uint32_t capture = 0;   // the number of the capture that `value_id` belongs to
  uint16_t output = 0;    // which output of `node` it is
  bool row_major : 1 = true;
  bool of_input : 1 = false;  // it stands for an operand of the function that is captured
  bool of_cell : 1 = false;   // it is what a State holds, which says whether it needs a gradient
  int64_t offset = 0;         // of the first element, in elements
  std::byte* data = nullptr;  // the first element
  Spec spec;
  Strides strides;
  Ptr<Storage> storage;  // null while capturing
  Ptr<TapeRecord> node;  // what the tape knows of it; null if it needs no gradient

  TensorImpl() = default;
  /// Row-major, its storage still to come.
  explicit TensorImpl(const Spec& dense) : spec(dense), strides(row_major_strides(dense.shape)) {}
};

/// An n-dimensional array with value semantics: copies share the buffer, and no write through one
/// tensor is ever seen through another. Views (slices, transposes, broadcasts) share it too.
///
/// Several threads may use one tensor, and copies of one, at once. To assign to a handle, to call
/// `set_requires_grad` or to run `backward` into a leaf is a write and excludes all other use.
class TAPER_API Tensor {
 public:
  /// The undefined tensor: an optional operand that is absent.
  Tensor() = default;
  explicit Tensor(Ptr<TensorImpl> impl) : impl_(std::move(impl)) {}

  bool defined() const { return static_cast<bool>(impl_); }
  /// The truth of a tensor of one element: whether it is not zero, `if (loss < 0.1)`. Throws value
  /// for other numbers of elements and for the undefined tensor, unsupported while capturing.
  explicit operator bool() const;

  // All that follows throws value for the undefined tensor.
  const Spec& spec() const { return checked().spec; }
  const Shape& shape() const { return checked().spec.shape; }
  const Strides& strides() const { return checked().strides; }
  DType dtype() const { return checked().spec.dtype; }
  Device device() const { return checked().spec.device; }
  int rank() const { return shape().rank(); }
  int64_t numel() const { return shape().numel(); }
  /// The size of `axis`, counted from the end if negative. Throws index.
  int64_t size(int64_t axis) const;
  /// True if the elements lie in memory in row-major order without gaps.
  bool is_contiguous() const { return checked().row_major; }

  /// The first element of a row-major tensor of exactly this type, to read. Throws dtype, value.
  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(checked_data(dtype_of<T>));
  }
  /// The same to write: only for a fresh tensor that nothing else shares. Throws value.
  template <class T>
  T* mutable_data() {
    check_writable();
    return reinterpret_cast<T*>(checked_data(dtype_of<T>));
  }
  /// The only element, converted to T as `convert` converts numbers. Throws value if there is not
  /// exactly one, or if T is an integer type that cannot hold it (NaN, out of range).
  template <class T = double>
  T item() const {
    return convert<T>(item_as_number(), "item");
  }
  /// All elements in row-major order, each converted as by `item`.
  template <class T>
  std::vector<T> to_vector() const;

  /// True if gradients flow to or through it.
  bool requires_grad() const { return static_cast<bool>(checked().node); }
  /// Makes it a leaf of the tape (or no part of it). Throws dtype if it is not floating, and
  /// unsupported for the value of a cell that needs a gradient: that is the cell's to say.
  Tensor& set_requires_grad(bool needed = true);
  /// The accumulated gradient of a leaf; undefined if there is none.
  Tensor grad() const;
  /// Clears the accumulated gradient of a leaf.
  void zero_grad();
  /// Adds the gradient of this one-element tensor to `grad()` of every leaf that it depends on.
  void backward(bool keep_graph = false) const;
  /// The same for a tensor of any shape, where `gradient`, with its shape and dtype, is what the
  /// loss behind it says of each element. Throws shape, value if `gradient` is undefined.
  void backward(const Tensor& gradient, bool keep_graph = false) const;
  /// The same values, cut off from the tape.
  Tensor detach() const;

  /// NumPy-style indexing: `x[1]`, `x[{1, Slice(0, 3), ellipsis, newaxis}]`. Reading gives a view
  /// where one is possible; assigning (`x[i] = v`) rebinds this handle to the changed values.
  Selection operator[](IndexItem item);
  Selection operator[](std::initializer_list<IndexItem> items);
  Tensor operator[](IndexItem item) const;
  Tensor operator[](std::initializer_list<IndexItem> items) const;

  TensorImpl* impl() const { return impl_.get(); }
  const Ptr<TensorImpl>& pointer() const { return impl_; }
  /// The first element, whatever the strides, for kernels: `data<T>()` is a program's way. Throws
  /// unsupported for a tensor that a capture made.
  std::byte* raw() const {
    if (!checked().storage) [[unlikely]]
      fail_without_data();
    return impl_->data;
  }

  /// Throws unsupported where a capture has left the tensor without data; not within one.
  void check_data() const {
    if (interpreter == nullptr) raw();
  }

  /// The object; throws value for the undefined tensor.
  const TensorImpl& checked() const {
    if (!impl_) [[unlikely]]
      fail_undefined();
    return *impl_;
  }

 private:
  /// The same for the program to look at: throws unsupported where a capture could not repeat it.
  std::byte* readable() const {
    if (interpreter != nullptr) [[unlikely]]
      check_read();
    return raw();
  }
  void check_read() const;
  std::byte* checked_data(DType wanted) const;
  void check_writable() const;
  Number item_as_number() const;
  [[noreturn]] void fail_without_data() const;
  [[noreturn]] static void fail_undefined();

  Ptr<TensorImpl> impl_;
};

/// The outputs of one op; the specs of its call say how many.
struct TAPER_API Results {
  Tensor tensor[inline_outputs];
  std::unique_ptr<std::vector<Tensor>> more = {};
  Tensor& operator[](int i) { return i < inline_outputs ? tensor[i] : behind(i); }
  const Tensor& operator[](int i) const {
    return i < inline_outputs ? tensor[i] : (*more)[static_cast<size_t>(i - inline_outputs)];
  }
  /// One of `more`, which grows to hold it.
  Tensor& behind(int i);
};

inline TensorImpl* new_impl() { return new (allocate(sizeof(TensorImpl))) TensorImpl; }
inline TensorImpl* new_impl(const Spec& dense) {
  return new (allocate(sizeof(TensorImpl))) TensorImpl(dense);
}

/// Uninitialised memory for `spec`, row-major. Throws value if it cannot be had.
TAPER_API Tensor empty(const Spec& spec);
TAPER_API Tensor empty(const Shape& shape, DType dtype = DType::f32);
/// The same with dense strides of another memory order.
TAPER_API Tensor empty_strided(const Spec& spec, const Strides& strides);
TAPER_API Tensor empty_strided(const Spec& spec, const Strides& strides, bool row_major);
/// Another layout over the same buffer; `offset` in elements from the buffer's start.
TAPER_API Tensor view_of(const Tensor& base, const Spec& spec, const Strides& strides,
                         int64_t offset);
/// A second handle object with the same data, not on the tape.
TAPER_API Tensor shallow_copy(const Tensor& tensor);

/// A tensor of this shape that holds `values` in row-major order. Throws value if the numbers of
/// elements differ.
template <class T>
Tensor from_values(const Shape& shape, std::span<const T> values);
template <class T>
Tensor from_values(const Shape& shape, const std::vector<T>& values) {
  if constexpr (std::is_same_v<T, bool>) {
    const auto bools = std::make_unique<bool[]>(values.size());
    std::copy(values.begin(), values.end(), bools.get());
    return from_values<T>(shape, std::span<const T>(bools.get(), values.size()));
  } else {
    return from_values<T>(shape, std::span<const T>(values));
  }
}

/// A 1-d tensor of the vector's or span's type.
template <class Vector>
  requires(std::same_as<Vector, std::vector<typename Vector::value_type>>)
Tensor tensor(const Vector& values) {
  return from_values({static_cast<int64_t>(values.size())}, values);
}
template <class T, size_t extent>
Tensor tensor(std::span<T, extent> values) {
  using Held = std::remove_const_t<T>;
  return from_values<Held>({static_cast<int64_t>(values.size())}, std::span<const Held>(values));
}
/// Reads memory that somebody else owns, row-major, without copying; it is never written.
/// `free(context)` runs when the last tensor over it goes away.
TAPER_API Tensor from_foreign(const void* data, const Spec& spec, void (*free)(void*),
                              void* context);

/// The number of elements and the fail text shared by `from_values`.
TAPER_API void check_count(const Shape& shape, size_t given);

template <class T>
Tensor from_values(const Shape& shape, std::span<const T> values) {
  check_count(shape, values.size());
  Tensor result = empty(shape, dtype_of<T>);
  T* out = result.mutable_data<T>();
  std::copy(values.begin(), values.end(), out);
  return result;
}

/// Calls `visit(element offset)` for every element in row-major order.
template <class Visit>
void for_each_offset(const Shape& shape, const Strides& strides, Visit&& visit) {
  int64_t index[Shape::max_rank] = {};
  const int64_t count = shape.numel();
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    visit(offset);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

namespace detail {

/// A stored element as T by the rule of numbers; the check costs only where it can fail.
template <class T, class S>
T element_as(S element) {
  if constexpr (is_complex_type<S> && ComplexNumber<T>) {
    return T(element);
  } else if constexpr (ComplexNumber<T>) {
    return T(static_cast<typename T::value_type>(element));
  } else if constexpr (is_complex_type<S> || (std::is_integral_v<T> && !std::is_same_v<S, T>)) {
    return convert<T>(number_of(element), "to_vector");
  } else {
    return static_cast<T>(element);
  }
}

}  // namespace detail

template <class T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> values;
  values.reserve(static_cast<size_t>(numel()));
  visit<kinds::every>(dtype(), [&]<class S>() {
    const auto* base = reinterpret_cast<const S*>(readable());
    if constexpr (std::is_same_v<S, T>) {
      if (is_contiguous()) return values.assign(base, base + numel());
    }
    for_each_offset(shape(), strides(),
                    [&](int64_t offset) { values.push_back(detail::element_as<T>(base[offset])); });
  });
  return values;
}

/// The elements in row-major order with all their bits, for oracles of rows that move them.
TAPER_API std::vector<Element> elements_of(const Tensor& x);
TAPER_API Tensor from_elements(const Shape& shape, DType dtype,
                               const std::vector<Element>& elements);

/// NumPy-like text: nested brackets, a matrix in rows with its columns aligned, long axes
/// shortened, with dtype and shape.
TAPER_API std::string to_string(const Tensor& tensor);
TAPER_API std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace taper

#pragma once

#include <concepts>
#include <initializer_list>
#include <optional>
#include <type_traits>
#include <variant>
#include <vector>

#include <taper/core/tensor.h>
#include <taper/ops/ops.h>

// NumPy-style indexing: `x[1]`, `x[{1, Slice(0, 3), ellipsis, newaxis}]`, `x[indices]`.

namespace taper {

/// start:stop:step of an axis as in Python; what is left out (std::nullopt) goes to the end.
struct Slice {
  std::optional<int64_t> start;
  std::optional<int64_t> stop;
  std::optional<int64_t> step;
  Slice() = default;
  Slice(std::optional<int64_t> from, std::optional<int64_t> to,
        std::optional<int64_t> by = std::nullopt)
      : start(from), stop(to), step(by) {}
};

struct NewAxis {};
struct Ellipsis {};
/// An axis of size one that x does not have.
inline constexpr NewAxis newaxis;
/// All axes that the other items leave.
inline constexpr Ellipsis ellipsis;

/// One item of an index. An integer picks one element of an axis and drops the axis; a tensor of
/// integers picks several and puts its own axes in the place of that axis; a bool tensor of the
/// sizes of some neighbouring axes picks where it is true and puts one axis in their place, of a
/// size that depends on its values, so it cannot be captured.
struct TAPER_API IndexItem {
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  IndexItem(T index) : value(static_cast<int64_t>(index)) {}  // NOLINT: implicit, as all here
  IndexItem(const Slice& slice) : value(slice) {}             // NOLINT
  IndexItem(NewAxis item) : value(item) {}                    // NOLINT
  IndexItem(Ellipsis item) : value(item) {}                   // NOLINT
  IndexItem(const Tensor& indices) : value(indices) {}        // NOLINT
  std::variant<int64_t, Slice, NewAxis, Ellipsis, Tensor> value;
};

/// The values that an index selects: a view where one is possible. Throws Error(index) for an
/// index out of range or too many of them.
TAPER_API Tensor index(const Tensor& x, const std::vector<IndexItem>& items);

/// x with the selected places replaced by `values`, which broadcast and take x's dtype. A donated
/// sole owner's buffer is reused. Assigning through a mask beside integers and slices, or through a
/// tensor of integers, is unsupported.
TAPER_API Tensor index_update(const Arg& x, const std::vector<IndexItem>& items,
                              const Operand& values);

/// What `x[...]` gives for an x that may change: the selected values, as a Tensor, which remembers
/// where they came from. Assigning to the expression `x[...]` rebinds x to the changed values;
/// a named Selection is a Tensor like any other and no longer changes x.
class TAPER_API Selection : public Tensor {
 public:
  Selection(const Selection&) = default;
  Selection& operator=(const Operand& values) &&;
  Selection& operator=(const Selection& values) &&;
  Selection& operator=(const Tensor& other) & {
    Tensor::operator=(other);
    return *this;
  }
  Selection& operator=(const Selection& other) & {
    Tensor::operator=(other);
    return *this;
  }
  Selection& operator+=(const Operand& values) &&;
  Selection& operator-=(const Operand& values) &&;
  Selection& operator*=(const Operand& values) &&;
  Selection& operator/=(const Operand& values) &&;

  /// `x[1][0] = v` changes x.
  Selection operator[](IndexItem item) &&;
  Selection operator[](std::initializer_list<IndexItem> items) &&;
  Selection operator[](IndexItem item) &;
  Selection operator[](std::initializer_list<IndexItem> items) &;
  Tensor operator[](IndexItem item) const&;
  Tensor operator[](std::initializer_list<IndexItem> items) const&;

 private:
  friend class Tensor;
  /// `outer` is the selection that `base` is the values of, if it is one to be changed.
  Selection(Tensor& base, Selection* outer, std::vector<IndexItem> items);
  void assign(const Operand& values);

  Tensor* base_;
  Selection* outer_;
  std::vector<IndexItem> items_;
};

}  // namespace taper

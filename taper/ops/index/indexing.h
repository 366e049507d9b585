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
/// integers picks several. A bool tensor of the sizes of some neighbouring axes stands for the
/// index tensors of its true elements, one for each of these axes; a 0-d one, or a bool, takes no
/// axis. Index tensors broadcast against each other, and their common axes stand in the place of
/// the axes that they pick from if these items, integers included, are neighbours, else in front:
/// NumPy's rules. How much a mask picks depends on its values, so it cannot be captured.
struct TAPER_API IndexItem {
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  IndexItem(T index) : value(static_cast<int64_t>(index)) {  // NOLINT: implicit, as all here
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(int64_t)) {
      if (std::get<int64_t>(value) < 0) fail_index(index);
    }
  }
  template <std::same_as<bool> T>
  IndexItem(T choice) : value(full({}, choice, DType::boolean)) {}  // NOLINT
  IndexItem(const Slice& slice) : value(slice) {}                   // NOLINT
  IndexItem(NewAxis item) : value(item) {}                          // NOLINT
  IndexItem(Ellipsis item) : value(item) {}                         // NOLINT
  IndexItem(const Tensor& indices) : value(indices) {}              // NOLINT
  std::variant<int64_t, Slice, NewAxis, Ellipsis, Tensor> value;

 private:
  /// Throws index: no axis is as long as this.
  [[noreturn]] static void fail_index(uint64_t index);
};

/// The values that an index selects: a view where one is possible. Throws Error(index) for an
/// index out of range or too many of them.
TAPER_API Tensor index(const Tensor& x, const std::vector<IndexItem>& items);

/// x with the selected places replaced by `values`, which broadcast and take x's dtype (a number as
/// `convert` says, a tensor as `astype` does); of equal
/// places the last value wins, and only it has a gradient. A donated sole owner's buffer is reused.
/// Through one mask, values that do not depend on the number of places can be captured.
TAPER_API Tensor index_update(const Arg& x, const std::vector<IndexItem>& items,
                              const Operand& values);

/// What `x[...]` gives for an x that may change: the selected values, as a Tensor, which remembers
/// where they came from. Assigning to the expression `x[...]` rebinds x to the changed values;
/// a named Selection is a Tensor like any other and no longer changes x.
class TAPER_API Selection : public Tensor {
 public:
  Selection(const Selection&) = default;
  // These give nothing: `x[0] = x[1] = 7` would have to read x again.
  void operator=(const Operand& values) &&;
  void operator=(const Selection& values) &&;
  Selection& operator=(const Tensor& other) & {
    Tensor::operator=(other);
    return *this;
  }
  Selection& operator=(const Selection& other) & {
    Tensor::operator=(other);
    return *this;
  }
  // As `x[i] = x[i] + v`. Throw dtype if that is floating and x holds integers.
  void operator+=(const Operand& values) &&;
  void operator-=(const Operand& values) &&;
  void operator*=(const Operand& values) &&;
  void operator/=(const Operand& values) &&;
  void operator%=(const Operand& values) &&;
  void operator&=(const Operand& values) &&;
  void operator|=(const Operand& values) &&;
  void operator^=(const Operand& values) &&;

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
  void update(const Tensor& values);

  Tensor* base_;
  Selection* outer_;
  std::vector<IndexItem> items_;
};

}  // namespace taper

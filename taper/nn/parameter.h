#pragma once

#include <memory>
#include <utility>

#include <taper/nn/module_state.h>

namespace taper::nn {

class NewParameter;

/// A cell as a member of a module: a place in it, whose cell is read through the module. So what
/// `forward` uses, what an optimizer trains and what `state_dict` saves cannot differ.
///
///   nn::Parameter weight = parameter("weight", zeros({2, 3}));
///   decoder.weight = encoder.weight;  // ties: one cell in both places from now on
///   State cell = net.weight;          // the cell that stands there now
class TAPER_API Parameter {
 public:
  /// No place at all, such as the bias of a layer without one.
  Parameter() = default;
  Parameter(std::shared_ptr<ModuleState> owner, size_t index)
      : owner_(std::move(owner)), index_(index) {}
  /// The same place; that of the copied module while a CloneScope lives.
  Parameter(const Parameter& other);
  /// The other one keeps its place, too: an empty one could be bound to another.
  // NOLINTNEXTLINE(performance-move-constructor-init)
  Parameter(Parameter&& other) noexcept : owner_(other.owner_), index_(other.index_) {}
  ~Parameter() = default;

  /// Puts the other's cell into this place. An optimizer that was attached before does not train
  /// it and throws at its next step. Throws value for a member without a cell on either side.
  Parameter& operator=(const Parameter& other);
  Parameter& operator=(const State& cell);
  /// A member without a place takes that of `parameter(...)` or `buffer(...)`, as in the body of a
  /// constructor. Throws value for one that has a place.
  Parameter& operator=(NewParameter&& other);
  /// Throws value: who moves a member does not mean to tie, and the place of another module's would
  /// be no part of this one.
  // NOLINTNEXTLINE(performance-noexcept-move-constructor)
  Parameter& operator=(Parameter&& other);

  /// Throws value if there is none, and within the call of a copy of a module that still has a
  /// child that was replaced.
  const State& cell() const {
    if (owner_ == nullptr || interpreter != nullptr || !owner_->plain) [[unlikely]]
      look_at_owner();
    return owner_->cells[index_].cell;
  }
  operator const State&() const& { return cell(); }  // NOLINT: a member stands for its cell
  /// `State w = parameter(...)` as a member would not follow the module.
  operator const State&() const&& = delete;

  explicit operator bool() const {
    if (interpreter != nullptr && owner_ != nullptr) [[unlikely]]
      detail::depend_on_version(owner_);
    return owner_ != nullptr;
  }
  bool operator==(const State& other) const { return owner_ != nullptr && cell() == other; }
  bool operator==(const Parameter& other) const {
    return owner_ == nullptr || other.owner_ == nullptr ? owner_ == other.owner_
                                                        : cell() == other.cell();
  }

  /// Those of the cell, see State.
  const std::string& name() const { return cell().name(); }
  Tensor value() const { return cell().value(); }
  void set(const Tensor& value) const { cell().set(value); }
  bool requires_grad() const { return cell().requires_grad(); }
  void set_requires_grad(bool needed) const { cell().set_requires_grad(needed); }
  Tensor grad() const { return cell().grad(); }
  void set_grad(const Tensor& grad) const { cell().set_grad(grad); }
  void zero_grad() const { cell().zero_grad(); }
  StateImpl* impl() const { return cell().impl(); }

 private:
  void look_at_owner() const;
  void put(const State& cell);

  std::shared_ptr<ModuleState> owner_;
  size_t index_ = 0;
};

/// What `parameter(...)` and `buffer(...)` give: a place for a member to take.
class TAPER_API NewParameter : public Parameter {
 public:
  using Parameter::Parameter;
};

/// Exchanges the cells of two places; a temporary, as `std::swap` makes one, could not keep one.
// NOLINTNEXTLINE(performance-noexcept-swap): a member without a cell has none to give
TAPER_API void swap(Parameter& a, Parameter& b);

/// A member for a cell that is saved but not trained.
using Buffer = Parameter;

}  // namespace taper::nn

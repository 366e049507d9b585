#pragma once

#include <string>

#include <taper/core/tensor.h>

namespace taper {

/// What a State points to.
struct StateImpl {
  std::atomic<uint32_t> refs{1};
  std::string name;
  Tensor value;          // on the tape through `leaf`, if there is one
  Ptr<TapeRecord> leaf;  // the autograd record; null if no gradient is needed
};

/// A named, shared cell for what changes over time: parameters, buffers, optimizer slots, counters,
/// random offsets. Copies of the handle share the cell. A captured function reads the cell anew at
/// each call and assigns it what the captured code assigned.
class TAPER_API State {
 public:
  /// No cell at all, such as the bias of a layer without one.
  State() = default;
  State(std::string name, Tensor value, bool requires_grad = false);
  explicit State(Ptr<StateImpl> impl) : impl_(std::move(impl)) {}
  /// While a CloneScope lives, a copy is a new cell with the same value.
  State(const State& other);
  State(State&&) noexcept = default;
  State& operator=(State other) noexcept {
    impl_ = std::move(other.impl_);
    return *this;
  }
  ~State() = default;

  explicit operator bool() const { return static_cast<bool>(impl_); }
  bool operator==(const State&) const = default;

  const std::string& name() const { return impl_->name; }
  void rename(std::string name) { impl_->name = std::move(name); }
  /// The present value; undefined if the cell is empty.
  Tensor value() const;
  /// Rebinds the cell. A parameter stays a leaf of the tape.
  void set(const Tensor& value) const;
  /// Moves the value out for an update that may reuse its buffer; the cell is empty until `set`.
  Tensor take() const;

  bool requires_grad() const { return static_cast<bool>(impl_->leaf); }
  void set_requires_grad(bool needed) const;
  /// The accumulated gradient; undefined if there is none or none is needed.
  Tensor grad() const;
  void set_grad(const Tensor& grad) const;
  void zero_grad() const;

  StateImpl* impl() const { return impl_.get(); }

 private:
  Ptr<StateImpl> impl_;
};

/// While it lives, copying a State on this thread makes (once for each cell) a new cell, and
/// copying a module handle a new module: this is how `clone` copies typed members too.
class TAPER_API CloneScope {
 public:
  CloneScope();
  ~CloneScope();
  CloneScope(const CloneScope&) = delete;
  CloneScope& operator=(const CloneScope&) = delete;
  static bool active();
  /// The copy made of `original` in this scope; null if none was made yet.
  static std::shared_ptr<void> find(const void* original);
  static void remember(const void* original, std::shared_ptr<void> copy);
};

}  // namespace taper

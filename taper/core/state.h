#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include <taper/core/function_ref.h>
#include <taper/core/tensor.h>

namespace taper {

/// What a State points to.
struct StateImpl {
  std::atomic<uint32_t> refs{1};
  std::string name;
  Tensor value;              // on the tape through `leaf`, if there is one; see `hold`
  Ptr<TapeRecord> leaf;      // the autograd record; null if no gradient is needed
  Ptr<TapeRecord> frozen;    // that of a cell which needs none for a while: it has the hooks
  bool counter = false;      // its value is reached through CounterAccess only
  bool is_gradient = false;  // that of a leaf
  uint32_t capture = capture_number;  // the capture that it was made in; 0 outside of any
  uint32_t departures = 0;            // from places in modules
  std::unique_ptr<const std::string> last_departure;  // why; null if it never left a place

  StateImpl() = default;
  ~StateImpl() { hold({}); }
  StateImpl(const StateImpl&) = delete;
  StateImpl& operator=(const StateImpl&) = delete;

  /// Takes a value that is no other cell's and, unless it was this one's before, has no other
  /// handle: nobody makes a leaf of it behind the cell's back.
  void hold(Tensor next) noexcept {
    if (value.defined()) value.impl()->of_cell = false;
    value = std::move(next);
    if (value.defined()) value.impl()->of_cell = true;
  }
};

/// A named, shared cell for what changes over time: parameters, buffers, optimizer slots, counters,
/// random offsets. Copies of the handle share the cell. A captured function reads the cell anew at
/// each call and assigns it what the captured code assigned.
///
/// Several threads may read a cell at once; a write (`set`, `update`, an optimizer's step, a
/// backward pass that adds to `grad`) excludes all other use of that cell.
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

  // All that follows throws value where there is no cell.
  const std::string& name() const { return checked().name; }
  void rename(std::string name) { checked().name = std::move(name); }
  /// The present value; undefined if the cell is empty. That of a parameter is its leaf: gradients
  /// of what is computed from it, also later on, are the cell's. `value().detach()` is a snapshot.
  Tensor value() const;
  /// Rebinds the cell. A parameter stays a leaf of the tape.
  void set(const Tensor& value) const;

  bool requires_grad() const {
    if (interpreter != nullptr) [[unlikely]]
      depend_on_need();
    return static_cast<bool>(checked().leaf);
  }
  void set_requires_grad(bool needed) const;
  /// The accumulated gradient; undefined if there is none or none is needed.
  Tensor grad() const;
  /// Sets the gradient, or clears it with an undefined one. Throws shape or dtype if it is not like
  /// the value. Does nothing where no gradient is needed.
  void set_grad(const Tensor& grad) const;
  void zero_grad() const;

  /// Notes that another cell took this one's place in a module, whether or not it has a further
  /// one. `why`, for messages, is such as "`head` of `model` was replaced".
  void leave_place(const std::string& why) const;
  /// How often it did: what was attached to the cell before may miss the one that came.
  uint32_t departures() const;
  /// Empty if it never did.
  std::string last_departure() const;

  StateImpl* impl() const { return impl_.get(); }

 private:
  StateImpl& checked() const {
    if (!impl_) [[unlikely]]
      fail_null();
    return *impl_;
  }
  [[noreturn]] static void fail_null();
  /// A plan holds only while the cell needs a gradient, or none, as it does now.
  void depend_on_need() const;

  Ptr<StateImpl> impl_;
};

/// Gives a cell a new value: `f` gets the present one, which may be undefined, and returns the new
/// one. In there `old += x` and an op called with `donate(old)` may take the buffer for the result,
/// if nobody else holds it. Until `f` changes `old` or gives it away, the cell has its old value
/// whatever `f` throws: so what can refuse values comes first, and `old` is given up once, in the
/// end, to the op that makes the new value. An intermediate value, `old += 1`, stays; moved
/// elsewhere it is lost with what throws then.
TAPER_API void update(const State& cell, FunctionRef<Tensor(Tensor& old)> f);

/// The same for cells that one op changes together: `update({p, buffer}, [&](auto old) { ... })`.
TAPER_API void update(std::initializer_list<std::reference_wrapper<const State>> cells,
                      FunctionRef<Results(std::span<Tensor* const> old)> f);
TAPER_API void update(std::span<const State* const> cells,
                      FunctionRef<Results(std::span<Tensor* const> old)> f);

/// Gives each cell its value: all of them, or none where that throws, as for want of memory.
TAPER_API void set_together(std::span<const std::pair<State, Tensor>> values);

/// Gives a counter, such as a generator's key, the value `next(old)` and returns the old one. No
/// two threads get the same value. A counter is reached in no other way.
TAPER_API Tensor move_on(const State& counter, FunctionRef<Tensor(const Tensor& old)> next);

/// While it lives, `counter` has a value of its own on this thread.
class TAPER_API CounterScope {
 public:
  /// `first` makes that value when it is first asked for.
  CounterScope(const State& counter, std::function<Tensor()> first);
  ~CounterScope();
  CounterScope(const CounterScope&) = delete;
  CounterScope& operator=(const CounterScope&) = delete;

  /// The value of the innermost scope that was made in the same capture, or outside of any as this
  /// call; null if there is none.
  static Tensor* find(const State& counter);

 private:
  const StateImpl* counter_;
  std::function<Tensor()> first_;
  Tensor value_;
  uint32_t capture_;
  CounterScope* outer_;
};

/// While it lives, no other thread moves a counter on.
class TAPER_API CounterAccess {
 public:
  CounterAccess();
  /// The value to read and to assign: that of this thread's CounterScope, else the cell's.
  Tensor& value(const State& counter) const;

 private:
  std::lock_guard<std::mutex> lock_;
};

namespace detail {

/// Clears a gradient that is not like the cell's new value.
TAPER_API void drop_misfit_gradient(const State& cell, const Tensor& value);

/// What a cell that is assigned `value` holds. The cell's leaf lies in the handle's own object, so
/// one that somebody else has too is copied.
TAPER_API Tensor as_cell_value(const State& cell, const Tensor& value, bool is_own);

/// Moves a cell's value to `value`, as plain data, if nobody else holds it; else it stays in the
/// cell and `value` shares it.
TAPER_API bool give_up(const State& cell, Tensor& value);
TAPER_API void take_back(const State& cell, Tensor& value) noexcept;

}  // namespace detail

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

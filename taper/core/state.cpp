#include <taper/core/state.h>

#include <optional>
#include <unordered_map>
#include <utility>

#include <taper/core/error.h>

namespace taper {
namespace {

/// What was copied in the outermost scope, so that a shared cell stays shared in the copy.
struct Copies {
  int depth = 0;
  std::unordered_map<const void*, std::shared_ptr<void>> of;
};
thread_local Copies copies;
constinit thread_local bool cloning TAPER_TLS_FAST = false;

}  // namespace

template <>
TAPER_API void release(StateImpl* impl) {
  delete impl;
}

CloneScope::CloneScope() {
  ++copies.depth;
  cloning = true;
}

CloneScope::~CloneScope() {
  if (--copies.depth > 0) return;
  cloning = false;
  copies.of.clear();
}

bool CloneScope::active() { return cloning; }

std::shared_ptr<void> CloneScope::find(const void* original) {
  auto found = copies.of.find(original);
  return found == copies.of.end() ? nullptr : found->second;
}

void CloneScope::remember(const void* original, std::shared_ptr<void> copy) {
  copies.of[original] = std::move(copy);
}

State::State(std::string name, Tensor value, bool requires_grad)
    : impl_(Ptr<StateImpl>(new StateImpl)) {
  impl_->name = std::move(name);
  const Tensor given = std::move(value);
  impl_->hold(detail::as_cell_value(*this, given, given.defined() && given.pointer().sole_owner()));
  if (requires_grad) set_requires_grad(true);
}

State::State(const State& other) {
  if (!cloning || !other) {
    impl_ = other.impl_;
    return;
  }
  if (auto copy = CloneScope::find(other.impl())) {
    impl_ = *static_cast<Ptr<StateImpl>*>(copy.get());
    return;
  }
  const Tensor value = other.value();  // as a capture sees it
  impl_ = Ptr<StateImpl>(new StateImpl);
  impl_->name = other.name();
  if (value.defined()) impl_->hold(shallow_copy(value));  // values never change: one buffer
  if (other.requires_grad()) set_requires_grad(true);
  CloneScope::remember(other.impl(), std::make_shared<Ptr<StateImpl>>(impl_));
}

void State::fail_null() { fail(ErrorKind::value, "the State is null: it has no cell"); }

Tensor State::value() const {
  const StateImpl& impl = checked();
  if (interpreter != nullptr) [[unlikely]]
    return interpreter->read(*this);
  return impl.value;
}

void State::depend_on_need() const {
  checked();
  interpreter->depend_on(&impl_->leaf,
                         [impl = impl_] { return uint64_t{static_cast<bool>(impl->leaf)}; });
}

void State::set(const Tensor& value) const {
  checked();
  if (interpreter != nullptr) [[unlikely]] {
    interpreter->write(*this, value);
    return;
  }
  impl_->hold(detail::as_cell_value(*this, value, false));
  if (impl_->leaf) detail::drop_misfit_gradient(*this, value);
}

namespace detail {

Tensor as_cell_value(const State& cell, const Tensor& value, bool is_own) {
  const Ptr<TapeRecord>& leaf = cell.impl()->leaf;
  if (leaf && !(value.defined() && is_inexact(value.dtype()))) {
    fail(value.defined() ? ErrorKind::dtype : ErrorKind::value,
         "`" + cell.name() + "` needs gradients, so its value must be a floating tensor, got " +
             (value.defined() ? to_string(value.spec()) : "an undefined one"));
  }
  if (!value.defined()) return value;
  value.check_data();
  Tensor own = is_own ? value : shallow_copy(value);
  own.impl()->node = leaf;
  own.impl()->output = 0;
  return own;
}

bool give_up(const State& cell, Tensor& value) {
  value = Tensor();  // the caller's may be the other handle
  Tensor& held = cell.impl()->value;
  if (!held.defined() || !held.pointer().sole_owner()) {
    value = held;
    return false;
  }
  held.impl()->node = Ptr<TapeRecord>();
  held.impl()->of_cell = false;
  value = std::move(held);
  return true;
}

void take_back(const State& cell, Tensor& value) noexcept {
  if (!value.defined()) return;  // moved out by who was told to give it up last
  value.impl()->node = cell.impl()->leaf;
  cell.impl()->hold(std::move(value));
}

}  // namespace detail

namespace {

/// A cell's value while it is updated. Unless it gets a new one, it is put back in the end.
class Updated {
 public:
  explicit Updated(const State& cell) : cell_(&cell) {
    cell.name();  // throws for a null one
    if (interpreter != nullptr) {
      value_ = interpreter->read(cell);
    } else {
      given_ = detail::give_up(cell, value_);
      if (!given_ && value_.defined()) value_ = shallow_copy(value_);  // plain data here, too
    }
  }
  ~Updated() {
    if (given_) detail::take_back(*cell_, value_);
  }
  Updated(const Updated&) = delete;
  Updated& operator=(const Updated&) = delete;

  Tensor& old() { return value_; }

  /// The first half of an assignment, which may throw.
  void prepare(const Tensor& value) {
    next_ = detail::as_cell_value(*cell_, value, value.defined() && value.pointer().sole_owner());
  }
  void assign() noexcept {
    cell_->impl()->hold(std::move(next_));
    given_ = false;
  }

 private:
  const State* cell_;
  Tensor value_;
  Tensor next_;
  bool given_ = false;
};

void check_given(const State& cell, const Tensor& value) {
  if (value.defined()) return;
  fail(ErrorKind::value, "update: the function gave no value for `" + cell.name() + "`");
}

}  // namespace

void update(const State& cell, FunctionRef<Tensor(Tensor&)> f) {
  Updated updated(cell);
  const Tensor value = f(updated.old());
  check_given(cell, value);
  if (interpreter != nullptr) return interpreter->write(cell, value);
  updated.prepare(value);
  updated.assign();
  if (cell.impl()->leaf) detail::drop_misfit_gradient(cell, value);
}

void update(std::initializer_list<std::reference_wrapper<const State>> cells,
            FunctionRef<Results(std::span<Tensor* const>)> f) {
  TAPER_CHECK(cells.size() <= inline_outputs);
  const State* each[inline_outputs];
  size_t count = 0;
  for (const State& cell : cells) each[count++] = &cell;
  update(std::span<const State* const>(each, count), f);
}

void update(std::span<const State* const> cells, FunctionRef<Results(std::span<Tensor* const>)> f) {
  const size_t count = cells.size();
  TAPER_CHECK(count <= inline_outputs);
  std::optional<Updated> updated[inline_outputs];
  Tensor* old[inline_outputs];
  for (size_t k = 0; k < count; ++k) {
    for (size_t i = 0; i < k; ++i) {
      if (*cells[i] == *cells[k]) {
        fail(ErrorKind::value, "update: `" + cells[k]->name() + "` is given twice");
      }
    }
    old[k] = &updated[k].emplace(*cells[k]).old();
  }
  const Results values = f({old, count});
  const auto value = [&](size_t i) -> const Tensor& { return values[static_cast<int>(i)]; };
  for (size_t i = 0; i < count; ++i) check_given(*cells[i], value(i));
  if (interpreter != nullptr) {
    for (size_t i = 0; i < count; ++i) interpreter->write(*cells[i], value(i));
    return;
  }
  for (size_t i = 0; i < count; ++i) updated[i]->prepare(value(i));
  for (size_t i = 0; i < count; ++i) updated[i]->assign();
  for (size_t i = 0; i < count; ++i) {
    if (cells[i]->impl()->leaf) detail::drop_misfit_gradient(*cells[i], value(i));
  }
}

void set_together(std::span<const std::pair<State, Tensor>> values) {
  if (interpreter != nullptr) {
    for (const auto& [cell, value] : values) interpreter->write(cell, value);
    return;
  }
  std::vector<Tensor> own;
  for (const auto& [cell, value] : values) {
    cell.name();  // throws for a null one
    own.push_back(detail::as_cell_value(cell, value, false));
  }
  for (size_t i = 0; i < own.size(); ++i) values[i].first.impl()->hold(std::move(own[i]));
  for (const auto& [cell, value] : values) {
    if (cell.impl()->leaf) detail::drop_misfit_gradient(cell, value);
  }
}

// -------------------------------------------------------------------------------- counters

namespace {

constinit thread_local CounterScope* innermost_scope = nullptr;

std::mutex& counter_mutex() {
  static std::mutex* const mutex = new std::mutex;  // outlives every static generator
  return *mutex;
}

}  // namespace

CounterScope::CounterScope(const State& counter, std::function<Tensor()> first)
    : counter_(counter.impl()),
      first_(std::move(first)),
      capture_(capture_number),
      outer_(std::exchange(innermost_scope, this)) {}

CounterScope::~CounterScope() { innermost_scope = outer_; }

Tensor* CounterScope::find(const State& counter) {
  for (CounterScope* scope = innermost_scope; scope != nullptr; scope = scope->outer_) {
    if (scope->counter_ != counter.impl() || scope->capture_ != capture_number) continue;
    if (!scope->value_.defined()) scope->value_ = scope->first_();
    return &scope->value_;
  }
  return nullptr;
}

CounterAccess::CounterAccess() : lock_(counter_mutex()) {}

Tensor& CounterAccess::value(const State& counter) const {
  Tensor* const own = CounterScope::find(counter);
  return own != nullptr ? *own : counter.impl()->value;
}

Tensor move_on(const State& counter, FunctionRef<Tensor(const Tensor&)> next) {
  counter.name();  // throws for a null one
  if (interpreter != nullptr) [[unlikely]]
    return interpreter->move_on(counter, next);
  const CounterAccess access;
  Tensor& value = access.value(counter);
  Tensor old = value;
  value = next(old);
  return old;
}

void State::leave_place(const std::string& why) const {
  ++checked().departures;
  impl_->last_departure = std::make_unique<const std::string>(why);
}

uint32_t State::departures() const {
  checked();
  if (interpreter != nullptr) {
    interpreter->depend_on(&impl_->departures,
                           [cell = *this] { return uint64_t{cell.impl()->departures}; });
  }
  return impl_->departures;
}

std::string State::last_departure() const {
  return checked().last_departure != nullptr ? *impl_->last_departure : std::string();
}

}  // namespace taper

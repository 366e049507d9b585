#include <taper/nn/parameter.h>

#include <taper/core/error.h>
#include <taper/nn/visit_modules.h>

namespace taper::nn {

Parameter::Parameter(const Parameter& other) : owner_(other.owner_), index_(other.index_) {
  if (owner_ != nullptr && CloneScope::active()) owner_ = detail::copy_state(owner_);
}

namespace {

[[noreturn]] void fail_without_place() {
  fail(ErrorKind::value,
       "module: a member without a cell, such as the bias of a layer without one, cannot be "
       "assigned; make the layer with it");
}

}  // namespace

Parameter& Parameter::operator=(const Parameter& other) {
  if (this == &other) return *this;
  put(other.cell());
  return *this;
}

Parameter& Parameter::operator=(const State& cell) {
  put(cell);
  return *this;
}

Parameter& Parameter::operator=(NewParameter&& other) {
  if (owner_ != nullptr) return *this = static_cast<Parameter&&>(other);
  owner_ = other.owner_;
  index_ = other.index_;
  return *this;
}

// NOLINTNEXTLINE(performance-noexcept-move-constructor)
Parameter& Parameter::operator=(Parameter&&) {
  if (owner_ == nullptr) fail_without_place();
  fail(ErrorKind::value,
       "module: `" + name() +
           "` was assigned a member that is moved or temporary, as `std::swap` and erasing from "
           "a vector do; both would be one cell. Name the other one to tie them, or say "
           "nn::swap(a, b)");
}

void Parameter::look_at_owner() const {
  if (owner_ == nullptr) {
    fail(ErrorKind::value,
         "module: this member has no cell, such as the bias of a layer without one; ask with "
         "`if (member)`");
  }
  if (interpreter != nullptr) detail::depend_on_version(owner_);
  // From outside one may look at what was replaced, such as to keep a part of it.
  if (owner_->lost.empty() || !LayerScope::active()) return;
  fail(ErrorKind::value,
       "module: " + owner_->lost +
           "; the module that computes with its cells was copied before: copy it again, and make "
           "a Trainer or Sequential that holds it anew");
}

// NOLINTNEXTLINE(performance-noexcept-swap)
void swap(Parameter& a, Parameter& b) {
  const State first = a.cell();
  a = b.cell();
  b = first;
}

void Parameter::put(const State& cell) {
  if (owner_ == nullptr) fail_without_place();
  if (!cell) fail(ErrorKind::value, "module: a member cannot be assigned a null cell");
  ModuleCell& place = owner_->cells[index_];
  if (place.cell == cell) return;
  const std::string why =
      "`" + place.name + "` of `" + owner_->name + "` was assigned another cell";
  const State before = std::exchange(place.cell, cell);
  ++owner_->version;
  before.leave_place(why);
}

}  // namespace taper::nn

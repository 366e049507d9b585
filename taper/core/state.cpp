#include <taper/core/state.h>

#include <unordered_map>
#include <utility>

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
  impl_->value = std::move(value);
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
  const Tensor& value = other.impl_->value;
  impl_ = Ptr<StateImpl>(new StateImpl);
  impl_->name = other.name();
  if (value) impl_->value = shallow_copy(value);  // values never change, so the buffer is shared
  if (other.requires_grad()) set_requires_grad(true);
  CloneScope::remember(other.impl(), std::make_shared<Ptr<StateImpl>>(impl_));
}

Tensor State::value() const {
  if (interpreter != nullptr) [[unlikely]]
    return interpreter->read(*this);
  return impl_->value;
}

Tensor State::take() const {
  if (interpreter != nullptr) [[unlikely]]
    return interpreter->read(*this);
  Tensor value = std::exchange(impl_->value, Tensor());
  // The record stays with the cell; the tensor that leaves is plain data.
  if (value && impl_->leaf) {
    if (value.pointer().sole_owner()) {
      value.impl()->node = Ptr<TapeRecord>();
    } else {
      value = shallow_copy(value);
    }
  }
  return value;
}

void State::set(const Tensor& value) const {
  if (interpreter != nullptr) [[unlikely]] {
    interpreter->write(*this, value);
    return;
  }
  if (!value || (!impl_->leaf && !value.requires_grad())) {
    impl_->value = value;
    return;
  }
  impl_->value = shallow_copy(value);
  impl_->value.impl()->node = impl_->leaf;
}

}  // namespace taper

#pragma once

#include <atomic>
#include <utility>

namespace taper {

/// Destroys an object whose last reference went away; each counted type has its own.
template <class T>
void release(T* object);

/// Intrusive counted pointer to a T that has `std::atomic<uint32_t> refs` starting at 1.
template <class T>
class Ptr {
 public:
  Ptr() = default;
  /// Takes over one reference.
  explicit Ptr(T* adopted) : object_(adopted) {}
  Ptr(const Ptr& other) : object_(other.object_) {
    if (object_) object_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Ptr(Ptr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ptr& operator=(Ptr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  [[gnu::always_inline]] ~Ptr() {
    if (object_) drop(object_);  // most handles that go away are empty
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Ptr&) const = default;
  bool sole_owner() const { return object_ && object_->refs.load(std::memory_order_acquire) == 1; }

 private:
  static void drop(T* object) {
    // A sole owner needs no locked instruction.
    if (object->refs.load(std::memory_order_acquire) == 1 ||
        object->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      release(object);
    }
  }

  T* object_ = nullptr;
};

}  // namespace taper

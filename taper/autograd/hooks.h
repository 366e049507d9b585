#pragma once

#include <functional>
#include <utility>

#include <taper/core/tensor.h>

namespace taper {

/// Removes a hook. Letting the handle go does not.
class TAPER_API HookHandle {
 public:
  HookHandle() = default;
  explicit HookHandle(std::function<void()> remove) : remove_(std::move(remove)) {}
  /// Does nothing the second time.
  void remove() {
    if (auto remove = std::exchange(remove_, nullptr)) remove();
  }

 private:
  std::function<void()> remove_;
};

/// `hook` sees the gradient of `tensor` in each backward pass, once it is complete, and may give
/// another of the same shape and dtype in its place (undefined: none). Hooks run in order of their
/// registration. For a parameter: `register_hook(cell.value(), hook)`.
/// Throws value if the tensor is not on the tape.
TAPER_API HookHandle register_hook(const Tensor& tensor, std::function<Tensor(const Tensor&)> hook);

}  // namespace taper

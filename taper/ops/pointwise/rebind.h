#pragma once

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

namespace taper {

/// Throws where an update of a leaf under `no_grad` changed its shape or dtype.
void check_leaf_update(const Spec& leaf, const Spec& updated);

/// The update `a = op(a, b)` in place: `a`'s buffer is reused if nothing else shares it, and a leaf
/// under `no_grad` stays one.
template <class Binary>
Tensor& rebind(Tensor& a, const Operand& b, const Binary& op) {
  if (interpreter != nullptr && a.defined()) [[unlikely]]
    interpreter->check_update(a);
  Ptr<TapeRecord> leaf = kept_leaf(a);
  Tensor updated = op({donate(a), b});
  if (leaf) [[unlikely]] {
    check_leaf_update(a.spec(), updated.spec());
    updated = as_leaf(updated, std::move(leaf));
  }
  a = std::move(updated);
  return a;
}

}  // namespace taper

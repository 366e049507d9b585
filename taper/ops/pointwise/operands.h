#pragma once

#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

namespace taper {

struct Promoted {
  Tensor x1;
  Tensor x2;
};

/// Both operands with the dtype that they promote to; numbers become 0-d tensors.
Promoted promote_operands(const Operand& x1, const Operand& x2, bool to_float = false);

/// Calls a binary op, with promotion only where the operands are not two tensors of one dtype.
template <class Binary>
Tensor call_promoted(const Binary& op, const Operand& x1, const Operand& x2,
                     bool to_float = false) {
  const Tensor* a = x1.tensor();
  const Tensor* b = x2.tensor();
  if (a != nullptr && b != nullptr && a->defined() && b->defined() && a->dtype() == b->dtype() &&
      (!to_float || is_float(a->dtype()))) {
    return op({*a, *b});
  }
  const Promoted both = promote_operands(x1, x2, to_float);
  return op({both.x1, both.x2});
}

/// Throws where an update of a leaf under `no_grad` would change its shape or dtype.
void check_leaf_update(const Tensor& leaf, const Promoted& both);

/// The update `a = op(a, b)` in place: `a`'s buffer is reused if nothing else shares it, and a leaf
/// under `no_grad` stays one.
template <class Binary>
Tensor& rebind(Tensor& a, const Operand& b, const Binary& op, bool to_float = false) {
  Promoted both = promote_operands(a, b, to_float);
  Ptr<TapeRecord> leaf = kept_leaf(a);
  if (leaf) [[unlikely]]
    check_leaf_update(a, both);
  const bool unchanged = both.x1.pointer() == a.pointer();
  if (unchanged) both.x1 = Tensor();  // so that `a` may be the buffer's only owner
  a = op({unchanged ? donate(a) : Arg(both.x1), both.x2});
  if (leaf) [[unlikely]]
    a = as_leaf(a, std::move(leaf));
  return a;
}

/// Integers and bools as f32, floats as they are.
Tensor to_floating(const Tensor& x);

}  // namespace taper

#pragma once

#include <taper/ops/ops.h>

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

/// Integers and bools as f32, floats as they are.
Tensor to_floating(const Tensor& x);

}  // namespace taper

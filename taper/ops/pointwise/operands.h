#pragma once

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

namespace taper {

struct Promoted {
  Tensor x1;
  Tensor x2;
};

/// Both operands with the dtype that they promote to; numbers become 0-d tensors. `op` stands in
/// the error for a number that does not fit.
Promoted promote_operands(const Operand& x1, const Operand& x2, std::string_view op,
                          bool to_float = false);

enum class Relation : uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };

/// What a comparison of an integer or bool tensor with a number comes to in the tensor's dtype:
/// every number has an integer at which the relation changes, or holds everywhere or nowhere.
struct Comparison {
  Tensor x1;
  Relation relation;
  Tensor x2;
};
/// `x` stands on the left of `relation`.
Comparison exact_comparison(const Tensor& x, Relation relation, const Number& number);
/// The relation with its sides exchanged: `a < b` is `b > a`.
Relation mirrored(Relation relation);

inline std::string_view name_of(const OpBase& op) { return op.name; }

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
  const Promoted both = promote_operands(x1, x2, name_of(op), to_float);
  return op({both.x1, both.x2});
}

/// Calls the comparison that `ops` gives for `relation`, exactly for a number beside integers.
template <class Ops>
Tensor compare(const Ops& ops, Relation relation, const Operand& x1, const Operand& x2) {
  const auto is_exact = [](const Operand& x) {
    return x.tensor() != nullptr && x.tensor()->defined() && !is_float(x.tensor()->dtype());
  };
  if (x2.scalar() && is_exact(x1)) {
    const Comparison exact = exact_comparison(*x1.tensor(), relation, *x2.scalar());
    return ops(exact.relation, exact.x1, exact.x2);
  }
  if (x1.scalar() && is_exact(x2)) return compare(ops, mirrored(relation), x2, x1);
  return ops(relation, x1, x2);
}

/// Throws where an update of a leaf under `no_grad` would change its shape or dtype.
void check_leaf_update(const Tensor& leaf, const Promoted& both);

/// The update `a = op(a, b)` in place: `a`'s buffer is reused if nothing else shares it, and a leaf
/// under `no_grad` stays one.
template <class Binary>
Tensor& rebind(Tensor& a, const Operand& b, const Binary& op, bool to_float = false) {
  if (interpreter != nullptr && a.defined()) [[unlikely]]
    interpreter->check_update(a);
  Promoted both = promote_operands(a, b, name_of(op), to_float);
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

#include <cmath>

#include <taper/ops/composed.h>
#include <taper/ops/pointwise/operands.h>
#include <taper/ops/pointwise/pointwise.h>

namespace taper {
namespace detail {

namespace {

/// Apart, because the texts would cost every good call a large frame.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_dtype(const char* rule, DType got,
                                                         const char* advice = "") {
  violate(ErrorKind::dtype, std::string(rule) + std::string(dtype_name(got)) + advice);
}
[[noreturn, gnu::cold, gnu::noinline]] void refuse_mixed_dtypes() {
  violate(ErrorKind::dtype, "the operands must have one dtype; convert with astype");
}

}  // namespace

Specs infer_pointwise(const InSpecs& in, size_t results, bool selects, bool compares,
                      bool takes_integers, bool only_integers) {
  const size_t first = selects ? 1 : 0;
  if (selects && !is_bool(in[0].dtype)) {
    refuse_dtype("the condition must be bool, got ", in[0].dtype);
  }
  Specs specs;
  Spec& out = specs.spec[0];
  out = in[first];
  for (size_t i = 0; i < in.size(); ++i) {
    if (i == first) continue;
    if (i > first && in[i].dtype != out.dtype) refuse_mixed_dtypes();
    if (in[i].shape != out.shape) out.shape = broadcast_shapes(out.shape, in[i].shape);
  }
  const bool is_number = !is_bool(out.dtype) || selects || compares;
  if (only_integers ? is_float(out.dtype) : !is_number) {
    refuse_dtype("does not take ", out.dtype);
  }
  if (!takes_integers && !is_float(out.dtype)) {
    refuse_dtype("takes floating tensors, got ", out.dtype, "; convert with astype");
  }
  if (compares) out.dtype = DType::boolean;
  for (size_t i = 1; i < results; ++i) specs.spec[i] = out;
  specs.count = static_cast<uint8_t>(results);
  return specs;
}

void add_output_like_inputs(std::vector<SampleInput>& inputs, size_t count) {
  SampleInput like{.shape = inputs[0].shape};
  for (const SampleInput& input : inputs) like.shape = broadcast_shapes(like.shape, input.shape);
  inputs.insert(inputs.begin(), count, like);
}

Tensor reduce_to(const Tensor& grad, const Shape& to) {
  if (grad.shape() == to) return grad;
  Shape axes;
  const int shift = grad.rank() - to.rank();
  for (int axis = 0; axis < grad.rank(); ++axis) {
    if (axis < shift || (to[axis - shift] == 1 && grad.shape()[axis] != 1)) axes.push_back(axis);
  }
  return reshape(sum(grad, axes, true), to);
}

}  // namespace detail

namespace {

/// A number's dtype beside a tensor of `other`: of the same kind, the tensor's.
DType weak_dtype(const Number& scalar, DType other) {
  if (is_float(other)) return other;
  if (is_float(scalar.dtype)) return DType::f32;
  return is_bool(other) ? scalar.dtype : other;
}

DType dtype_beside(const Operand& operand) {
  if (operand.tensor() == nullptr) return operand.scalar()->dtype;
  return operand.tensor()->defined() ? operand.tensor()->dtype() : DType::f32;
}

Tensor element_tensor(const Element& element, DType dtype) {
  Tensor tensor = empty({}, dtype);
  visit_dtype(dtype, [&]<class T>() { *tensor.mutable_data<T>() = element.as<T>(); });
  return tensor;
}

/// Apart, because it would cost every good call a large frame.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_number(const Number& number, DType dtype,
                                                          const char* name, const Tensor& beside,
                                                          std::string_view op) {
  report(op, {ErrorKind::value, misfit(number, dtype)}, {{name, beside}});
}

/// The operand as a tensor; `beside` is the other one, called `name`.
Tensor as_tensor(const Operand& operand, const Operand& beside, const char* name,
                 std::string_view op) {
  if (operand.tensor() != nullptr) return *operand.tensor();
  const Number& number = *operand.scalar();
  const DType dtype = weak_dtype(number, dtype_beside(beside));
  if (is_integer(dtype) && !fits(number, dtype)) {
    refuse_number(number, dtype, name, beside.tensor() != nullptr ? *beside.tensor() : Tensor(),
                  op);
  }
  return element_tensor(convert(number, dtype, op), dtype);
}

}  // namespace

namespace {

/// The integers that a dtype holds; a bool counts as 0 or 1.
struct IntegerRange {
  int64_t lowest;
  int64_t highest;
};
IntegerRange range_of(DType dtype) {
  return visit_dtype(dtype, []<class T>() -> IntegerRange {
    if constexpr (std::is_integral_v<T>) {
      return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
    } else {
      internal_failure("an integer dtype", __FILE__, __LINE__);
    }
  });
}

/// x `relation` number, as one with an integer of the dtype: below(n) is x < n and so on.
struct Threshold {
  Relation relation;
  int64_t integer;
};

/// `holds` everywhere or nowhere.
Threshold constant(bool holds, const IntegerRange& range) {
  return {holds ? Relation::greater_equal : Relation::less, range.lowest};
}

/// For a number between the integers `down` and `down` + 1, or `down` itself if it is `whole`.
Threshold threshold_at(Relation relation, int64_t down, bool whole) {
  if (whole) return {relation, down};
  const bool is_below = relation == Relation::less || relation == Relation::less_equal;
  return {is_below ? Relation::less_equal : Relation::greater, down};
}

Threshold threshold_of(Relation relation, const Number& number, const IntegerRange& range) {
  if (number.real != number.real) return constant(relation == Relation::not_equal, range);
  const bool is_real = is_float(number.dtype);
  const bool is_above = number.above_integers || (is_real && number.real >= 0x1p63);
  const bool is_below = is_real && number.real < -0x1p63;
  const int64_t down = is_above || is_below ? 0
                       : is_real            ? static_cast<int64_t>(std::floor(number.real))
                                            : number.integer;
  const bool whole = !is_real || std::floor(number.real) == number.real;
  const bool less = relation == Relation::less || relation == Relation::less_equal;
  const bool greater = relation == Relation::greater || relation == Relation::greater_equal;
  if (is_above || down > range.highest)
    return constant(less || relation == Relation::not_equal, range);
  if (is_below || down < range.lowest) {
    return constant(greater || relation == Relation::not_equal, range);
  }
  if (!whole && !less && !greater) return constant(relation == Relation::not_equal, range);
  return threshold_at(relation, down, whole);
}

}  // namespace

Relation mirrored(Relation relation) {
  switch (relation) {
    case Relation::less:
      return Relation::greater;
    case Relation::less_equal:
      return Relation::greater_equal;
    case Relation::greater:
      return Relation::less;
    case Relation::greater_equal:
      return Relation::less_equal;
    default:
      return relation;
  }
}

Comparison exact_comparison(const Tensor& x, Relation relation, const Number& number) {
  const Threshold threshold = threshold_of(relation, number, range_of(x.dtype()));
  const Element element = convert(threshold.integer, x.dtype(), "comparison");
  return {x, threshold.relation, element_tensor(element, x.dtype())};
}

void check_leaf_update(const Tensor& leaf, const Promoted& both) {
  if (!both.x1.defined() || !both.x2.defined()) return;  // the op says so
  Spec after = both.x1.spec();
  try {
    after.shape = broadcast_shapes(after.shape, both.x2.shape());
  } catch (const Violation&) {
    return;  // the op says so
  }
  if (after == leaf.spec()) return;
  fail(
      ErrorKind::value,
      "an update in place keeps the shape and dtype of a leaf, whose gradient has them too (leaf " +
          to_string(leaf.spec()) + ", result " + to_string(after) +
          "); assign to the result of an expression instead");
}

Promoted promote_operands(const Operand& x1, const Operand& x2, std::string_view op,
                          bool to_float) {
  Promoted both{as_tensor(x1, x2, "x2", op), as_tensor(x2, x1, "x1", op)};
  if (!both.x1.defined() || !both.x2.defined()) return both;
  DType dtype = promote(both.x1.dtype(), both.x2.dtype());
  if (to_float && !is_float(dtype)) dtype = DType::f32;
  if (both.x1.dtype() != dtype) both.x1 = astype(both.x1, dtype);
  if (both.x2.dtype() != dtype) both.x2 = astype(both.x2, dtype);
  return both;
}

Tensor to_floating(const Tensor& x) {
  return x.defined() && !is_float(x.dtype()) ? astype(x, DType::f32) : x;
}

}  // namespace taper

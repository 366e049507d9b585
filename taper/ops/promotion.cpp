#include <taper/ops/promotion.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include <taper/ops/node_extra.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

/// The dtype of tensors that promote to `tensors` with numbers that promote to `numbers` beside.
DType with_numbers(DType tensors, DType numbers) {
  if (is_complex(tensors)) return tensors;
  if (is_complex(numbers)) return complex_of(tensors);
  if (is_float(tensors)) return tensors;
  if (is_float(numbers)) return DType::f32;
  return is_bool(tensors) ? numbers : tensors;
}

DType promoted_dtype(const OpBase& op, std::span<const Arg> args) {
  std::optional<DType> tensors;
  std::optional<DType> numbers;
  const auto meet = [](std::optional<DType>& dtype, DType next) {
    dtype = dtype ? promote(*dtype, next) : next;
  };
  for (size_t i = op.promoted_from; i < args.size(); ++i) {
    if (args[i].is_number) {
      meet(numbers, args[i].number->dtype);
    } else if (args[i].tensor->defined()) {
      if (op.promotion == Promotion::to_first && tensors) continue;
      meet(tensors, args[i].tensor->dtype());
    }
  }
  if (op.promotion == Promotion::to_bool) return DType::boolean;
  const DType dtype = !tensors                              ? numbers.value_or(DType::f32)
                      : op.promotion == Promotion::to_first ? *tensors
                      : numbers                             ? with_numbers(*tensors, *numbers)
                                                            : *tensors;
  return op.promotion == Promotion::to_float && !is_inexact(dtype) ? DType::f32 : dtype;
}

// ---------------------------------------------------------------------------------- comparisons

/// A comparison of integers of one dtype with a number, the number on the right.
struct Threshold {
  Relation relation;
  Number number;
  DType dtype;
};

/// The relation with its sides exchanged: `a < b` is `b > a`.
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

/// Where an exact comparison is to be made: one operand is a number, the other holds integers.
std::optional<Threshold> find_threshold(const OpBase& op, std::span<const Arg> args) {
  if (op.relation == Relation::none || args[0].is_number == args[1].is_number) return {};
  const Arg& number = args[0].is_number ? args[0] : args[1];
  const Tensor& tensor = *(args[0].is_number ? args[1] : args[0]).tensor;
  if (!tensor.defined() || is_inexact(tensor.dtype())) return {};
  Number limit = *number.number;
  if (is_complex(limit.dtype)) {
    if (op.relation != Relation::equal && op.relation != Relation::not_equal) return {};
    limit = limit.imag == 0 ? Number(limit.real) : Number(NAN);  // equal to nothing
  }
  return Threshold{args[0].is_number ? mirrored(op.relation) : op.relation, limit, tensor.dtype()};
}

/// The integers that a dtype holds; a bool counts as 0 or 1.
using Wide = __int128;  // holds those of i64 and of u64
struct IntegerRange {
  Wide lowest;
  Wide highest;
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

bool is_below(Relation r) { return r == Relation::less || r == Relation::less_equal; }
bool is_above(Relation r) { return r == Relation::greater || r == Relation::greater_equal; }

/// Whether x `relation` number holds for all integers x of the dtype or for none; empty if that
/// depends on x.
std::optional<bool> holds_everywhere(const Threshold& t) {
  const Number& number = t.number;
  if (std::isnan(number.real)) return t.relation == Relation::not_equal;
  const IntegerRange range = range_of(t.dtype);
  const bool is_real = is_float(number.dtype);
  const auto end = static_cast<double>(range.highest + 1);  // a power of two: exact
  const Wide whole_number =
      number.above_integers ? Wide{static_cast<uint64_t>(number.integer)} : Wide{number.integer};
  const bool above = is_real ? std::floor(number.real) >= end : whole_number > range.highest;
  const bool below =
      is_real ? number.real < static_cast<double>(range.lowest) : whole_number < range.lowest;
  if (above) return is_below(t.relation) || t.relation == Relation::not_equal;
  if (below) return is_above(t.relation) || t.relation == Relation::not_equal;
  const bool whole = !is_real || std::floor(number.real) == number.real;
  if (!whole && !is_below(t.relation) && !is_above(t.relation)) {
    return t.relation == Relation::not_equal;
  }
  if (!whole && std::floor(number.real) + 1 == end) {
    return is_below(t.relation);  // the integer above it is out of the range
  }
  return {};
}

/// The integer at which the relation changes, where holds_everywhere is empty: x < 2.5 is x < 3 and
/// x <= 2.5 is x <= 2.
Number integer_threshold(const Threshold& t) {
  if (!is_float(t.number.dtype)) return t.number;
  const bool upper = t.relation == Relation::less || t.relation == Relation::greater_equal;
  const double whole = upper ? std::ceil(t.number.real) : std::floor(t.number.real);
  return whole < 0 ? Number(static_cast<int64_t>(whole)) : Number(static_cast<uint64_t>(whole));
}

}  // namespace

Tensor number_tensor(const Number& number, DType dtype) {
  if (!fits(number, dtype)) violate(ErrorKind::value, misfit(number, dtype));
  Tensor tensor = empty({}, dtype);
  const Element element = convert(number, dtype, "number_tensor");
  std::memcpy(tensor.raw(), element.data(), item_size(dtype));
  return tensor;
}

Promoted::Promoted(const OpBase& op, std::span<const Arg> args) {
  Arg* arg = few_args_;
  Tensor* made = few_made_;
  if (args.size() > inline_count) {
    many_ = std::make_unique<Many>();
    many_->args.resize(args.size());
    many_->made.resize(args.size());
    arg = many_->args.data();
    made = many_->made.data();
  }
  args_ = {arg, args.size()};
  const std::optional<Threshold> threshold = find_threshold(op, args);
  const DType dtype = threshold ? threshold->dtype : promoted_dtype(op, args);
  if (!op.takes.has(kind_of(dtype))) refuse_kind(kind_of(dtype));
  for (size_t i = 0; i < args.size(); ++i, ++arg, ++made) {
    *arg = args[i];
    if (args[i].is_number) {
      if (i < op.promoted_from) {
        violate(ErrorKind::value, operand_name(op, i) + " must be a tensor, not a number");
      }
      const Number number = threshold ? integer_threshold(*threshold) : *args[i].number;
      *made = number_tensor(number, dtype);
      *arg = *made;
      arg->immediate = true;
    } else if (i < op.promoted_from || !args[i].tensor->defined() ||
               args[i].tensor->dtype() == dtype) {
      continue;
    } else {
      *made = astype(*args[i].tensor, dtype);
      *arg = donate(*made);
    }
  }
}

Tensor settled_comparison(const OpBase& op, std::span<const Arg> args) {
  const std::optional<Threshold> threshold = find_threshold(op, args);
  const std::optional<bool> holds = threshold ? holds_everywhere(*threshold) : std::nullopt;
  if (!holds) return {};
  const Tensor& x = *(args[0].is_number ? args[1] : args[0]).tensor;
  return full(x.shape(), *holds, DType::boolean);
}

}  // namespace taper

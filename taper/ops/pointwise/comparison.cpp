#include <taper/ops/pointwise/pointwise.h>

namespace taper {

#define TAPER_COMPARISON(Name, op, ...)                      \
  struct Name {                                              \
    static constexpr bool compares = true;                   \
    static constexpr bool takes_integers = true;             \
    __VA_ARGS__                                              \
    template <class T>                                       \
    TAPER_FN auto operator()(const T& a, const T& b) const { \
      return a op b;                                         \
    }                                                        \
  };
#define TAPER_HAS_NO_ORDER               \
  static constexpr bool signless = true; \
  static constexpr bool takes_complex = true;
TAPER_COMPARISON(Equal, ==, TAPER_HAS_NO_ORDER)
TAPER_COMPARISON(NotEqual, !=, TAPER_HAS_NO_ORDER)
TAPER_COMPARISON(Less, <)
TAPER_COMPARISON(LessEqual, <=)
TAPER_COMPARISON(Greater, >)
TAPER_COMPARISON(GreaterEqual, >=)
#undef TAPER_HAS_NO_ORDER
#undef TAPER_COMPARISON

/// Of integers of any width, which floats become first.
struct LogicalAnd {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  static constexpr bool compares = true;
  template <class T>
  TAPER_FN bool operator()(const T& a, const T& b) const {
    return (a != T(0)) & (b != T(0));
  }
};
struct LogicalOr {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  static constexpr bool compares = true;
  template <class T>
  TAPER_FN bool operator()(const T& a, const T& b) const {
    return (a != T(0)) | (b != T(0));
  }
};
struct LogicalNot {
  static constexpr bool only_integers = true;
  static constexpr bool signless = true;
  static constexpr bool compares = true;
  template <class T>
  TAPER_FN bool operator()(const T& a) const {
    return a == T(0);
  }
};

struct Where {
  static constexpr bool takes_complex = true;
  static constexpr bool selects = true;
  static constexpr bool takes_integers = true;
  static constexpr bool signless = true;
  template <class M, class T>
  TAPER_FN T operator()(const M& condition, const T& a, const T& b) const {
    if constexpr (std::is_integral_v<T> || is_complex_type<T>) {
      return condition ? a : b;
    } else {
      return where(condition, a, b);
    }
  }
};

TAPER_TILES(Equal)
TAPER_TILES(NotEqual)
TAPER_TILES(Less)
TAPER_TILES(LessEqual)
TAPER_TILES(Greater)
TAPER_TILES(GreaterEqual)
TAPER_TILES(LogicalAnd)
TAPER_TILES(LogicalOr)
TAPER_TILES(LogicalNot)
TAPER_TILES(Where)

#if TAPER_ROWS

namespace {

template <class F>
std::vector<Sample<F>> comparison_samples() {
  return {{.inputs = {{.shape = {3, 4}}, {.shape = {3, 4}}}},
          {.inputs = {{.shape = {2, 1}}, {.shape = {5}}}},
          {.inputs = {{.shape = {9}, .low = -3, .high = 3, .dtype = DType::i32},
                      {.shape = {9}, .low = -3, .high = 3, .dtype = DType::i32}}},
          {.inputs = {{.shape = {2, 3}}, {.shape = {4}}}, .error = "do not broadcast"}};
}

template <class F>
std::vector<Sample<F>> bool_samples() {
  const SampleInput flags{.shape = {4, 5}, .low = 0, .high = 2, .dtype = DType::boolean};
  const SampleInput whole{.shape = {5}, .low = -2, .high = 2, .dtype = DType::i32};
  if constexpr (arity<F> == 1) {
    return {{.inputs = {flags}}, {.inputs = {whole}}};
  } else {
    return {{.inputs = {flags, flags}}, {.inputs = {whole, flags}}};
  }
}

std::vector<Sample<Where>> where_samples() {
  const SampleInput flags{.shape = {4, 5}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {{.inputs = {flags, {.shape = {4, 5}}, {.shape = {4, 5}}}},
          {.inputs = {flags, {.shape = {5}}, {.shape = {}}}},
          {.inputs = {{.shape = {5}, .low = 0, .high = 2, .dtype = DType::boolean},
                      {.shape = {3, 1}},
                      {.shape = {3, 5}}}},
          {.inputs = {{.shape = {2}}, {.shape = {2}}, {.shape = {2}}},
           .error = "the condition must be bool"}};
}

Grads where_vjp(const Saved& s, const Where&) {
  const Tensor& condition = s.in(0);
  const Tensor& grad = s.grad();
  Grads grads(3);
  if (s.needs(1)) grads[1] = detail::reduce_to(where(condition, grad, 0), s.in_spec(1).shape);
  if (s.needs(2)) grads[2] = detail::reduce_to(where(condition, 0, grad), s.in_spec(2).shape);
  return grads;
}

template <class F>
Pointwise<F> comparison(std::string_view name, std::string_view alias, Relation relation,
                        std::string_view doc, Onnx onnx = {}) {
  return {.name = name,
          .aliases = {alias},
          .doc = doc,
          .relation = relation,
          .grad = Grad<F>(not_differentiable{"a comparison is piecewise constant"}),
          .reuse = {},
          .onnx = onnx,
          .samples = comparison_samples<F>};
}
template <class F>
Pointwise<F> logical(std::string_view name, std::string_view doc, Onnx onnx) {
  return {.name = name,
          .doc = doc,
          .promotion = Promotion::to_bool,
          .grad = Grad<F>(not_differentiable{"it takes bools"}),
          .onnx = onnx,
          .samples = bool_samples<F>};
}

const PointwiseOp<Equal> equal_op =
    comparison<Equal>("equal", "eq", Relation::equal, "x1 == x2.", {"Equal", 11});
const PointwiseOp<NotEqual> not_equal_op =
    comparison<NotEqual>("not_equal", "ne", Relation::not_equal, "x1 != x2.");
const PointwiseOp<Less> less_op =
    comparison<Less>("less", "lt", Relation::less, "x1 < x2.", {"Less", 9});
const PointwiseOp<LessEqual> less_equal_op = comparison<LessEqual>(
    "less_equal", "le", Relation::less_equal, "x1 <= x2.", {"LessOrEqual", 12});
const PointwiseOp<Greater> greater_op =
    comparison<Greater>("greater", "gt", Relation::greater, "x1 > x2.", {"Greater", 9});
const PointwiseOp<GreaterEqual> greater_equal_op = comparison<GreaterEqual>(
    "greater_equal", "ge", Relation::greater_equal, "x1 >= x2.", {"GreaterOrEqual", 12});
const PointwiseOp<LogicalAnd> logical_and_op =
    logical<LogicalAnd>("logical_and", "Both are true.", {"And", 7});
const PointwiseOp<LogicalOr> logical_or_op =
    logical<LogicalOr>("logical_or", "Either is true.", {"Or", 7});
const PointwiseOp<LogicalNot> logical_not_op =
    logical<LogicalNot>("logical_not", "True where x is false.", {"Not", 1});
const PointwiseOp<Where> where_op =
    Pointwise<Where>{.name = "where",
                     .doc = "x1 where the condition holds, else x2.",
                     .inputs = {"condition", "x1", "x2"},
                     .grad = Grad<Where>(where_vjp, Saves::only({0})),
                     .reuse = {{0, 1}, {0, 2}},
                     .onnx = {"Where", 9},
                     .samples = where_samples};

}  // namespace

Tensor equal(const Operand& x1, const Operand& x2) { return equal_op({x1, x2}); }
Tensor not_equal(const Operand& x1, const Operand& x2) { return not_equal_op({x1, x2}); }
Tensor less(const Operand& x1, const Operand& x2) { return less_op({x1, x2}); }
Tensor less_equal(const Operand& x1, const Operand& x2) { return less_equal_op({x1, x2}); }
Tensor greater(const Operand& x1, const Operand& x2) { return greater_op({x1, x2}); }
Tensor greater_equal(const Operand& x1, const Operand& x2) { return greater_equal_op({x1, x2}); }
Tensor logical_and(const Operand& x1, const Operand& x2) { return logical_and_op({x1, x2}); }
Tensor logical_or(const Operand& x1, const Operand& x2) { return logical_or_op({x1, x2}); }
Tensor logical_not(const Tensor& x) { return logical_not_op({x}); }
Tensor where(const Tensor& condition, const Operand& x1, const Operand& x2) {
  return where_op({condition, x1, x2});
}

#endif

}  // namespace taper

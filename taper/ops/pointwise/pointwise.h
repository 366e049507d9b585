#pragma once

// The family of pointwise ops: the author writes a functor, TAPER_TILES(Functor) and, inside
// `#if TAPER_ROWS`, the row. The file is compiled once for the rows and once per instruction set
// for the tiles (TAPER_ROWS 0).

#if !TAPER_ROWS
#include "taper/ops/pointwise/tables.h"
#else

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/pointwise.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/pointwise/derivative.h>
#include <taper/ops/pointwise/lifted.h>
#include <taper/ops/tape.h>

namespace taper {

/// A number as an operand of a kernel.
class ScalarView {
 public:
  ScalarView(const Number& value, DType dtype)
      : element_(convert(value, dtype, "kernel")), spec_{dtype, {}, {}} {}
  /// Only to read.
  View view() const { return {const_cast<std::byte*>(element_.data()), &spec_, &strides_, true}; }

 private:
  Element element_;
  Spec spec_;
  Strides strides_;
};

/// The tables that TAPER_TILES made for F, of the instruction set that runs.
template <class F>
const PointwiseTiles& tiles_of();

#define TAPER_TILES(F)                                       \
  namespace v3 {                                             \
  extern const PointwiseTiles F##_tiles;                     \
  }                                                          \
  namespace v4 {                                             \
  extern const PointwiseTiles F##_tiles;                     \
  }                                                          \
  template <>                                                \
  inline const PointwiseTiles& tiles_of<F>() {               \
    return isa() == Isa::v4 ? v4::F##_tiles : v3::F##_tiles; \
  }

/// What the author says of a pointwise op; the rest follows from the functor.
template <class F>
struct Pointwise {
  std::string_view name;
  std::vector<std::string_view> aliases = {};
  std::string_view doc;
  bool internal = false;
  std::vector<AttributeDoc> attributes = {};
  /// Left out: x, or x1 and x2.
  std::vector<std::string_view> inputs = {};
  std::vector<std::string_view> outputs = {"y"};
  Promotion promotion = Promotion::same;
  Relation relation = Relation::none;
  /// Left out where the functor has `dual_gradient`: dual numbers make it, to any order.
  std::optional<Grad<F> > grad = {};
  std::vector<Reuse> reuse = {{0, 0}, {0, 1}};
  Role role = Role::other;
  Onnx onnx = {};
  const char* no_golden = nullptr;
  Face<std::vector<Sample<F> > (*)()> samples;
};

namespace detail {

/// Broadcast shapes, one floating dtype (integers too if the functor takes them).
Specs infer_pointwise(const InSpecs& in, size_t results, bool selects, bool compares,
                      bool takes_integers, bool only_integers, bool gives_real);

/// Inserts inputs shaped like the output before those of each good sample.
void add_output_like_inputs(std::vector<SampleInput>& inputs, size_t count);

/// Sums a gradient over the axes along which `to` was broadcast.
Tensor reduce_to(const Tensor& grad, const Shape& to);

template <class G, class F>
G functor_of(const F& attrs) {
  if constexpr (std::is_same_v<G, F>) {
    return attrs;
  } else {
    return G{attrs};
  }
}

template <class G, class T, size_t... K>
auto apply_functor(const G& functor, const T* values, std::index_sequence<K...>) {
  if constexpr (selects<G>) {
    return functor(values[0] != T(0.0), values[K + 1]...);
  } else {
    return functor(values[K]...);
  }
}
template <class G>
using Operands = std::make_index_sequence<selects<G> ? arity<G> - 1 : arity<G> >;

template <class Number, class G>
Results apply_elementwise(const Inputs& in, const G& functor) {
  constexpr size_t n = arity<G>;
  Shape shape = in[0].shape();
  for (size_t k = 1; k < n; ++k) shape = broadcast_shapes(shape, in[k].shape());
  std::array<std::vector<Number>, n> columns;
  for (size_t k = 0; k < n; ++k) {
    const Tensor x = std::is_same_v<Number, uint64_t> ? astype(in[k], DType::u64) : in[k];
    columns[k] = broadcast_to(x, shape).template to_vector<Number>();
  }
  Results out;
  using Y = decltype(apply_functor(functor, std::declval<const Number*>(), Operands<G>()));
  using Value =
      std::conditional_t<is_complex_type<Number> && std::is_arithmetic_v<Y>, double, Number>;
  std::array<std::vector<Value>, results<G> > values;
  for (size_t i = 0; i < static_cast<size_t>(shape.numel()); ++i) {
    Number x[n];
    for (size_t k = 0; k < n; ++k) x[k] = columns[k][i];
    const auto y = apply_functor(functor, x, Operands<G>());
    if constexpr (results<G> > 1) {
      std::apply(
          [&, m = size_t{0}](const auto&... each) mutable {
            (values[m++].push_back(static_cast<Value>(each)), ...);
          },
          y);
    } else {
      values[0].push_back(static_cast<Value>(y));
    }
  }
  for (size_t m = 0; m < results<G>; ++m) out[static_cast<int>(m)] = from_values(shape, values[m]);
  return out;
}

/// The functor on the widest numbers of the operands' kind, element by element: the oracle.
template <class F, class G = F>
Results reference_pointwise(const Inputs& in, const F& attrs) {
  const G functor = functor_of<G>(attrs);
  const DType dtype = in[selects<G> ? 1 : 0].dtype();
  if constexpr (takes_complex<G>) {
    if (is_complex(dtype)) return apply_elementwise<Complex<double> >(in, functor);
  }
  if constexpr (takes_integers<G>) {
    // Of unsigned numbers where that gives the same bits: signed ones may not overflow.
    if (is_of<Kind::unsigned_integer>(dtype) || (signless<G> && is_integer(dtype))) {
      return apply_elementwise<uint64_t>(in, functor);
    }
    if (!is_float(dtype)) return apply_elementwise<int64_t>(in, functor);
  }
  if constexpr (only_integers<G>) {
    internal_failure("integers", __FILE__, __LINE__);
  } else {
    return apply_elementwise<double>(in, functor);
  }
}

/// The functor on tensors: the meaning in simpler ops, differentiable to any order.
template <class F, class G = F>
Results expand_pointwise(const Inputs& in, const F& attrs) {
  const Lifted::Scope scope(in[0].dtype());
  return [&]<size_t... K>(std::index_sequence<K...>) {
    Results out;
    out[0] = functor_of<G>(attrs)(Lifted(in[K])...).tensor();
    return out;
  }(std::make_index_sequence<arity<G> >());
}

/// The dtypes of a scalar functor's results of doubles: that of the operands for a double, its own
/// for any other.
template <class... T>
void set_result_dtypes(Specs& specs, std::type_identity<std::tuple<T...> >) {
  Spec* next = specs.spec;
  const auto set = [&next]<class R>(std::type_identity<R>) {
    if constexpr (!std::is_same_v<R, double>) next->dtype = dtype_of<R>;
    ++next;
  };
  (set(std::type_identity<T>()), ...);
}

template <class F, class G = F>
Specs infer_functor(const InSpecs& in, const F&) {
  Specs specs = infer_pointwise(in, results<G>, selects<G>, compares<G>, takes_integers<G>,
                                only_integers<G>, gives_real<G>);
  if constexpr (scalar<G> && results<G> > 1) {
    using Values = decltype(apply_functor(std::declval<const G&>(), std::declval<const double*>(),
                                          Operands<G>()));
    set_result_dtypes(specs, std::type_identity<Values>());
  }
  return specs;
}

/// Elements worth about 25 µs on one thread: exp costs 0.4 ns, an addition from memory about 1.
inline constexpr int64_t pointwise_grain = 32768;

template <class F>
void run_value(const Kernel& kernel, const F& attrs) {
  run_pointwise(tiles_of<F>().value, &attrs, kernel.inputs, kernel.outputs, pointwise_grain);
}
template <class F, size_t I>
void run_grad(const Kernel& kernel, const F& attrs) {
  run_pointwise(tiles_of<F>().grad[I], &attrs, kernel.inputs, kernel.outputs, pointwise_grain);
}

}  // namespace detail

/// The row of a pointwise functor with those of its derivatives, which are differentiated again
/// through their expansions.
template <class F>
class PointwiseOp {
 public:
  PointwiseOp(const Pointwise<F>& row)  // NOLINT: implicit, so that an op reads as a row
      : samples_(row.samples.value), value_(make_value(row)) {
    TAPER_CHECK(row.grad.has_value() != dual_gradient<F>);
    if constexpr (dual_gradient<F>) {
      instance = this;
      add_grads(row, std::make_index_sequence<arity<F> >());
    }
  }

  Tensor operator()(std::initializer_list<Arg> args, const F& attrs = {}) const {
    return value_(args, attrs);
  }
  Results all(std::span<const Arg> args, const F& attrs = {}) const {
    return value_.all(args, attrs);
  }

 private:
  static constexpr size_t n = arity<F>;
  static inline const PointwiseOp* instance = nullptr;

  static std::vector<std::string_view> input_names(const Pointwise<F>& row) {
    if (!row.inputs.empty()) return row.inputs;
    return n == 1 ? std::vector<std::string_view>{"x"} : std::vector<std::string_view>{"x1", "x2"};
  }

  static Row<F> make_value(const Pointwise<F>& row) {
    Row<F> made{.name = row.name,
                .aliases = row.aliases,
                .doc = row.doc,
                .internal = row.internal,
                .attributes = row.attributes,
                .inputs = input_names(row),
                .outputs = row.outputs,
                .takes = takes_complex<F> ? kinds::every : kinds::real,
                .promotion = row.promotion,
                .promoted_from = selects<F> ? uint8_t{1} : uint8_t{0},
                .relation = row.relation,
                .infer = detail::infer_functor<F>,
                .reference = detail::reference_pointwise<F>,
                .grad = grad_of(row),
                .layout = Layout::like_inputs,
                .any_strides = true,
                .reuse = reuse_of(row),
                .role = row.role,
                .kernels = {.cpu = detail::run_value<F>},
                .onnx = row.onnx,
                .no_golden = row.no_golden,
                .samples = row.samples};
    if constexpr (dual_gradient<F>) made.expand = detail::expand_pointwise<F>;
    return made;
  }
  /// Of the operands that there are.
  static std::vector<Reuse> reuse_of(const Pointwise<F>& row) {
    std::vector<Reuse> reuse = row.reuse;
    if (n == 1 && reuse.size() == 2 && reuse[1].input == 1) reuse.pop_back();
    return reuse;
  }
  static Grad<F> grad_of(const Pointwise<F>& row) {
    if constexpr (dual_gradient<F>) {
      return {value_vjp, Saves::inputs};
    } else {
      return *row.grad;
    }
  }

  template <size_t... I>
  void add_grads(const Pointwise<F>& row, std::index_sequence<I...>) {
    (add_grad<I>(row), ...);
  }
  template <size_t I>
  void add_grad(const Pointwise<F>& row) {
    using G = Derivative<F, I>;
    auto inputs = input_names(row);
    inputs.insert(inputs.begin(), "grad");
    add({.name = keep(std::string(row.name) + "_grad" + suffix(I)),
         .doc = keep("The gradient of `" + std::string(row.name) + "` in operand " +
                     std::to_string(I) + ", times `grad`."),
         .internal = true,
         .inputs = inputs,
         .infer = detail::infer_functor<F, G>,
         .expand = detail::expand_pointwise<F, G>,
         .reference = detail::reference_pointwise<F, G>,
         .grad = through_expansion{},
         .layout = Layout::like_inputs,
         .any_strides = true,
         .reuse = {{0, 0}},
         .kernels = {.cpu = detail::run_grad<F, I>},
         .no_golden = golden_in_its_row,
         .samples = derived_samples});
  }
  static std::string suffix(size_t operand) { return n == 1 ? "" : std::to_string(operand); }
  std::string_view keep(std::string text) {
    return *texts_.emplace_back(std::make_unique<std::string>(std::move(text)));
  }
  void add(const Row<F>& row) { derived_.push_back(std::make_unique<Op<F> >(row)); }

  /// grad * dF/dx_i, from the saved operands.
  static Tensor call_grad(size_t i, const Saved& saved, const F& attrs) {
    const std::array<Arg, 1 + n> args = [&]<size_t... K>(std::index_sequence<K...>) {
      return std::array<Arg, 1 + n>{Arg(saved.grad()), Arg(saved.in(K))...};
    }(std::make_index_sequence<n>());
    return std::move(instance->derived_[i]->all(args, attrs)[0]);
  }

  static Grads value_vjp(const Saved& saved, const F& attrs) {
    Grads grads(n);
    for (size_t i = 0; i < n; ++i) {
      if (!saved.needs(i)) continue;
      grads[i] = detail::reduce_to(call_grad(i, saved, attrs), saved.in_spec(i).shape);
    }
    return grads;
  }

  static std::vector<Sample<F> > derived_samples() {
    std::vector<Sample<F> > samples;
    for (Sample<F>& sample : instance->samples_()) {
      if (!sample.error.empty()) continue;
      detail::add_output_like_inputs(sample.inputs, 1);
      samples.push_back(std::move(sample));
    }
    return samples;
  }

  std::vector<Sample<F> > (*samples_)();
  Op<F> value_;
  std::vector<std::unique_ptr<std::string> > texts_;
  std::vector<std::unique_ptr<Op<F> > > derived_;
};

}  // namespace taper

#endif  // TAPER_ROWS

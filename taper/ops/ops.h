#pragma once

#include <array>
#include <concepts>
#include <optional>
#include <span>
#include <vector>

#include <taper/core/tensor.h>
#include <taper/ops/axes.h>
#include <taper/ops/reduction.h>

// Every op as a function. Names and keywords are the Python array API's where it has them, else
// PyTorch's. Operands broadcast as in NumPy; mixed dtypes are promoted as the array API says. A C++
// number takes the dtype of the tensor beside it (`convert`): an integer out of its range is an
// error, a float beside integers makes them f32. Comparisons with integer tensors are exact for
// every number. All throw Error with op, operands and layer.

namespace taper {

/// A tensor, or a number that becomes a 0-d tensor of the dtype that the other operand suggests:
/// integers keep integer tensors integer, floats make them f32.
class TAPER_API Operand {
 public:
  Operand(const Tensor& tensor) : tensor_(&tensor) {}  // NOLINT
  template <class T>
    requires(AnyNumber<T>)
  Operand(T value) : scalar_(Number(value)) {}      // NOLINT
  Operand(const Number& value) : scalar_(value) {}  // NOLINT
  const Tensor* tensor() const { return tensor_; }
  const std::optional<Number>& scalar() const { return scalar_; }
  operator Arg() const { return tensor_ != nullptr ? Arg(*tensor_) : Arg(*scalar_); }  // NOLINT

 private:
  const Tensor* tensor_ = nullptr;
  std::optional<Number> scalar_;
};

// ---------------------------------------------------------------------------------- creation
/// Numbers in nested lists of equal lengths: `{1, 2}`, `{{1, 2}, {3, 4}}`.
class TAPER_API NumberList {
 public:
  NumberList(const Number& value) : numbers_{value} {}  // NOLINT: implicit, as all here
  template <class T>
    requires(AnyNumber<T>)
  NumberList(T value) : NumberList(Number(value)) {}  // NOLINT
  /// Throws shape if the lists differ in length or depth.
  NumberList(std::initializer_list<NumberList> items);  // NOLINT
  const Shape& shape() const { return shape_; }
  /// In row-major order.
  std::span<const Number> numbers() const { return numbers_; }

 private:
  Shape shape_;
  std::vector<Number> numbers_;
};
/// A tensor of the given numbers: `tensor({{1, 2}, {3, 4}})`. Without a dtype integers give i64,
/// bools bool, and numbers with a floating one among them f32. `tensor<double>({1, 2})`, and that
/// of a vector or span, has exactly the numbers' type.
TAPER_API Tensor tensor(const NumberList& values, std::optional<DType> dtype = {});
/// Nested lists in exactly this type: `tensor<float>({{1, 2}, {3, 4}})`.
template <class T>
  requires(AnyNumber<T>)
Tensor tensor(const NumberList& values) {
  return tensor(values, dtype_of<T>);
}
/// The same with a shape: `from_values({2, 2}, {1, 2, 3, 4})`.
TAPER_API Tensor from_values(const Shape& shape, std::initializer_list<Number> values,
                             std::optional<DType> dtype = {});
/// A span's or vector's numbers, each converted to the dtype by the rule of numbers.
TAPER_API Tensor from_numbers(const Shape& shape, std::span<const Number> values, DType dtype);
template <class Values>
  requires(AnyNumber<typename Values::value_type>)
Tensor from_values(const Shape& shape, const Values& values, DType dtype) {
  return from_numbers(shape, std::vector<Number>(values.begin(), values.end()), dtype);
}
template <class Values>
  requires(AnyNumber<typename Values::value_type>)
Tensor tensor(const Values& values, DType dtype) {
  return from_values({static_cast<int64_t>(values.size())}, values, dtype);
}
/// `value` converted by the rule of numbers: what an integer dtype cannot hold is a value error.
TAPER_API Tensor full(const Shape& shape, const Number& value, DType dtype = DType::f32,
                      Device device = {});
TAPER_API Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {});
TAPER_API Tensor ones(const Shape& shape, DType dtype = DType::f32, Device device = {});
TAPER_API Tensor full_like(const Tensor& x, const Number& value, std::optional<DType> dtype = {});
TAPER_API Tensor zeros_like(const Tensor& x, std::optional<DType> dtype = {});
TAPER_API Tensor ones_like(const Tensor& x, std::optional<DType> dtype = {});
/// start, start + step, ... below `stop` (above it if step < 0), ceil((stop - start) / step) of
/// them. Integers make i64 and are exact; with a float among them, f32. Throws value for a step of
/// 0, for no finite range and for elements out of an integer `dtype`.
TAPER_API Tensor arange(const Number& start, const Number& stop, const Number& step = 1,
                        std::optional<DType> dtype = {}, Device device = {});
/// 0, 1, ... below `stop`.
TAPER_API Tensor arange(const Number& stop, std::optional<DType> dtype = {});
/// `num` numbers in equal steps from `start` to `stop`, which is the last one unless `endpoint` is
/// false. Throws value for num < 0, dtype if `dtype` is not floating.
TAPER_API Tensor linspace(double start, double stop, int64_t num, DType dtype = DType::f32,
                          bool endpoint = true, Device device = {});
/// Ones on diagonal `k` (above the main one if positive) of [n_rows, n_cols], zeros elsewhere;
/// square without n_cols.
TAPER_API Tensor eye(int64_t n_rows, std::optional<int64_t> n_cols = {}, int64_t k = 0,
                     DType dtype = DType::f32, Device device = {});

// ---------------------------------------------------------------------------------- random
class Generator;
/// Uniform in [low, high) from the default generator, or from the one given; `low` if no number of
/// the dtype lies between. Throws value if a bound or their distance is not finite in the dtype.
TAPER_API Tensor uniform(const Shape& shape, double low = 0, double high = 1,
                         DType dtype = DType::f32, Generator* generator = nullptr);
/// Uniform in [0, 1).
TAPER_API Tensor rand(const Shape& shape, DType dtype = DType::f32, Generator* generator = nullptr);
TAPER_API Tensor normal(const Shape& shape, double mean = 0, double std = 1,
                        DType dtype = DType::f32, Generator* generator = nullptr);
/// Standard normal.
TAPER_API Tensor randn(const Shape& shape, DType dtype = DType::f32,
                       Generator* generator = nullptr);
/// Integers in [low, high). Throws value unless low < high and the dtype holds all of them.
TAPER_API Tensor randint(int64_t low, int64_t high, const Shape& shape, DType dtype = DType::i64,
                         Generator* generator = nullptr);
/// x / (1 - p) where a random number lets it pass, else 0; x itself if not `training`.
TAPER_API Tensor dropout(const Tensor& x, double p = 0.5, bool training = true,
                         Generator* generator = nullptr);
/// A bool is no probability: `dropout(x, 0.5, training)`.
template <std::same_as<bool> Bool>
Tensor dropout(const Tensor& x, Bool training) = delete;

// ---------------------------------------------------------------------------------- arithmetic
TAPER_API Tensor add(const Operand& x1, const Operand& x2);
TAPER_API Tensor subtract(const Operand& x1, const Operand& x2);
TAPER_API Tensor multiply(const Operand& x1, const Operand& x2);
/// True division: integers become floats.
TAPER_API Tensor divide(const Operand& x1, const Operand& x2);
/// The remainder with the sign of x2, `%`. Integers by 0 throw value; floats give NaN.
TAPER_API Tensor remainder(const Operand& x1, const Operand& x2);
/// Integers keep their dtype and wrap around; a negative exponent of integers is a value error.
TAPER_API Tensor pow(const Operand& x1, const Operand& x2);
TAPER_API Tensor maximum(const Operand& x1, const Operand& x2);
TAPER_API Tensor minimum(const Operand& x1, const Operand& x2);
TAPER_API Tensor negative(const Tensor& x);
TAPER_API Tensor abs(const Tensor& x);
TAPER_API Tensor sign(const Tensor& x);
TAPER_API Tensor square(const Tensor& x);
TAPER_API Tensor sqrt(const Tensor& x);
TAPER_API Tensor rsqrt(const Tensor& x);
TAPER_API Tensor reciprocal(const Tensor& x);
/// x kept within [low, high], numbers or tensors; a bound left out does not bound. `high` wins if
/// low > high, as in NumPy.
TAPER_API Tensor clip(const Tensor& x, const std::optional<Operand>& low = {},
                      const std::optional<Operand>& high = {});
/// The largest integer not above x; integers stay as they are, here and in `round`.
TAPER_API Tensor floor(const Tensor& x);
TAPER_API Tensor round(const Tensor& x);
TAPER_API Tensor exp(const Tensor& x);
TAPER_API Tensor expm1(const Tensor& x);
TAPER_API Tensor log(const Tensor& x);
TAPER_API Tensor log1p(const Tensor& x);
TAPER_API Tensor sin(const Tensor& x);
TAPER_API Tensor cos(const Tensor& x);
TAPER_API Tensor tanh(const Tensor& x);
TAPER_API Tensor sinh(const Tensor& x);
TAPER_API Tensor erf(const Tensor& x);
/// x = mantissa * 2^exponent, the mantissa in [0.5, 1) or its negative, the exponent i32. Zeros,
/// infinities and NaN are their own mantissa, with the exponent 0.
TAPER_API std::pair<Tensor, Tensor> frexp(const Tensor& x);

// ---------------------------------------------------------------------------------- complex
// numbers
/// The parts as views; the real part of real numbers is x itself.
TAPER_API Tensor real(const Tensor& x);
TAPER_API Tensor imag(const Tensor& x);
/// The complex conjugate; of real numbers themselves.
TAPER_API Tensor conj(const Tensor& x);

// ---------------------------------------------------------------------------------- activations
TAPER_API Tensor sigmoid(const Tensor& x);
TAPER_API Tensor softplus(const Tensor& x);
TAPER_API Tensor relu(const Tensor& x);
TAPER_API Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
TAPER_API Tensor elu(const Tensor& x, double alpha = 1);
/// x * Phi(x), exact.
TAPER_API Tensor gelu(const Tensor& x);
TAPER_API Tensor silu(const Tensor& x);

// ---------------------------------------------------------------------------------- comparison
TAPER_API Tensor equal(const Operand& x1, const Operand& x2);
TAPER_API Tensor not_equal(const Operand& x1, const Operand& x2);
TAPER_API Tensor less(const Operand& x1, const Operand& x2);
TAPER_API Tensor less_equal(const Operand& x1, const Operand& x2);
TAPER_API Tensor greater(const Operand& x1, const Operand& x2);
TAPER_API Tensor greater_equal(const Operand& x1, const Operand& x2);
/// Of numbers, whether they are not 0.
TAPER_API Tensor logical_and(const Operand& x1, const Operand& x2);
TAPER_API Tensor logical_or(const Operand& x1, const Operand& x2);
TAPER_API Tensor logical_not(const Tensor& x);
/// Bit by bit for integers, `&`, `|`, `^` and `~`; of bools the logical ones.
TAPER_API Tensor bitwise_and(const Operand& x1, const Operand& x2);
TAPER_API Tensor bitwise_or(const Operand& x1, const Operand& x2);
TAPER_API Tensor bitwise_xor(const Operand& x1, const Operand& x2);
TAPER_API Tensor bitwise_invert(const Tensor& x);
/// x1 where the bool condition holds, else x2.
TAPER_API Tensor where(const Tensor& condition, const Operand& x1, const Operand& x2);

// ---------------------------------------------------------------------------------- dtype, layout
/// The values converted. Floats to integers truncate; NaN gives 0, out of range the nearest end.
/// Integers to integers keep their low bits, as in NumPy and PyTorch. Of complex numbers take
/// `real` or `imag`: they become no others.
TAPER_API Tensor astype(const Tensor& x, DType dtype);
/// The same values in row-major memory; x itself if they are already.
TAPER_API Tensor contiguous(const Tensor& x);
/// One size may be -1: it follows from the others.
TAPER_API Tensor reshape(const Tensor& x, const Shape& shape);
/// Axes start_axis..end_axis joined into one.
TAPER_API Tensor flatten(const Tensor& x, int64_t start_axis = 0, int64_t end_axis = -1);
TAPER_API Tensor permute_dims(const Tensor& x, const Shape& axes);
TAPER_API Tensor matrix_transpose(const Tensor& x);
TAPER_API Tensor expand_dims(const Tensor& x, int64_t axis = 0);
/// x without the given axes of size one, or without all that have it.
TAPER_API Tensor squeeze(const Tensor& x, const Axes& axis = {});
TAPER_API Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// The elements start, start + step, ... before `stop` of one axis, as Python slices count; a view.
TAPER_API Tensor slice(const Tensor& x, int64_t axis, std::optional<int64_t> start = {},
                       std::optional<int64_t> stop = {}, int64_t step = 1);
/// In reverse order along the given axes, or along all.
TAPER_API Tensor flip(const Tensor& x, const Axes& axis = {});
/// x with the places that `slice` would read replaced by `values`.
TAPER_API Tensor slice_update(const Tensor& x, const Tensor& values, int64_t axis,
                              std::optional<int64_t> start = {}, std::optional<int64_t> stop = {},
                              int64_t step = 1);
TAPER_API Tensor concat(const std::vector<Tensor>& xs, int64_t axis = 0);
TAPER_API Tensor stack(const std::vector<Tensor>& xs, int64_t axis = 0);
/// Parts of `split_size` along the axis, the last one smaller if need be; or of the given sizes,
/// which must sum to that of the axis. Views.
TAPER_API std::vector<Tensor> split(const Tensor& x, int64_t split_size, int64_t axis = 0);
TAPER_API std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes,
                                    int64_t axis = 0);
/// `widths` holds {before, after} for each axis, first axis first.
TAPER_API Tensor pad(const Tensor& x, const std::vector<int64_t>& widths, const Number& value = 0);

// ---------------------------------------------------------------------------------- indexing
/// y[..., i, ...] = x[..., indices[i], ...] along `axis`; `indices` is 1-d or more, i32 or i64.
/// Negative ones count from the end if `from_end`, else they are out of range.
TAPER_API Tensor take(const Tensor& x, const Tensor& indices, int64_t axis = 0,
                      bool from_end = true);
/// y[i][j] = x[i][indices[i][j]] for axis 1 and so on: PyTorch's gather.
TAPER_API Tensor take_along_axis(const Tensor& x, const Tensor& indices, int64_t axis = -1,
                                 bool from_end = true);
/// 1 at the index, 0 elsewhere, along a new last axis of size num_classes.
TAPER_API Tensor one_hot(const Tensor& indices, int64_t num_classes, DType dtype = DType::f32);

// ---------------------------------------------------------------------------------- reductions
TAPER_API Tensor sum(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
TAPER_API Tensor mean(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
TAPER_API Tensor max(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
TAPER_API Tensor min(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
/// The index of the first maximum along `axis` (of the flattened tensor if none is given), i64.
TAPER_API Tensor argmax(const Tensor& x, std::optional<int64_t> axis = {}, bool keepdims = false);
TAPER_API Tensor argmin(const Tensor& x, std::optional<int64_t> axis = {}, bool keepdims = false);
/// Mean squared distance from the mean, divided by n - correction.
TAPER_API Tensor var(const Tensor& x, const Axes& axis = {}, double correction = 0,
                     bool keepdims = false);
/// The square root of `var`; its gradient at a constant tensor is 0. Write it with its namespace,
/// `taper::std`, even under `using namespace taper`, where a plain `std` is ambiguous with the
/// standard library's namespace.
TAPER_API Tensor std(const Tensor& x, const Axes& axis = {}, double correction = 0,
                     bool keepdims = false);
/// A bool is no correction: `var(x, 1, true)` would divide by n - 1. Write `var(x, 1, 1)` for that,
/// `var(x, 1, 0, true)` to keep the axes.
template <std::same_as<bool> Bool>
Tensor var(const Tensor& x, const Axes& axis, Bool correction, bool keepdims = false) = delete;
template <std::same_as<bool> Bool>
Tensor std(const Tensor& x, const Axes& axis, Bool correction, bool keepdims = false) = delete;
/// Whether any (all) of the elements along `axis` are not zero; of none: false (true).
TAPER_API Tensor any(const Tensor& x, const Axes& axis = {}, bool keepdims = false);
TAPER_API Tensor all(const Tensor& x, const Axes& axis = {}, bool keepdims = false);

// ---------------------------------------------------------------------------------- products
/// The product of the last two axes; others broadcast. A 1-d operand is a row on the left, a column
/// on the right, and the result is without that axis: two vectors give a 0-d tensor.
TAPER_API Tensor matmul(const Tensor& x1, const Tensor& x2);
/// x @ weight^T + bias: x [..., in], weight [out, in], bias [out] or undefined.
TAPER_API Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

using Pair = std::array<int64_t, 2>;
/// x [N,C,H,W], weight [O,C/groups,KH,KW], bias [O] or undefined; zero padding on both sides.
TAPER_API Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        Pair stride = {1, 1}, Pair padding = {0, 0}, Pair dilation = {1, 1},
                        int64_t groups = 1);
/// Windows that do not fit are dropped; padding counts as minus infinity.
TAPER_API Tensor max_pool2d(const Tensor& x, Pair kernel_size, std::optional<Pair> stride = {},
                            Pair padding = {0, 0});
TAPER_API Tensor avg_pool2d(const Tensor& x, Pair kernel_size, std::optional<Pair> stride = {},
                            Pair padding = {0, 0}, bool count_include_pad = true);

// ---------------------------------------------------------------------------------- networks
TAPER_API Tensor softmax(const Tensor& x, int64_t axis = -1);
TAPER_API Tensor log_softmax(const Tensor& x, int64_t axis = -1);

/// Negative log-likelihood of `target` (class indices, i64, shape of `input` without axis 1) under
/// softmax(input), input [N,C] or [N,C,...].
TAPER_API Tensor cross_entropy(const Tensor& input, const Tensor& target,
                               Reduction reduction = Reduction::mean);
/// -(t log x + (1 - t) log(1 - x)) for probabilities x; logs are kept above -100 as in PyTorch.
TAPER_API Tensor binary_cross_entropy(const Tensor& input, const Tensor& target,
                                      Reduction reduction = Reduction::mean);
/// The same for logits, computed stably.
TAPER_API Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target,
                                                  Reduction reduction = Reduction::mean);
TAPER_API Tensor mse_loss(const Tensor& input, const Tensor& target,
                          Reduction reduction = Reduction::mean);
/// d^2 / 2 of differences d up to `delta`, beyond it the line delta (|d| - delta / 2).
TAPER_API Tensor huber_loss(const Tensor& input, const Tensor& target,
                            Reduction reduction = Reduction::mean, double delta = 1);
/// Connectionist temporal classification: -log of the probability that frames give the target,
/// where each label is drawn out over one or more frames and `blank` may stand between labels, and
/// must between equal ones. Log probabilities [T,N,C], or [T,C] of one sequence; targets [N,S], or
/// those of all sequences behind each other; lengths [N], or of one element for [T,C]; labels and
/// lengths are integers. Infinite where no alignment exists, and 0 with `zero_infinity`. A mean
/// divides each loss by its target's length, but by no less than 1. Graves et al., "Connectionist
/// temporal classification" (2006).
TAPER_API Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets,
                          const Tensor& input_lengths, const Tensor& target_lengths,
                          int64_t blank = 0, Reduction reduction = Reduction::mean,
                          bool zero_infinity = false);
/// (x - mean) / sqrt(var + eps) * weight + bias with statistics for each channel (axis 1).
TAPER_API Tensor batch_norm(const Tensor& x, const Tensor& mean, const Tensor& var,
                            const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
/// (x - mean) / sqrt(var + eps) * weight + bias with statistics over the last axes; their sizes and
/// those of weight and bias are `normalized_shape`. Ba et al., "Layer normalization" (2016).
TAPER_API Tensor layer_norm(const Tensor& x, const Shape& normalized_shape,
                            const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);

/// An operator between tensors and numbers. Each order is an overload of its own, so that none is
/// a rewritten `==`, whose result would have to be a bool.
#define TAPER_OPERATOR(op, function)                                                     \
  inline Tensor operator op(const Tensor& a, const Tensor& b) { return function(a, b); } \
  template <class T>                                                                     \
    requires(AnyNumber<T>)                                                               \
  Tensor operator op(const Tensor& a, T b) {                                             \
    return function(a, b);                                                               \
  }                                                                                      \
  template <class T>                                                                     \
    requires(AnyNumber<T>)                                                               \
  Tensor operator op(T a, const Tensor& b) {                                             \
    return function(a, b);                                                               \
  }
TAPER_OPERATOR(+, add)
TAPER_OPERATOR(-, subtract)
TAPER_OPERATOR(*, multiply)
TAPER_OPERATOR(/, divide)
TAPER_OPERATOR(%, remainder)
TAPER_OPERATOR(==, equal)
TAPER_OPERATOR(!=, not_equal)
TAPER_OPERATOR(<, less)
TAPER_OPERATOR(<=, less_equal)
TAPER_OPERATOR(>, greater)
TAPER_OPERATOR(>=, greater_equal)
TAPER_OPERATOR(&, bitwise_and)
TAPER_OPERATOR(|, bitwise_or)
TAPER_OPERATOR(^, bitwise_xor)
#undef TAPER_OPERATOR
inline Tensor operator-(const Tensor& x) { return negative(x); }
inline Tensor operator~(const Tensor& x) { return bitwise_invert(x); }

/// These rebind the handle; a buffer that nothing else shares is reused. Under `no_grad` a leaf
/// stays a leaf with its gradient, `w -= rate * w.grad()`, and throws value if its shape or dtype
/// changed.
TAPER_API Tensor& operator+=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator-=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator*=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator/=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator%=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator&=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator|=(Tensor& a, const Operand& b);
TAPER_API Tensor& operator^=(Tensor& a, const Operand& b);

}  // namespace taper

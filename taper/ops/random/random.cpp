#include <cmath>

#include <taper/backend/cpu/random.h>

#include <taper/ops/composed.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

struct Stream {
  uint64_t key;
  uint64_t offset;
};

Stream stream_of(const View& key) {
  const int64_t* words = key.as<int64_t>();
  return {static_cast<uint64_t>(words[0]), static_cast<uint64_t>(words[1])};
}

void check_key(const Spec& key) {
  if (key != Spec{DType::i64, key.device, {2}}) {
    violate(ErrorKind::shape, "key must be i64[2]: {seed, offset}");
  }
}

SampleInput key_input() { return {.shape = {2}, .low = 0, .high = 1000, .dtype = DType::i64}; }

// ---------------------------------------------------------------------------------- advance

struct AdvanceAttrs {
  int64_t blocks = 0;
};

Specs infer_advance(const InSpecs& in, const AdvanceAttrs&) {
  check_key(in[0]);
  return in[0];
}
void advance_cpu(const Kernel& k, const AdvanceAttrs& attrs) {
  const Stream stream = stream_of(k.in(0));
  k.out().as<int64_t>()[0] = static_cast<int64_t>(stream.key);
  k.out().as<int64_t>()[1] =
      static_cast<int64_t>(stream.offset + static_cast<uint64_t>(attrs.blocks));
}
Results advance_reference(const Inputs& in, const AdvanceAttrs& attrs) {
  auto words = in[0].to_vector<int64_t>();
  words[1] += attrs.blocks;
  Results results;
  results[0] = from_values({2}, words);
  return results;
}
std::vector<Sample<AdvanceAttrs>> advance_samples() {
  return {{.inputs = {key_input()}, .attrs = {17}},
          {.inputs = {{.shape = {2}}}, .error = "key must be i64[2]"}};
}

const Op<AdvanceAttrs> advance_op{{.name = "advance_key",
                                   .doc = "The key of the draw behind one of `blocks` blocks.",
                                   .internal = true,
                                   .inputs = {"key"},
                                   .infer = infer_advance,
                                   .reference = advance_reference,
                                   .grad = not_differentiable{"a random key is an integer"},
                                   .kernels = {.cpu = advance_cpu},
                                   .no_golden = golden_nowhere,
                                   .samples = advance_samples}};

// ---------------------------------------------------------------------------------- fills

struct UniformAttrs {
  Required<Shape> shape;
  double low = 0;
  double high = 1;
  DType dtype = DType::f32;
};
struct NormalAttrs {
  Required<Shape> shape;
  double mean = 0;
  double std = 1;
  DType dtype = DType::f32;
};

[[noreturn]] void refuse_dtype(DType dtype) {
  violate(ErrorKind::dtype, "does not make " + std::string(dtype_name(dtype)));
}

bool is_finite_in(DType dtype, double value) {
  return visit_dtype(dtype, [&]<class T>() {
    return std::isfinite(static_cast<double>(convert(value, dtype, "random").as<T>()));
  });
}

/// Throws if one of two numbers is not finite in the dtype.
void check_finite(DType dtype, const char* what, double first, double second, bool good) {
  if (good && is_finite_in(dtype, first) && is_finite_in(dtype, second)) return;
  violate(ErrorKind::value, std::string(what) + " must be finite in " +
                                std::string(dtype_name(dtype)) + ", got " + print_real(first) +
                                " and " + print_real(second));
}

Specs infer_fill(const InSpecs& in, const UniformAttrs& attrs) {
  check_key(in[0]);
  if (!is_float(attrs.dtype)) refuse_dtype(attrs.dtype);
  check_finite(attrs.dtype, "low, high and their distance", attrs.low, attrs.high,
               is_finite_in(attrs.dtype, attrs.high - attrs.low));
  if (attrs.low > attrs.high) {
    violate(ErrorKind::value, "low must be below high, got " + print_real(attrs.low) + " and " +
                                  print_real(attrs.high));
  }
  return Spec{attrs.dtype, in[0].device, attrs.shape};
}
Specs infer_fill(const InSpecs& in, const NormalAttrs& attrs) {
  check_key(in[0]);
  if (!is_float(attrs.dtype)) refuse_dtype(attrs.dtype);
  check_finite(attrs.dtype, "mean and std", attrs.mean, attrs.std, true);
  if (attrs.std < 0) {
    violate(ErrorKind::value, "std must be at least 0, got " + print_real(attrs.std));
  }
  return Spec{attrs.dtype, in[0].device, attrs.shape};
}

void run_fill(const View& out, const Stream& stream, const UniformAttrs& attrs) {
  fill_uniform(out, stream.key, stream.offset, attrs.low, attrs.high);
}
void run_fill(const View& out, const Stream& stream, const NormalAttrs& attrs) {
  fill_normal(out, stream.key, stream.offset, attrs.mean, attrs.std);
}

template <class Attrs>
void fill_cpu(const Kernel& k, const Attrs& attrs) {
  run_fill(k.out(), stream_of(k.in(0)), attrs);
}

/// Random numbers have no second definition here: tests/backend checks the streams themselves; this
/// checks that the row passes on its operands.
template <class Attrs>
Results fill_reference(const Inputs& in, const Attrs& attrs) {
  Results results;
  results[0] = empty(attrs.shape, attrs.dtype);
  const View out{results[0].raw(), &results[0].spec(), &results[0].strides(), true};
  const auto key = in[0].to_vector<int64_t>();
  run_fill(out, {static_cast<uint64_t>(key[0]), static_cast<uint64_t>(key[1])}, attrs);
  return results;
}

template <class Attrs>
std::vector<Sample<Attrs>> fill_samples() {
  constexpr DType dtype = DType::f32;
  return {
      {.inputs = {key_input()}, .attrs = {Shape{3, 5}, 1, 9, dtype}},
      {.inputs = {key_input()}, .attrs = {Shape{0}, 1, 9, dtype}},
      {.inputs = {key_input()}, .attrs = {Shape{4}, 1, 9, DType::f64}},
      {.inputs = {key_input()}, .attrs = {Shape{3}, 1, -1, dtype}, .error = "must be"},
      {.inputs = {key_input()}, .attrs = {Shape{3}, 0, INFINITY, dtype}, .error = "must be finite"},
      {.inputs = {key_input()},
       .attrs = {Shape{3}, 0, 1, DType::i32},
       .error = "does not make i32"},
      {.inputs = {{.shape = {3}, .dtype = DType::i64}},
       .attrs = {Shape{3}, 1, 9, dtype},
       .error = "key must be i64[2]"}};
}

template <class Attrs>
Row<Attrs> fill_row(std::string_view name, std::string_view doc, AttributeDoc first,
                    AttributeDoc second) {
  return {.name = name,
          .doc = doc,
          .attributes = {{"shape", "The shape of the result."},
                         first,
                         second,
                         {"dtype", "The floating dtype of the result."}},
          .inputs = {"key"},
          .infer = [](const InSpecs& in, const Attrs& attrs) { return infer_fill(in, attrs); },
          .reference = fill_reference<Attrs>,
          .grad = not_differentiable{"random numbers do not depend on a floating input"},
          .kernels = {.cpu = fill_cpu<Attrs>},
          .no_golden = golden_nowhere,
          .samples = fill_samples<Attrs>};
}

constexpr AttributeDoc low_line{"low", "The lower bound."};
constexpr AttributeDoc high_line{"high", "The upper bound."};
constexpr AttributeDoc mean_line{"mean", "Their mean."};
constexpr AttributeDoc std_line{"std", "Their standard deviation."};

const Op<UniformAttrs> uniform_op = fill_row<UniformAttrs>(
    "random_uniform", "Numbers uniform in [low, high) from the stream `key`.", low_line, high_line);
const Op<NormalAttrs> normal_op = fill_row<NormalAttrs>(
    "random_normal", "Normal numbers from the stream `key`.", mean_line, std_line);

// ---------------------------------------------------------------------------------- integers

struct IntegerAttrs {
  Required<Shape> shape;
  Required<int64_t> low;
  Required<int64_t> high;
  DType dtype = DType::i64;
};

Specs infer_integers(const InSpecs& in, const IntegerAttrs& attrs) {
  check_key(in[0]);
  if (is_inexact(attrs.dtype)) refuse_dtype(attrs.dtype);
  const int64_t low = attrs.low;
  const int64_t high = attrs.high;
  const auto range = [&] { return "[" + std::to_string(low) + ", " + std::to_string(high) + ")"; };
  if (low >= high) {
    violate(ErrorKind::value, "low must be below high, got " + range());
  }
  const bool all_bools = !is_bool(attrs.dtype) || (low >= 0 && high <= 2);
  if (!all_bools || !fits(low, attrs.dtype) || !fits(high - 1, attrs.dtype)) {
    violate(ErrorKind::value,
            std::string(dtype_name(attrs.dtype)) + " does not hold all integers of " + range());
  }
  return Spec{attrs.dtype, in[0].device, attrs.shape};
}

void run_integers(const View& out, const Stream& stream, const IntegerAttrs& attrs) {
  fill_integers(out, stream.key, stream.offset, attrs.low, attrs.high);
}

void integers_cpu(const Kernel& k, const IntegerAttrs& attrs) {
  run_integers(k.out(), stream_of(k.in(0)), attrs);
}

/// As `fill_reference`: that the row passes on its operands.
Results integers_reference(const Inputs& in, const IntegerAttrs& attrs) {
  Results results;
  results[0] = empty(attrs.shape, attrs.dtype);
  const View out{results[0].raw(), &results[0].spec(), &results[0].strides(), true};
  const auto key = in[0].to_vector<int64_t>();
  run_integers(out, {static_cast<uint64_t>(key[0]), static_cast<uint64_t>(key[1])}, attrs);
  return results;
}

std::vector<Sample<IntegerAttrs>> integer_samples() {
  return {{.inputs = {key_input()}, .attrs = {Shape{3, 5}, 1, 9}},
          {.inputs = {key_input()}, .attrs = {Shape{0}, 1, 9}},
          {.inputs = {key_input()}, .attrs = {Shape{4}, 0, 256, DType::u8}},
          {.inputs = {key_input()}, .attrs = {Shape{3}, 1, -1}, .error = "must be below high"},
          {.inputs = {key_input()},
           .attrs = {Shape{3}, 0, 300, DType::u8},
           .error = "u8 does not hold all integers of [0, 300)"},
          {.inputs = {key_input()},
           .attrs = {Shape{3}, 0, 3, DType::f32},
           .error = "does not make f32"},
          {.inputs = {{.shape = {3}, .dtype = DType::i64}},
           .attrs = {Shape{3}, 1, 9},
           .error = "key must be i64[2]"}};
}

const Op<IntegerAttrs> integers_op{
    {.name = "random_integers",
     .doc = "Integers uniform in [low, high) from the stream `key`.",
     .attributes = {{"shape", "The shape of the result."},
                    {"low", "The smallest number."},
                    {"high", "The end, which is not drawn."},
                    {"dtype", "The dtype of the result."}},
     .inputs = {"key"},
     .infer = infer_integers,
     .reference = integers_reference,
     .grad = not_differentiable{"random numbers do not depend on a floating input"},
     .kernels = {.cpu = integers_cpu},
     .no_golden = golden_nowhere,
     .samples = integer_samples}};

// ---------------------------------------------------------------------------------- dropout

struct DropoutAttrs {
  double p = 0.5;
};

Specs infer_dropout(const InSpecs& in, const DropoutAttrs& attrs) {
  check_key(in[1]);
  if (!is_float(in[0].dtype)) {
    violate(ErrorKind::dtype, "takes floating tensors; convert with astype");
  }
  if (!(attrs.p >= 0 && attrs.p <= 1)) {
    violate(ErrorKind::value, "p must be in [0, 1], got " + print_real(attrs.p));
  }
  Spec mask = in[0];
  mask.dtype = DType::boolean;
  return {in[0], mask};
}

void dropout_cpu(const Kernel& k, const DropoutAttrs& attrs) {
  const Stream stream = stream_of(k.in(1));
  dropout(k.in(0), k.out(0), k.out(1), stream.key, stream.offset, attrs.p);
}

Results dropout_reference(const Inputs& in, const DropoutAttrs& attrs) {
  Results results;
  const Tensor random = empty(in[0].shape(), DType::f32);
  const View view{random.raw(), &random.spec(), &random.strides(), true};
  const auto key = in[1].to_vector<int64_t>();
  fill_uniform(view, static_cast<uint64_t>(key[0]), static_cast<uint64_t>(key[1]), 0, 1);
  results[1] = greater_equal(random, attrs.p);
  const double scale = attrs.p < 1 ? 1 / (1 - attrs.p) : 0;
  results[0] = where(results[1], in[0] * scale, 0);
  return results;
}

Grads dropout_vjp(const Saved& s, const DropoutAttrs& attrs) {
  const double scale = attrs.p < 1 ? 1 / (1 - attrs.p) : 0;
  return {where(s.out(1), s.grad() * scale, 0), Tensor()};
}

std::vector<Sample<DropoutAttrs>> dropout_samples() {
  return {{.inputs = {{.shape = {5, 13}}, key_input()}},
          {.inputs = {{.shape = {5, 3}}, key_input()}, .attrs = {0.25}},
          {.inputs = {{.shape = {4}}, key_input()}, .attrs = {1.0}},
          {.inputs = {{.shape = {4}}, key_input()},
           .attrs = {1.5},
           .error = "p must be in [0, 1], got 1.5"}};
}

const Op<DropoutAttrs> dropout_op{
    {.name = "dropout",
     .doc = "x / (1 - p) with probability 1 - p, else 0; and which.",
     .attributes = {{"p", "The probability that an element becomes 0."}},
     .inputs = {"x", "key"},
     .outputs = {"y", "mask"},
     .kept_outputs = 1,
     .infer = infer_dropout,
     .reference = dropout_reference,
     .grad = {dropout_vjp, Saves::outputs},
     .layout = Layout::row_major,
     .kernels = {.cpu = dropout_cpu},
     .onnx = {"Dropout", 13, {{"p", "ratio"}}},
     .samples = dropout_samples}};

Tensor draw(Generator* generator, RandomKind kind, int64_t numel, DType dtype) {
  Generator& source = generator != nullptr ? *generator : default_generator();
  return source.draw(blocks_used(kind, numel, dtype));
}

template <class Attrs>
Tensor fill(std::string_view function, const Op<Attrs>& op, RandomKind kind, const Attrs& attrs,
            Generator* generator) {
  return composed(
      function, [] { return NamedOperands(); },
      [&] {
        checked_bytes(attrs.shape, attrs.dtype);
        return op({draw(generator, kind, attrs.shape->numel(), attrs.dtype)}, attrs);
      });
}

}  // namespace

namespace {

Tensor key_of(uint64_t seed) {
  return from_values<int64_t>({2}, std::vector<int64_t>{static_cast<int64_t>(seed), 0});
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit depends on all of `x`.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t mix(uint64_t seed, uint64_t major, uint64_t minor) {
  constexpr uint64_t golden = 0x9e3779b97f4a7c15;  // so that zeros do not stay zeros
  return mix(mix(mix(seed + golden) + major + golden) + minor + golden);
}

}  // namespace

Generator::Generator(uint64_t seed) : cell_("random", key_of(seed)) {
  cell_.impl()->counter = true;
}

void Generator::manual_seed(uint64_t seed) { set_state(key_of(seed)); }

Tensor Generator::state() const {
  return move_on(cell_, [](const Tensor& key) { return key; });
}

void Generator::set_state(const Tensor& key) {
  const Spec wanted{DType::i64, {}, {2}};
  if (!key.defined() || key.spec() != wanted) {
    fail(key.defined() && key.dtype() != wanted.dtype ? ErrorKind::dtype : ErrorKind::shape,
         "set_state: the state of a generator is " + to_string(wanted) + ", got " +
             (key.defined() ? to_string(key.spec()) : "an undefined tensor"));
  }
  key.check_data();
  move_on(cell_, [&](const Tensor&) { return key; });
}

Tensor Generator::draw(int64_t blocks) {
  return move_on(cell_, [&](const Tensor& key) { return advance_op({key}, {blocks}); });
}

GeneratorScope::GeneratorScope(const Generator& generator, uint64_t seed, uint64_t major,
                               uint64_t minor)
    : scope_(generator.cell(), [=] { return key_of(mix(seed, major, minor)); }) {}

Generator& default_generator() {
  static Generator* const generator = [] {
    auto* made = new Generator;        // outlives every static tensor
    made->cell().impl()->capture = 0;  // nor does it belong to a capture that draws first
    return made;
  }();
  return *generator;
}

void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

Tensor uniform(const Shape& shape, double low, double high, DType dtype, Generator* generator) {
  const UniformAttrs attrs{shape, low, high, dtype};
  return fill("uniform", uniform_op, RandomKind::uniform, attrs, generator);
}
Tensor rand(const Shape& shape, DType dtype, Generator* generator) {
  const UniformAttrs attrs{shape, 0, 1, dtype};
  return fill("rand", uniform_op, RandomKind::uniform, attrs, generator);
}
Tensor normal(const Shape& shape, double mean, double std, DType dtype, Generator* generator) {
  const NormalAttrs attrs{shape, mean, std, dtype};
  return fill("normal", normal_op, RandomKind::normal, attrs, generator);
}
Tensor randn(const Shape& shape, DType dtype, Generator* generator) {
  const NormalAttrs attrs{shape, 0, 1, dtype};
  return fill("randn", normal_op, RandomKind::normal, attrs, generator);
}
Tensor randint(int64_t low, int64_t high, const Shape& shape, DType dtype, Generator* generator) {
  const IntegerAttrs attrs{shape, low, high, dtype};
  return fill("randint", integers_op, RandomKind::integers, attrs, generator);
}

Tensor dropout(const Tensor& x, double p, bool training, Generator* generator) {
  if (!x.defined()) report(dropout_op, {ErrorKind::value, "x is undefined"}, {});
  if (!training) return x;
  return dropout_op({x, draw(generator, RandomKind::dropout, x.numel(), x.dtype())}, {p});
}

}  // namespace taper

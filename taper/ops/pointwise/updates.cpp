#include <taper/ops/pointwise/pointwise.h>

#if TAPER_ROWS
#include <cmath>

#include <taper/ops/pointwise/updates.h>
#endif

namespace taper {

struct SgdStep {
  double lr = 0;
  double weight_decay = 0;
  template <class T>
  TAPER_FN T operator()(const T& p, const T& g) const {
    return p - T(lr) * fma(T(weight_decay), p, g);
  }
};

struct MomentumStep {
  static constexpr size_t results = 2;
  double lr = 0;
  double gain = 1;
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
  template <class T>
  TAPER_FN std::array<T, 2> operator()(const T& p, const T& g, const T& buffer) const {
    const T d = fma(T(weight_decay), p, g);
    const T next = fma(T(momentum), buffer, T(gain) * d);
    const T direction = nesterov ? fma(T(momentum), next, d) : next;
    return {p - T(lr) * direction, next};
  }
};

struct AdamStep {
  static constexpr size_t results = 3;
  double step_size = 0;  // lr / (1 - beta1^t)
  double root = 1;       // sqrt(1 - beta2^t)
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  template <class T>
  TAPER_FN std::array<T, 3> operator()(const T& p, const T& g, const T& m, const T& v) const {
    const T d = fma(T(weight_decay), p, g);
    const T next_m = fma(T(1.0 - beta1), d - m, m);
    const T next_v = fma(T(beta2), v, T(1.0 - beta2) * (d * d));
    const T divisor = sqrt(next_v) / T(root) + T(eps);
    return {p - T(step_size) * (next_m / divisor), next_m, next_v};
  }
};

TAPER_TILES(SgdStep)
TAPER_TILES(MomentumStep)
TAPER_TILES(AdamStep)

#if TAPER_ROWS

namespace {

// ---------------------------------------------------------------------------------- what they
// share

struct SgdFactors {
  double weight_decay = 0;
};

/// The numbers that an update depends on besides its tensors.
struct Now {
  double lr;
  int64_t count;  // of the parameter's steps, from 1
};

SgdStep step_of(const SgdFactors& f, const Now& now) { return {now.lr, f.weight_decay}; }

MomentumStep step_of(const MomentumFactors& f, const Now& now) {
  // The first buffer is the gradient itself, without dampening.
  const double gain = now.count <= 1 ? 1 : 1 - f.dampening;
  return {now.lr, gain, f.momentum, f.weight_decay, f.nesterov};
}

AdamStep step_of(const AdamFactors& f, const Now& now) {
  const auto t = static_cast<double>(now.count);
  return {.step_size = now.lr / (1 - std::pow(f.beta1, t)),
          .root = std::sqrt(1 - std::pow(f.beta2, t)),
          .beta1 = f.beta1,
          .beta2 = f.beta2,
          .eps = f.eps,
          .weight_decay = f.weight_decay};
}

template <class Factors>
using StepOf = decltype(step_of(Factors(), Now()));
/// The operands like the parameter: itself, its gradient and its slots; `lr`, `steps` and `missed`
/// follow.
template <class Factors>
constexpr size_t alike = arity<StepOf<Factors>>;

template <class Factors>
Specs infer_update(const InSpecs& in, const Factors&) {
  constexpr size_t count = alike<Factors>;
  if (!is_float(in[0].dtype)) violate(ErrorKind::dtype, "p must be floating");
  for (size_t i = 1; i < count; ++i) {
    if (in[i] == in[0]) continue;
    violate(in[i].shape == in[0].shape ? ErrorKind::dtype : ErrorKind::shape,
            "p, its gradient and its slots must have one shape and dtype");
  }
  if (!is_float(in[count].dtype) || in[count].shape.rank() != 0) {
    violate(ErrorKind::shape, "lr must be one floating number");
  }
  for (size_t i = count + 1; i < in.size(); ++i) {
    if (in[i] != Spec{DType::i64, in[i].device, {}}) {
      violate(ErrorKind::shape, "steps and missed must be i64[]");
    }
  }
  Specs specs;
  for (size_t i = 0; i < results<StepOf<Factors>>; ++i) specs.push_back(in[0]);
  return specs;
}

double number(const View& view) {
  return visit_dtype(view.spec->dtype,
                     [&]<class T>() { return static_cast<double>(*view.as<T>()); });
}

template <class Factors>
void run_update(const Kernel& k, const Factors& factors) {
  constexpr size_t count = alike<Factors>;
  const bool counts = k.inputs.size() > count + 1;
  const Now now{number(k.in(count)),
                counts ? *k.in(count + 1).as<int64_t>() - *k.in(count + 2).as<int64_t>() : 1};
  const auto step = step_of(factors, now);
  run_pointwise(tiles_of<StepOf<Factors>>().value, &step, k.inputs.first(count), k.outputs,
                detail::pointwise_grain);
}

template <class Factors>
Results reference_update(const Inputs& in, const Factors& factors) {
  constexpr size_t count = alike<Factors>;
  const bool counts = in.size() > count + 1;
  const Now now{in[count].item(),
                counts ? in[count + 1].item<int64_t>() - in[count + 2].item<int64_t>() : 1};
  std::vector<Arg> operands;
  for (size_t i = 0; i < count; ++i) operands.emplace_back(in[i]);
  return detail::reference_pointwise<StepOf<Factors>>(Inputs(operands), step_of(factors, now));
}

// ---------------------------------------------------------------------------------- rows

/// `slots` that are positive if they hold squares; with the counts, in steps of the parameter.
template <class Factors>
Sample<Factors> sample(const Factors& factors, std::vector<SampleInput> slots, bool counts = true,
                       const char* error = "") {
  const SampleInput p{.shape = {3, 5}};
  std::vector<SampleInput> inputs{p, p};
  inputs.insert(inputs.end(), slots.begin(), slots.end());
  inputs.push_back({.shape = {}, .low = 0.1, .high = 0.2});
  if (counts) {
    inputs.push_back({.shape = {}, .low = 5, .high = 9, .dtype = DType::i64});
    inputs.push_back({.shape = {}, .low = 0, .high = 4, .dtype = DType::i64});
  }
  return {.inputs = std::move(inputs), .attrs = factors, .error = error};
}

constexpr const char* one_spec = "must have one shape and dtype";

std::vector<Sample<SgdFactors>> sgd_samples() {
  auto wrong = sample(SgdFactors(), {}, false, one_spec);
  wrong.inputs[1].shape = {5};
  return {sample(SgdFactors(), {}, false), sample(SgdFactors{0.1}, {}, false), wrong};
}
std::vector<Sample<MomentumFactors>> momentum_samples() {
  const SampleInput buffer{.shape = {3, 5}};
  return {sample(MomentumFactors(), {buffer}),
          sample(MomentumFactors{0.8, 0.3, 0.01, false}, {buffer}),
          sample(MomentumFactors{0.8, 0, 0.01, true}, {buffer}),
          sample(MomentumFactors(), {{.shape = {3, 1}}}, true, one_spec)};
}
std::vector<Sample<AdamFactors>> adam_samples() {
  const SampleInput m{.shape = {3, 5}};
  const SampleInput v{.shape = {3, 5}, .low = 0.1, .high = 1};
  auto wrong = sample(AdamFactors(), {m, v}, true, "steps and missed must be i64[]");
  wrong.inputs.back().shape = {1};
  return {sample(AdamFactors(), {m, v}), sample(AdamFactors{0.8, 0.9, 1e-3, 0.1}, {m, v}), wrong};
}

template <class Factors>
Row<Factors> update_row(std::string_view name, std::string_view doc,
                        std::vector<std::string_view> slots, const std::vector<Reuse>& reuse,
                        std::vector<Sample<Factors>> (*samples)(), bool counts = true) {
  std::vector<std::string_view> inputs{"p", "grad"};
  inputs.insert(inputs.end(), slots.begin(), slots.end());
  inputs.emplace_back("lr");
  if (counts) inputs.insert(inputs.end(), {"steps", "missed"});
  std::vector<std::string_view> outputs{"p"};
  outputs.insert(outputs.end(), slots.begin(), slots.end());
  return {.name = name,
          .doc = doc,
          .internal = true,
          .inputs = std::move(inputs),
          .outputs = std::move(outputs),
          .infer = infer_update<Factors>,
          .reference = reference_update<Factors>,
          .grad = not_differentiable{"an optimizer's update is not differentiated"},
          .layout = Layout::like_inputs,
          .any_strides = true,
          .reuse = reuse,
          .kernels = {.cpu = run_update<Factors>},
          .samples = samples};
}

const Op<SgdFactors> sgd_op =
    update_row<SgdFactors>("sgd_update", "A parameter after a step of gradient descent.", {},
                           {{0, 0}}, sgd_samples, false);
const Op<MomentumFactors> momentum_op = update_row<MomentumFactors>(
    "momentum_update", "A parameter and its buffer after a step with momentum.", {"buffer"},
    {{0, 0}, {1, 2}}, momentum_samples);
const Op<AdamFactors> adam_op =
    update_row<AdamFactors>("adam_update", "A parameter and its two moments after a step of Adam.",
                            {"m", "v"}, {{0, 0}, {1, 2}, {2, 3}}, adam_samples);

}  // namespace

Tensor sgd_update(const Arg& p, const Tensor& g, const Tensor& lr, double weight_decay) {
  return sgd_op({p, g, lr}, {weight_decay});
}

Results momentum_update(const Arg& p, const Tensor& g, const Arg& buffer, const StepNow& now,
                        const Tensor& missed, const MomentumFactors& factors) {
  const Arg args[] = {p, g, buffer, now.lr, now.steps, missed};
  return momentum_op.all(args, factors);
}

Results adam_update(const Arg& p, const Tensor& g, const Arg& m, const Arg& v, const StepNow& now,
                    const Tensor& missed, const AdamFactors& factors) {
  const Arg args[] = {p, g, m, v, now.lr, now.steps, missed};
  return adam_op.all(args, factors);
}

#endif

}  // namespace taper

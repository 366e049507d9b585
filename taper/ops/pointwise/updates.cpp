#include <taper/ops/pointwise/pointwise.h>

#if TAPER_ROWS
#include <taper/ops/pointwise/updates.h>
#endif

namespace taper {

struct SgdUpdate {
  double weight_decay = 0;
  template <class T>
  TAPER_FN T operator()(const T& p, const T& g, const T& lr) const {
    return p - lr * fma(T(weight_decay), p, g);
  }
};

struct MomentumUpdate {
  static constexpr size_t results = 2;
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
  template <class T>
  TAPER_FN std::array<T, 2> operator()(const T& p, const T& g, const T& buffer, const T& lr,
                                       const T& gain) const {
    const T d = fma(T(weight_decay), p, g);
    const T next = fma(T(momentum), buffer, gain * d);
    const T direction = nesterov ? fma(T(momentum), next, d) : next;
    return {p - lr * direction, next};
  }
};

struct AdamUpdate {
  static constexpr size_t results = 3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  template <class T>
  TAPER_FN std::array<T, 3> operator()(const T& p, const T& g, const T& m, const T& v,
                                       const T& step_size, const T& root) const {
    const T d = fma(T(weight_decay), p, g);
    const T next_m = fma(T(1.0 - beta1), d - m, m);
    const T next_v = fma(T(beta2), v, T(1.0 - beta2) * (d * d));
    const T divisor = sqrt(next_v) / root + T(eps);
    return {p - step_size * (next_m / divisor), next_m, next_v};
  }
};

TAPER_VALUE_TILES(SgdUpdate)
TAPER_VALUE_TILES(MomentumUpdate)
TAPER_VALUE_TILES(AdamUpdate)

#if TAPER_ROWS

namespace {

constexpr const char* not_for_gradients = "an optimizer's update is not differentiated";

std::vector<Sample<SgdUpdate>> sgd_samples() {
  const SampleInput p{.shape = {3, 5}};
  const SampleInput scalar{.shape = {}, .low = 0.1, .high = 0.2};
  return {{.inputs = {p, p, scalar}}, {.inputs = {p, p, scalar}, .attrs = {0.1}}};
}
std::vector<Sample<MomentumUpdate>> momentum_samples() {
  const SampleInput p{.shape = {3, 5}};
  const SampleInput scalar{.shape = {}, .low = 0.1, .high = 0.2};
  return {{.inputs = {p, p, p, scalar, scalar}},
          {.inputs = {p, p, p, scalar, scalar}, .attrs = {0.8, 0.01, true}}};
}
std::vector<Sample<AdamUpdate>> adam_samples() {
  const SampleInput p{.shape = {3, 5}};
  const SampleInput positive{.shape = {3, 5}, .low = 0.1, .high = 1};
  const SampleInput scalar{.shape = {}, .low = 0.1, .high = 0.2};
  return {{.inputs = {p, p, p, positive, scalar, scalar}},
          {.inputs = {p, p, p, positive, scalar, scalar}, .attrs = {0.8, 0.9, 1e-3, 0.1}}};
}

const PointwiseOp<SgdUpdate> sgd_op =
    Pointwise<SgdUpdate>{.name = "sgd_update",
                         .doc = "A parameter after a step of gradient descent.",
                         .inputs = {"p", "grad", "lr"},
                         .grad = Grad<SgdUpdate>(not_differentiable{not_for_gradients}),
                         .reuse = {{0, 0}},
                         .samples = sgd_samples};
const PointwiseOp<MomentumUpdate> momentum_op =
    Pointwise<MomentumUpdate>{.name = "momentum_update",
                              .doc = "A parameter and its buffer after a step with momentum.",
                              .inputs = {"p", "grad", "buffer", "lr", "gain"},
                              .outputs = {"p", "buffer"},
                              .grad = Grad<MomentumUpdate>(not_differentiable{not_for_gradients}),
                              .reuse = {{0, 0}, {1, 2}},
                              .samples = momentum_samples};
const PointwiseOp<AdamUpdate> adam_op =
    Pointwise<AdamUpdate>{.name = "adam_update",
                          .doc = "A parameter and its two moments after a step of Adam.",
                          .inputs = {"p", "grad", "m", "v", "step_size", "root"},
                          .outputs = {"p", "m", "v"},
                          .grad = Grad<AdamUpdate>(not_differentiable{not_for_gradients}),
                          .reuse = {{0, 0}, {1, 2}, {2, 3}},
                          .samples = adam_samples};

}  // namespace

Tensor sgd_update(const Arg& p, const Tensor& g, const Tensor& lr, double weight_decay) {
  return sgd_op({p, g, lr}, {weight_decay});
}

Results momentum_update(const Arg& p, const Tensor& g, const Arg& buffer, const Tensor& lr,
                        const Tensor& gain, const MomentumFactors& f) {
  const Arg args[] = {p, g, buffer, lr, gain};
  return momentum_op.all(args, {f.momentum, f.weight_decay, f.nesterov});
}

Results adam_update(const Arg& p, const Tensor& g, const Arg& m, const Arg& v,
                    const Tensor& step_size, const Tensor& root, const AdamFactors& f) {
  const Arg args[] = {p, g, m, v, step_size, root};
  return adam_op.all(args, {f.beta1, f.beta2, f.eps, f.weight_decay});
}

#endif

}  // namespace taper

#pragma once

#include <utility>

#include <taper/ops/ops.h>

namespace taper {

/// A tensor as a functor's number type: running a functor on it writes the op in simpler ops.
class Lifted {
 public:
  /// The dtype of constants while a functor runs.
  class Scope {
   public:
    explicit Scope(DType dtype) : before_(std::exchange(current, dtype)) {}
    ~Scope() { current = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    DType before_;
  };

  explicit Lifted(Tensor tensor) : tensor_(std::move(tensor)) {}
  explicit Lifted(double constant) : tensor_(full({}, constant, current)) {}

  const Tensor& tensor() const { return tensor_; }

 private:
  static inline thread_local DType current = DType::f64;
  Tensor tensor_;
};

inline Lifted operator+(const Lifted& a, const Lifted& b) {
  return Lifted(add(a.tensor(), b.tensor()));
}
inline Lifted operator-(const Lifted& a, const Lifted& b) {
  return Lifted(subtract(a.tensor(), b.tensor()));
}
inline Lifted operator*(const Lifted& a, const Lifted& b) {
  return Lifted(multiply(a.tensor(), b.tensor()));
}
inline Lifted operator/(const Lifted& a, const Lifted& b) {
  return Lifted(divide(a.tensor(), b.tensor()));
}
inline Lifted operator-(const Lifted& a) { return Lifted(negative(a.tensor())); }

/// A bool tensor as a functor's mask.
class LiftedMask {
 public:
  explicit LiftedMask(Tensor tensor) : tensor_(std::move(tensor)) {}
  const Tensor& tensor() const { return tensor_; }

 private:
  Tensor tensor_;
};

inline LiftedMask operator&(const LiftedMask& a, const LiftedMask& b) {
  return LiftedMask(logical_and(a.tensor(), b.tensor()));
}
inline LiftedMask operator|(const LiftedMask& a, const LiftedMask& b) {
  return LiftedMask(logical_or(a.tensor(), b.tensor()));
}
inline LiftedMask operator!(const LiftedMask& a) { return LiftedMask(logical_not(a.tensor())); }
inline Lifted where(const LiftedMask& mask, const Lifted& a, const Lifted& b) {
  return Lifted(where(mask.tensor(), a.tensor(), b.tensor()));
}

#define TAPER_LIFT_COMPARISON(op, function)                         \
  inline LiftedMask operator op(const Lifted& a, const Lifted& b) { \
    return LiftedMask(function(a.tensor(), b.tensor()));            \
  }
TAPER_LIFT_COMPARISON(==, equal)
TAPER_LIFT_COMPARISON(!=, not_equal)
TAPER_LIFT_COMPARISON(<, less)
TAPER_LIFT_COMPARISON(<=, less_equal)
TAPER_LIFT_COMPARISON(>, greater)
TAPER_LIFT_COMPARISON(>=, greater_equal)
#undef TAPER_LIFT_COMPARISON

#define TAPER_LIFT_UNARY(function) \
  inline Lifted function(const Lifted& x) { return Lifted(taper::function(x.tensor())); }
TAPER_LIFT_UNARY(abs)
TAPER_LIFT_UNARY(sqrt)
TAPER_LIFT_UNARY(rsqrt)
TAPER_LIFT_UNARY(exp)
TAPER_LIFT_UNARY(expm1)
TAPER_LIFT_UNARY(log)
TAPER_LIFT_UNARY(log1p)
TAPER_LIFT_UNARY(sin)
TAPER_LIFT_UNARY(cos)
TAPER_LIFT_UNARY(tanh)
TAPER_LIFT_UNARY(erf)
TAPER_LIFT_UNARY(sigmoid)
TAPER_LIFT_UNARY(softplus)
TAPER_LIFT_UNARY(floor)
#undef TAPER_LIFT_UNARY

/// In simpler ops, which can be differentiated again.
inline Lifted silu(const Lifted& x) { return x * sigmoid(x); }
inline Lifted normal_cdf(const Lifted& x) {
  return Lifted(0.5) * (Lifted(1.0) + erf(x * Lifted(0.70710678118654752)));
}
inline Lifted normal_pdf(const Lifted& x) {
  return Lifted(0.3989422804014327) * exp(Lifted(-0.5) * x * x);
}
inline Lifted gelu(const Lifted& x) { return x * normal_cdf(x); }
inline Lifted pow(const Lifted& a, const Lifted& b) { return Lifted(pow(a.tensor(), b.tensor())); }
inline Lifted min(const Lifted& a, const Lifted& b) {
  return Lifted(minimum(a.tensor(), b.tensor()));
}
inline Lifted max(const Lifted& a, const Lifted& b) {
  return Lifted(maximum(a.tensor(), b.tensor()));
}
inline Lifted fma(const Lifted& a, const Lifted& b, const Lifted& c) { return a * b + c; }

}  // namespace taper

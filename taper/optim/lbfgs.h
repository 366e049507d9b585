#pragma once

#include <optional>

#include <taper/optim/optimizer.h>

namespace taper {
namespace optim {

enum class LineSearch { strong_wolfe };

}  // namespace optim

template <>
struct EnumNames<optim::LineSearch> {
  static constexpr std::array<std::string_view, 1> names{"strong_wolfe"};
};

}  // namespace taper

namespace taper::optim {

struct TAPER_API LBFGSOptions {
  NonNegative<double> lr = 1;
  Positive<int64_t> max_iter = 20;                 ///< of one step
  std::optional<Positive<int64_t>> max_eval = {};  ///< of the closure in a step; 5/4 of max_iter
  NonNegative<double> tolerance_grad = 1e-7;       ///< a step ends at a largest gradient like it
  NonNegative<double> tolerance_change = 1e-9;     ///< or where loss or parameters change less
  Positive<int64_t> history_size = 100;            ///< changes from which it knows the curvature
  std::optional<LineSearch> line_search_fn = {};   ///< none: each iteration goes by `lr`
};

/// Limited-memory BFGS for a loss that is the same at each look, as over a whole dataset: Nocedal
/// and Wright, "Numerical optimization" (2006), algorithm 7.4 with the line search of 3.5 and 3.6,
/// as PyTorch defines it. One step makes up to `max_iter` iterations and calls its closure for
/// each. It ends at a loss that is not finite, where the parameters are put back; so they are if
/// the closure throws. One group of parameters; 16-bit ones are reckoned with in f32.
///
/// `state()` has PyTorch's names: `n_iter`, `func_evals`, `d`, `t`, `old_dirs`, `old_stps`, `ro`,
/// `H_diag`, `prev_flat_grad` and `prev_loss`, where there are any.
class TAPER_API LBFGS final : public OptimizerWith<LBFGS, LBFGSOptions> {
 public:
  using OptimizerWith::OptimizerWith;
  static constexpr bool single_group = true;
  LBFGS(const LBFGS& other);
  LBFGS(LBFGS&&) = default;
  LBFGS& operator=(const LBFGS&) = default;
  LBFGS& operator=(LBFGS&&) = default;
  ~LBFGS() override = default;

  bool needs_closure() const override { return true; }
  std::vector<std::pair<std::string, State>> state() const override;
  void load_state(const std::vector<std::pair<std::string, Tensor>>& values) override;
  static std::vector<std::string> slots_of(const LBFGSOptions& /*options*/) { return {}; }

 private:
  /// Between two iterations, also of different steps.
  struct Memory {
    int64_t n_iter = 0;
    int64_t func_evals = 0;
    Tensor d;  // the last direction; undefined before the first
    double t = 0;
    std::vector<Tensor> old_dirs;  // changes of the gradient
    std::vector<Tensor> old_stps;  // and of the parameters
    std::vector<double> ro;        // 1 / their products
    double H_diag = 1;
    Tensor prev_flat_grad;
    double prev_loss = 0;
  };
  class Run;

  void update(size_t group, const State& parameter, const Tensor& grad,
              std::span<const State> slots, const Step& step) override;
  Tensor minimise(const std::function<Tensor()>& closure, double lr) override;

  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();  // shared by copies, as cells are
};

}  // namespace taper::optim

TAPER_OPTIMIZER_IN_LIBRARY(LBFGS)

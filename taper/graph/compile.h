#pragma once

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

#include <taper/graph/packed.h>
#include <taper/graph/plan.h>
#include <taper/ops/tape_mode.h>

namespace taper {

/// A function whose op calls are recorded once for each signature (specs of its operands and of the
/// cells it reads, modes of modules, threads) and replayed node by node from then on. Operands are
/// tensors, or one vector of them; it returns nothing, a Tensor or a vector, array, pair or tuple
/// of them.
///
/// What may change between calls is an operand or a State; a tensor that the function holds in
/// another way throws unsupported, unless it says `constant(t)`. Tensors that it makes from values
/// while it runs are constants of the graph. One of its own that it keeps beyond the call, such as
/// in a variable outside, throws unsupported, and so does a change of a module's mode: replays
/// would repeat neither.
///
/// While it is captured its operands are row-major and need no gradient, whatever those of a call
/// are: a branch on that is not seen.
///
/// What it holds by handle (a State, a module, an optimizer) or by value (a flag, a number) is what
/// that was at the capture: to assign another one to the handle later on is not seen.
///
/// A replay puts nothing on the tape: take gradients inside. A signature whose result is still on
/// the tape (an output needs a gradient, and no backward pass inside has freed its graph) therefore
/// runs the function itself at each call, and so does a call with an operand that requires a
/// gradient or inside another capture; under `no_grad` such a function is replayed, unless it
/// returns a leaf itself: return `w.value().detach()`. The last eight signatures are kept.
///
/// A replay that throws leaves every cell whole, with its old or its new value; where an op refused
/// what it was given, such as a label out of range, all cells keep their old ones. Several threads
/// may call one object at once as long as it assigns no cell.
template <class F>
class Compiled {
 public:
  explicit Compiled(F function)
      : function_(std::move(function)), cache_(std::make_shared<PlanCache>()) {}

  /// Shares the plans, unless a module that holds it is cloned: they read the original's cells.
  Compiled(const Compiled& other)
      : function_(other.function_),
        cache_(CloneScope::active() ? std::make_shared<PlanCache>() : other.cache_) {}
  Compiled(Compiled&&) = default;
  Compiled& operator=(const Compiled&) = default;
  Compiled& operator=(Compiled&&) = default;
  ~Compiled() = default;

  template <class... Args>
    requires(std::convertible_to<const Args&, const Tensor&> && ...)
  auto operator()(const Args&... args)
      -> detail::Returned<std::invoke_result_t<F&, const Args&...>> {
    return run({args...}, [&](const std::vector<Tensor>& inputs) {
      return [&]<size_t... I>(std::index_sequence<I...>) {
        return function_(inputs[I]...);
      }(std::index_sequence_for<Args...>());
    });
  }
  /// The call of a function of a vector of tensors. A template, lest a generic function is asked
  /// for it at its other calls.
  template <std::same_as<std::vector<Tensor>> List>
    requires std::invocable<F&, const List&>
  auto operator()(const List& inputs) {
    return run(inputs, function_);
  }

  /// The graph of the latest call that was captured or replayed. Throws value before the first.
  Graph graph() const {
    const std::shared_ptr<const Plan> plan = cache_->latest();
    if (!plan) fail(ErrorKind::value, "graph: the compiled function was not called yet");
    return plan->graph();
  }
  /// How often the function was captured.
  size_t captures() const { return cache_->captures(); }

 private:
  static bool needs_tape(const std::vector<Tensor>& inputs) {
    for (const Tensor& input : inputs) {
      if (tape_on && input.defined() && input.requires_grad()) return true;
    }
    return false;
  }

  template <class Call>
  auto run(const std::vector<Tensor>& inputs, Call&& call)
      -> detail::Returned<std::invoke_result_t<Call&, const std::vector<Tensor>&>> {
    using R = detail::Returned<std::invoke_result_t<Call&, const std::vector<Tensor>&>>;
    if (interpreter != nullptr || needs_tape(inputs)) return call(inputs);
    auto record = [&](const std::vector<Tensor>& symbols) -> std::vector<Tensor> {
      if constexpr (std::is_void_v<R>) {
        call(symbols);
        return {};
      } else {
        return detail::Packed<R>::pack(call(symbols));
      }
    };
    const std::shared_ptr<const Plan> plan = cache_->find_or_capture(inputs, record);
    if (plan->on_tape()) return call(inputs);
    if constexpr (std::is_void_v<R>) {
      plan->run(inputs);
    } else {
      return detail::Packed<R>::unpack(plan->run(inputs));
    }
  }

  F function_;
  std::shared_ptr<PlanCache> cache_;
};

/// Records `function` at its first call and replays it afterwards.
template <class F>
Compiled<F> compile(F function) {
  return Compiled<F>(std::move(function));
}

}  // namespace taper

#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/factory.h>
#include <taper/core/state.h>
#include <taper/optim/option_numbers.h>

namespace taper::optim {

/// `defaults` with the fields of `given` in their place, or behind them.
TAPER_API Fields merged(Fields defaults, const Fields& given);

/// Parameters with options of their own, such as `{.parameters = p, .options = {{"lr", 1e-4}}}`;
/// the others are those of the optimizer.
struct ParameterGroup {
  std::vector<State> parameters;
  Fields options = {};
};

/// Updates parameters from their gradients. Everything that changes (step count, learning rate,
/// moments) is a cell, so a whole training step can be captured.
class TAPER_API Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// A copy of an attached one is another handle on the same cells; that of one without parameters
  /// is an optimizer of its own. That of a cloned module is the clone's, with copies of the state.
  Optimizer(const Optimizer& other);
  Optimizer& operator=(const Optimizer&) = default;

  /// Takes the parameters to update; slots start at zero. Throws value if it has some already, if
  /// there are none, or if one is null or given twice.
  void attach(std::vector<State> parameters);
  bool attached() const { return !parameters_.empty(); }

  /// Updates every parameter that has a gradient in its `.grad`. One that needs no gradient is
  /// frozen: it is neither updated nor decayed, and its slots stay. A parameter's own count of
  /// steps, by which Adam corrects its means, is that of its updates, as in PyTorch.
  void step();
  /// Updates with these gradients, one for each parameter; undefined ones leave theirs as it is.
  /// Throws value, shape or dtype, before anything changes, for a gradient that is not like its
  /// parameter. Where memory cannot be had each cell keeps its old value or has its new one.
  void step(const std::vector<Tensor>& grads);
  /// Updates by the gradients that `closure` leaves: it clears them, computes the loss, calls its
  /// backward and returns it. It is called once, or as often as LBFGS and its kin look at the loss.
  /// Returns the first loss.
  Tensor step(const std::function<Tensor()>& closure);
  /// Whether a step looks at the loss more than once and so takes a closure only; the other two
  /// throw value.
  virtual bool needs_closure() const { return false; }
  void zero_grad();

  size_t groups() const { return groups_.size(); }
  double lr(size_t group = 0) const;
  /// Sets the rate of every group, or of one; it is the first rate for `scale_lr`.
  void set_lr(double lr);
  void set_lr(double lr, size_t group);
  /// The rate of a group before any `scale_lr`: that of its options or of the last `set_lr`.
  double first_lr(size_t group = 0) const;
  /// Gives each group its own first rate times `factor`: what a schedule does.
  void scale_lr(double factor);
  /// Gives each group a rate of its own and leaves its first one: what other schedules do. Throws
  /// value unless there is one for each.
  void schedule_lr(const std::vector<double>& rates);

  /// The options of a group as they are now: its rate and what `set_option` changed.
  Fields present_options(size_t group = 0) const;
  /// Gives an option made of real numbers, such as `momentum` or `betas`, another value from the
  /// next step on, in a captured step too: from the first such call on they are a cell, `options`
  /// in `state()`. `lr` is set as by `set_lr`. Throws value for a value out of bounds, for another
  /// kind of option and for one that needs slots which the options at first did not.
  void set_option(std::string_view name, const Value& value, size_t group = 0);

  /// Of all groups, in their order.
  const std::vector<State>& parameters() const { return parameters_; }
  /// Step count, learning rate and the slots of each parameter, named, for checkpoints: `step`,
  /// `lr`, `0.exp_avg`, ... of group 0, `group1.step`, `group1.lr`, `group1.0.exp_avg`, ...
  /// `0.missed` counts the steps in which a parameter had no part, if there were any.
  virtual std::vector<std::pair<std::string, State>> state() const;
  /// Takes the values of such cells. Throws value, not_found or shape, all before anything changes,
  /// if they are those of another optimizer or of other parameters.
  virtual void load_state(const std::vector<std::pair<std::string, Tensor>>& values);

  /// The registered name; empty for one that no registry knows.
  virtual std::string_view type() const = 0;
  /// The options that a group was made with.
  virtual Fields group_options(size_t group) const = 0;
  /// Another one of this type with the same cells, or copies of them in a CloneScope.
  virtual std::shared_ptr<Optimizer> copied() const = 0;

 protected:
  Optimizer() = default;

  /// What one parameter's step depends on besides its gradient and slots.
  struct Step {
    Tensor lr;      // f64, 0-d
    Tensor steps;   // i64, 0-d: of the optimizer, from 1
    Tensor missed;  // i64, 0-d: those in which the parameter had no part
    /// The real numbers of the options, f64 in their order, but lr; undefined while none changed.
    Tensor options = {};
    /// The parameter's own count of steps, from 1 (f64, 0-d).
    Tensor count() const;
  };
  /// Names of the tensors like the parameter that the update keeps, such as `exp_avg`.
  virtual std::vector<std::string> slot_names(size_t group) const = 0;
  /// Gives the parameter and its slots their next values, by `taper::update`. The gradient is like
  /// the parameter, and the tape is off.
  virtual void update(size_t group, const State& parameter, const Tensor& grad,
                      std::span<const State> slots, const Step& step) = 0;
  /// A step of one that needs the closure, which may run with the tape; itself it has none. Returns
  /// the first loss.
  virtual Tensor minimise(const std::function<Tensor()>& closure, double lr);

  /// One group for each rate, still without parameters.
  void begin(const std::vector<double>& rates);
  /// Throws value as `attach` does, naming the group.
  void attach_groups(const std::vector<ParameterGroup>& groups);
  size_t checked(size_t group) const;

 private:
  struct Shared {  // by copies, as the cells are
    double first_lr = 0;
    State options;  // null while none was set
  };
  struct Group {
    State steps;
    State lr;
    std::shared_ptr<Shared> shared;
    size_t end = 0;  // behind its last parameter
  };
  struct Kept {
    std::vector<State> slots;
    State missed;             // steps in which the parameter had no part
    uint32_t departures = 0;  // of the parameter when it was attached
  };

  /// The real numbers of these options, checked. Throws value unless they are those of the group
  /// but for such numbers.
  virtual std::vector<double> checked_numbers(size_t group, const Fields& options) const = 0;
  /// The options of a group with these numbers.
  virtual Fields options_with(size_t group, std::span<const double> numbers) const = 0;
  std::vector<double> first_numbers(size_t group) const;
  std::vector<double> present_numbers(size_t group) const;
  Tensor options_cell(size_t group) const;
  Tensor value_without(const std::string& name, const State& cell) const;
  void check_attached() const;

  /// All of them, or nothing where that throws; `several` for messages.
  void take(std::span<const std::vector<State>> groups, bool several);
  /// Of all groups, or of none where that throws.
  void set_rates(const std::vector<double>& rates);
  /// With the counts of missed steps that are 0, too.
  std::vector<std::pair<std::string, State>> all_cells() const;
  void check_rate(double lr) const;
  void check_places() const;
  void check_grads(const std::vector<Tensor>& grads) const;
  void check_slots(size_t number) const;
  void step_checked(std::span<const Tensor> grads);

  std::vector<Group> groups_;
  std::vector<State> parameters_;  // of all groups, in their order
  std::vector<Kept> kept_;         // of each parameter
};

namespace detail {

/// What an optimizer updates.
template <class T>
concept Updated =
    std::same_as<T, std::vector<State>> || std::same_as<T, std::vector<ParameterGroup>>;

}  // namespace detail

/// An optimizer with one struct of options, of which each group has its own. `Derived` says
/// `update` and `static std::vector<std::string> slots_of(const Options&)`, and is made of options,
/// of parameters and options or of groups and the options that they have in common, which may be
/// given as their fields in order: `SGD(parameters, 0.1, 0.9)`; these have `lr`. One that reads the
/// changed numbers of `Step` says `static constexpr bool changes_options`, one that takes a single
/// group `single_group`.
template <class Derived, class Options>
class TAPER_API OptimizerWith : public WithOptions<Derived, Optimizer, Options> {
 public:
  OptimizerWith() : OptimizerWith(Options{}) {}
  explicit OptimizerWith(Options options);
  template <class... Args>
    requires(!(std::derived_from<std::remove_cvref_t<Args>, OptimizerWith> || ...) &&
             taper::detail::OptionFields<Options, Args...>)
  explicit OptimizerWith(Args&&... args) : OptimizerWith(Options{std::forward<Args>(args)...}) {}
  // Templates, so that `SGD({.lr = 0.1})` can mean nothing but the options.
  template <detail::Updated Cells>
  explicit OptimizerWith(Cells cells, Options options = {}) : OptimizerWith(std::move(options)) {
    take(std::move(cells));
  }
  template <detail::Updated Cells, class... Args>
    requires taper::detail::OptionFields<Options, Args...>
  explicit OptimizerWith(Cells cells, Args&&... args)
      : OptimizerWith(std::move(cells), Options{std::forward<Args>(args)...}) {}
  // Without a default, so that one braced list can mean nothing but the options.
  OptimizerWith(std::initializer_list<ParameterGroup> groups, Options options)
      : OptimizerWith(std::move(options)) {
    take(groups);
  }

  std::string_view type() const override { return Derived::type_name; }
  Fields group_options(size_t group) const override;
  std::shared_ptr<Optimizer> copied() const override;

 protected:
  const Options& options_of(size_t group) const { return group_options_[group]; }

 private:
  std::vector<std::string> slot_names(size_t group) const final {
    return Derived::slots_of(group_options_[group]);
  }
  std::vector<double> checked_numbers(size_t group, const Fields& options) const final;
  Fields options_with(size_t group, std::span<const double> numbers) const final {
    return to_fields(detail::with_numbers(group_options_[group], numbers));
  }
  void take(std::vector<State> parameters) { this->attach(std::move(parameters)); }
  void take(const std::vector<ParameterGroup>& groups);

  std::vector<Options> group_options_;
};

// Not inline: the library has those of its own classes.
template <class Derived, class Options>
OptimizerWith<Derived, Options>::OptimizerWith(Options options)
    : WithOptions<Derived, Optimizer, Options>(std::move(options)),
      group_options_{this->options()} {
  this->begin({group_options_[0].lr});
}

template <class Derived, class Options>
void OptimizerWith<Derived, Options>::take(const std::vector<ParameterGroup>& groups) {
  if constexpr (requires { Derived::single_group; }) {
    check_rule(groups.size() <= 1, Derived::type_name, "it takes one group of parameters",
               static_cast<int64_t>(groups.size()));
  }
  std::vector<Options> options;
  std::vector<double> rates;
  for (const ParameterGroup& group : groups) {
    options.push_back(parse_fields<Options>(Derived::type_name,
                                            merged(to_fields(this->options()), group.options)));
    rates.push_back(options.back().lr);
  }
  if (!rates.empty()) {
    this->begin(rates);
    group_options_ = std::move(options);
  }
  this->attach_groups(groups);
}

template <class Derived, class Options>
Fields OptimizerWith<Derived, Options>::group_options(size_t group) const {
  return to_fields(group_options_[this->checked(group)]);
}

template <class Derived, class Options>
std::vector<double> OptimizerWith<Derived, Options>::checked_numbers(size_t group,
                                                                     const Fields& options) const {
  const Options& made = group_options_[group];
  const Options next = parse_fields<Options>(Derived::type_name, options);
  std::vector<double> numbers = detail::real_numbers(next);
  Options same = detail::with_numbers(made, numbers);
  same.lr = next.lr;
  const bool can_change = requires { Derived::changes_options; };
  check_rule(can_change && fields_equal(same, next), Derived::type_name,
             "only real numbers of an elementwise optimizer change after it was made", options);
  const std::vector<std::string> slots = Derived::slots_of(made);
  for (const std::string& slot : Derived::slots_of(next)) {
    check_rule(std::ranges::find(slots, slot) != slots.end(), Derived::type_name,
               "what needs a slot must not be 0 when the optimizer is made", slot);
  }
  return numbers;
}

template <class Derived, class Options>
std::shared_ptr<Optimizer> OptimizerWith<Derived, Options>::copied() const {
  return std::make_shared<Derived>(static_cast<const Derived&>(*this));
}

/// Any optimizer as an option: made from a typed one, copied as a handle. That of a cloned module
/// is the clone's.
class TAPER_API AnyOptimizer {
 public:
  template <class O>
    requires std::derived_from<O, Optimizer>
  AnyOptimizer(O optimizer);  // NOLINT: implicit on purpose
  /// Throws value for null.
  AnyOptimizer(std::shared_ptr<Optimizer> optimizer) : inner_(std::move(optimizer)) {  // NOLINT
    if (!inner_) fail(ErrorKind::value, "optimizer: it is null");
  }
  AnyOptimizer(const AnyOptimizer& other);
  AnyOptimizer(AnyOptimizer&&) noexcept = default;
  AnyOptimizer& operator=(const AnyOptimizer&) = default;
  AnyOptimizer& operator=(AnyOptimizer&&) noexcept = default;
  ~AnyOptimizer() = default;

  Optimizer* operator->() const { return inner_.get(); }
  Optimizer& operator*() const { return *inner_; }

 private:
  std::shared_ptr<Optimizer> inner_;
};

template <class O>
  requires std::derived_from<O, Optimizer>
AnyOptimizer::AnyOptimizer(O optimizer) : inner_(std::make_shared<O>(std::move(optimizer))) {}

/// Registered optimizers, by name.
using OptimizerFactory = Factory<Optimizer>;

}  // namespace taper::optim

// What TAPER_OPTIMIZER (optim/elementwise.h) does for its rules, an optimizer of another kind says
// behind its class, and behind its formula `TAPER_OPTIMIZER_HERE(LBFGS)` with its entry.

#define TAPER_OPTIMIZER_IN_LIBRARY(Name)                                                  \
  namespace taper {                                                                       \
  extern template class WithOptions<optim::Name, optim::Optimizer, optim::Name::Options>; \
  namespace optim {                                                                       \
  extern template class OptimizerWith<Name, Name::Options>;                               \
  extern template AnyOptimizer::AnyOptimizer(Name);                                       \
  }                                                                                       \
  }

#define TAPER_OPTIMIZER_HERE(Name)                                                 \
  namespace taper {                                                                \
  template class WithOptions<optim::Name, optim::Optimizer, optim::Name::Options>; \
  namespace optim {                                                                \
  template class OptimizerWith<Name, Name::Options>;                               \
  template AnyOptimizer::AnyOptimizer(Name);                                       \
  }                                                                                \
  }

/// The class of an elementwise optimizer.
#define TAPER_OPTIMIZER_TYPE(Name)                                          \
  namespace taper::optim {                                                  \
  class TAPER_API Name final : public OptimizerWith<Name, Name##Options> {  \
   public:                                                                  \
    using OptimizerWith::OptimizerWith;                                     \
    static constexpr bool changes_options = true;                           \
    static std::vector<std::string> slots_of(const Name##Options& options); \
                                                                            \
   private:                                                                 \
    void update(size_t group, const State& parameter, const Tensor& grad,   \
                std::span<const State> slots, const Step& step) override;   \
  };                                                                        \
  }                                                                         \
  TAPER_OPTIMIZER_IN_LIBRARY(Name)

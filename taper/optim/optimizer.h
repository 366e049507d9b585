#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/factory.h>
#include <taper/core/state.h>

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
  virtual ~Optimizer();
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
  void zero_grad();

  size_t groups() const { return 1 + others_.size(); }
  double lr(size_t group = 0) const;
  /// Sets the rate of every group, or of one; it is the first rate for `scale_lr`.
  void set_lr(double lr);
  void set_lr(double lr, size_t group);
  /// The rate of a group before any `scale_lr`: that of its options or of the last `set_lr`.
  double first_lr(size_t group = 0) const;
  /// Gives each group its own first rate times `factor`: what a schedule does.
  void scale_lr(double factor);

  /// Of all groups, in their order.
  const std::vector<State>& parameters() const { return parameters_; }
  /// Step count, learning rate and the slots of each parameter, named, for checkpoints: `step`,
  /// `lr`, `0.exp_avg`, ... of group 0, `group1.step`, `group1.lr`, `group1.0.exp_avg`, ...
  /// `0.missed` counts the steps in which a parameter had no part, if there were any.
  std::vector<std::pair<std::string, State>> state() const;
  /// Takes the values of such cells. Throws value, not_found or shape, all before anything changes,
  /// if they are those of another optimizer or of other parameters.
  void load_state(const std::vector<std::pair<std::string, Tensor>>& values);

  /// The registered name and the options it was made with; those of group 0 if there are several.
  virtual std::string_view type() const = 0;
  virtual Fields options() const = 0;
  /// Those of one group.
  Fields group_options(size_t group) const { return this->group(group).options(); }

 protected:
  /// Throws value for a negative or not finite learning rate.
  explicit Optimizer(double lr);

  /// Names of the tensors like the parameter that the update keeps, such as `exp_avg`.
  virtual std::vector<std::string> slot_names() const = 0;
  /// What one parameter's step depends on besides its gradient and slots.
  struct Step {
    Tensor lr;      // f64, 0-d
    Tensor steps;   // i64, 0-d: of the optimizer, from 1
    Tensor missed;  // i64, 0-d: those in which the parameter had no part
    /// The parameter's own count of steps, from 1 (f64, 0-d).
    Tensor count() const;
  };
  /// Gives the parameter and its slots their next values, by `taper::update`. The gradient is like
  /// the parameter, and the tape is off.
  virtual void update(const State& parameter, const Tensor& grad, const std::vector<State>& slots,
                      const Step& step) = 0;

  static void check_rate(double lr, std::string_view owner);
  static void require(bool condition, std::string_view owner, const char* rule, double got);

  /// Takes groups whose first one has this optimizer's options already; `defaults` are the options
  /// of the others. Throws value as `attach` does, naming the group.
  void attach_groups(std::vector<ParameterGroup> groups, const Fields& defaults);
  void attach_all(std::vector<State> parameters, std::vector<std::shared_ptr<Optimizer>> others);

 private:
  friend class AnyOptimizer;

  /// A new one of this type and these options, with copies of the cells: for a CloneScope.
  std::shared_ptr<Optimizer> cloned() const;
  void clone_state();
  Optimizer& group(size_t index);
  const Optimizer& group(size_t index) const { return const_cast<Optimizer*>(this)->group(index); }
  /// Of all groups, or of none where that throws.
  void set_rates(const std::vector<double>& rates);
  /// With the counts of missed steps that are 0, too.
  std::vector<std::pair<std::string, State>> all_cells() const;
  void check_places() const;
  void check_grads(const std::vector<Tensor>& grads) const;
  /// Of the parameter `own` of this group, `number` of all.
  void check_slots(size_t own, size_t number) const;
  void step_checked(std::span<const Tensor> grads);

  State steps_;
  State lr_;
  std::shared_ptr<double> first_lr_;  // shared by copies, as the cells are
  std::vector<State> parameters_;     // of all groups
  std::vector<uint32_t> departures_;  // theirs when they were attached
  // Of the parameters of group 0:
  std::vector<std::vector<State>> slots_;
  std::vector<State> missed_;                       // steps in which it had no part
  std::vector<std::shared_ptr<Optimizer>> others_;  // one for each further group
};

/// `defaults` with what the first group says in their place. Throws value for a wrong name.
template <class Options>
Options first_group_options(std::string_view owner, const std::vector<ParameterGroup>& groups,
                            const Options& defaults) {
  if (groups.empty()) return defaults;
  return parse_fields<Options>(owner, merged(to_fields(defaults), groups[0].options));
};

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};
/// Gradient descent with momentum, as PyTorch defines it.
class TAPER_API SGD final : public Optimizer {
 public:
  static constexpr std::string_view type_name = "SGD";
  explicit SGD(SGDOptions options = {});
  // A template, so that `SGD({.lr = 0.1})` can mean nothing but the options.
  template <std::same_as<std::vector<State>> Cells>
  explicit SGD(Cells parameters, SGDOptions options = {}) : SGD(options) {
    attach(std::move(parameters));
  }
  template <std::same_as<std::vector<ParameterGroup>> Groups>
  explicit SGD(Groups groups, SGDOptions options = {})
      : SGD(first_group_options(type_name, groups, options)) {
    attach_groups(std::move(groups), to_fields(options));
  }
  // Without a default, so that one braced list can mean nothing but the options.
  SGD(std::initializer_list<ParameterGroup> groups, SGDOptions options)
      : SGD(std::vector<ParameterGroup>(groups), options) {}
  std::string_view type() const override { return type_name; }
  Fields options() const override;

 private:
  std::vector<std::string> slot_names() const override;
  void update(const State& parameter, const Tensor& grad, const std::vector<State>& slots,
              const Step& step) override;

  SGDOptions options_;
};

struct AdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};
/// Kingma and Ba, "Adam: a method for stochastic optimization" (2015), as PyTorch defines it.
class TAPER_API Adam final : public Optimizer {
 public:
  static constexpr std::string_view type_name = "Adam";
  explicit Adam(AdamOptions options = {});
  template <std::same_as<std::vector<State>> Cells>
  explicit Adam(Cells parameters, AdamOptions options = {}) : Adam(options) {
    attach(std::move(parameters));
  }
  template <std::same_as<std::vector<ParameterGroup>> Groups>
  explicit Adam(Groups groups, AdamOptions options = {})
      : Adam(first_group_options(type_name, groups, options)) {
    attach_groups(std::move(groups), to_fields(options));
  }
  // Without a default, so that one braced list can mean nothing but the options.
  Adam(std::initializer_list<ParameterGroup> groups, AdamOptions options)
      : Adam(std::vector<ParameterGroup>(groups), options) {}
  std::string_view type() const override { return type_name; }
  Fields options() const override;

 private:
  std::vector<std::string> slot_names() const override { return {"exp_avg", "exp_avg_sq"}; }
  void update(const State& parameter, const Tensor& grad, const std::vector<State>& slots,
              const Step& step) override;

  AdamOptions options_;
};

/// Any optimizer as an option: made from a typed one, copied as a handle. That of a cloned module
/// is the clone's; throws not_found then if no registry knows its type.
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

extern template AnyOptimizer::AnyOptimizer(SGD);
extern template AnyOptimizer::AnyOptimizer(Adam);

/// Registered optimizers, by name.
using OptimizerFactory = Factory<Optimizer>;

}  // namespace taper::optim

// Private: the op of an elementwise optimizer, which updates a parameter and its slots in one pass
// over memory. A donated operand is updated in place if nothing else shares its buffer.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/pointwise.h>
#include <taper/ops/op.h>
#include <taper/ops/pointwise/pointwise.h>
#include <taper/optim/optimizer.h>
#include <taper/optim/option_numbers.h>
#include <taper/optim/update_rule.h>

namespace taper::optim::detail {

/// The operands: p, grad, lr (floating), steps (of the optimizer, from 1), missed (those without
/// the parameter; both i64), all three 0-d, and the slots that are kept.
inline constexpr size_t first_slot = 5;
/// With the parameter as many cells as `taper::update` changes together.
inline constexpr size_t most_kept = 3;

void check_update(const InSpecs& in, size_t slots, size_t options);
/// Of a 1-d operand.
std::vector<double> numbers_in(const View& view);
StepNumbers step_numbers(const Kernel& kernel);
StepNumbers step_numbers(const Inputs& in);
/// `end`: behind the slots among the operands.
void run_update(const TileSet& tiles, const void* functor, const Kernel& kernel, size_t end);
/// "adam_update" for "Adam".
std::string update_name(std::string_view optimizer);
/// What the samples of a rule are made of: its defaults, and for each field those with another
/// value there, in so far as its checks take them.
std::vector<Fields> varied_options(const std::vector<FieldInfo>& infos);
std::vector<SampleInput> update_operands(size_t slots);
std::vector<Reuse> update_reuse(size_t slots);

/// The tiles of a rule by the mask of slots, for the instruction set that runs.
template <class Rule>
std::span<const TileSet> update_tiles();

template <class Rule>
size_t kept_count(const Rule& rule) {
  return static_cast<size_t>(std::popcount(slots_kept(rule)));
}

/// Calls `use` with the functor of this step, which keeps these slots.
template <unsigned mask = 0, class Rule, class Use>
auto with_step(const Rule& rule, unsigned kept, const StepNumbers& now, Use&& use) {
  if constexpr (can_keep<Rule>(mask)) {
    if (kept == mask) {
      return use(UpdateStep<Rule, mask>{rule, numbers_of(rule, now)});
    }
  }
  if constexpr (mask + 1 < masks<Rule>) {
    return with_step<mask + 1>(rule, kept, now, std::forward<Use>(use));
  } else {
    internal_failure("slots that can be kept", __FILE__, __LINE__);
  }
}

template <class Rule>
struct UpdateOp {
  static_assert(slot_count<Rule> <= most_kept);

  static Specs infer(const InSpecs& in, const Rule& rule) {
    check_update(in, kept_count(rule), real_numbers(rule).size());
    Specs specs;
    for (size_t i = 0; i <= kept_count(rule); ++i) specs.push_back(in[0]);
    return specs;
  }

  static void run(const Kernel& kernel, const Rule& rule) {
    const unsigned kept = slots_kept(rule);
    const TileSet& tiles = update_tiles<Rule>()[kept];
    const size_t operands = first_slot + kept_count(rule);
    const bool changed = kernel.inputs.size() > operands;
    const Rule now = changed ? with_numbers(rule, numbers_in(kernel.in(operands))) : rule;
    with_step(now, kept, step_numbers(kernel),
              [&](const auto& step) { run_update(tiles, &step, kernel, operands); });
  }

  static Results reference(const Inputs& in, const Rule& rule) {
    std::vector<Arg> operands{in[0], in[1]};
    const size_t end = first_slot + kept_count(rule);
    for (size_t i = first_slot; i < end; ++i) operands.emplace_back(in[i]);
    const Rule now = in.size() > end ? with_numbers(rule, in[end].to_vector<double>()) : rule;
    return with_step(now, slots_kept(rule), step_numbers(in), [&](const auto& step) {
      return taper::detail::reference_pointwise(Inputs(operands), step);
    });
  }

  static std::vector<Sample<Rule>> samples() {
    std::vector<Sample<Rule>> all;
    for (const Fields& fields : varied_options(describe_fields<Rule>())) {
      try {
        const Rule rule = parse_fields<Rule>("sample", fields);
        all.push_back({.inputs = update_operands(kept_count(rule)), .attrs = rule});
      } catch (const Error&) {  // NOLINT(bugprone-empty-catch): fields that do not go together
      }
    }
    const auto reals = static_cast<int64_t>(real_numbers(all.front().attrs).size());
    if (reals > 0) {
      for (Sample<Rule> changed : std::vector(all)) {
        changed.inputs.push_back({.shape = {reals}, .low = 0.1, .high = 0.9, .dtype = DType::f64});
        all.push_back(std::move(changed));
      }
    }
    Sample<Rule> wrong = all.front();
    wrong.inputs[1].shape = {5};
    wrong.error = "must have one shape and dtype";
    all.push_back(std::move(wrong));
    wrong = all.front();
    wrong.inputs[first_slot - 1].shape = {1};
    wrong.error = "steps and missed must be i64[]";
    all.push_back(std::move(wrong));
    wrong = all.front();
    wrong.inputs.push_back({.shape = {reals + 1}, .dtype = DType::f64});
    if (reals > 0) wrong.error = "the changed options must be";
    if (reals == 0) wrong.error = "these options keep";
    all.push_back(std::move(wrong));
    return all;
  }

  static Row<Rule> row(std::string_view name, std::string_view doc) {
    return {.name = name,
            .doc = doc,
            .internal = true,
            .inputs = {"p", "grad", "lr", "steps", "missed", "slots_and_options*"},
            .outputs = {"p", "slots*"},
            .infer = infer,
            .reference = reference,
            .grad = not_differentiable{"an optimizer's update is not differentiated"},
            .layout = Layout::like_inputs,
            .any_strides = true,
            .reuse = update_reuse(slot_count<Rule>),
            .kernels = {.cpu = run},
            .samples = samples};
  }

  static std::vector<std::string> slot_names(const Rule& rule) {
    std::vector<std::string> names;
    for (size_t i = 0; i < slot_count<Rule>; ++i) {
      if ((slots_kept(rule) >> i & 1u) != 0) names.emplace_back(Rule::slots[i].name);
    }
    return names;
  }
};

/// Gives the cells their next values by the op. `numbers` are lr, steps, missed and, if they
/// changed, those of the options.
void apply_update(const OpBase& op, const void* rule, const State& parameter, const Tensor& grad,
                  std::span<const State> slots, std::span<const Tensor> numbers);

}  // namespace taper::optim::detail

#define TAPER_OPTIMIZER(Name, doc)                                                             \
  TAPER_OPTIMIZER_TYPE(Name)                                                                   \
  TAPER_OPTIMIZER_HERE(Name)                                                                   \
  namespace taper {                                                                            \
  namespace v3 {                                                                               \
  extern const std::array<TileSet, optim::detail::masks<optim::Name##Options>> Name##_updates; \
  }                                                                                            \
  namespace v4 {                                                                               \
  extern const std::array<TileSet, optim::detail::masks<optim::Name##Options>> Name##_updates; \
  }                                                                                            \
  namespace optim {                                                                            \
  template <>                                                                                  \
  std::span<const TileSet> detail::update_tiles<Name##Options>() {                             \
    return isa() == Isa::v4 ? v4::Name##_updates : v3::Name##_updates;                         \
  }                                                                                            \
  static const std::string Name##_op_name = detail::update_name(#Name);                        \
  static const Op<Name##Options> Name##_op = detail::UpdateOp<Name##Options>::row(             \
      Name##_op_name, "A parameter after a step of " #Name ".");                               \
  static const FactoryFor<Optimizer, Name> Name##_entry{doc};                                  \
  std::vector<std::string> Name::slots_of(const Name##Options& options) {                      \
    return detail::UpdateOp<Name##Options>::slot_names(options);                               \
  }                                                                                            \
  void Name::update(size_t group, const State& parameter, const Tensor& grad,                  \
                    std::span<const State> slots, const Step& step) {                          \
    detail::apply_update(Name##_op, &options_of(group), parameter, grad, slots,                \
                         {{step.lr, step.steps, step.missed, step.options}});                  \
  }                                                                                            \
  }                                                                                            \
  }

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include <taper/backend/cpu/copy.h>
#include <taper/ops/composed.h>
#include <taper/ops/layout.h>
#include <taper/ops/node_extra.h>
#include <taper/ops/op.h>
#include <taper/ops/promotion.h>
#include <taper/ops/tape.h>

namespace taper {

constinit thread_local std::string_view captured_function;

void OpBase::complete() {
  taken_dtypes = detail::dtypes_of(takes);
  // Kernels of truth values look at integers themselves.
  if (promotion == Promotion::to_bool) {
    settled_dtypes = detail::dtypes_of(kinds::integer | kinds::boolean);
  }
  if (promotion == Promotion::to_float) settled_dtypes = detail::dtypes_of(kinds::inexact);
  most_inputs = inputs.size();
  for (std::string_view name : inputs) {
    if (name.ends_with('*')) most_inputs = SIZE_MAX;
    if (!name.ends_with('?') && !name.ends_with('*')) ++least_inputs;
  }
}

bool OpBase::is_optional(size_t input) const {
  return inputs[std::min(input, inputs.size() - 1)].ends_with('?');
}

std::vector<FieldInfo> OpBase::documented(std::vector<FieldInfo> fields) const {
  for (FieldInfo& field : fields) {
    for (const AttributeDoc& line : attributes) {
      if (line.name == field.name) field.doc = line.doc;
    }
  }
  return fields;
}

std::vector<const OpBase*> all_ops() { return Registry<OpBase>::all(); }

std::vector<const OpBase*> public_ops() {
  std::vector<const OpBase*> ops = all_ops();
  std::erase_if(ops, [](const OpBase* op) { return op->internal; });
  return ops;
}

const OpBase& op_named(std::string_view name) {
  for (const OpBase* op : all_ops()) {
    if (std::ranges::find(op->aliases, name) != op->aliases.end()) return *op;
  }
  if (const OpBase* op = Registry<OpBase>::find(name)) return *op;
  std::vector<std::string_view> names;
  for (const OpBase* op : public_ops()) names.push_back(op->name);
  detail::fail_unknown("op", name, names);
}

std::string output_name(const OpBase& op, size_t index) {
  std::string name(op.outputs[std::min(index, op.outputs.size() - 1)]);
  if (!name.ends_with('*')) return name;
  name.pop_back();
  return name + "[" + std::to_string(index - (op.outputs.size() - 1)) + "]";
}

std::string operand_name(const OpBase& op, size_t index) {
  if (op.inputs.empty()) return "input";
  std::string name(op.inputs[std::min(index, op.inputs.size() - 1)]);
  if (name.ends_with('?')) name.pop_back();
  if (!name.ends_with('*')) return name;
  name.pop_back();
  return name + "[" + std::to_string(index - (op.inputs.size() - 1)) + "]";
}

namespace {

/// True if the rule speaks of the operand, by its name as a word of its own.
bool mentions(const std::string& rule, const std::string& name) {
  const auto in_word = [&](size_t i) {
    return i < rule.size() && (std::isalnum(static_cast<unsigned char>(rule[i])) || rule[i] == '_');
  };
  for (size_t at = rule.find(name); at != rule.npos; at = rule.find(name, at + 1)) {
    if ((at == 0 || !in_word(at - 1)) && !in_word(at + name.size())) return true;
  }
  return false;
}

/// True for operands that a message would only be longer for: optional ones, where the rule speaks
/// of others.
std::vector<bool> beside_the_point(const OpBase& op, const std::string& rule, size_t count) {
  std::vector<bool> left_out(count);
  bool speaks_of_some = false;
  for (size_t i = 0; i < count && !op.inputs.empty(); ++i) {
    const bool mentioned = mentions(rule, operand_name(op, i));
    speaks_of_some |= mentioned;
    left_out[i] = op.is_optional(i) && !mentioned;
  }
  return speaks_of_some ? left_out : std::vector<bool>(count);
}

}  // namespace

void refuse_kind(Kind kind) {
  violate(ErrorKind::dtype, "takes no " + std::string(kind_name(kind)) + " tensors");
}

void check_kinds(const OpBase& op, std::span<const Arg> args) {
  for (const Arg& arg : args) {
    if (arg.is_number || !arg.tensor->defined()) continue;
    const Kind kind = kind_of(arg.tensor->dtype());
    if (!op.takes.has(kind)) refuse_kind(kind);
  }
}

void report(const OpBase& op, const Violation& violation, std::span<const Arg> args,
            std::string_view function) {
  NamedOperands operands;
  const std::vector<bool> left_out = beside_the_point(op, violation.rule, args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    if (left_out[i] || args[i].is_number || args[i].immediate) continue;
    operands.emplace_back(operand_name(op, i), *args[i].tensor);
  }
  report(function.empty() ? op.name : function, violation, operands);
}

void report(std::string_view function, const Violation& violation, const NamedOperands& operands) {
  std::string list;
  for (const auto& [name, tensor] : operands) {
    if (tensor.defined())
      list += (list.empty() ? "" : ", ") + name + " " + to_string(tensor.spec());
  }
  std::string text = std::string(function) + ": " + violation.rule;
  if (!list.empty()) text += " (" + list + ")";
  const std::string layer = layer_path();
  if (!layer.empty()) text += " in " + layer;
  throw Error(violation.kind, text, std::string(function), layer, violation.rule);
}

Violation as_violation(const Error& error) {
  if (error.kind() == ErrorKind::internal) throw error;
  return {error.kind(), error.rule()};
}

namespace {

struct Checked {
  bool requires_grad = false;  // a gradient flows to an operand
  bool unsettled = false;      // there are numbers, or dtypes that the row promotes
};

/// Whether the operands behind `promoted_from` have several dtypes, or one that is to be promoted.
[[gnu::noinline]] bool is_unsettled(const OpBase& op, std::span<const Arg> args) {
  uint32_t dtypes = 0;
  for (const Arg& arg : args.subspan(std::min<size_t>(op.promoted_from, args.size()))) {
    if (arg.is_number || !arg.tensor->defined()) continue;
    dtypes |= 1u << static_cast<unsigned>(arg.tensor->dtype());
  }
  return (dtypes & (dtypes - 1)) != 0 || (dtypes & ~op.settled_dtypes) != 0;
}

/// These are apart, because they would cost every good call registers.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_count(const OpBase& op, size_t count) {
  std::string takes = std::to_string(op.least_inputs);
  if (op.most_inputs == SIZE_MAX) {
    takes = "at least " + takes;
  } else if (op.most_inputs > op.least_inputs) {
    takes += " to " + std::to_string(op.most_inputs);
  }
  violate(ErrorKind::value, "takes " + takes + " operands, got " + std::to_string(count));
}
[[gnu::cold, gnu::noinline]] void check_absent(const OpBase& op, size_t i) {
  if (!op.is_optional(i)) violate(ErrorKind::value, operand_name(op, i) + " is undefined");
}

/// Checks that the operands are there.
[[gnu::always_inline]] inline Checked check_operands(const OpBase& op, std::span<const Arg> args) {
  if (args.size() < op.least_inputs || args.size() > op.most_inputs) [[unlikely]] {
    refuse_count(op, args.size());
  }
  constexpr uint32_t grad_bit = 1u << 31;
  constexpr uint32_t number_bit = 1u << 30;
  uint32_t seen = 0;  // these and a bit for each dtype: one register
  for (const Arg& arg : args) {
    if (arg.is_number) [[unlikely]] {
      seen |= number_bit;
    } else if (const TensorImpl* impl = arg.tensor->impl()) [[likely]] {
      seen |= 1u << static_cast<unsigned>(impl->spec.dtype);
      seen |= impl->node ? grad_bit : 0;
    } else {
      check_absent(op, static_cast<size_t>(&arg - args.data()));
    }
  }
  const uint32_t dtypes = seen & (number_bit - 1);
  if ((dtypes & ~op.taken_dtypes) != 0) [[unlikely]]
    check_kinds(op, args);
  const bool differ = (dtypes & (dtypes - 1)) != 0 || (dtypes & ~op.settled_dtypes) != 0;
  const bool promotes = differ && op.promotion != Promotion::none && is_unsettled(op, args);
  return {(seen & grad_bit) != 0, (seen & number_bit) != 0 || promotes};
}

Tensor row_major_copy(const Tensor& tensor) {
  Tensor copy = empty(tensor.spec());
  const size_t size = item_size(tensor.dtype());
  copy_strided(copy.raw(), copy.strides(), tensor.raw(), tensor.strides(), tensor.shape(), size);
  return copy;
}

View view_for_kernel(const Tensor& tensor) {
  return {tensor.raw(), &tensor.spec(), &tensor.strides(), tensor.is_contiguous()};
}

bool any_channels_last(std::span<const Arg> args) {
  for (const Arg& arg : args) {
    const Tensor& tensor = *arg.tensor;
    if (tensor.defined() && tensor.rank() == 4 && !tensor.is_contiguous() &&
        tensor.strides() == channels_last_strides(tensor.shape())) {
      return true;
    }
  }
  return false;
}

/// The strides by which a tensor's axes are ordered: an axis of size one, which may have any, goes
/// with its right neighbour, the last one with its left, and the first ones stand outside.
Strides ordering_strides(const Tensor& x) {
  const Shape& shape = x.shape();
  Strides strides = x.strides();
  for (int i = shape.rank() - 2; i >= 0; --i) {
    if (shape[i] == 1) strides[i] = strides[i + 1];
  }
  const int last = shape.rank() - 1;
  if (last > 0 && shape[last] == 1) strides[last] = strides[last - 1];
  for (int i = 0; i <= last && shape[i] == 1; ++i) strides[i] = INT64_MAX;
  return strides;
}

/// `output_layout`, as part of a call.
[[gnu::always_inline]] inline OutputLayout find_layout(const OpBase& op, std::span<const Arg> args,
                                                       const Spec& spec) {
  switch (op.layout) {
    case Layout::row_major:
      break;
    case Layout::like_inputs:
      for (const Arg& arg : args) {
        const Tensor& like = *arg.tensor;
        if (!like.defined() || like.shape() != spec.shape) continue;
        if (like.is_contiguous()) break;  // axes of size 1 may have any stride in it
        if (!is_dense(spec.shape, like.strides())) break;
        return {strides_in_order_of(spec.shape, like.strides()), false};
      }
      break;
    case Layout::like_ranks:
      for (const Arg& arg : args) {
        const Tensor& like = *arg.tensor;
        if (!like.defined() || like.rank() != spec.shape.rank()) continue;
        if (like.is_contiguous() || !is_dense(like.shape(), like.strides())) break;
        const Strides strides = strides_in_order_of(spec.shape, ordering_strides(like));
        return {strides, is_row_major(spec.shape, strides)};
      }
      break;
    case Layout::images:
      if (spec.shape.rank() != 4 || !any_channels_last(args)) break;
      [[fallthrough]];
    case Layout::channels_last: {
      if (spec.shape.rank() != 4) break;
      const Strides strides = channels_last_strides(spec.shape);
      return {strides, is_row_major(spec.shape, strides)};
    }
  }
  return {row_major_strides(spec.shape), true};
}

}  // namespace

OutputLayout output_layout(const OpBase& op, std::span<const Arg> args, const Spec& spec) {
  return find_layout(op, args, spec);
}

namespace {

/// Whether an operand is given in one place only: another one would be overwritten.
bool is_given_once(std::span<const Arg> args, size_t at) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (i != at && args[i].tensor->impl() == args[at].tensor->impl()) return false;
  }
  return true;
}

/// The donated input whose buffer the output may take; null if there is none.
const Tensor* reusable(const OpBase& op, size_t output, std::span<const Arg> args, const Spec& spec,
                       const Strides& strides) {
  for (const Reuse& reuse : op.reuse) {
    if (reuse.output != output || reuse.input >= args.size()) continue;
    const Arg& arg = args[reuse.input];
    if (!arg.donated || !arg.tensor->defined() || arg.tensor->spec() != spec) continue;
    const TensorImpl& impl = *arg.tensor->impl();
    if (arg.tensor->pointer().sole_owner() && impl.storage.sole_owner() && !impl.storage->foreign &&
        !impl.node && impl.strides == strides && is_given_once(args, reuse.input)) {
      return arg.tensor;
    }
  }
  return nullptr;
}

/// Views of the operands, with copies where the kernel wants row-major ones.
class KernelInputs {
 public:
  [[gnu::always_inline]] KernelInputs(const OpBase& op, std::span<const Arg> args) {
    View* view = reinterpret_cast<View*>(few_);
    if (args.size() > inline_count) [[unlikely]]
      view = make_room(args.size());
    views_ = {view, args.size()};
    for (const Arg& arg : args) {
      const Tensor& tensor = *arg.tensor;
      if (!tensor.defined()) {
        new (view++) View();
      } else if (op.any_strides || tensor.is_contiguous()) {
        new (view++) View(view_for_kernel(tensor));
      } else {
        new (view++) View(view_for_kernel(copy(tensor)));
      }
    }
  }
  std::span<const View> views() const { return views_; }

 private:
  /// What few calls need.
  struct Spill {
    std::vector<View> many;
    std::vector<Tensor> copies;
  };
  Spill& spill() {
    if (!spill_) spill_ = std::make_unique<Spill>();
    return *spill_;
  }
  [[gnu::noinline]] View* make_room(size_t count) {
    spill().many.resize(count);
    return spill().many.data();
  }
  [[gnu::noinline]] const Tensor& copy(const Tensor& tensor) {
    spill().copies.push_back(row_major_copy(tensor));
    return spill().copies.back();
  }

  static constexpr size_t inline_count = 8;
  alignas(View) std::byte few_[inline_count * sizeof(View)];  // uninitialised: it is on every call
  std::unique_ptr<Spill> spill_;
  std::span<const View> views_;
};

/// Fresh memory in the row's order, or that of a donated input.
[[gnu::always_inline]] inline Tensor make_output(const OpBase& op, size_t output,
                                                 std::span<const Arg> args, const Spec& spec) {
  const OutputLayout layout = find_layout(op, args, spec);
  const Tensor* reused = reusable(op, output, args, spec, layout.strides);
  if (reused != nullptr) return shallow_copy(*reused);
  return empty_strided(spec, layout.strides, layout.row_major);
}

/// True if every output is fresh and row-major whatever the rules of `make_output`: the usual case.
bool outputs_are_plain(const OpBase& op, std::span<const Arg> args) {
  bool plain = op.layout != Layout::channels_last;
  for (const Arg& arg : args) {
    plain &= !arg.donated && (!arg.tensor->defined() || arg.tensor->is_contiguous());
  }
  return plain;
}

/// Apart, because it would cost every call a large frame.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_values(const OpBase& op,
                                                          const Violation& violation) {
  TAPER_CHECK(op.refuses_values);
  throw violation;
}

/// Runs the kernel on outputs that `views` has room for.
[[gnu::always_inline]] inline Results run_kernel(const OpBase& op, const void* attrs,
                                                 std::span<const Arg> args, const Specs& specs,
                                                 View* views) {
  const KernelInputs inputs(op, args);
  Results results;
  const bool plain = outputs_are_plain(op, args);
  for (int i = 0; i < specs.count; ++i) {
    results[i] = plain ? empty(specs[i]) : make_output(op, static_cast<size_t>(i), args, specs[i]);
    new (views + i) View(view_for_kernel(results[i]));
  }
  const KernelContext context{specs[0].device};
  try {
    op.run({inputs.views(), {views, specs.count}, context}, attrs);
  } catch (const Violation& violation) {
    refuse_values(op, violation);
  }
  return results;
}

/// Apart, as all calls with many outputs are: they need memory for the views.
[[gnu::noinline]] Results run_kernel_with_many(const OpBase& op, const void* attrs,
                                               std::span<const Arg> args, const Specs& specs) {
  std::vector<View> views(specs.count);
  return run_kernel(op, attrs, args, specs, views.data());
}

/// Runs the expansion; what goes wrong in it is reported as this op's, which the user called.
Results expand(const OpBase& op, const void* attrs, std::span<const Arg> args) {
  try {
    return op.expand(Inputs(args), attrs);
  } catch (const Error& error) {
    throw as_violation(error);
  }
}

/// Outputs over the input's buffer; false if they need a copy.
[[gnu::noinline]] bool make_views(const OpBase& op, const void* attrs, const Tensor& x,
                                  const Specs& specs, Results& results) {
  const TensorImpl& impl = *x.impl();
  const Strided strided{impl.spec, impl.strides, impl.offset, impl.row_major};
  ViewLayout first;
  std::vector<ViewLayout> all(specs.count > 1 ? specs.count : 0);
  ViewLayout* const layouts = all.empty() ? &first : all.data();
  if (!op.view(strided, attrs, specs, layouts)) return false;
  for (int i = 0; i < specs.count; ++i) {
    results[i] = view_of(x, specs[i], layouts[i].strides, layouts[i].offset);
  }
  return true;
}

}  // namespace

Results execute(const OpBase& op, const void* attrs, std::span<const Arg> args,
                const Specs& specs) {
  if (op.is_view) {
    Results results;
    if (make_views(op, attrs, *args[0].tensor, specs, results)) return results;
  }
  if (op.has_kernel) {
    if (specs.count > inline_outputs) [[unlikely]]
      return run_kernel_with_many(op, attrs, args, specs);
    alignas(View) std::byte views[inline_outputs * sizeof(View)];
    return run_kernel(op, attrs, args, specs, reinterpret_cast<View*>(views));
  }
  const TapeMode off(false);
  return expand(op, attrs, args);
}

namespace {

/// Whether an operand is given up that the tape will save.
bool gives_saved(const OpBase& op, std::span<const Arg> args) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].donated && op.saves.operand(i)) return true;
  }
  return false;
}

/// A call after its checks. One named result, so that nothing is moved on the way out.
[[gnu::always_inline]] inline Results run_and_record(const OpBase& op, const void* attrs,
                                                     std::span<const Arg> args, const Specs& specs,
                                                     bool on_tape) {
  Results results = interpreter != nullptr ? interpreter->call(op, attrs, args, specs)
                                           : execute(op, attrs, args, specs);
  if (on_tape) record(op, attrs, args, results, specs.count);
  return results;
}

Results call_giving_nothing(const OpBase& op, const void* attrs, std::span<const Arg> args);

/// Checked by its rule, run as its expansion.
[[gnu::noinline]] Results call_inlined(const OpBase& op, const void* attrs,
                                       std::span<const Arg> args) {
  const FunctionScope scope(op.name);
  return expand(op, attrs, args);
}

/// A call whose operands have the dtypes that its rule will see.
[[gnu::always_inline]] inline Results call_settled(const OpBase& op, const void* attrs,
                                                   std::span<const Arg> args, bool on_tape) {
  if (on_tape && op.saves.operands != 0 && gives_saved(op, args)) [[unlikely]] {
    return call_giving_nothing(op, attrs, args);  // what the tape saves must stay as it is
  }
  const Specs specs = op.infer(InSpecs(args), attrs);
  if (op.inlined) [[unlikely]]
    return call_inlined(op, attrs, args);
  return run_and_record(op, attrs, args, specs, on_tape);
}

/// On the tape. Apart, because it would cost every call a large frame.
[[gnu::cold, gnu::noinline]] Results call_giving_nothing(const OpBase& op, const void* attrs,
                                                         std::span<const Arg> args) {
  std::vector<Arg> kept(args.begin(), args.end());
  for (Arg& arg : kept) arg.donated = false;
  return call_settled(op, attrs, kept, true);
}

/// A call that has numbers, or operands of several dtypes, brought to one. Apart, because it would
/// cost every call a large frame.
[[gnu::noinline]] Results call_promoted(const OpBase& op, const void* attrs,
                                        std::span<const Arg> args, bool on_tape) {
  if (op.promotion == Promotion::none) violate(ErrorKind::value, "takes tensors, not numbers");
  if (op.relation != Relation::none) {
    if (Tensor holds = settled_comparison(op, args); holds.defined()) return {{std::move(holds)}};
  }
  const Promoted promoted(op, args);
  return call_settled(op, attrs, promoted.args(), on_tape);
}

}  // namespace

Results call(const OpBase& op, const void* attrs, std::span<const Arg> args) {
  try {
    const Checked checked = check_operands(op, args);
    const bool on_tape = checked.requires_grad && tape_on;
    if (checked.unsettled) [[unlikely]]
      return call_promoted(op, attrs, args, on_tape);
    return call_settled(op, attrs, args, on_tape);
  } catch (const Violation& violation) {
    report(op, violation, args);
  } catch (const Error& error) {
    // From below the ops, such as memory that cannot be had: which call needed it?
    if (!error.op().empty()) throw;
    report(op, as_violation(error), args);
  }
}

}  // namespace taper

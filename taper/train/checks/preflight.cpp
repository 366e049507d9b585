#include <taper/train/checks/preflight.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include <taper/core/error.h>
#include <taper/core/warning.h>
#include <taper/graph/capture.h>
#include <taper/nn/mode_scope.h>
#include <taper/ops/op.h>
#include <taper/ops/random/generator.h>
#include <taper/train/batch/batch_loss.h>
#include <taper/train/batch/batch_rules.h>
#include <taper/train/batch/weighting.h>
#include <taper/train/metrics/meter.h>

namespace taper {
namespace {

constexpr int64_t most_elements = int64_t{1} << 24;  // looked at in a field
constexpr int64_t most_rows = 1024;                  // read of a dataset that holds no tensors

// ---------------------------------------------------------------------------------- the optimizer

void check_optimizer(const nn::Module& model, const optim::Optimizer& optimizer) {
  const std::vector<State> cells = model.parameters();
  if (std::ranges::none_of(cells, [](const State& cell) { return cell.requires_grad(); })) {
    fail(ErrorKind::value, "fit: the model has no parameter to train" +
                               std::string(cells.empty() ? "" : "; set_requires_grad(true)"));
  }
  std::unordered_set<const StateImpl*> own;
  for (const State& cell : cells) own.insert(cell.impl());
  const auto is_own = [&](const State& cell) { return own.contains(cell.impl()); };
  if (std::ranges::none_of(optimizer.parameters(), is_own)) {
    fail(ErrorKind::value,
         "fit: the optimizer holds none of the model's parameters; attach it to this model's");
  }
}

// ---------------------------------------------------------------------------------- the values

/// Some examples' values of a field, those of each example together.
struct FieldValues {
  Tensor values;
  std::vector<int64_t> rows = {};  // of `values`
  float scale = 1;
  bool all = false;  // whether these are all examples
};

FieldValues values_of(const data::Dataset& dataset, size_t field,
                      const std::vector<Tensor>& batch) {
  FieldValues found;
  if (std::optional<data::StoredField> stored = dataset.stored(field)) {
    found = {.values = std::move(stored->values),
             .rows = std::move(stored->rows),
             .scale = stored->scale};
  } else {
    found.values = batch[field];
    found.rows.resize(static_cast<size_t>(found.values.size(0)));
    std::iota(found.rows.begin(), found.rows.end(), int64_t{0});
  }
  const int64_t size = found.values.numel() / std::max<int64_t>(1, found.values.size(0));
  const auto most = static_cast<size_t>(most_elements / std::max<int64_t>(1, size));
  if (found.rows.size() > most) found.rows.resize(most);
  found.all = std::ssize(found.rows) == dataset.size();
  return found;
}

/// Those of the examples alone, in their order.
Tensor gathered(const FieldValues& field) {
  const Tensor values =
      take(field.values, from_values<int64_t>({std::ssize(field.rows)}, field.rows), 0);
  return field.scale == 1 ? values : astype(values, DType::f32) * field.scale;
}

/// Calls `visit(example, value)` for every value.
template <class Visit>
void for_each_value(const FieldValues& field, Visit&& visit) {
  const Tensor& values = field.values;
  const int64_t size = values.numel() / std::max<int64_t>(1, values.size(0));
  visit_dtype(values.dtype(), [&]<class T>() {
    const T* data = values.data<T>();
    for (size_t i = 0; i < field.rows.size(); ++i) {
      const T* example = data + field.rows[i] * size;
      for (int64_t j = 0; j < size; ++j) visit(static_cast<int64_t>(i), example[j]);
    }
  });
}

void check_no_nan(const data::Dataset& dataset, const std::vector<Tensor>& batch,
                  const std::string& what) {
  for (size_t i = 0; i < batch.size(); ++i) {
    const FieldValues field = values_of(dataset, i, batch);
    if (!is_float(field.values.dtype())) continue;
    for_each_value(field, [&](int64_t example, auto value) {
      if (!std::isnan(static_cast<double>(value))) return;
      fail(ErrorKind::value, "fit: field " + std::to_string(i) + " of example " +
                                 std::to_string(example) + " of the " + what +
                                 " holds nan; replace missing values or leave the example out");
    });
  }
}

// ---------------------------------------------------------------------------------- the dry run

struct DryRun {
  bool captured = false;
  Spec output;
  Spec target;
  OutputMeaning meaning;
  Graph graph;
};

/// A tensor of that shape that takes no memory.
Tensor without_memory(const Spec& example, int64_t rows) {
  Shape shape = example.shape;
  shape.insert(0, rows);
  return broadcast_to(zeros({}, example.dtype), shape);
}

/// Hooks would be called with tensors that hold nothing.
bool has_hooks(const nn::ModuleState& module) {
  const bool own =
      module.hooks != nullptr && !(module.hooks->before.empty() && module.hooks->after.empty());
  return own || std::ranges::any_of(module.children,
                                    [](const auto& child) { return has_hooks(*child.second); });
}

/// What is checked: a training, or a pass over validation data.
struct Pass {
  const nn::AnyModule& model;
  const nn::AnyLoss& loss;
  const PreflightOptions& options;
  BatchLoss step;

  Pass(const nn::AnyModule& checked, const nn::AnyLoss& compared, const PreflightOptions& how,
       bool training)
      : model(checked),
        loss(compared),
        options(how),
        step(checked, compared, training ? how.class_weight : std::vector<double>()) {}
};

/// Model and loss of a batch, as a step of the trainer computes them.
Tensor output_of_step(const Pass& pass, const std::vector<Tensor>& batch, DryRun& run) {
  std::optional<Spec> seen;
  const auto [loss, output] = pass.step("fit", batch, seen);
  run.output = output.spec();
  run.target = pass.step.target(batch, output.shape()).spec();
  const OutputRule rule{pass.loss, pass.options.task};
  run.meaning = rule(run.output, run.target);
  check_loss("fit", loss);
  return output;
}

/// `note` is added to errors whose rule says nothing better.
DryRun run_dry(const Pass& pass, const std::vector<Spec>& specs, int64_t rows,
               const std::string& note = "") {
  DryRun run;
  if (has_hooks(*pass.model.state())) return run;
  std::vector<Tensor> batch;
  for (const Spec& spec : specs) batch.push_back(without_memory(spec, rows));
  try {
    const auto step = [&](const std::vector<Tensor>& fields) -> std::vector<Tensor> {
      return {output_of_step(pass, fields, run)};
    };
    run.graph = capture(batch, step, OutsideTensors::held).graph;
    run.captured = true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::unsupported) return run;  // it asks for values
    throw with_hint(error, note);
  }
  check_metrics("fit", pass.options.metrics, pass.loss.type(), run.meaning, run.output, run.target);
  return run;
}

void check_last_batch(const Pass& pass, const std::vector<Spec>& specs, int64_t examples) {
  const int64_t rest = examples % pass.options.batch_size;
  if (rest == 0 || pass.options.drop_last || examples < pass.options.batch_size) return;
  run_dry(pass, specs, rest,
          "the last batch has " + std::to_string(rest) + " of " + std::to_string(examples) +
              " examples: `drop_last` leaves it out");
}

/// What differs between the two datasets, if anything does.
std::string difference(const std::vector<Spec>& train, const std::vector<Spec>& measured,
                       const std::string& what) {
  for (size_t i = 0; i < std::min(train.size(), measured.size()); ++i) {
    if (train[i] == measured[i]) continue;
    return "field " + std::to_string(i) + " of the " + what + " is " + to_string(measured[i]) +
           ", that of the training dataset is " + to_string(train[i]);
  }
  return "this is the " + what;
}

// ---------------------------------------------------------------------------------- labels

/// Throws value for a target that the loss cannot take, or a label that is no class.
void check_values(const Pass& pass, const DryRun& run, const std::vector<Tensor>& targets,
                  const std::string& what) {
  std::optional<nn::TargetFault> fault = pass.loss.find_fault(run.output, targets);
  const bool has_labels = run.meaning.task == Task::classes && run.output.shape.rank() >= 2;
  if (!pass.loss.meaning() && has_labels && is_integer(targets[0].dtype())) {
    fault = nn::label_fault(targets[0], run.output.shape[1]);
  }
  if (!fault) return;
  const Tensor& target = targets[fault->target];
  const int64_t example = fault->element / (target.numel() / target.size(0));
  fail(ErrorKind::value, "fit: " + fault->what + " of example " + std::to_string(example) +
                             " of the " + what + " " + fault->why);
}

/// Throws value for a binary target that metrics cannot count.
void check_binary(const Tensor& targets, const std::string& what) {
  FieldValues field{.values = targets};
  field.rows.resize(static_cast<size_t>(targets.size(0)));
  std::iota(field.rows.begin(), field.rows.end(), int64_t{0});
  for_each_value(field, [&](int64_t example, auto each) {
    const auto target = static_cast<double>(each);
    if (target == 0 || target == 1) return;
    const char* fix = target == -1  ? "; (target + 1) / 2 makes 0 and 1 of -1 and 1"
                      : target == 2 ? "; target - 1 makes 0 and 1 of 1 and 2"
                                    : "";
    fail(ErrorKind::value, "fit: target " + print_real(target) + " of example " +
                               std::to_string(example) + " of the " + what +
                               " is neither 0 nor 1, as metrics need it" + fix);
  });
}

/// How often each class occurs; nothing where that is not known of all examples.
std::vector<int64_t> count_labels(const FieldValues& field, int64_t classes) {
  constexpr int64_t most_counted = 1000;
  if (!field.all || field.values.rank() != 1 || classes > most_counted) return {};
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for_each_value(field, [&](int64_t, auto label) { ++counts[static_cast<size_t>(label)]; });
  return counts;
}

/// Returns how often each class occurs; nothing where that is not known of all examples.
std::vector<int64_t> check_targets(const Pass& pass, const DryRun& run,
                                   const data::Dataset& dataset, const std::vector<Tensor>& batch,
                                   const std::string& what) {
  if (!run.captured) return {};
  const FieldRoles& roles = pass.step.roles();
  const FieldValues field = values_of(dataset, roles.target(), batch);
  const bool only_classes = run.meaning.task == Task::binary || run.meaning.task == Task::labels;
  std::vector<Tensor> targets{gathered(field)};
  if (only_classes && count_classes(pass.options.metrics)) check_binary(targets[0], what);
  for (size_t i = 1; i < roles.targets(); ++i) {
    targets.push_back(gathered(values_of(dataset, roles.target() + i, batch)));
  }
  check_values(pass, run, targets, what);
  const bool has_labels = run.meaning.task == Task::classes && run.output.shape.rank() >= 2 &&
                          is_integer(targets[0].dtype());
  return has_labels ? count_labels(field, run.output.shape[1]) : std::vector<int64_t>();
}

void warn_of_missing_classes(const std::vector<int64_t>& counts) {
  constexpr int64_t most_named = 10;
  std::string missing;
  int64_t count = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] != 0 || ++count > most_named) continue;
    missing += (missing.empty() ? "" : ", ") + std::to_string(i);
  }
  if (count == 0) return;
  if (count > most_named) missing += " and " + std::to_string(count - most_named) + " others";
  warn("fit: the model has " + std::to_string(counts.size()) +
       " classes, no training example is of class " + missing);
}

// ---------------------------------------------------------------------------------- warnings

/// Where a value comes from, looking through views and casts.
struct Origin {
  const GraphNode* maker = nullptr;  // none of an input
  ValueId value = no_value;
};

Origin origin_of(const Graph& graph, ValueId value) {
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::ranges::find(node->outputs, value) == node->outputs.end()) continue;
    if (!node->op->is_view && node->op->role != Role::keeps) return {&*node, value};
    value = node->inputs[0];
  }
  return {nullptr, value};
}

/// Logits where the loss takes probabilities, or the other way round.
void warn_of_scale(const DryRun& run, const nn::AnyLoss& loss) {
  const std::optional<nn::LossMeaning> meaning = loss.meaning();
  const GraphNode* last = origin_of(run.graph, run.graph.outputs[0]).maker;
  if (last == nullptr || !meaning) return;
  const std::string end = ", the model ends in " + std::string(last->op->name) +
                          (last->layer.empty() ? "" : " (in " + last->layer + ")") + ": ";
  const std::string name(loss.type());
  if (meaning->input == OutputScale::logits && last->op->role == Role::probabilities) {
    warn("fit: " + name + " expects logits" + end + "leave it out");
  } else if (meaning->input == OutputScale::probabilities && last->op->role == Role::weighs) {
    warn("fit: " + name + " expects probabilities" + end +
         (meaning->of_logits.empty() ? "end it in a softmax or sigmoid"
                                     : std::string(meaning->of_logits) + " takes logits"));
  }
}

/// Of a layer in a container that was not defined as a child, a member that was exchanged for
/// another module's, and the like: nothing trains or saves it.
void warn_of_strangers(const Graph& graph, const nn::Module& model,
                       const optim::Optimizer& optimizer) {
  std::unordered_set<const StateImpl*> known;
  for (const State& cell : model.parameters()) known.insert(cell.impl());
  for (const State& cell : optimizer.parameters()) known.insert(cell.impl());
  for (const GraphCell& each : graph.cells) {
    if (!each.read || !each.cell.requires_grad() || known.contains(each.cell.impl())) continue;
    const auto user = std::ranges::find_if(graph.nodes, [&](const GraphNode& node) {
      return std::ranges::find(node.inputs, each.initial) != node.inputs.end();
    });
    const bool in_layer = user != graph.nodes.end() && !user->layer.empty();
    warn(
        "fit: the model computes with `" + each.cell.name() + "` (" +
        to_string(each.cell.value().spec()) + (in_layer ? ", in " + user->layer : "") +
        "), which is none of its parameters: it is neither trained nor saved; a member of a module "
        "comes from child(...) or parameter(...), and stays in that module");
  }
}

/// True if the first weights of the model meet this input as it is.
bool meets_weights_unscaled(const Graph& graph, ValueId input) {
  return std::ranges::any_of(graph.nodes, [&](const GraphNode& node) {
    return node.op->role == Role::weighs && origin_of(graph, node.inputs[0]).value == input;
  });
}

/// Whole numbers from 0 to 255, some above 32, in examples of two or more axes or of 64 or more
/// features: pixels as they are stored, no standardised table.
void warn_of_unscaled(const DryRun& run, size_t number, const Tensor& input) {
  const int64_t size = input.numel() / std::max<int64_t>(1, input.size(0));
  if (!is_float(input.dtype()) || (input.rank() < 3 && size < 64)) return;
  if (!meets_weights_unscaled(run.graph, run.graph.inputs[number])) return;
  double largest = 0;
  for (const double value : input.to_vector<double>()) {
    if (!(value >= 0 && value <= 255 && value == std::floor(value))) return;
    largest = std::max(largest, value);
  }
  if (largest <= 32) return;
  warn("fit: the inputs are whole numbers up to " + std::to_string(static_cast<int>(largest)) +
       ", as if pixels were not scaled; multiply them by 1 / 255");
}

/// The first rows, for what needs values.
std::vector<Tensor> first_rows(const data::Dataset& dataset, const std::vector<Spec>& specs,
                               int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  const GeneratorScope draws(default_generator(), 0, 0, 0);  // to look moves no generator on
  return data::read_batch(dataset, specs, rows);
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Throws value for data whose inputs or classes mean something else than the training data's.
void check_alike(const data::Dataset& train, const data::Dataset& dataset,
                 const std::string& what) {
  const auto names = train.class_names();
  const auto others = dataset.class_names();
  if (!names.empty() && !others.empty() && names != others) {
    fail(ErrorKind::value, "fit: the classes of the " + what + " are " + list(others) +
                               ", those of the training data " + list(names));
  }
  if (train.input_scale() == dataset.input_scale()) return;
  fail(ErrorKind::value, "fit: the inputs of the " + what + " are multiplied by " +
                             print_real(dataset.input_scale()) +
                             ", those of the training data by " + print_real(train.input_scale()));
}

/// Throws value for more names of classes than the model has outputs for.
void check_names(const data::Dataset& train, const DryRun& run) {
  const auto names = std::ssize(train.class_names());
  if (!run.captured || names == 0 || run.meaning.task == Task::regression) return;
  const bool is_binary = run.meaning.task == Task::binary;
  if (!is_binary && run.output.shape.rank() < 2) return;
  const int64_t outputs = is_binary ? 2 : run.output.shape[1];
  if (names <= outputs) return;
  fail(ErrorKind::value, "fit: the dataset names " + std::to_string(names) +
                             " classes, the model gives " + std::to_string(outputs));
}

/// `what` names the data that are measured.
void check_measured(const Pass& pass, const std::vector<Spec>& trained,
                    const data::Dataset& dataset, const std::string& what) {
  const nn::ModeScope mode(pass.model, false);
  const std::vector<Spec> specs = dataset.specs();
  const int64_t rows = std::min(pass.options.batch_size, dataset.size());
  const DryRun run = run_dry(pass, specs, rows, difference(trained, specs, what));
  const auto batch = first_rows(dataset, specs, std::min(rows, most_rows));
  check_no_nan(dataset, batch, what);
  check_targets(pass, run, dataset, batch, what);
}

}  // namespace

std::shared_ptr<const Graph> check_before_training(
    const nn::AnyModule& model, const nn::AnyLoss& loss, const optim::Optimizer& optimizer,
    const data::Dataset& train, const MeasuredData& measured, const PreflightOptions& options) {
  check_optimizer(model, optimizer);
  const Pass pass(model, loss, options, true);
  const std::vector<Spec> specs = train.specs();
  if (pass.step.roles().weighted(specs.size()) || !options.class_weight.empty()) {
    loss_of_elements(loss);
  }
  const int64_t rows = std::min(options.batch_size, train.size());
  DryRun run = run_dry(pass, specs, rows);
  check_last_batch(pass, specs, train.size());
  const auto batch = first_rows(train, specs, std::min(rows, most_rows));
  check_no_nan(train, batch, "dataset");
  const std::vector<int64_t> counts = check_targets(pass, run, train, batch, "dataset");
  check_names(train, run);
  const Pass measuring(model, loss, options, false);
  if (measured.validation != nullptr) {
    check_measured(measuring, specs, *measured.validation, "validation dataset");
    check_alike(train, *measured.validation, "validation dataset");
  }
  if (measured.test != nullptr) {
    check_measured(measuring, specs, *measured.test, "test dataset");
    check_alike(train, *measured.test, "test dataset");
  }
  if (measured.unchanged != nullptr && measured.unchanged->specs() != specs) {
    check_measured(measuring, specs, *measured.unchanged, "training dataset without transforms");
  }
  warn_of_missing_classes(counts);
  if (!run.captured) return nullptr;
  warn_of_scale(run, loss);
  for (size_t i = 0; i < pass.step.roles().inputs(); ++i) warn_of_unscaled(run, i, batch[i]);
  warn_of_strangers(run.graph, model, optimizer);
  return std::make_shared<const Graph>(std::move(run.graph));
}

bool ends_in_probabilities(const Graph& graph) {
  const GraphNode* last = origin_of(graph, graph.outputs[0]).maker;
  return last != nullptr && last->op->role == Role::probabilities;
}

bool ends_in_probabilities(const nn::AnyModule& model, std::span<const Spec> examples,
                           int64_t rows) {
  if (has_hooks(*model.state())) return false;
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < model.required_operands(); ++i) {
    inputs.push_back(without_memory(examples[i], rows));
  }
  try {
    const auto outputs = [&](const std::vector<Tensor>& x) -> std::vector<Tensor> {
      return {nn::detail::first(model(fit_inputs(x, model)))};
    };
    const Captured found = capture(inputs, outputs, OutsideTensors::held);
    return ends_in_probabilities(found.graph);
  } catch (const Error&) {
    return false;  // the pass itself says what is wrong
  }
}

}  // namespace taper

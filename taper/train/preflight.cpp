#include <taper/train/preflight.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include <taper/core/error.h>
#include <taper/core/warning.h>
#include <taper/graph/capture.h>
#include <taper/nn/hints.h>
#include <taper/train/batch_rules.h>
#include <taper/train/metrics.h>
#include <taper/train/mode_scope.h>

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
  std::vector<int64_t> rows;  // of `values`
  bool all = false;           // whether these are all examples
};

FieldValues values_of(const data::Dataset& dataset, size_t field,
                      const std::vector<Tensor>& batch) {
  const auto* subset = dynamic_cast<const data::Subset*>(&dataset);
  const auto* whole =
      dynamic_cast<const data::TensorDataset*>(subset != nullptr ? &*subset->dataset() : &dataset);
  FieldValues found{.values = batch[field], .rows = {}};
  if (whole != nullptr) found.values = whole->fields()[field].values;
  if (whole != nullptr && subset != nullptr) {
    found.rows = subset->indices();
  } else {
    found.rows.resize(static_cast<size_t>(found.values.size(0)));
    std::iota(found.rows.begin(), found.rows.end(), int64_t{0});
  }
  const int64_t size = found.values.numel() / std::max<int64_t>(1, found.values.size(0));
  const auto most = static_cast<size_t>(most_elements / std::max<int64_t>(1, size));
  if (found.rows.size() > most) found.rows.resize(most);
  found.all = std::ssize(found.rows) == dataset.size();
  return found;
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
  Task task = Task::regression;
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

DryRun run_dry(const nn::AnyModule& model, const nn::AnyLoss& loss, const std::vector<Spec>& specs,
               int64_t rows) {
  DryRun run;
  if (has_hooks(*model.state())) return run;
  const auto function = [&](const std::vector<Tensor>& batch) -> std::vector<Tensor> {
    const Tensor output = model(fit_input(batch[0], model));
    if (!output.defined()) fail(ErrorKind::value, "fit: the model's output is undefined");
    const bool classes = loss.type() == "CrossEntropyLoss";
    const Tensor target = classes ? batch[1] : fit_target(batch[1], output);
    const Tensor value = loss(output, target);
    if (!value.defined()) fail(ErrorKind::value, "fit: the loss is undefined");
    if (value.numel() != 1) {
      fail(ErrorKind::value, "fit: the loss must be one number, it is " + to_string(value.spec()) +
                                 "; use its reduction \"mean\"");
    }
    run.output = output.spec();
    run.task = task_of(loss.type(), output, target);
    return {output};
  };
  try {
    run.graph =
        capture({without_memory(specs[0], rows), without_memory(specs[1], rows)}, function).graph;
    run.captured = true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
  }
  return run;
}

DryRun run_dry(const nn::AnyModule& model, const nn::AnyLoss& loss, const std::vector<Spec>& specs,
               int64_t rows, const std::string& note) {
  try {
    return run_dry(model, loss, specs, rows);
  } catch (const Error& error) {
    throw nn::with_hint(error, note);
  }
}

void check_last_batch(const nn::AnyModule& model, const nn::AnyLoss& loss,
                      const std::vector<Spec>& specs, int64_t examples,
                      const PreflightOptions& options) {
  const int64_t rest = examples % options.batch_size;
  if (rest == 0 || options.drop_last || examples < options.batch_size) return;
  run_dry(model, loss, specs, rest,
          "the last batch has " + std::to_string(rest) + " of " + std::to_string(examples) +
              " examples: `drop_last` leaves it out");
}

/// What differs between the two datasets, if anything does.
std::string difference(const std::vector<Spec>& train, const std::vector<Spec>& validation) {
  for (size_t i = 0; i < std::min(train.size(), validation.size()); ++i) {
    if (train[i] == validation[i]) continue;
    return "field " + std::to_string(i) + " of the validation dataset is " +
           to_string(validation[i]) + ", that of the training dataset is " + to_string(train[i]);
  }
  return "this is the validation dataset";
}

// ---------------------------------------------------------------------------------- labels

[[noreturn]] void fail_label(int64_t label, int64_t example, int64_t largest, int64_t classes,
                             const std::string& what) {
  std::string text = "fit: label " + std::to_string(label) + " of example " +
                     std::to_string(example) + " of the " + what + " is out of range for " +
                     std::to_string(classes) + " classes; ";
  if (label < 0 || largest == classes) {
    text += "labels count from 0";
  } else {
    text += "the model needs " + std::to_string(largest + 1) + " outputs";
  }
  fail(ErrorKind::value, text);
}

/// Throws for a label that is no class. Returns how often each class occurs; nothing where that is
/// not known of all examples.
std::vector<int64_t> check_labels(const FieldValues& field, int64_t classes,
                                  const std::string& what) {
  int64_t bad = -1;
  int64_t bad_label = 0;
  int64_t largest = 0;
  std::vector<int64_t> counts(static_cast<size_t>(std::min<int64_t>(classes, 1000)));
  for_each_value(field, [&](int64_t example, auto value) {
    const auto label = static_cast<int64_t>(value);
    largest = std::max(largest, label);
    if ((label < 0 || label >= classes) && bad < 0) {
      bad = example;
      bad_label = label;
    }
    if (label >= 0 && label < std::ssize(counts)) ++counts[static_cast<size_t>(label)];
  });
  if (bad >= 0) fail_label(bad_label, bad, largest, classes, what);
  const bool known = field.all && field.values.rank() == 1 && classes <= 1000;
  return known ? counts : std::vector<int64_t>();
}

std::vector<int64_t> check_classes(const DryRun& run, const data::Dataset& dataset,
                                   const std::vector<Tensor>& batch, const std::string& what) {
  if (!run.captured || run.task != Task::classes || run.output.shape.rank() < 2) return {};
  if (!is_integer(batch[1].dtype())) return {};
  return check_labels(values_of(dataset, 1, batch), run.output.shape[1], what);
}

void warn_of_missing_classes(const std::vector<int64_t>& counts) {
  std::string missing;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) missing += (missing.empty() ? "" : ", ") + std::to_string(i);
  }
  if (missing.empty()) return;
  warn("fit: the model has " + std::to_string(counts.size()) +
       " classes, no training example is of class " + missing);
}

// ---------------------------------------------------------------------------------- warnings

/// The node that makes the value, looking through views and casts; null for an input.
const GraphNode* maker_of(const Graph& graph, ValueId value) {
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::ranges::find(node->outputs, value) == node->outputs.end()) continue;
    if (!node->op->is_view && node->op->name != "astype") return &*node;
    value = node->inputs[0];
  }
  return nullptr;
}

void warn_of_probabilities(const DryRun& run, std::string_view loss) {
  if (loss != "CrossEntropyLoss" && loss != "BCEWithLogitsLoss") return;
  const GraphNode* last = maker_of(run.graph, run.graph.outputs[0]);
  if (last == nullptr || (last->op->name != "softmax" && last->op->name != "sigmoid")) return;
  warn("fit: " + std::string(loss) + " expects logits, the model ends in " +
       std::string(last->op->name) + " (in " + last->layer + "): leave it out");
}

/// True if the first weights of the model meet the input as it is.
bool meets_weights_unscaled(const Graph& graph) {
  return std::ranges::any_of(graph.nodes, [&](const GraphNode& node) {
    const bool weighs =
        node.op->name == "conv2d" || node.op->name == "linear" || node.op->name == "matmul";
    return weighs && maker_of(graph, node.inputs[0]) == nullptr;
  });
}

/// Whole numbers from 0 to 255, some above 32, in examples of two or more axes or of 64 or more
/// features: pixels as they are stored, no standardised table.
void warn_of_unscaled(const DryRun& run, const Tensor& input) {
  const int64_t size = input.numel() / std::max<int64_t>(1, input.size(0));
  if (!is_float(input.dtype()) || (input.rank() < 3 && size < 64)) return;
  if (!meets_weights_unscaled(run.graph)) return;
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
  return data::read_batch(dataset, specs, rows);
}

void check_validation(const nn::AnyModule& model, const nn::AnyLoss& loss,
                      const std::vector<Spec>& trained, const data::Dataset& dataset,
                      const PreflightOptions& options) {
  const ModeScope mode(model, false);
  const std::vector<Spec> specs = dataset.specs();
  const int64_t rows = std::min(options.batch_size, dataset.size());
  const DryRun run = run_dry(model, loss, specs, rows, difference(trained, specs));
  const auto batch = first_rows(dataset, specs, std::min(rows, most_rows));
  check_no_nan(dataset, batch, "validation dataset");
  check_classes(run, dataset, batch, "validation dataset");
}

}  // namespace

void check_before_training(const nn::AnyModule& model, const nn::AnyLoss& loss,
                           const optim::Optimizer& optimizer, const data::Dataset& train,
                           const data::Dataset* validation, const PreflightOptions& options) {
  check_optimizer(model, optimizer);
  const std::vector<Spec> specs = train.specs();
  const int64_t rows = std::min(options.batch_size, train.size());
  const DryRun run = run_dry(model, loss, specs, rows, "");
  check_last_batch(model, loss, specs, train.size(), options);
  const auto batch = first_rows(train, specs, std::min(rows, most_rows));
  check_no_nan(train, batch, "dataset");
  const std::vector<int64_t> counts = check_classes(run, train, batch, "dataset");
  if (validation != nullptr) check_validation(model, loss, specs, *validation, options);
  warn_of_missing_classes(counts);
  if (!run.captured) return;
  warn_of_probabilities(run, loss.type());
  warn_of_unscaled(run, batch[0]);
}

}  // namespace taper

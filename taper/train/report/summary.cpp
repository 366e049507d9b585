#include <taper/train/report/summary.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include <taper/autograd/autograd.h>
#include <taper/nn/mode_scope.h>

namespace taper {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int rounds = 3;

int64_t bytes_of(const Spec& spec) {
  return spec.shape.numel() * static_cast<int64_t>(item_size(spec.dtype));
}

std::vector<Spec> specs_of(const std::vector<Tensor>& tensors) {
  std::vector<Spec> specs;
  for (const Tensor& tensor : tensors) specs.push_back(tensor.defined() ? tensor.spec() : Spec());
  return specs;
}

struct Leaf {
  nn::Module module;
  LayerSummary summary;
  Clock::time_point start;
};

void collect(const std::shared_ptr<nn::ModuleState>& state, const std::string& path,
             std::vector<Leaf>& leaves) {
  for (const auto& [name, child] : state->children) {
    collect(child, path.empty() ? name : path + "." + name, leaves);
  }
  const auto is_trained = [](const nn::ModuleCell& each) { return !each.is_buffer; };
  if (!state->children.empty() && std::ranges::none_of(state->cells, is_trained)) return;
  Leaf leaf{.module = nn::Module(state),
            .summary = {.path = path, .type = std::string(state->type)},
            .start = {}};
  for (const nn::ModuleCell& each : state->cells) {
    if (is_trained(each)) leaf.summary.parameters += each.cell.value().numel();
  }
  leaves.push_back(std::move(leaf));
}

/// Hooks that take the time and the output of every leaf.
std::vector<HookHandle> watch(std::vector<Leaf>& leaves) {
  std::vector<HookHandle> handles;
  for (Leaf& leaf : leaves) {
    handles.push_back(leaf.module.register_forward_pre_hook(
        [&leaf](const nn::Module&, std::vector<Tensor>&) { leaf.start = Clock::now(); }));
    handles.push_back(leaf.module.register_forward_hook(
        [&leaf](const nn::Module&, const std::vector<Tensor>&, const std::vector<Tensor>& outputs) {
          const double seconds = std::chrono::duration<double>(Clock::now() - leaf.start).count();
          LayerSummary& summary = leaf.summary;
          summary.seconds = summary.seconds > 0 ? std::min(summary.seconds, seconds) : seconds;
          summary.outputs = specs_of(outputs);
          return std::vector<Tensor>();
        }));
  }
  return handles;
}

std::string amount(int64_t bytes) {
  if (bytes >= 1 << 20) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / (1 << 20));
  return fmt::format("{:.1f} KB", static_cast<double>(bytes) / (1 << 10));
}

}  // namespace

int64_t LayerSummary::output_bytes() const {
  int64_t bytes = 0;
  for (const Spec& output : outputs) bytes += bytes_of(output);
  return bytes;
}

ModelSummary summarize(const nn::AnyModule& model, const Tensor& example) {
  return summarize(model, std::vector<Tensor>{example});
}

ModelSummary summarize(const nn::AnyModule& model, const std::vector<Tensor>& example) {
  const nn::ModeScope mode(model, false);
  const no_grad off;
  std::vector<Leaf> leaves;
  collect(model.state(), "", leaves);
  std::vector<HookHandle> handles = watch(leaves);
  try {
    for (int round = 0; round < rounds; ++round) model(example);
  } catch (...) {
    for (HookHandle& handle : handles) handle.remove();
    throw;
  }
  for (HookHandle& handle : handles) handle.remove();
  ModelSummary made{
      .inputs = specs_of(example), .layers = {}, .parameters = model.num_parameters()};
  for (const State& cell : model.parameters())
    made.parameter_bytes += bytes_of(cell.value().spec());
  for (const Leaf& leaf : leaves) {
    made.output_bytes += leaf.summary.output_bytes();
    made.layers.push_back(leaf.summary);
  }
  return made;
}

std::string to_string(const std::vector<Spec>& specs) {
  std::string text;
  for (const Spec& spec : specs) text += (text.empty() ? "" : ", ") + to_string(spec);
  return text;
}

std::string to_string(const ModelSummary& summary) {
  std::vector<std::array<std::string, 5>> rows{{"layer", "type", "output", "parameters", "memory"}};
  for (const LayerSummary& layer : summary.layers) {
    const bool ran = layer.ran();
    rows.push_back({layer.path.empty() ? "model" : layer.path,
                    layer.type.empty() ? "-" : layer.type,
                    ran ? to_string(layer.outputs) : "not run", std::to_string(layer.parameters),
                    ran ? amount(layer.output_bytes()) : "-"});
  }
  std::array<size_t, 5> widths{12, 12, 20, 10, 10};
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>{}}\n", row[0], widths[0], row[1],
                        widths[1], row[2], widths[2], row[3], widths[3], row[4], widths[4]);
  }
  return text + fmt::format("input {}; {} parameters, {}; outputs of one example {}\n",
                            to_string(summary.inputs), summary.parameters,
                            amount(summary.parameter_bytes), amount(summary.output_bytes));
}

}  // namespace taper

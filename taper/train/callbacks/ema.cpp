#include <taper/train/callbacks/ema.h>

#include <algorithm>
#include <string>
#include <utility>

#include <taper/autograd/autograd.h>
#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/ops/ops.h>
#include <taper/train/fit/trainer.h>

namespace taper {

/// The cells that are averaged, by their first names.
nn::NamedStates EMA::averaged_cells(const nn::Module& module) const {
  nn::NamedStates cells = module.named_parameters();
  if (!options().use_buffers) return cells;
  for (auto& each : module.named_buffers()) cells.push_back(std::move(each));
  return cells;
}

double EMA::decay() const {
  if (!options().warm_up) return options().decay;
  const auto n = static_cast<double>(memory_.updates);
  return std::min<double>(options().decay, (1 + n) / (10 + n));
}

/// The average of a cell, which `place` is a guess for.
const Tensor& EMA::average_of(const std::string& name, const State& cell, size_t place) const {
  const auto is_it = [&](const auto& each) { return each.first == name; };
  auto found = averages_.begin() + static_cast<ptrdiff_t>(std::min(place, averages_.size()));
  if (found == averages_.end() || !is_it(*found)) found = std::ranges::find_if(averages_, is_it);
  if (found == averages_.end() || found->second.spec() != cell.value().spec()) {
    fail(ErrorKind::value, "EMA: `" + name + "` " + to_string(cell.value().spec()) +
                               " is none of the values that were averaged before");
  }
  return found->second;
}

EMA::Values EMA::averages_for(const nn::Module& module) const {
  Values values;
  if (memory_.updates == 0) return values;
  const nn::NamedStates cells = averaged_cells(module);
  if (cells.size() != averages_.size()) {
    fail(ErrorKind::value, "EMA: the module has " + std::to_string(cells.size()) + " values, " +
                               std::to_string(averages_.size()) + " were averaged before");
  }
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto& [name, cell] = cells[i];
    values.emplace_back(cell, average_of(name, cell, i));
  }
  return values;
}

void EMA::update(const nn::Module& module) {
  if (in_scope_) fail(ErrorKind::value, "EMA: update within a scope, where weights are averages");
  const no_grad off;
  const Values before = averages_for(module);
  const nn::NamedStates cells = averaged_cells(module);
  const double part = 1 - decay();
  NamedTensors next;
  for (size_t i = 0; i < cells.size(); ++i) {
    const Tensor now = cells[i].second.value().detach();
    const bool copies = before.empty() || !is_inexact(now.dtype());
    next.emplace_back(cells[i].first,
                      copies ? now : before[i].second + (now - before[i].second) * part);
  }
  averages_ = std::move(next);
  ++memory_.updates;
}

void EMA::apply_to(const nn::Module& module) const { set_together(averages_for(module)); }

void EMA::reset() {
  memory_ = {};
  averages_.clear();
}

// ---------------------------------------------------------------------------------------------
// The scope

EMA::Scope::Scope(EMA& ema, const nn::Module& module) : ema_(ema) {
  if (ema.in_scope_) fail(ErrorKind::value, "EMA: a scope within a scope");
  const Values averages = ema.averages_for(module);
  for (const auto& [cell, average] : averages) own_.emplace_back(cell, cell.value().detach());
  set_together(averages);
  ema.in_scope_ = true;
}

EMA::Scope::~Scope() {
  ema_.in_scope_ = false;
  try {
    set_together(own_);
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): no memory for a few handles
  }
}

// ---------------------------------------------------------------------------------------------
// The callback

void EMA::on_train_begin(Trainer&) {
  if (!resumed()) reset();
}

void EMA::on_update_end(Trainer& trainer) { update(trainer.model()); }

void EMA::on_evaluation_begin(Trainer& trainer) {
  if (options().evaluate) evaluation_.emplace(*this, trainer.model());
}

void EMA::on_evaluation_end(Trainer&) noexcept { evaluation_.reset(); }

void EMA::on_train_end(Trainer& trainer) {
  if (!options().apply) return;
  apply_to(trainer.model());
}

CallbackState EMA::state() const { return {.values = to_fields(memory_), .tensors = averages_}; }

void EMA::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
  averages_ = state.tensors;
}

}  // namespace taper

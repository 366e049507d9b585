#pragma once

#include <mutex>
#include <optional>

#include <taper/graph/capture.h>

namespace taper {

/// A captured function ready to be replayed node by node, with the kernels that eager calls use. It
/// keeps no addresses: cells give their buffers at each call and take the results.
///
/// A replay that throws leaves every cell whole. Up to the last node that can refuse values all
/// cells are as they were. Behind it a cell gives its buffer up only to the node whose result it
/// takes, and takes it at once; the rest are assigned together in the end. So what fails there, for
/// want of memory, leaves each cell its old value or its new one. Generators are moved on at the
/// beginning, in one go, by all that the replay draws.
class TAPER_API Plan {
 public:
  Plan(Captured captured, const std::vector<Tensor>& inputs);

  /// Whether the plan was made for such inputs, and cells, flags and modes are as they were then.
  bool fits(const std::vector<Tensor>& inputs) const;
  /// May be called by several threads at once; one that assigns cells runs once at a time.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) const;
  const Graph& graph() const { return captured_.graph; }
  /// Whether a result is still on the tape: a replay would cut it off.
  bool on_tape() const { return captured_.on_tape; }

 private:
  struct Step {
    Specs specs;
    std::vector<ValueId> ends;            // values whose last use this is
    std::vector<const GraphCell*> gives;  // cells whose buffer this may take for their new value
  };
  void move_draws_forward();
  void make_small_tensors();
  std::vector<size_t> find_ends();
  void find_givers(const std::vector<size_t>& last_use);
  void execute_node(size_t index, std::vector<Tensor>& values) const;
  void execute_giving(size_t index, std::vector<Tensor>& values) const;
  void execute_step(size_t index, std::vector<Tensor>& values) const;
  void reserve_draws(std::vector<Tensor>& values, std::vector<Tensor>& before) const;
  void undo_draws(const std::vector<Tensor>& values, const std::vector<Tensor>& before) const;
  std::vector<Tensor> finish(std::vector<Tensor>& values) const;
  void store_cells(const std::vector<Tensor>& values) const;

  Captured captured_;
  std::vector<std::optional<Spec>> input_specs_;
  bool tape_on_;
  int threads_;
  std::vector<Step> steps_;
  std::vector<Tensor> numbers_;                // the graph's immediates
  std::vector<const GraphCell*> counters_;     // the assigned cells of generators
  size_t draws_ = 0;                           // so many nodes come first, to move them on
  std::vector<const GraphCell*> stored_last_;  // the assigned cells that no step gives
  bool assigns_ = false;
  mutable std::mutex mutex_;
};

/// The plans of one function, the most recently used first.
class TAPER_API PlanCache {
 public:
  static constexpr size_t capacity = 8;
  /// The plan for these inputs, captured and verified if there is none yet.
  std::shared_ptr<const Plan> find_or_capture(
      const std::vector<Tensor>& inputs,
      FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function);
  /// The plan of the latest call; null before the first.
  std::shared_ptr<const Plan> latest() const;
  size_t size() const;
  size_t captures() const;

 private:
  std::shared_ptr<const Plan> find(const std::vector<Tensor>& inputs);

  std::mutex capturing_;      // one thread at a time, while others replay
  mutable std::mutex mutex_;  // of what follows; never held while the function runs
  std::vector<std::shared_ptr<const Plan>> plans_;
  size_t captures_ = 0;
};

}  // namespace taper

#pragma once

#include <mutex>

#include <taper/graph/capture.h>

namespace taper {

/// A captured function ready to be replayed node by node, with the kernels that eager calls use. It
/// keeps no addresses: cells give their buffers at each call and take the results.
class TAPER_API Plan {
 public:
  Plan(Captured captured, const std::vector<Tensor>& inputs);

  /// Whether the plan was made for such inputs, and cells, flags and modes are as they were then.
  bool fits(const std::vector<Tensor>& inputs) const;
  std::vector<Tensor> run(const std::vector<Tensor>& inputs);
  const Graph& graph() const { return captured_.graph; }

 private:
  struct Step {
    Specs specs;
    std::vector<ValueId> ends;  // values whose last use this is
  };
  void execute_node(size_t index, std::vector<Tensor>& values);
  void store_cells(std::vector<Tensor>& values);

  Captured captured_;
  std::vector<std::optional<Spec>> input_specs_;
  bool tape_on_;
  int threads_;
  std::vector<Step> steps_;
  std::mutex mutex_;  // a plan that assigns cells runs once at a time
};

/// The plans of one function, the most recently used first.
class TAPER_API PlanCache {
 public:
  static constexpr size_t capacity = 8;
  /// The plan for these inputs, captured and verified if there is none yet.
  std::shared_ptr<Plan> find_or_capture(
      const std::vector<Tensor>& inputs,
      FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function);
  size_t size() const;
  size_t captures() const { return captures_; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Plan>> plans_;
  size_t captures_ = 0;
};

}  // namespace taper

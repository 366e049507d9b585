#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <taper/graph/packed.h>
#include <taper/graph/plan.h>
#include <taper/ops/composed.h>
#include <taper/ops/op.h>

namespace taper {

/// A captured function as an attribute of a row. What it uses of an enclosing capture, or of the
/// program around it, is an operand of its graph, so it holds no tensor but its own constants.
/// Two are equal if they are the same capture.
class Subgraph {
 public:
  Subgraph() = default;
  explicit Subgraph(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  /// Null if there is none.
  const Graph* graph() const { return plan_ ? &plan_->graph() : nullptr; }
  /// The results for operands of the graph's specs, off the tape.
  std::vector<Tensor> run(const std::vector<Tensor>& operands) const {
    return plan_->run(operands);
  }
  /// The same by calls, which are captured or put on the tape as others are.
  std::vector<Tensor> call(const std::vector<Tensor>& operands) const;

  friend bool operator==(const Subgraph&, const Subgraph&) = default;

 private:
  std::shared_ptr<const Plan> plan_;
};

template <>
struct FieldCodec<Subgraph> {
  static constexpr FieldType type = FieldType::subgraph;
  static std::string kind() { return "function"; }
  static Value to_value(const Subgraph& function);
  static Subgraph from_value(const Value& value);  // throws: no text stands for a function
};

/// The functions of one operator, captured on operands of the same specs.
struct Subgraphs {
  std::vector<Subgraph> functions;
  /// What they use of the tensors around them: operands of each behind its own.
  std::vector<Tensor> lifted;
};

/// Captures functions as parts of an op `owner`, on this thread, alone or within a capture. The
/// value of a cell is read outside of them; throws unsupported where one assigns a cell or draws
/// random numbers, and what the functions throw.
Subgraphs capture_subgraphs(std::string_view owner, const std::vector<Spec>& operands,
                            std::span<const FunctionOfTensors> functions);

// What the rows of control flow have in common. The checks throw a Violation.

/// Throws where operands, from `first` on, are not what the function was captured for.
void check_operands(const Subgraph& function, const InSpecs& in, size_t first);
/// The same for one operand, whatever the row makes of it before.
void check_operand(const Subgraph& function, size_t i, const Spec& given);
/// The specs of what the function gives.
std::vector<Spec> result_specs(const Subgraph& function);
/// Throws where a function gives `given` for a value that must stay `wanted`.
void check_kept(const Spec& given, const Spec& wanted, size_t index);
/// Throws unless a function gives as many values as there are.
void check_count(size_t given, size_t wanted);
/// Throws unless `spec` is one bool.
void check_truth(const Spec& spec, const std::string& what);
/// Throws for undefined operands.
void check_defined(std::string_view name, const std::vector<Tensor>& tensors);

Specs as_specs(const std::vector<Spec>& list);
std::vector<Tensor> tensors_from(const Inputs& in, size_t first);
std::vector<Spec> specs_of(const std::vector<Tensor>& tensors);
std::vector<Tensor> joined(std::vector<Tensor> a, std::span<const Tensor> b);
/// Row-major, whatever a function gave, so that what a graph knows of a result does not depend on
/// how often it ran.
Results as_results(const std::vector<Tensor>& tensors);
/// What a function gave eagerly, as the results of an op: without a tape while that is off.
std::vector<Tensor> off_tape(std::vector<Tensor> results);
/// The first `count` results of a call with these operands.
std::vector<Tensor> call_list(const OpBase& op, const void* attrs,
                              const std::vector<Tensor>& operands, size_t count);

/// A function whose undefined results are left out, since a graph has none.
class DefinedResults {
 public:
  explicit DefinedResults(FunctionOfTensors function) : function_(function) {}

  std::vector<Tensor> operator()(const std::vector<Tensor>& operands);
  /// Which results the last call defined.
  const std::vector<bool>& mask() const { return mask_; }
  /// Results of calls like the last one, the undefined ones in their places.
  std::vector<Tensor> complete(std::vector<Tensor> results) const;

 private:
  FunctionOfTensors function_;
  std::vector<bool> mask_;
};

/// Runs checks of a function that is no call yet; a Violation is reported as its error.
template <class Checks>
void checked(std::string_view function, Checks&& checks) {
  try {
    checks();
  } catch (const Violation& violation) {
    report(function, violation, {});
  }
}

}  // namespace taper

#pragma once

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <taper/graph/capture.h>

namespace taper {

/// Another interpretation of this thread, null being none, until the end of the scope.
class InterpreterScope {
 public:
  InterpreterScope(Interpreter* inner, uint32_t number)
      : before_(std::exchange(interpreter, inner)),
        number_before_(std::exchange(capture_number, number)) {}
  ~InterpreterScope() {
    interpreter = before_;
    capture_number = number_before_;
  }
  InterpreterScope(const InterpreterScope&) = delete;
  InterpreterScope& operator=(const InterpreterScope&) = delete;

 private:
  Interpreter* before_;
  uint32_t number_before_;
};

/// The interpreter of a capture: calls become nodes, cells inputs and outputs.
class Recorder : public Interpreter {
 public:
  explicit Recorder(OutsideTensors outside);
  ~Recorder() override;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// A tensor without data that stands for an operand of the captured function.
  Tensor add_input(const Spec& spec);
  /// What was recorded until the function gave `outputs`.
  Captured finish(std::vector<Tensor> outputs);

  Results call(const OpBase& op, const void* attrs, std::span<const Arg> args,
               const Specs& specs) override;
  Tensor read(const State& state) override;
  void write(const State& state, const Tensor& value) override;
  Tensor move_on(const State& counter, FunctionRef<Tensor(const Tensor&)> next) override;
  void depend_on(const void* key, std::function<uint64_t()> look) override;
  void hold(const Tensor& tensor) override;
  void check_read(const Tensor& tensor) const override;
  void check_update(const Tensor& tensor) const override;
  void note_copy(const Tensor& copy) override;
  std::string origin(const Tensor& tensor) const override;

 protected:
  /// The value that stands here for a tensor that this capture did not make; no_value if that is
  /// not for the recorder to say.
  virtual ValueId lift(const Tensor&) { return no_value; }
  /// Whether gradients of a use of the tensor reach the value that it stands for.
  virtual bool flows(const Tensor& tensor) const;

  Tensor new_value(const Spec& spec);
  bool is_own(const Storage& storage) const { return storage.capture == number_; }
  uint32_t number() const { return number_; }

  /// The enclosing interpretation takes over until the end of the scope.
  InterpreterScope aside() const { return {outer_, outer_number_}; }

 private:
  const OpBase* maker_of(const TensorImpl& symbol) const;
  void refuse_kept();
  bool outlives(const State& state) const;
  bool is_foreign(const Storage& storage) const;
  const char* why_foreign(const Tensor& tensor) const;
  template <class Name>
  ValueId allowed_id(const Tensor& tensor, Name&& name);
  ValueId id_of(const Tensor& tensor);
  ValueId remember(const Tensor& tensor);
  ValueId id_of_operand(const OpBase& op, const Arg& arg, size_t i);
  size_t find(const State& state);

  Interpreter* outer_;
  uint32_t outer_number_;
  uint32_t number_;
  OutsideTensors outside_;
  Graph graph_;
  std::vector<Guard> guards_;
  std::unordered_set<const void*> guarded_;
  std::vector<Tensor> symbols_;        // all, so that in the end it is seen who else holds one
  std::vector<const OpBase*> makers_;  // by value
  std::unordered_map<const StateImpl*, size_t> cells_;
  std::vector<Tensor> present_;                      // by cell: its value at this point
  std::unordered_map<const Storage*, Tensor> held_;  // made before, let in by `constant`
  std::unordered_map<const Storage*, std::vector<Tensor>> constants_;
  std::unordered_map<const TensorImpl*, ValueId> ids_;
};

}  // namespace taper

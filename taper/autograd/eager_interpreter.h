#pragma once

#include <utility>

#include <taper/core/interpreter.h>
#include <taper/ops/op.h>
#include <taper/ops/tape.h>

namespace taper {

/// Sees every call and cell of this thread while it lives, and lets them go on as before.
class EagerInterpreter : public Interpreter {
 public:
  EagerInterpreter() : outer_(std::exchange(interpreter, this)) {}
  ~EagerInterpreter() override { interpreter = outer_; }
  EagerInterpreter(const EagerInterpreter&) = delete;
  EagerInterpreter& operator=(const EagerInterpreter&) = delete;

  /// Calls within the op itself are not seen.
  Results call(const OpBase& op, const void* attrs, std::span<const Arg> args,
               const Specs& specs) override {
    const Aside aside(*this);
    return outer_ != nullptr ? outer_->call(op, attrs, args, specs)
                             : execute(op, attrs, args, specs);
  }
  Tensor read(const State& cell) override {
    const Aside aside(*this);
    return cell.value();
  }
  void write(const State& cell, const Tensor& value) override {
    const Aside aside(*this);
    cell.set(value);
  }
  Tensor move_on(const State& counter, FunctionRef<Tensor(const Tensor&)> next) override {
    const Aside aside(*this);
    return taper::move_on(counter, next);
  }
  void depend_on(const void* key, std::function<uint64_t()> look) override {
    if (outer_ != nullptr) outer_->depend_on(key, std::move(look));
  }
  void hold(const Tensor& tensor) override {
    if (outer_ != nullptr) outer_->hold(tensor);
  }
  void check_read(const Tensor& tensor) const override {
    if (outer_ != nullptr) outer_->check_read(tensor);
  }
  void check_update(const Tensor& tensor) const override {
    if (outer_ != nullptr) outer_->check_update(tensor);
  }
  void note_copy(const Tensor& copy) override {
    if (outer_ != nullptr) outer_->note_copy(copy);
  }
  std::string origin(const Tensor& tensor) const override {
    return outer_ != nullptr ? outer_->origin(tensor) : "a captured tensor";
  }

 private:
  /// The outer interpretation takes over until the end of the scope.
  class Aside {
   public:
    explicit Aside(EagerInterpreter& self) : self_(self) { interpreter = self.outer_; }
    ~Aside() { interpreter = &self_; }
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

   private:
    EagerInterpreter& self_;
  };

  Interpreter* outer_;
};

}  // namespace taper

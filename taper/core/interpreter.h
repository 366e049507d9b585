#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <taper/core/api.h>
#include <taper/core/function_ref.h>
#include <taper/core/shape.h>

namespace taper {

class OpBase;
class State;
class Tensor;
struct Number;

/// So many outputs of a call need no memory of their own for their handles and specs.
inline constexpr int inline_outputs = 4;

/// What an op's rule infers: the spec of each output.
struct Specs {
  uint16_t count = 0;
  union {
    Spec spec[inline_outputs];  // only the first `count` are made: it is on every call
  };
  std::unique_ptr<std::vector<Spec>> more = {};

  Specs() {}                                              // NOLINT: leaves `spec` as it is
  Specs(const Spec& only) : count(1) { spec[0] = only; }  // NOLINT: implicit on purpose
  Specs(std::initializer_list<Spec> specs) {
    for (const Spec& each : specs) push_back(each);
  }
  void push_back(const Spec& next) {
    if (count < inline_outputs) {
      spec[count] = next;
    } else {
      if (!more) more = std::make_unique<std::vector<Spec>>();
      more->push_back(next);
    }
    ++count;
  }
  const Spec& operator[](int i) const {
    return i < inline_outputs ? spec[i] : (*more)[static_cast<size_t>(i - inline_outputs)];
  }
};

/// A borrowed argument of an op: a tensor, or a number that a call gives the dtype of the tensors
/// beside it. `donated` says that the caller gives its handle up, so a sole owner's buffer may
/// become the output's.
struct Arg {
  union {
    const Tensor* tensor = nullptr;
    const Number* number;
  };
  bool donated = false;
  bool is_number = false;
  bool immediate = false;  // a tensor that a call made of a number
  Arg() = default;
  Arg(const Tensor& borrowed) : tensor(&borrowed) {}  // NOLINT: implicit on purpose
  Arg(const Tensor& borrowed, bool give) : tensor(&borrowed), donated(give) {}
  Arg(const Number& borrowed) : number(&borrowed), is_number(true) {}  // NOLINT
};

inline Arg donate(const Tensor& tensor) { return {tensor, true}; }

struct Results;

/// Takes the place of eager execution on one thread: capture is one. Null means eager.
class TAPER_API Interpreter {
 public:
  virtual ~Interpreter() = default;
  /// An op whose rule gave `specs`; returns tensors without data.
  virtual Results call(const OpBase& op, const void* attrs, std::span<const Arg> args,
                       const Specs& specs) = 0;
  /// The value of a cell as this interpretation sees it.
  virtual Tensor read(const State& cell) = 0;
  virtual void write(const State& cell, const Tensor& value) = 0;
  /// `taper::move_on` as this interpretation sees it.
  virtual Tensor move_on(const State& counter, FunctionRef<Tensor(const Tensor&)> next) = 0;
  /// The interpretation holds only while `look()` gives its present value. `key` tells what is
  /// looked at, so that each thing is remembered once; `look` keeps it alive.
  virtual void depend_on(const void* key, std::function<uint64_t()> look) = 0;
  /// Takes a tensor made before as a constant, if tensors of a capture are recorded here.
  virtual void hold(const Tensor& tensor) = 0;
  /// Throws unsupported if the program may not look at the values of a tensor that has some: what
  /// it does with them would be done once and not at every run.
  virtual void check_read(const Tensor& tensor) const = 0;
  /// Throws unsupported for a handle that holds a tensor made before: an update in place would
  /// leave it without data, and later runs would not repeat it.
  virtual void check_update(const Tensor& tensor) const = 0;
  /// Hears of each copy of a tensor without data.
  virtual void note_copy(const Tensor& copy) = 0;
  /// The name of the op that made a tensor without data, for messages.
  virtual std::string origin(const Tensor& tensor) const = 0;
};

TAPER_API extern constinit thread_local Interpreter* interpreter TAPER_TLS_FAST;

/// The number of the capture that runs on this thread, no two captures having the same; 0: none.
TAPER_API extern constinit thread_local uint32_t capture_number TAPER_TLS_FAST;

}  // namespace taper

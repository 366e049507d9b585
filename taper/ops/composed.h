#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/tensor.h>

namespace taper {

/// The operands of a function for its messages; undefined ones are left out.
using NamedOperands = std::vector<std::pair<std::string, Tensor>>;

/// Throws the user's error in the form of an op's: `function: rule (operands) in layer.path`.
[[noreturn]] void report(std::string_view function, const Violation& violation,
                         const NamedOperands& operands);

/// What the error says without its op, operands and layer, to be reported for another function. An
/// internal one is thrown as it is.
Violation as_violation(const Error& error);

/// What the user called on this thread, if it is a function made of ops that is being captured;
/// else empty.
extern constinit thread_local std::string_view captured_function TAPER_TLS_FAST;

/// While it lives, ops that are captured belong to `function`, or to one around it.
class FunctionScope {
 public:
  explicit FunctionScope(std::string_view function)
      : outermost_(interpreter != nullptr && captured_function.empty()) {
    if (outermost_) captured_function = function;
  }
  ~FunctionScope() {
    if (outermost_) captured_function = {};
  }
  FunctionScope(const FunctionScope&) = delete;
  FunctionScope& operator=(const FunctionScope&) = delete;

 private:
  bool outermost_;
};

/// Runs the body of a function that is made of ops. What goes wrong in it, a Violation or the error
/// of an op, is reported as the function's, which the user called. `operands()` gives them then.
template <class Operands, class Body>
Tensor composed(std::string_view function, Operands&& operands, Body&& body) {
  const FunctionScope scope(function);
  try {
    return body();
  } catch (const Violation& violation) {
    report(function, violation, operands());
  } catch (const Error& error) {
    report(function, as_violation(error), operands());
  }
}

/// The same with the one operand `x`, which must be there.
template <class Body>
Tensor composed_of_x(std::string_view function, const Tensor& x, Body&& body) {
  return composed(
      function, [&] { return NamedOperands{{"x", x}}; },
      [&] {
        if (!x.defined()) throw Violation{ErrorKind::value, "x is undefined"};
        return body();
      });
}

}  // namespace taper

#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <taper/core/api.h>

namespace taper {

enum class ErrorKind { shape, dtype, value, index, io, not_found, unsupported, internal };

TAPER_API std::string_view kind_name(ErrorKind kind);

/// The one exception type of the library. `what()` is the whole text, such as
/// `conv2d: weight expects 64 input channels, x has 32 (x f32[8,32,28,28], weight
/// f32[128,64,3,3]) in model.block2.conv1`; `op()` and `layer()` are its parts, empty if none.
class TAPER_API Error : public std::runtime_error {
 public:
  /// `rule` is what the text says besides op, operands and layer; the whole text if it is left out.
  Error(ErrorKind kind, const std::string& text, std::string op = {}, std::string layer = {},
        std::string rule = {});

  ErrorKind kind() const { return kind_; }
  const std::string& op() const { return op_; }
  const std::string& layer() const { return layer_; }
  const std::string& rule() const { return rule_; }

 private:
  ErrorKind kind_;
  std::string op_;
  std::string layer_;
  std::string rule_;
};

/// Throws an Error; the path of the layer being run, if any, is appended to the message.
[[noreturn]] TAPER_API void fail(ErrorKind kind, const std::string& message);

/// What an op's rule throws; the call that ran the rule adds the op, its operands and the layer.
struct Violation {
  ErrorKind kind;
  std::string rule;
};

/// Throws what `call` reports as the user's mistake, in the form `op: rule (operands) in layer`.
[[noreturn]] TAPER_API void violate(ErrorKind kind, std::string rule);

/// The error with `; hint` behind its text; as it is if there is no hint.
TAPER_API Error with_hint(const Error& error, const std::string& hint);

/// Throws Error(internal) in every build: a broken invariant of Taper, never a user's mistake.
[[noreturn]] TAPER_API void internal_failure(const char* condition, const char* file, int line);

#define TAPER_CHECK(condition)            \
  (static_cast<bool>(condition) ? void(0) \
                                : ::taper::internal_failure(#condition, __FILE__, __LINE__))

/// Names the layer that runs on this thread for as long as the scope lives. Scopes nest.
class TAPER_API LayerScope {
 public:
  /// Keeps a reference to `name`.
  explicit LayerScope(const std::string& name);
  explicit LayerScope(std::string&&) = delete;
  ~LayerScope();
  /// Whether this thread is within the call of a module.
  static bool active();
  LayerScope(const LayerScope&) = delete;
  LayerScope& operator=(const LayerScope&) = delete;

 private:
  friend std::string layer_path();
  const std::string* name_;
  LayerScope* outer_;
};

/// The path of the running layers on this thread, such as `model.block2.conv1`; empty outside.
TAPER_API std::string layer_path();

}  // namespace taper

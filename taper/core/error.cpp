#include <taper/core/error.h>

#include <utility>

namespace taper {
namespace {

constinit thread_local LayerScope* innermost_scope = nullptr;

}  // namespace

std::string_view kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::shape:
      return "shape";
    case ErrorKind::dtype:
      return "dtype";
    case ErrorKind::value:
      return "value";
    case ErrorKind::index:
      return "index";
    case ErrorKind::io:
      return "io";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::internal:
      return "internal";
  }
  return "unknown";
}

Error::Error(ErrorKind kind, const std::string& text, std::string op, std::string layer,
             std::string rule)
    : std::runtime_error(text),
      kind_(kind),
      op_(std::move(op)),
      layer_(std::move(layer)),
      rule_(std::move(rule)) {
  if (rule_.empty()) rule_ = text;
}

void fail(ErrorKind kind, const std::string& message) {
  std::string layer = layer_path();
  std::string text = layer.empty() ? message : message + " in " + layer;
  throw Error(kind, text, {}, std::move(layer), message);
}

void violate(ErrorKind kind, std::string rule) { throw Violation{kind, std::move(rule)}; }

Error with_hint(const Error& error, const std::string& hint) {
  if (hint.empty()) return error;
  return {error.kind(), std::string(error.what()) + "; " + hint, error.op(), error.layer()};
}

void internal_failure(const char* condition, const char* file, int line) {
  fail(ErrorKind::internal, "internal error: " + std::string(condition) + " does not hold (" +
                                file + ":" + std::to_string(line) + ")");
}

LayerScope::LayerScope(const std::string& name) : name_(&name), outer_(innermost_scope) {
  innermost_scope = this;
}

bool LayerScope::active() { return innermost_scope != nullptr; }
LayerScope::~LayerScope() { innermost_scope = outer_; }

std::string layer_path() {
  std::string path;
  for (const LayerScope* scope = innermost_scope; scope != nullptr; scope = scope->outer_) {
    path = path.empty() ? *scope->name_ : *scope->name_ + "." + path;
  }
  return path;
}

}  // namespace taper

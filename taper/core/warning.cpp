#include <taper/core/warning.h>

#include <cstdio>
#include <mutex>
#include <unordered_set>
#include <utility>

namespace taper {
namespace {

constexpr size_t most_texts = 1000;  // those with numbers in them could go on for ever

struct Warnings {
  std::recursive_mutex mutex;  // a handler may warn
  WarningHandler handler;
  std::unordered_set<std::string> given;
};

Warnings& warnings() {
  static auto* const all = new Warnings;  // outlives every static object
  return *all;
}

}  // namespace

void warn(const std::string& text) {
  Warnings& all = warnings();
  const std::lock_guard lock(all.mutex);
  if (all.handler) {
    const WarningHandler handler = all.handler;  // it may set another
    handler(text);
    return;
  }
  if (all.given.size() >= most_texts || !all.given.insert(text).second) return;
  std::fprintf(stderr, "taper: warning: %s\n", text.c_str());
}

WarningHandler set_warning_handler(WarningHandler handler) {
  Warnings& all = warnings();
  const std::lock_guard lock(all.mutex);
  return std::exchange(all.handler, std::move(handler));
}

}  // namespace taper

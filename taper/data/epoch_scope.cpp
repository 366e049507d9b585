#include <taper/data/epoch_scope.h>

#include <utility>

namespace taper::data {
namespace {

constinit thread_local EpochScope* innermost = nullptr;

/// Examples and batches of one epoch have streams of their own.
uint64_t stream_of(int64_t epoch, bool is_batch) {
  return static_cast<uint64_t>(epoch) * 2 + (is_batch ? 1 : 0);
}

}  // namespace

EpochScope::EpochScope(uint64_t seed, int64_t epoch)
    : seed_(seed), epoch_(epoch), outer_(std::exchange(innermost, this)) {}

EpochScope::~EpochScope() { innermost = outer_; }

const EpochScope* EpochScope::current() { return innermost; }

void EpochScope::draw_for_example(std::optional<GeneratorScope>& scope, int64_t example) {
  scope.reset();  // scopes end in reverse order
  if (innermost == nullptr) return;
  scope.emplace(default_generator(), innermost->seed_, stream_of(innermost->epoch_, false),
                static_cast<uint64_t>(example));
}

GeneratorScope draw_for_batch(uint64_t seed, int64_t epoch, int64_t batch) {
  return {default_generator(), seed, stream_of(epoch, true), static_cast<uint64_t>(batch)};
}

}  // namespace taper::data

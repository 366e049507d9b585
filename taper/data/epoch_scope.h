// Private to the datasets and the loader.
#pragma once

#include <cstdint>
#include <optional>

#include <taper/ops/random/generator.h>

namespace taper::data {

/// While it lives, the examples that `Dataset::fill` asks for on this thread belong to an epoch of
/// a loader: what each draws from the default generator depends on seed, epoch and example only.
class EpochScope {
 public:
  EpochScope(uint64_t seed, int64_t epoch);
  ~EpochScope();
  EpochScope(const EpochScope&) = delete;
  EpochScope& operator=(const EpochScope&) = delete;

  /// Takes the place of the default generator for one example; does nothing outside of an epoch.
  static void draw_for_example(std::optional<GeneratorScope>& scope, int64_t example);

  /// The innermost one of this thread; null outside of an epoch.
  static const EpochScope* current();
  uint64_t seed() const { return seed_; }
  int64_t epoch() const { return epoch_; }

 private:
  uint64_t seed_;
  int64_t epoch_;
  EpochScope* outer_;
};

/// The stream of a batch: of its transform, and of a `fill` that draws for all its examples at
/// once.
GeneratorScope draw_for_batch(uint64_t seed, int64_t epoch, int64_t batch);

}  // namespace taper::data

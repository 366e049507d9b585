#pragma once

#include <taper/core/state.h>

namespace taper {

/// A stream of random numbers: a counter with {seed, offset}. Every draw takes its value, the key,
/// and moves the offset on, so a captured function draws the same numbers as an eager one; a replay
/// reserves all that it draws when it begins.
///
/// Threads may draw from one generator at once: no two draws get the same numbers, but which gets
/// which is not said. What shall repeat takes a generator of its own.
class TAPER_API Generator {
 public:
  explicit Generator(uint64_t seed = 0);

  void manual_seed(uint64_t seed);
  /// The i64[2] {seed, offset} of the next draw, to be kept in a checkpoint.
  Tensor state() const;
  /// Goes on from there. Throws shape or dtype if it is no i64[2].
  void set_state(const Tensor& key);
  /// The key for a draw of that many Philox blocks; the next draw starts behind them.
  Tensor draw(int64_t blocks);
  /// The cell that a captured function names; its value is reached by the functions above.
  const State& cell() const { return cell_; }

 private:
  State cell_;
};

/// The generator of every draw that names none; one for the process. Within `Dataset::get` and a
/// loader's transform it is one for the example or the batch (see data/loader.h).
TAPER_API Generator& default_generator();

/// While it lives, draws from `generator` on this thread come from a stream of their own, which
/// depends on these three numbers only.
class TAPER_API GeneratorScope {
 public:
  GeneratorScope(const Generator& generator, uint64_t seed, uint64_t major, uint64_t minor);

 private:
  CounterScope scope_;
};

/// Seeds the default generator: a run repeats bit for bit.
TAPER_API void manual_seed(uint64_t seed);

}  // namespace taper

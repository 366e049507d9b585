#pragma once

#include <taper/core/state.h>

namespace taper {

/// A stream of random numbers: a cell with {seed, offset}. Every draw takes the cell's value and
/// moves the offset on, so a captured function draws the same numbers as an eager one.
class TAPER_API Generator {
 public:
  explicit Generator(uint64_t seed = 0);

  void manual_seed(uint64_t seed);
  /// The i64[2] {seed, offset}.
  const State& state() const { return state_; }
  /// The key for a draw of that many Philox blocks; the next draw starts behind them.
  Tensor draw(int64_t blocks);

 private:
  State state_;
};

/// The generator of every draw that names none; one for the process.
TAPER_API Generator& default_generator();

/// Seeds the default generator: a run repeats bit for bit.
TAPER_API void manual_seed(uint64_t seed);

}  // namespace taper

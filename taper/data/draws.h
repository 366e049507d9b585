// Random numbers of one stream, as many as somebody asks for, without a tensor for each.
#pragma once

#include <cstdint>

#include <taper/core/philox.h>

namespace taper::data {

/// The stream `stream` of the key `key`: Philox, so that streams do not depend on each other and
/// every thread gets the same numbers from the same stream.
class Draws {
 public:
  Draws(uint64_t key, uint64_t stream) : key_(key), stream_(stream) {}

  /// Uniform in [0, 1), with 53 random bits.
  double uniform() {
    const uint64_t word = next();
    return uniform_double(static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word));
  }

  /// True with this probability.
  bool happens(double probability) { return uniform() < probability; }

  /// In [0, bound), each alike, by Lemire's "Fast random integer generation in an interval" (2019).
  uint64_t below(uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    Wide product = Wide{next()} * bound;
    if (static_cast<uint64_t>(product) < bound) {
      const uint64_t least = -bound % bound;
      while (static_cast<uint64_t>(product) < least) product = Wide{next()} * bound;
    }
    return static_cast<uint64_t>(product >> 64);
  }

 private:
  uint64_t next() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const auto words = philox(key_, block_++, stream_);
    spare_ = uint64_t{words[2]} << 32 | words[3];
    has_spare_ = true;
    return uint64_t{words[0]} << 32 | words[1];
  }

  uint64_t key_;
  uint64_t stream_;
  uint64_t block_ = 0;
  uint64_t spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace taper::data

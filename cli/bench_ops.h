// taper bench ops: times the rows by dtype, memory order and axis.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace taper::cli {

struct OpsBench {
  std::vector<std::string> names = {};  // none: every row
  std::optional<int64_t> size = {};     // 1000
  std::string json = {};
  bool list = false;   // the cases only
  bool calls = false;  // those of the standard input
};

/// Prints, or writes as JSON, what each case takes; throws UsageError for a name that has none.
void bench_ops(const OpsBench& bench);

}  // namespace taper::cli

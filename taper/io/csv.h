#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/tensor.h>

namespace taper {

/// A table of numbers.
struct TAPER_API Table {
  std::vector<std::string> names;  ///< of the columns, from the first line
  Tensor values;                   ///< f64[rows, columns]

  /// The values of one column, f64[rows]. Throws not_found naming the columns that there are.
  Tensor column(std::string_view name) const;
};

/// Reads numbers separated by commas (RFC 4180 without quotes); the first line names the columns.
/// Lines may end in CR LF, the last one without either; empty lines are skipped. At most 2^30 bytes
/// and 2^16 columns.
///
/// Throws io naming the path, line and column for a file that cannot be read, a line with another
/// number of fields, and a field that is no finite number.
TAPER_API Table read_csv(const std::filesystem::path& path);

}  // namespace taper

#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
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

/// A table as it stands in the file.
class TAPER_API TextTable {
 public:
  /// RFC 4180: fields separated by commas, in double quotes if they hold a comma, a quote (twice)
  /// or the end of a line; the first line names the columns. If it holds no comma, semicolons or
  /// tabs separate instead. Lines may end in CR LF, the last one
  /// without either; empty lines are skipped. At most 2^16 columns. `name` stands for the path in
  /// errors. Throws io naming path and line for a line with another number of fields, for a quote
  /// that does not end, for two columns of one name and for
  /// text that is not UTF-8.
  TextTable(std::string text, std::string name);

  const std::vector<std::string>& names() const { return names_; }
  int64_t rows() const { return static_cast<int64_t>(lines_.size()); }
  std::string_view cell(int64_t row, size_t column) const {
    return cells_[static_cast<size_t>(row) * names_.size() + column];
  }
  /// The place of a column. Throws not_found naming the table and the columns that there are.
  size_t find(std::string_view name) const;
  /// Throws io: "data.csv: line 3: what".
  [[noreturn]] void refuse(int64_t row, const std::string& what) const;
  /// The number in a cell. Throws io naming path, line and column unless it is a finite one.
  double number(int64_t row, size_t column) const;

 private:
  struct Storage {
    std::string text;
    std::deque<std::string> unquoted;  // where a quote stood twice
  };
  class Reader;

  std::string name_;
  std::shared_ptr<Storage> storage_ = std::make_shared<Storage>();
  std::vector<std::string> names_;
  std::vector<std::string_view> cells_;
  std::vector<int64_t> lines_;  // of each row, in the file
};

/// The number that a text is, spaces around it and a `+` before it allowed; too large ones are
/// infinite. Nothing for another text.
TAPER_API std::optional<double> parse_number(std::string_view text);

/// Reads a file of at most 2^30 bytes. Throws io as TextTable does and for one that cannot be read.
TAPER_API TextTable read_text_table(const std::filesystem::path& path);

/// The same for a table of finite numbers only. Throws io naming the path, line and column for a
/// field that is none.
TAPER_API Table read_csv(const std::filesystem::path& path);

}  // namespace taper

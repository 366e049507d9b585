#include <taper/io/csv.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <taper/core/error.h>
#include <taper/core/value.h>
#include <taper/io/files.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

constexpr size_t largest_file = size_t{1} << 30;
constexpr size_t most_columns = size_t{1} << 16;

/// The text up to `separator`, which is removed from `rest` with it.
std::string_view take_until(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : path_(path), text_(read_file(path, largest_file)) {}

  Table read() {
    std::string_view rest = text_;
    Table table;
    while (!rest.empty()) {
      std::string_view line = take_until(rest, '\n');
      ++line_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      if (table.names.empty()) {
        read_names(line, table.names);
      } else {
        read_row(line, table.names);
      }
    }
    if (table.names.empty()) fail(ErrorKind::io, path_.string() + ": there is no line of names");
    const auto columns = std::ssize(table.names);
    table.values = from_values<double>({std::ssize(values_) / columns, columns}, values_);
    return table;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorKind::io, path_.string() + ": line " + std::to_string(line_) + ": " + what);
  }

  void read_names(std::string_view line, std::vector<std::string>& names) const {
    const auto count = static_cast<size_t>(std::ranges::count(line, ',')) + 1;
    if (count > most_columns) refuse("there are more than 65536 columns");
    for (size_t i = 0; i < count; ++i) names.emplace_back(take_until(line, ','));
  }

  void read_row(std::string_view line, const std::vector<std::string>& names) {
    const auto count = static_cast<size_t>(std::ranges::count(line, ',')) + 1;
    if (count != names.size()) {
      refuse("there are " + std::to_string(count) + " fields for " + std::to_string(names.size()) +
             " columns");
    }
    for (const std::string& name : names) values_.push_back(number(take_until(line, ','), name));
  }

  double number(std::string_view field, const std::string& column) const {
    double value = 0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    const bool whole = error == std::errc() && stop == field.data() + field.size();
    if (whole && std::isfinite(value)) return value;
    constexpr size_t longest = 40;
    refuse("column " + print_quoted(column) + " must hold a finite number, got " +
           print_quoted(field.substr(0, longest)));
  }

  std::filesystem::path path_;
  std::string text_;
  int64_t line_ = 0;
  std::vector<double> values_;
};

}  // namespace

Tensor Table::column(std::string_view name) const {
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) {
    const auto place = found - names.begin();
    return squeeze(slice(values, 1, place, place + 1), 1);
  }
  std::string text = "there is no column `" + std::string(name) + "`; there are:";
  for (const std::string& known : names) text += " " + known;
  fail(ErrorKind::not_found, text);
}

Table read_csv(const std::filesystem::path& path) { return Reader(path).read(); }

}  // namespace taper

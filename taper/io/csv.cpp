#include <taper/io/csv.h>

#include <boost/nowide/utf/utf.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <unordered_set>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/value.h>
#include <taper/io/files.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

constexpr size_t largest_file = size_t{1} << 30;
constexpr size_t most_columns = size_t{1} << 16;

[[noreturn]] void refuse_line(const std::string& name, int64_t line, const std::string& what) {
  fail(ErrorKind::io, name + ": line " + std::to_string(line) + ": " + what);
}

[[noreturn]] void fail_column(const std::string& table, std::string_view name,
                              const std::vector<std::string>& names) {
  std::string text = table + "there is no column `" + std::string(name) + "`; there are:";
  for (const std::string& known : names) text += " " + known;
  fail(ErrorKind::not_found, text);
}

/// The place of the first byte that is no UTF-8; the text's size if there is none.
size_t first_not_utf8(std::string_view text) {
  using Traits = boost::nowide::utf::utf_traits<char>;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    const char* start = at;
    if (static_cast<unsigned char>(*at) < 0x80) {
      ++at;
    } else if (!boost::nowide::utf::is_valid_codepoint(Traits::decode(at, end))) {
      return static_cast<size_t>(start - text.data());
    }
  }
  return text.size();
}

/// What separates the names in the first line: a comma if there is one outside of quotes, else a
/// semicolon or a tab if there is one.
char separator_of(std::string_view text) {
  bool quoted = false;
  char found = ',';
  for (const char c : text.substr(0, text.find('\n'))) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == ',') return c;
    if (found == ',' && (c == ';' || c == '\t')) found = c;
  }
  return found;
}

}  // namespace

/// Goes through the text once.
class TextTable::Reader {
 public:
  explicit Reader(TextTable& table) : table_(table), rest_(table.storage_->text) {
    if (const size_t bad = first_not_utf8(rest_); bad < rest_.size()) {
      refuse_line(table_.name_, 1 + std::ranges::count(rest_.substr(0, bad), '\n'),
                  "the text is not UTF-8; save the table as UTF-8");
    }
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // a byte order mark
    separator_ = separator_of(rest_);
  }

  void read() {
    std::vector<std::string_view> fields;
    while (read_line(fields)) {
      if (fields.size() == 1 && fields[0].empty() && !quoted_) continue;
      if (table_.names_.empty()) {
        take_names(fields);
      } else {
        take_row(fields);
      }
    }
    if (table_.names_.empty()) fail(ErrorKind::io, table_.name_ + ": there is no line of names");
  }

 private:
  /// The fields of the next line; false at the end.
  bool read_line(std::vector<std::string_view>& fields) {
    fields.clear();
    quoted_ = false;
    if (rest_.empty()) return false;
    ++line_;
    first_line_ = line_;
    for (;;) {
      if (fields.size() == most_columns) {
        refuse_line(table_.name_, first_line_, "there are more than 65536 columns");
      }
      fields.push_back(rest_.starts_with('"') ? quoted_field() : plain_field());
      const bool more = rest_.starts_with(separator_);
      if (!rest_.empty()) rest_.remove_prefix(1);
      if (!more) return true;
    }
  }

  std::string_view plain_field() {
    const char ends[] = {separator_, '\n'};
    const size_t end = std::min(rest_.find_first_of({ends, 2}), rest_.size());
    std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (!rest_.starts_with(separator_) && field.ends_with('\r')) field.remove_suffix(1);
    return field;
  }

  /// What stands between quotes; behind them the separator or the line's end must follow.
  std::string_view quoted_field() {
    quoted_ = true;
    rest_.remove_prefix(1);
    std::string* together = nullptr;  // once a quote stood twice
    std::string_view part;
    for (;;) {
      const size_t end = rest_.find('"');
      if (end == rest_.npos) refuse_line(table_.name_, first_line_, "a quote does not end");
      part = rest_.substr(0, end);
      line_ += std::ranges::count(part, '\n');
      rest_.remove_prefix(end + 1);
      if (!rest_.starts_with('"')) break;
      if (together == nullptr) together = &table_.storage_->unquoted.emplace_back();
      *together += std::string(part) + '"';
      rest_.remove_prefix(1);
    }
    if (rest_.starts_with("\r\n") || rest_ == "\r") rest_.remove_prefix(1);
    if (!rest_.empty() && rest_[0] != separator_ && rest_[0] != '\n') {
      refuse_line(table_.name_, line_, "there is text behind a quoted field");
    }
    if (together == nullptr) return part;
    return *together += part;
  }

  void take_names(const std::vector<std::string_view>& fields) {
    std::unordered_set<std::string_view> known;
    for (const std::string_view field : fields) {
      if (!known.insert(field).second) {
        refuse_line(table_.name_, first_line_, "two columns are named " + print_quoted(field));
      }
      table_.names_.emplace_back(field);
    }
  }

  void take_row(const std::vector<std::string_view>& fields) {
    if (fields.size() != table_.names_.size()) {
      refuse_line(table_.name_, first_line_,
                  "there are " + std::to_string(fields.size()) + " fields for " +
                      std::to_string(table_.names_.size()) + " columns");
    }
    table_.cells_.insert(table_.cells_.end(), fields.begin(), fields.end());
    table_.lines_.push_back(first_line_);
  }

  TextTable& table_;
  std::string_view rest_;
  char separator_ = ',';
  bool quoted_ = false;  // whether a field of the line was: then it is no empty line
  int64_t line_ = 0;
  int64_t first_line_ = 0;  // of the row: a quoted field may go on over lines
};

TextTable::TextTable(std::string text, std::string name) : name_(std::move(name)) {
  storage_->text = std::move(text);
  Reader(*this).read();
}

size_t TextTable::find(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) fail_column(name_ + ": ", name, names_);
  return static_cast<size_t>(found - names_.begin());
}

void TextTable::refuse(int64_t row, const std::string& what) const {
  refuse_line(name_, lines_[static_cast<size_t>(row)], what);
}

std::optional<double> parse_number(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (stop != end || text.empty()) return {};
  if (error == std::errc()) return value;
  // Out of range: rounded to 0 or infinity.
  return std::strtod(std::string(text).c_str(), nullptr);
}

double TextTable::number(int64_t row, size_t column) const {
  const std::string_view field = cell(row, column);
  const std::optional<double> value = parse_number(field);
  if (value && std::isfinite(*value)) return *value;
  constexpr size_t longest = 40;
  refuse(row, "column " + print_quoted(names_[column]) + " must hold a finite number, got " +
                  print_quoted(field.substr(0, longest)));
}

TextTable read_text_table(const std::filesystem::path& path) {
  return {read_file(path, largest_file), path.string()};
}

Tensor Table::column(std::string_view name) const {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) fail_column("", name, names);
  const auto place = found - names.begin();
  return squeeze(slice(values, 1, place, place + 1), 1);
}

Table read_csv(const std::filesystem::path& path) {
  const TextTable text = read_text_table(path);
  std::vector<double> values;
  for (int64_t row = 0; row < text.rows(); ++row) {
    for (size_t column = 0; column < text.names().size(); ++column) {
      values.push_back(text.number(row, column));
    }
  }
  return {text.names(), from_values<double>({text.rows(), std::ssize(text.names())}, values)};
}

}  // namespace taper

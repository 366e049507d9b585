// Tables: a CSV file with a line of names, one column of which is to be predicted.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <set>

#include <taper/core/error.h>
#include <taper/data/source.h>
#include <taper/data/standardizer.h>
#include <taper/io/csv.h>
#include <taper/ops/ops.h>

namespace taper::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t most_class_numbers = 20;  // whole numbers of more values are no classes

bool claims(const fs::path& path) {
  std::error_code ignored;
  return (has_ending(path, ".csv") || has_ending(path, ".tsv")) &&
         fs::is_regular_file(path, ignored);
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// The inputs f64[rows, columns] as they stand in the table.
Tensor inputs_of(const TextTable& table, const std::vector<std::string>& columns) {
  std::vector<size_t> places;
  for (const std::string& column : columns) places.push_back(table.find(column));
  std::vector<double> values;
  for (int64_t row = 0; row < table.rows(); ++row) {
    for (const size_t place : places) values.push_back(table.number(row, place));
  }
  return from_values<double>({table.rows(), std::ssize(columns)}, values);
}

/// The whole number that a text is; nothing for another text.
std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return {};
  return number;
}

bool is_number(std::string_view text) { return parse_number(text).has_value(); }

/// Names of classes if the column holds text, or whole numbers of few values; else none. Whole
/// numbers come in their order, as they are written.
/// `task` may say what it is.
std::vector<std::string> classes_of(const TextTable& table, size_t column,
                                    const std::string& task) {
  if (task == "numbers") return {};
  std::set<std::string_view> words;
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (table.cell(row, column).empty()) table.refuse(row, "the target is missing");
    words.insert(table.cell(row, column));
  }
  std::vector<std::string> names(words.begin(), words.end());
  if (!std::ranges::all_of(words, is_number)) return names;
  const bool whole = std::ranges::all_of(words, [](auto word) { return !!whole_number(word); });
  const bool are_classes = whole && names.size() <= most_class_numbers;
  if (!are_classes && task != "classes") return {};
  if (!whole) return names;
  std::ranges::stable_sort(names, std::less(), [](const auto& name) { return whole_number(name); });
  return names;
}

/// i64[rows] class numbers. Throws io naming the line of a class that there is not.
Tensor class_numbers(const TextTable& table, const DataForm& form) {
  const size_t column = table.find(form.target);
  std::vector<int64_t> numbers;
  for (int64_t row = 0; row < table.rows(); ++row) {
    const auto found = std::ranges::find(form.class_names, table.cell(row, column));
    if (found == form.class_names.end()) {
      table.refuse(row, "there is no class " + print_quoted(table.cell(row, column)) +
                            "; there are: " + list(form.class_names));
    }
    numbers.push_back(found - form.class_names.begin());
  }
  return from_values<int64_t>({table.rows()}, numbers);
}

/// f32[rows, 1] standardised numbers.
Tensor target_numbers(const TextTable& table, const DataForm& form) {
  const size_t column = table.find(form.target);
  std::vector<double> values;
  for (int64_t row = 0; row < table.rows(); ++row) {
    values.push_back((table.number(row, column) - form.target_mean) / form.target_deviation);
  }
  return astype(from_values<double>({table.rows(), 1}, values), DType::f32);
}

/// The inputs f32[rows, columns]. Throws io naming the line of a number that is too large for it.
Tensor standardised(const TextTable& table, const DataForm& form) {
  const auto row = [](const std::vector<double>& values) {
    return from_values<double>({1, std::ssize(values)}, values);
  };
  const Tensor inputs = inputs_of(table, form.columns);
  const Tensor result = astype((inputs - row(form.mean)) / row(form.deviation), DType::f32);
  const std::vector<float> values = result.to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    table.refuse(static_cast<int64_t>(i / form.columns.size()),
                 "column " + print_quoted(form.columns[i % form.columns.size()]) +
                     " holds a number that is too large");
  }
  return result;
}

TensorDataset dataset_of(const TextTable& table, const DataForm& form) {
  const Tensor inputs = standardised(table, form);
  const bool has_classes = !form.class_names.empty();
  return TensorDataset(
      {inputs, has_classes ? class_numbers(table, form) : target_numbers(table, form)},
      {.class_names = form.class_names});
}

/// Of one column. Throws value for numbers that are too large.
Standardizer standardizer_of(const TextTable& table, const std::string& column, const Tensor& rows,
                             const fs::path& path) {
  Standardizer made(take(inputs_of(table, {column}), rows, 0));
  check_scale(made, path.string() + ": the numbers of column `" + column + "`");
  return made;
}

/// Names the columns, and measures their means and deviations on the rows of the training part.
DataForm measure(const TextTable& table, const fs::path& path, const SourceOptions& options,
                 const std::vector<int64_t>& rows) {
  if (options.target.empty()) {
    fail(ErrorKind::value, path.string() + ": which column is to be predicted (`target`)? There " +
                               "are: " + list(table.names()));
  }
  DataForm form{.target = options.target};
  const size_t target = table.find(options.target);
  for (const std::string& name : options.drop) {
    table.find(name);
    if (name != options.target) continue;
    fail(ErrorKind::value,
         path.string() + ": the target `" + name + "` cannot be dropped (`drop`), too");
  }
  for (const std::string& name : table.names()) {
    const bool dropped = std::ranges::find(options.drop, name) != options.drop.end();
    if (name != options.target && !dropped) form.columns.push_back(name);
  }
  if (form.columns.empty()) fail(ErrorKind::value, path.string() + ": no column is left as input");
  form.class_names = classes_of(table, target, options.task);
  const Tensor chosen = from_values<int64_t>({std::ssize(rows)}, rows);
  for (const std::string& column : form.columns) {
    const Standardizer inputs = standardizer_of(table, column, chosen, path);
    form.mean.push_back(inputs.mean().item());
    form.deviation.push_back(inputs.deviation().item());
  }
  if (!form.class_names.empty()) return form;
  const Standardizer numbers = standardizer_of(table, form.target, chosen, path);
  form.target_mean = numbers.mean().item();
  form.target_deviation = numbers.deviation().item();
  return form;
}

Examples load(const fs::path& path, const SourceOptions& options) {
  const TextTable table = read_text_table(path);
  if (table.rows() < 2) fail(ErrorKind::value, path.string() + ": there are fewer than 2 rows");
  const MixedParts parts = mixed_parts(table.rows(), options.validation);
  DataForm form = measure(table, path, options, parts.train);
  const TensorDataset all = dataset_of(table, form);
  const bool has_classes = !form.class_names.empty();
  Examples examples{
      .train = Subset(all, parts.train), .form = std::move(form), .has_classes = has_classes};
  if (!parts.others.empty()) examples.validation = Subset(all, parts.others);
  examples.was_split = !parts.others.empty();
  return examples;
}

AnyDataset read(const fs::path& path, const DataForm& form) {
  return dataset_of(read_text_table(path), form);
}

const DataSource table_entry{
    "table", "a CSV or TSV file whose first line names the columns", "mlp", &claims, &load, &read};

}  // namespace

Tensor read_rows(const std::string& text, const std::string& name, const DataForm& form) {
  const TextTable table(text, name);
  return standardised(table, form);
}

}  // namespace taper::data

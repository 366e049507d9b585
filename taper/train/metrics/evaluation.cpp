#include <taper/train/metrics/evaluation.h>

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include <taper/core/error.h>

namespace taper {
namespace {

constexpr int64_t most_classes_shown = 20;

/// A class's name on one line of a terminal.
std::string shown(const Evaluation& evaluation, size_t number) {
  std::string name = class_name(evaluation, number);
  std::ranges::replace_if(name, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return name;
}

size_t name_width(const Evaluation& evaluation) {
  size_t width = 4;  // of "mean"
  for (const std::string& name : evaluation.class_names) width = std::max(width, name.size());
  return width;
}

std::string table_line(const std::string& name, size_t width, const ClassScores& scores) {
  return fmt::format("{:<{}}  {:>9.4f}  {:>6.4f}  {:>6.4f}  {:>7}\n", name, width, scores.precision,
                     scores.recall, scores.f1, scores.support);
}

std::string confusion_text(const Evaluation& evaluation) {
  const ConfusionMatrix& matrix = *evaluation.confusion;
  const size_t width = name_width(evaluation);
  const size_t digits = std::to_string(matrix.total()).size();
  std::string text = "confusion: a row for each true class, a column for each predicted one\n";
  for (int64_t i = 0; i < matrix.classes(); ++i) {
    text += fmt::format("{:<{}}", shown(evaluation, static_cast<size_t>(i)), width);
    for (int64_t j = 0; j < matrix.classes(); ++j) {
      text += fmt::format("  {:>{}}", matrix(i, j), digits);
    }
    text += '\n';
  }
  return text;
}

}  // namespace

double Evaluation::operator[](std::string_view name) const {
  if (name == "loss") return loss;
  std::string known = "loss";
  for (const auto& [metric, value] : metrics) {
    if (metric == name) return value;
    known += " " + metric;
  }
  fail(ErrorKind::not_found, "evaluation: no `" + std::string(name) + "`; there are: " + known);
}

std::vector<std::string> names_of_classes(const data::Dataset& dataset, int64_t classes) {
  std::vector<std::string> names = dataset.class_names();
  for (auto i = static_cast<int64_t>(names.size()); i < classes; ++i) {
    names.push_back(std::to_string(i));
  }
  names.resize(static_cast<size_t>(classes));
  return names;
}

std::string class_name(const Evaluation& evaluation, size_t number) {
  const std::vector<std::string>& names = evaluation.class_names;
  return number < names.size() ? names[number] : std::to_string(number);
}

std::string class_table(const Evaluation& evaluation) {
  if (!evaluation.confusion) return {};
  const size_t width = name_width(evaluation);
  std::string text = fmt::format("{:<{}}  precision  recall      f1  support\n", "", width);
  const std::vector<ClassScores> scores = evaluation.confusion->scores();
  for (size_t i = 0; i < scores.size(); ++i) {
    text += table_line(shown(evaluation, i), width, scores[i]);
  }
  return text + table_line("mean", width, evaluation.confusion->macro_average());
}

std::string to_string(const Evaluation& evaluation) {
  std::string text = fmt::format("loss {:.4f}", evaluation.loss);
  for (const auto& [name, value] : evaluation.metrics) {
    text += fmt::format("  {} {:.4f}", name, value);
  }
  text += fmt::format("  ({} examples)\n", evaluation.examples);
  if (evaluation.confusion) {
    text += class_table(evaluation);
    if (evaluation.confusion->classes() <= most_classes_shown) text += confusion_text(evaluation);
  }
  text.pop_back();
  return text;
}

std::ostream& operator<<(std::ostream& out, const Evaluation& evaluation) {
  return out << to_string(evaluation);
}

}  // namespace taper

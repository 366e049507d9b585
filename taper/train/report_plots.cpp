#include <taper/train/report_plots.h>

#include <fmt/format.h>

#include <algorithm>

#include <taper/train/gnuplot.h>
#include <taper/train/report_html.h>

namespace taper {
namespace {

constexpr size_t most_letters = 18;  // of a class's name beside the matrix
constexpr const char* blue = "#1b6ca8";
constexpr const char* orange = "#d95f02";

/// Marks at whole numbers, at most about ten.
std::string whole_tics(size_t epochs) {
  return fmt::format("set xtics {}\n", std::max<size_t>(1, (epochs + 9) / 10));
}

/// `$name << EOD` with a line `x y` for each pair.
std::string data_block(const std::string& name, const std::vector<double>& x,
                       const std::vector<double>& y) {
  std::string text = "$" + name + " << EOD\n";
  for (size_t i = 0; i < x.size(); ++i) text += fmt::format("{} {}\n", x[i], y[i]);
  return text + "EOD\n";
}

/// gnuplot takes a `%` in the words of an axis for a format.
std::string without_formats(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '%' ? "%%" : std::string(1, c);
  return safe;
}

std::string line(const std::string& block, const char* colour, const char* title) {
  return fmt::format("${} with linespoints lw 2 pt 7 ps 0.4 lc rgb '{}' title '{}'", block, colour,
                     title);
}

}  // namespace

size_t best_epoch(const History& history) {
  const std::string validated = std::string(validation_prefix) + "loss";
  const auto& losses = history[history.has(validated) ? validated : "loss"];
  return static_cast<size_t>(std::ranges::min_element(losses) - losses.begin());
}

Plot plot_curves(const History& history, const RunOrigin& run) {
  std::vector<double> epochs;
  for (size_t epoch = 0; epoch < history.epochs(); ++epoch) {
    epochs.push_back(static_cast<double>(epoch + 1));
  }
  const auto names = history.names();
  std::string blocks;
  std::string plots;
  int panels = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    blocks += data_block("history" + std::to_string(i), epochs, history[names[i]]);
  }
  blocks += data_block("first", run.first_epoch_at, run.first_epoch_loss);
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    if (name == "epoch_seconds" || name.starts_with(validation_prefix)) continue;
    const auto validated = std::ranges::find(names, std::string(validation_prefix) + name);
    const size_t other = static_cast<size_t>(validated - names.begin());
    std::string curves = line("history" + std::to_string(i), blue, "training");
    if (validated != names.end()) {
      curves += ", " + line("history" + std::to_string(other), orange, "validation");
    }
    if (name == "loss" && !run.first_epoch_at.empty()) {
      curves += ", $first with lines lc rgb '#8fb8d8' title 'within the first epoch'";
    }
    plots += fmt::format("set title {}\nplot {}\n", gnuplot_string(name), curves);
    ++panels;
  }
  const std::string best = fmt::format(
      "set arrow from first {0}, graph 0 to first {0}, graph 1 nohead dt 3 lc rgb '#666666'\n",
      best_epoch(history) + 1);
  const int columns = std::min(2, panels);
  const int rows = (panels + columns - 1) / columns;
  return {blocks +
              fmt::format("set multiplot layout {},{}\nset grid lc '#dddddd'\nset xlabel 'epoch'\n"
                          "set key below\nset xrange [{}:{}]\n",
                          rows, columns, run.first_epoch_at.empty() ? 0.5 : 0,
                          static_cast<double>(history.epochs()) + 0.5) +
              whole_tics(history.epochs()) + best + plots + "unset multiplot",
          440 * columns, 330 * rows};
}

Plot plot_confusion(const Evaluation& evaluation) {
  const ConfusionMatrix& matrix = *evaluation.confusion;
  std::string tics;
  std::string cells = "$matrix << EOD\n";
  int64_t largest = 1;
  for (int64_t i = 0; i < matrix.classes(); ++i) {
    const std::string name =
        shortened(class_name(evaluation, static_cast<size_t>(i)), most_letters);
    tics += (i > 0 ? ", " : "") + gnuplot_string(without_formats(name)) + fmt::format(" {}", i);
    for (int64_t j = 0; j < matrix.classes(); ++j) {
      largest = std::max(largest, matrix(i, j));
      cells += fmt::format("{} {} {}\n", j, i, matrix(i, j));
    }
  }
  const int side = 220 + 52 * static_cast<int>(matrix.classes());
  // Figures are white where the cell is dark.
  const auto labels = [&](const char* rule, const char* colour) {
    return fmt::format(
        "$matrix using 1:2:($3 {} {} ? sprintf('%d', $3) : '') with labels font ',10' tc rgb '{}'",
        rule, static_cast<double>(largest) / 2, colour);
  };
  return {cells + "EOD\nset xtics (" + tics + ") rotate by 40 right\nset ytics (" + tics +
              ")\nset yrange [] reverse\nset xlabel 'predicted'\nset ylabel 'true'\n"
              "set palette defined (0 'white', 1 '" +
              blue +
              "')\nunset colorbox\nset size square\nset tics scale 0\nunset key\n"
              "plot $matrix with image pixels, " +
              labels("<=", "black") + ", " + labels(">", "white"),
          side, side};
}

Plot plot_calibration(const std::vector<CalibrationBin>& bins) {
  std::vector<double> confidence;
  std::vector<double> accuracy;
  for (const CalibrationBin& bin : bins) {
    if (bin.examples == 0) continue;
    confidence.push_back(bin.confidence);
    accuracy.push_back(bin.accuracy);
  }
  return {data_block("bins", confidence, accuracy) +
              "set xrange [0:1]\nset yrange [0:1]\nset size square\nset grid lc '#dddddd'\n"
              "set xlabel 'confidence'\nset ylabel 'accuracy'\nunset key\n"
              "plot x lc rgb '#999999' dt 2, $bins with linespoints lw 2 pt 7 lc rgb '" +
              blue + "'",
          380, 360};
}

Plot plot_regression(const RegressionFacts& facts) {
  std::vector<double> residuals;
  for (size_t i = 0; i < facts.truth.size(); ++i) {
    residuals.push_back(facts.predicted[i] - facts.truth[i]);
  }
  const std::string points = fmt::format("with points pt 7 ps 0.3 lc rgb '{}'", blue);
  return {data_block("found", facts.truth, facts.predicted) +
              data_block("left", facts.predicted, residuals) +
              "set multiplot layout 1,2\nset grid lc '#dddddd'\nunset key\n"
              "set xlabel 'true'\nset ylabel 'predicted'\nplot x lc rgb '#999999' dt 2, $found " +
              points +
              "\nset xlabel 'predicted'\nset ylabel 'predicted less true'\n"
              "plot 0 lc rgb '#999999' dt 2, $left " +
              points + "\nunset multiplot",
          880, 360};
}

}  // namespace taper

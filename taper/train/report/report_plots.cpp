#include <taper/train/report/report_plots.h>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include <taper/train/report/gnuplot.h>
#include <taper/train/report/report.h>
#include <taper/train/report/report_html.h>

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

std::string curve_file(std::string_view recorded) {
  std::string name(recorded);  // a metric's may hold what one of a file may not
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-'; }, '_');
  return "figures/curve-" + name + ".svg";
}

size_t best_epoch(const History& history) {
  const std::string validated = std::string(validation_prefix) + "loss";
  const auto& losses = history[history.has(validated) ? validated : "loss"];
  return static_cast<size_t>(std::ranges::min_element(losses) - losses.begin());
}

std::vector<Plot> plot_curves(const History& history, const RunOrigin& run) {
  std::vector<double> epochs;
  for (size_t epoch = 0; epoch < history.epochs(); ++epoch) {
    epochs.push_back(static_cast<double>(epoch + 1));
  }
  const std::string head =
      fmt::format(
          "set grid lc '#dddddd'\nset xlabel 'epoch'\nset key outside top center "
          "horizontal\nset format y '%g'\n"
          "set xrange [{}:{}]\nset arrow from first {}, graph 0 to first {}, graph 1 nohead "
          "dt 3 lc rgb '#666666'\n",
          run.first_epoch_at.empty() ? 0.5 : 0, static_cast<double>(history.epochs()) + 0.5,
          best_epoch(history) + 1, best_epoch(history) + 1) +
      whole_tics(history.epochs());
  std::vector<Plot> plots;
  for (const std::string& name : history.names()) {
    if (name == "epoch_seconds" || name.starts_with(validation_prefix)) continue;
    std::string blocks = data_block("trained", epochs, history[name]);
    std::string curves = line("trained", blue, "training");
    const std::string validated = std::string(validation_prefix) + name;
    if (history.has(validated)) {
      blocks += data_block("validated", epochs, history[validated]);
      curves += ", " + line("validated", orange, "validation");
    }
    if (name == "loss" && !run.first_epoch_at.empty()) {
      blocks += data_block("first", run.first_epoch_at, run.first_epoch_loss);
      curves += ", $first with lines lc rgb '#8fb8d8' title 'within the first epoch'";
    }
    plots.push_back({curve_file(name),
                     blocks + head + (name == "learning_rate" ? "set yrange [0:]\n" : "") +
                         fmt::format("set title {}\nplot {}", gnuplot_string(name), curves),
                     440, 330});
  }
  return plots;
}

Plot plot_confusion(const Evaluation& evaluation) {
  const ConfusionMatrix& matrix = *evaluation.confusion;
  constexpr int cell = 52;        // in pixels
  constexpr double letter = 7.5;  // of the names
  size_t letters = 1;
  std::string tics;
  std::string cells = "$matrix << EOD\n";
  int64_t largest = 1;
  for (int64_t i = 0; i < matrix.classes(); ++i) {
    const std::string name =
        shortened(class_name(evaluation, static_cast<size_t>(i)), most_letters);
    letters = std::max(letters, name.size());
    tics += (i > 0 ? ", " : "") + gnuplot_string(without_formats(name)) + fmt::format(" {}", i);
    for (int64_t j = 0; j < matrix.classes(); ++j) {
      largest = std::max(largest, matrix(i, j));
      cells += fmt::format("{} {} {}\n", j, i, matrix(i, j));
    }
  }
  const double side = cell * static_cast<double>(matrix.classes());
  const double left = 45 + letter * static_cast<double>(letters);
  const double bottom = 50 + 0.7 * letter * static_cast<double>(letters);
  const double width = left + side + 15;
  const double height = 10 + side + bottom;
  // Figures are white where the cell is dark.
  const auto labels = [&](const char* rule, const char* colour) {
    return fmt::format(
        "$matrix using 1:2:($3 {} {} ? sprintf('%d', $3) : '') with labels font ',10' tc rgb '{}'",
        rule, static_cast<double>(largest) / 2, colour);
  };
  return {
      "figures/confusion.svg",
      fmt::format("set lmargin at screen {}\nset rmargin at screen {}\n"
                  "set bmargin at screen {}\nset tmargin at screen {}\n",
                  left / width, (left + side) / width, bottom / height, (bottom + side) / height) +
          cells + "EOD\nset xtics (" + tics + ") rotate by 40 right\nset ytics (" + tics +
          ")\nset yrange [] reverse\nset xlabel 'predicted'\nset ylabel 'true'\n"
          "set palette defined (0 'white', 1 '" +
          blue +
          "')\nunset colorbox\nset tics scale 0\nunset key\n"
          "plot $matrix with image pixels, " +
          labels("<=", "black") + ", " + labels(">", "white"),
      static_cast<int>(width), static_cast<int>(height)};
}

Plot plot_calibration(const std::vector<CalibrationBin>& bins) {
  std::vector<double> confidence;
  std::vector<double> accuracy;
  for (const CalibrationBin& bin : bins) {
    if (bin.examples == 0) continue;
    confidence.push_back(bin.confidence);
    accuracy.push_back(bin.accuracy);
  }
  return {"figures/calibration.svg",
          data_block("bins", confidence, accuracy) +
              "set xrange [0:1]\nset yrange [0:1]\nset size square\nset grid lc '#dddddd'\n"
              "set xlabel 'confidence'\nset ylabel 'accuracy'\nunset key\n"
              "plot x lc rgb '#999999' dt 2, $bins with linespoints lw 2 pt 7 lc rgb '" +
              blue + "'",
          380, 360};
}

std::vector<Plot> plot_regression(const RegressionFacts& facts) {
  std::vector<double> residuals;
  for (size_t i = 0; i < facts.truth.size(); ++i) {
    residuals.push_back(facts.predicted[i] - facts.truth[i]);
  }
  const auto cloud = [](const char* file, const std::vector<double>& x,
                        const std::vector<double>& y, const char* words) {
    return Plot{file,
                data_block("points", x, y) + "set grid lc '#dddddd'\nunset key\n" + words +
                    fmt::format(" lc rgb '#999999' dt 2, $points with points pt 7 ps 0.3 lc rgb "
                                "'{}'",
                                blue),
                440, 360};
  };
  return {cloud("figures/predictions.svg", facts.truth, facts.predicted,
                "set xlabel 'true'\nset ylabel 'predicted'\nplot x"),
          cloud("figures/residuals.svg", facts.predicted, residuals,
                "set xlabel 'predicted'\nset ylabel 'predicted less true'\nplot 0")};
}

}  // namespace taper

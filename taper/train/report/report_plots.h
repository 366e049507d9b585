// Private to the report: what gnuplot draws in it.
#pragma once

#include <string>
#include <vector>

#include <taper/train/report/report_data.h>

namespace taper {

struct Plot {
  std::string file;
  std::string script;
  int width = 0;  // in pixels
  int height = 0;
};

/// The number of the best epoch: of the least validation loss, without validation of the least
/// loss.
size_t best_epoch(const History& history);

/// One for each number of the history, its validation beside it, and the best epoch.
std::vector<Plot> plot_curves(const History& history, const RunOrigin& run);
Plot plot_confusion(const Evaluation& evaluation);
Plot plot_calibration(const std::vector<CalibrationBin>& bins);
/// Predicted against true values, and what is left between them.
std::vector<Plot> plot_regression(const RegressionFacts& facts);

}  // namespace taper

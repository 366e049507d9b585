// The report that a training leaves for people.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <taper/data/dataset.h>
#include <taper/train/runs/run.h>
#include <taper/train/runs/run_folder.h>

namespace taper {

/// What a report tells of.
struct ReportInput {
  nn::AnyModule model;
  ModelInfo info;
  History history;
  RunReport run;
  Evaluation test;        ///< on `data`
  data::AnyDataset data;  ///< {input, target}: the test part
};

/// The files that `write_report` may write besides curves.
inline constexpr std::array<std::string_view, 9> report_files{report_page,
                                                              "figures/confusion.svg",
                                                              "figures/calibration.svg",
                                                              "figures/predictions.svg",
                                                              "figures/residuals.svg",
                                                              "figures/mistakes.png",
                                                              "figures/filters.png",
                                                              "figures/example.png",
                                                              "figures/feature_maps.png"};

/// The file of the curve of a number that the history records: "figures/curve-val_loss.svg".
TAPER_API std::string curve_file(std::string_view recorded);

/// What became of a report.
struct WrittenReport {
  std::vector<std::string> files;  ///< of `report_files` and curves, those that were written
  std::string remark = {};         ///< what is missing for want of gnuplot; empty if nothing is
};

/// Writes `report.html`, one file that needs no other, and its pictures as files in `figures/`:
/// curves of the losses and metrics, the confusion matrix, calibration, the worst mistakes (of a
/// regression predicted against true values), the first layer's filters, feature maps of one
/// example, and tables of layers, classes and how the run was made.
/// What the model or the data do not have is left out.
///
/// gnuplot draws the curves, the matrix and the calibration. Without it the report keeps its
/// tables. `earlier`, the files of an earlier report, are removed first. Throws io.
TAPER_API WrittenReport write_report(const std::filesystem::path& folder, const ReportInput& input,
                                     const std::vector<std::string>& earlier = {});

}  // namespace taper

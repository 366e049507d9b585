// The report that a training leaves for people.
#pragma once

#include <filesystem>
#include <string>

#include <taper/data/dataset.h>
#include <taper/train/run.h>

namespace taper {

/// What a report tells of.
struct ReportInput {
  nn::AnyModule model;
  ModelInfo info;
  History history;
  RunReport run;
  Evaluation test;           ///< on `data`
  data::AnyDataset data;     ///< {input, target}: the test part
  std::string command = {};  ///< how the run was made; may be empty
};

/// Writes `report.html`, one file that needs no other, and its pictures as files in `figures/`:
/// curves of the losses and metrics, the confusion matrix, calibration, the worst mistakes, the
/// first layer's filters, feature maps of one example, and tables of layers, classes and facts.
/// What the model or the data do not have is left out.
///
/// gnuplot draws the curves, the matrix and the calibration. Without it the report keeps its
/// tables; the text that is returned says so, and is empty otherwise. Throws io.
TAPER_API std::string write_report(const std::filesystem::path& folder, const ReportInput& input);

}  // namespace taper

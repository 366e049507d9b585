// A run's model beside the data that it is tested on.
#pragma once

#include <filesystem>
#include <string>

#include <taper/data/source.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/runs/run.h>

namespace taper::cli {

struct TestedRun {
  SavedModel saved;
  data::AnyDataset data;
  std::string data_name;
  Trainer trainer;
};

/// Where the data of a run are now, if not where they were: empty for what has not moved.
struct DataPlace {
  std::string data = {};    // the path of one's own data
  std::string folder = {};  // of a named dataset's files
};

/// Rebuilds the model and loads `new_data`, data of the kind that it was trained on, or without it
/// what the run was measured on. Throws what is wrong with either, and value or shape if they do
/// not fit together.
TestedRun load_tested_run(const std::filesystem::path& folder, const std::string& new_data,
                          const DataPlace& place);

}  // namespace taper::cli

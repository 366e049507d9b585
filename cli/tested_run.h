// A run's model beside the data that it is tested on.
#pragma once

#include <filesystem>
#include <string>

#include <taper/data/source.h>
#include <taper/train/run.h>
#include <taper/train/trainer.h>

namespace taper::cli {

struct TestedRun {
  SavedModel saved;
  data::AnyDataset data;
  std::string data_name;
  Trainer trainer;
};

/// Rebuilds the model and loads `data`, new data of the kind that it was trained on, or without it
/// what the run was measured on; `data_folder` is where the files of a named dataset are. Throws
/// what is wrong with either, and value or shape if they do not fit together.
TestedRun load_tested_run(const std::filesystem::path& folder, const std::string& data,
                          const std::string& data_folder);

}  // namespace taper::cli

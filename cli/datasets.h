// The datasets that the commands know by name.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <taper/data/vision.h>

namespace taper::cli {

struct NamedDataset {
  std::string_view name;
  data::TrainTest (*load)(const std::filesystem::path& folder);
  double input_scale;  // what the stored numbers are multiplied by
};

/// Throws not_found naming the datasets that there are.
const NamedDataset& find_dataset(std::string_view name);

/// "fashion-mnist, mnist"
std::string dataset_names();

}  // namespace taper::cli

#include "datasets.h"

#include <vector>

#include <taper/core/registry.h>

namespace taper::cli {
namespace {

constexpr NamedDataset datasets[] = {{"fashion-mnist", &data::fashion_mnist, 1 / 255.0},
                                     {"mnist", &data::mnist, 1 / 255.0}};

}  // namespace

const NamedDataset& find_dataset(std::string_view name) {
  std::vector<std::string_view> names;
  for (const NamedDataset& dataset : datasets) {
    if (dataset.name == name) return dataset;
    names.push_back(dataset.name);
  }
  detail::fail_unknown("dataset", name, names);
}

std::string dataset_names() {
  std::string text;
  for (const NamedDataset& dataset : datasets) {
    text += (text.empty() ? "" : ", ") + std::string(dataset.name);
  }
  return text;
}

}  // namespace taper::cli

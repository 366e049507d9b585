#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/data/dataset.h>
#include <taper/train/metrics/confusion.h>
#include <taper/train/metrics/history.h>
#include <taper/train/metrics/outputs.h>

namespace taper {

/// What a model does on a dataset.
struct TAPER_API Evaluation {
  double loss = 0;            ///< the mean over the examples
  NamedNumbers metrics = {};  ///< those that the trainer was asked for
  int64_t examples = 0;
  std::optional<ConfusionMatrix> confusion = {};  ///< if there are classes
  std::vector<std::string> class_names = {};      ///< their names, or "0", "1", ...
  OutputMeaning outputs = {};                     ///< what the model's outputs were taken for

  /// `loss` or a metric. Throws not_found naming what there is.
  double operator[](std::string_view name) const;
};

/// The names that the dataset has for this many classes; numbers for those that it has none for.
TAPER_API std::vector<std::string> names_of_classes(const data::Dataset& dataset, int64_t classes);

/// The name of a class, or its number if there is none.
TAPER_API std::string class_name(const Evaluation& evaluation, size_t number);

/// A line for each class with precision, recall, F1 and support, and their means.
TAPER_API std::string class_table(const Evaluation& evaluation);

/// Loss and metrics, and where there are classes their table and, up to 20 of them, the confusion
/// matrix.
TAPER_API std::string to_string(const Evaluation& evaluation);
TAPER_API std::ostream& operator<<(std::ostream& out, const Evaluation& evaluation);

}  // namespace taper

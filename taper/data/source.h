// Where examples come from: a dataset that the library knows by name, or files of one's own.
//
//   DataSource::of("fashion-mnist"), DataSource::of("photos/"), DataSource::of("houses.csv")
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/registry.h>
#include <taper/core/value.h>
#include <taper/data/dataset.h>

namespace taper::data {

/// How stored things become inputs and targets: kept with a model, so that new ones of the kind can
/// be read as those that it was trained on.
struct DataForm {
  std::string source = {};                ///< the registered name
  std::vector<std::string> columns = {};  ///< of a table: the inputs
  std::vector<double> mean = {};          ///< of each column
  std::vector<double> deviation = {};     ///< of each column, 1 where it would be 0
  std::string target = {};                ///< the column of the targets
  double target_mean = 0;                 ///< numbers are standardised, too
  double target_deviation = 1;
  std::vector<std::string> class_names = {};  ///< empty for numbers
  std::vector<int64_t> picture = {};          ///< [C,H,W] of pictures
};

struct SourceOptions {
  std::filesystem::path folder = {};   ///< where the files of a named dataset are
  std::string target = {};             ///< the column of a table that is to be predicted
  std::vector<std::string> drop = {};  ///< columns of a table that are left out
  std::string task = {};     ///< of a table: "classes", "numbers"; empty: by the target's values
  double validation = 0;     ///< the part set aside, of a table before it is standardised
  int64_t picture_size = 0;  ///< height and width of pictures; 0: theirs if they are small, else 64
};

/// What a source gives. Examples are {input, target}.
struct Examples {
  AnyDataset train;
  std::optional<AnyDataset> validation = {};  ///< if the source has one, or made one
  std::optional<AnyDataset> test = {};
  DataForm form = {};
  bool was_split = false;   ///< `validation` is a part of what would be trained on
  bool has_classes = true;  ///< targets are i64[] class numbers; else f32[1]
};

/// A kind of data. A named dataset is one of its own.
class TAPER_API DataSource : public Registered<DataSource> {
 public:
  /// Whether a path is of this kind; null for a named dataset.
  using Claims = bool (*)(const std::filesystem::path& path);
  /// All parts, for a training.
  using Load = Examples (*)(const std::filesystem::path& path, const SourceOptions& options);
  /// Examples of a given form, for a test. Null for a named dataset: its test part is one.
  using Read = AnyDataset (*)(const std::filesystem::path& path, const DataForm& form);

  /// `model` is what the data are usually trained with.
  DataSource(std::string_view entry, std::string_view about, std::string_view model, Claims claimer,
             Load loader, Read reader)
      : Registered<DataSource>(entry, about),
        usual_model(model),
        claims_(claimer),
        load_(loader),
        read_(reader) {}

  const std::string_view usual_model;

  bool is_named() const { return claims_ == nullptr; }
  /// Throws io, value and what else is wrong with the data, naming file and place.
  Examples load(const std::filesystem::path& path, const SourceOptions& options) const;
  /// Throws unsupported for a named dataset and for data of another kind.
  AnyDataset read(const std::filesystem::path& path, const DataForm& form) const;

  /// The source for what a user names. Throws not_found naming what there is.
  static const DataSource& of(const std::string& data);
  static const DataSource& get(std::string_view name);
  static std::vector<const DataSource*> all();

 private:
  Claims claims_;
  Load load_;
  Read read_;
};

/// The numbers of examples in an order that depends on their number only, since files and tables
/// are often sorted: a part to train on, and the others.
struct MixedParts {
  std::vector<int64_t> train;
  std::vector<int64_t> others;  ///< the part `validation`; at least one example is trained on
};
TAPER_API MixedParts mixed_parts(int64_t count, double validation);

/// The rows of a table as inputs f32[columns], standardised: for predictions, the target may be
/// missing. Throws io and not_found naming line and column.
TAPER_API Tensor read_rows(const std::string& text, const std::string& name, const DataForm& form);

/// The inputs in an .npz file, f32[N,...], as a model takes them: `x_test`, `x` or `x_train`.
/// Throws io, shape, dtype and value naming the file and array.
TAPER_API Tensor read_array(const std::filesystem::path& path, const DataForm& form);

/// Whether a file's name ends so, in capitals or not: ".csv".
TAPER_API bool has_ending(const std::filesystem::path& path, const std::string& ending);

/// The paths, and in the place of each folder the pictures in it and below, by name: PNG and JPEG
/// files, and those of other kinds, which cannot be read. Throws value for a folder without any.
TAPER_API std::vector<std::string> picture_files(const std::vector<std::string>& paths);

/// A picture as the input of a model: its channels, its size. `picture` is u8[C,H,W].
TAPER_API Tensor fit_picture(const Tensor& picture, const std::vector<int64_t>& shape);

}  // namespace taper::data

// A training that leaves a run folder: what `trainer.fit(data, {.run = "runs/mine"})` and
// `taper train` do.
#pragma once

#include <optional>
#include <string>

#include <taper/train/fit/trainer.h>
#include <taper/train/runs/run_folder.h>

namespace taper {

/// What became of a training in a run folder.
struct RunResult {
  History history;
  /// Of the test data, else of the validation data, else of the training data; nothing if the fit
  /// was interrupted or the run was complete before.
  std::optional<Evaluation> evaluation = {};
  std::string part = {};    ///< of which data: "test", "validation" or "training"
  std::string remark = {};  ///< what is missing of the report; empty if nothing is
};

/// Tells the data of a run from other: the digest of the training data, or of all its parts and of
/// how they became inputs (names of columns, say), as far as there are such.
TAPER_API std::string run_digest(const data::Dataset& train,
                                 const std::optional<data::AnyDataset>& validation,
                                 const std::optional<data::AnyDataset>& test,
                                 const data::DataForm& form = {});

/// What a run is measured on at its end.
struct MeasuredPart {
  std::string name;  ///< "test", "validation" or "training"
  data::AnyDataset data;
};

/// The test data, else the validation data, else the part that `validation_split` sets aside of
/// the training data, else these.
TAPER_API MeasuredPart measured_part(const data::AnyDataset& train,
                                     const std::optional<data::AnyDataset>& validation,
                                     const std::optional<data::AnyDataset>& test,
                                     double validation_split);

/// How many examples are trained on, validated on after each epoch and tested on at the end.
struct ExampleCounts {
  int64_t training = 0;
  int64_t validation = 0;
  int64_t test = 0;
};
TAPER_API ExampleCounts count_examples(const data::AnyDataset& train,
                                       const std::optional<data::AnyDataset>& validation,
                                       const std::optional<data::AnyDataset>& test,
                                       double validation_split);

/// True if the run of the folder has had these epochs and all its files are whole. Throws value if
/// it cannot have them: the data are other ones (`data_digest`, see `run_digest`), it has had more
/// epochs, or there is no checkpoint to go on from.
TAPER_API bool is_complete(const RunFolder& folder, int64_t epochs, const std::string& data_digest);

/// Trains as `Trainer::fit` does with `options`, whose `run` names the folder no more, saves
/// checkpoints and TensorBoard's files in the folder, and at the end the model, the numbers and the
/// report. Goes on where the run of the folder stands, if it was taken to go on with. Of
/// `options.checkpoint` all but the folder counts.
///
/// Of a run that is complete the trainer gets the model (and from its last checkpoint the
/// optimizer) back, and nothing is written. A report that cannot be written does not make the
/// training fail. Throws what `fit` throws.
TAPER_API RunResult fit_into(RunFolder& folder, Trainer& trainer, const data::AnyDataset& dataset,
                             FitOptions options);

}  // namespace taper

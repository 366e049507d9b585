// A training that leaves a run folder: what `trainer.fit(data, {.run = "runs/mine"})` and
// `taper train` do.
#pragma once

#include <optional>
#include <string>

#include <taper/train/run_folder.h>
#include <taper/train/trainer.h>

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

/// True if the run of the folder has had these epochs and all its files are there. Throws value if
/// it cannot have them: the training data are other ones (`data_digest`, see `Dataset::digest`),
/// it has had more epochs, or there is no checkpoint to go on from.
TAPER_API bool is_complete(const RunFolder& folder, int64_t epochs, const std::string& data_digest);

/// Trains as `Trainer::fit` does with `options`, whose `run` names the folder no more, saves
/// checkpoints and TensorBoard's files in the folder, and at the end the model, the numbers and the
/// report. Goes on where the run of the folder stands, if it was taken to go on with. Of
/// `options.checkpoint` all but the folder counts.
///
/// A report that cannot be written does not make the training fail. Throws what `fit` throws.
TAPER_API RunResult fit_into(RunFolder& folder, Trainer& trainer, const data::AnyDataset& dataset,
                             FitOptions options);

}  // namespace taper

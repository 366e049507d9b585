// How `taper train` makes a run, besides how long: the manifest of a run keeps it, `--config` reads
// it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <taper/data/source.h>
#include <taper/nn/any_module.h>
#include <taper/optim/optimizer.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/runs/run.h>

#include "commands.h"

namespace taper::cli {

/// What is trained, on what, by what.
struct Subject {
  std::string data_dir = {};           // where the files of a named dataset are
  std::string data = {};               // a name, or the absolute path of one's own
  std::string target = {};             // the column of a table
  std::string task = {};               // "classes", "numbers"; empty: by the target
  std::vector<std::string> drop = {};  // columns of a table
  int64_t picture_size = 0;            // 0: by the pictures
  std::string model = {};              // empty, and so below: by the data
  std::string loss = {};
  std::vector<std::string> metrics = {};
  std::string optimizer = "Adam";
  std::optional<double> lr = {};  // empty: the optimizer's own
  int64_t batch_size = 64;
  int64_t seed = 0;
  double validation = 0;
};

/// How the training goes.
struct Course {
  std::string schedule = "fall";
  int64_t warmup = 0;      // epochs
  int64_t accumulate = 1;  // batches for one update
  double clip = 0;         // the gradients' norm; 0: not
  int64_t early_stop = 0;  // epochs of patience; 0: never
  bool best = false;       // the best epoch's weights at the end
  double time_limit = 0;   // seconds; 0: none
  std::string class_weights = "none";
  std::vector<std::string> augment = {};   // transforms, as `normal_augment` writes them
  std::vector<std::string> callback = {};  // the same
  bool csv = false;
  bool detect_anomaly = false;
  bool compile = false;
};

struct Recipe {
  Subject subject;
  Course course;
  Fields optimizer_options = {};  // besides the rate
};

/// As one list, and back. Throws value naming what is wrong, also for numbers out of range.
Fields to_fields(const Recipe& recipe);
/// Whether these are the entries of a recipe: a run that a program made has others.
bool is_recipe(const Fields& fields);
Recipe recipe_from(const Fields& fields);

/// Options that stand in the optimizer's text, `SGD:momentum=0.9,lr=0.1`, become entries of their
/// own. Throws UsageError for a rate that is given twice.
void separate_options(Fields& entries);

/// What a JSON file says: entries of a recipe (options of optimizers among them) and the others of
/// `taper train`, or what a run's `run.json` holds of them. Throws io or value naming the file.
struct Config {
  Fields entries;  // of a recipe
  std::optional<int64_t> epochs = {};
  std::optional<int> threads = {};
  std::optional<double> checkpoint_seconds = {};
  std::string out = {};
  Value layers = {};  // of a run's model
};
Config read_config(const std::string& path);

/// Defines the options of the command line that are written to `recipe`. Those of the optimizers
/// are made from their registry.
void add_recipe_options(CLI::App& command, Recipe& recipe);

/// Names as they are registered, the data's path absolute.
void normalise(Recipe& recipe);

/// Throws UsageError for names that there are not and for options that do not go together.
void check_recipe(const Recipe& recipe);

/// The data of the recipe.
data::Examples load_examples(const Recipe& recipe);
/// Fills in what the data decide. Throws UsageError for options that are for other data.
void complete_recipe(Recipe& recipe, const data::Examples& examples);

/// Short for people: "photos" of "/home/ann/photos".
std::string data_name(const std::string& data);

std::shared_ptr<optim::Optimizer> make_optimizer(const Recipe& recipe);
Trainer make_trainer(const Recipe& recipe, const nn::AnyModule& model,
                     std::shared_ptr<optim::Optimizer> optimizer);

/// The options of a fit into a folder, but for what only the command knows.
FitOptions fit_options(const Recipe& recipe, int64_t epochs, const data::Examples& examples,
                       const std::string& folder);

/// What a loss of standardised numbers is in those of the table, for people; empty if it is in
/// them.
std::string loss_in_own_scale(const ModelInfo& info, double loss);

}  // namespace taper::cli

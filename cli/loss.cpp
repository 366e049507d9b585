#include "loss.h"

#include <fmt/format.h>

#include <optional>

#include "part.h"
#include "recipe.h"

namespace taper::cli {
namespace {

constexpr const char* usual_of_classes = "CrossEntropyLoss";
constexpr const char* usual_of_numbers = "MSELoss";
constexpr const char* usual_metric = "accuracy";

bool compares_numbers(const nn::LossMeaning& loss) {
  return loss.input == OutputScale::values && !loss.class_numbers;
}

/// Why the loss cannot be of these targets; empty if it can.
std::string misfit(const nn::LossMeaning& loss, const data::Examples& examples) {
  const size_t classes = examples.form.class_names.size();
  if (!examples.has_classes) {
    if (!loss.class_numbers) return {};
    const char* way_out = examples.form.columns.empty() ? "" : ", unless --task says classes";
    return fmt::format("compares classes, the targets are numbers{}; {} would fit", way_out,
                       usual_of_numbers);
  }
  std::string what;
  if (compares_numbers(loss)) what = "numbers";
  if (!loss.class_numbers && what.empty() && classes > 2) what = "targets 0 and 1";
  if (what.empty()) return {};
  return fmt::format("compares {}, the targets are {} classes; {} would fit", what, classes,
                     usual_of_classes);
}

}  // namespace

nn::AnyLoss make_loss(const Recipe& recipe) { return loss_flag.make(recipe.subject.loss); }

bool takes_class_numbers(const Recipe& recipe) {
  const std::optional<nn::LossMeaning> meaning = make_loss(recipe).meaning();
  return meaning && meaning->class_numbers;
}

std::string task_for(const Recipe& recipe) {
  if (!recipe.subject.task.empty() || recipe.subject.loss.empty()) return recipe.subject.task;
  const std::optional<nn::LossMeaning> meaning = make_loss(recipe).meaning();
  return meaning && compares_numbers(*meaning) ? "numbers" : "";
}

void complete_loss(Recipe& recipe, const data::Examples& examples) {
  std::string& loss = recipe.subject.loss;
  if (loss.empty()) loss = examples.has_classes ? usual_of_classes : usual_of_numbers;
  const std::optional<nn::LossMeaning> meaning = make_loss(recipe).meaning();
  const std::string why = meaning ? misfit(*meaning, examples) : "";
  if (!why.empty()) throw UsageError("--loss: " + loss + " " + why);
  // What a loss that says nothing of its targets makes of them, nobody knows yet.
  const bool has_classes = examples.has_classes && meaning;
  if (recipe.subject.metrics.empty() && has_classes) recipe.subject.metrics = {usual_metric};
}

}  // namespace taper::cli

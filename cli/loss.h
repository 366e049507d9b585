// The loss of `taper train --loss NAME:option=value,...`, and what follows from it.
#pragma once

#include <string>

#include <taper/data/source.h>
#include <taper/nn/loss.h>

namespace taper::cli {

struct Recipe;

/// The loss, with its options. Throws UsageError.
nn::AnyLoss make_loss(const Recipe& recipe);

/// Whether the loss compares scores of the classes with the number of one.
bool takes_class_numbers(const Recipe& recipe);

/// What a table's target holds: what was asked for, else "numbers" for a loss of numbers; empty
/// where the target decides.
std::string task_for(const Recipe& recipe);

/// The usual loss of these targets if none was asked for, and a metric that goes with it. Throws
/// UsageError for a loss that was asked for and cannot be of these targets.
void complete_loss(Recipe& recipe, const data::Examples& examples);

}  // namespace taper::cli

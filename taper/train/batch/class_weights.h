#pragma once

#include <vector>

#include <taper/data/dataset.h>

namespace taper {

/// Weights for `FitOptions::class_weight` by which each class has the same part in the loss: N / (C
/// * n) of a class with n of N examples, as scikit-learn's "balanced" (C classes that occur; King
/// and Zeng, "Logistic regression in rare events data", 2001), with 1 for a class without an
/// example.
///
/// Reads the second field of every example, a class number; there are as many classes as the
/// dataset names, or as its largest number tells. Throws value for a field that holds none.
TAPER_API std::vector<double> balanced_class_weights(const data::Dataset& dataset);

}  // namespace taper

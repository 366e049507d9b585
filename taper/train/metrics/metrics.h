// The metrics, a file for each family, and the confusion matrix.
#pragma once

#include <taper/train/metrics/confusion.h>
#include <taper/train/metrics/kinds/classes.h>
#include <taper/train/metrics/kinds/probabilities.h>
#include <taper/train/metrics/kinds/regression.h>

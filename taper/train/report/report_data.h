// Private to the report: what it shows of a classifier on its test data.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <taper/train/report/report.h>

namespace taper {

/// One example that was taken for another class.
struct Mistake {
  int64_t example = 0;
  int64_t truth = 0;
  int64_t predicted = 0;
  double probability = 0;  ///< of the predicted class
};

/// The examples whose probability lies in one tenth of [0, 1].
struct CalibrationBin {
  int64_t examples = 0;
  double confidence = 0;  ///< mean probability of the predicted class
  double accuracy = 0;
};

struct ClassifierFacts {
  std::vector<Mistake> mistakes;  ///< the most certain ones first
  std::vector<CalibrationBin> bins;
  /// Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017), eq. 3: the
  /// mean distance of accuracy and confidence over the bins, weighted by their examples.
  double expected_calibration_error = 0;
};

/// Nothing unless the task has classes, one for each example.
std::optional<ClassifierFacts> classifier_facts(const ReportInput& input, size_t most_mistakes);

/// The first examples of a regression with one output, at most `most`.
/// Numbers are in the scale of the data, not standardised.
struct RegressionFacts {
  std::vector<double> truth;
  std::vector<double> predicted;
};
/// Nothing for another task, and for several outputs of an example.
std::optional<RegressionFacts> regression_facts(const ReportInput& input, int64_t most);

/// True if inputs are [C,H,W] with one or three channels.
bool are_images(const ModelInfo& info);

/// An input [C,H,W] as a picture of u8: the numbers as they were stored, before `scale`. Where they
/// were not pixels [0, 1] becomes black to white, and any other range its own.
Tensor to_picture(const Tensor& input, double scale);

/// The weights of the first layer.
struct FirstLayer {
  Tensor tiles = {};      ///< [N,H,W] if they are over images; undefined if not
  std::string note = {};  ///< why there are none, if that is worth a word
};
FirstLayer first_layer(const ReportInput& input, int64_t most);

/// The model's operands for one example, with a batch axis.
std::vector<Tensor> example_inputs(const ReportInput& input, int64_t number);

/// What the first convolution, wherever it is in the model, makes of the first example, as tiles
/// [K,H,W]; undefined if there is none.
Tensor feature_maps(const ReportInput& input, int64_t most);

}  // namespace taper

#include <taper/nn/models.h>

#include <taper/core/error.h>
#include <taper/nn/layers.h>

namespace taper {
namespace {

using namespace nn;

Sequential convnet(const Shape& input, int64_t outputs) {
  const bool fits = input.rank() == 3 && input[1] >= 10 && input[2] >= 10;
  if (!fits) {
    fail(ErrorKind::shape, "convnet takes pictures [C,H,W] of at least 10 by 10 pixels, got " +
                               to_string(input) + "; mlp and linear take anything");
  }
  const auto pooled = [](int64_t size) { return ((size - 2) / 2 - 2) / 2; };
  return {Conv2d(input[0], 32, 3),
          ReLU(),
          MaxPool2d(2),
          Conv2d(32, 64, 3),
          ReLU(),
          MaxPool2d(2),
          Flatten(),
          Linear(64 * pooled(input[1]) * pooled(input[2]), 128),
          ReLU(),
          Dropout(0.5),
          Linear(128, outputs)};
}

/// Of the numbers of a picture, or fewer and smaller layers of a table's.
Sequential mlp(const Shape& input, int64_t outputs) {
  const int64_t size = input.numel();
  if (input.rank() == 1) {
    return {Linear(size, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, outputs)};
  }
  return {Flatten(), Linear(size, 512), ReLU(), Linear(512, 256), ReLU(), Linear(256, outputs)};
}

Sequential linear(const Shape& input, int64_t outputs) {
  return {Flatten(), Linear(input.numel(), outputs)};
}

const LibraryModel convnet_entry{
    "convnet", "Two 3x3 convolutions with pooling, then two dense layers with dropout.", &convnet};
const LibraryModel mlp_entry{"mlp",
                             "Three dense layers: of 512 and 256 over pictures, of 64 over "
                             "tables.",
                             &mlp};
const LibraryModel linear_entry{"linear", "One dense layer.", &linear};
const LibraryModel logistic_entry{"logistic", "Logistic regression: one dense layer.", &linear};

}  // namespace

const LibraryModel& LibraryModel::get(std::string_view name) {
  return Registry<LibraryModel>::get(name, "model");
}

std::vector<const LibraryModel*> LibraryModel::all() { return Registry<LibraryModel>::all(); }

}  // namespace taper

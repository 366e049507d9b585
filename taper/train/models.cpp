#include <taper/train/models.h>

#include <taper/nn/layers.h>

namespace taper {
namespace {

using namespace nn;

Sequential convnet() {
  return {Conv2d(1, 32, 3), ReLU(),       MaxPool2d(2),   Conv2d(32, 64, 3),
          ReLU(),           MaxPool2d(2), Flatten(),      Linear(1600, 128),
          ReLU(),           Dropout(0.5), Linear(128, 10)};
}

Sequential mlp() {
  return {Flatten(), Linear(784, 512), ReLU(), Linear(512, 256), ReLU(), Linear(256, 10)};
}

Sequential logistic() { return {Flatten(), Linear(784, 10)}; }

const LibraryModel convnet_entry{
    "convnet", "Two 3x3 convolutions with pooling, then two dense layers with dropout.", &convnet};
const LibraryModel mlp_entry{"mlp", "Dense layers of 512, 256 and 10.", &mlp};
const LibraryModel logistic_entry{"logistic", "Logistic regression: one dense layer.", &logistic};

}  // namespace

const LibraryModel& LibraryModel::get(std::string_view name) {
  return Registry<LibraryModel>::get(name, "model");
}

std::vector<const LibraryModel*> LibraryModel::all() { return Registry<LibraryModel>::all(); }

}  // namespace taper

// Writes log folders for tensorboard_reader.py: tensorboard_logs FOLDER
//
// A training of two epochs in FOLDER/logs, the second epoch twice: the second time it is resumed
// from the first one's end. What went into the files is printed as JSON.

#include <cstdio>
#include <string>

#include <taper/taper.h>

namespace {

using namespace taper;  // NOLINT: a short program

Value as_list(const Tensor& tensor) { return Value(tensor.to_vector<double>()); }

nn::Sequential small_network() {
  manual_seed(1);
  return nn::Sequential{nn::Conv2d(1, 3, 3), nn::ReLU(), nn::Flatten(), nn::Linear(12, 2)};
}

/// What is written at the end of an epoch.
Logs numbers_of(int64_t epoch, double loss) {
  return {.epoch = epoch,
          .epochs = 2,
          .values = {{"loss", loss},
                     {"accuracy", loss / 4},
                     {"val_loss", loss / 2},
                     {"val_accuracy", loss / 8},
                     {"learning_rate", 0.25},
                     {"epoch_seconds", 0.5}}};
}

void write_training(const std::string& folder) {
  Trainer trainer(small_network(),
                  {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD({.lr = 0.25})});
  const TensorBoardOptions options{.log_dir = folder, .histograms = 1, .images = 1};
  TensorBoard first(options, [] { return 1000.5; });
  first.on_train_begin(trainer);
  first.on_epoch_end(trainer, numbers_of(0, 2));
  const CallbackState state = first.state();
  first.on_epoch_end(trainer, numbers_of(1, 8));
  first.on_train_end(trainer);
  TensorBoard second(options, [] { return 1000.75; });
  second.resume(state);
  second.on_train_begin(trainer);
  second.on_epoch_end(trainer, numbers_of(1, 1));
  second.on_train_end(trainer);
}

void write_by_hand(const std::string& folder) {
  EventWriter writer(folder, 2000);
  writer.histogram("ramp", 5, astype(arange(0, 61, 1), DType::f64), 2001);
  writer.image("grey", 6,
               from_values<uint8_t>({2, 3}, std::vector<uint8_t>{0, 50, 100, 150, 200, 250}), 2002);
  writer.image("red", 6, from_values<uint8_t>({3, 1, 1}, std::vector<uint8_t>{255, 0, 10}), 2003);
  writer.flush();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  try {
    const std::string folder = arguments[1];
    write_training(folder + "/logs");
    write_by_hand(folder + "/by_hand");
    Fields parameters;
    for (const auto& [path, cell] : small_network().named_parameters()) {
      parameters.emplace_back(path, as_list(cell.value()));
    }
    std::printf("%s\n", to_json(Value(std::move(parameters))).c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

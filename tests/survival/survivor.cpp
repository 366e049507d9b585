// A training that can be killed at any step: survivor FOLDER SECONDS [KILL_STEP]. It goes on from
// what it finds in FOLDER/checkpoints, saves every SECONDS (0: after every update), and at the end
// writes FOLDER/model.safetensors.

#include <signal.h>

#include <cstdlib>
#include <iostream>

#include <taper/taper.h>

namespace tp = taper;

namespace {

tp::data::TensorDataset images() {
  constexpr int64_t count = 200;
  tp::Generator generator(3);
  const tp::Tensor x = tp::uniform({count, 1, 8, 8}, 0, 1, tp::DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back(i * 7 % 3);
  return tp::data::TensorDataset({x, tp::from_values<int64_t>({count}, labels)});
}

struct KillAt : tp::Callback {
  explicit KillAt(int64_t at) : step(at) {}
  void on_batch_end(tp::Trainer&, const tp::Logs& logs) override {
    if (logs.total_step == step) raise(SIGKILL);
  }
  int64_t step;
};

void run(const std::filesystem::path& folder, double seconds, int64_t kill_step) {
  tp::manual_seed(1);
  tp::nn::Sequential net{tp::nn::Conv2d(1, 4, 3), tp::nn::BatchNorm2d(4), tp::nn::ReLU(),
                         tp::nn::MaxPool2d(2),    tp::nn::Flatten(),      tp::nn::Dropout(0.5),
                         tp::nn::Linear(36, 3)};
  tp::Trainer trainer(net, {.loss = tp::nn::CrossEntropyLoss(),
                            .optimizer = tp::optim::Adam({.lr = 1e-2}),
                            .metrics = {"accuracy"}});
  trainer.fit(images(),
              {.epochs = 3,
               .batch_size = 20,
               .validation_split = 0.2,
               .verbose = false,
               .callbacks = {std::make_shared<KillAt>(kill_step)},
               .checkpoint = tp::CheckpointOptions{.folder = folder / "checkpoints",
                                                   .seconds = seconds,
                                                   .resume = true,
                                                   .on_warning = [](const std::string& text) {
                                                     std::cerr << "warning: " << text << std::endl;
                                                   }}});
  tp::save(net, folder / "model.safetensors");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  try {
    run(argv[1], std::strtod(argv[2], nullptr), argc > 3 ? std::atoll(argv[3]) : 0);
    return 0;
  } catch (const tp::Error& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}

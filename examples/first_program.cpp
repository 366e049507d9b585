// Trains a small convolutional network on Fashion-MNIST: load, define, fit, evaluate, save.
#include <taper/taper.h>
#include <iostream>

namespace tp = taper;

int main() {
  tp::manual_seed(0);
  auto [train, test] = tp::data::fashion_mnist();

  tp::nn::Sequential net{tp::nn::Conv2d(1, 32, 3), tp::nn::ReLU(), tp::nn::MaxPool2d(2),
                         tp::nn::Flatten(), tp::nn::Linear(5408, 10)};

  tp::Trainer trainer(net, {.loss = tp::nn::CrossEntropyLoss(),
                            .optimizer = tp::optim::Adam({.lr = 1e-3}),
                            .metrics = {"accuracy"}});
  trainer.fit(train, {.epochs = 2, .batch_size = 64, .validation_split = 0.1});

  std::cout << trainer.evaluate(test) << '\n';
  tp::save(net, "model.safetensors");
}

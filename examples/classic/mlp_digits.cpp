// The first network that most people train: two dense layers on small images.

#include <iostream>

#include <taper/taper.h>

#include "arguments.h"
#include "images.h"

namespace tp = taper;

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, 5);
  tp::manual_seed(0);
  auto [train, test] = tp::data::fashion_mnist();
  tp::nn::Sequential net{tp::nn::Flatten(), tp::nn::Linear(784, 128), tp::nn::ReLU(),
                         tp::nn::Dropout(0.2), tp::nn::Linear(128, 10)};
  std::cout << "parameters " << net.num_parameters() << '\n';
  // The loss takes logits: the softmax is in it.
  tp::Trainer trainer(net, {.loss = tp::nn::CrossEntropyLoss(),
                            .optimizer = tp::optim::Adam(),
                            .metrics = {"accuracy"}});
  trainer.fit(first(train, arguments.examples), {.epochs = arguments.epochs, .batch_size = 32});
  std::cout << "test accuracy " << trainer.evaluate(test)["accuracy"] << '\n';
}

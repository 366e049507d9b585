// Convolutions share their weights over the image: better with fewer parameters than dense layers.

#include <iostream>

#include "arguments.h"
#include "images.h"
#include "small_convnet.h"

namespace tp = taper;

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, 10);
  tp::manual_seed(0);
  auto [train, test] = tp::data::fashion_mnist();
  tp::nn::Sequential net = small_convnet();
  std::cout << "parameters " << net.num_parameters() << '\n';
  tp::Trainer trainer(net, {.loss = tp::nn::CrossEntropyLoss(),
                            .optimizer = tp::optim::SGD({.lr = 0.01}),
                            .metrics = {"accuracy"}});
  trainer.fit(first(padded(train), arguments.examples),
              {.epochs = arguments.epochs, .batch_size = 64});
  std::cout << "test accuracy " << trainer.evaluate(padded(test))["accuracy"] << '\n';
}

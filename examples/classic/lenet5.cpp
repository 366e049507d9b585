// LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition"
// (1998): the network that began it, as a module with named layers. It takes 32x32 images, and says
// which layer does not fit when it gets others.

#include <iostream>

#include "arguments.h"
#include "images.h"

namespace tp = taper;

struct LeNet5 : tp::nn::Layer<LeNet5> {
  tp::nn::Conv2d conv1 = child("conv1", tp::nn::Conv2d(1, 6, 5));
  tp::nn::Conv2d conv2 = child("conv2", tp::nn::Conv2d(6, 16, 5));
  tp::nn::Linear fc1 = child("fc1", tp::nn::Linear(400, 120));
  tp::nn::Linear fc2 = child("fc2", tp::nn::Linear(120, 84));
  tp::nn::Linear fc3 = child("fc3", tp::nn::Linear(84, 10));

  tp::Tensor forward(const tp::Tensor& x) const {
    const tp::Pair two = {2, 2};
    tp::Tensor y = tp::max_pool2d(tp::relu(conv1(x)), two);
    y = tp::max_pool2d(tp::relu(conv2(y)), two);
    y = tp::relu(fc1(tp::flatten(y, 1)));
    return fc3(tp::relu(fc2(y)));
  }
};

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, 5);
  tp::manual_seed(0);
  auto [train, test] = tp::data::fashion_mnist();
  const LeNet5 net;
  std::cout << "parameters " << net.num_parameters() << '\n';
  tp::Trainer trainer(net, {.loss = tp::nn::CrossEntropyLoss(),
                            .optimizer = tp::optim::Adam(),
                            .metrics = {"accuracy"}});
  try {
    trainer.fit(train);  // 28x28
  } catch (const tp::Error& error) {
    std::cout << "with 28x28: " << error.what() << '\n';
  }
  trainer.fit(first(padded(train), arguments.examples),
              {.epochs = arguments.epochs, .batch_size = 64});
  std::cout << "test accuracy " << trainer.evaluate(padded(test))["accuracy"] << '\n';
}

// Everything by hand: a module, a layer and a loss of one's own and the loop itself. It ends with
// the bits of the Trainer.

#include <cmath>
#include <iostream>

#include "arguments.h"
#include "images.h"
#include "small_convnet.h"

namespace tp = taper;

/// A dense layer like tp::nn::Linear, with the same initial values.
struct Dense : tp::nn::Layer<Dense> {
  Dense(int64_t in, int64_t out) {
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    weight = parameter("weight", tp::uniform({out, in}, -bound, bound));
    bias = parameter("bias", tp::uniform({out}, -bound, bound));
  }
  tp::Tensor forward(const tp::Tensor& x) const {
    return tp::linear(x, weight.value(), bias.value());
  }
  tp::nn::Parameter weight;
  tp::nn::Parameter bias;
};

struct Net : tp::nn::Layer<Net> {
  tp::nn::Conv2d conv1 = child("conv1", tp::nn::Conv2d(1, 32, 3));
  tp::nn::Conv2d conv2 = child("conv2", tp::nn::Conv2d(32, 64, 3));
  Dense dense = child("dense", Dense(2304, 100));
  Dense head = child("head", Dense(100, 10));

  tp::Tensor forward(const tp::Tensor& x) const {
    const tp::Pair two = {2, 2};
    tp::Tensor y = tp::max_pool2d(tp::relu(conv1(x)), two);
    y = tp::max_pool2d(tp::relu(conv2(y)), two);
    return head(tp::relu(dense(tp::flatten(y, 1))));
  }
};

/// Cross-entropy through its definition's op, under a name of one's own.
tp::Tensor loss_of(const tp::Tensor& logits, const tp::Tensor& labels) {
  return tp::nn::functional::cross_entropy(logits, labels);
}

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, 1);
  auto [train, test] = tp::data::fashion_mnist();
  const tp::data::AnyDataset images = first(padded(train), arguments.examples);

  tp::manual_seed(0);
  const Net net;
  tp::optim::SGD optimizer(net.parameters(), tp::optim::SGDOptions{.lr = 0.01});
  tp::data::Loader loader(images, {.batch_size = 64, .shuffle = true});
  for (int64_t epoch = 0; epoch < arguments.epochs; ++epoch) {
    for (const tp::data::Batch& batch : loader.epoch(epoch)) {
      optimizer.zero_grad();
      loss_of(net(batch[0]), batch[1]).backward();
      optimizer.step();
    }
  }

  tp::manual_seed(0);
  tp::nn::Sequential other = small_convnet();
  tp::Trainer trainer(
      other, {.loss = tp::nn::CrossEntropyLoss(), .optimizer = tp::optim::SGD({.lr = 0.01})});
  trainer.fit(images, {.epochs = arguments.epochs, .batch_size = 64});

  const auto mine = net.parameters();
  const auto theirs = other.parameters();
  bool equal = mine.size() == theirs.size();
  for (size_t i = 0; equal && i < mine.size(); ++i) {
    equal = mine[i].value().to_vector<float>() == theirs[i].value().to_vector<float>();
  }
  std::cout << "equal to the Trainer bit for bit: " << (equal ? "yes" : "no") << '\n';
  return equal ? 0 : 1;
}

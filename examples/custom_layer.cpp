// A layer of one's own: its parameters, its children, its forward.
#include <taper/taper.h>

#include <iostream>

namespace tp = taper;

/// y = x + scale * f(x), where f is a small network and `scale` starts at 0.
struct Residual : tp::nn::Layer<Residual> {
  explicit Residual(int64_t features) : body(child("body", tp::nn::Linear(features, features))) {}

  tp::Tensor forward(const tp::Tensor& x) { return x + scale.value() * tanh(body(x)); }

  tp::nn::Linear body;
  tp::nn::Parameter scale = parameter("scale", tp::zeros({1}));
};

int main() {
  tp::manual_seed(0);
  Residual layer(3);
  for (const auto& [name, cell] : layer.named_parameters()) {
    std::cout << name << ' ' << to_string(cell.value().spec()) << '\n';
  }
  tp::gradcheck(layer, tp::astype(tp::rand({2, 3}), tp::DType::f64));

  // It goes wherever a layer of the library goes.
  tp::nn::Sequential net{tp::nn::Linear(2, 3), layer, tp::nn::Linear(3, 1)};
  std::cout << net.num_parameters() << " parameters, output " << net(tp::ones({4, 2})).shape()[0]
            << " x 1\n";

  // Another head for another task.
  tp::nn::replace(net[2], tp::nn::Linear(3, 4));
  std::cout << "another head: output " << net(tp::ones({4, 2})).shape()[1] << '\n';

  // The first layer's values for one without a bias.
  tp::nn::Linear trunk(2, 3, false);
  const auto keys = trunk.load_state_dict(net.state_dict(), {.strict = false, .prefix = "0."});
  for (const std::string& name : keys.unexpected_keys) std::cout << name << " was left\n";
}

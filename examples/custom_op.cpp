// A differentiable function of one's own: forward on the elements, backward in ops.
#include <taper/taper.h>

#include <cmath>
#include <iostream>

namespace tp = taper;

/// softplus(x) = log(1 + e^x), whose gradient is sigmoid(x). Run without the tape.
tp::Tensor softplus_forward(const std::vector<tp::Tensor>& inputs) {
  std::vector<double> values = inputs[0].to_vector<double>();
  for (double& value : values)
    value = std::max(value, 0.0) + std::log1p(std::exp(-std::abs(value)));
  return astype(tp::from_values(inputs[0].shape(), values), inputs[0].dtype());
}

/// Written in ops, so that it has a gradient too.
std::vector<tp::Tensor> softplus_backward(const tp::Tensor& grad,
                                          const std::vector<tp::Tensor>& inputs,
                                          const tp::Tensor& /*output*/) {
  return {grad * sigmoid(inputs[0])};
}

int main() {
  const auto softplus = tp::custom_function(
      {.name = "softplus", .forward = softplus_forward, .backward = softplus_backward});

  const tp::Tensor x = tp::tensor<double>({-2.0, 0.5, 3.0});
  tp::gradcheck(softplus, {x});  // throws if forward and backward disagree
  tp::gradgradcheck(softplus, {x});

  tp::Tensor weight = tp::tensor<double>({1.0, 1.0, 1.0}).set_requires_grad();
  sum(softplus({x * weight})).backward();
  std::cout << "gradient " << weight.grad() << '\n';
}

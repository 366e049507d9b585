// The exclusive or, which no line can separate and one hidden layer can.

#include <iomanip>
#include <iostream>

#include <taper/taper.h>

namespace tp = taper;

namespace {

void print(const char* what, const tp::Tensor& outputs) {
  std::cout << what << std::fixed << std::setprecision(3);
  for (const float output : outputs.to_vector<float>()) std::cout << ' ' << output;
  std::cout << '\n';
}

}  // namespace

int main() {
  const tp::Tensor x = tp::from_values<float>({4, 2}, std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1});
  const tp::Tensor y = tp::from_values<float>({4, 1}, std::vector<float>{0, 1, 1, 0});

  // A linear model by hand: the gradient of (theta x - y)^2 / 2, summed over the four examples.
  tp::Tensor theta = tp::zeros({2, 1});
  for (int step = 0; step < 1000; ++step) {
    const tp::Tensor error = tp::matmul(x, theta) - y;
    theta -= 0.01 * tp::matmul(tp::matrix_transpose(x), error);
  }
  print("linear ", tp::sigmoid(tp::matmul(x, theta)));

  tp::manual_seed(0);
  tp::nn::Sequential net{tp::nn::Linear(2, 8), tp::nn::Tanh(), tp::nn::Linear(8, 1)};
  tp::optim::Adam optimizer(net.parameters(), tp::optim::AdamOptions{.lr = 0.05});
  for (int step = 0; step < 500; ++step) {
    optimizer.zero_grad();
    tp::binary_cross_entropy_with_logits(net(x), y).backward();
    optimizer.step();
  }
  const tp::Tensor outputs = tp::sigmoid(net(x));
  print("network", outputs);
  const tp::Tensor right = tp::equal(tp::astype(outputs > 0.5, tp::DType::f32), y);
  std::cout << "accuracy " << tp::mean(tp::astype(right, tp::DType::f32)).item() << '\n';
}

// Two linear classifiers of biopsies: logistic regression by gradient descent, and a linear support
// vector machine by subgradient descent on its objective.

#include <cmath>
#include <iostream>

#include <taper/taper.h>

namespace tp = taper;

namespace {

struct Biopsies {
  tp::Tensor x;  // standardised
  tp::Tensor y;  // 1 benign, 0 malignant
};

Biopsies read(const std::string& file) {
  const tp::Tensor all = tp::astype(tp::read_csv(file).values, tp::DType::f64);
  const tp::Tensor x = tp::slice(all, 1, 0, 30);
  return {tp::data::Standardizer(x)(x), tp::slice(all, 1, 30, 31)};
}

double accuracy(const tp::Tensor& scores, const tp::Tensor& y) {
  const tp::Tensor right = tp::equal(tp::astype(scores > 0, tp::DType::f64), y);
  return tp::mean(tp::astype(right, tp::DType::f64)).item();
}

/// Full-batch gradient descent until the loss falls by less than `tol` a step.
double logistic(const Biopsies& data, double tol) {
  tp::Tensor w = tp::zeros({30, 1}, tp::DType::f64);
  tp::Tensor b = tp::zeros({1}, tp::DType::f64);
  const auto loss_and_gradients = tp::value_and_grad(
      [&](const std::vector<tp::Tensor>& p) {
        return tp::binary_cross_entropy_with_logits(tp::matmul(data.x, p[0]) + p[1], data.y);
      },
      {0, 1});
  double before = INFINITY;
  for (int step = 0; step < 10'000; ++step) {
    const auto [loss, gradients] = loss_and_gradients({w, b});
    w -= 0.5 * gradients[0];
    b -= 0.5 * gradients[1];
    if (before - loss.item() < tol) break;
    before = loss.item();
  }
  return accuracy(tp::matmul(data.x, w) + b, data.y);
}

/// 1/2 |w|^2 + C sum max(0, 1 - y w x) with C = 1, the intercept being the weight of a column of
/// ones. It is strongly convex, so steps of 1 / (k + 100) converge.
std::pair<double, double> support_vectors(const Biopsies& data) {
  const tp::Tensor x = tp::concat({data.x, tp::ones({data.x.size(0), 1}, tp::DType::f64)}, 1);
  const tp::Tensor sign = 2 * data.y - 1;
  tp::Tensor w = tp::zeros({31, 1}, tp::DType::f64);
  const auto objective = [&](const std::vector<tp::Tensor>& p) {
    const tp::Tensor margin = sign * tp::matmul(x, p[0]);
    return 0.5 * tp::sum(tp::square(p[0])) + tp::sum(tp::relu(1 - margin));
  };
  const auto subgradient = tp::grad(objective);
  for (int k = 1; k <= 3000; ++k) w -= 1.0 / (k + 100) * subgradient({w});
  return {objective({w}).item(), accuracy(tp::matmul(x, w), data.y)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: logistic_regression breast_cancer.csv\n";
    return 2;
  }
  const Biopsies data = read(argv[1]);
  std::cout << "logistic regression   accuracy " << logistic(data, 1e-7) << '\n';
  const auto [objective, right] = support_vectors(data);
  std::cout << "support vectors       objective " << objective << "  accuracy " << right << '\n';
}

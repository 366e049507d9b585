// A line through points: what a layer, a loss and gradient descent are. Then the same on ten
// measurements of 353 patients, where the scale of the inputs decides whether it works at all.

#include <cmath>
#include <iostream>

#include <taper/taper.h>

namespace tp = taper;

namespace {

/// Gradient descent on the whole data until a step changes the loss by less than `tol`.
double descend(const tp::nn::Linear& layer, const tp::Tensor& x, const tp::Tensor& y, double lr,
               double tol) {
  tp::optim::SGD optimizer(layer.parameters(), {.lr = lr});
  double before = INFINITY;
  for (int step = 0; step < 20'000; ++step) {
    optimizer.zero_grad();
    const tp::Tensor loss = tp::mse_loss(layer(x), y);
    loss.backward();
    optimizer.step();
    if (std::abs(before - loss.item()) < tol) break;
    before = loss.item();
  }
  return before;
}

void fit_a_line() {
  tp::manual_seed(1);
  const tp::Tensor x = tp::uniform({1000, 1}, -1, 1);
  const tp::Tensor y = 3 * x + 2 + 0.1 * tp::randn({1000, 1});
  tp::nn::Linear layer(1, 1);
  tp::Trainer trainer(layer,
                      {.loss = tp::nn::MSELoss(), .optimizer = tp::optim::SGD({.lr = 0.01})});
  trainer.fit(tp::data::TensorDataset({x, y}),
              {.epochs = 10, .batch_size = 32, .validation_split = 0.2, .verbose = false});
  std::cout << "after 10 epochs   w " << layer.weight.value().item() << "  b "
            << layer.bias.value().item() << '\n';

  descend(layer, x, y, 0.5, 1e-12);
  // Least squares in closed form, for one input.
  const tp::Tensor dx = x - tp::mean(x);
  const double w = (tp::sum(dx * y) / tp::sum(dx * dx)).item();
  const double b = (tp::mean(y) - w * tp::mean(x)).item();
  std::cout << "converged         w " << layer.weight.value().item() << "  b "
            << layer.bias.value().item() << '\n'
            << "least squares     w " << w << "  b " << b << '\n';
}

void predict_diabetes(const std::string& file) {
  const tp::Table table = tp::read_csv(file);
  const tp::Tensor all = tp::astype(table.values, tp::DType::f32);
  const tp::Tensor x = tp::slice(all, 1, 0, 10);
  const tp::Tensor y = tp::slice(all, 1, 10, 11);
  const int64_t train = 353;
  const tp::data::Standardizer scale_x(tp::slice(x, 0, 0, train));
  const tp::data::Standardizer scale_y(tp::slice(y, 0, 0, train));
  tp::manual_seed(0);
  tp::nn::Linear layer(10, 1);
  descend(layer, scale_x(tp::slice(x, 0, 0, train)), scale_y(tp::slice(y, 0, 0, train)), 0.2, 0);
  const tp::no_grad off;
  const tp::Tensor predicted = layer(scale_x(tp::slice(x, 0, train, {})));
  const tp::Tensor loss = tp::mse_loss(predicted, scale_y(tp::slice(y, 0, train, {})));
  std::cout << "diabetes          test MSE " << loss.item() << '\n';
}

/// The same with the inputs as they were measured: the steps grow until numbers overflow, and the
/// anomaly mode names the place.
void forget_to_scale(const std::string& file) {
  const tp::Tensor all = tp::astype(tp::read_csv(file).values, tp::DType::f32);
  tp::manual_seed(0);
  tp::Trainer trainer(tp::nn::Linear(10, 1),
                      {.loss = tp::nn::MSELoss(), .optimizer = tp::optim::SGD({.lr = 0.01})});
  try {
    trainer.fit(tp::data::TensorDataset({tp::slice(all, 1, 0, 10), tp::slice(all, 1, 10, 11)}),
                {.epochs = 10, .batch_size = 32, .verbose = false, .detect_anomaly = true});
  } catch (const tp::Error& error) {
    std::cout << "unscaled          " << error.what() << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  fit_a_line();
  if (argc < 2) return 0;
  predict_diabetes(argv[1]);
  forget_to_scale(argv[1]);
}

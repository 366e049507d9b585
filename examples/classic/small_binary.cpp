// A small network on a small table, ten times: what chance alone does to a result.

#include <iostream>

#include <taper/taper.h>

namespace tp = taper;

namespace {

double accuracy_of(uint64_t seed, const tp::Tensor& all) {
  tp::manual_seed(seed);
  const tp::Tensor x = tp::slice(all, 1, 0, 30);
  const tp::Tensor y = tp::slice(all, 1, 30, 31);
  const auto parts =
      tp::data::split(tp::data::TensorDataset({x, y}), 0.2, {.shuffle = true, .seed = seed});
  const auto rows = [&](const tp::data::Subset& part, const tp::Tensor& from) {
    return tp::take(from, tp::from_values<int64_t>({part.size()}, part.indices()));
  };
  const tp::data::Standardizer standardize(rows(parts.train, x));
  const auto dataset = [&](const tp::data::Subset& part) {
    return tp::data::TensorDataset({standardize(rows(part, x)), rows(part, y)});
  };
  tp::nn::Sequential net{tp::nn::Linear(30, 10), tp::nn::ReLU(),        tp::nn::Linear(10, 10),
                         tp::nn::ReLU(),         tp::nn::Linear(10, 1), tp::nn::Sigmoid()};
  tp::Trainer trainer(
      net, {.loss = tp::nn::BCELoss(), .optimizer = tp::optim::Adam(), .metrics = {"accuracy"}});
  trainer.fit(dataset(parts.train),
              {.epochs = 10, .batch_size = 32, .seed = seed, .verbose = false});
  return trainer.evaluate(dataset(parts.validation))["accuracy"];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: small_binary breast_cancer.csv\n";
    return 2;
  }
  const tp::Tensor all = tp::astype(tp::read_csv(argv[1]).values, tp::DType::f32);
  double sum = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const double accuracy = accuracy_of(seed, all);
    std::cout << "seed " << seed << "  accuracy " << accuracy << '\n';
    sum += accuracy;
  }
  std::cout << "mean accuracy " << sum / 10 << '\n';
}

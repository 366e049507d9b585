// Costs of single calls: `build/release/bench/micro`. Times mean something only as ratios within
// one run, or on a quiet machine.

#include <benchmark/benchmark.h>
#include <taper/taper.h>

namespace tp = taper;

static void eager_add_4(benchmark::State& state) {
  const tp::no_grad off;
  const tp::Tensor a = tp::tensor({1.f, 2.f, 3.f, 4.f});
  const tp::Tensor b = tp::tensor({5.f, 6.f, 7.f, 8.f});
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(eager_add_4);

static void eager_add_4_on_tape(benchmark::State& state) {
  tp::Tensor a = tp::tensor({1.f, 2.f, 3.f, 4.f});
  const tp::Tensor b = tp::tensor({5.f, 6.f, 7.f, 8.f});
  a.set_requires_grad();
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(eager_add_4_on_tape);

static void eager_multiply_4_and_backward(benchmark::State& state) {
  tp::Tensor a = tp::tensor({1.f, 2.f, 3.f, 4.f});
  const tp::Tensor b = tp::tensor({5.f, 6.f, 7.f, 8.f});
  a.set_requires_grad();
  for (auto _ : state) {
    a.zero_grad();
    tp::sum(a * b).backward();
  }
}
BENCHMARK(eager_multiply_4_and_backward);

static void eager_matmul(benchmark::State& state) {
  const tp::no_grad off;
  const tp::Tensor a = tp::rand({state.range(0), state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(tp::matmul(a, a));
}
BENCHMARK(eager_matmul)->Arg(4)->Arg(16)->Arg(32)->Arg(64)->Arg(128);

static void capture_and_replay_xor(benchmark::State& state) {
  tp::manual_seed(0);
  tp::nn::Sequential net{tp::nn::Linear(2, 8), tp::nn::Tanh(), tp::nn::Linear(8, 1),
                         tp::nn::Sigmoid()};
  tp::optim::SGD optimizer(net.parameters(), {.lr = 0.5});
  const tp::Tensor x = tp::from_values<float>({4, 2}, std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1});
  const tp::Tensor y = tp::from_values<float>({4, 1}, std::vector<float>{0, 1, 1, 0});
  auto step = [&](const tp::Tensor& input, const tp::Tensor& target) {
    const tp::Tensor loss = tp::binary_cross_entropy(net(input), target);
    optimizer.step(tp::gradients(loss, net.parameters()));
    return loss;
  };
  if (state.range(0) == 0) {
    for (auto _ : state) benchmark::DoNotOptimize(step(x, y));
  } else {
    auto compiled = tp::compile(step);
    for (auto _ : state) benchmark::DoNotOptimize(compiled(x, y));
  }
}
BENCHMARK(capture_and_replay_xor)->ArgName("replay")->Arg(0)->Arg(1);

BENCHMARK_MAIN();

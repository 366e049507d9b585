// The op test's third mode: what each row costs. `build/release/bench/ops
// --benchmark_filter=softmax`. Every row runs its first sample, where the call itself is the cost,
// and the same sample with a longer first axis, where the kernel is; `/backward` adds the
// gradients. Times mean something only as ratios within one run, or on a quiet machine.

#include <benchmark/benchmark.h>
#include <taper/taper.h>

#include "tests/ops/op_cases.h"

namespace taper {
namespace {

using testing::OpCase;

constexpr int64_t large_elements = 1 << 20;

int64_t bytes_of(const Tensor& tensor) {
  const auto size = static_cast<int64_t>(tensor.defined() ? item_size(tensor.dtype()) : 0);
  return size > 0 ? size * tensor.numel() : 0;
}

/// The sample with its common first axis so long that the first input is large.
AnySample enlarged(const AnySample& sample) {
  AnySample large = sample;
  if (large.inputs.empty() || large.inputs[0].shape.rank() == 0) return large;
  const Shape first = large.inputs[0].shape;
  const int64_t factor = large_elements / std::max<int64_t>(1, first.numel());
  for (SampleInput& input : large.inputs) {
    if (input.shape.rank() > 0 && input.shape[0] == first[0]) input.shape[0] *= factor;
    input.apart = 0;  // the grid would be too fine for the format
  }
  return large;
}

void run_forward(benchmark::State& state, const OpBase& op, const AnySample& sample) {
  const no_grad off;
  const std::vector<Tensor> inputs = testing::make_inputs(sample, DType::f32);
  const std::vector<Arg> args = testing::as_args(inputs);
  int64_t bytes = 0;
  for (auto _ : state) {
    const Results results = call(op, sample.attrs.get(), args);
    bytes = 0;
    for (const Tensor& output : results.tensor) bytes += bytes_of(output);
  }
  for (const Tensor& input : inputs) bytes += bytes_of(input);
  state.SetBytesProcessed(state.iterations() * bytes);
}

void run_backward(benchmark::State& state, const OpBase& op, const AnySample& sample) {
  std::vector<Tensor> inputs = testing::make_inputs(sample, DType::f32);
  std::vector<Tensor> leaves;
  for (Tensor& input : inputs) {
    if (!input.defined() || !is_float(input.dtype())) continue;
    leaves.push_back(input.set_requires_grad());
  }
  const std::vector<Arg> args = testing::as_args(inputs);
  const Tensor seed = ones_like(call(op, sample.attrs.get(), args)[0].detach());
  for (auto _ : state) {
    const Results results = call(op, sample.attrs.get(), args);
    benchmark::DoNotOptimize(gradients(results[0], leaves, false, seed));
  }
}

using Run = void (*)(benchmark::State&, const OpBase&, const AnySample&);

void add_benchmark(const OpCase& each, bool large, bool backward) {
  const Run run = backward ? run_backward : run_forward;
  const std::string name =
      std::string(each.op->name) + (large ? "/large" : "/small") + (backward ? "/backward" : "");
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    try {
      run(state, *each.op, large ? enlarged(each.sample) : each.sample);
    } catch (const Error& error) {  // some rows fix the size of the first axis
      state.SkipWithError(error.what());
    }
  });
}

void add_benchmarks(const OpCase& each) {
  const bool has_gradient =
      each.op->why_not_differentiable == nullptr && testing::takes_floats(each.sample);
  for (const bool large : {false, true}) {
    add_benchmark(each, large, false);
    if (has_gradient) add_benchmark(each, large, true);
  }
}

}  // namespace
}  // namespace taper

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const auto& each : taper::testing::all_cases(false)) {
    if (each.index == 0) taper::add_benchmarks(each);
  }
  benchmark::RunSpecifiedBenchmarks();
}

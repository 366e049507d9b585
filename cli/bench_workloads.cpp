#include "bench_workloads.h"

#include <memory>
#include <utility>
#include <vector>

#include <taper/autograd/autograd.h>
#include <taper/core/registry.h>
#include <taper/graph/compile.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/models.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>
#include <taper/optim/optimizers.h>

namespace taper::cli {
namespace {

/// Calls `function(operands...)` as it is, or captured.
template <class F, class... Operands>
Step make_step(bool captured, F function, const Operands&... operands) {
  if (!captured) return [=]() mutable { function(operands...); };
  auto compiled = std::make_shared<Compiled<F>>(compile(std::move(function)));
  return [=] { (*compiled)(operands...); };
}

template <class Loss>
Step training(bool captured, const nn::Sequential& model, const Loss& loss,
              const optim::AnyOptimizer& optimizer, const Tensor& x, const Tensor& y) {
  optimizer->attach(model.parameters());
  auto step = [=](const Tensor& input, const Tensor& target) {
    optimizer->zero_grad();
    Tensor value = loss(model(input), target);
    value.backward();
    optimizer->step();
    return value;
  };
  return make_step(captured, step, x, y);
}

/// A function of tensors without gradients.
template <class F, class... Operands>
Step kernel(bool captured, F function, const Operands&... operands) {
  auto without_tape = [=](const Operands&... x) {
    const no_grad off;
    return function(x...);
  };
  return make_step(captured, without_tape, operands...);
}

Step repeated(const Step& once) {
  return [=] {
    for (int i = 0; i < 1000; ++i) once();
  };
}

Step xor_train(bool captured) {
  const Tensor x = from_values<float>({4, 2}, std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor y = from_values<float>({4, 1}, std::vector<float>{0, 1, 1, 0});
  nn::Sequential model{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()};
  return training(captured, model, nn::BCELoss(), optim::SGD(optim::SGDOptions{.lr = 0.5}), x, y);
}

Step mlp_train(bool captured) {
  nn::Sequential model{nn::Linear(784, 512), nn::ReLU(), nn::Linear(512, 256), nn::ReLU(),
                       nn::Linear(256, 10)};
  return training(captured, model, nn::CrossEntropyLoss(),
                  optim::Adam(optim::AdamOptions{.lr = 1e-3}), randn({128, 784}),
                  randint(0, 10, {128}));
}

Step lenet_train(bool captured) {
  return training(captured, LibraryModel::get("convnet")(), nn::CrossEntropyLoss(),
                  optim::Adam(optim::AdamOptions{.lr = 1e-3}), randn({64, 1, 28, 28}),
                  randint(0, 10, {64}));
}

Step op_add4(bool captured) {
  auto plus = [](const Tensor& a, const Tensor& b) { return a + b; };
  return repeated(make_step(captured, plus, randn({4}), randn({4})));
}

Step op_matmul64(bool captured) {
  auto product = [](const Tensor& a, const Tensor& b) { return matmul(a, b); };
  return repeated(make_step(captured, product, randn({64, 64}), randn({64, 64})));
}

Step matmul_2048(bool captured) {
  auto product = [](const Tensor& a, const Tensor& b) { return matmul(a, b); };
  return kernel(captured, product, randn({2048, 2048}), randn({2048, 2048}));
}

Step elementwise_16m(bool captured) {
  auto chain = [](const Tensor& x) { return gelu(1.5 * x + 0.25) * 0.5; };
  return kernel(captured, chain, randn({16 << 20}));
}

Step softmax_rows(bool captured) {
  auto rows = [](const Tensor& x) { return softmax(x, -1); };
  return kernel(captured, rows, randn({4096, 4096}));
}

/// With the gradients of x, weight and bias from a given dy.
Step layernorm_rows(bool captured) {
  auto both = [](const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& dy) {
    std::vector<Tensor> leaves;
    for (const Tensor& each : {x, weight, bias}) {
      leaves.push_back(each.detach().set_requires_grad());
    }
    return gradients(layer_norm(leaves[0], {1024}, leaves[1], leaves[2]), leaves, false, dy);
  };
  return make_step(captured, both, randn({16384, 1024}), ones({1024}), zeros({1024}),
                   randn({16384, 1024}));
}

constexpr Workload all_workloads[] = {
    {"xor_train", "Linear 2-8-1 on the 4 rows of XOR, SGD", &xor_train},
    {"mlp_train", "Linear 784-512-256-10, batch 128, Adam", &mlp_train},
    {"lenet_train", "the convnet, batch 64, Adam", &lenet_train},
    {"op_add4", "1000 additions of 4 elements", &op_add4},
    {"op_matmul64", "1000 products of 64x64 matrices", &op_matmul64},
    {"matmul_2048", "a product of 2048x2048 matrices", &matmul_2048},
    {"elementwise_16m", "gelu(1.5 x + 0.25) * 0.5 over 2^24 floats", &elementwise_16m},
    {"softmax_rows", "softmax of each row of 4096x4096", &softmax_rows},
    {"layernorm_rows", "layer norm of 16384 rows of 1024, and its gradients", &layernorm_rows},
};

}  // namespace

std::span<const Workload> workloads() { return all_workloads; }

const Workload& find_workload(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Workload& workload : all_workloads) {
    if (workload.name == name) return workload;
    names.push_back(workload.name);
  }
  names.push_back("ops");  // which times the ops instead
  detail::fail_unknown("workload", name, names);
}

}  // namespace taper::cli

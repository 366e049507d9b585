// What a graph says of strides and shared buffers against what a replay makes.

#include <gtest/gtest.h>

#include <taper/graph/layouts.h>
#include <taper/taper.h>

#include "tests/ops/op_cases.h"
#include "tests/ops/op_layouts.h"

namespace taper::testing {
namespace {

ValueLayout layout_of(const Tensor& tensor) {
  const TensorImpl& impl = *tensor.impl();
  return {impl.strides, impl.offset, impl.row_major};
}

/// Replays with every value kept and compares each with what was inferred.
void expect_inferred(Captured captured, const std::vector<Tensor>& inputs) {
  const auto count = static_cast<ValueId>(captured.graph.specs.size());
  captured.graph.outputs.clear();
  for (ValueId id = 0; id < count; ++id) captured.graph.outputs.push_back(id);
  const Plan plan(std::move(captured), inputs);
  const Graph& graph = plan.graph();
  std::vector<ValueLayout> given(graph.specs.size());
  size_t next = 0;
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    given[static_cast<size_t>(graph.inputs[next++])] = layout_of(input);
  }
  for (const GraphCell& cell : graph.cells) {
    if (cell.initial == no_value) continue;
    given[static_cast<size_t>(cell.initial)] = layout_of(cell.cell.value());
  }
  const std::vector<ValueLayout> inferred = infer_layouts(graph, given);
  const std::vector<Tensor> made = plan.run(inputs);
  for (size_t i = 0; i < made.size(); ++i) {
    SCOPED_TRACE("value " + std::to_string(i) + " of\n" + to_string(graph));
    EXPECT_EQ(made[i].strides(), inferred[i].strides);
    EXPECT_EQ(made[i].is_contiguous(), inferred[i].row_major);
    if (inferred[i].buffer == no_value) continue;
    EXPECT_EQ(made[i].impl()->offset, inferred[i].offset);
    const auto buffer = static_cast<size_t>(inferred[i].buffer);
    if (made[i].numel() > 0) {
      EXPECT_EQ(made[i].impl()->storage.get(), made[buffer].impl()->storage.get());
    }
    for (size_t k = 0; k < i && inferred[i].buffer == static_cast<ValueId>(i); ++k) {
      if (made[i].numel() > 0 && made[k].numel() > 0 && inferred[k].buffer != no_value) {
        EXPECT_NE(made[i].impl()->storage.get(), made[k].impl()->storage.get()) << "value " << k;
      }
    }
  }
}

TEST(Layouts, AreWhatEveryRowMakesOfEveryLayout) {
  for (const OpCase& c : all_cases(false)) {
    const std::vector<Tensor> plain = make_inputs(c.sample, DType::f32);
    const std::array changes = {behind_others, with_reversed_axes, with_gaps, backwards,
                                with_channels_last};
    for (size_t i = 0; i < changes.size(); ++i) {
      const auto change = changes[i];
      SCOPED_TRACE(case_name(c) + ", layout " + std::to_string(i));
      std::vector<Tensor> inputs;
      for (const Tensor& x : plain) inputs.push_back(x.defined() ? change(x) : x);
      expect_inferred(
          capture(inputs,
                  [&](const std::vector<Tensor>& x) { return run_all(*c.op, c.sample, x); }),
          inputs);
    }
  }
}

TEST(Layouts, AreThoseOfATrainingStep) {
  nn::Sequential net{nn::Conv2d(1, 8, 3), nn::BatchNorm2d(8), nn::ReLU(),
                     nn::MaxPool2d(2),    nn::Flatten(),      nn::Linear(1352, 10)};
  optim::SGD optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  const std::vector<Tensor> inputs{randn({4, 1, 28, 28}), randint(0, 10, {4})};
  const auto step = [&](const std::vector<Tensor>& x) {
    const Tensor loss = cross_entropy(net(x[0]), x[1]);
    optimizer.step(gradients(loss, net.parameters()));
    return std::vector<Tensor>{loss};
  };
  step(inputs);  // the optimizer's cells
  expect_inferred(capture(inputs, step), inputs);
}

}  // namespace
}  // namespace taper::testing

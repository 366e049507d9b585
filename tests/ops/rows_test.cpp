// What calls, tape and graph make of every row, and of rows with many outputs or no operands.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include <taper/autograd/autograd.h>
#include <taper/graph/compile.h>

#include "tests/core/error_testing.h"
#include "tests/ops/op_compare.h"

namespace taper::testing {
namespace {

void expect_same(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    expect_same_bits(actual[i], expected[i], "output " + std::to_string(i));
  }
}

TEST(Rows, GiveTheSameBitsOnTheTape) {
  for (const OpCase& c : all_cases(false)) {
    SCOPED_TRACE(case_name(c));
    for (DType dtype : {DType::f32, DType::bf16}) {
      const std::vector<Tensor> plain = make_inputs(c.sample, dtype);
      std::vector<Tensor> leaves;
      for (const Tensor& x : plain) {
        leaves.push_back(x.defined() && is_float(x.dtype()) ? x.detach().set_requires_grad() : x);
      }
      expect_same(run_all(*c.op, c.sample, leaves), run_all(*c.op, c.sample, plain));
    }
  }
}

TEST(Rows, StayOneNodeOfTheGraphUnlessTheyAreInlined) {
  const State one("one", ones({}));
  one.set_requires_grad(true);
  for (const OpCase& c : all_cases(false)) {
    for (const bool on_tape : {false, true}) {
      SCOPED_TRACE(case_name(c) + (on_tape ? " on the tape" : ""));
      const auto f = [&](std::vector<Tensor> symbols) {
        for (Tensor& x : symbols) {
          if (on_tape && x.defined() && x.dtype() == DType::f32) x = x * one.value();
        }
        return run_all(*c.op, c.sample, symbols);
      };
      const Captured captured = capture(make_inputs(c.sample, DType::f32), f);
      const auto of_row = std::ranges::count_if(
          captured.graph.nodes, [&](const GraphNode& node) { return node.op == c.op; });
      if (c.op->inlined) {
        EXPECT_EQ(of_row, 0);
      } else {
        EXPECT_GE(of_row, 1);
      }
    }
  }
}

TEST(Rows, InternalOnesAreNotShown) {
  const auto shown = public_ops();
  const auto names = [&](std::string_view name) {
    return std::ranges::any_of(shown, [&](const OpBase* op) { return op->name == name; });
  };
  for (const char* name : {"add", "stack", "zeros_like", "arange", "softmax"}) {
    EXPECT_TRUE(names(name)) << name;
  }
  for (const char* name : {"relu_grad", "softmax_grad", "sgd_update", "advance_key"}) {
    EXPECT_FALSE(names(name)) << name;
  }
}

TEST(Rows, AreFoundByTheirAliases) {
  for (const auto& [alias, name] : {std::pair("amax", "max"),
                                    {"cat", "concat"},
                                    {"mul", "multiply"},
                                    {"unsqueeze", "expand_dims"},
                                    {"gt", "greater"},
                                    {"clamp", "clip"},
                                    {"pow", "pow"}}) {
    EXPECT_EQ(op_named(alias).name, name);
  }
  EXPECT_EQ(thrown_text(ErrorKind::not_found, [] { op_named("softmaxx"); }).substr(0, 21),
            "unknown op `softmaxx`");
  EXPECT_EQ(thrown_text(ErrorKind::not_found, [] { op_named("softmaxx"); }).find("softmax_grad"),
            std::string::npos);
  std::vector<std::string_view> names;
  for (const OpBase* op : all_ops()) {
    names.push_back(op->name);
    names.insert(names.end(), op->aliases.begin(), op->aliases.end());
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end()) << "a name means two ops";
}

/// What ignores an attribute, a gradient say, is seen where a sample gives it another value.
TEST(Rows, HaveASampleForEachAttribute) {
  for (const OpBase* op : all_ops()) {
    for (const FieldInfo& field : op->describe_attrs()) {
      if (field.is_required || field.type == FieldType::device) continue;
      const auto is_other = [&](const AnySample& sample) {
        if (!sample.error.empty()) return false;
        for (const auto& [name, value] : op->attrs_to_fields(sample.attrs.get())) {
          if (name == field.name) return !(value == field.default_value);
        }
        return false;
      };
      EXPECT_TRUE(std::ranges::any_of(op->samples(), is_other))
          << op->name << ": no good sample has another `" << field.name << "` than "
          << field.default_value.print();
    }
  }
}

TEST(Rows, AttributesHaveTypes) {
  const auto type_of = [](std::string_view op, std::string_view attribute) {
    for (const FieldInfo& field : Registry<OpBase>::get(std::string(op), "op").describe_attrs()) {
      if (field.name == attribute) return field.type;
    }
    return FieldType::other;
  };
  EXPECT_EQ(type_of("softmax", "axis"), FieldType::axis);
  EXPECT_EQ(type_of("argmax", "axis"), FieldType::axis);
  EXPECT_EQ(type_of("sum", "axis"), FieldType::axes);
  EXPECT_EQ(type_of("sum", "keepdims"), FieldType::boolean);
  EXPECT_EQ(type_of("full", "value"), FieldType::number);
  EXPECT_EQ(type_of("full", "device"), FieldType::device);
  EXPECT_EQ(type_of("full", "dtype"), FieldType::dtype);
  EXPECT_EQ(type_of("reshape", "shape"), FieldType::shape);
  EXPECT_EQ(type_of("mse_loss", "reduction"), FieldType::choice);
}

TEST(Rows, ReadAttributesFromTheirFields) {
  for (const OpCase& c : all_cases(false)) {
    SCOPED_TRACE(case_name(c));
    const void* attrs = c.sample.attrs.get();
    if (!c.op->graphs(attrs).empty()) continue;  // no text stands for a function
    const auto again = c.op->attrs_from_fields(c.op->attrs_to_fields(attrs));
    EXPECT_TRUE(c.op->equal_attrs(attrs, again.get()));
  }
}

/// A row with a kernel for each device, which says where it ran.
template <int device>
void mark(const Kernel& kernel, const NoAttrs&) {
  visit_dtype(kernel.out().dtype(), [&]<class T>() {
    std::fill_n(kernel.out().as<T>(), kernel.out().numel(), static_cast<T>(float{device}));
  });
}
Results marks(const Inputs& in, const NoAttrs&) { return {{zeros_like(in[0])}}; }
Specs infer_mark(const InSpecs& in, const NoAttrs&) { return in[0]; }
std::vector<Sample<NoAttrs>> mark_samples() { return {{.inputs = {{.shape = {3, 5}}}}}; }
const Op<NoAttrs> mark_op{{.name = "test_mark",
                           .doc = "A number for each device.",
                           .internal = true,
                           .inputs = {"x"},
                           .infer = infer_mark,
                           .reference = marks,
                           .grad = not_differentiable{"it is constant"},
                           .kernels = {.cpu = mark<0>, .cuda = mark<1>},
                           .no_golden = golden_nowhere,
                           .samples = mark_samples}};

TEST(Rows, HaveKernelsOfTheDevicesThatTheyNameOnly) {
  for (const OpBase* op : all_ops()) {
    EXPECT_EQ(op->has_kernel_for(DeviceKind::cpu), op->has_kernel) << op->name;
    EXPECT_EQ(op->has_kernel_for(DeviceKind::cuda), op == &mark_op) << op->name;
  }
}

TEST(Rows, RunTheKernelOfTheContextsDevice) {
  for (const DeviceKind device : {DeviceKind::cpu, DeviceKind::cuda}) {
    const Tensor x = full({4}, 7);
    const View view{x.raw(), &x.spec(), &x.strides(), true};
    const KernelContext context{{device, 0}};
    const NoAttrs attrs;
    mark_op.run({{&view, 1}, {&view, 1}, context}, &attrs);
    EXPECT_EQ(x.to_vector<float>(), std::vector<float>(4, device == DeviceKind::cuda ? 1.f : 0.f));
  }
}

/// Whether a gradient of one of the samples fails for want of an operand or result.
bool misses_what_it_saved(const OpBase& op) {
  for (const AnySample& sample : op.samples()) {
    if (!sample.error.empty()) continue;
    std::vector<Tensor> inputs = make_inputs(sample, DType::f32);
    std::vector<Tensor> leaves;
    for (Tensor& x : inputs) {
      if (x.defined() && is_inexact(x.dtype())) leaves.push_back(x.set_requires_grad());
    }
    try {
      for (const Tensor& y : run_all(op, sample, inputs)) {
        if (y.requires_grad()) gradients(y, leaves, false, ones_like(y), true);
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::internal) return true;
      throw;
    }
  }
  return false;
}

TEST(Rows, SaveNothingThatTheirRulesDoNotRead) {
  for (const OpBase* op : all_ops()) {
    if (op->why_not_differentiable != nullptr || op->gradient_through_expansion || op->inlined) {
      continue;
    }
    size_t operands = 0;
    for (const AnySample& sample : op->samples()) {
      operands = std::max(operands, sample.error.empty() ? sample.inputs.size() : 0);
    }
    auto& saves = const_cast<OpBase*>(op)->saves;  // no row is a constant of the language
    const Saves all = saves;
    ASSERT_FALSE(misses_what_it_saved(*op)) << op->name;
    for (size_t i = 0; i < operands; ++i) {
      if (!all.operand(i)) continue;
      saves.operands = all.operands & ~(1u << i);
      EXPECT_TRUE(misses_what_it_saved(*op))
          << op->name << " saves operand " << i << " for nothing";
      saves = all;
    }
    if (all.results) {
      saves.results = false;
      EXPECT_TRUE(misses_what_it_saved(*op)) << op->name << " saves its results for nothing";
      saves = all;
    }
  }
}

// ---------------------------------------------------------------------------------- no operands

TEST(Creation, ACaptureHoldsNoConstantOfFullSize) {
  const Tensor x = ones({300, 200});
  const Captured captured = capture({x}, [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{in[0] + zeros({300, 200}) + ones_like(in[0]) + arange(200) +
                               eye(300, 200) + linspace(0, 1, 200)};
  });
  for (const auto& [id, constant] : captured.graph.constants) EXPECT_LE(constant.numel(), 1);
  const Tensor expected = x + 1 + arange(200) + eye(300, 200) + linspace(0, 1, 200);
  expect_same(Plan(captured, {x}).run({x}), {expected});
}

TEST(Creation, APlanMakesSmallTensorsOnceAndNobodyWritesThem) {
  const Tensor x = ones({3});
  const auto f = [](const std::vector<Tensor>& in) {
    Tensor y = full({3}, 2);
    const Tensor same = y + 0;
    y += in[0];
    return std::vector<Tensor>{full({3}, 2), y, same};
  };
  const Plan plan(capture({x}, f), {x});
  for (const GraphNode& node : plan.graph().nodes) EXPECT_FALSE(node.inputs.empty());
  for (int run = 0; run < 3; ++run) {
    std::vector<Tensor> results = plan.run({x});
    expect_same(results, f({x}));
    results[0] += 5;  // its own from here on
  }
}

TEST(Creation, TakesADeviceAndRefusesThoseThatAreNotThere) {
  EXPECT_EQ(zeros({2}, DType::f32, parse_device("cpu")).device(), Device());
  EXPECT_EQ(
      thrown_text(ErrorKind::unsupported, [] { zeros({2}, DType::f32, parse_device("cuda")); }),
      "zeros: cuda:0 is not in this build");
  EXPECT_EQ(to_string(Spec{DType::f32, parse_device("cuda:3"), {2}}), "f32[2] on cuda:3");
  for (const char* text : {"cuda:", "cuda:256", "cuda:-1", "cuda1", "gpu", "CPU", "cuda:1x", ""}) {
    thrown_text(ErrorKind::not_found, [&] { parse_device(text); });
  }
}

TEST(Creation, RangesReachTheEndsOfTheirNumbers) {
  EXPECT_EQ(arange(0.0, uint64_t{1} << 63, 4e18).numel(), 3);
  EXPECT_EQ(arange(INT64_MAX - 1, INT64_MAX).item<int64_t>(), INT64_MAX - 1);
  EXPECT_EQ(arange(127, -129, -85, DType::i8).to_vector<int>(),
            (std::vector<int>{127, 42, -43, -128}));
  EXPECT_EQ(linspace(-1.7e308, 1.7e308, 2, DType::f64).to_vector<double>(),
            (std::vector<double>{-1.7e308, 1.7e308}));
  EXPECT_EQ(thrown_text(ErrorKind::unsupported,
                        [] { zeros({2}, DType::f32, Device{DeviceKind::cpu, 1}); }),
            "zeros: cpu:1 is not in this build");
}

/// Steps that 16 bits cannot hold, with the results of PyTorch.
TEST(SixteenBits, SquaresAndCountsDoNotOverflow) {
  const Tensor wide = tensor({100, -100, 100, -100}, DType::f16);
  EXPECT_EQ(var(wide).item(), 10000);
  Tensor x = tensor({3000, 200, 100}, DType::f16);
  x.set_requires_grad();
  const Tensor deviation = taper::std(x);
  EXPECT_EQ(deviation.item(), 1344);
  deviation.backward();
  EXPECT_NEAR(x.grad().to_vector<double>()[0], 0.471, 5e-4);
  EXPECT_EQ(var(concat({ones({70000}, DType::f16), zeros({70000}, DType::f16)})).item(), 0.25);
  Tensor y = tensor({7.0, -11.0, 0.5}, DType::f16);
  y.set_requires_grad();
  sum(sinh(y)).backward();
  const std::vector<double> slopes = y.grad().to_vector<double>();
  EXPECT_NEAR(slopes[0], std::cosh(7.0), 0.5);
  EXPECT_NEAR(slopes[1], std::cosh(11.0), 32);
  EXPECT_NEAR(slopes[2], std::cosh(0.5), 1e-3);
}

TEST(Calls, SayHowManyOperandsTheyTake) {
  const auto with = [](std::string_view name, size_t count) {
    const OpBase& op = Registry<OpBase>::get(std::string(name), "op");
    const Tensor x = ones({2});
    const std::vector<Arg> args(count, Arg(x));
    const auto attrs = op.attrs_from_fields({});
    return thrown_text(ErrorKind::value, [&] { call(op, attrs.get(), args); });
  };
  EXPECT_EQ(with("clip", 4).substr(0, 34), "clip: takes 1 to 3 operands, got 4");
  EXPECT_EQ(with("add", 1).substr(0, 28), "add: takes 2 operands, got 1");
  EXPECT_EQ(with("index", 0), "index: takes at least 1 operands, got 0");
}

TEST(Calls, ReplaysNameTheOpThatNeedsTooMuchMemory) {
  const auto f = [](const Tensor& x) { return broadcast_to(x, {int64_t{1} << 42}) + 1; };
  const Tensor x = ones({1});
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { f(x); }).substr(0, 5), "add: ");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { compile(f)(x); }).substr(0, 5), "add: ");
}

// ---------------------------------------------------------------------------------- many outputs

TEST(ManyOutputs, PartsAreViewsWithTheirValues) {
  const Tensor x = reshape(arange(21), {7, 3});
  const std::vector<Tensor> rows = split(x, 1);
  ASSERT_EQ(rows.size(), 7u);
  for (int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(rows[static_cast<size_t>(i)].to_vector<int64_t>(),
              (std::vector<int64_t>{3 * i, 3 * i + 1, 3 * i + 2}));
    EXPECT_EQ(rows[static_cast<size_t>(i)].impl()->storage.get(), x.impl()->storage.get());
  }
  const std::vector<Tensor> columns = split(x, {1, 2}, -1);
  EXPECT_EQ(columns[1].shape(), (Shape{7, 2}));
  EXPECT_EQ(columns[1].to_vector<int64_t>()[1], 2);
}

TEST(ManyOutputs, PartsOfNothingAreOneEmptyPart) {
  const std::vector<Tensor> parts = split(zeros({0, 3}), 2);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { split(zeros({3}), 0); }),
            "split: split_size must be at least 1, got 0 (x f32[3])");
}

TEST(ManyOutputs, GradientsArriveFromAnyOfThem) {
  for (const size_t only : {size_t{0}, size_t{3}, size_t{4}, size_t{6}}) {
    Tensor x = reshape(astype(arange(14), DType::f32), {7, 2});
    x.set_requires_grad();
    const std::vector<Tensor> rows = split(x, 1);
    sum(rows[only] * 3).backward();
    std::vector<float> expected(14, 0);
    expected[2 * only] = expected[2 * only + 1] = 3;
    EXPECT_EQ(x.grad().to_vector<float>(), expected);
  }
  Tensor x = tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0});
  x.set_requires_grad();
  Tensor total = zeros({});
  double factor = 1;
  for (const Tensor& part : split(x, 1)) total += sum(square(part)) * factor++;
  total.backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 8, 18, 32, 50, 72}));
}

TEST(ManyOutputs, AreCapturedAndReplayed) {
  const auto f = [](const std::vector<Tensor>& in) {
    std::vector<Tensor> parts = split(in[0], 2);
    std::reverse(parts.begin(), parts.end());
    return std::vector<Tensor>{concat(parts) * 2, parts.front()};
  };
  const Tensor x = astype(arange(11), DType::f32);
  const Captured captured = capture({x}, f);
  verify(captured.graph);
  expect_same(Plan(captured, {x}).run({x}), f({x}));
}

}  // namespace
}  // namespace taper::testing

// Every registered layer with the results of PyTorch: layers_golden.json, written by
// make_layers_golden.py. A layer of the library is tested here by its rows there alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <taper/taper.h>

#include "layer_cases.h"

namespace taper::nn {
namespace {

using testing::Json;
using testing::layer_cases;
using testing::LayerCase;
using testing::named_tensors;
using testing::to_tensors;
using Tensors = std::vector<Tensor>;

/// Those that need no call parameters of the layer's own.
std::vector<LayerCase> cases_of_tensors() {
  std::vector<LayerCase> cases;
  std::ranges::copy_if(layer_cases(), std::back_inserter(cases),
                       [](const LayerCase& c) { return !c.json.contains("call"); });
  return cases;
}

/// The module with the values of the case in their dtype.
AnyModule make_module(const LayerCase& golden) {
  const Value options = parse_json(golden.json.at("options").dump());
  AnyModule module = ModuleFactory::get(golden.layer, "module").make(*options.get_if<Fields>());
  testing::set_cells(module, golden);
  return module;
}

Tensors call(const AnyModule& module, const Tensors& operands) {
  return module(std::span<const Tensor>(operands));
}

std::vector<std::string> names_of(const StateDict& values) {
  std::vector<std::string> names;
  for (const auto& [name, value] : values) names.push_back(name);
  return names;
}

Tensors outputs_and_gradients(const LayerCase& golden, const AnyModule& module,
                              const Tensors& operands) {
  return testing::outputs_and_gradients(golden, module, operands,
                                        [&](const Tensors& x) { return call(module, x); });
}

class LayerGolden : public ::testing::TestWithParam<LayerCase> {
 protected:
  const Json& json = GetParam().json;
  const AnyModule module = make_module(GetParam());
  const Tensors inputs = to_tensors(json.at("inputs"));

  /// By the same bits, where both are defined.
  static void expect_same(const Tensors& a, const Tensors& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].defined(), b[i].defined()) << "result " << i;
      if (!a[i].defined()) continue;
      EXPECT_EQ(to_string(a[i].spec()), to_string(b[i].spec()));
      EXPECT_EQ(a[i].to_vector<double>(), b[i].to_vector<double>()) << "result " << i;
    }
  }
};

class LayerGradient : public LayerGolden {};

TEST_P(LayerGolden, HasPyTorchsCells) {
  StateDict expected = named_tensors(json.at("cells"));
  const StateDict actual = module.state_dict();
  EXPECT_EQ(names_of(actual), names_of(expected));
  for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
    EXPECT_EQ(to_string(actual[i].second.spec()), to_string(expected[i].second.spec()));
  }
  const size_t trained = json.at("cell_grads").size();
  EXPECT_EQ(module.parameters().size(), trained);
}

TEST_P(LayerGolden, AgreesWithPyTorch) {
  testing::expect_golden(GetParam(), module, [&](const Tensors& x) { return call(module, x); });
}

/// f(x...) of a function of a list, for `compile`, which asks for one operand each.
template <class F>
Tensors run_compiled(F f, const Tensors& x) {
  const auto compiled = [&]<size_t... I>(std::index_sequence<I...>) {
    auto run =
        compile([&](const decltype((void(I), Tensor()))&... each) { return f(Tensors{each...}); });
    run(x[I]...);  // captures
    return run(x[I]...);
  };
  switch (x.size()) {
    case 1:
      return compiled(std::make_index_sequence<1>());
    case 2:
      return compiled(std::make_index_sequence<2>());
    case 3:
      return compiled(std::make_index_sequence<3>());
    case 4:
      return compiled(std::make_index_sequence<4>());
    default:
      return compiled(std::make_index_sequence<5>());
  }
}

TEST_P(LayerGolden, GivesTheSameBitsCompiled) {
  Tensors given;
  std::ranges::copy_if(inputs, std::back_inserter(given), &Tensor::defined);
  const auto run = [&](const AnyModule& of, const Tensors& x) {
    Tensors operands = inputs;
    size_t next = 0;
    for (Tensor& each : operands) {
      if (each.defined()) each = x[next++];
    }
    Tensors results = outputs_and_gradients(GetParam(), of, operands);
    std::erase_if(results, [](const Tensor& each) { return !each.defined(); });
    return results;
  };
  const AnyModule eager = clone(module);
  run(eager, given);
  const Tensors expected = run(eager, given);
  expect_same(run_compiled([&](const Tensors& x) { return run(module, x); }, given), expected);
}

TEST_P(LayerGolden, IsCopiedAndDescribed) {
  AnyModule copy = clone(module);
  expect_same(call(copy, inputs), call(make_module(GetParam()), inputs));
  AnyModule made = module_from_config(module.config());
  EXPECT_EQ(made.config().print(), module.config().print());
  EXPECT_EQ(names_of(made.state_dict()), names_of(module.state_dict()));
}

TEST_P(LayerGradient, AgreesWithDifferencesInBothOrders) {
  Tensors floating;
  for (const Tensor& x : inputs) {
    if (x.defined() && is_float(x.dtype())) floating.push_back(x);
  }
  const auto all_outputs = [&](const Tensors& x) {
    Tensors operands = inputs;
    size_t next = 0;
    for (Tensor& each : operands) {
      if (each.defined() && is_float(each.dtype())) each = x[next++];
    }
    Tensors parts;
    for (const Tensor& y : call(module, operands)) {
      if (y.defined()) parts.push_back(flatten(y, 0));
    }
    return concat(parts);
  };
  EXPECT_TRUE(gradcheck_cells(all_outputs, floating, module.parameters(), {.fast_mode = true}));
  EXPECT_TRUE(gradgradcheck_cells(all_outputs, floating, module.parameters(), {.fast_mode = true}));
}

TEST(LayerCases, CoverEveryLayer) {
  for (const ModuleFactory* entry : ModuleFactory::all()) {
    EXPECT_GT(std::ranges::count(layer_cases(), entry->name, &LayerCase::layer), 0)
        << entry->name << " has no case in layers_golden.json; add one to make_layers_golden.py";
  }
}

/// Those in f64 that change no cell.
std::vector<LayerCase> smooth_cases() {
  std::vector<LayerCase> cases = cases_of_tensors();
  std::erase_if(cases, [](const LayerCase& c) {
    return c.json.at("rtol").get<double>() > 1e-9 || !c.json.at("changed").empty() ||
           !c.json.value("is_derivative", true);
  });
  return cases;
}

std::string name_of(const ::testing::TestParamInfo<LayerCase>& info) {
  return info.param.layer + "_" + std::to_string(info.param.index);
}

INSTANTIATE_TEST_SUITE_P(Layers, LayerGolden, ::testing::ValuesIn(cases_of_tensors()), name_of);
INSTANTIATE_TEST_SUITE_P(Layers, LayerGradient, ::testing::ValuesIn(smooth_cases()), name_of);

}  // namespace
}  // namespace taper::nn

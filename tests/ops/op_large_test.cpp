// Every row x sample with axes made so long that a kernel goes through many tiles and several
// threads: against the oracle, with operands donated, and with one of them in another layout.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <set>

#include <taper/autograd/autograd.h>
#include <taper/core/threads.h>

#include "tests/ops/op_donation.h"
#include "tests/ops/op_dtypes.h"
#include "tests/ops/op_layouts.h"
#include "tests/ops/op_sizes.h"

namespace taper::testing {
namespace {

/// More than three times the elements that any kernel gives one thread, 32768 of a pointwise one.
constexpr int64_t for_threads = 105'000;
/// Several tiles of 512, where all axes grow and a product takes all of them together.
constexpr int64_t for_tiles = 2'000;

bool refuses_an_index(const OpCase& c, const AnySample& sample) {
  try {
    run(*c.op, sample, make_inputs(sample, DType::f32));
  } catch (const Error& error) {
    return error.kind() == ErrorKind::index;
  }
  return false;
}

/// Whether the row refuses the integer behind the input's range: its values are places.
bool holds_places(const OpCase& c, size_t input) {
  AnySample beyond = c.sample;
  SampleInput& places = beyond.inputs[input];
  if (!is_integer(places.dtype)) return false;
  places.low = places.high++;
  return refuses_an_index(c, beyond);
}

/// Places up to the end of the longer axes, where these are the axes that they are places of.
AnySample with_longer_ranges(const OpCase& c, const AnySample& larger, const Sizes& sizes) {
  AnySample longer = larger;
  for (size_t i = 0; i < longer.inputs.size(); ++i) {
    if (!holds_places(c, i)) continue;
    SampleInput& places = longer.inputs[i];
    places.high = static_cast<double>(replaced(sizes, static_cast<int64_t>(places.high)));
    places.low = -static_cast<double>(replaced(sizes, static_cast<int64_t>(-places.low)));
  }
  return refuses_an_index(c, longer) ? larger : longer;
}

struct Grown {
  AnySample sample;
  Sizes sizes;
};

/// The sample with the sizes `chosen` multiplied, wherever they stand, until a tensor of the call
/// has `least` elements; odd where the rule lets them be, so that tiles and vectors end within.
std::optional<Grown> grown(const OpCase& c, const std::set<int64_t>& chosen, int64_t least) {
  for (const bool in_attrs : {false, true}) {
    for (const int64_t more : {1, 0}) {
      for (int64_t factor = 2; factor <= least; factor += factor / 4 + 1) {
        Sizes sizes;
        for (int64_t size : chosen) sizes[size] = size * factor + more;
        AnySample larger = resized(c.sample, sizes);
        if (in_attrs) larger.attrs = resized_attrs(*c.op, c.sample, sizes);
        if (elements(larger) > 8 * least) break;
        const int64_t count = elements_of_call(*c.op, larger);
        if (count > 8 * least) break;
        if (count >= least) return Grown{larger, sizes};
      }
    }
  }
  return {};
}

/// The sizes that become so long, one at a time, that a call takes several threads: of a row's
/// first sample each of them, of the others one. Elementwise rows share a loop: one size of the
/// first.
std::set<int64_t> sizes_for_threads(const OpCase& c, const std::set<int64_t>& sizes) {
  if (sizes.empty()) return {};
  if (is_elementwise(*c.op)) return c.index == 0 ? std::set{*sizes.rbegin()} : std::set<int64_t>();
  if (c.index == 0) return sizes;
  return {*std::next(sizes.begin(), static_cast<int64_t>(c.index % sizes.size()))};
}

/// One axis at a time for the threads (all together where the first sample's rule binds them), then
/// all of them for the tiles.
std::vector<Grown> larger_samples(const OpCase& c) {
  std::vector<Grown> all;
  const auto add = [&](const std::set<int64_t>& sizes, int64_t least) {
    if (auto larger = grown(c, sizes, least)) all.push_back(std::move(*larger));
  };
  const std::set<int64_t> sizes = sizes_of(c);
  for (int64_t size : sizes_for_threads(c, sizes)) add({size}, for_threads);
  add(sizes, all.empty() && c.index == 0 ? for_threads : for_tiles);
  return all;
}

std::string describe(const OpCase& c) {
  std::string text;
  for (const SampleInput& input : c.sample.inputs) text += to_string(input.shape) + " ";
  return text + c.op->print_attrs(c.sample.attrs.get());
}

void check_larger(const OpCase& c, size_t number) {
  const std::string where = describe(c);
  const int64_t terms = elements(c.sample);
  std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
  const Results expected = oracle(*c.op, c.sample, inputs);
  check_results(c, inputs, run(*c.op, c.sample, inputs), expected, where, terms);
  if (takes_floats(c.sample)) {
    check_against_oracle(c, make_inputs(c.sample, DType::bf16), "bf16, " + where, terms);
  }
  if (!c.op->reuse.empty())
    expect_same_if_any_is_donated(c, [&] { return copies_of(inputs); }, where);
  if (inputs.empty()) return;
  Tensor& other = inputs[number % inputs.size()];
  if (other.defined()) other = with_reversed_axes(other);
  check_results(c, inputs, run(*c.op, c.sample, inputs), expected, "reversed axes, " + where,
                terms);
}

/// A weighted sum of the outputs.
Tensor loss_of(const OpCase& c, const std::vector<Tensor>& inputs) {
  Tensor loss = zeros({}, DType::f64);
  uint64_t seed = 50;
  for (const Tensor& output : run_all(*c.op, c.sample, inputs)) {
    if (!is_float(output.dtype())) continue;
    const SampleInput like{.shape = output.shape(), .low = 0.5, .high = 2, .dtype = DType::f64};
    loss = loss + sum(output * make_input(like, DType::f64, seed++));
  }
  return loss;
}

/// What the gradients say along a direction, and a difference.
struct Slopes {
  double by_rule = 0;
  double by_difference = 0;
  double size = 1;  // of the terms
  bool agree() const { return std::abs(by_rule - by_difference) <= 1e-4 * size; }
};

Slopes slopes_of(const OpCase& c, double step) {
  std::vector<Tensor> inputs = make_inputs(c.sample, DType::f64);
  std::vector<Tensor> leaves;
  for (Tensor& input : inputs) {
    if (input.defined() && is_float(input.dtype())) leaves.push_back(input.set_requires_grad());
  }
  const Tensor loss = loss_of(c, inputs);
  if (!loss.requires_grad()) return {};
  const std::vector<Tensor> grads = gradients(loss, leaves);
  std::vector<Tensor> above = inputs;
  std::vector<Tensor> below = inputs;
  Slopes found;
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || !is_float(inputs[i].dtype())) continue;
    const Tensor direction = make_input({.shape = inputs[i].shape()}, DType::f64, 80 + i);
    above[i] = inputs[i].detach() + direction * step;
    below[i] = inputs[i].detach() - direction * step;
    const Tensor& grad = grads[next++];
    if (!grad.defined()) continue;
    found.by_rule += sum(grad * direction).item();
    found.size += sum(abs(grad * direction)).item();
  }
  const no_grad off;
  found.by_difference = (loss_of(c, above).item() - loss_of(c, below).item()) / (2 * step);
  return found;
}

/// Whether the row computes in f64 what it gets in f64.
bool keeps_double(const OpCase& c) {
  const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f64);
  const Specs specs = inferred(*c.op, c.sample, as_args(inputs));
  for (int i = 0; i < specs.count; ++i) {
    if (is_float(specs[i].dtype) && specs[i].dtype != DType::f64) return false;
  }
  return true;
}

void check_larger_gradients(const OpCase& c) {
  if (c.op->why_not_differentiable != nullptr || !takes_floats(c.sample) || !keeps_double(c))
    return;
  const Slopes wide = slopes_of(c, 1e-7);
  if (wide.agree()) return;
  // One of thousands may lie at a jump, whose slope grows as the step shrinks.
  const Slopes narrow = slopes_of(c, 1e-8);
  if (std::abs(narrow.by_difference) > 4 * std::abs(wide.by_difference)) return;
  EXPECT_TRUE(narrow.agree()) << describe(c) << ": " << wide.by_rule << ", the difference is "
                              << wide.by_difference;
}

class OpLarge : public ::testing::TestWithParam<OpCase> {
 protected:
  void SetUp() override { set_threads(3); }
  void TearDown() override { set_threads(before_); }

 private:
  int before_ = threads();
};

TEST_P(OpLarge, AgreesWithItsMeaningBeyondATileAndAThread) {
  size_t number = GetParam().index;
  for (const Grown& larger : larger_samples(GetParam())) {
    const AnySample sample = with_longer_ranges(GetParam(), larger.sample, larger.sizes);
    check_larger({GetParam().op, sample, GetParam().index}, number++);
  }
}

TEST_P(OpLarge, ItsGradientsAgreeWithADifference) {
  const std::vector<Grown> all = larger_samples(GetParam());
  if (all.empty()) return;
  const Grown& larger = all.back();
  const AnySample sample = with_longer_ranges(GetParam(), larger.sample, larger.sizes);
  check_larger_gradients({GetParam().op, sample, GetParam().index});
}

TEST_P(OpLarge, AgreesWithItsMeaningInDtypesThatNoSampleAsksFor) {
  const OpCase& given = GetParam();
  if (given.index != 0 || !takes_floats(given.sample)) return;
  const std::vector<Grown> larger = larger_samples(given);
  if (larger.empty()) return;
  const AnySample sample = with_longer_ranges(given, larger[0].sample, larger[0].sizes);
  for (DType to : all_dtypes) {
    if (is_float(to)) continue;
    const std::optional<AnySample> changed = with_dtype(sample, DType::f32, to);
    if (!changed) continue;
    const OpCase c{given.op, *changed, given.index};
    const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
    if (!accepts(*c.op, c.sample, inputs)) continue;
    try {
      // The oracle of c128 is no more exact: its own sums lose as much as they have terms.
      const int64_t terms = elements(c.sample) * (to == DType::c128 ? elements(c.sample) : 1);
      check_against_oracle(c, inputs, std::string(dtype_name(to)) + ", " + describe(c), terms);
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::internal) << error.what();
      EXPECT_TRUE(c.op->refuses_values) << error.what();
    }
  }
}

TEST(Rows, HaveASampleThatGrowsBeyondAThread) {
  for (const OpBase* op : all_ops()) {
    int64_t most = 0;  // stays so for a rule that takes no larger sizes: a key has two elements
    size_t index = 0;
    for (AnySample& sample : op->samples()) {
      const OpCase c{op, std::move(sample), index++};
      if (!c.sample.error.empty()) continue;
      for (const Grown& larger : larger_samples(c)) {
        most = std::max(most, elements_of_call(*op, larger.sample));
      }
    }
    EXPECT_TRUE(most == 0 || most >= for_threads) << op->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, OpLarge, ::testing::ValuesIn(all_cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

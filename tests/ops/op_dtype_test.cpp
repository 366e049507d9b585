// Every row x sample in the dtypes that no sample asks for: operands of one dtype become each other
// integer and complex one, and an attribute that is a dtype each other one, wherever the row's rule
// takes them.

#include <algorithm>
#include <memory>
#include <optional>

#include "tests/ops/op_donation.h"
#include "tests/ops/op_dtypes.h"
#include "tests/ops/op_layouts.h"

namespace taper::testing {
namespace {

/// The attributes as they are and with each other dtype in the place of one that they hold.
std::vector<std::shared_ptr<const void>> attrs_in_every_dtype(const OpCase& c) {
  std::vector<std::shared_ptr<const void>> all{c.sample.attrs};
  const Fields fields = c.op->attrs_to_fields(c.sample.attrs.get());
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto* text = fields[i].second.get_if<std::string>();
    const auto is_name_of = [&](DType dtype) {
      return text != nullptr && *text == dtype_name(dtype);
    };
    if (std::ranges::none_of(all_dtypes, is_name_of)) continue;
    for (DType dtype : all_dtypes) {
      Fields changed = fields;
      changed[i].second = Value(dtype_name(dtype));
      all.push_back(c.op->attrs_from_fields(changed));
    }
  }
  return all;
}

/// Whether the oracle computes in integers, which hold numbers of any size.
bool is_exact(const OpCase& c, const std::vector<Tensor>& inputs) {
  const Results expected = oracle(*c.op, c.sample, inputs);
  const Specs specs = inferred(*c.op, c.sample, as_args(inputs));
  for (int i = 0; i < specs.count; ++i) {
    if (expected[i].defined() && is_inexact(expected[i].dtype())) return false;
  }
  return true;
}

/// Results in the memory of donated operands, and of operands in other memory, one at a time.
void check_memory(const OpCase& c, const std::vector<Tensor>& inputs, const std::string& where) {
  if (!c.op->reuse.empty()) {
    expect_same_if_any_is_donated(c, [&] { return copies_of(inputs); }, where);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) continue;
    for (const auto& change : {with_reversed_axes, with_gaps}) {
      std::vector<Tensor> changed = inputs;
      changed[i] = change(inputs[i]);
      check_against_oracle(c, changed, where + ", operand " + std::to_string(i) + " elsewhere");
    }
  }
}

/// Whether the row's rule takes the call, which is then held against the oracle.
bool check_call(const OpCase& c, DType floating, Spread spread, const std::string& where) {
  const std::vector<Tensor> inputs = make_inputs(c.sample, floating);
  if (!accepts(*c.op, c.sample, inputs)) return false;
  try {
    if (spread == Spread::whole) {
      run(*c.op, c.sample, inputs);  // first: it refuses what no oracle takes
      if (!is_exact(c, inputs)) return true;
    }
    check_against_oracle(c, inputs, where);
    check_memory(c, inputs, where);
  } catch (const Error& error) {
    EXPECT_NE(error.kind(), ErrorKind::internal) << where << ": " << error.what();
    EXPECT_TRUE(c.op->refuses_values) << error.what();  // these numbers are none of its own
  }
  return true;
}

/// The number of calls that the row's rule takes, with the attributes in every dtype.
size_t check_every_dtype(const OpCase& given, DType floating, Spread spread,
                         const std::string& where) {
  size_t calls = 0;
  OpCase c = given;
  for (const auto& attrs : attrs_in_every_dtype(given)) {
    c.sample.attrs = attrs;
    calls += check_call(c, floating, spread, where + " " + c.op->print_attrs(attrs.get()));
  }
  return calls;
}

class OpDtype : public ::testing::TestWithParam<OpCase> {};

/// The dtypes of a sample's operands.
std::vector<DType> dtypes_of(const AnySample& sample) {
  std::vector<DType> all;
  for (const SampleInput& input : sample.inputs) {
    const bool is_new = std::ranges::find(all, input.dtype) == all.end();
    if (!input.absent && is_new) all.push_back(input.dtype);
  }
  return all;
}

TEST_P(OpDtype, OfOperandsAndAttributesMayBeAnyThatTheRuleTakes) {
  const OpCase& c = GetParam();
  size_t calls = 0;
  for (DType floating : floating_dtypes) {
    calls += check_every_dtype(c, floating, Spread::moderate, std::string(dtype_name(floating)));
    if (!takes_floats(c.sample)) break;
  }
  for (DType from : dtypes_of(c.sample)) {
    for (DType to : all_dtypes) {
      if (is_float(to) || to == from) continue;
      for (const Spread spread : {Spread::moderate, Spread::whole}) {
        const std::optional<AnySample> changed = with_dtype(c.sample, from, to, spread);
        if (!changed) continue;
        const std::string where(dtype_name(to));
        calls += check_every_dtype({c.op, *changed, c.index}, DType::f32, spread, where);
      }
    }
  }
  EXPECT_GE(calls, 1u);
}

/// The dtypes of one kind are taken all, or none: of samples whose operands have one dtype.
TEST_P(OpDtype, OfOneKindAreTakenTogether) {
  const OpCase& c = GetParam();
  const std::vector<DType> given = dtypes_of(c.sample);
  if (given.size() != 1 || !is_float(given[0])) return;  // places and keys are i32 or i64
  for (const Kind kind : {Kind::signed_integer, Kind::unsigned_integer, Kind::complex}) {
    std::vector<std::string_view> taken;
    std::vector<std::string_view> refused;
    for (DType to : all_dtypes) {
      const std::optional<AnySample> changed = with_dtype(c.sample, given[0], to);
      if (!changed || kind_of(to) != kind) continue;
      const bool is_taken = accepts(*c.op, *changed, make_inputs(*changed, DType::f32));
      (is_taken ? taken : refused).push_back(dtype_name(to));
    }
    EXPECT_TRUE(taken.empty() || refused.empty())
        << "takes " << taken[0] << " but not " << refused[0];
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, OpDtype, ::testing::ValuesIn(all_cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

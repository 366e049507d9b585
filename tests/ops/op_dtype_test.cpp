// Every row x sample in the dtypes that no sample asks for: operands of one dtype become each other
// integer and complex one, and an attribute that is a dtype each other one, wherever the row's rule
// takes them.

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "tests/ops/op_compare.h"

namespace taper::testing {
namespace {

struct Range {
  double low;
  double high;  // exclusive
};

Range range_of(DType dtype) {
  if (is_bool(dtype)) return {0, 2};
  return visit_dtype(dtype, []<class T>() {
    using Limits = std::numeric_limits<T>;
    return Range{static_cast<double>(Limits::lowest()), static_cast<double>(Limits::max()) + 1};
  });
}

/// Where a sample's numbers are of either sign: all that a narrow dtype has, so that it is told
/// from its neighbours, and of the others numbers whose products an oracle in f64 holds.
Range wide_range_of(DType dtype) {
  return item_size(dtype) <= 2 ? range_of(dtype) : Range{-1e5, 1e5};
}

/// The input filled with numbers of an integer or complex dtype or bool like those that it asks
/// for; false if the dtype has none of them.
bool fill_with(SampleInput& input, DType dtype) {
  if (is_complex(dtype)) {
    input.dtype = dtype;
    return true;
  }
  Range range = range_of(dtype);
  if (is_float(input.dtype) && input.low < 0 && input.high > 0) {
    range = wide_range_of(dtype);
    input.low = range.low;
    input.high = range.high;
  } else if (is_float(input.dtype)) {
    input.low = std::floor(input.low * 8);
    input.high = std::max(std::ceil(input.high * 8), input.low + 1);
  }
  if (input.away > 0) input.away = 1;
  input.low = std::max(input.low, range.low);
  input.high = std::min(input.high, range.high);
  input.dtype = dtype;
  return input.low < input.high;
}

/// The sample with all operands of dtype `from` as ones of `to`.
std::optional<AnySample> with_dtype(const AnySample& sample, DType from, DType to) {
  AnySample changed = sample;
  for (SampleInput& input : changed.inputs) {
    if (!input.absent && input.dtype == from && !fill_with(input, to)) return {};
  }
  return changed;
}

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

/// The number of calls that the row's rule takes, each held against the oracle.
size_t check_every_dtype(const OpCase& given, DType floating, const std::string& where) {
  size_t calls = 0;
  OpCase c = given;
  for (const auto& attrs : attrs_in_every_dtype(given)) {
    c.sample.attrs = attrs;
    const std::vector<Tensor> inputs = make_inputs(c.sample, floating);
    if (!accepts(*c.op, c.sample, inputs)) continue;
    ++calls;
    try {
      check_against_oracle(c, inputs, where + " " + c.op->print_attrs(attrs.get()));
    } catch (const Error& error) {
      EXPECT_TRUE(c.op->refuses_values) << error.what();  // these numbers are none of its own
    }
  }
  return calls;
}

class OpDtype : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpDtype, OfOperandsAndAttributesMayBeAnyThatTheRuleTakes) {
  const OpCase& c = GetParam();
  std::vector<DType> groups;
  for (const SampleInput& input : c.sample.inputs) {
    const bool is_new = std::ranges::find(groups, input.dtype) == groups.end();
    if (!input.absent && is_new) groups.push_back(input.dtype);
  }
  size_t calls = 0;
  for (DType floating : floating_dtypes) {
    calls += check_every_dtype(c, floating, std::string(dtype_name(floating)));
    if (!takes_floats(c.sample)) break;
  }
  for (DType from : groups) {
    for (DType to : all_dtypes) {
      if (is_float(to) || to == from) continue;
      const std::optional<AnySample> changed = with_dtype(c.sample, from, to);
      if (!changed) continue;
      const std::string where(dtype_name(to));
      calls += check_every_dtype({c.op, *changed, c.index}, DType::f32, where);
    }
  }
  EXPECT_GE(calls, 1u);
}

INSTANTIATE_TEST_SUITE_P(Rows, OpDtype, ::testing::ValuesIn(all_cases(false)), name_of);

}  // namespace
}  // namespace taper::testing

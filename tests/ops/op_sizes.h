#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tests/ops/op_compare.h"

// Samples with other sizes, which are replaced wherever they stand so that shapes still fit.

namespace taper::testing {

using Sizes = std::map<int64_t, int64_t>;  // what each size becomes

inline int64_t replaced(const Sizes& sizes, int64_t size) {
  const auto found = sizes.find(size);
  return found == sizes.end() ? size : found->second;
}

/// The attributes with every size in a list, such as a shape, replaced; null if they make no sense.
inline std::shared_ptr<const void> resized_attrs(const OpBase& op, const AnySample& sample,
                                                 const Sizes& sizes) {
  Fields fields = op.attrs_to_fields(sample.attrs.get());
  for (auto& [name, value] : fields) {
    const auto* integers = value.get_if<Value::Integers>();
    if (integers == nullptr) continue;
    Value::Integers list = *integers;
    for (int64_t& size : list) size = replaced(sizes, size);
    value = Value(list);
  }
  try {
    return op.attrs_from_fields(fields);
  } catch (const Error&) {
    return nullptr;
  }
}

inline AnySample resized(const AnySample& sample, const Sizes& sizes) {
  AnySample larger = sample;
  for (SampleInput& input : larger.inputs) {
    for (int64_t& size : input.shape) size = replaced(sizes, size);
  }
  return larger;
}

inline std::vector<Tensor> without_values(const AnySample& sample) {
  std::vector<Tensor> inputs;
  for (const SampleInput& input : sample.inputs) {
    inputs.push_back(input.absent ? Tensor() : empty(input.shape, input.dtype));
  }
  return inputs;
}

inline int64_t elements(const AnySample& sample) {
  int64_t most = 0;
  for (const SampleInput& input : sample.inputs) most = std::max(most, input.shape.numel());
  return most;
}

inline Specs specs_of(const OpBase& op, const AnySample& sample) {
  const std::vector<Tensor> inputs = without_values(sample);
  return inferred(op, sample, as_args(inputs));
}

/// The elements of the largest operand or output; 0 if the rule refuses the call.
inline int64_t elements_of_call(const OpBase& op, const AnySample& sample) {
  if (sample.attrs == nullptr || !accepts(op, sample, without_values(sample))) return 0;
  int64_t most = elements(sample);
  const Specs specs = specs_of(op, sample);
  for (int i = 0; i < specs.count; ++i) most = std::max(most, specs[i].shape.numel());
  return most;
}

/// The sizes above one of operands and outputs.
inline std::set<int64_t> sizes_of(const OpCase& c) {
  std::set<int64_t> sizes;
  const auto add = [&](const Shape& shape) {
    std::ranges::copy_if(shape, std::inserter(sizes, sizes.end()), [](int64_t s) { return s > 1; });
  };
  for (const SampleInput& input : c.sample.inputs) add(input.shape);
  const Specs specs = specs_of(*c.op, c.sample);
  for (int i = 0; i < specs.count; ++i) add(specs[i].shape);
  return sizes;
}

}  // namespace taper::testing

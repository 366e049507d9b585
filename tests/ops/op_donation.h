#pragma once

#include <string>
#include <vector>

#include "tests/ops/op_compare.h"

namespace taper::testing {

/// The values in buffers that nobody else holds.
inline std::vector<Tensor> copies_of(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> copies = inputs;
  for (Tensor& copy : copies) {
    if (!copy.defined()) continue;
    const Tensor x = std::move(copy);
    const std::string bytes = bits(x);
    copy = empty(x.spec());
    std::memcpy(copy.raw(), bytes.data(), bytes.size());
  }
  return copies;
}

/// Calls the row with the operands of `donated` given up: the results have the bits of `expected`,
/// and the other operands stay as they were.
inline void expect_same_if_donated(const OpCase& c, const std::vector<Tensor>& inputs,
                                   const std::vector<size_t>& donated,
                                   const std::vector<Tensor>& expected, const std::string& where) {
  std::vector<Arg> args = as_args(inputs);
  for (size_t i : donated) args[i].donated = true;
  std::vector<std::string> before;
  for (const Tensor& input : inputs) before.push_back(input.defined() ? bits(input) : "");
  const Results results = call(*c.op, c.sample.attrs.get(), args);
  for (size_t k = 0; k < expected.size(); ++k) {
    const std::string which = where + ", output " + std::to_string(k);
    expect_same_bits(results[static_cast<int>(k)], expected[k], which);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined() || args[i].donated) continue;
    EXPECT_TRUE(bits(inputs[i]) == before[i]) << where << ": operand " << i << " has changed";
  }
}

/// Each operand in turn, and all together. `make()` gives operands that nobody else holds.
template <class Make>
void expect_same_if_any_is_donated(const OpCase& c, Make&& make, const std::string& where) {
  const std::vector<Tensor> kept = make();
  const std::vector<Tensor> expected = run_all(*c.op, c.sample, kept);
  std::vector<size_t> all;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (!kept[i].defined()) continue;
    all.push_back(i);
    const std::string which = where + ", operand " + std::to_string(i) + " donated";
    expect_same_if_donated(c, make(), {i}, expected, which);
  }
  expect_same_if_donated(c, make(), all, expected, where + ", all operands donated");
}

}  // namespace taper::testing

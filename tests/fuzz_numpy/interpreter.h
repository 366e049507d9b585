#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <taper/core/tensor.h>

// The steps of programs that fuzz.py writes, run by Taper's functions.

namespace taper::fuzz {

using Json = nlohmann::json;

/// The variables of a program, by slot.
using Slots = std::map<int, Tensor>;

/// {"dtype", "shape", "values"}.
Tensor tensor_of(const Json& json);

/// `[1.5, "nan"]` as numbers.
std::vector<double> doubles_of(const Json& values);

/// Runs one step, which defines, changes or drops the variable of its slot `out`.
void run_step(const Json& step, Slots& slots);

}  // namespace taper::fuzz

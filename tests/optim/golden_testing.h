// What the tests with PyTorch's numbers share.
#pragma once

#include <string>
#include <vector>

#include <taper/core/value.h>

#include "tests/io/file_testing.h"

namespace taper::testing {

/// A file beside this one.
inline Value golden(const std::string& name) {
  return parse_json(content_of(std::string(TAPER_SOURCE_DIR) + "/tests/optim/" + name));
}

inline std::vector<double> numbers_in(const Value& value) {
  return FieldCodec<std::vector<double>>::from_value(value);
}

inline std::vector<std::vector<double>> table_in(const Value& value) {
  return FieldCodec<std::vector<std::vector<double>>>::from_value(value);
}

}  // namespace taper::testing

// Calls of the rows that are worth a measurement: matrices of each dtype in each memory order.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/value.h>
#include <taper/ops/op.h>

namespace taper::cli {

/// How a matrix lies in memory; `strided` is every second column of one that is twice as wide.
enum class CaseLayout : uint8_t { contiguous, transposed, strided };

/// An operand of a case, uniform in [low, high).
struct CaseOperand {
  Shape shape = {};
  DType dtype = DType::f32;
  CaseLayout layout = CaseLayout::contiguous;
  double low = -1;
  double high = 1;
};

/// One call of a row; an operand that it leaves out is none.
struct RowCase {
  const OpBase* op;
  Fields attrs;
  std::vector<std::optional<CaseOperand>> operands;
};

/// The cases of a row with matrices of `size` rows and columns: as in a sample of matrices, by
/// each dtype, layout and axis that it takes. A row that takes no matrices has none.
std::vector<RowCase> row_cases(const OpBase& op, int64_t size);

/// `{"op": "sum", "attrs": {"axis": [1]}, "inputs": [{"shape": [1000, 1000], "dtype": "f32",
/// "layout": "contiguous", "low": -1, "high": 1}]}`, and back; a wrong text throws Error.
Value to_value(const RowCase& each);
RowCase parse_case(const std::string& text);

/// `sum f32 transposed axis=[0]`
std::string label(const RowCase& each);

/// The operands with values.
std::vector<Tensor> make_operands(const RowCase& each);

}  // namespace taper::cli

template <>
struct taper::EnumNames<taper::cli::CaseLayout> {
  static constexpr std::array<std::string_view, 3> names{"contiguous", "transposed", "strided"};
};

#include <taper/nn/operands.h>

#include <taper/core/error.h>

namespace taper::nn::detail {

std::vector<std::string> operand_names(std::span<const std::string_view> known, size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    names.push_back(i < known.size() ? std::string(known[i])
                                     : "x" + (i == 0 ? std::string() : std::to_string(i)));
  }
  return names;
}

void fail_count(const std::string& who, const Operands& operands, size_t count) {
  const size_t most = operands.names.size();
  std::string text = who + " takes " + std::to_string(operands.required);
  if (most > operands.required) text += " to " + std::to_string(most);
  text += most == 1 ? " tensor (" : " tensors (";
  for (size_t i = 0; i < most; ++i) text += (i == 0 ? "" : ", ") + operands.names[i];
  fail(ErrorKind::value, text + "), got " + std::to_string(count));
}

}  // namespace taper::nn::detail

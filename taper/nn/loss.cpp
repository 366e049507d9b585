#include <taper/nn/loss.h>

namespace taper::nn::detail {

std::span<const std::string_view> loss_operands() {
  static constexpr std::array<std::string_view, 2> names{"input", "target"};
  return names;
}

}  // namespace taper::nn::detail

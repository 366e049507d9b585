// What the rows of losses share.
#pragma once

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/reduction.h>

namespace taper {

inline constexpr AttributeDoc reduction_line{
    "reduction", "What is done with the losses: nothing, their mean or their sum."};

inline Tensor reduce_loss(const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::none:
      return losses;
    case Reduction::sum:
      return sum(losses);
    case Reduction::mean:
      return mean(losses);
  }
  return losses;
}

inline Spec loss_spec(const Spec& input, const Shape& losses, Reduction reduction) {
  Spec out = input;
  out.shape = reduction == Reduction::none ? losses : Shape{};
  return out;
}

/// The one output of a row.
inline Results one_result(Tensor tensor) {
  Results results;
  results[0] = std::move(tensor);
  return results;
}

}  // namespace taper

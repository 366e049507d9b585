#pragma once

#include <taper/ops/op.h>

namespace taper {

/// How a fresh output lies in memory.
struct OutputLayout {
  Strides strides;
  bool row_major;
};

/// The memory order of an output of a kernel, by the row's `layout`: of the operands only specs and
/// strides count.
OutputLayout output_layout(const OpBase& op, std::span<const Arg> args, const Spec& spec);

}  // namespace taper

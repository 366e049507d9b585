#pragma once

#include <memory>
#include <span>
#include <vector>

#include <taper/ops/op.h>

namespace taper {

/// Throws for operands of a kind that the row does not take.
void check_kinds(const OpBase& op, std::span<const Arg> args);
[[noreturn]] void refuse_kind(Kind kind);

/// The operands of a call with the one dtype that the row's promotion gives them; numbers are 0-d
/// tensors. Throws value for a number that the dtype cannot hold.
class Promoted {
 public:
  Promoted(const OpBase& op, std::span<const Arg> args);
  Promoted(const Promoted&) = delete;
  Promoted& operator=(const Promoted&) = delete;

  std::span<const Arg> args() const { return args_; }

 private:
  static constexpr size_t inline_count = 3;
  struct Many {
    std::vector<Arg> args;
    std::vector<Tensor> made;
  };
  Arg few_args_[inline_count];
  Tensor few_made_[inline_count];
  std::unique_ptr<Many> many_;
  std::span<const Arg> args_;
};

/// The number as a 0-d tensor. Throws a Violation (value) if the dtype cannot hold it.
Tensor number_tensor(const Number& number, DType dtype);

/// The result of comparing integers with a number that holds everywhere or nowhere, such as one out
/// of their range; undefined if the elements matter.
Tensor settled_comparison(const OpBase& op, std::span<const Arg> args);

}  // namespace taper

#pragma once

#include <taper/backend/cpu/reduce.h>

namespace taper {

/// Complex numbers as real ones of twice the strides: the real parts, or the imaginary ones.
class Part {
 public:
  Part(const View& whole, bool imaginary);
  View view() const { return {data_, &spec_, &strides_, false}; }

 private:
  Spec spec_;
  Strides strides_;
  std::byte* data_;
};

/// Sums and means of complex numbers.
void reduce_parts(ReduceKind kind, const View& x, const View& out, const Shape& axes);

}  // namespace taper

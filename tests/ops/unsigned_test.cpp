#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <taper/ops/index/indexing.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

// Unsigned numbers in the upper half of their range, which as signed ones would be negative. The
// loops over the rows keep to numbers that a double holds. Expected: C++'s own arithmetic.

namespace taper {
namespace {

using testing::thrown_text;

template <class T>
class Unsigned : public ::testing::Test {
 protected:
  static constexpr T top = std::numeric_limits<T>::max();
  static constexpr T half = top / 2 + 1;

  std::vector<T> a = {0, 1, 2, half, half - 1, T(half + 3), top, T(top - 1), 7};
  std::vector<T> b = {top, half, 3, 1, half, 2, top, half, 5};
  Tensor x = tensor(a);
  Tensor y = tensor(b);

  /// What the op of two operands gives must be what `f` gives.
  template <class Op, class F>
  void expect(const Op& op, F f) {
    const auto actual = op(x, y).template to_vector<uint64_t>();
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(actual[i], static_cast<uint64_t>(f(a[i], b[i]))) << +a[i] << " and " << +b[i];
    }
  }
};

using Types = ::testing::Types<uint8_t, uint16_t, uint32_t, uint64_t>;
TYPED_TEST_SUITE(Unsigned, Types);

TYPED_TEST(Unsigned, AreComparedByTheirValue) {
  using T = TypeParam;
  this->expect(less, [](T a, T b) { return a < b; });
  this->expect(less_equal, [](T a, T b) { return a <= b; });
  this->expect(greater, [](T a, T b) { return a > b; });
  this->expect(greater_equal, [](T a, T b) { return a >= b; });
  this->expect(equal, [](T a, T b) { return a == b; });
  this->expect(not_equal, [](T a, T b) { return a != b; });
  this->expect(maximum, [](T a, T b) { return std::max(a, b); });
  this->expect(minimum, [](T a, T b) { return std::min(a, b); });
}

TYPED_TEST(Unsigned, WrapAround) {
  using T = TypeParam;
  this->expect(add, [](T a, T b) { return T(a + b); });
  this->expect(subtract, [](T a, T b) { return T(a - b); });
  this->expect(multiply, [](T a, T b) { return T(uint64_t{a} * b); });
  this->expect(remainder, [](T a, T b) { return T(a % b); });
  this->expect(bitwise_xor, [](T a, T b) { return T(a ^ b); });
  const auto low_bits = matmul(this->x, this->y).template item<uint64_t>();
  uint64_t sum = 0;
  for (size_t i = 0; i < this->a.size(); ++i) sum += uint64_t{this->a[i]} * this->b[i];
  EXPECT_EQ(low_bits, uint64_t{static_cast<T>(sum)});
}

TYPED_TEST(Unsigned, HaveNoSign) {
  using T = TypeParam;
  EXPECT_EQ(abs(this->x).template to_vector<T>(), this->a);
  EXPECT_EQ(floor(this->x).template to_vector<T>(), this->a);
  EXPECT_EQ(sign(this->x).template to_vector<int>(), (std::vector<int>{0, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(clip(this->x, 1).template to_vector<T>()[6], this->top);
  EXPECT_EQ(clip(this->x, {}, this->half).template to_vector<T>()[6], this->half);
  EXPECT_EQ(pow(this->x, 2).template to_vector<T>()[5], T(T(this->half + 3) * T(this->half + 3)));
}

TYPED_TEST(Unsigned, AreReducedByTheirValue) {
  EXPECT_EQ(max(this->x).template item<uint64_t>(), this->top);
  EXPECT_EQ(min(this->x).template item<uint64_t>(), 0u);
  EXPECT_EQ(argmax(this->x).template item<int>(), 6);
  EXPECT_EQ(argmin(this->y).template item<int>(), 3);
  EXPECT_EQ(argmax(reshape(this->x, {3, 3}), 0).template to_vector<int>(),
            (std::vector<int>{2, 2, 1}));
  EXPECT_EQ(max(reshape(this->x, {3, 3}), 1).template to_vector<uint64_t>(),
            (std::vector<uint64_t>{2, uint64_t{this->half} + 3, this->top}));
  uint64_t total = 0;
  for (auto value : this->a) total += value;
  EXPECT_EQ(sum(this->x).template item<uint64_t>(), total);
}

/// So many that several blocks are compared.
TYPED_TEST(Unsigned, AreReducedByTheirValueInBlocks) {
  using T = TypeParam;
  const auto with_one = [](T others, T one) {
    const DType dtype = dtype_of<T>;
    return concat(
        {full({150'000}, others, dtype), full({1}, one, dtype), full({50'000}, others, dtype)});
  };
  const Tensor high = with_one(this->half - 1, this->top);
  const Tensor low = with_one(this->half, this->half - 1);
  EXPECT_EQ(argmax(high).template item<int>(), 150'000);
  EXPECT_EQ(argmax(with_one(1, 5)).template item<int>(), 150'000);
  EXPECT_EQ(max(high).template item<T>(), this->top);
  EXPECT_EQ(argmin(low).template item<int>(), 150'000);
  EXPECT_EQ(min(low).template item<T>(), T(this->half - 1));
}

TYPED_TEST(Unsigned, AreConvertedByTheirValue) {
  using T = TypeParam;
  const auto reals = astype(this->x, DType::f64).template to_vector<double>();
  for (size_t i = 0; i < reals.size(); ++i) {
    EXPECT_EQ(reals[i], static_cast<double>(this->a[i]));
  }
  EXPECT_EQ(astype(tensor({-1, -300}), dtype_of<T>).template to_vector<T>(),
            (std::vector<T>{T(-1), T(-300)}));
  EXPECT_EQ(astype(tensor({-1.5, 1e30, 2.5}), dtype_of<T>).template to_vector<T>(),
            (std::vector<T>{0, this->top, 2}));
  EXPECT_EQ(divide(this->x, 2).dtype(), DType::f32);
  EXPECT_EQ(Tensor(this->x[6]).template item<T>(), this->top);
}

TYPED_TEST(Unsigned, AreComparedExactlyWithNumbers) {
  const Tensor top = full({1}, this->top, dtype_of<TypeParam>);
  const double end = static_cast<double>(this->half) * 2;  // one above the largest
  EXPECT_TRUE(less(top, end).template item<bool>());
  EXPECT_FALSE(greater_equal(top, end).template item<bool>());
  EXPECT_TRUE(greater(top, -1).template item<bool>());
  EXPECT_TRUE(equal(top, this->top).template item<bool>());
  EXPECT_TRUE(less(this->half, top).template item<bool>());
  EXPECT_TRUE(greater(top, static_cast<double>(this->half)).template item<bool>());
}

TEST(UnsignedOnes, OfSixtyFourBitsHaveNoCommonDtypeWithSignedOnes) {
  const Tensor x = zeros({2}, DType::u64);
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { (void)(x + zeros({2}, DType::i32)); }),
            "add: u64 and i32 have no common integer dtype; convert one with astype (x1 u64[2], x2 "
            "i32[2])");
  EXPECT_EQ((x + zeros({2}, DType::u8)).dtype(), DType::u64);
  EXPECT_EQ((x + 1).dtype(), DType::u64);
  EXPECT_EQ((x + zeros({2}, DType::f16)).dtype(), DType::f16);
  EXPECT_EQ((zeros({2}, DType::u32) + zeros({2}, DType::i32)).dtype(), DType::i64);
}

TEST(UnsignedOnes, MakeRangesUpToTheirEnd) {
  const uint64_t top = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(arange(top - 2, top, 1, DType::u64).to_vector<uint64_t>(),
            (std::vector<uint64_t>{top - 2, top - 1}));
}

TEST(UnsignedOnes, AreAttributesWithoutALoss) {
  const uint64_t top = std::numeric_limits<uint64_t>::max();
  for (const OpBase* op : all_ops()) {
    if (op->name != "full") continue;
    Fields fields = {{"shape", Value(Value::Integers{2})}, {"dtype", Value("u64")}};
    fields.emplace_back("value", FieldCodec<Number>::to_value(top));
    const auto attrs = op->attrs_from_fields(fields);
    EXPECT_EQ(call(*op, attrs.get(), {})[0].to_vector<uint64_t>(),
              (std::vector<uint64_t>{top, top}));
  }
}

}  // namespace
}  // namespace taper

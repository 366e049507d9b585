// What a loop over the rows calls, a binding say, behaves like the C++ function: promotion and
// numbers belong to the call.

#include <gtest/gtest.h>

#include "tests/core/error_testing.h"
#include "tests/ops/op_cases.h"

namespace taper::testing {
namespace {

Tensor call_by_name(std::string_view name, const std::vector<Arg>& args) {
  const OpBase& op = Registry<OpBase>::get(std::string(name), "op");
  return std::move(call(op, op.attrs_from_fields({}).get(), args)[0]);
}

void expect_same(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(to_string(actual), to_string(expected));
}

TEST(Promotion, MixedDtypesMeetInTheCall) {
  const Tensor whole = tensor({1, -2, 3}, DType::i32);
  const Tensor bytes = tensor({1, 0, 255}, DType::u8);
  const Tensor real = tensor({0.5, 1.5, 2.5});
  expect_same(call_by_name("add", {whole, real}), whole + real);
  expect_same(call_by_name("add", {whole, real}), tensor({1.5, -0.5, 5.5}));
  expect_same(call_by_name("multiply", {bytes, whole}), tensor({1, 0, 765}, DType::i32));
  expect_same(call_by_name("divide", {whole, bytes}), tensor({1.0, -INFINITY, 3.0 / 255}));
  expect_same(call_by_name("sqrt", {bytes}), sqrt(tensor({1.0, 0.0, 255.0})));
  expect_same(call_by_name("less", {whole, real}), tensor({false, true, false}));
  expect_same(call_by_name("logical_and", {whole, real}), tensor({true, true, true}));
  expect_same(call_by_name("where", {tensor({true, false, true}), whole, real}),
              tensor({1.0, 1.5, 3.0}));
  expect_same(call_by_name("concat", {bytes, whole}), tensor({1, 0, 255, 1, -2, 3}, DType::i32));
  expect_same(call_by_name("matmul", {real, whole}), full({}, 5));
}

TEST(Promotion, LossesTakeTheTargetInTheDtypeOfTheInput) {
  const Tensor input = tensor({0.5, 1.5});
  expect_same(call_by_name("mse_loss", {input, tensor({1, 1})}), full({}, 0.25));
  expect_same(call_by_name("mse_loss", {input, tensor({1, 1}, DType::f64)}), full({}, 0.25));
}

TEST(Promotion, NumbersTakeTheDtypeOfTheTensorsBesideThem) {
  const Tensor whole = tensor({1, -2, 3}, DType::i32);
  const Tensor flags = tensor({true, false});
  const Tensor half = tensor({1.5, 2.5}, DType::f16);
  expect_same(call_by_name("add", {whole, Number(2)}), tensor({3, 0, 5}, DType::i32));
  expect_same(call_by_name("add", {Number(2.5), whole}), tensor({3.5, 0.5, 5.5}));
  expect_same(call_by_name("add", {half, Number(1e30)}), tensor({INFINITY, INFINITY}, DType::f16));
  expect_same(call_by_name("add", {flags, Number(2)}), tensor({3, 2}));
  expect_same(call_by_name("add", {Number(2), Number(3)}), full({}, 5, DType::i64));
  expect_same(call_by_name("divide", {tensor({6}, DType::u8), Number(300)}), tensor({0.02}));
  expect_same(call_by_name("clip", {whole, Number(-1), Number(2)}), tensor({1, -1, 2}, DType::i32));
  expect_same(call_by_name("clip", {whole, Number(0.5)}), tensor({1.0, 0.5, 3.0}));
  expect_same(call_by_name("exp", {Number(0)}), full({}, 1));
}

TEST(Promotion, ComparisonsOfIntegersWithNumbersAreExact) {
  const Tensor bytes = tensor({0, 2, 255}, DType::u8);
  expect_same(call_by_name("less", {bytes, Number(2.5)}), tensor({true, true, false}));
  expect_same(call_by_name("less", {Number(2.5), bytes}), tensor({false, false, true}));
  expect_same(call_by_name("less_equal", {bytes, Number(1e30)}), tensor({true, true, true}));
  expect_same(call_by_name("equal", {bytes, Number(-1)}), tensor({false, false, false}));
  expect_same(call_by_name("greater", {bytes, Number(255.5)}), tensor({false, false, false}));
  expect_same(call_by_name("less", {bytes, Number(255.5)}), tensor({true, true, true}));
}

TEST(Promotion, ErrorsNameTheOperandsAsTheyWereGiven) {
  const Tensor whole = zeros({2, 3}, DType::i32);
  EXPECT_EQ(
      thrown_text(ErrorKind::shape, [&] { call_by_name("add", {whole, zeros({2})}); }),
      "add: shapes [2,3] and [2] do not broadcast: axis -1 has 3 and 2 (x1 i32[2,3], x2 f32[2])");
  EXPECT_EQ(
      thrown_text(ErrorKind::value,
                  [&] { call_by_name("add", {whole, Number(int64_t{1} << 40)}); }),
      "add: 1099511627776 is out of the range of i32, -2147483648 to 2147483647 (x1 i32[2,3])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { call_by_name("take", {whole, Number(1)}); }),
            "take: takes tensors, not numbers (x i32[2,3])");
  EXPECT_EQ(
      thrown_text(ErrorKind::value, [&] { call_by_name("where", {Number(1), whole, whole}); }),
      "where: condition must be a tensor, not a number (x1 i32[2,3], x2 i32[2,3])");
}

/// Whatever stands where a tensor is expected, a row answers with a result or the user's error.
TEST(Promotion, ANumberInAnyPlaceOfAnyRowIsTakenOrRefused) {
  for (const OpCase& c : all_cases(false)) {
    const std::vector<Tensor> inputs = make_inputs(c.sample, DType::f32);
    for (size_t i = 0; i < inputs.size(); ++i) {
      SCOPED_TRACE(case_name(c) + ", operand " + std::to_string(i));
      for (const Number& number : {Number(1), Number(-0.5), Number(true), Number(UINT64_MAX),
                                   Number(Complex<double>(1, 2))}) {
        std::vector<Arg> args = as_args(inputs);
        args[i] = Arg(number);
        try {
          call(*c.op, c.sample.attrs.get(), args);
        } catch (const Error& error) {
          EXPECT_NE(error.kind(), ErrorKind::internal) << error.what();
        }
      }
    }
  }
}

TEST(Promotion, GradientsReachTheOperandInItsOwnDtype) {
  Tensor half = tensor({1.5, 2.5}, DType::f16);
  half.set_requires_grad();
  sum(half * tensor({2.0, 3.0})).backward();
  expect_same(half.grad(), tensor({2.0, 3.0}, DType::f16));
}

}  // namespace
}  // namespace taper::testing

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <taper/autograd/gradcheck.h>
#include <taper/core/threads.h>
#include <taper/graph/compile.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

using Values = std::vector<double>;

/// 0, 1, 2, ... in this shape.
Tensor counting(const Shape& shape, DType dtype = DType::f32) {
  return reshape(arange(0, static_cast<double>(shape.numel()), 1, dtype), shape);
}

void expect_tensor(const Tensor& x, const Shape& shape, const Values& values) {
  EXPECT_EQ(x.shape().to_vector(), shape.to_vector());
  EXPECT_EQ(x.to_vector<double>(), values);
}

template <class Run>
void expect_error(ErrorKind kind, const std::string& text, Run&& run) {
  try {
    run();
    ADD_FAILURE() << "no error, expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

// ---------------------------------------------------------------------------------- reading

TEST(Indexing, IntegersDropTheirAxis) {
  const Tensor x = counting({3, 4});
  expect_tensor(x[1], {4}, {4, 5, 6, 7});
  expect_tensor(x[-1], {4}, {8, 9, 10, 11});
  expect_tensor(x[{1, 2}], {}, {6});
  expect_tensor(x[{size_t{2}, int8_t{-4}}], {}, {8});
}

TEST(Indexing, Slices) {
  const Tensor x = counting({3, 4});
  expect_tensor(x[Slice(0, 2)], {2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  expect_tensor(x[{Slice(), Slice(1, 3)}], {3, 2}, {1, 2, 5, 6, 9, 10});
  expect_tensor(x[{2, Slice(std::nullopt, std::nullopt, -1)}], {4}, {11, 10, 9, 8});
  expect_tensor(x[{Slice(-1, std::nullopt), Slice(std::nullopt, std::nullopt, 2)}], {1, 2},
                {8, 10});
  expect_tensor(x[{Slice(std::nullopt, -5, -2), 0}], {2}, {8, 0});
  expect_tensor(x[Slice(2, 1)], {0, 4}, {});
  expect_tensor(x[{Slice(5, 100), Slice(-100, 1)}], {0, 1}, {});
}

TEST(Indexing, EllipsisAndNewAxis) {
  const Tensor x = counting({2, 2, 3});
  expect_tensor(x[{ellipsis, 1}], {2, 2}, {1, 4, 7, 10});
  expect_tensor(x[{1, ellipsis, Slice(0, 2)}], {2, 2}, {6, 7, 9, 10});
  expect_tensor(x[{0, newaxis, 1}], {1, 3}, {3, 4, 5});
  expect_tensor(x[{0, 0, ellipsis, newaxis}], {3, 1}, {0, 1, 2});
  expect_tensor(x[{0, 0, 0, ellipsis}], {}, {0});
  expect_tensor(counting({2})[newaxis], {1, 2}, {0, 1});
  EXPECT_EQ(x[ellipsis].raw(), x.raw());
}

TEST(Indexing, ViewsShareTheBuffer) {
  const Tensor x = counting({3, 4});
  const Tensor row = x[{1, Slice(std::nullopt, std::nullopt, -1)}];
  EXPECT_EQ(row.raw(), x.raw() + 7 * sizeof(float));
  EXPECT_EQ(row.strides()[0], -1);
  expect_tensor(counting({2, 3, 4})[{Slice(), 1}][{Slice(), 2}], {2}, {6, 18});
}

TEST(Indexing, TensorOfIntegers) {
  const Tensor x = counting({3, 4});
  expect_tensor(x[tensor<int64_t>({2, 0})], {2, 4}, {8, 9, 10, 11, 0, 1, 2, 3});
  expect_tensor(x[{Slice(1, 3), tensor<int32_t>({-1, 0, 0})}], {2, 3}, {7, 4, 4, 11, 8, 8});
  expect_tensor(x[{1, tensor<uint8_t>({3, 1})}], {2}, {7, 5});
  expect_tensor(x[{newaxis, from_values<int64_t>({1, 2}, std::vector<int64_t>{1, 1}), 0}],
                {1, 1, 2}, {4, 4});
}

TEST(Indexing, ASelectionIsATensor) {
  Tensor x = counting({2, 2});
  auto row = x[1];
  expect_tensor(add(row, x[0]), {2}, {2, 4});
  expect_tensor(x[0] + x[1] * 2, {2}, {4, 7});
  EXPECT_EQ((x[{0, 1}].item()), 1);
  row = ones({2});  // a named one is a value of its own
  row += 1;
  row[0] = 7;
  expect_tensor(row, {2}, {7, 2});
  expect_tensor(x, {2, 2}, {0, 1, 2, 3});
}

TEST(Indexing, MasksPickWhereTheyAreTrue) {
  const Tensor x = counting({2, 3});
  expect_tensor(x[greater(x, 2)], {3}, {3, 4, 5});
  expect_tensor(x[greater(x, 9)], {0}, {});
  expect_tensor(x[equal(arange(2), 1)], {1, 3}, {3, 4, 5});
  expect_tensor(x[{Slice(), not_equal(arange(3), 1)}], {2, 2}, {0, 2, 3, 5});
  const Tensor cube = counting({2, 2, 3});
  const Tensor mask = greater(counting({2, 2}), 1);
  expect_tensor(cube[mask], {2, 3}, {6, 7, 8, 9, 10, 11});
  expect_tensor(cube[{1, not_equal(arange(2), 0), Slice(1, {})}], {1, 2}, {10, 11});
  expect_tensor(cube[{newaxis, ellipsis, equal(arange(3), 2)}], {1, 2, 2, 1}, {2, 5, 8, 11});
}

TEST(Indexing, MasksLetGradientsThrough) {
  Tensor x = counting({2, 3});
  x.set_requires_grad();
  sum(square(index(x, {greater(x.detach(), 2)}))).backward();
  expect_tensor(x.grad(), {2, 3}, {0, 0, 0, 6, 8, 10});
}

TEST(IndexAssignment, ThroughMasks) {
  Tensor x = counting({2, 3});
  x[greater(x, 3)] = -1;
  expect_tensor(x, {2, 3}, {0, 1, 2, 3, -1, -1});
  x[equal(arange(2), 0)] = tensor({7.f, 8.f, 9.f});
  expect_tensor(x, {2, 3}, {7, 8, 9, 3, -1, -1});
  x[greater(x, 7)] *= 2;
  expect_tensor(x, {2, 3}, {7, 16, 18, 3, -1, -1});
  x[{Slice(), not_equal(arange(3), 1)}] = tensor({5.f, 6.f});
  expect_tensor(x, {2, 3}, {5, 16, 6, 5, -1, 6});
}

TEST(Indexing, Errors) {
  const Tensor x = counting({3, 4});
  const char* text = "index 5 is out of range for axis 0 of size 3 (x f32[3,4])";
  expect_error(ErrorKind::index, text, [&] { (void)x[5]; });
  expect_error(ErrorKind::index, "index -5 is out of range for axis 1 of size 4",
               [&] { (void)x[{ellipsis, -5}]; });
  expect_error(ErrorKind::index, "too many indices: 3 for 2 axes (x f32[3,4])",
               [&] { (void)x[{0, Slice(), 0}]; });
  expect_error(ErrorKind::index, "at most one ellipsis", [&] { (void)x[{ellipsis, ellipsis}]; });
  expect_error(ErrorKind::value, "the step must not be 0", [&] { (void)x[Slice(0, 1, 0)]; });
  expect_error(ErrorKind::index,
               "the mask bool[4] must have the sizes of the axes from 0 on (x f32[3,4])",
               [&] { (void)x[equal(arange(4), 1)]; });
  expect_error(ErrorKind::index, "too many indices: 3 for 2 axes",
               [&] { (void)x[{0, greater(x, 3)}]; });
  expect_error(ErrorKind::dtype, "an index tensor must hold integers, got f32[3,4]",
               [&] { (void)x[x]; });
  expect_error(ErrorKind::index,
               "index: index 3 at position 1 is out of range for axis 0 of size 3",
               [&] { (void)x[tensor<int64_t>({0, 3})]; });
  expect_error(ErrorKind::value, "undefined", [] { (void)Tensor()[0]; });
  const std::string layer = "net.embed";
  const LayerScope scope(layer);
  expect_error(ErrorKind::index, "(x f32[3,4]) in net.embed", [&] { (void)x[5]; });
}

// ---------------------------------------------------------------------------------- assigning

TEST(IndexAssignment, ReplacesTheSelectedPlaces) {
  Tensor x = zeros({3, 4});
  x[1] = 5;
  x[{ellipsis, 0}] = tensor({1.f, 2.f, 3.f});
  x[{Slice(0, 2), Slice(std::nullopt, 1, -1)}] = from_values<float>({2, 1}, std::vector{8.f, 9.f});
  expect_tensor(x, {3, 4}, {1, 0, 8, 8, 2, 5, 9, 9, 3, 0, 0, 0});
  x[{2, 3}] = -1.5;
  EXPECT_EQ((x[{2, 3}].item()), -1.5);
  x[ellipsis] = 2;
  expect_tensor(x, {3, 4}, Values(12, 2));
  EXPECT_TRUE(x.is_contiguous());
}

TEST(IndexAssignment, OtherHandlesKeepTheirValues) {
  Tensor x = counting({2, 3});
  const Tensor copy = x;
  const Tensor view = x[0];
  const Tensor transposed = matrix_transpose(x);
  x[0] = 100;
  x[{1, 1}] += 0.5;
  expect_tensor(x, {2, 3}, {100, 100, 100, 3, 4.5, 5});
  expect_tensor(copy, {2, 3}, {0, 1, 2, 3, 4, 5});
  expect_tensor(view, {3}, {0, 1, 2});
  expect_tensor(transposed, {3, 2}, {0, 3, 1, 4, 2, 5});
}

TEST(IndexAssignment, ASoleOwnersBufferIsReused) {
  Tensor x = full({64, 64}, 1);
  const std::byte* before = x.raw();
  x[3] = 2;
  x[{Slice(0, 10), 5}] += 1;
  x[0][1] = 9;
  EXPECT_EQ(x.raw(), before);
  EXPECT_EQ(x[0][1].item(), 9);
  EXPECT_EQ((x[{3, 5}].item()), 3);
}

TEST(IndexAssignment, FromItself) {
  Tensor x = counting({2, 3});
  x[0] = x[1];
  expect_tensor(x, {2, 3}, {3, 4, 5, 3, 4, 5});
  x = counting({4});
  x[Slice(1, 4)] = x[Slice(0, 3)];  // overlapping: the right side is read first
  expect_tensor(x, {4}, {0, 0, 1, 2});
  x[Slice()] = x[Slice(std::nullopt, std::nullopt, -1)];
  expect_tensor(x, {4}, {2, 1, 0, 0});
}

TEST(IndexAssignment, ChainsReachTheTensor) {
  Tensor x = zeros({2, 2, 2});
  x[1][0] = 3;
  x[1][{1, 1}] += 4;
  x[0][1][0] = 5;
  expect_tensor(x, {2, 2, 2}, {0, 0, 5, 0, 3, 3, 0, 4});
}

TEST(IndexAssignment, Arithmetic) {
  Tensor x = counting({4});
  x[0] += 10;
  x[1] -= 10;
  x[2] *= tensor({4.f});
  x[3] /= 2;
  expect_tensor(x, {4}, {10, -9, 8, 1.5});
}

TEST(IndexAssignment, ValuesTakeTheDtypeAndMayHaveLeadingOnes) {
  Tensor x = zeros({2, 3}, DType::i32);
  x[0] = tensor<double>({1.9, -1.9, 3.0});
  x[1] = counting({1, 1, 3}, DType::i64);
  EXPECT_EQ(x.dtype(), DType::i32);
  expect_tensor(x, {2, 3}, {1, -1, 3, 0, 1, 2});
}

TEST(IndexAssignment, ErrorsLeaveTheTensorAsItWas) {
  Tensor x = counting({2, 3});
  expect_error(
      ErrorKind::shape,
      "index_update: values do not broadcast to the selection [3] (x f32[2,3], values f32[2])",
      [&] { x[0] = zeros({2}); });
  expect_error(ErrorKind::shape, "do not broadcast", [&] { x[0] = zeros({2, 3}); });
  expect_error(ErrorKind::index, "index 2 is out of range", [&] { x[2] = 1; });
  expect_error(ErrorKind::index, "index 2 at position 1 is out of range for axis 0 of size 2",
               [&] { x[tensor<int64_t>({0, 2})] = 1; });
  expect_error(
      ErrorKind::shape,
      "index_update: values do not broadcast to the selection [3] (x f32[2,3], values f32[2])",
      [&] { x[{tensor<int64_t>({0, 1, 0}), 1}] = zeros({2}); });
  expect_error(ErrorKind::index, "the mask bool[2] must have the sizes of the axes from 1 on",
               [&] { x[{0, equal(arange(2), 1)}] = 1; });
  expect_error(
      ErrorKind::shape,
      "index_update: values do not broadcast to the selection [2] (x f32[2,3], values f32[3])",
      [&] { x[greater(x, 3)] = zeros({3}); });
  expect_tensor(x, {2, 3}, {0, 1, 2, 3, 4, 5});
}

// The values are NumPy's: x[[0, 2], [1, -1]], x[0, :, [2, 0]], x[[[0], [1]], :, [0, 2]].
TEST(Indexing, SeveralIndexTensorsGoTogether) {
  const Tensor x = counting({3, 4});
  const Tensor rows = tensor<int64_t>({0, 2});
  expect_tensor(x[{rows, tensor<int8_t>({1, -1})}], {2}, {1, 11});
  const Tensor cube = counting({2, 2, 3});
  expect_tensor(cube[{0, Slice(), tensor<int32_t>({2, 0})}], {2, 2}, {2, 5, 0, 3});
  expect_tensor(cube[{reshape(arange(2), {2, 1}), Slice(), tensor<uint8_t>({0, 2})}], {2, 2, 2},
                {0, 3, 2, 5, 6, 9, 8, 11});
  expect_tensor(x[{greater(arange(3), 0), rows}], {2}, {4, 10});
  expect_tensor(x[true], {1, 3, 4}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  expect_tensor(x[{false, 1}], {0, 4}, {});
  expect_error(ErrorKind::shape, "index tensors and masks beside each other",
               [&] { (void)x[{rows, arange(3)}]; });
  expect_error(ErrorKind::index, "index 3 at position 0 is out of range for axis 2 of size 3",
               [&] { (void)cube[{0, Slice(), tensor<int64_t>({3})}]; });
}

TEST(IndexAssignment, ThroughIndexTensors) {
  Tensor x = counting({2, 3}, DType::i64);
  x[{tensor<int64_t>({0, 1}), tensor<int64_t>({-1, 0})}] = tensor<int64_t>({70, 80});
  expect_tensor(x, {2, 3}, {0, 1, 70, 80, 4, 5});
  x[greater(x, 60)] = -1;
  expect_tensor(x, {2, 3}, {0, 1, -1, -1, 4, 5});
  x[{equal(arange(2), 1), 0}] = 9;
  expect_tensor(x, {2, 3}, {0, 1, -1, 9, 4, 5});
  x[tensor<int64_t>({1, 1, 0})] += 100;  // once for each place, as in NumPy
  expect_tensor(x, {2, 3}, {100, 101, 99, 109, 104, 105});
  x[{0, tensor<int64_t>({2, 2, 2})}] = tensor<int64_t>({1, 2, 3});
  expect_tensor(x, {2, 3}, {100, 101, 3, 109, 104, 105});
}

TEST(IndexAssignment, ReusesTheBufferForIndexTensorsMasksAndSeveralItems) {
  Tensor x = full({64, 64}, 1);
  const std::byte* before = x.raw();
  x[tensor<int64_t>({3, 5})] = 2;
  x[{4, 7}] = 3;
  x[{Slice(0, 10, 2), tensor<int64_t>({1, 2})}] -= 4;
  x[less(x, 0)] = 8;
  EXPECT_EQ(x.raw(), before);
  EXPECT_EQ((x[{2, 1}].item()), 8);
}

TEST(IndexAssignment, TheLastOfEqualPlacesWinsWhateverTheThreads) {
  const int64_t count = 200000;
  const Tensor places = randint(-500, 500, {count});
  const std::vector<int64_t> where_to = places.to_vector<int64_t>();
  std::vector<double> expected(500, -1);
  for (size_t i = 0; i < where_to.size(); ++i) {
    const int64_t place = where_to[i];
    expected[static_cast<size_t>(place < 0 ? place + 500 : place)] = static_cast<double>(i);
  }
  const int before = threads();
  for (int many : {1, 3}) {
    set_threads(many);
    Tensor x = full({500}, -1, DType::f64);
    x[places] = arange(count);
    EXPECT_EQ(x.to_vector<double>(), expected);
  }
  set_threads(before);
}

TEST(IndexAssignment, EmptySelection) {
  Tensor x = counting({3});
  x[Slice(2, 1)] = 7;
  x[Slice(3, 3)] = zeros({0});
  expect_tensor(x, {3}, {0, 1, 2});
}

// ---------------------------------------------------------------------------------- gradients

TEST(IndexGradient, OfReading) {
  Tensor x = counting({3, 4});
  x.set_requires_grad();
  sum(x[{1, Slice(std::nullopt, std::nullopt, -2)}] * tensor({2.f, 3.f})).backward();
  expect_tensor(x.grad(), {3, 4}, {0, 0, 0, 0, 0, 3, 0, 2, 0, 0, 0, 0});
  sum(x[0]).backward();
  expect_tensor(x.grad(), {3, 4}, {1, 1, 1, 1, 0, 3, 0, 2, 0, 0, 0, 0});
}

TEST(IndexGradient, OfTensorIndicesAddsUp) {
  Tensor x = counting({3, 2});
  x.set_requires_grad();
  const Tensor weights = from_values<float>({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6});
  sum(x[tensor<int64_t>({2, 0, -1})] * weights).backward();
  expect_tensor(x.grad(), {3, 2}, {3, 4, 0, 0, 6, 8});
}

TEST(IndexGradient, OfAssignment) {
  Tensor x = counting({2, 3});
  x.set_requires_grad();
  Tensor v = tensor({10.f});
  v.set_requires_grad();
  Tensor y = x * 2;
  y[{0, Slice(0, 2)}] = v;
  expect_tensor(y, {2, 3}, {10, 10, 4, 6, 8, 10});
  sum(y * y).backward();
  expect_tensor(x.grad(), {2, 3}, {0, 0, 16, 24, 32, 40});
  expect_tensor(v.grad(), {1}, {40});
}

TEST(IndexGradient, SecondOrderThroughIndexTensors) {
  const Tensor rows = tensor<int64_t>({0, 2, 0});
  const Tensor columns = tensor<int32_t>({1, -1, 1});
  const auto reads = [&](const std::vector<Tensor>& in) {
    return square(index(in[0], {rows, columns})) * in[1];
  };
  const auto assigns = [&](const std::vector<Tensor>& in) {
    return square(index_update(in[0], {rows, columns}, square(in[1])));
  };
  const Tensor x = counting({3, 4}, DType::f64) * 0.3;
  const Tensor values = tensor({1.5, -0.5, 2.0}, DType::f64);
  EXPECT_TRUE(gradgradcheck(reads, {x, values}));
  EXPECT_TRUE(gradgradcheck(assigns, {x, values}));
}

// ---------------------------------------------------------------------------------- capture

TEST(IndexCapture, IndexTensorsAndAssigningThroughMasks) {
  auto step = compile([](const Tensor& given, const Tensor& rows) {
    Tensor x = given * 1;
    x[{rows, 0}] = 50;
    x[less(x, 2)] = -1;
    x[{greater(sum(x, 1), 20), 1}] = 7;
    return index(x, {rows});
  });
  for (int i = 0; i < 2; ++i) {
    const Tensor y = step(counting({3, 2}), tensor<int64_t>({2, 0, 2}));
    expect_tensor(y, {3, 2}, {50, 7, 50, 7, 50, 7});
  }
}

TEST(IndexCapture, ReadingThroughAMaskNamesWhere) {
  const Tensor x = counting({4});
  auto reads = compile([](const Tensor& given) { return sum(index(given, {less(given, 2)})); });
  expect_error(ErrorKind::unsupported, "`where`", [&] { reads(x); });
  auto selects = compile([](const Tensor& given) {
    Tensor y = given;
    return sum(y[less(y, 2)]);
  });
  expect_error(ErrorKind::unsupported, "`where`", [&] { selects(x); });
  auto pairs =
      compile([](const Tensor& given) { return index_update(given, {less(given, 2)}, ones({2})); });
  expect_error(ErrorKind::unsupported, "`where`", [&] { pairs(x); });
}

// ---------------------------------------------------------------------------------- the ops

TEST(Slice, FlipAndUpdate) {
  const Tensor x = counting({2, 3});
  expect_tensor(flip(x, 1), {2, 3}, {2, 1, 0, 5, 4, 3});
  expect_tensor(flip(x, -2), {2, 3}, {3, 4, 5, 0, 1, 2});
  const Tensor y = slice_update(x, tensor({7.f, 8.f, 9.f}), 0, 1, std::nullopt);
  expect_tensor(y, {2, 3}, {0, 1, 2, 7, 8, 9});
  expect_tensor(x, {2, 3}, {0, 1, 2, 3, 4, 5});
}

TEST(Concat, PromotesAndJoins) {
  const Tensor joined = concat({tensor<int32_t>({1, 2}), tensor({0.5f})});
  EXPECT_EQ(joined.dtype(), DType::f32);
  expect_tensor(joined, {3}, {1, 2, 0.5});
  expect_tensor(concat({counting({2, 1}), counting({2, 2})}, -1), {2, 3}, {0, 0, 1, 1, 2, 3});
  expect_tensor(concat({matrix_transpose(counting({2, 2})), ones({1, 2})}), {3, 2},
                {0, 2, 1, 3, 1, 1});
  expect_error(ErrorKind::value, "concat: needs at least one tensor", [] { concat({}); });
  expect_error(ErrorKind::value, "concat: xs[1] is undefined",
               [] { concat({ones({1}), Tensor()}); });
}

TEST(Concat, Stack) {
  expect_tensor(stack({counting({2}), ones({2})}), {2, 2}, {0, 1, 1, 1});
  expect_tensor(stack({counting({2}), ones({2})}, -1), {2, 2}, {0, 1, 1, 1});
  expect_tensor(stack({full({}, 3), full({}, 4)}), {2}, {3, 4});
  expect_error(ErrorKind::shape, "must have one shape (xs[0] f32[2], xs[1] f32[3])",
               [] { stack({ones({2}), ones({3})}); });
}

TEST(Pad, FillsTheBorder) {
  expect_tensor(pad(ones({1, 2}), {1, 0, 1, 1}, 5), {2, 4}, {5, 5, 5, 5, 5, 1, 1, 5});
  const double infinity = std::numeric_limits<double>::infinity();
  expect_tensor(pad(ones({1}), {1, 0}, -infinity), {2}, {-infinity, 1});
  expect_error(ErrorKind::value, "pad: 300 is out of the range of u8, 0 to 255 (x u8[1])",
               [] { pad(zeros({1}, DType::u8), {0, 1}, 300); });
}

TEST(Take, ErrorsNameValueAndPosition) {
  const Tensor x = counting({2, 10});
  expect_error(ErrorKind::index, "index 12 at position 3 is out of range for axis 1 of size 10",
               [&] { take(x, tensor<int64_t>({0, 1, 2, 12, 13}), 1); });
  expect_error(ErrorKind::index, "index -11 at position 1 is out of range for axis 1 of size 10",
               [&] { take_along_axis(x, from_values<int32_t>({2, 1}, std::vector{0, -11}), 1); });
  expect_error(ErrorKind::index, "one_hot: index 3 at position 1 is not in [0, 3)",
               [] { one_hot(tensor<int64_t>({0, 3}), 3); });
}

TEST(Take, TheFirstWrongIndexIsNamedWhateverTheThreads) {
  std::vector<int64_t> indices(200000, 0);
  indices[150000] = 7;
  indices[70000] = 5;
  expect_error(ErrorKind::index, "index 5 at position 70000",
               [&] { take(ones({2}), from_values<int64_t>({200000}, indices)); });
}

TEST(TakeAlongAxis, OtherAxesBroadcast) {
  const Tensor x = counting({2, 3});
  expect_tensor(take_along_axis(x, from_values<int64_t>({2, 1}, std::vector<int64_t>{2, 0})),
                {2, 1}, {2, 3});
  expect_tensor(take_along_axis(x, from_values<int64_t>({1, 2}, std::vector<int64_t>{2, 0})),
                {2, 2}, {2, 0, 5, 3});
}

/// The gradient of take and take_along_axis in one thread and in several.
template <class Pick>
void expect_same_bits(const Shape& shape, Pick&& pick) {
  std::vector<float> grads[2];
  const int before = threads();
  for (int many = 0; many < 2; ++many) {
    set_threads(many == 0 ? 1 : 3);
    Tensor x = zeros(shape);
    x.set_requires_grad();
    sum(pick(x)).backward();
    grads[many] = x.grad().to_vector<float>();
  }
  set_threads(before);
  EXPECT_EQ(grads[0], grads[1]);
}

TEST(Take, GradientsHaveTheSameBitsForAllNumbersOfThreads) {
  const int64_t count = 60000;
  std::vector<int64_t> indices;
  std::vector<float> weights;
  for (int64_t i = 0; i < count * 8; ++i) {
    indices.push_back(i * 7919 % 100);
    weights.push_back(std::sin(static_cast<float>(i)));
  }
  const Tensor weight = from_values<float>({count, 8}, weights);
  const Tensor rows = slice(from_values<int64_t>({count * 8}, indices), 0, 0, count);
  const Tensor along = from_values<int64_t>({count, 8}, indices);
  expect_same_bits({100, 8}, [&](const Tensor& x) { return take(x, rows) * weight; });
  expect_same_bits({100, 8},
                   [&](const Tensor& x) { return take_along_axis(x, along, 0) * weight; });
}

TEST(Take, SixteenBitGradientsAreSummedInFloat) {
  Tensor x = zeros({2}, DType::bf16);
  x.set_requires_grad();
  sum(take(x, zeros({1000}, DType::i64))).backward();
  expect_tensor(x.grad(), {2}, {1000, 0});
  Tensor y = zeros({2}, DType::f16);
  y.set_requires_grad();
  sum(take_along_axis(y, ones({3000}, DType::i32))).backward();
  expect_tensor(y.grad(), {2}, {0, 3000});
}

TEST(OneHot, Dtypes) {
  expect_tensor(one_hot(tensor<uint8_t>({2, 0}), 3), {2, 3}, {0, 0, 1, 1, 0, 0});
  EXPECT_EQ(one_hot(tensor<int64_t>({1}), 2, DType::boolean).dtype(), DType::boolean);
}

TEST(AsType, FloatsToIntegersNeverOverflow) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x = tensor<double>({nan, infinity, -infinity, 2.9, -2.9, 1e30, -0.9});
  expect_tensor(astype(x, DType::i8), {7}, {0, 127, -128, 2, -2, 127, 0});
  expect_tensor(astype(x, DType::u8), {7}, {0, 255, 0, 2, 0, 255, 0});
  expect_tensor(astype(astype(x, DType::f32), DType::i32), {7},
                {0, 2147483647, -2147483648.0, 2, -2, 2147483647, 0});
  EXPECT_EQ(astype(x, DType::i64).to_vector<int64_t>()[1], INT64_MAX);
  expect_tensor(astype(x, DType::boolean), {7}, {1, 1, 1, 1, 1, 1, 1});
}

TEST(AsType, IntegersKeepTheirLowBits) {
  const Tensor x = tensor<int64_t>({300, -1, 128, int64_t{1} << 32});
  expect_tensor(astype(x, DType::u8), {4}, {44, 255, 128, 0});
  expect_tensor(astype(x, DType::i8), {4}, {44, -1, -128, 0});
  expect_tensor(astype(x, DType::boolean), {4}, {1, 1, 1, 1});
}

TEST(AsType, KeepsTheStrideOrderAndSharesIfEqual) {
  const Tensor x = matrix_transpose(counting({40, 50}));
  const Tensor y = astype(x, DType::f16);
  EXPECT_EQ(y.strides(), x.strides());
  EXPECT_EQ(astype(y, DType::f32).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(astype(x, DType::f32).raw(), x.raw());
  expect_tensor(astype(slice(tensor({1.5f, 2.5f, 3.5f}), 0, {}, {}, -2), DType::bf16), {2},
                {3.5, 1.5});
}

TEST(AsType, GradientReturnsInTheInputsDtype) {
  Tensor x = counting({2}, DType::f64);
  x.set_requires_grad();
  sum(astype(x, DType::f32) * 3).backward();
  EXPECT_EQ(x.grad().dtype(), DType::f64);
  expect_tensor(x.grad(), {2}, {3, 3});
}

TEST(Indexing, AnIndexThatNoIntegerHoldsIsOutOfRange) {
  Tensor x = counting({3});
  const std::vector<int> none;
  expect_error(ErrorKind::index, "index 18446744073709551615 is out of range",
               [&] { x[none.size() - 1]; });
}

TEST(IndexAssignment, UpdatesKeepTheDtypeOrSaySo) {
  Tensor x = tensor({7, 8, 9});
  x[0] %= 4;
  x[1] &= 12;
  x[2] |= 2;
  x[2] ^= 1;
  expect_tensor(x, {3}, {3, 8, 10});
  for (const auto& update : std::vector<std::function<void()>>{
           [&] { x[0] += 0.5; }, [&] { x[0] -= INFINITY; }, [&] { x[0] /= 2; }}) {
    expect_error(ErrorKind::dtype, "the result is f32 and x is not", update);
  }
  expect_tensor(x, {3}, {3, 8, 10});
}

TEST(IndexAssignment, APartOfWhatAMaskPicksNamesTheMask) {
  auto f = compile([](const Tensor& given) {
    Tensor x = given * 1;
    x[greater(x, 0)][0] = 1;
    return x;
  });
  expect_error(ErrorKind::unsupported, "a mask picks as many elements as it has true ones",
               [&] { f(ones({2})); });
}

}  // namespace
}  // namespace taper

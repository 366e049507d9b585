#include <taper/core/tensor.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <taper/core/allocator.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;
using Floats = std::vector<float>;

Floats values_of(const Tensor& x) { return x.to_vector<float>(); }

Tensor counted(const Shape& shape) {
  return astype(reshape(arange(shape.numel()), shape), float32);
}

// ---------------------------------------------------------------------------------- values

TEST(TensorValues, CopiesShareTheBuffer) {
  const Tensor x = counted({3});
  const Tensor copy = x;
  EXPECT_EQ(copy.raw(), x.raw());
}

TEST(TensorValues, NoWriteThroughOneIsSeenByAnother) {
  Tensor x = counted({4});
  const Tensor copy = x;
  const Tensor view = slice(x, 0, 1, 3);
  const Tensor detached = x.detach();
  x += 10;
  EXPECT_EQ(values_of(x), (Floats{10, 11, 12, 13}));
  x[0] = -1;
  x[{Slice(2, 4)}] = 7;
  EXPECT_EQ(values_of(x), (Floats{-1, 11, 7, 7}));
  EXPECT_EQ(values_of(copy), (Floats{0, 1, 2, 3}));
  EXPECT_EQ(values_of(view), (Floats{1, 2}));
  EXPECT_EQ(values_of(detached), (Floats{0, 1, 2, 3}));
}

TEST(TensorValues, NoWriteThroughAViewIsSeenByItsBase) {
  const Tensor base = counted({2, 3});
  Tensor row = base[1];
  Tensor turned = matrix_transpose(base);
  Tensor flat = reshape(base, {6});
  row *= 2;
  turned[{0, 1}] = 50;
  flat -= 1;
  EXPECT_EQ(values_of(base), (Floats{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of(row), (Floats{6, 8, 10}));
  EXPECT_EQ(values_of(turned), (Floats{0, 50, 1, 4, 2, 5}));
  EXPECT_EQ(values_of(flat), (Floats{-1, 0, 1, 2, 3, 4}));
}

TEST(TensorValues, ASoleOwnersBufferIsReused) {
  Tensor x = counted({1000});
  const std::byte* before = x.raw();
  x += 1;
  x *= 2;
  x[3] = 5;
  EXPECT_EQ(x.raw(), before);
  EXPECT_EQ(x[3].item(), 5);
  EXPECT_EQ(x[4].item(), 10);
}

TEST(TensorValues, AnOperandMayStandOnBothSides) {
  Tensor x = counted({3});
  x += x;
  EXPECT_EQ(values_of(x), (Floats{0, 2, 4}));
  x[{Slice(0, 2)}] = slice(x, 0, 1, 3);
  EXPECT_EQ(values_of(x), (Floats{2, 4, 4}));
}

// ---------------------------------------------------------------------------------- views

TEST(TensorViews, DoNotCopy) {
  const Tensor x = counted({4, 6});
  const auto offset_of = [&](const Tensor& view) {
    return reinterpret_cast<const float*>(view.raw()) - reinterpret_cast<const float*>(x.raw());
  };
  EXPECT_EQ(offset_of(reshape(x, {2, 12})), 0);
  EXPECT_EQ(offset_of(flatten(x)), 0);
  EXPECT_EQ(offset_of(permute_dims(x, {1, 0})), 0);
  EXPECT_EQ(offset_of(broadcast_to(x, {3, 4, 6})), 0);
  EXPECT_EQ(offset_of(expand_dims(x, 1)), 0);
  EXPECT_EQ(offset_of(squeeze(expand_dims(x, 1), 1)), 0);
  EXPECT_EQ(offset_of(x[2]), 12);
  EXPECT_EQ(offset_of(slice(x, 1, 2, 5)), 2);
  EXPECT_EQ(offset_of(flip(x, 0)), 18);
  EXPECT_EQ(offset_of(contiguous(x)), 0);
  EXPECT_EQ(values_of(slice(flip(x, 1), 0, 1, 2)), (Floats{11, 10, 9, 8, 7, 6}));
}

TEST(TensorViews, KeepTheBufferAlive) {
  Tensor view;
  {
    const Tensor x = counted({1000});
    view = x[{Slice(990, 1000)}];
  }
  const Tensor other = full({1000}, -1);
  EXPECT_EQ(values_of(view), (Floats{990, 991, 992, 993, 994, 995, 996, 997, 998, 999}));
  EXPECT_EQ(other[999].item(), -1);
}

TEST(TensorViews, EmptyOnesAreContiguous) {
  const Tensor x = slice(matrix_transpose(counted({3, 4})), 0, 0, 0);
  EXPECT_EQ(x.shape(), (Shape{0, 3}));
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_NE(x.data<float>(), nullptr);
  EXPECT_TRUE(values_of(x).empty());
}

// ---------------------------------------------------------------------------------- reading

TEST(TensorReading, SizesAndSpec) {
  const Tensor x = empty({2, 3, 4}, DType::i16);
  EXPECT_EQ(to_string(x.spec()), "i16[2,3,4]");
  EXPECT_EQ(x.size(0), 2);
  EXPECT_EQ(x.size(-1), 4);
  EXPECT_EQ(x.numel(), 24);
  EXPECT_EQ(x.device(), Device());
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { x.size(3); }),
            "size: axis must be in [-3, 2], got 3 (x i16[2,3,4])");
}

TEST(TensorReading, UndefinedIsNotDefined) {
  EXPECT_FALSE(Tensor().defined());
  EXPECT_TRUE(empty({0}).defined());
}

TEST(TensorReading, UndefinedHasNothingToRead) {
  const Tensor none;
  const std::string text = "the tensor is undefined: it has no shape, dtype or values";
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.spec(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)none.numel(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)none.item(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.to_vector<float>(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.data<float>(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { Tensor().set_requires_grad(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.detach(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { shallow_copy(none); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { view_of(none, {}, {}, 0); }), text);
}

TEST(TensorReading, ItemConverts) {
  EXPECT_EQ(tensor({2.5f}).item(), 2.5);
  EXPECT_EQ(tensor<double>({2.5}).item<float>(), 2.5f);
  EXPECT_EQ(tensor({2.5f}).item<int>(), 2);
  EXPECT_EQ(tensor({true}).item<int>(), 1);
  EXPECT_EQ(tensor<int8_t>({-3}).item(), -3);
  EXPECT_EQ(astype(tensor({1.5f}), DType::bf16).item(), 1.5);
  EXPECT_EQ(reshape(tensor<int>({7}), {1, 1, 1}).item<int>(), 7);
}

TEST(TensorReading, ItemKeepsEveryBitOfAnInteger) {
  const int64_t odd = (int64_t{1} << 53) + 1;  // no double has this value
  EXPECT_EQ(tensor<int64_t>({odd}).item<int64_t>(), odd);
  EXPECT_EQ(tensor<int64_t>({INT64_MIN}).item<int64_t>(), INT64_MIN);
  EXPECT_EQ(tensor<int64_t>({INT64_MAX}).item<int64_t>(), INT64_MAX);
}

TEST(TensorReading, ItemNeedsExactlyOneElement) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { tensor({1.f, 2.f}).item(); }),
            "item: needs exactly one element, got f32[2]");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { empty({0, 3}, DType::i64).item<int>(); }),
            "item: needs exactly one element, got i64[0,3]");
}

TEST(TensorReading, ToVectorWalksInRowMajorOrder) {
  const Tensor x = counted({2, 3});
  EXPECT_EQ(matrix_transpose(x).to_vector<int>(), (std::vector<int>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(broadcast_to(tensor({1.f, 2.f}), {2, 2}).to_vector<double>(),
            (std::vector<double>{1, 2, 1, 2}));
  EXPECT_EQ(empty({2, 0}).to_vector<float>(), Floats());
  EXPECT_EQ(full({}, 4).to_vector<float>(), Floats{4});
}

TEST(TensorReading, DataNeedsTheExactTypeAndRowMajorOrder) {
  const Tensor x = counted({2, 3});
  EXPECT_EQ(x.data<float>()[4], 4);
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { x.data<double>(); }),
            "data: the tensor holds f32, not f64 (f32[2,3])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { matrix_transpose(x).data<float>(); }),
            "data: the elements are not in row-major order; call contiguous(x) (f32[3,2])");
  EXPECT_EQ(contiguous(matrix_transpose(x)).data<float>()[1], 3);
}

TEST(TensorReading, FromValuesNeedsOneForEachElement) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { from_values({2, 2}, Floats{1, 2, 3}); }),
            "a tensor of shape [2,2] takes 4 values, got 3");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { from_values({-1}, Floats{1}); }),
            "a shape has no negative sizes, got [-1]");
}

// ---------------------------------------------------------------------------------- writing

TEST(MutableData, WritesAFreshTensor) {
  Tensor x = empty({2});
  x.mutable_data<float>()[0] = 1;
  x.mutable_data<float>()[1] = 2;
  EXPECT_EQ(values_of(x), (Floats{1, 2}));
  thrown_text(ErrorKind::dtype, [&] { x.mutable_data<int>(); });
}

TEST(MutableData, IsRefusedWhileTheBufferIsShared) {
  Tensor x = counted({4});
  const auto expect_refused = [&] {
    EXPECT_EQ(thrown_text(ErrorKind::value, [&] { x.mutable_data<float>(); }),
              "mutable_data: the buffer is shared with another tensor (f32[4])");
  };
  {
    const Tensor copy = x;
    expect_refused();
  }
  {
    const Tensor view = reshape(x, {2, 2});
    expect_refused();
  }
  {
    const Tensor detached = x.detach();
    expect_refused();
  }
  EXPECT_NO_THROW(x.mutable_data<float>());
}

// ---------------------------------------------------------------------------------- foreign memory

struct Foreign {
  float numbers[4] = {1, 2, 3, 4};
  int freed = 0;
  Tensor tensor() {
    return from_foreign(
        numbers, {DType::f32, {}, {2, 2}}, [](void* self) { ++static_cast<Foreign*>(self)->freed; },
        this);
  }
  Floats now() const { return {numbers, numbers + 4}; }
};

TEST(ForeignMemory, IsReadWithoutACopy) {
  Foreign memory;
  const Tensor x = memory.tensor();
  EXPECT_EQ(x.data<float>(), memory.numbers);
  EXPECT_EQ(values_of(matrix_transpose(x)), (Floats{1, 3, 2, 4}));
}

TEST(ForeignMemory, IsNeverWritten) {
  Foreign memory;
  Tensor x = memory.tensor();
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { x.mutable_data<float>(); }),
            "mutable_data: the buffer is shared with another tensor (f32[2,2])");
  x += 1;
  EXPECT_EQ(values_of(x), (Floats{2, 3, 4, 5}));
  x = memory.tensor();
  x[0] = 9;
  EXPECT_EQ(values_of(x), (Floats{9, 9, 3, 4}));
  x = reshape(memory.tensor(), {4});
  x *= 2;
  EXPECT_EQ(values_of(x), (Floats{2, 4, 6, 8}));
  EXPECT_EQ(memory.now(), (Floats{1, 2, 3, 4}));
}

TEST(ForeignMemory, IsFreedOnceWhenTheLastTensorGoes) {
  Foreign memory;
  {
    Tensor view;
    {
      const Tensor x = memory.tensor();
      const Tensor copy = x;
      view = slice(x, 0, 1, 2);
    }
    EXPECT_EQ(memory.freed, 0);
    EXPECT_EQ(values_of(view), (Floats{3, 4}));
  }
  EXPECT_EQ(memory.freed, 1);
}

TEST(ForeignMemory, OfAWrongSizeStaysWithItsOwner) {
  Foreign memory;
  thrown_text(ErrorKind::value,
              [&] { from_foreign(memory.numbers, {DType::f32, {}, {-2}}, nullptr, nullptr); });
  EXPECT_EQ(memory.freed, 0);
}

TEST(ForeignMemory, MayNeedNoFree) {
  const float numbers[] = {1, 2};
  EXPECT_EQ(values_of(from_foreign(numbers, {DType::f32, {}, {2}}, nullptr, nullptr)),
            (Floats{1, 2}));
}

// ---------------------------------------------------------------------------------- memory

TEST(TensorMemory, WhatCannotBeHadIsAnErrorAndLeavesNothingBehind) {
  const size_t before = memory_stats().in_use;
  thrown_text(ErrorKind::value, [] { empty({int64_t{1} << 40, int64_t{1} << 40}); });
  thrown_text(ErrorKind::value, [] { empty({-1}); });
  thrown_text(ErrorKind::value, [] { full({INT64_MAX, 8}, 0); });
  EXPECT_EQ(memory_stats().in_use, before);
}

// ---------------------------------------------------------------------------------- printing

TEST(TensorPrinting, IsNestedWithSpec) {
  EXPECT_EQ(to_string(full({}, 2.5)), "2.5 f32[]");
  EXPECT_EQ(to_string(tensor({true, false})), "[true, false] bool[2]");
  EXPECT_EQ(to_string(tensor<uint8_t>({65, 255})), "[65, 255] u8[2]");
  EXPECT_EQ(to_string(tensor<double>({1e-10, -1e30, 1.0 / 3})), "[1e-10, -1e+30, 0.333333] f64[3]");
  EXPECT_EQ(to_string(empty({2, 0})), "[] f32[2,0]");
  EXPECT_EQ(to_string(Tensor()), "undefined");
}

// As NumPy prints them, but for the words behind.
TEST(TensorPrinting, GivesEachRowALineAndAlignsColumns) {
  EXPECT_EQ(to_string(counted({2, 3})),
            "[[0, 1, 2],\n"
            " [3, 4, 5]] f32[2,3]");
  EXPECT_EQ(to_string(tensor<int32_t>({1, -20, 300, 4})[{newaxis, newaxis}]),
            "[[[  1, -20, 300,   4]]] i32[1,1,4]");
  EXPECT_EQ(to_string(counted({2, 2, 2})),
            "[[[0, 1],\n"
            "  [2, 3]],\n"
            "\n"
            " [[4, 5],\n"
            "  [6, 7]]] f32[2,2,2]");
  EXPECT_EQ(to_string(counted({1001, 1})),
            "[[   0],\n"
            " [   1],\n"
            " [   2],\n"
            " ...,\n"
            " [ 998],\n"
            " [ 999],\n"
            " [1000]] f32[1001,1]");
}

TEST(TensorPrinting, ShortensLongAxes) {
  EXPECT_EQ(to_string(arange(6)), "[0, 1, 2, 3, 4, 5] i64[6]");
  EXPECT_EQ(to_string(arange(8)), "[0, 1, 2, 3, 4, 5, 6, 7] i64[8]");  // NumPy: up to 1,000
  EXPECT_EQ(to_string(arange(1001)), "[0, 1, 2, ..., 998, 999, 1000] i64[1001]");
  EXPECT_EQ(to_string(flip(arange(1001), 0)), "[1000, 999, 998, ..., 2, 1, 0] i64[1001]");
}

TEST(TensorPrinting, GoesToStreams) {
  std::ostringstream out;
  out << matrix_transpose(counted({2, 2}));
  EXPECT_EQ(out.str(), "[[0, 2],\n [1, 3]] f32[2,2]");
}

}  // namespace
}  // namespace taper

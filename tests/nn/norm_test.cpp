// What LayerNorm promises beside its numbers, which layers_golden_test.cpp holds against PyTorch's.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <taper/taper.h>

#include "../core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

TEST(LayerNorm, GivesEachExampleMeanZeroAndVarianceOne) {
  const LayerNorm norm(Sizes{3, 50});
  const Tensor y = norm(normal({4, 3, 50}, 7, 3));
  EXPECT_LT(max(abs(mean(y, {1, 2}))).item(), 1e-5);
  EXPECT_LT(max(abs(var(y, {1, 2}) - 1)).item(), 1e-4);
}

// A mean that is large beside the spread costs no digits of it.
TEST(LayerNorm, KeepsTheDigitsBesideALargeMean) {
  const Tensor x = tensor<float>({{10000.f, 10001.f, 10002.f, 10003.f}});
  const Tensor y = LayerNorm(4)(x);
  const std::vector<float> expected = LayerNorm(4)(x - 10000).to_vector<float>();
  EXPECT_EQ(y.to_vector<float>(), expected);
}

TEST(LayerNorm, TakesNoExamplesAndOneElement) {
  EXPECT_EQ(LayerNorm(3)(zeros({0, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(LayerNorm(1)(tensor<float>({{5}})).to_vector<float>(), (std::vector<float>{0}));
}

TEST(LayerNorm, TakesOneSizeOrSeveral) {
  EXPECT_EQ(LayerNorm(4).weight.value().shape(), (Shape{4}));
  EXPECT_EQ(LayerNorm({.normalized_shape = {2, 3}}).weight.value().shape(), (Shape{2, 3}));
  EXPECT_EQ(LayerNorm(Shape{2, 3, 4}).weight.value().shape(), (Shape{2, 3, 4}));
  const ModuleFactory& entry = ModuleFactory::get("LayerNorm", "module");
  EXPECT_EQ(entry.make({{"normalized_shape", 4}}).config().print(),
            AnyModule(LayerNorm(4)).config().print());
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { entry.make({{"normalized_shape", "x"}}); }),
            "LayerNorm: `normalized_shape` must be int or list of int, got str \"x\"");
}

TEST(LayerNorm, RefusesOptionsThatDoNotFit) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { LayerNorm(Shape{}); }),
            "LayerNorm: `normalized_shape` needs a size, got []");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { LayerNorm(Shape{2, 0}); }),
            "LayerNorm: `normalized_shape` must be at least 1, got 0");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { LayerNorm(2, -1.0); }),
            "LayerNorm: `eps` must be finite and at least 0, got -1.0");
}

TEST(LayerNorm, RefusesOperandsThatDoNotFit) {
  const Sequential net{LayerNorm(3)};
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { net(ones({2, 4})); }),
            "layer_norm: the last axes must be [3] (x f32[2,4], weight f32[3], bias f32[3]) in "
            "model.0; LayerNorm(4) would fit");
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { LayerNorm(Shape{2, 3})(ones({3})); }),
            "layer_norm: the last axes must be [2,3] (x f32[3], weight f32[2,3], bias f32[2,3]) in "
            "LayerNorm");
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { net(ones({2, 3}, DType::f64)); }),
            "layer_norm: takes floating operands of one dtype; convert with astype (x f64[2,3], "
            "weight f32[3], bias f32[3]) in model.0; x is f64: astype(x, DType::f32)");
  EXPECT_EQ(thrown_text(ErrorKind::dtype,
                        [] {
                          LayerNorm({.normalized_shape = 3, .elementwise_affine = false})(
                              ones({3}, DType::i64));
                        }),
            "layer_norm: takes floating operands of one dtype; convert with astype (x i64[3]) in "
            "LayerNorm");
}

}  // namespace
}  // namespace taper::nn

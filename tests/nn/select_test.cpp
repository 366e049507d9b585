// Values, gradients and dtypes of Select are rows of layers_golden.json.

#include <gtest/gtest.h>

#include <taper/taper.h>

#include "../core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

Tensor steps() { return reshape(arange(24.0), {2, 3, 4}); }

TEST(Select, TakesOnePlaceOfAnAxisAway) {
  const Tensor x = steps();
  EXPECT_EQ(Select(1, -1)(x).to_vector<double>(),
            (std::vector<double>{8, 9, 10, 11, 20, 21, 22, 23}));
  EXPECT_EQ(Select(1, -1)(x).shape(), (Shape{2, 4}));
  EXPECT_EQ(Select(-1, 0)(x).to_vector<double>(), (std::vector<double>{0, 4, 8, 12, 16, 20}));
  EXPECT_EQ(Select({.dim = 0, .index = 1})(x).shape(), (Shape{3, 4}));
  EXPECT_EQ(Select(0, 2)(arange(3.0)).item(), 2);
  EXPECT_EQ(Select(-2, -2)(reshape(tensor<int>({1, 2, 3, 4}), {2, 2})).to_vector<int>(),
            (std::vector<int>{1, 2}));
}

TEST(Select, GivesTheLastStepOfARecurrentLayer) {
  manual_seed(3);
  const LSTM lstm({.input_size = 2, .hidden_size = 4, .batch_first = true});
  const Sequential last{lstm, Select(1, -1)};
  const Tensor x = sin(reshape(arange(20.0f), {2, 5, 2}));
  const Tensor whole = Sequential{lstm}(x);
  EXPECT_EQ(last(x).to_vector<float>(), slice(whole, 1, 4).to_vector<float>());
  const AnyModule copy = module_from_config(AnyModule(last).config());
  EXPECT_EQ(copy.config(), AnyModule(last).config());
}

TEST(Select, RefusesWhatThereIsNot) {
  EXPECT_EQ(thrown_text(ErrorKind::index, [] { Select(1, 3)(steps()); }),
            "select: index 3 is out of range for axis 1 of size 3 (x f32[2,3,4]) in Select");
  EXPECT_EQ(thrown_text(ErrorKind::index, [] { Select(3, 0)(steps()); }),
            "select: axis must be in [-3, 2], got 3 (x f32[2,3,4]) in Select");
  EXPECT_EQ(thrown_text(ErrorKind::index, [] { Select(0, 0)(ones({0, 2})); }),
            "select: index 0 is out of range for axis 0 of size 0 (x f32[0,2]) in Select");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Select(0, 0)(Tensor()); }),
            "select: x is undefined in Select");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Select(SelectOptions{1, {}}); }),
            "Select: `index` is required");
}

}  // namespace
}  // namespace taper::nn

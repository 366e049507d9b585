// What a wrong call of a function that is made of ops says: the function's name once, the rule, its
// own operands, the layer.

#include <gtest/gtest.h>

#include <taper/taper.h>

namespace taper {
namespace {

std::string text_of(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find(error.op() + ": " + error.rule()), 0u) << text;
    EXPECT_NE(error.kind(), ErrorKind::internal) << text;
    return text;
  }
  return "no error";
}

struct Case {
  const char* text;
  std::function<void()> call;
};

TEST(Composed, FunctionsNameThemselvesAndTheirOperands) {
  const Tensor x = ones({2, 3});
  const Tensor none;
  const Case cases[] = {
      {"flatten: axis must be in [-2, 1], got 2 (x f32[2,3])", [&] { flatten(x, 2); }},
      {"flatten: start_axis 1 lies behind end_axis 0 (x f32[2,3])", [&] { flatten(x, 1, 0); }},
      {"flatten: x is undefined", [&] { flatten(none); }},
      {"matrix_transpose: needs at least 2 axes (x f32[3])", [&] { matrix_transpose(ones({3})); }},
      {"matrix_transpose: x is undefined", [&] { matrix_transpose(none); }},
      {"expand_dims: axis must be in [-3, 2], got 3 (x f32[2,3])", [&] { expand_dims(x, 3); }},
      {"expand_dims: x is undefined", [&] { expand_dims(none); }},
      {"squeeze: axis 1 has size 3, not 1 (x f32[2,3])", [&] { squeeze(x, 1); }},
      {"squeeze: axis must be in [-2, 1], got -3 (x f32[2,3])", [&] { squeeze(x, -3); }},
      {"squeeze: x is undefined", [&] { squeeze(none, 0); }},
      {"flip: axis must be in [-2, 1], got 2 (x f32[2,3])", [&] { flip(x, 2); }},
      {"flip: x is undefined", [&] { flip(none, 0); }},
      {"std: axis must be in [-2, 1], got 2 (x f32[2,3])", [&] { taper::std(x, 2); }},
      {"std: x is undefined", [&] { taper::std(none); }},
      {"stack: needs at least one tensor", [&] { stack({}); }},
      {"stack: xs[1] is undefined (xs[0] f32[2,3])", [&] { stack({x, none}); }},
      {"stack: the tensors must have one shape (xs[0] f32[2,3], xs[1] f32[3])",
       [&] { stack({x, ones({3})}); }},
      {"stack: axis must be in [-3, 2], got 3 (xs[0] f32[2,3], xs[1] f32[2,3])",
       [&] { stack({x, x}, 3); }},
      {"concat: xs[1] has 1 axes, xs[0] has 2 (xs[0] f32[2,3], xs[1] f32[3])",
       [&] { concat({x, ones({3})}); }},
      {"take_along_axis: indices [3] and the shape [2,3] must agree on all axes but 1 (x "
       "f32[2,3], indices i64[3])",
       [&] { take_along_axis(x, arange(3)); }},
      {"take_along_axis: index 5 at position 0 is out of range for axis 1 of size 3 (x f32[2,3], "
       "indices i64[2,1])",
       [&] { take_along_axis(x, full({1, 1}, 5, DType::i64)); }},
      {"rand: ", [&] { rand({-1}); }},
      {"rand: ", [&] { rand({2}, DType::i32); }},
      {"uniform: ", [&] { uniform({2}, 1, 0); }},
      {"randn: ", [&] { randn({2}, DType::i32); }},
      {"normal: std must be at least 0, got -1.0", [&] { normal({2}, 0, -1); }},
      {"randint: ", [&] { randint(3, 3, {2}); }},
      {"dropout: p must be in [0, 1], got 2.0 (x f32[2,3], key i64[2])", [&] { dropout(x, 2); }},
  };
  for (const Case& c : cases) {
    const std::string text = text_of(c.call);
    EXPECT_EQ(text.find(c.text), 0u) << text;
    if (c.text[std::string_view(c.text).size() - 1] != ' ') {
      EXPECT_EQ(text, c.text);
    }
  }
}

TEST(Composed, LossesNameTheirOwnOperands) {
  const Tensor logits = ones({2, 4});
  const Tensor labels = tensor<int64_t>({1, 4});
  EXPECT_EQ(text_of([&] { cross_entropy(logits, labels); }),
            "cross_entropy: index 4 at position 1 is out of range for axis 1 of size 4 (input "
            "f32[2,4], target i64[2])");
  EXPECT_EQ(text_of([&] { mse_loss(logits, ones({2})); }),
            "mse_loss: target must have the shape and dtype of input (input f32[2,4], target "
            "f32[2])");
  EXPECT_EQ(text_of([&] { binary_cross_entropy(logits, {}); }).find("binary_cross_entropy: "), 0u);
  Tensor leaf = ones({2, 4}).set_requires_grad();
  EXPECT_EQ(text_of([&] { cross_entropy(leaf, labels); }),
            "cross_entropy: index 4 at position 1 is out of range for axis 1 of size 4 (input "
            "f32[2,4], target i64[2])");
}

TEST(Composed, TheLayerStandsOnceAtTheEnd) {
  const std::string name = "net.head";
  const LayerScope layer(name);
  EXPECT_EQ(text_of([] { squeeze(ones({2, 3}), 1); }),
            "squeeze: axis 1 has size 3, not 1 (x f32[2,3]) in net.head");
  EXPECT_EQ(text_of([] { flip(ones({2, 3}), 7); }),
            "flip: axis must be in [-2, 1], got 7 (x f32[2,3]) in net.head");
  EXPECT_EQ(text_of([] { cross_entropy(ones({1, 2}), tensor<int64_t>({2})); }),
            "cross_entropy: index 2 at position 0 is out of range for axis 1 of size 2 (input "
            "f32[1,2], target i64[1]) in net.head");
}

TEST(Composed, AWantOfMemoryIsTheFunctionsToo) {
  // No machine has 2^58 bytes; the row says so in the form of every error.
  const Tensor wide = broadcast_to(ones({1}), {int64_t{1} << 28});
  const std::string text = text_of([&] { stack({broadcast_to(wide, {1 << 28, 1 << 28})}); });
  EXPECT_EQ(text.find("stack: cannot allocate "), 0u) << text;
  EXPECT_NE(text.find("(xs[0] f32[268435456,268435456])"), std::string::npos) << text;
}

}  // namespace
}  // namespace taper

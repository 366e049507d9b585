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
      {"take_along_axis: indices [3] and the shape [2,3] must agree on all axes but 1, or have "
       "size one there (x "
       "f32[2,3], indices i64[3])",
       [&] { take_along_axis(x, arange(3)); }},
      {"take_along_axis: index 5 at position 0 is out of range for axis 1 of size 3 (x f32[2,3], "
       "indices i64[1,1])",
       [&] { take_along_axis(x, full({1, 1}, 5, DType::i64)); }},
      {"index: index 2 is out of range for axis 0 of size 2 (x f32[2,3])", [&] { x[2]; }},
      {"index: x is undefined", [&] { none[0]; }},
      {"index: index 5 at position 1 is out of range for axis 1 of size 3 (x f32[2,3])",
       [&] { x[{1, tensor({0, 5})}]; }},
      {"index_update: values do not broadcast to the selection [3] (x f32[2,3], values f32[2])",
       [&] { index_update(x, {0}, ones({2})); }},
      {"index_update: index 7 is out of range for axis 0 of size 2 (x f32[2,3])",
       [&] { index_update(x, {7}, 1); }},
      {"index_update: x is undefined", [&] { index_update(none, {0}, 1); }},
      {"full: 300 is out of the range of u8, 0 to 255", [&] { full({2}, 300, DType::u8); }},
      {"full: a shape has no negative sizes, got [-2]", [&] { full({-2}, 1); }},
      {"zeros: a shape has no negative sizes, got [-2]", [&] { zeros({-2}); }},
      {"ones: a shape has no negative sizes, got [-2]", [&] { ones({-2}); }},
      {"full_like: 300 is out of the range of u8, 0 to 255 (x u8[2])",
       [&] { full_like(zeros({2}, DType::u8), 300); }},
      {"zeros_like: x is undefined", [&] { zeros_like(none); }},
      {"pow: ", [&] { pow(tensor({true}), tensor({true})); }},
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

TEST(Composed, AReplayNamesTheFunctionToo) {
  const auto second = [](auto&& f, const Tensor& good, const Tensor& bad) {
    auto compiled = compile([&](const Tensor& x) { return f(x); });
    compiled(good);
    const std::string text = text_of([&] { compiled(bad); });
    EXPECT_EQ(compiled.captures(), 1u);
    return text;
  };
  EXPECT_EQ(second([](const Tensor& x) { return pow(tensor({2, 2}), x); }, tensor({1, 2}),
                   tensor({1, -2})),
            "pow: an integer to the power -2 is no integer; convert the base to a float with "
            "astype (x1 i64[2], x2 i64[2])");
  EXPECT_EQ(second([](const Tensor& x) { return index(arange(6), {newaxis, x}); }, tensor({1, 2}),
                   tensor({1, 7})),
            "index: index 7 at position 1 is out of range for axis 0 of size 6 (x i64[6], "
            "indices[0] i64[2])");
  EXPECT_EQ(second([](const Tensor& x) { return index_update(zeros({3}), {x}, 1); }, tensor({1, 2}),
                   tensor({1, 7})),
            "index_update: index 7 at position 1 is out of range for axis 0 of size 3 (x f32[3], "
            "values f32[], indices[0] i64[2])");
  EXPECT_EQ(second([](const Tensor& x) { return one_hot(x, 3); }, tensor({1, 2}), tensor({1, 7})),
            "one_hot: index 7 at position 1 is not in [0, 3) (indices i64[2])");
}

TEST(Composed, LossesNameTheirOwnOperands) {
  const Tensor logits = ones({2, 4});
  const Tensor labels = tensor<int64_t>({1, 4});
  EXPECT_EQ(text_of([&] { cross_entropy(logits, labels); }),
            "cross_entropy: index 4 at position 1 is out of range for axis 1 of size 4 (input "
            "f32[2,4], target i64[2])");
  EXPECT_EQ(text_of([&] { mse_loss(logits, ones({2})); }),
            "mse_loss: target must have the shape of input (input f32[2,4], target "
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

// What Embedding promises beside its numbers, which layers_golden_test.cpp holds against PyTorch's.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <taper/taper.h>

#include "../core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

TEST(Embedding, AnIdOutOfRangeIsNamedWithItsPlaceAndLayer) {
  const Sequential net{Embedding(10, 4)};
  const auto text = [](const char* id, const char* place, const char* operands) {
    return std::string("embedding: index ") + id + " at position " + place +
           " is out of range for axis 0 of size 10 (" + operands + ") in model.0";
  };
  const Tensor high = tensor<int64_t>({{1, 2, 3}, {4, 10, 12}});
  const Tensor low = tensor<int64_t>({{1, 2, -1}, {4, 5, 6}});
  const char* of_layer = "ids i64[2,3], weight f32[10,4]";
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { net(high); }), text("10", "4", of_layer));
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { net(low); }), text("-1", "2", of_layer));
  auto compiled = compile([&](const Tensor& ids) { return net(ids).detach(); });
  EXPECT_EQ(compiled(zeros({2, 3}, DType::i64)).shape(), (Shape{2, 3, 4}));
  const char* of_op = "x f32[10,4], indices i64[2,3]";
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { compiled(high); }), text("10", "4", of_op));
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { compiled(low); }), text("-1", "2", of_op));
}

TEST(Embedding, ACallThatIsRefusedChangesNoVector) {
  const Embedding table({.num_embeddings = 3, .embedding_dim = 2, .max_norm = 0.001});
  const auto before = table.weight.value().to_vector<float>();
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { table(tensor<int64_t>({0, 3})); }),
            "embedding: index 3 at position 1 is out of range for axis 0 of size 3 (ids i64[2], "
            "weight f32[3,2]) in Embedding");
  EXPECT_EQ(table.weight.value().to_vector<float>(), before);
}

TEST(Embedding, RefusesIdsOfOtherDtypes) {
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [] { Embedding(3, 2)(ones({2})); }),
            "embedding: indices must be i32 or i64, got f32 (ids f32[2], weight f32[3,2]) in "
            "Embedding; ids is f32: astype(ids, DType::i64)");
}

TEST(Embedding, RefusesOptionsThatItCannotKeep) {
  const auto text = [](ErrorKind kind, const EmbeddingOptions& options) {
    return thrown_text(kind, [&] { Embedding{options}; });
  };
  EXPECT_EQ(text(ErrorKind::value, {.num_embeddings = 3, .embedding_dim = 2, .padding_idx = 3}),
            "Embedding: `padding_idx` must be one of the num_embeddings ids, got 3");
  EXPECT_EQ(text(ErrorKind::value, {.num_embeddings = 3, .embedding_dim = 2, .padding_idx = -4}),
            "Embedding: `padding_idx` must be one of the num_embeddings ids, got -4");
  EXPECT_EQ(text(ErrorKind::unsupported, {.num_embeddings = 3, .embedding_dim = 2, .sparse = true}),
            "Embedding: `sparse` is not supported: gradients are dense");
  EXPECT_EQ(text(ErrorKind::unsupported,
                 {.num_embeddings = 3, .embedding_dim = 2, .scale_grad_by_freq = true}),
            "Embedding: `scale_grad_by_freq` is not supported: the gradients of an id's places are "
            "added");
  EXPECT_EQ(text(ErrorKind::value, {.num_embeddings = 3, .embedding_dim = 2, .max_norm = 0.0}),
            "Embedding: `max_norm` must be finite and above 0, got 0.0");
}

TEST(Embedding, BeginsStandardNormalWithAZeroVectorForPadding) {
  const Embedding table({.num_embeddings = 200, .embedding_dim = 50, .padding_idx = -1});
  const Tensor weight = table.weight.value().detach();
  EXPECT_EQ(max(abs(slice(weight, 0, 199, 200))).item(), 0);
  const Tensor others = slice(weight, 0, 0, 199);
  EXPECT_NEAR(mean(others).item(), 0, 0.05);
  EXPECT_NEAR(var(others).item(), 1, 0.05);
}

// Two groups of ids become separable: what a bag of them means is learned by their vectors.
TEST(Embedding, LearnsWhatItsIdsMean) {
  manual_seed(5);
  const Tensor ids = randint(0, 20, {256, 6});
  const Tensor target = astype(sum(astype(ids < 10, DType::f32), 1) > 3, DType::f32);
  struct Bag : Layer<Bag> {
    Embedding table = child("table", Embedding(20, 4));
    Linear head = child("head", Linear(4, 1));
    Tensor forward(const Tensor& x) const { return squeeze(head(mean(table(x), 1)), {1}); }
  };
  const Bag bag;
  optim::Adam adam(bag.parameters(), {.lr = 0.1});
  for (int i = 0; i < 150; ++i) {
    adam.zero_grad();
    binary_cross_entropy_with_logits(bag(ids), target).backward();
    adam.step();
  }
  const Tensor good = astype(bag(ids) > 0, DType::f32) == target;
  EXPECT_GE(mean(astype(good, DType::f64)).item(), 0.99);
}

}  // namespace
}  // namespace taper::nn

#include <taper/data/dataset.h>

#include <algorithm>
#include <map>

#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

using testing::error_of;

/// Examples {f32[2], i64[]}: {{i, 10 * i}, i}.
struct Pairs : Dataset {
  explicit Pairs(int64_t count) : count(count) {}
  int64_t size() const override { return count; }
  std::vector<Tensor> get(int64_t i) const override {
    const float value = static_cast<float>(i);
    return {tensor<float>({value, 10 * value}), from_values<int64_t>({}, std::vector<int64_t>{i})};
  }
  int64_t count;
};

/// What the example of one number of a broken dataset looks like.
struct OneBroken : Pairs {
  explicit OneBroken(std::vector<Tensor> broken) : Pairs(5), broken(std::move(broken)) {}
  std::vector<Tensor> get(int64_t i) const override { return i == 3 ? broken : Pairs::get(i); }
  std::vector<Tensor> broken;
};

std::vector<int64_t> labels_of(const Dataset& dataset) {
  std::vector<int64_t> all(static_cast<size_t>(dataset.size()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  return read_batch(dataset, all)[1].to_vector<int64_t>();
}

TEST(Dataset, TwoFunctionsAreEnough) {
  const Pairs dataset(10);
  EXPECT_EQ(dataset.specs(), (std::vector<Spec>{{DType::f32, {}, {2}}, {DType::i64, {}, {}}}));
  const std::vector<int64_t> indices = {3, 1, 3};
  const std::vector<Tensor> batch = read_batch(dataset, indices);
  EXPECT_EQ(to_string(batch[0].spec()), "f32[3,2]");
  EXPECT_EQ(batch[0].to_vector<float>(), (std::vector<float>{3, 30, 1, 10, 3, 30}));
  EXPECT_EQ(to_string(batch[1].spec()), "i64[3]");
  EXPECT_EQ(batch[1].to_vector<int64_t>(), indices);
  EXPECT_TRUE(dataset.class_names().empty());
}

TEST(Dataset, CopiesStridedExamples) {
  struct Transposed : Dataset {
    int64_t size() const override { return 1; }
    std::vector<Tensor> get(int64_t) const override {
      const Tensor base = tensor<int32_t>({0, 1, 2, 3, 4, 5});
      return {view_of(base, {DType::i32, {}, {3, 2}}, {1, 3}, 0)};
    }
  };
  const std::vector<int64_t> indices = {0};
  EXPECT_EQ(read_batch(Transposed(), indices)[0].to_vector<int>(),
            (std::vector<int>{0, 3, 1, 4, 2, 5}));
}

TEST(Dataset, TheDigestTellsDataApart) {
  const Tensor x = arange(600, DType::f32);
  const Tensor y = arange(600);
  const std::string digest = TensorDataset({x, y}).digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(TensorDataset({x * 1, y}).digest(), digest);
  Tensor other = x;
  other[599] = 0;
  EXPECT_NE(TensorDataset({other, y}).digest(), digest);
  EXPECT_NE(TensorDataset({x}).digest(), digest);
  EXPECT_NE(TensorDataset({reshape(x, {300, 2}), reshape(y, {300, 2})}).digest(), digest);
  EXPECT_NE(TensorDataset({{x, {.scale = 2.f}}, y}).digest(), digest);
  EXPECT_NE(TensorDataset({x, y}, {.class_names = {"cat"}}).digest(), digest);
  EXPECT_NE(Subset(TensorDataset({x, y}), {0, 1}).digest(),
            Subset(TensorDataset({x, y}), {1, 0}).digest());
  struct Noise : Dataset {
    explicit Noise(int64_t count, int64_t last) : count(count), last(last) {}
    int64_t size() const override { return count; }
    std::vector<Tensor> get(int64_t i) const override {
      return {i == count - 1 ? full({2}, last) : rand({2})};
    }
    int64_t count;
    int64_t last;
  };
  const Tensor before = default_generator().state();
  EXPECT_EQ(Noise(600, 1).digest(), Noise(600, 1).digest());
  EXPECT_NE(Noise(600, 1).digest(), Noise(601, 1).digest());
  EXPECT_NE(Noise(100, 1).digest(), Noise(100, 2).digest());
  EXPECT_EQ(default_generator().state().to_vector<int64_t>(), before.to_vector<int64_t>());
}

TEST(Dataset, TheDigestSeesPatternsOfTheExamples) {
  struct Every final : Dataset {
    Every(int64_t count, int64_t step, int64_t rest) : count(count), step(step), rest(rest) {}
    int64_t size() const override { return count; }
    std::vector<Tensor> get(int64_t i) const override {
      return {full({1}, i % step == rest ? 1 : 0)};
    }
    int64_t count;
    int64_t step;
    int64_t rest;
  };
  for (const int64_t count : {300, 510, 1000, 4000}) {
    const std::string none = Every(count, count, count).digest();
    for (const int64_t step : {2, 3, 5}) {
      for (int64_t rest = 0; rest < step; ++rest) {
        EXPECT_NE(Every(count, step, rest).digest(), none) << count << " " << step << " " << rest;
      }
    }
    EXPECT_NE(Every(count, count, count - 1).digest(), none) << count;  // the last one
  }
}

TEST(Dataset, AnExampleUnlikeTheOthersIsNamed) {
  const auto reading = [](ErrorKind kind, std::vector<Tensor> broken) {
    return error_of(kind, [&] { labels_of(OneBroken(std::move(broken))); });
  };
  const Tensor label = from_values<int64_t>({}, std::vector<int64_t>{1});
  EXPECT_EQ(reading(ErrorKind::shape, {tensor<float>({1, 2, 3}), label}),
            "dataset: example 3: field 0 is f32[3], that of the others is f32[2]");
  EXPECT_EQ(reading(ErrorKind::dtype, {tensor<double>({1, 2}), label}),
            "dataset: example 3: field 0 is f64[2], that of the others is f32[2]");
  EXPECT_EQ(reading(ErrorKind::dtype, {Tensor(), label}),
            "dataset: example 3: field 0 is undefined, that of the others is f32[2]");
  EXPECT_EQ(reading(ErrorKind::value, {label}),
            "dataset: example 3 has 1 fields, the others have 2 {f32[2], i64[]}");
}

TEST(Dataset, WithoutExamplesTheFieldsAreNotKnown) {
  EXPECT_EQ(error_of(ErrorKind::value, [] { Pairs(0).specs(); }),
            "dataset: without examples the fields are not known; override specs()");
}

TEST(Dataset, FillRefusesABatchThatDoesNotFit) {
  const TensorDataset dataset({tensor<float>({1, 2, 3})});
  const std::vector<int64_t> indices = {0, 1};
  const auto filling = [&](ErrorKind kind, std::vector<Tensor> batch) {
    return error_of(kind, [&] { dataset.fill(indices, batch); });
  };
  EXPECT_EQ(filling(ErrorKind::value, {}),
            "fill: the batch has 0 tensors, the examples have 1 fields");
  EXPECT_EQ(filling(ErrorKind::shape, {empty({3})}),
            "fill: tensor 0 of the batch must be a row-major f32[2], got f32[3]");
  EXPECT_EQ(filling(ErrorKind::shape, {Tensor()}),
            "fill: tensor 0 of the batch must be a row-major f32[2], got undefined");
  const Tensor shared = empty({2});
  EXPECT_EQ(filling(ErrorKind::value, {shallow_copy(shared)}),
            "fill: tensor 0 of the batch shares its buffer with another tensor");
  std::vector<Tensor> undefined(1);
  error_of(ErrorKind::shape, [&] { Pairs(3).fill(indices, undefined); });
}

TEST(AnyDataset, TakesValuesAndPointers) {
  const auto count = [](const AnyDataset& dataset) { return dataset->size(); };
  Pairs dataset(4);
  EXPECT_EQ(count(dataset), 4);
  EXPECT_EQ(count(Pairs(5)), 5);
  EXPECT_EQ(count(std::make_shared<Pairs>(6)), 6);
  EXPECT_EQ(count(std::shared_ptr<const Dataset>(std::make_shared<Pairs>(7))), 7);
  EXPECT_EQ(error_of(ErrorKind::value, [&] { count(std::shared_ptr<Pairs>()); }),
            "dataset: the pointer is null");
}

TEST(TensorDataset, GathersRows) {
  const TensorDataset dataset({tensor<float>({0, 1, 2}), tensor<int64_t>({5, 6, 7})},
                              {.class_names = {"a", "b"}});
  EXPECT_EQ(dataset.size(), 3);
  EXPECT_EQ(dataset.class_names(), (std::vector<std::string>{"a", "b"}));
  const std::vector<int64_t> indices = {2, 0};
  const std::vector<Tensor> batch = read_batch(dataset, indices);
  EXPECT_EQ(batch[0].to_vector<float>(), (std::vector<float>{2, 0}));
  EXPECT_EQ(batch[1].to_vector<int64_t>(), (std::vector<int64_t>{7, 5}));
  const std::vector<Tensor> example = dataset.get(1);
  EXPECT_EQ(to_string(example[0]), "1 f32[]");
  EXPECT_EQ(to_string(example[1]), "6 i64[]");
}

TEST(TensorDataset, ScalesIntegers) {
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  const Tensor images = from_values<uint8_t>({2, 128}, bytes);
  const TensorDataset dataset({{images, {.scale = 1 / 255.f}}, tensor<uint8_t>({3, 4})});
  EXPECT_EQ(to_string(dataset.specs()[0]), "f32[128]");
  EXPECT_EQ(to_string(dataset.specs()[1]), "u8[]");
  EXPECT_EQ(to_string(dataset.fields()[0].values.spec()), "u8[2,128]");
  const std::vector<int64_t> indices = {1, 0};
  const std::vector<float> values = read_batch(dataset, indices)[0].to_vector<float>();
  EXPECT_EQ(values[0], 128 * (1 / 255.f));
  EXPECT_EQ(values[127], 1.f);
  EXPECT_EQ(values[128], 0.f);
}

TEST(TensorDataset, TakesStridedTensors) {
  const Tensor base = tensor<int32_t>({0, 1, 2, 3, 4, 5});
  const TensorDataset dataset({view_of(base, {DType::i32, {}, {3, 2}}, {1, 3}, 0)});
  EXPECT_EQ(dataset.get(1)[0].to_vector<int>(), (std::vector<int>{1, 4}));
}

TEST(TensorDataset, RefusesFieldsThatDoNotFit) {
  const Tensor three = tensor<float>({1, 2, 3});
  const auto making = [](ErrorKind kind, std::vector<Field> fields) {
    return error_of(kind, [&] { TensorDataset(std::move(fields)); });
  };
  EXPECT_EQ(making(ErrorKind::shape, {three, tensor<int64_t>({1, 2})}),
            "TensorDataset: field 1 has 2 examples along its first axis (i64[2]), field 0 has 3 "
            "(f32[3])");
  EXPECT_EQ(making(ErrorKind::shape, {empty(Shape{})}),
            "TensorDataset: field 0 has no axis of examples");
  EXPECT_EQ(making(ErrorKind::value, {three, Tensor()}), "TensorDataset: field 1 is undefined");
  EXPECT_EQ(making(ErrorKind::value, {}), "TensorDataset: needs at least one field");
  EXPECT_EQ(making(ErrorKind::dtype, {{tensor<double>({1}), {.scale = 2.f}}}),
            "TensorDataset: field 0 is f64, only integers and f32 are scaled");
  EXPECT_EQ(error_of(ErrorKind::index, [&] { TensorDataset({three}).get(3); }),
            "TensorDataset: there is no example 3, the dataset has 3");
  error_of(ErrorKind::index, [&] { TensorDataset({three}).get(-1); });
}

TEST(Subset, ShowsItsExamplesInOrder) {
  const Subset subset(Pairs(10), {7, 2, 2});
  EXPECT_EQ(subset.size(), 3);
  EXPECT_EQ(labels_of(subset), (std::vector<int64_t>{7, 2, 2}));
  EXPECT_EQ(subset.get(0)[1].item<int>(), 7);
  EXPECT_EQ(labels_of(Subset(subset, {2, 0})), (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(error_of(ErrorKind::index, [&] { Subset(subset, {3}); }),
            "Subset: there is no example 3, the dataset has 3");
}

TEST(Split, TakesTheLastPartForValidation) {
  const auto [train, validation] = split(Pairs(10), 0.3);
  EXPECT_EQ(labels_of(train), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(labels_of(validation), (std::vector<int64_t>{7, 8, 9}));
  EXPECT_EQ(split(Pairs(60000), 0.1).train.size(), 54000);
}

TEST(Split, ShufflesBySeed) {
  const auto [train, validation] = split(Pairs(100), 0.2, {.shuffle = true, .seed = 3});
  std::vector<int64_t> all = labels_of(train);
  const std::vector<int64_t> rest = labels_of(validation);
  EXPECT_EQ(rest.size(), 20u);
  all.insert(all.end(), rest.begin(), rest.end());
  EXPECT_EQ(all[0] == 0 && all[1] == 1 && all[2] == 2, false);
  std::ranges::sort(all);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], static_cast<int64_t>(i));
  const SplitOptions same{.shuffle = true, .seed = 3};
  const SplitOptions other{.shuffle = true, .seed = 4};
  EXPECT_EQ(labels_of(split(Pairs(100), 0.2, same).validation), rest);
  EXPECT_NE(labels_of(split(Pairs(100), 0.2, other).validation), rest);
}

TEST(Split, RefusesAnEmptyPart) {
  for (double fraction : {0.0, 1.0, -0.1, 1.5, 0.0 / 0.0}) {
    error_of(ErrorKind::value, [&] { split(Pairs(10), fraction); });
  }
  EXPECT_EQ(error_of(ErrorKind::value, [&] { split(Pairs(1), 0.5); }),
            "split: a fraction of 0.500000 of 1 examples leaves a part empty; it must be between 0 "
            "and 1");
}

TEST(Permutation, DependsOnItsArgumentsOnly) {
  EXPECT_EQ(permutation(50, 1, 2), permutation(50, 1, 2));
  EXPECT_NE(permutation(50, 1, 2), permutation(50, 1, 3));
  EXPECT_NE(permutation(50, 1, 2), permutation(50, 2, 2));
  EXPECT_TRUE(permutation(0, 1).empty());
  EXPECT_EQ(permutation(1, 1), (std::vector<int64_t>{0}));
  error_of(ErrorKind::value, [] { permutation(-1, 0); });
}

TEST(Permutation, IsThatOfAnIndependentProgram) {  // Philox and Fisher-Yates written in Python
  EXPECT_EQ(permutation(8, 0, 0), (std::vector<int64_t>{1, 5, 7, 0, 3, 2, 4, 6}));
  EXPECT_EQ(permutation(8, 7, 3), (std::vector<int64_t>{1, 2, 5, 4, 0, 7, 3, 6}));
}

TEST(Permutation, AllOrdersAreEquallyLikely) {
  constexpr int trials = 24'000;
  std::map<std::vector<int64_t>, int> counts;
  for (int64_t trial = 0; trial < trials; ++trial) ++counts[permutation(4, 9, trial)];
  ASSERT_EQ(counts.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : counts) {
    const double difference = count - trials / 24.0;
    chi_squared += difference * difference / (trials / 24.0);
  }
  EXPECT_LT(chi_squared, 49.7);  // 23 degrees of freedom: exceeded once in a thousand
}

}  // namespace
}  // namespace taper::data

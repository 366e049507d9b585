#include <gtest/gtest.h>

#include <set>

#include <taper/data/loader.h>
#include <taper/data/transforms.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

using testing::error_of;

constexpr int64_t count = 23;

/// Images u8[2,6,6] of different pixels, scaled, with their numbers as labels.
TensorDataset images() {
  Generator generator(1);
  return TensorDataset(
      {{astype(randint(0, 256, {count, 2, 6, 6}, DType::i64, &generator), DType::u8),
        {.scale = 1 / 255.f}},
       arange(count)},
      {.class_names = {"a", "b"}});
}

std::vector<AnyTransform> several() {
  return {RandomCrop(6, 2), RandomHorizontalFlip(),
          RandomRotation({.degrees = 30, .interpolation = Interpolation::bilinear})};
}

using Pictures = std::vector<std::vector<float>>;

/// The picture of each example in an epoch of a loader.
Pictures pictures_in(const AnyDataset& dataset, int64_t epoch, LoaderOptions options) {
  Loader loader(dataset, options);
  Pictures pictures(static_cast<size_t>(dataset->size()));
  for (const Batch& batch : loader.epoch(epoch)) {
    const std::vector<int64_t> numbers = batch[1].to_vector<int64_t>();
    const std::vector<float> values = batch[0].to_vector<float>();
    const auto size = static_cast<std::ptrdiff_t>(values.size() / numbers.size());
    for (size_t row = 0; row < numbers.size(); ++row) {
      const auto from = values.begin() + size * static_cast<std::ptrdiff_t>(row);
      pictures[static_cast<size_t>(numbers[row])] = {from, from + size};
    }
  }
  return pictures;
}

TEST(Transformed, RepeatsForAnyWorkersBatchesAndOrder) {
  const Transformed dataset(images(), several());
  const Pictures here = pictures_in(dataset, 2, {.batch_size = 4, .seed = 8, .workers = 0});
  EXPECT_EQ(std::set(here.begin(), here.end()).size(), here.size());
  manual_seed(77);  // the default generator does not matter
  for (const LoaderOptions& options :
       {LoaderOptions{.batch_size = 4, .seed = 8, .workers = 3},
        LoaderOptions{.batch_size = 1, .seed = 8, .workers = 1},
        LoaderOptions{.batch_size = 7, .shuffle = true, .seed = 8, .workers = 2},
        LoaderOptions{.batch_size = 50, .seed = 8, .workers = 0}}) {
    EXPECT_EQ(pictures_in(dataset, 2, options), here) << options.batch_size;
  }
  EXPECT_NE(pictures_in(dataset, 3, {.seed = 8}), here);
  EXPECT_NE(pictures_in(dataset, 2, {.seed = 9}), here);
  EXPECT_EQ(default_generator().state().to_vector<int64_t>(), (std::vector<int64_t>{77, 0}));
}

TEST(Transformed, GoesOnInTheMiddleOfAnEpoch) {
  const Transformed dataset(images(), several());
  const LoaderOptions options{.batch_size = 4, .shuffle = true, .seed = 3, .workers = 2};
  Loader whole(dataset, options);
  Loader resumed(dataset, options);
  whole.seek({1, 0});
  for (int i = 0; i < 3; ++i) whole.next();
  resumed.seek(whole.position());
  while (const std::optional<Batch> batch = whole.next()) {
    EXPECT_EQ(resumed.next()->fields[0].to_vector<float>(), batch->fields[0].to_vector<float>());
  }
}

TEST(Transformed, AppliesItsTransformsInTurn) {
  const TensorDataset stored = images();
  const Transformed dataset(
      stored, {RandomHorizontalFlip(1.0), RandomCrop(8, 1), RandomRotation({.degrees = {90, 90}})});
  EXPECT_EQ(dataset.specs()[0], (Spec{DType::f32, {}, {2, 8, 8}}));
  EXPECT_EQ(dataset.specs()[1], stored.specs()[1]);
  const Tensor expected = RandomRotation({.degrees = {90, 90}})(
      RandomCrop(8, 1)(RandomHorizontalFlip(1.0)(stored.get(5)[0])));
  EXPECT_EQ(dataset.get(5)[0].to_vector<float>(), expected.to_vector<float>());
  EXPECT_EQ(dataset.get(5)[1].item(), 5);
  EXPECT_EQ(dataset.size(), count);
  EXPECT_EQ(dataset.class_names(), stored.class_names());
  EXPECT_EQ(dataset.input_scale(), stored.input_scale());
  const Transformed none(stored, {});
  EXPECT_EQ(none.get(5)[0].to_vector<float>(), stored.get(5)[0].to_vector<float>());
}

TEST(Transformed, DrawsFromTheDefaultGeneratorOutsideOfALoader) {
  const Transformed dataset(images(), several());
  manual_seed(4);
  const auto first = dataset.get(0)[0].to_vector<float>();
  const auto second = dataset.get(0)[0].to_vector<float>();
  EXPECT_NE(first, second);
  manual_seed(4);
  EXPECT_EQ(dataset.get(0)[0].to_vector<float>(), first);
}

/// A dataset of one's own over another one.
struct Over : Dataset {
  explicit Over(AnyDataset dataset) : within(std::move(dataset)) {}
  int64_t size() const override { return within->size(); }
  std::vector<Tensor> get(int64_t i) const override { return within->get(i); }
  AnyDataset within;
};

TEST(Transformed, IsTheSameWithinOtherDatasets) {
  const Transformed dataset(images(), several());
  const LoaderOptions options{.batch_size = 4, .seed = 8};
  const Pictures direct = pictures_in(dataset, 1, options);
  EXPECT_EQ(pictures_in(Over(dataset), 1, options), direct);
  const Subset part(dataset, {3, 7, 22});
  Loader loader(part, options);
  const std::optional<Batch> batch = loader.epoch(1).next();
  const std::vector<float> values = batch->fields[0].to_vector<float>();
  for (size_t i = 0; i < 3; ++i) {
    const auto from = values.begin() + static_cast<std::ptrdiff_t>(i * 72);
    EXPECT_EQ(std::vector<float>(from, from + 72), direct[static_cast<size_t>(part.indices()[i])]);
  }
}

TEST(Transformed, DrawsAnewForEachOfTwoWithinEachOther) {
  // Flips that draw alike would undo each other.
  const Transformed once(images(), {RandomHorizontalFlip()});
  const std::vector<int64_t> all = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22};
  const Transformed twice(Subset(once, all), {RandomHorizontalFlip()});
  const Pictures plain = pictures_in(images(), 0, {});
  const Pictures made = pictures_in(twice, 0, {});
  int same = 0;
  for (size_t i = 0; i < plain.size(); ++i) same += plain[i] == made[i] ? 1 : 0;
  EXPECT_GT(same, 3);
  EXPECT_LT(same, 20);
}

TEST(Transformed, TellsItselfFromOthers) {
  const auto digest = [](std::vector<AnyTransform> transforms) {
    return Transformed(images(), std::move(transforms)).digest();
  };
  const std::set<std::string> digests{digest({}), digest({RandomHorizontalFlip()}),
                                      digest({RandomHorizontalFlip(0.25)}), digest(several())};
  EXPECT_EQ(digests.size(), 4u);
  EXPECT_EQ(digest(several()), digest(several()));
}

TEST(Transformed, RefusesWhatIsNoImage) {
  EXPECT_EQ(error_of(ErrorKind::shape,
                     [] { Transformed(TensorDataset({zeros({5, 8})}), {RandomHorizontalFlip()}); }),
            "RandomHorizontalFlip: takes images [C,H,W], got f32[8]");
  EXPECT_EQ(
      error_of(ErrorKind::shape, [] { Transformed(images(), {RandomCrop(4), RandomCrop(5)}); }),
      "RandomCrop: a crop of 5 x 5 does not fit into 4 x 4; `pad_if_needed` makes room, the "
      "images are f32[2,4,4]");
  const Transformed dataset(images(), {RandomCrop(4)});
  EXPECT_NE(error_of(ErrorKind::index, [&] { dataset.get(23); }), "");
  std::vector<Tensor> wrong = {empty({1, 2, 6, 6}), empty({1}, DType::i64)};
  const std::vector<int64_t> first = {0};
  EXPECT_EQ(error_of(ErrorKind::shape, [&] { dataset.fill(first, wrong); }),
            "fill: tensor 0 of the batch must be a row-major f32[1,2,4,4], got f32[1,2,6,6]");
  // What was lent to the dataset within is back, whatever it throws.
  std::vector<Tensor> batch = {empty({1, 2, 4, 4}), empty({1}, DType::i64)};
  const std::vector<int64_t> none = {99};
  EXPECT_NE(error_of(ErrorKind::index, [&] { dataset.fill(none, batch); }), "");
  EXPECT_TRUE(batch[1].defined());
}

TEST(Transformed, TakesNoExamplesAtAll) {
  const Transformed dataset(TensorDataset({zeros({0, 1, 6, 6}), zeros({0})}), several());
  EXPECT_EQ(dataset.size(), 0);
  EXPECT_EQ(read_batch(dataset, std::vector<int64_t>())[0].shape(), Shape({0, 1, 6, 6}));
}

}  // namespace
}  // namespace taper::data

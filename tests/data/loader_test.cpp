#include <taper/data/loader.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include <taper/core/allocator.h>
#include <taper/core/threads.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

using testing::error_of;

using Batches = std::vector<std::vector<int64_t>>;

TensorDataset numbers(int64_t count) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i);
  return TensorDataset({from_values<int64_t>({count}, values)});
}

/// Takes work that depends on the example, so that workers finish out of order.
struct Uneven : Dataset {
  int64_t size() const override { return 40; }
  std::vector<Tensor> get(int64_t i) const override {
    [[maybe_unused]] volatile int64_t spent = 0;
    for (int64_t work = i * 37 % 5 * 40000; work > 0; --work) spent = work;
    return {from_values<int64_t>({}, std::vector<int64_t>{i})};
  }
};

/// Fails at one example.
struct Failing : Dataset {
  int64_t size() const override { return 10; }
  std::vector<Tensor> get(int64_t i) const override {
    if (i == 7 && *broken == 1) fail(ErrorKind::io, "cannot read 7.png");
    if (i == 7 && *broken == 2) throw std::out_of_range("no 7");
    return {from_values<int64_t>({}, std::vector<int64_t>{i})};
  }
  std::shared_ptr<std::atomic<int>> broken = std::make_shared<std::atomic<int>>(1);
};

Batches rest_of_epoch(Loader& loader) {
  Batches batches;
  for (const Batch& batch : loader) batches.push_back(batch[0].to_vector<int64_t>());
  return batches;
}

TEST(Loader, ReadsInOrder) {
  Loader loader(numbers(7), {.batch_size = 3});
  EXPECT_EQ(loader.batches(), 3);
  EXPECT_EQ(loader.examples(), 7);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    EXPECT_EQ(loader.position(), (LoaderPosition{epoch, 0}));
    EXPECT_EQ(rest_of_epoch(loader), (Batches{{0, 1, 2}, {3, 4, 5}, {6}}));
  }
}

TEST(Loader, BatchesSayWhichTheyAre) {
  Loader loader(numbers(7), {.batch_size = 3});
  int64_t index = 0;
  for (const Batch& batch : loader.epoch(4)) {
    EXPECT_EQ(batch.epoch, 4);
    EXPECT_EQ(batch.index, index++);
    EXPECT_EQ(batch.size, batch[0].size(0));
  }
  EXPECT_EQ(index, 3);
}

TEST(Loader, WorkersLeaveTheOtherThreadsToKernels) {
  std::atomic<int> parts{0};
  const auto count_parts = [&](Batch&) { parallel_for(100, 1, [&](auto, auto) { ++parts; }); };
  const int before = threads();
  set_threads(3);
  Loader workers(numbers(4), {.batch_size = 1, .workers = 2}, count_parts);
  rest_of_epoch(workers);
  EXPECT_EQ(parts, 4);
  Loader here(numbers(4), {.batch_size = 1, .workers = 0}, count_parts);
  rest_of_epoch(here);
  EXPECT_EQ(parts, 4 + 4 * 3);
  set_threads(before);
}

TEST(Loader, DropsTheLastBatch) {
  Loader loader(numbers(7), {.batch_size = 3, .drop_last = true});
  EXPECT_EQ(rest_of_epoch(loader), (Batches{{0, 1, 2}, {3, 4, 5}}));
  Loader whole(numbers(6), {.batch_size = 3, .drop_last = true});
  EXPECT_EQ(whole.batches(), 2);
  Loader nothing(numbers(2), {.batch_size = 3, .drop_last = true});
  EXPECT_EQ(rest_of_epoch(nothing), Batches{});
  Loader empty_one(numbers(0));
  EXPECT_EQ(rest_of_epoch(empty_one), Batches{});
  EXPECT_EQ(rest_of_epoch(empty_one), Batches{});
  EXPECT_EQ(empty_one.position(), (LoaderPosition{2, 0}));
}

TEST(Loader, ShufflesEveryEpochAnew) {
  Loader loader(numbers(50), {.batch_size = 8, .shuffle = true, .seed = 3});
  Batches orders;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> order;
    for (const auto& batch : rest_of_epoch(loader)) {
      order.insert(order.end(), batch.begin(), batch.end());
    }
    EXPECT_EQ(order, permutation(50, 3, epoch));
    EXPECT_EQ(std::set(order.begin(), order.end()).size(), 50u);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST(Loader, WorkersDoNotChangeTheBatches) {
  const auto read = [](int workers, int prefetch) {
    Loader loader(
        Uneven(),
        {.batch_size = 3, .shuffle = true, .seed = 5, .workers = workers, .prefetch = prefetch});
    Batches batches;
    for (int epoch = 0; epoch < 2; ++epoch) {
      for (const auto& batch : rest_of_epoch(loader)) batches.push_back(batch);
    }
    return batches;
  };
  const Batches expected = read(0, 2);
  EXPECT_EQ(expected.size(), 28u);
  for (int workers : {1, 2, 3, 5}) {
    for (int prefetch : {0, 1, 4, 100}) EXPECT_EQ(read(workers, prefetch), expected);
  }
}

TEST(Loader, GoesOnFromAnyPosition) {
  for (int workers : {0, 1, 4}) {
    const LoaderOptions options{.batch_size = 4, .shuffle = true, .seed = 1, .workers = workers};
    Loader reference(numbers(30), options);
    for (int64_t taken = 0; taken <= reference.batches(); ++taken) {
      Loader first(numbers(30), options);
      for (int64_t i = 0; i < taken; ++i) first.next();
      EXPECT_EQ(first.position(), (LoaderPosition{0, taken}));
      Loader resumed(numbers(30), options);
      resumed.next();
      resumed.seek(first.position());
      EXPECT_EQ(rest_of_epoch(resumed), rest_of_epoch(first));
      EXPECT_EQ(resumed.position(), (LoaderPosition{1, 0}));
      EXPECT_EQ(rest_of_epoch(resumed), rest_of_epoch(reference.epoch(1)));
    }
  }
}

TEST(Loader, EpochBeginsAgainAfterABreak) {
  Loader loader(numbers(9), {.batch_size = 3});
  for (const Batch& batch : loader) {
    if (batch.index == 1) break;
  }
  EXPECT_EQ(loader.position(), (LoaderPosition{0, 2}));
  EXPECT_EQ(rest_of_epoch(loader.epoch(0)), (Batches{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}}));
}

TEST(Loader, ALoopAfterABreakBeginsTheEpochAgain) {
  for (int workers : {0, 2}) {
    const LoaderOptions options{.batch_size = 3, .shuffle = true, .seed = 5, .workers = workers};
    Loader loader(numbers(9), options);
    Loader reference(numbers(9), options);
    const Batches first = rest_of_epoch(reference);
    const Batches second = rest_of_epoch(reference);
    for (int64_t last : {0, 1, 2}) {
      for (const Batch& batch : loader) {
        if (batch.index == last) break;
      }
    }
    EXPECT_EQ(rest_of_epoch(loader), first);
    EXPECT_EQ(rest_of_epoch(loader), second);
  }
}

TEST(Loader, ALoopGoesOnAfterSeekAndNext) {
  Loader loader(numbers(9), {.batch_size = 3});
  const auto leave = [&] {
    for (const Batch& batch : loader) {
      if (batch.index == 0) break;
    }
  };
  leave();
  loader.seek(loader.position());
  EXPECT_EQ(rest_of_epoch(loader), (Batches{{3, 4, 5}, {6, 7, 8}}));
  leave();
  loader.next();
  EXPECT_EQ(rest_of_epoch(loader), (Batches{{6, 7, 8}}));
}

TEST(Loader, RefusesPositionsAndOptionsOutOfRange) {
  Loader loader(numbers(9), {.batch_size = 3});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { loader.seek({0, 4}); }),
            "loader: there is no batch 4 of epoch 0, an epoch has 3");
  error_of(ErrorKind::value, [&] { loader.seek({-1, 0}); });
  const auto making = [](const LoaderOptions& options) {
    return error_of(ErrorKind::value, [&] { Loader(numbers(9), options); });
  };
  EXPECT_EQ(making({.batch_size = 0}), "loader: batch_size must be at least 1, got 0");
  EXPECT_EQ(making({.workers = -1}), "loader: workers must be in [0, 1024], got -1");
  EXPECT_EQ(making({.prefetch = -1}), "loader: prefetch must be at least 0, got -1");
}

TEST(Batch, NamesAFieldThatIsNotThere) {
  Loader loader(numbers(9), {.batch_size = 3});
  const Batch batch = *loader.next();
  EXPECT_EQ(error_of(ErrorKind::index, [&] { batch[7]; }),
            "batch: there is no field 7, it has " + std::to_string(batch.fields.size()));
}

TEST(Loader, RethrowsWithTheBatch) {
  for (int workers : {0, 1, 3}) {
    const Failing dataset;
    Loader loader(dataset, {.batch_size = 2, .workers = workers});
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(loader.next());
    for (int again = 0; again < 2; ++again) {
      EXPECT_EQ(error_of(ErrorKind::io, [&] { loader.next(); }),
                "loader: batch 3 of epoch 0: cannot read 7.png");
      EXPECT_EQ(loader.position(), (LoaderPosition{0, 3}));
    }
    *dataset.broken = 0;
    EXPECT_EQ(rest_of_epoch(loader), (Batches{{6, 7}, {8, 9}}));
  }
}

TEST(Loader, KeepsForeignExceptionsNested) {
  for (int workers : {0, 2}) {
    const Failing dataset;
    *dataset.broken = 2;
    Loader loader(dataset, {.batch_size = 10, .workers = workers});
    try {
      loader.next();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "loader: batch 0 of epoch 0: no 7");
      EXPECT_THROW(std::rethrow_if_nested(error), std::out_of_range);
    }
  }
}

TEST(Loader, TransformsEachBatch) {
  const auto add = [](Batch& batch) {
    Tensor changed = empty(batch[0].spec());
    const int64_t* from = batch[0].data<int64_t>();
    for (int64_t i = 0; i < batch.size; ++i) {
      changed.mutable_data<int64_t>()[i] = from[i] + 100 * batch.epoch + 1000 * batch.index;
    }
    batch.fields[0] = changed;
  };
  for (int workers : {0, 2}) {
    Loader loader(numbers(4), {.batch_size = 2, .workers = workers}, add);
    EXPECT_EQ(rest_of_epoch(loader.epoch(1)), (Batches{{100, 101}, {1102, 1103}}));
  }
}

TEST(Loader, StopsInTheMiddle) {
  for (int taken = 0; taken < 6; ++taken) {
    Loader loader(Uneven(), {.batch_size = 2, .workers = 3, .prefetch = 8});
    for (int i = 0; i < taken; ++i) loader.next();
  }
  Loader moved(numbers(4));
  moved.next();
  moved = Loader(Uneven(), {.batch_size = 40});
  EXPECT_EQ(moved.next()->size, 40);
}

TEST(Loader, RunsAheadByTheQueueOnly) {
  struct Counting : Dataset {
    int64_t size() const override { return 100; }
    std::vector<Tensor> get(int64_t i) const override {
      const int ahead = ++*asked - *taken;
      int most = *most_ahead;
      while (ahead > most && !most_ahead->compare_exchange_weak(most, ahead)) {
      }
      return {from_values<int64_t>({}, std::vector<int64_t>{i})};
    }
    std::vector<Spec> specs() const override { return {{DType::i64, {}, {}}}; }
    using Counter = std::shared_ptr<std::atomic<int>>;
    Counter asked = std::make_shared<std::atomic<int>>(0);
    Counter taken = std::make_shared<std::atomic<int>>(0);
    Counter most_ahead = std::make_shared<std::atomic<int>>(0);
  };
  const Counting dataset;
  Loader loader(dataset, {.batch_size = 1, .workers = 2, .prefetch = 3});
  EXPECT_EQ(*dataset.asked, 0);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    ++*dataset.taken;
    loader.next();
  }
  EXPECT_LE(*dataset.most_ahead, 3);
  EXPECT_EQ(*dataset.asked, dataset.size());
}

TEST(Loader, MemoryStaysFlat) {
  const Tensor images = [] {
    Tensor zeros = empty({1000, 784}, DType::u8);
    std::fill_n(zeros.mutable_data<uint8_t>(), zeros.numel(), uint8_t{0});
    return zeros;
  }();
  const TensorDataset dataset({{images, {.scale = 1 / 255.f}}, empty({1000}, DType::i64)});
  for (int workers : {0, 1, 3}) {
    Loader loader(dataset, {.batch_size = 32, .shuffle = true, .workers = workers});
    const auto run = [&](int epochs) {
      for (int epoch = 0; epoch < epochs; ++epoch) {
        for (const Batch& batch : loader) EXPECT_GT(batch.size, 0);
      }
      const MemoryStats stats = memory_stats();
      return std::pair(stats.in_use, stats.in_use + stats.cached);
    };
    const auto before = run(20);
    const auto after = run(100);
    EXPECT_EQ(after.first, before.first);
    // How far workers run ahead differs by a batch or two from epoch to epoch.
    EXPECT_LE(after.second, before.second + 3 * 32 * 784 * sizeof(float) * 5 / 4);
  }
}

/// Draws as an augmentation does, more often for some examples than for others.
struct Drawing : Dataset {
  int64_t size() const override { return 23; }
  std::vector<Tensor> get(int64_t i) const override {
    Tensor drawn = rand({3});
    for (int64_t again = i % 3; again > 0; --again) drawn = drawn + dropout(ones({3}), 0.5);
    return {drawn, from_values<int64_t>({}, std::vector<int64_t>{i})};
  }
};

using Drawn = std::vector<std::vector<float>>;

/// By example, what each drew in an epoch; behind them what the transform drew for each batch.
Drawn drawn_in(int64_t epoch, LoaderOptions options) {
  Loader loader(Drawing(), options, [](Batch& batch) { batch.fields.push_back(rand({2})); });
  Drawn examples(23);
  Drawn batches;
  for (const Batch& batch : loader.epoch(epoch)) {
    const std::vector<int64_t> indices = batch[1].to_vector<int64_t>();
    const std::vector<float> values = batch[0].to_vector<float>();
    for (size_t row = 0; row < indices.size(); ++row) {
      const auto from = values.begin() + static_cast<std::ptrdiff_t>(3 * row);
      examples[static_cast<size_t>(indices[row])] = {from, from + 3};
    }
    batches.push_back(batch[2].to_vector<float>());
  }
  examples.insert(examples.end(), batches.begin(), batches.end());
  return examples;
}

TEST(Loader, WhatExamplesDrawRepeatsForAnyNumberOfWorkers) {
  manual_seed(5);
  const Drawn here = drawn_in(2, {.batch_size = 4, .seed = 8, .workers = 0});
  EXPECT_EQ(std::set(here.begin(), here.end()).size(), here.size());
  rand({7});  // the state of the default generator does not matter
  for (const int workers : {0, 1, 3}) {
    EXPECT_EQ(drawn_in(2, {.batch_size = 4, .seed = 8, .workers = workers}), here) << workers;
  }
  EXPECT_NE(drawn_in(3, {.batch_size = 4, .seed = 8}), here);
  EXPECT_NE(drawn_in(2, {.batch_size = 4, .seed = 9}), here);
  // Each example's numbers are its own, whichever batch it is in.
  Drawn shuffled = drawn_in(2, {.batch_size = 6, .shuffle = true, .seed = 8, .workers = 2});
  shuffled.resize(23);
  EXPECT_EQ(shuffled, Drawn(here.begin(), here.begin() + 23));
}

TEST(Loader, WhatExamplesDrawLeavesTheDefaultGeneratorAlone) {
  manual_seed(5);
  drawn_in(0, {.batch_size = 4, .workers = 0});
  drawn_in(0, {.batch_size = 4, .workers = 2});
  EXPECT_EQ(default_generator().state().to_vector<int64_t>(), (std::vector<int64_t>{5, 0}));
}

TEST(Loader, RefusesALoopWithinALoop) {
  Loader loader(TensorDataset({arange(6)}), {.batch_size = 2});
  int seen = 0;
  const auto nested = [&] {
    for (const Batch& outer : loader) {
      for (const Batch& inner : loader) seen += outer.size == inner.size ? 1 : 100;
    }
  };
  EXPECT_EQ(error_of(ErrorKind::value, nested),
            "loader: another loop over it began within this one; make a second Loader");
  EXPECT_EQ(seen, 3);
  seen = 0;
  for ([[maybe_unused]] const Batch& batch : loader) ++seen;
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace taper::data

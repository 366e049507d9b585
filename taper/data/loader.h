// Batches of a dataset in order, made ahead by worker threads.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include <taper/core/tensor.h>
#include <taper/data/dataset.h>

namespace taper::data {

struct LoaderOptions {
  int64_t batch_size = 32;
  bool shuffle = false;    ///< a new order in every epoch
  uint64_t seed = 0;       ///< of the orders and of what `Dataset::get` and the transform draw
  bool drop_last = false;  ///< leave out the last batch if it is smaller than the others
  int workers = 1;         ///< threads that make batches ahead; 0: the caller makes them
  int prefetch = 2;        ///< batches made ahead of the caller, at least one for each worker
};

/// Some examples: for each field a tensor whose first axis counts them.
struct TAPER_API Batch {
  std::vector<Tensor> fields;
  int64_t epoch = 0;
  int64_t index = 0;  ///< which batch of its epoch it is
  int64_t size = 0;   ///< the number of its examples

  /// Throws index if there is no such field.
  const Tensor& operator[](size_t field) const;
};

/// Changes a batch after it was read, in the thread that read it. What it draws from the default
/// generator depends on the loader's seed, the epoch and the batch's index only.
using BatchTransform = std::function<void(Batch& batch)>;

/// Where a loader stands: the batch that `next` returns.
struct LoaderPosition {
  int64_t epoch = 0;
  int64_t batch = 0;  ///< of the epoch; equal to the number of batches at its end
  bool operator==(const LoaderPosition&) const = default;
};

/// Reads a dataset in batches:
///
///   Loader loader(dataset, {.batch_size = 64, .shuffle = true, .seed = 7});
///   for (int epoch = 0; epoch < 10; ++epoch) {
///     for (const Batch& batch : loader.epoch(epoch)) train(batch[0], batch[1]);
///   }
///
/// The batches and their order depend on the dataset, batch_size, shuffle, seed, drop_last and the
/// transform only, never on the workers. So do random numbers: while `Dataset::get` runs, `rand`
/// and all that draws from the default generator takes numbers that depend on the seed, the epoch
/// and the example only; augmentation repeats for any number of workers. Workers start with the
/// first batch that is asked for, run ahead to the end of the epoch at most, and end with the
/// loader. One thread at a time may use a loader.
class TAPER_API Loader {
 public:
  /// Throws value for an option out of range. The dataset's size and specs are asked for here.
  explicit Loader(AnyDataset dataset, LoaderOptions options = {}, BatchTransform transform = {});
  ~Loader();
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  /// The number of batches in an epoch.
  int64_t batches() const;
  /// The number of examples in the dataset.
  int64_t examples() const;
  const LoaderOptions& options() const;
  const Dataset& dataset() const;

  /// The next batch of the epoch; nothing at its end, once, and then the next epoch begins.
  ///
  /// What the dataset or the transform throws is thrown here: an Error with `loader: batch 3 of
  /// epoch 0: ` before its text, anything else nested in such an Error (std::rethrow_if_nested).
  /// The loader then still stands at that batch.
  std::optional<Batch> next();

  /// Where it stands, to be kept in a checkpoint.
  LoaderPosition position() const;
  /// Goes on from there: what follows is the same as if it had got there by itself. Throws value
  /// if there is no such batch.
  void seek(LoaderPosition position);

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Batch;

    explicit Iterator(Loader* loader) : loader_(loader), loop_(loader->begin_loop()) {
      batch_ = loader->next_of_loop(loop_);
    }
    const Batch& operator*() const { return *batch_; }
    const Batch* operator->() const { return &*batch_; }
    Iterator& operator++() {
      batch_.reset();  // so that its memory can be used again
      batch_ = loader_->next_of_loop(loop_);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !batch_; }

   private:
    Loader* loader_;
    uint64_t loop_;
    std::optional<Batch> batch_;
  };

  /// The batches from where it stands to the end of the epoch. A loop that is left before its end
  /// has not taken the epoch: the next one begins it again, unless `seek` or `next` came between.
  /// To go on with a loop when another one has begun throws value: a loader stands in one place.
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

  /// Goes to the beginning of an epoch: `for (const Batch& batch : loader.epoch(3))`.
  Loader& epoch(int64_t number);

 private:
  struct Impl;

  /// The number of the loop.
  uint64_t begin_loop();
  std::optional<Batch> next_of_loop(uint64_t loop);

  std::unique_ptr<Impl> impl_;
};

}  // namespace taper::data

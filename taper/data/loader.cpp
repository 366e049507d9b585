#include <taper/data/loader.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <taper/core/threads.h>
#include <taper/data/epoch_scope.h>

namespace taper::data {
namespace {

constexpr int most_workers = 1024;

using Order = std::shared_ptr<const std::vector<int64_t>>;

void check_options(const LoaderOptions& options) {
  const auto check = [](bool good, const char* name, const char* range, int64_t given) {
    if (good) return;
    fail(ErrorKind::value,
         std::string("loader: ") + name + " must be " + range + ", got " + std::to_string(given));
  };
  check(options.batch_size >= 1, "batch_size", "at least 1", options.batch_size);
  check(options.workers >= 0 && options.workers <= most_workers, "workers", "in [0, 1024]",
        options.workers);
  check(options.prefetch >= 0, "prefetch", "at least 0", options.prefetch);
}

int64_t count_batches(int64_t examples, const LoaderOptions& options) {
  const int64_t whole = examples / options.batch_size;
  const bool has_rest = examples % options.batch_size != 0;
  return whole + (has_rest && !options.drop_last ? 1 : 0);
}

/// Throws what was thrown while a batch was made, with the batch's number.
[[noreturn]] void rethrow_named(const std::exception_ptr& thrown, LoaderPosition at) {
  const std::string who =
      "loader: batch " + std::to_string(at.batch) + " of epoch " + std::to_string(at.epoch) + ": ";
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    throw Error(error.kind(), who + error.what(), error.op(), error.layer());
  } catch (const std::exception& exception) {
    std::throw_with_nested(Error(ErrorKind::value, who + exception.what()));
  } catch (...) {
    std::throw_with_nested(Error(ErrorKind::value, who + "an exception of unknown type"));
  }
}

}  // namespace

/// A batch is claimed by a worker, made without the lock, and put into its place of the ring, from
/// which the caller takes it. `position.batch` <= `claimed` <= `position.batch` + ring size.
struct Loader::Impl {
  struct Place {
    bool ready = false;
    Batch batch;
    std::exception_ptr thrown;
  };

  AnyDataset dataset;
  const LoaderOptions options;
  const BatchTransform transform;
  const int64_t examples;
  const int64_t batches;
  std::vector<Spec> specs;
  uint64_t loops = 0;    // that have begun
  bool in_loop = false;  // the last batch was taken by a loop, which has not come to its end

  std::mutex mutex;  // guards all that follows; only the caller's thread writes `position`
  std::condition_variable may_claim;
  std::condition_variable is_ready;
  LoaderPosition position;
  Order order;           // of the epoch; null if it is not shuffled
  bool running = false;  // workers may claim; `order` is that of the epoch
  bool stopping = false;
  uint64_t generation = 0;  // batches claimed in an earlier one are dropped
  int64_t claimed = 0;
  std::vector<Place> ring;
  std::vector<std::thread> threads;

  Impl(AnyDataset source, const LoaderOptions& chosen, BatchTransform change)
      : dataset(std::move(source)),
        options(chosen),
        transform(std::move(change)),
        examples(dataset->size()),
        batches(count_batches(examples, options)),
        ring(static_cast<size_t>(std::min<int64_t>(std::max({options.prefetch, options.workers, 1}),
                                                   std::max<int64_t>(1, batches)))) {
    if (batches > 0) specs = dataset->specs();
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    may_claim.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  Place& place_of(int64_t batch) { return ring[static_cast<size_t>(batch) % ring.size()]; }

  Batch make(LoaderPosition at, const Order& shuffled) const {
    const int64_t begin = at.batch * options.batch_size;
    const int64_t count = std::min(options.batch_size, examples - begin);
    std::vector<int64_t> in_order;
    std::span<const int64_t> indices;
    if (shuffled) {
      indices =
          std::span(*shuffled).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    } else {
      in_order.resize(static_cast<size_t>(count));
      std::iota(in_order.begin(), in_order.end(), begin);
      indices = in_order;
    }
    const GeneratorScope draws = draw_for_batch(options.seed, at.epoch, at.batch);
    const EpochScope epoch(options.seed, at.epoch);
    Batch batch{read_batch(*dataset, specs, indices), at.epoch, at.batch, count};
    if (transform) transform(batch);
    return batch;
  }

  /// A worker's life.
  void work() {
    const SerialScope serial;  // the threads of kernels are the caller's
    std::unique_lock lock(mutex);
    while (true) {
      may_claim.wait(lock, [&] { return stopping || can_claim(); });
      if (stopping) return;
      const LoaderPosition at{position.epoch, claimed++};
      const uint64_t claimed_in = generation;
      Order shuffled = order;
      lock.unlock();
      Place result = make_place(at, shuffled);
      shuffled.reset();
      lock.lock();
      if (generation == claimed_in) {
        place_of(at.batch) = std::move(result);
        is_ready.notify_one();
      }
    }
  }

  bool can_claim() const {
    const int64_t room = position.batch + static_cast<int64_t>(ring.size());
    return running && claimed < std::min(batches, room);
  }

  Place make_place(LoaderPosition at, const Order& shuffled) const {
    Place place;
    place.ready = true;
    try {
      place.batch = make(at, shuffled);
    } catch (...) {
      place.thrown = std::current_exception();
    }
    return place;
  }

  /// Begins to run if it does not: makes the epoch's order and lets workers claim.
  void run() {
    if (running) return;
    Order fresh;
    if (options.shuffle) {
      fresh = std::make_shared<const std::vector<int64_t>>(
          permutation(examples, options.seed, position.epoch));
    }
    {
      const std::lock_guard lock(mutex);
      order = std::move(fresh);
      claimed = position.batch;
      running = true;
    }
    may_claim.notify_all();
    while (static_cast<int>(threads.size()) < options.workers) {
      add_worker();
    }
  }

  /// A thread needs memory for its stack.
  void add_worker() {
    for (const bool again : {false, true}) {
      try {
        threads.emplace_back([this] { work(); });
        return;
      } catch (const std::system_error& error) {
        if (again) fail(ErrorKind::value, std::string("loader: no worker: ") + error.what());
        empty_memory_cache();
      }
    }
  }

  /// Stands at `to` and drops whatever was made ahead.
  void stop_at(LoaderPosition to) {
    std::vector<Place> dropped(ring.size());
    const std::lock_guard lock(mutex);
    position = to;
    running = false;
    order.reset();
    ++generation;
    std::swap(ring, dropped);
  }

  Batch take() {
    std::unique_lock lock(mutex);
    Place& place = place_of(position.batch);
    is_ready.wait(lock, [&] { return place.ready; });
    Place taken = std::exchange(place, Place{});
    if (taken.thrown) {
      lock.unlock();
      stop_at(position);
      rethrow_named(taken.thrown, position);
    }
    ++position.batch;
    lock.unlock();
    may_claim.notify_one();
    return std::move(taken.batch);
  }

  Batch make_here() {
    Place made = make_place(position, order);
    if (made.thrown) rethrow_named(made.thrown, position);
    ++position.batch;
    return std::move(made.batch);
  }

  std::optional<Batch> next() {
    if (position.batch == batches) {
      stop_at({position.epoch + 1, 0});
      return std::nullopt;
    }
    run();
    return options.workers == 0 ? make_here() : take();
  }
};

const Tensor& Batch::operator[](size_t field) const {
  if (field < fields.size()) return fields[field];
  fail(ErrorKind::index, "batch: there is no field " + std::to_string(field) + ", it has " +
                             std::to_string(fields.size()));
}

Loader::Loader(AnyDataset dataset, LoaderOptions options, BatchTransform transform) {
  check_options(options);
  impl_ = std::make_unique<Impl>(std::move(dataset), options, std::move(transform));
}

Loader::~Loader() = default;
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;

int64_t Loader::batches() const { return impl_->batches; }

int64_t Loader::examples() const { return impl_->examples; }

const LoaderOptions& Loader::options() const { return impl_->options; }

const Dataset& Loader::dataset() const { return *impl_->dataset; }

std::optional<Batch> Loader::next() {
  impl_->in_loop = false;
  return impl_->next();
}

uint64_t Loader::begin_loop() {
  if (impl_->in_loop) seek({impl_->position.epoch, 0});
  return ++impl_->loops;
}

std::optional<Batch> Loader::next_of_loop(uint64_t loop) {
  if (loop != impl_->loops) {
    fail(ErrorKind::value,
         "loader: another loop over it began within this one; make a second Loader");
  }
  impl_->in_loop = true;
  std::optional<Batch> batch = impl_->next();
  if (!batch) impl_->in_loop = false;
  return batch;
}

LoaderPosition Loader::position() const { return impl_->position; }

void Loader::seek(LoaderPosition position) {
  if (position.epoch < 0 || position.batch < 0 || position.batch > impl_->batches) {
    fail(ErrorKind::value, "loader: there is no batch " + std::to_string(position.batch) +
                               " of epoch " + std::to_string(position.epoch) + ", an epoch has " +
                               std::to_string(impl_->batches));
  }
  impl_->in_loop = false;
  if (position != impl_->position) impl_->stop_at(position);
}

Loader& Loader::epoch(int64_t number) {
  seek({number, 0});
  return *this;
}

}  // namespace taper::data

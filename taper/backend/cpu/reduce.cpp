#include <taper/backend/cpu/reduce.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/kernels.h>
#include <taper/backend/cpu/parts.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const ReduceKernels reduce_kernels;
extern const TruthKernels truth_kernels;
}  // namespace v3
namespace v4 {
extern const ReduceKernels reduce_kernels;
extern const TruthKernels truth_kernels;
}  // namespace v4

namespace {

constexpr int64_t most_accumulators = 1024;  // of one unit of work, on the stack
constexpr int64_t wanted_units = 64;         // enough for the threads; fixed, so are the results
constexpr int64_t least_columns = 1024;      // of a unit: shorter pieces of rows are read slowly
constexpr int64_t many_columns = 256;        // whose blocks cost time to combine
constexpr int64_t least_block = 16384;       // elements, more than the accumulators
constexpr int64_t grain_elements = 65536;    // about 25 µs at 0.4 ns each

const ReduceKernels& kernels() {
  return isa() == Isa::v4 ? v4::reduce_kernels : v3::reduce_kernels;
}

const TruthKernels& truth_kernels() {
  return isa() == Isa::v4 ? v4::truth_kernels : v3::truth_kernels;
}

struct Axis {
  int64_t size = 1;
  int64_t step = 0;      // elements of x
  int64_t out_step = 0;  // elements of the output
};

/// Axes of the same kind, outermost first by their steps in x.
class AxisList {
 public:
  void add(const Axis& axis) {
    if (axis.size != 1) axes_[count_++] = axis;
  }

  /// Sorts by falling steps (a broadcast axis is outermost) and merges neighbours where x and the
  /// output allow it.
  void arrange() {
    if (count_ < 2) return;
    std::sort(axes_, axes_ + count_, [](const Axis& a, const Axis& b) { return key(a) > key(b); });
    int kept = 0;
    for (int i = 1; i < count_; ++i) {
      Axis& outer = axes_[kept];
      const Axis& inner = axes_[i];
      if (outer.step == inner.step * inner.size && outer.out_step == inner.out_step * inner.size) {
        outer = {outer.size * inner.size, inner.step, inner.out_step};
      } else {
        axes_[++kept] = inner;
      }
    }
    count_ = kept + 1;
  }

  Axis take_innermost() { return count_ == 0 ? Axis{} : axes_[--count_]; }

  int64_t numel() const {
    int64_t product = 1;
    for (int i = 0; i < count_; ++i) product *= axes_[i].size;
    return product;
  }

  /// Adds the offsets of the element at the flat `index`.
  void locate(int64_t index, int64_t& x_offset, int64_t& out_offset) const {
    for (int i = count_ - 1; i >= 0; --i) {
      const int64_t position = index % axes_[i].size;
      index /= axes_[i].size;
      x_offset += position * axes_[i].step;
      out_offset += position * axes_[i].out_step;
    }
  }

 private:
  static uint64_t key(const Axis& axis) {
    const auto step = static_cast<uint64_t>(axis.step < 0 ? -axis.step : axis.step);
    return step - 1;  // 0 becomes the largest
  }

  int count_ = 0;
  Axis axes_[Shape::max_rank];
};

/// A reduction as [outer kept][outer reduced] matrices of [kept, reduced] elements. The work is cut
/// into units, each a chunk of the kept axis, and the reduced elements of a unit into blocks.
struct Partition {
  Partition(const View& x, uint32_t reduced_axes) {
    int64_t out_step = 1;
    for (int i = x.rank() - 1; i >= 0; --i) {
      const int64_t size = x.shape()[i];
      if ((reduced_axes >> i & 1) != 0) {
        outer_reduced.add({size, (*x.strides)[i], 0});
      } else {
        outer_kept.add({size, (*x.strides)[i], out_step});
        out_step *= size;
      }
    }
    outer_kept.arrange();
    outer_reduced.arrange();
    kept = outer_kept.take_innermost();
    reduced = outer_reduced.take_innermost();
    reduced_count = outer_reduced.numel() * reduced.size;
    chunk = std::min(kept.size, most_accumulators);
    if (reads_rows()) {  // whole rows for each unit rather than a piece of every row
      const int64_t wanted = (wanted_units - 1) / std::max<int64_t>(1, outer_kept.numel()) + 1;
      chunk = std::min(chunk, (kept.size - 1) / wanted + 1);
    } else if (kept.size > least_columns) {  // fewer blocks, whose results are combined
      const int64_t wanted = std::min(kept.size / least_columns, wanted_units / 4);
      chunk = std::min(chunk, (kept.size - 1) / wanted + 1);
    }
    chunks = kept.size == 0 ? 0 : (kept.size + chunk - 1) / chunk;
    units = outer_kept.numel() * chunks;
  }

  /// Whether the elements that are reduced together are nearer to each other than those that are
  /// kept.
  bool reads_rows() const { return kept.size > 1 && std::abs(reduced.step) < std::abs(kept.step); }

  /// The number of blocks follows from the sizes alone; it is at most that of reduced elements.
  void choose_blocks() {
    if (units == 0 || units >= wanted_units) return;
    const int64_t useful = chunk * reduced_count / least_block;
    const int64_t wanted = reads_rows() || chunk <= many_columns ? wanted_units : wanted_units / 4;
    blocks = std::max<int64_t>(1, std::min(wanted / units, useful));
  }

  AxisList outer_kept;
  AxisList outer_reduced;
  Axis kept;
  Axis reduced;
  int64_t reduced_count;
  int64_t chunk;
  int64_t chunks;
  int64_t units;
  int64_t blocks = 1;
};

/// Where a unit's elements and results are.
struct Unit {
  Unit(const Partition& plan, int64_t index) {
    const int64_t begin = index % plan.chunks * plan.chunk;
    count = std::min(plan.chunk, plan.kept.size - begin);
    x_offset = begin * plan.kept.step;
    out_offset = begin * plan.kept.out_step;
    plan.outer_kept.locate(index / plan.chunks, x_offset, out_offset);
  }
  int64_t count;
  int64_t x_offset = 0;
  int64_t out_offset = 0;
};

template <class A>
A identity(ReduceKind kind) {
  if (kind == ReduceKind::sum || kind == ReduceKind::mean || kind == ReduceKind::any) return 0;
  if (kind == ReduceKind::all) return 1;
  const bool max = kind == ReduceKind::max;
  if constexpr (std::is_same_v<A, double>) {
    return max ? -std::numeric_limits<A>::infinity() : std::numeric_limits<A>::infinity();
  } else {
    return max ? std::numeric_limits<A>::min() : std::numeric_limits<A>::max();
  }
}

template <class A>
A combine(ReduceKind kind, A a, A b) {
  if (kind == ReduceKind::max) return b > a || b != b ? b : a;
  if (kind == ReduceKind::min) return b < a || b != b ? b : a;
  if constexpr (std::is_same_v<A, double>) {
    return a + b;
  } else {
    if (kind == ReduceKind::any) return a | b;
    if (kind == ReduceKind::all) return a & b;
    return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
}

/// sums = combine(sums, next). The kind outside of the loop, so that it is vectorised.
template <class A>
void combine_all(ReduceKind kind, A* sums, const A* next, int64_t count) {
  const auto all = [&]<ReduceKind fixed>() {
    for (int64_t k = 0; k < count; ++k) sums[k] = combine(fixed, sums[k], next[k]);
  };
  switch (kind) {
    case ReduceKind::max:
      return all.template operator()<ReduceKind::max>();
    case ReduceKind::min:
      return all.template operator()<ReduceKind::min>();
    case ReduceKind::any:
      return all.template operator()<ReduceKind::any>();
    case ReduceKind::all:
      return all.template operator()<ReduceKind::all>();
    case ReduceKind::sum:
    case ReduceKind::mean:
      return all.template operator()<ReduceKind::sum>();
  }
}

ReduceTile tile_of(ReduceKind kind, DType dtype) {
  const ReduceKernels& table = kernels();
  const auto index = static_cast<size_t>(dtype);
  switch (kind) {
    case ReduceKind::max:
      return table.max[index];
    case ReduceKind::min:
      return table.min[index];
    case ReduceKind::any:
      return truth_kernels().any[index];
    case ReduceKind::all:
      return truth_kernels().all[index];
    case ReduceKind::sum:
    case ReduceKind::mean:
      return table.sum[index];
  }
  return nullptr;
}

template <class T, class A>
T narrowed(A value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class A>
class Reducer {
 public:
  Reducer(ReduceKind kind, const View& x, const View& out, const Partition& plan)
      : kind_(kind),
        x_(x),
        out_(out),
        plan_(plan),
        item_(static_cast<int64_t>(item_size(x.dtype()))),
        tile_(tile_of(kind, x.dtype())) {}

  void run() const {
    const int64_t work = std::max<int64_t>(1, plan_.chunk * plan_.reduced_count / plan_.blocks);
    const int64_t grain = std::max<int64_t>(1, grain_elements / work);
    if (plan_.blocks == 1) {
      parallel_for(plan_.units, grain, [&](int64_t begin, int64_t end) {
        A sums[most_accumulators];
        for (int64_t i = begin; i < end; ++i) {
          const Unit unit(plan_, i);
          accumulate(unit, 0, plan_.reduced_count, sums);
          store(unit, sums);
        }
      });
    } else {
      run_blocks(grain);
    }
  }

 private:
  /// Each block of each unit leaves a partial result; then they are combined in order.
  void run_blocks(int64_t grain) const {
    const int64_t parts = plan_.units * plan_.blocks;
    A few[most_accumulators];
    std::unique_ptr<A[]> many;
    if (parts * plan_.chunk > most_accumulators) {
      many = std::make_unique_for_overwrite<A[]>(static_cast<size_t>(parts * plan_.chunk));
    }
    A* partial = many ? many.get() : few;
    parallel_for(parts, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t block = i % plan_.blocks;
        accumulate(Unit(plan_, i / plan_.blocks), plan_.reduced_count * block / plan_.blocks,
                   plan_.reduced_count * (block + 1) / plan_.blocks, partial + i * plan_.chunk);
      }
    });
    for (int64_t i = 0; i < plan_.units; ++i) {
      const Unit unit(plan_, i);
      A* sums = partial + i * plan_.blocks * plan_.chunk;
      for (int64_t block = 1; block < plan_.blocks; ++block) {
        combine_all(kind_, sums, sums + block * plan_.chunk, unit.count);
      }
      store(unit, sums);
    }
  }

  /// Folds the reduced elements [begin, end) of a unit into fresh accumulators.
  void accumulate(const Unit& unit, int64_t begin, int64_t end, A* sums) const {
    std::fill_n(sums, unit.count, identity<A>(kind_));
    while (begin < end && !is_decided(unit, sums)) {
      const int64_t first = begin % plan_.reduced.size;
      const int64_t count = std::min(plan_.reduced.size - first, end - begin);
      int64_t offset = unit.x_offset + first * plan_.reduced.step;
      int64_t unused = 0;
      plan_.outer_reduced.locate(begin / plan_.reduced.size, offset, unused);
      tile_(x_.data + offset * item_, unit.count, plan_.kept.step, count, plan_.reduced.step, sums);
      begin += count;
    }
  }

  /// Whether nothing that follows changes the result.
  bool is_decided(const Unit& unit, const A* sums) const {
    const bool decides = kind_ == ReduceKind::any || kind_ == ReduceKind::all;
    return decides && unit.count == 1 && sums[0] != identity<A>(kind_);
  }

  void store(const Unit& unit, const A* sums) const {
    visit_dtype(out_.dtype(), [&]<class T>() {
      T* out = out_.as<T>() + unit.out_offset;
      const int64_t step = plan_.kept.out_step;
      if (kind_ == ReduceKind::mean) {
        const auto count = static_cast<double>(plan_.reduced_count);
        for (int64_t k = 0; k < unit.count; ++k) {
          out[k * step] = narrowed<T>(static_cast<double>(sums[k]) / count);
        }
      } else {
        for (int64_t k = 0; k < unit.count; ++k) out[k * step] = narrowed<T>(sums[k]);
      }
    });
  }

  ReduceKind kind_;
  const View& x_;
  const View& out_;
  const Partition& plan_;
  int64_t item_;
  ReduceTile tile_;
};

ArgReduceTile arg_tile(bool max, DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  return max ? kernels().arg_max[index] : kernels().arg_min[index];
}

/// What stands for the running extremes, a double or an integer each.
union Extreme {
  double real;
  int64_t integer;
};

bool beats(bool max, DType dtype, Extreme a, Extreme b) {
  if (dtype == DType::u64) {  // in the order of signed numbers
    a.integer ^= INT64_MIN;
    b.integer ^= INT64_MIN;
  }
  if (!is_float(dtype)) return max ? a.integer > b.integer : a.integer < b.integer;
  if (std::isnan(a.real)) return !std::isnan(b.real);
  return max ? a.real > b.real : a.real < b.real;
}

/// What any element beats, or equals.
Extreme worst(ReduceKind kind, DType dtype) {
  if (is_float(dtype)) return {.real = identity<double>(kind)};
  if (dtype != DType::u64) return {.integer = identity<int64_t>(kind)};
  return {.integer = std::bit_cast<int64_t>(identity<uint64_t>(kind))};
}

/// The position in row-major memory: the extremes of blocks in parallel, then the place in the
/// first block with the best one. A bool's is found faster than it is looked for in blocks.
int64_t arg_flat(bool max, const std::byte* data, DType dtype, int64_t count) {
  const int64_t blocks =
      is_bool(dtype) ? 1 : std::clamp<int64_t>(count / least_block, 1, wanted_units);
  const auto item = static_cast<int64_t>(item_size(dtype));
  const ReduceKind kind = max ? ReduceKind::max : ReduceKind::min;
  const ReduceTile tile = tile_of(kind, dtype);
  const auto begin_of = [=](int64_t block) { return count * block / blocks; };
  Extreme best[wanted_units];
  const int64_t grain = std::max<int64_t>(1, grain_elements / (count / blocks));
  parallel_for(blocks > 1 ? blocks : 0, grain, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      best[block] = worst(kind, dtype);
      const int64_t size = begin_of(block + 1) - begin_of(block);
      tile(data + begin_of(block) * item, 1, 0, size, 1, best + block);
    }
  });
  int64_t winner = 0;
  for (int64_t block = 1; block < blocks; ++block) {
    if (beats(max, dtype, best[block], best[winner])) winner = block;
  }
  int64_t index = 0;
  const int64_t size = begin_of(winner + 1) - begin_of(winner);
  arg_tile(max, dtype)(data + begin_of(winner) * item, 1, 0, size, 1, 0, best, &index);
  return begin_of(winner) + index;
}

int64_t arg_all(bool max, const View& x) {
  if (x.row_major) return arg_flat(max, x.data, x.dtype(), x.numel());
  const size_t item = item_size(x.dtype());
  const auto packed =
      std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(x.numel()) * item);
  copy_strided(packed.get(), row_major_strides(x.shape()), x.data, *x.strides, x.shape(), item);
  return arg_flat(max, packed.get(), x.dtype(), x.numel());
}

}  // namespace

/// What a reduction of no elements gives.
static void fill_empty(ReduceKind kind, const View& out) {
  TAPER_CHECK(kind != ReduceKind::max && kind != ReduceKind::min);
  visit_dtype(out.dtype(), [&]<class T>() {
    const T value =
        kind == ReduceKind::mean ? static_cast<T>(NAN) : static_cast<T>(kind == ReduceKind::all);
    std::fill_n(out.as<T>(), out.numel(), value);
  });
}

/// An extreme of bools stops at the first element that decides, too.
static ReduceKind kind_for(ReduceKind kind, DType dtype) {
  if (!is_bool(dtype)) return kind;
  if (kind == ReduceKind::max) return ReduceKind::any;
  return kind == ReduceKind::min ? ReduceKind::all : kind;
}

void reduce(ReduceKind given, const View& x, const View& out, const Shape& axes) {
  const ReduceKind kind = kind_for(given, x.dtype());
  const bool decides = kind == ReduceKind::any || kind == ReduceKind::all;
  if (is_complex(x.dtype()) && !decides) return reduce_parts(given, x, out, axes);
  if (out.numel() == 0) return;
  if (x.numel() == 0) return fill_empty(given, out);
  uint32_t reduced_axes = 0;
  for (int64_t axis : axes) reduced_axes |= 1u << axis;
  Partition plan(x, reduced_axes);
  plan.choose_blocks();
  if (is_float(x.dtype()) && !decides) {
    Reducer<double>(kind, x, out, plan).run();
  } else if (x.dtype() == DType::u64 && !decides) {
    Reducer<uint64_t>(kind, x, out, plan).run();
  } else {
    Reducer<int64_t>(kind, x, out, plan).run();
  }
}

bool all_true(const View& x) {
  bool result = true;
  const Spec spec{DType::boolean, {}, {}};
  const Strides strides;
  Shape axes;
  for (int axis = 0; axis < x.rank(); ++axis) axes.push_back(axis);
  reduce(ReduceKind::all, x, {reinterpret_cast<std::byte*>(&result), &spec, &strides, true}, axes);
  return result;
}

void arg_reduce(bool max, const View& x, const View& out, int axis) {
  if (out.numel() == 0) return;
  TAPER_CHECK(x.numel() > 0);
  if (axis < 0) {
    *out.as<int64_t>() = arg_all(max, x);
    return;
  }
  const Partition plan(x, 1u << axis);
  const auto item = static_cast<int64_t>(item_size(x.dtype()));
  const ArgReduceTile tile = arg_tile(max, x.dtype());
  const int64_t grain = std::max<int64_t>(1, grain_elements / (plan.chunk * plan.reduced_count));
  parallel_for(plan.units, grain, [&](int64_t begin, int64_t end) {
    Extreme best[most_accumulators];
    int64_t index[most_accumulators];
    for (int64_t i = begin; i < end; ++i) {
      const Unit unit(plan, i);
      tile(x.data + unit.x_offset * item, unit.count, plan.kept.step, plan.reduced.size,
           plan.reduced.step, 0, best, index);
      int64_t* target = out.as<int64_t>() + unit.out_offset;
      for (int64_t k = 0; k < unit.count; ++k) target[k * plan.kept.out_step] = index[k];
    }
  });
}

}  // namespace taper

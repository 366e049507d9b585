#include <taper/backend/cpu/pointwise.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/pack.h>
#include <taper/backend/cpu/strided.h>
#include <taper/core/threads.h>

namespace taper {

namespace v3 {
extern const ConversionTiles conversions;
}
namespace v4 {
extern const ConversionTiles conversions;
}

const ConversionTiles& conversion_tiles() {
  return isa() == Isa::v4 ? v4::conversions : v3::conversions;
}

namespace {

constexpr size_t tile_elements = 512;
constexpr size_t tile_bytes = tile_elements * sizeof(double);  // of c128, half as many elements
constexpr int most_operands = StridedLoop::most_operands;

/// The dtype that decides which tile runs: the first operand's that is not a mask, else bool.
DType compute_dtype(std::span<const View> inputs, std::span<const View> outputs) {
  for (const View& view : inputs) {
    if (!is_bool(view.dtype())) return view.dtype();
  }
  return outputs[0].dtype();
}

bool is_short_float(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }

void widen(DType dtype, const void* from, void* to, size_t count) {
  const ConversionTiles& convert = conversion_tiles();
  (dtype == DType::f16 ? convert.f16_to_f32 : convert.bf16_to_f32)(from, to, count);
}

void narrow(DType dtype, const void* from, void* to, size_t count) {
  const ConversionTiles& convert = conversion_tiles();
  (dtype == DType::f16 ? convert.f32_to_f16 : convert.f32_to_bf16)(from, to, count);
}

template <class Word>
void copy_words(std::byte* to, int64_t to_step, const std::byte* from, int64_t from_step,
                size_t count) {
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(to, from, sizeof(Word));
    to += to_step;
    from += from_step;
  }
}

void copy_items(size_t item, std::byte* to, int64_t to_step, const std::byte* from,
                int64_t from_step, size_t count) {
  switch (item) {
    case 1:
      return copy_words<uint8_t>(to, to_step, from, from_step, count);
    case 2:
      return copy_words<uint16_t>(to, to_step, from, from_step, count);
    case 4:
      return copy_words<uint32_t>(to, to_step, from, from_step, count);
    case 8:
      return copy_words<uint64_t>(to, to_step, from, from_step, count);
    default:
      return copy_words<unsigned __int128>(to, to_step, from, from_step, count);
  }
}

void pack(size_t item, const std::byte* from, int64_t from_step, std::byte* to, size_t count) {
  const auto n = static_cast<int64_t>(count);
  pack_kernels().pack[pack_index(item)](from, from_step, to, n);
}

/// One operand along an innermost row.
struct RowOperand {
  DType dtype;
  size_t item;
  int64_t step;  // bytes between neighbours
  bool direct;   // the tile reads or writes it in place
};

/// Runs one tile function along rows, with buffers for operands that are not contiguous
/// f32/f64/int.
class RowRunner {
 public:
  RowRunner(Tile tile, const void* functor, std::span<const RowOperand> outputs,
            std::span<const RowOperand> inputs)
      : tile_(tile), functor_(functor), outputs_(outputs), inputs_(inputs) {
    for (const auto& operands : {outputs, inputs}) {
      for (const RowOperand& operand : operands) most_ = std::min(most_, tile_bytes / operand.item);
    }
  }

  void run(std::byte* const* out, std::byte* const* in, size_t count) {
    for (size_t k = 0; k < inputs_.size(); ++k) {
      if (inputs_[k].step == 0) splat(k, in[k], std::min(count, most_));
    }
    for (size_t begin = 0; begin < count; begin += most_) {
      run_tile(out, in, begin, std::min(most_, count - begin));
    }
  }

 private:
  /// Longer than a page, or loads would wait for stores at the same place in other pages.
  struct alignas(64) Buffer {
    std::byte bytes[tile_bytes + 320];
  };

  std::byte* buffer(size_t operand) { return buffers_[operand].bytes; }

  void splat(size_t k, const std::byte* value, size_t count) {
    const RowOperand& input = inputs_[k];
    std::byte wide[16];
    size_t item = input.item;
    std::memcpy(wide, value, item);
    if (is_short_float(input.dtype)) {
      widen(input.dtype, value, wide, 1);
      item = sizeof(float);
    }
    copy_items(item, buffer(k), static_cast<int64_t>(item), wide, 0, count);
  }

  const void* load(size_t k, const std::byte* from, size_t count) {
    const RowOperand& input = inputs_[k];
    if (input.direct) return from;
    if (input.step == 0) return buffer(k);
    const auto item = static_cast<int64_t>(input.item);
    if (!is_short_float(input.dtype)) {
      pack(input.item, from, input.step, buffer(k), count);
      return buffer(k);
    }
    if (input.step != item) {
      std::byte packed[tile_elements * 2];
      pack(input.item, from, input.step, packed, count);
      widen(input.dtype, packed, buffer(k), count);
    } else {
      widen(input.dtype, from, buffer(k), count);
    }
    return buffer(k);
  }

  void store(const RowOperand& output, const std::byte* from, std::byte* to, size_t count) {
    const auto item = static_cast<int64_t>(output.item);
    std::byte packed[tile_elements * 2];
    if (is_short_float(output.dtype)) {
      std::byte* target = output.step == item ? to : packed;
      narrow(output.dtype, from, target, count);
      from = packed;
      if (target == to) return;
    }
    copy_items(output.item, to, output.step, from, item, count);
  }

  void run_tile(std::byte* const* out, std::byte* const* in, size_t begin, size_t count) {
    const auto first = static_cast<int64_t>(begin);
    const void* sources[most_operands];
    void* targets[most_operands];
    for (size_t k = 0; k < inputs_.size(); ++k) {
      sources[k] = load(k, in[k] + first * inputs_[k].step, count);
    }
    for (size_t k = 0; k < outputs_.size(); ++k) {
      const RowOperand& output = outputs_[k];
      targets[k] = output.direct ? out[k] + first * output.step : buffer(inputs_.size() + k);
    }
    tile_(sources, targets, count, functor_);
    for (size_t k = 0; k < outputs_.size(); ++k) {
      const RowOperand& output = outputs_[k];
      if (output.direct) continue;
      store(output, buffer(inputs_.size() + k), out[k] + first * output.step, count);
    }
  }

  Tile tile_;
  const void* functor_;
  size_t most_ = tile_elements;  // at a time
  std::span<const RowOperand> outputs_;
  std::span<const RowOperand> inputs_;
  Buffer buffers_[most_operands];
};

/// True if every operand is one dense block walked in the same order: the common case.
bool all_flat(std::span<const View> inputs, std::span<const View> outputs) {
  const View& first = outputs[0];
  bool any_short = is_short_float(first.dtype());
  bool same_order = true;
  auto add = [&](const View& view) {
    any_short |= is_short_float(view.dtype());
    same_order &= view.shape() == first.shape() && view.row_major == first.row_major &&
                  (view.row_major || *view.strides == *first.strides);
  };
  for (const View& view : inputs) add(view);
  for (const View& view : outputs.subspan(1)) add(view);
  return same_order && !any_short && (first.row_major || is_dense(first.shape(), *first.strides));
}

/// Elements begin to end of operands that are flat. Inlined so that a `begin` of 0 costs nothing.
[[gnu::always_inline]] inline void run_range(Tile tile, const void* functor,
                                             std::span<const View> inputs,
                                             std::span<const View> outputs, int64_t begin,
                                             int64_t end) {
  const void* sources[most_operands];
  void* targets[most_operands];
  for (size_t k = 0; k < inputs.size(); ++k) {
    sources[k] = inputs[k].data + begin * static_cast<int64_t>(item_size(inputs[k].dtype()));
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    targets[k] = outputs[k].data + begin * static_cast<int64_t>(item_size(outputs[k].dtype()));
  }
  tile(sources, targets, static_cast<size_t>(end - begin), functor);
}

void run_strided(Tile tile, const void* functor, std::span<const View> inputs,
                 std::span<const View> outputs, int64_t grain) {
  const Shape& shape = outputs[0].shape();
  std::array<Strides, most_operands> strides;
  std::array<size_t, most_operands> items;
  std::array<std::byte*, most_operands> bases;
  std::array<RowOperand, most_operands> operands;
  size_t count = 0;
  auto append = [&](const View& view) {
    strides[count] = broadcast_strides(view.shape(), *view.strides, shape);
    items[count] = item_size(view.dtype());
    bases[count++] = view.data;
  };
  for (const View& view : outputs) append(view);
  for (const View& view : inputs) append(view);
  const StridedLoop loop(shape, {strides.data(), count}, {items.data(), count});
  for (size_t k = 0; k < count; ++k) {
    const DType dtype =
        k < outputs.size() ? outputs[k].dtype() : inputs[k - outputs.size()].dtype();
    const int64_t step = loop.inner_stride(static_cast<int>(k));
    const bool direct = step == static_cast<int64_t>(items[k]) && !is_short_float(dtype);
    operands[k] = {dtype, items[k], step, direct};
  }
  const std::span<const RowOperand> all(operands.data(), count);
  const int64_t inner = loop.inner();
  if (loop.rank == 1) {  // one long row: split the row itself
    parallel_for(inner, grain, [&](int64_t begin, int64_t end) {
      RowRunner runner(tile, functor, all.first(outputs.size()), all.subspan(outputs.size()));
      std::byte* at[most_operands];
      for (size_t k = 0; k < count; ++k) at[k] = bases[k] + begin * operands[k].step;
      runner.run(at, at + outputs.size(), static_cast<size_t>(end - begin));
    });
    return;
  }
  parallel_for(loop.rows(), std::max<int64_t>(1, grain / inner), [&](int64_t begin, int64_t end) {
    RowRunner runner(tile, functor, all.first(outputs.size()), all.subspan(outputs.size()));
    loop.for_rows(bases.data(), begin, end, [&](std::byte* const* at) {
      runner.run(at, at + outputs.size(), static_cast<size_t>(inner));
    });
  });
}

}  // namespace

void run_pointwise(const TileSet& tiles, const void* functor, std::span<const View> inputs,
                   std::span<const View> outputs, int64_t grain) {
  const int64_t count = outputs[0].numel();
  if (count == 0) return;
  const Tile tile = tiles.of[static_cast<size_t>(compute_dtype(inputs, outputs))];
  TAPER_CHECK(tile != nullptr);
  TAPER_CHECK(inputs.size() + outputs.size() <= most_operands);
  if (!all_flat(inputs, outputs)) return run_strided(tile, functor, inputs, outputs, grain);
  if (count <= grain) return run_range(tile, functor, inputs, outputs, 0, count);
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    run_range(tile, functor, inputs, outputs, begin, end);
  });
}

}  // namespace taper

#include <taper/core/shape.h>

#include <algorithm>
#include <charconv>
#include <ostream>

namespace taper {

Shape::Shape(std::span<const int64_t> sizes) {
  if (sizes.size() > max_rank) {
    fail(ErrorKind::value, "a shape has at most " + std::to_string(max_rank) + " axes, got " +
                               std::to_string(sizes.size()));
  }
  for (int64_t size : sizes) sizes_[rank_++] = size;
}

void Shape::fail_axis(int64_t axis) const {
  const std::string range = rank_ == 0 ? "there is no axis"
                                       : "axis must be in [" + std::to_string(-rank_) + ", " +
                                             std::to_string(rank_ - 1) + "]";
  fail(ErrorKind::index,
       "shape: " + range + ", got " + std::to_string(axis) + " (" + to_string(*this) + ")");
}

void Shape::push_back(int64_t size) { insert(rank_, size); }

void Shape::insert(int64_t axis, int64_t size) {
  if (axis < 0 || axis > rank_) {
    fail(ErrorKind::index, "shape: a new axis must be in [0, " + std::to_string(rank_) + "], got " +
                               std::to_string(axis) + " (" + to_string(*this) + ")");
  }
  if (rank_ == max_rank) {
    fail(ErrorKind::value,
         "a shape has at most " + std::to_string(max_rank) + " axes, got one more");
  }
  for (int i = rank_; i > axis; --i) sizes_[i] = sizes_[i - 1];
  sizes_[axis] = size;
  ++rank_;
}

void Shape::erase(int64_t axis) {
  for (size_t i = place_of(axis); i + 1 < rank_; ++i) sizes_[i] = sizes_[i + 1];
  --rank_;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank(); ++i) text += (i > 0 ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string to_string(const Spec& spec) {
  const std::string text = std::string(dtype_name(spec.dtype)) + to_string(spec.shape);
  return spec.device == Device() ? text : text + " on " + to_string(spec.device);
}

std::string to_string(Device device) {
  if (device == Device()) return "cpu";
  const char* const kind = device.kind == DeviceKind::cpu ? "cpu:" : "cuda:";
  return kind + std::to_string(device.index);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return {};
  constexpr std::string_view cuda = "cuda";
  if (text.starts_with(cuda)) {
    const std::string_view rest = text.substr(cuda.size());
    uint8_t index = 0;
    if (rest.empty()) return {DeviceKind::cuda, index};
    const char* const end = rest.data() + rest.size();
    const auto read = std::from_chars(rest.data() + 1, end, index);
    if (rest[0] == ':' && read.ec == std::errc() && read.ptr == end) {
      return {DeviceKind::cuda, index};
    }
  }
  fail(ErrorKind::not_found, "no device `" + std::string(text) +
                                 "`; a device is `cpu`, `cuda` or `cuda:0` to `cuda:255`");
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }

std::ostream& operator<<(std::ostream& out, const Spec& spec) { return out << to_string(spec); }

namespace {

/// The step of the next axis; wraps, because strides are made before a size is refused.
int64_t next_step(int64_t step, int64_t size) {
  return static_cast<int64_t>(static_cast<uint64_t>(step) *
                              static_cast<uint64_t>(std::max<int64_t>(size, 1)));
}

}  // namespace

Strides row_major_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t step = 1;
  for (int64_t* at = strides.end(); at != strides.begin();) {
    const int64_t size = *--at;
    *at = step;
    step = next_step(step, size);
  }
  return strides;
}

Strides channels_last_strides(const Shape& shape) {
  TAPER_CHECK(shape.rank() == 4);
  const int64_t channels = next_step(1, shape[1]);
  const int64_t row = next_step(channels, shape[3]);
  return {next_step(row, shape[2]), 1, row, channels};
}

Strides strides_in_order_of(const Shape& shape, const Strides& like) {
  int order[Shape::max_rank];
  // Insertion sort is stable: axes of equal stride (such as size-one axes) keep row-major order.
  for (int i = 0; i < shape.rank(); ++i) {
    int place = i;
    for (; place > 0 && like[order[place - 1]] < like[i]; --place) order[place] = order[place - 1];
    order[place] = i;
  }
  Strides strides = shape;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[order[i]] = step;
    step = next_step(step, shape[order[i]]);
  }
  return strides;
}

bool is_row_major(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  bool in_order = true;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    if (shape[i] == 0) return true;  // nothing is walked
    in_order &= strides[i] == step;
    step = next_step(step, shape[i]);
  }
  return in_order;
}

bool is_dense(const Shape& shape, const Strides& strides) {
  int64_t span = 1;
  bool ascending = true;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 0) return true;
    ascending &= shape[i] == 1 || strides[i] > 0;
    span += (shape[i] - 1) * strides[i];
  }
  if (!ascending) return false;
  if (span != shape.numel()) return false;
  // Distinct elements fill `span` places exactly when the strides are those of some axis order.
  const Strides ordered = strides_in_order_of(shape, strides);
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] > 1 && strides[i] != ordered[i]) return false;
  }
  return true;
}

int normalize_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    throw Violation{ErrorKind::index,
                    rank == 0 ? "axis " + std::to_string(axis) + " of a 0-d tensor"
                              : "axis must be in [" + std::to_string(-rank) + ", " +
                                    std::to_string(rank - 1) + "], got " + std::to_string(axis)};
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  Shape result = a.rank() >= b.rank() ? a : b;
  const Shape& other = a.rank() >= b.rank() ? b : a;
  for (int i = 1; i <= other.rank(); ++i) {
    int64_t& size = result[result.rank() - i];
    const int64_t other_size = other[other.rank() - i];
    if (size == other_size || other_size == 1) continue;
    if (size != 1) {
      throw Violation{ErrorKind::shape, "shapes " + to_string(a) + " and " + to_string(b) +
                                            " do not broadcast: axis " + std::to_string(-i) +
                                            " has " + std::to_string(a[a.rank() - i]) + " and " +
                                            std::to_string(b[b.rank() - i])};
    }
    size = other_size;
  }
  return result;
}

namespace {

/// Apart, because the texts would cost every good call a large frame.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_size(const Shape& shape) {
  for (int64_t size : shape) {
    if (size < 0) fail(ErrorKind::value, "a shape has no negative sizes, got " + to_string(shape));
  }
  fail(ErrorKind::value, "a tensor of shape " + to_string(shape) + " is too large to address");
}

}  // namespace

size_t checked_bytes(const Shape& shape, DType dtype) {
  auto bytes = static_cast<int64_t>(item_size(dtype));
  bool good = true;
  bool empty = false;
  for (int64_t size : shape) {
    good &= size >= 0;
    empty |= size == 0;
    good &= !__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes);
  }
  if (!good) [[unlikely]]
    refuse_size(shape);
  return empty ? 0 : static_cast<size_t>(bytes);
}

}  // namespace taper

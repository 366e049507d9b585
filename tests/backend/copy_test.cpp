// Copies between memory orders against element by element.
#include <taper/backend/cpu/copy.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace taper {
namespace {

/// Row-major strides of the axes in this order, outermost first, `gap` elements after each row and
/// with every `step`th element.
Strides strides_in_order(const Shape& shape, const std::vector<int>& order, int64_t step,
                         int64_t gap) {
  Strides strides = shape;
  int64_t next = step;
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    strides[*axis] = next;
    next = next * shape[*axis] + gap;
  }
  return strides;
}

int64_t extent(const Shape& shape, const Strides& strides) {
  int64_t last = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) last += (shape[axis] - 1) * strides[axis];
  return last + 1;
}

/// Bytes outside of the copied elements must stay as they are.
void check(const Shape& shape, const Strides& from_strides, const Strides& to_strides,
           int64_t item) {
  std::vector<std::byte> from(static_cast<size_t>(extent(shape, from_strides) * item));
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 37 + i / 251);
  const auto size = static_cast<size_t>(extent(shape, to_strides) * item);
  std::vector<std::byte> to(size, std::byte{0x5a});
  std::vector<std::byte> expected = to;
  for (int64_t position = 0; position < shape.numel(); ++position) {
    int64_t rest = position;
    int64_t source = 0;
    int64_t target = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      source += rest % shape[axis] * from_strides[axis];
      target += rest % shape[axis] * to_strides[axis];
      rest /= shape[axis];
    }
    std::copy_n(from.begin() + source * item, item, expected.begin() + target * item);
  }
  copy_strided(to.data(), to_strides, from.data(), from_strides, shape, static_cast<size_t>(item));
  ASSERT_EQ(to, expected) << to_string(shape) << " from " << to_string(from_strides) << " to "
                          << to_string(to_strides) << ", items of " << item;
}

void check_orders(const Shape& shape, int64_t step, int64_t gap) {
  std::vector<int> order(static_cast<size_t>(shape.rank()));
  std::iota(order.begin(), order.end(), 0);
  const Strides plain = row_major_strides(shape);
  do {
    const Strides other = strides_in_order(shape, order, step, gap);
    for (int64_t item : {1, 2, 4, 8, 16}) {
      check(shape, other, plain, item);
      check(shape, plain, other, item);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Copy, GivesTheSameElementsInAnotherOrder) {
  for (const Shape& shape : {Shape{1, 1}, Shape{4, 4}, Shape{16, 16}, Shape{17, 33}, Shape{3, 70},
                             Shape{64, 5}, Shape{131, 67}, Shape{5, 3, 40}, Shape{3, 20, 2, 19}}) {
    check_orders(shape, 1, 0);
    check_orders(shape, 1, 3);
  }
}

TEST(Copy, TakesElementsThatLieApart) {
  for (const Shape& shape : {Shape{1}, Shape{100}, Shape{7, 33}, Shape{5, 3, 40}}) {
    for (int64_t step : {2, 3, 4}) check_orders(shape, step, 1);
  }
}

TEST(Copy, TakesElementsBackwards) {
  for (int64_t item : {1, 2, 4, 8, 16}) {
    for (int64_t step : {-1, -2, -3}) {
      for (int64_t count : {1, 40, 131}) {
        const auto size = static_cast<size_t>(((count - 1) * -step + 1) * item);
        std::vector<std::byte> from(size);
        for (size_t i = 0; i < size; ++i) from[i] = static_cast<std::byte>(i * 37 + i / 251);
        std::vector<std::byte> to(static_cast<size_t>(count * item));
        const std::byte* last = from.data() + (count - 1) * -step * item;
        copy_strided(to.data(), Strides{1}, last, Strides{step}, Shape{count},
                     static_cast<size_t>(item));
        for (int64_t i = 0; i < count * item; ++i) {
          ASSERT_EQ(to[static_cast<size_t>(i)], last[i / item * step * item + i % item]) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace taper

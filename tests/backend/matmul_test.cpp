#include <taper/backend/cpu/matmul.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <taper/core/allocator.h>
#include <taper/core/threads.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

namespace taper {
namespace {

/// An array with any strides, over memory of its own.
class Array {
 public:
  /// Strides may be negative or 0; row-major if empty.
  Array(DType dtype, const Shape& shape, const std::vector<int64_t>& strides = {})
      : spec_{dtype, {}, shape},
        strides_(strides.empty() ? row_major_strides(shape) : Strides(strides)) {
    int64_t low = 0;
    int64_t high = 0;
    for (int i = 0; i < shape.rank(); ++i) {
      const int64_t reach = std::max<int64_t>(0, shape[i] - 1) * strides_[i];
      (reach < 0 ? low : high) += reach;
    }
    start_ = -low;
    memory_.resize(static_cast<size_t>(high - low + 1) * item_size(dtype));
  }

  View view() {
    return {memory_.data() + start_ * static_cast<int64_t>(item_size(spec_.dtype)), &spec_,
            &strides_, is_row_major(spec_.shape, strides_)};
  }

  void fill(uint32_t seed) {
    std::mt19937 random(seed);
    visit_dtype(spec_.dtype, [&]<class T>() {
      for (size_t i = 0; i < memory_.size() / sizeof(T); ++i) {
        T value;
        if constexpr (std::is_integral_v<T>) {
          value = static_cast<T>(random());
        } else {
          value = static_cast<T>(static_cast<float>(random() % 2001) / 1000.0f - 1.0f);
        }
        std::memcpy(memory_.data() + i * sizeof(T), &value, sizeof value);
      }
    });
  }

  int64_t offset(const std::vector<int64_t>& index) const {
    int64_t result = start_;
    for (size_t i = 0; i < index.size(); ++i) result += index[i] * strides_[static_cast<int>(i)];
    return result;
  }
  template <class T>
  const T* at(const std::vector<int64_t>& index) const {
    return reinterpret_cast<const T*>(memory_.data()) + offset(index);
  }
  const Strides& strides() const { return strides_; }
  const Shape& shape() const { return spec_.shape; }
  const std::vector<std::byte>& memory() const { return memory_; }

 private:
  Spec spec_;
  Strides strides_;
  int64_t start_ = 0;
  std::vector<std::byte> memory_;
};

/// The index of an operand for an index of the output's batch axes, with the last two given.
std::vector<int64_t> operand_index(const Shape& shape, const std::vector<int64_t>& batch,
                                   int64_t row, int64_t col) {
  std::vector<int64_t> index;
  const int own_batch = shape.rank() - 2;
  const int shift = static_cast<int>(batch.size()) - own_batch;
  for (int i = 0; i < own_batch; ++i) {
    index.push_back(shape[i] == 1 ? 0 : batch[static_cast<size_t>(i + shift)]);
  }
  index.push_back(row);
  index.push_back(col);
  return index;
}

double tolerance(DType dtype, int64_t k) {
  switch (dtype) {
    case DType::f64:
      return 1e-14 * static_cast<double>(k + 1);
    case DType::f32:
      return 3e-7 * static_cast<double>(k + 1);
    case DType::f16:
      return 2e-3 * std::sqrt(static_cast<double>(k + 1));
    default:
      return 1.6e-2 * std::sqrt(static_cast<double>(k + 1));
  }
}

/// a[i, :] @ b[:, j] + bias[j], computed as Sum.
template <class T, class Sum>
Sum expected_element(const Array& a, const Array& b, const Array* bias,
                     const std::vector<int64_t>& batch, int64_t i, int64_t j) {
  const T* left = a.at<T>(operand_index(a.shape(), batch, i, 0));
  const T* right = b.at<T>(operand_index(b.shape(), batch, 0, j));
  const int64_t left_step = a.strides().back();
  const int64_t right_step = b.strides()[b.shape().rank() - 2];
  Sum sum = bias == nullptr ? Sum(0) : static_cast<Sum>(*bias->at<T>({j}));
  for (int64_t k = 0; k < a.shape().back(); ++k) {
    sum += static_cast<Sum>(left[k * left_step]) * static_cast<Sum>(right[k * right_step]);
  }
  return sum;
}

template <class T>
void expect_element(const Array& a, const Array& b, const Array* bias, const Array& out,
                    const std::vector<int64_t>& batch, int64_t i, int64_t j) {
  const T got = *out.at<T>(operand_index(out.shape(), batch, i, j));
  if constexpr (std::is_integral_v<T>) {
    ASSERT_EQ(got, static_cast<T>(expected_element<T, uint64_t>(a, b, bias, batch, i, j)));
  } else {
    const double expected = expected_element<T, double>(a, b, bias, batch, i, j);
    ASSERT_NEAR(static_cast<double>(got), expected, tolerance(dtype_of<T>, a.shape().back()));
  }
}

/// Looks at all elements of small results, at some of large ones.
void expect_product(const Array& a, const Array& b, const Array* bias, const Array& out,
                    DType dtype) {
  const Shape& shape = out.shape();
  const int batch_rank = shape.rank() - 2;
  std::vector<int64_t> batch(static_cast<size_t>(batch_rank), 0);
  int64_t products = 1;
  for (int i = 0; i < batch_rank; ++i) products *= shape[i];
  constexpr int64_t most_checked = 20000;
  const int64_t step = 1 + out.shape().numel() / most_checked;
  int64_t count = 0;
  for (int64_t index = 0; index < products; ++index) {
    int64_t rest = index;
    for (int i = batch_rank - 1; i >= 0; --i) {
      batch[static_cast<size_t>(i)] = rest % shape[i];
      rest /= shape[i];
    }
    for (int64_t i = 0; i < shape[batch_rank]; ++i) {
      for (int64_t j = 0; j < shape.back(); ++j) {
        if (count++ % step != 0) continue;
        visit_dtype(dtype, [&]<class T>() {
          if constexpr (!std::is_same_v<T, bool>) {
            expect_element<T>(a, b, bias, out, batch, i, j);
          }
        });
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

struct Case {
  Shape a;
  std::vector<int64_t> a_strides;
  Shape b;
  std::vector<int64_t> b_strides;
  Shape out;
  int64_t bias_stride = 0;  // 0: no bias
};

void check(const Case& c, DType dtype) {
  SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + to_string(c.a) + " @ " + to_string(c.b));
  Array a(dtype, c.a, c.a_strides);
  Array b(dtype, c.b, c.b_strides);
  Array out(dtype, c.out);
  Array bias(dtype, {c.out.back()}, {c.bias_stride == 0 ? 1 : c.bias_stride});
  a.fill(1);
  b.fill(2);
  bias.fill(3);
  out.fill(4);
  matmul(a.view(), b.view(), c.bias_stride == 0 ? View{} : bias.view(), out.view());
  expect_product(a, b, c.bias_stride == 0 ? nullptr : &bias, out, dtype);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{4, 2}, {}, {2, 8}, {}, {4, 8}},
      {{1, 1}, {}, {1, 1}, {}, {1, 1}, 1},
      {{5, 3}, {1, 5}, {3, 7}, {}, {5, 7}, 1},         // a transposed
      {{5, 7}, {}, {7, 9}, {1, 7}, {5, 9}, 2},         // b transposed, strided bias
      {{5, 7}, {-7, 1}, {7, 9}, {9, -1}, {5, 9}, -1},  // negative strides
      {{33, 7}, {}, {7, 40}, {}, {33, 40}, 1},
      {{33, 50}, {1, 33}, {50, 40}, {1, 50}, {33, 40}, 1},  // both transposed
      {{33, 50}, {100, 2}, {50, 40}, {0, 1}, {33, 40}, 3},  // no unit stride; stride 0
      {{33, 50}, {-50, 1}, {50, 40}, {-40, -1}, {33, 40}},
      {{33, 50}, {0, 0}, {50, 40}, {}, {33, 40}},
      {{1, 100}, {}, {100, 70}, {}, {1, 70}, 1},  // one row
      {{1, 100}, {7, 3}, {100, 70}, {1, 100}, {1, 70}},
      {{70, 100}, {}, {100, 1}, {}, {70, 1}, 1},  // one column
      {{70, 100}, {1, 70}, {100, 1}, {1, 9}, {70, 1}},
      {{70, 1}, {}, {1, 50}, {}, {70, 50}, 1},  // outer product
      {{70, 1}, {3, 0}, {1, 50}, {0, 2}, {70, 50}},
      {{3, 4, 5}, {}, {3, 5, 6}, {}, {3, 4, 6}, 1},
      {{3, 4, 5}, {}, {5, 6}, {}, {3, 4, 6}, 1},        // collapses to 12 rows
      {{3, 4, 5}, {5, 15, 1}, {5, 6}, {}, {3, 4, 6}},   // does not collapse
      {{4, 5}, {}, {3, 5, 6}, {}, {3, 4, 6}},           // a shared
      {{2, 1, 4, 5}, {}, {3, 5, 6}, {}, {2, 3, 4, 6}},  // both broadcast
      {{2, 3, 40, 5}, {}, {3, 5, 36}, {}, {2, 3, 40, 36}, 1},
      {{2, 3, 40, 50}, {6000, 50, 150, 1}, {2, 3, 50, 36}, {5400, 50, 1, 150}, {2, 3, 40, 36}},
      {{2, 3, 40, 50}, {0, 2000, 50, 1}, {2, 3, 50, 36}, {1800, 0, 36, 1}, {2, 3, 40, 36}, 1},
      {{2, 1, 2, 1, 1, 1, 2, 3}, {}, {3, 1, 2, 1, 1, 3, 4}, {}, {2, 3, 2, 2, 1, 1, 2, 4}, 1},
      {{5, 1, 9}, {}, {9, 64}, {}, {5, 1, 64}, 1},  // rows of one
      {{0, 4}, {}, {4, 3}, {}, {0, 3}},
      {{4, 3}, {}, {3, 0}, {}, {4, 0}},
      {{0, 4, 3}, {}, {3, 2}, {}, {0, 4, 2}},
      {{4, 0}, {}, {0, 3}, {}, {4, 3}},  // an empty sum
      {{2, 4, 0}, {}, {0, 3}, {}, {2, 4, 3}, 2},
  };
  return all;
}

class MatmulOf : public testing::TestWithParam<DType> {};

TEST_P(MatmulOf, AgreesWithLoops) {
  for (const Case& c : cases()) {
    check(c, GetParam());
    if (HasFatalFailure()) return;
  }
}

TEST_P(MatmulOf, AgreesWithLoopsForManySizes) {
  for (int64_t m : {1, 2, 3, 4, 6, 9, 17, 32, 35}) {
    for (int64_t n : {1, 2, 5, 8, 13, 16, 23, 24, 31, 32, 33}) {
      for (int64_t k : {1, 2, 7, 32}) {
        check({{m, k}, {}, {k, n}, {}, {m, n}, n % 2}, GetParam());
        check({{m, k}, {1, m}, {k, n}, {1, k}, {m, n}, 2}, GetParam());
        if (HasFatalFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllDTypes, MatmulOf,
                         testing::Values(DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8,
                                         DType::i16, DType::i32, DType::i64, DType::u8),
                         [](const auto& param) { return std::string(dtype_name(param.param)); });

/// Restores the number of threads.
class Matmul : public testing::Test {
 protected:
  void TearDown() override { set_threads(before_); }

 private:
  int before_ = threads();
};

std::vector<std::byte> product_bytes(DType dtype, const Shape& a_shape, const Shape& b_shape,
                                     const Shape& out_shape) {
  Array a(dtype, a_shape);
  Array b(dtype, b_shape);
  Array out(dtype, out_shape);
  a.fill(5);
  b.fill(6);
  matmul(a.view(), b.view(), {}, out.view());
  return out.memory();
}

TEST_F(Matmul, GivesTheSameBitsForAnyNumberOfThreads) {
  const Case all[] = {{{300, 1000}, {}, {1000, 257}, {}, {300, 257}},
                      {{16, 20000}, {}, {20000, 16}, {}, {16, 16}},
                      {{1, 3000}, {}, {3000, 3001}, {}, {1, 3001}},
                      {{3001, 1000}, {}, {1000, 1}, {}, {3001, 1}},
                      {{7, 130, 200}, {}, {7, 200, 140}, {}, {7, 130, 140}}};
  for (const Case& c : all) {
    for (DType dtype : {DType::f32, DType::bf16, DType::f64}) {
      set_threads(1);
      const auto one = product_bytes(dtype, c.a, c.b, c.out);
      for (int count : {2, 3, 7}) {
        set_threads(count);
        EXPECT_EQ(one, product_bytes(dtype, c.a, c.b, c.out))
            << count << " threads, " << dtype_name(dtype) << to_string(c.a);
      }
    }
  }
}

TEST_F(Matmul, AgreesWithLoopsOnSeveralThreads) {
  set_threads(3);
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::i16}) {
    check({{200, 300}, {}, {300, 150}, {}, {200, 150}, 1}, dtype);
    check({{5, 90, 110}, {}, {5, 110, 130}, {}, {5, 90, 130}, 1}, dtype);
  }
  check({{500, 20, 30}, {}, {500, 30, 25}, {}, {500, 20, 25}, 1}, DType::f32);
  check({{20000, 20}, {}, {20, 30}, {}, {20000, 30}, 1}, DType::f32);
}

TEST_F(Matmul, RunsInsideAParallelRegion) {
  set_threads(2);
  const auto expected = product_bytes(DType::f32, {200, 300}, {300, 150}, {200, 150});
  std::vector<std::vector<std::byte>> got(4);
  parallel_for(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      got[static_cast<size_t>(i)] = product_bytes(DType::f32, {200, 300}, {300, 150}, {200, 150});
    }
  });
  for (const auto& bytes : got) EXPECT_EQ(bytes, expected);
}

TEST_F(Matmul, TwoThreadsMayRunTheSameProduct) {
  const Shape a = {64, 100};
  const Shape b = {100, 80};
  const Shape out = {64, 80};
  const auto expected = product_bytes(DType::f32, a, b, out);
  auto repeat = [&](bool* good) {
    *good = true;
    for (int i = 0; i < 200; ++i) *good &= product_bytes(DType::f32, a, b, out) == expected;
  };
  bool first = false;
  bool second = false;
  std::thread other(repeat, &second);
  repeat(&first);
  other.join();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
}

TEST_F(Matmul, ManyShapesPassTheLimitOfTheCache) {
  for (int64_t n = 33; n < 33 + 1100; ++n) {
    Array a(DType::f32, {2, 3});
    Array b(DType::f32, {3, n});
    Array out(DType::f32, {2, n});
    a.fill(1);
    b.fill(2);
    matmul(a.view(), b.view(), {}, out.view());
    if (n % 100 == 0) expect_product(a, b, nullptr, out, DType::f32);
  }
  check({{2, 3}, {}, {3, 33}, {}, {2, 33}}, DType::f32);
}

TEST_F(Matmul, KeepsInfinityAndNan) {
  for (DType dtype : {DType::f32, DType::f64}) {
    visit_dtype(dtype, [&]<class T>() {
      if constexpr (std::is_floating_point_v<T>) {
        Array a(dtype, {2, 2});
        Array b(dtype, {2, 2});
        Array out(dtype, {2, 2});
        a.fill(1);
        b.fill(2);
        a.view().as<T>()[0] = std::numeric_limits<T>::quiet_NaN();
        b.view().as<T>()[2] = std::numeric_limits<T>::infinity();
        a.view().as<T>()[3] = T(2);
        matmul(a.view(), b.view(), {}, out.view());
        EXPECT_TRUE(std::isnan(*out.at<T>({0, 1})));
        EXPECT_EQ(*out.at<T>({1, 0}), std::numeric_limits<T>::infinity());
      }
    });
  }
}

/// What they need to compute in lies between other tensors: a product in tiles on two threads.
TEST(MatmulOf16Bits, LeaveOtherTensorsAlone) {
  const int before = threads();
  set_threads(2);
  for (const bool batched : {false, true}) {
    const Tensor a = ones(batched ? Shape{2, 257, 64} : Shape{257, 64}, DType::bf16);
    const Tensor b =
        ones(batched ? Shape{2, 64, 510} : Shape{64, 510}, DType::bf16)[{ellipsis, Slice(0, 255)}];
    std::vector<Tensor> others;
    for (int i = 0; i < 40; ++i) others.push_back(full({257, 255}, 77, DType::bf16));
    for (size_t i = 1; i < others.size(); i += 2) others[i] = Tensor();
    std::vector<Tensor> products;
    for (int i = 0; i < 10; ++i) products.push_back(matmul(a, b));
    for (size_t i = 0; i < others.size(); i += 2) EXPECT_TRUE(all(others[i] == 77)) << i;
    for (const Tensor& product : products) EXPECT_TRUE(all(product == 64));
    products.clear();
    empty_memory_cache();  // walks through what is noted in the free blocks
  }
  set_threads(before);
}

TEST(MatmulOf16Bits, AreThoseOfFloatsForHalves) {
  for (const int64_t n : {255, 256, 300}) {
    Generator generator(3);
    const Tensor a = astype(randint(-4, 5, {40, n}, DType::i64, &generator), DType::f16);
    const Tensor b = astype(randint(-4, 5, {n, n}, DType::i64, &generator), DType::f16);
    const Tensor wide = matmul(astype(a, DType::f64), astype(b, DType::f64));
    EXPECT_TRUE(
        all(astype(matmul(a, b), DType::f64) == astype(astype(wide, DType::f16), DType::f64)));
  }
}

}  // namespace
}  // namespace taper

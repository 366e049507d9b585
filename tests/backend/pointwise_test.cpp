// Tiles over operands of any layout: as many as a fused update of several moments has.
#include <taper/backend/cpu/pointwise.h>

#include <gtest/gtest.h>

#include <vector>

#include "tests/backend/test_array.h"

namespace taper {
namespace {

using test::Layout;
using test::TestArray;

constexpr size_t inputs = 12;
constexpr size_t outputs = 4;

/// Output m is the sum of inputs m, m + 1, ..., of which each counts by its number.
template <class T>
void weighted_sums(const void* const* in, void* const* out, size_t n, const void*) {
  for (size_t i = 0; i < n; ++i) {
    T sums[outputs] = {};
    for (size_t m = 0; m < outputs; ++m) {
      for (size_t k = m; k < inputs; ++k) {
        sums[m] += static_cast<T>(k + 1) * static_cast<const T*>(in[k])[i];
      }
    }
    for (size_t m = 0; m < outputs; ++m) static_cast<T*>(out[m])[i] = sums[m];
  }
}

/// Small integers, so that sums are exact in every dtype.
double element(size_t operand, size_t i) { return static_cast<double>((i * 7 + operand * 3) % 5); }

void check(DType dtype, Layout in_layout, Layout out_layout) {
  const Shape shape{3, 5, 241};
  TileSet tiles;
  for (const DType short_float : {DType::f16, DType::bf16, DType::f32}) {
    tiles.of[static_cast<size_t>(short_float)] = weighted_sums<float>;
  }
  tiles.of[static_cast<size_t>(DType::f64)] = weighted_sums<double>;
  std::vector<TestArray> given;
  std::vector<View> in;
  std::vector<TestArray> results;
  std::vector<View> out;
  given.reserve(inputs);
  results.reserve(outputs);
  for (size_t k = 0; k < inputs; ++k) {  // the layouts take turns
    given.emplace_back(dtype, shape, k % 3 == 0 ? Layout::row_major : in_layout);
    for (size_t i = 0; i < static_cast<size_t>(shape.numel()); ++i) {
      given.back().set(static_cast<int64_t>(i), element(k, i));
    }
    in.push_back(given.back().view());
  }
  for (size_t m = 0; m < outputs; ++m) {
    results.emplace_back(dtype, shape, m % 2 == 0 ? out_layout : Layout::row_major);
    out.push_back(results.back().view());
  }
  run_pointwise(tiles, nullptr, in, out, 512);
  for (size_t m = 0; m < outputs; ++m) {
    for (size_t i = 0; i < static_cast<size_t>(shape.numel()); ++i) {
      double sum = 0;
      for (size_t k = m; k < inputs; ++k) {
        sum += static_cast<double>(k + 1) * given[k].get(static_cast<int64_t>(i));
      }
      ASSERT_EQ(results[m].get(static_cast<int64_t>(i)), sum) << "output " << m << ", " << i;
    }
  }
}

TEST(Pointwise, SixteenOperandsOfAnyLayout) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16}) {
    for (const Layout in : test::all_layouts) {
      for (const Layout out : {Layout::row_major, Layout::reversed, Layout::sliced}) {
        SCOPED_TRACE(std::string(dtype_name(dtype)) + " " + std::to_string(static_cast<int>(in)) +
                     " " + std::to_string(static_cast<int>(out)));
        check(dtype, in, out);
      }
    }
  }
}

}  // namespace
}  // namespace taper

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <taper/autograd/autograd.h>
#include <taper/autograd/gradcheck.h>
#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

// Expected: std::complex, and what NumPy and PyTorch print.

namespace taper {
namespace {

using testing::thrown_text;
using C64 = std::complex<float>;
using C128 = std::complex<double>;
constexpr C128 i{0, 1};

TEST(Complex, TensorsHoldStandardComplexNumbers) {
  const std::vector<C64> values = {{1, 2}, {-0.5f, -3}, {0, 0}};
  const Tensor x = tensor(values);
  EXPECT_EQ(to_string(x.spec()), "c64[3]");
  EXPECT_EQ(x.to_vector<C64>(), values);
  EXPECT_EQ(x.to_vector<C128>(), (std::vector<C128>{{1, 2}, {-0.5, -3}, {0, 0}}));
  EXPECT_EQ(Tensor(slice(x, 0, 0, 1)).item<C128>(), (C128{1, 2}));
  EXPECT_EQ(std::memcmp(x.data<C64>(), values.data(), sizeof(C64) * 3), 0);
  EXPECT_EQ(tensor<float>({1, 2}).to_vector<C64>(), (std::vector<C64>{{1, 0}, {2, 0}}));
  EXPECT_EQ(full({2}, C128{1, -2}, DType::c128).to_vector<C128>(),
            (std::vector<C128>{{1, -2}, {1, -2}}));
  EXPECT_EQ(tensor({Number(C128{1, 2}), Number(3)}).dtype(), DType::c64);
}

TEST(Complex, NumbersPrintAsInNumPy) {
  EXPECT_EQ(to_string(tensor(std::vector<C64>{{1, 2}, {-0.5f, -3}})), "[1+2j, -0.5-3j] c64[2]");
  EXPECT_EQ(to_string(full({}, C128{0, NAN}, DType::c128)), "0+nanj c128[]");
  EXPECT_EQ(to_string(Number(C128{1.5, -2})), "1.5-2.0j");
}

TEST(Complex, NumbersBecomeNoRealOnes) {
  const Tensor x = tensor(std::vector<C64>{{1, 2}});
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { astype(x, DType::f32); }),
            "astype: complex numbers become no f32; take real(x), imag(x) or abs(x) (x c64[1])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)x.item<double>(); }),
            "item: 1.0+2.0j is complex; take real(x) or imag(x), or read complex numbers");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)x.to_vector<int>(); }),
            "to_vector: 1.0+2.0j is complex; take real(x) or imag(x), or read complex numbers");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { full({2}, i, DType::i32); }),
            "full: 0.0+1.0j is complex and no value of i32");
  EXPECT_TRUE(static_cast<bool>(x));
  EXPECT_TRUE(static_cast<bool>(x - 1));
  EXPECT_FALSE(static_cast<bool>(x - C128{1, 2}));
}

TEST(Complex, NumbersBesideRealTensorsMakeThemComplex) {
  EXPECT_EQ((ones({2}) * i).dtype(), DType::c64);
  EXPECT_EQ((ones({2}, DType::f64) * i).dtype(), DType::c128);
  EXPECT_EQ((ones({2}, DType::i32) + i).dtype(), DType::c64);
  EXPECT_EQ((ones({2}, DType::c64) * 2.5).dtype(), DType::c64);
  EXPECT_EQ((ones({2}, DType::c64) + ones({2}, DType::f64)).dtype(), DType::c128);
  EXPECT_EQ((i - tensor({1.0, 2.0})).to_vector<C128>(), (std::vector<C128>{{-1, 1}, {-2, 1}}));
  EXPECT_EQ(equal(arange(2), i).to_vector<bool>(), (std::vector<bool>{false, false}));
  EXPECT_EQ(equal(tensor(std::vector<C64>{{0, 1}, {0, 0}}), i).to_vector<bool>(),
            (std::vector<bool>{true, false}));
}

TEST(Complex, ArithmeticIsThatOfTheStandardLibrary) {
  const std::vector<C128> a = {{1, 2}, {-3, 0.5}, {1e200, 1e200}, {0, 4}, {1e-200, -1e-200}};
  const std::vector<C128> b = {{2, -1}, {0.25, 8}, {2e200, 1e200}, {-1, 0}, {1e-200, 1e-200}};
  const auto quotients = divide(tensor(a), tensor(b)).to_vector<C128>();
  const auto products = multiply(tensor(a), tensor(b)).to_vector<C128>();
  const auto sizes = abs(tensor(a)).to_vector<double>();
  for (size_t k = 0; k < a.size(); ++k) {
    EXPECT_LE(std::abs(quotients[k] - a[k] / b[k]), 1e-15 * std::abs(a[k] / b[k])) << k;
    EXPECT_DOUBLE_EQ(sizes[k], std::abs(a[k])) << k;
    if (std::isfinite(std::abs(a[k] * b[k]))) {
      EXPECT_LE(std::abs(products[k] - a[k] * b[k]), 1e-15 * std::abs(a[k] * b[k])) << k;
    }
  }
}

/// Of every size in f32 and f64, as std::hypot has them in the next larger type.
template <class T>
void check_sizes(T largest, T smallest) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<std::complex<T>> values = {{infinity, 1},   {-1, -infinity}, {infinity, nan},
                                         {nan, infinity}, {0, -0.0f},      {nan, 1}};
  for (T size = largest / 4; size >= smallest; size /= 3) {
    values.emplace_back(3 * size, -2 * size);
    values.emplace_back(size, 0);
    values.emplace_back(-size / 1000, size);
  }
  const auto sizes = abs(tensor(values)).template to_vector<T>();
  for (size_t k = 0; k < values.size(); ++k) {
    const auto re = static_cast<long double>(values[k].real());
    const auto expected = std::hypot(re, static_cast<long double>(values[k].imag()));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(sizes[k])) << k;
    } else if (std::isinf(expected)) {
      EXPECT_EQ(sizes[k], infinity) << k;
    } else {
      const auto room = 2 * std::numeric_limits<T>::epsilon() * expected + 2 * smallest;
      EXPECT_LE(std::abs(static_cast<long double>(sizes[k]) - expected), room) << values[k];
    }
  }
}

TEST(Complex, HaveASizeWhateverItIs) {
  check_sizes(std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min());
  check_sizes(std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min());
}

TEST(Complex, AreTrueIfOnePartIsNotZero) {
  const Tensor x = tensor(std::vector<C64>{{0, 0}, {0, 1}, {2, 0}, {0, 0}, {-0.f, 0}, {0, -0.f}});
  EXPECT_EQ(any(reshape(x, {2, 3}), 1).to_vector<bool>(), (std::vector<bool>{true, false}));
  EXPECT_EQ(all(reshape(x, {3, 2}), 1).to_vector<bool>(), (std::vector<bool>{false, false, false}));
  EXPECT_TRUE(all(slice(x, 0, 1, 3)).item<bool>());
  EXPECT_EQ(any(matrix_transpose(reshape(x, {2, 3})), 0).to_vector<bool>(),
            (std::vector<bool>{true, false}));
}

TEST(Complex, AreComparedExactlyWithIntegers) {
  const Tensor x = tensor({16'777'217, 16'777'216});
  EXPECT_EQ((x == C64(16'777'216, 0)).to_vector<bool>(), (std::vector<bool>{false, true}));
  EXPECT_EQ((x != C64(16'777'216, 1)).to_vector<bool>(), (std::vector<bool>{true, true}));
  EXPECT_EQ((x == C64(0.5, 0)).to_vector<bool>(), (std::vector<bool>{false, false}));
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { less(x, C64(3, 0)); }),
            "less: takes no complex tensors (x1 i64[2])");
}

TEST(Complex, PartsAreViews) {
  const Tensor x = tensor(std::vector<C64>{{1, 2}, {3, 4}});
  EXPECT_EQ(real(x).to_vector<float>(), (std::vector<float>{1, 3}));
  EXPECT_EQ(imag(x).to_vector<float>(), (std::vector<float>{2, 4}));
  EXPECT_EQ(real(x).impl()->storage.get(), x.impl()->storage.get());
  EXPECT_EQ(imag(slice(x, 0, {}, {}, -1)).to_vector<float>(), (std::vector<float>{4, 2}));
}

TEST(Complex, ALossMustBeReal) {
  Tensor z = tensor(std::vector<C128>{{1, 2}, {3, -4}});
  z.set_requires_grad();
  EXPECT_NE(
      thrown_text(ErrorKind::dtype, [&] { sum(z * z).backward(); }).find("take its real part"),
      std::string::npos);
  // PyTorch: (z * z.conj()).real.sum().backward() gives 2 z.
  sum(square(abs(z))).backward();
  const auto grad = z.grad().to_vector<C128>();
  EXPECT_NEAR(std::abs(grad[0] - C128(2, 4)), 0, 1e-14);
  EXPECT_NEAR(std::abs(grad[1] - C128(6, -8)), 0, 1e-14);
}

TEST(Complex, TransformsTakeThem) {
  const auto square_of_size = [](const Tensor& z) { return sum(square(abs(z))); };
  const Tensor slope = grad(square_of_size)(tensor(std::vector<C128>{{3, -4}}));
  EXPECT_NEAR(std::abs(slope.item<C128>() - C128(6, -8)), 0, 1e-14);
}

TEST(Complex, GradcheckRefusesThemSoFar) {
  const Tensor x = ones({2}, DType::f64);
  const auto text = thrown_text(ErrorKind::unsupported, [&] {
    gradcheck([](const std::vector<Tensor>& at) { return at[0] * i; }, {x});
  });
  EXPECT_EQ(text.find("gradcheck: complex tensors are not checked yet"), 0u) << text;
}

TEST(Complex, GradientsOfRealOperandsAreReal) {
  Tensor x = tensor({1.0, 2.0});
  x.set_requires_grad();
  sum(imag(x * tensor(std::vector<C64>{{5, 3}, {1, -2}}))).backward();
  EXPECT_EQ(to_string(x.grad()), "[3, -2] f32[2]");
}

}  // namespace
}  // namespace taper

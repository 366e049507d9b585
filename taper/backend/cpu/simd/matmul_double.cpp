// Eigen's product of doubles, compiled for each instruction set. Its code is inline: without a
// namespace for each set the linker would keep that of one for both.
#define TAPER_EIGEN_NAME_(isa) Eigen_##isa
#define TAPER_EIGEN_NAME(isa) TAPER_EIGEN_NAME_(isa)
#define Eigen TAPER_EIGEN_NAME(TAPER_ISA)
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include "taper/backend/cpu/matmul_double.h"

namespace taper::TAPER_ISA {
namespace {

using Columns = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Map = Eigen::Map<const Columns, 0, Eigen::OuterStride<>>;

/// Calls `body` with the matrix as Eigen sees it.
template <class Body>
void with_matrix(const double* data, int64_t row, int64_t col, int64_t rows, int64_t cols,
                 Body&& body) {
  if (row == 1 && col >= rows) {
    body(Map(data, rows, cols, Eigen::OuterStride<>(col)));
  } else {
    body(Map(data, cols, rows, Eigen::OuterStride<>(row)).transpose());
  }
}

}  // namespace

void multiply_double(const DoubleMatmul& p) {
  Eigen::Map<Rows> out(p.out, p.m, p.n);
  with_matrix(p.a, p.a_row, p.a_col, p.m, p.k, [&](const auto& a) {
    with_matrix(p.b, p.b_row, p.b_col, p.k, p.n, [&](const auto& b) { out.noalias() = a * b; });
  });
}

}  // namespace taper::TAPER_ISA

#include <taper/backend/cpu/matmul.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>

#include <taper/backend/cpu/convert.h>
#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/matmul_double.h>
#include <taper/backend/cpu/matmul_small.h>
#include <taper/backend/cpu/onednn.h>
#include <taper/core/error.h>
#include <taper/core/threads.h>

namespace taper {
namespace {

/// The matrices of a or b; strides in elements, `batch` 0 where one matrix serves several products.
struct Matrices {
  const std::byte* data;
  int64_t row;
  int64_t col;
  Strides batch;
};

/// A batch of products. `out` is dense.
struct Product {
  DType dtype;
  Shape batch;
  int64_t m;
  int64_t n;
  int64_t k;
  Matrices a;
  Matrices b;
  const std::byte* bias;
  int64_t bias_stride;
  std::byte* out;

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

// ---------------------------------------------------------------- from views to a product

Matrices operand_of(const View& view, const Shape& out) {
  const int rank = view.rank();
  const int batch_rank = out.rank() - 2;
  Matrices operand{view.data, (*view.strides)[rank - 2], (*view.strides)[rank - 1], {}};
  for (int i = 0; i < batch_rank; ++i) {
    const int own = i - (out.rank() - rank);
    const bool shared = own < 0 || view.shape()[own] == 1;
    operand.batch.push_back(shared ? 0 : (*view.strides)[own]);
  }
  return operand;
}

void erase_batch_axis(Product& p, int axis) {
  p.batch.erase(axis);
  p.a.batch.erase(axis);
  p.b.batch.erase(axis);
}

/// Makes rows of the inner batch axes whose products share one b.
void merge_batch_into_rows(Product& p) {
  while (p.batch.rank() > 0 && p.b.batch.back() == 0) {
    const int64_t step = p.a.batch.back();
    if (p.m == 1) {
      p.a.row = step;
    } else if (step != p.m * p.a.row) {
      return;
    }
    p.m *= p.batch.back();
    erase_batch_axis(p, p.batch.rank() - 1);
  }
}

void merge_batch_axes(Product& p) {
  for (int axis = p.batch.rank() - 2; axis >= 0; --axis) {
    const int64_t size = p.batch[axis + 1];
    const bool together = p.a.batch[axis] == p.a.batch[axis + 1] * size &&
                          p.b.batch[axis] == p.b.batch[axis + 1] * size;
    if (!together) continue;
    p.batch[axis + 1] *= p.batch[axis];
    erase_batch_axis(p, axis);
  }
}

Product product_of(const View& a, const View& b, const View& bias, const View& out) {
  const Shape& shape = out.shape();
  const int rank = shape.rank();
  Product p{.dtype = out.dtype(),
            .batch = {},
            .m = shape[rank - 2],
            .n = shape[rank - 1],
            .k = a.shape().back(),
            .a = operand_of(a, shape),
            .b = operand_of(b, shape),
            .bias = bias.data,
            .bias_stride = 1,
            .out = out.data};
  if (bias.present()) p.bias_stride = bias.strides->back();
  for (int i = 0; i < rank - 2; ++i) p.batch.push_back(shape[i]);
  for (int i = rank - 3; i >= 0; --i) {
    if (p.batch[i] == 1) erase_batch_axis(p, i);
  }
  merge_batch_into_rows(p);
  merge_batch_axes(p);
  return p;
}

// ---------------------------------------------------------------- walking the batch

/// The start of matrix `index` of an operand.
const std::byte* matrix(const Product& p, const Matrices& operand, int64_t index) {
  int64_t offset = 0;
  for (int axis = p.batch.rank() - 1; axis > 0; --axis) {
    offset += index % p.batch[axis] * operand.batch[axis];
    index /= p.batch[axis];
  }
  if (p.batch.rank() > 0) offset += index * operand.batch[0];
  return operand.data + offset * static_cast<int64_t>(item_size(p.dtype));
}

std::byte* out_matrix(const Product& p, int64_t index) {
  return p.out + index * p.m * p.n * static_cast<int64_t>(item_size(p.dtype));
}

constexpr double flops_a_thread = 2.5e6;  // about 25 µs of one core

/// How each product is cut. Depends on the sizes alone, so results do on no number of threads.
struct Tiling {
  int64_t rows = 1;  // pieces of m
  int64_t columns = 1;

  int64_t count() const { return rows * columns; }
};

/// Halves the longer side while the work fills threads: into 8 tiles even if each gets slower, into
/// more as long as tiles stay so large that copying the operands into the cache does not count.
Tiling tiling_of(const Product& p, int64_t least_side) {
  constexpr int64_t large_tile = 512 * 1024;
  constexpr int64_t wanted = 8;
  constexpr int64_t most = 256;
  Tiling tiling;
  const int64_t products = p.batch.numel();
  double work = p.flops();
  while (work >= 2 * flops_a_thread && products * tiling.count() < most) {
    const int64_t rows = p.m / tiling.rows;
    const int64_t columns = p.n / tiling.columns;
    if (std::max(rows, columns) < 2 * least_side) break;
    if (products * tiling.count() >= wanted && rows * columns < 2 * large_tile) break;
    (rows >= columns ? tiling.rows : tiling.columns) *= 2;
    work /= 2;
  }
  return tiling;
}

/// The same work per tile, but whole rows.
Tiling row_tiling_of(const Product& p) {
  Tiling tiling = tiling_of(p, 64);
  tiling.rows *= tiling.columns;
  tiling.columns = 1;
  while (tiling.rows > 1 && p.m / tiling.rows < 16) tiling.rows /= 2;
  return tiling;
}

struct Range {
  int64_t begin;
  int64_t end;
};

/// Piece `index` of `pieces`, cut at multiples of 16.
Range piece(int64_t size, int64_t pieces, int64_t index) {
  constexpr int64_t unit = 16;
  auto cut = [&](int64_t i) { return i == pieces ? size : size * i / pieces / unit * unit; };
  return {cut(index), cut(index + 1)};
}

/// Calls `body(index of the product, rows, columns)` for all tiles, on several threads if it pays.
template <class Body>
void for_tiles(const Product& p, const Tiling& tiling, Body&& body) {
  const double work = p.flops() / static_cast<double>(tiling.count());
  const auto grain = static_cast<int64_t>(std::max(1.0, flops_a_thread / work));
  parallel_for(p.batch.numel() * tiling.count(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t tile = i % tiling.count();
      const Range rows = piece(p.m, tiling.rows, tile / tiling.columns);
      const Range columns = piece(p.n, tiling.columns, tile % tiling.columns);
      body(i / tiling.count(), rows, columns);
    }
  });
}

// ---------------------------------------------------------------- small f32 products

const SmallMatmulKernels& small_kernels() {
  static const SmallMatmulKernels& found =
      isa() == Isa::v4 ? v4::small_matmul_kernels : v3::small_matmul_kernels;
  return found;
}

bool is_small(int64_t n, int64_t k) { return n <= SmallMatmul::limit && k <= SmallMatmul::limit; }

void run_small(const Product& p) {
  const SmallMatmulKernels& kernels = small_kernels();
  for_tiles(p, row_tiling_of(p), [&](int64_t index, Range rows, Range) {
    const auto* a = reinterpret_cast<const float*>(matrix(p, p.a, index));
    auto* out = reinterpret_cast<float*>(out_matrix(p, index));
    kernels.f32({a + rows.begin * p.a.row, reinterpret_cast<const float*>(matrix(p, p.b, index)),
                 reinterpret_cast<const float*>(p.bias), out + rows.begin * p.n,
                 rows.end - rows.begin, p.n, p.k, p.a.row, p.a.col, p.b.row, p.b.col,
                 p.bias_stride});
  });
}

/// Runs one small 2-D f32 product without further preparation; false if it is another one.
bool try_small(const View& a, const View& b, const View& bias, const View& out) {
  if (out.dtype() != DType::f32 || out.rank() != 2) return false;
  if (a.rank() != 2 || b.rank() != 2) return false;
  const int64_t m = out.shape()[0];
  const int64_t n = out.shape()[1];
  const int64_t k = a.shape()[1];
  if (m > SmallMatmul::limit || !is_small(n, k)) return false;
  const Strides& a_strides = *a.strides;
  const Strides& b_strides = *b.strides;
  small_kernels().f32({a.as<const float>(), b.as<const float>(), bias.as<const float>(),
                       out.as<float>(), m, n, k, a_strides[0], a_strides[1], b_strides[0],
                       b_strides[1], bias.present() ? bias.strides->back() : 1});
  return true;
}

// ---------------------------------------------------------------- oneDNN

/// Gives axes of size one the stride that a dense matrix has; false if no stride is 1.
bool make_unit_stride(Matrices& operand, int64_t rows, int64_t cols) {
  if (cols == 1 && operand.row != 1) operand.col = 1;
  if (rows == 1 && operand.col != 1) operand.row = 1;
  if (rows == 1 && operand.col == 1) operand.row = cols;
  if (cols == 1 && operand.row == 1) operand.col = rows;
  return (operand.col == 1 && operand.row >= cols) || (operand.row == 1 && operand.col >= rows);
}

/// Replaces an operand by a dense copy in `dtype`, with each shared matrix stored once.
void copy_operand(const Product& p, Matrices& operand, int64_t rows, int64_t cols, DType dtype,
                  std::optional<Buffer>& memory) {
  const bool by_columns = std::abs(operand.row) < std::abs(operand.col);
  Matrices dense{nullptr, by_columns ? 1 : cols, by_columns ? rows : 1, operand.batch};
  Shape shape;
  Strides from;
  Strides to;
  int64_t count = rows * cols;
  for (int axis = p.batch.rank() - 1; axis >= 0; --axis) {
    if (operand.batch[axis] == 0) continue;
    dense.batch[axis] = count;
    count *= p.batch[axis];
    shape.push_back(p.batch[axis]);
    from.push_back(operand.batch[axis]);
    to.push_back(dense.batch[axis]);
  }
  for (const auto& [size, source, target] :
       {std::tuple(rows, operand.row, dense.row), std::tuple(cols, operand.col, dense.col)}) {
    shape.push_back(size);
    from.push_back(source);
    to.push_back(target);
  }
  memory.emplace(static_cast<size_t>(count) * item_size(dtype));
  copy_convert(memory->data(), dtype, to, operand.data, p.dtype, from, shape);
  dense.data = memory->data();
  operand = dense;
}

void copy_bias(Product& p, DType dtype, std::optional<Buffer>& memory) {
  memory.emplace(static_cast<size_t>(p.n) * item_size(dtype));
  copy_convert(memory->data(), dtype, {1}, p.bias, p.dtype, {p.bias_stride}, {p.n});
  p.bias = memory->data();
  p.bias_stride = 1;
}

/// All strides fit and oneDNN computes with the dtype.
void run_tiles(const Product& p) {
  const auto item = static_cast<int64_t>(item_size(p.dtype));
  for_tiles(p, tiling_of(p, 128), [&](int64_t index, Range rows, Range columns) {
    const onednn::MatmulProblem problem{p.dtype,
                                        p.bias != nullptr,
                                        rows.end - rows.begin,
                                        columns.end - columns.begin,
                                        p.k,
                                        p.a.row,
                                        p.a.col,
                                        p.b.row,
                                        p.b.col,
                                        p.n};
    const std::byte* bias = p.bias == nullptr ? nullptr : p.bias + columns.begin * item;
    onednn::run_matmul(problem, matrix(p, p.a, index) + rows.begin * p.a.row * item,
                       matrix(p, p.b, index) + columns.begin * p.b.col * item, bias,
                       out_matrix(p, index) + (rows.begin * p.n + columns.begin) * item);
  });
}

void run_onednn(Product p) {
  std::optional<Buffer> a;
  std::optional<Buffer> b;
  std::optional<Buffer> bias;
  if (!make_unit_stride(p.a, p.m, p.k)) copy_operand(p, p.a, p.m, p.k, p.dtype, a);
  if (!make_unit_stride(p.b, p.k, p.n)) copy_operand(p, p.b, p.k, p.n, p.dtype, b);
  if (p.bias != nullptr && p.bias_stride != 1) copy_bias(p, p.dtype, bias);
  run_tiles(p);
}

void run_f32(const Product& p) {
  if (is_small(p.n, p.k)) return run_small(p);
  run_onednn(p);
}

/// For 16-bit dtypes that this CPU has no arithmetic for.
void run_through_f32(const Product& p) {
  std::optional<Buffer> a;
  std::optional<Buffer> b;
  std::optional<Buffer> bias;
  Product wide = p;
  copy_operand(p, wide.a, p.m, p.k, DType::f32, a);
  copy_operand(p, wide.b, p.k, p.n, DType::f32, b);
  if (p.bias != nullptr) copy_bias(wide, DType::f32, bias);
  const int64_t count = p.batch.numel() * p.m * p.n;
  const Buffer out(static_cast<size_t>(count) * sizeof(float));
  wide.out = out.data();
  wide.dtype = DType::f32;
  run_f32(wide);
  copy_convert(p.out, p.dtype, {1}, out.data(), DType::f32, {1}, {count});
}

// ---------------------------------------------------------------- f64

/// A matrix whose rows or columns are contiguous; copied if they are not.
class Packed {
 public:
  Packed(const std::byte* data, int64_t row, int64_t col, int64_t rows, int64_t cols)
      : data_(reinterpret_cast<const double*>(data)), row_(row), col_(col) {
    if ((row == 1 && col >= rows) || (col == 1 && row >= cols)) return;
    copy_.emplace(static_cast<size_t>(rows * cols) * sizeof(double));
    copy_strided(copy_->data(), {cols, 1}, data, {row, col}, {rows, cols}, sizeof(double));
    data_ = reinterpret_cast<const double*>(copy_->data());
    row_ = cols;
    col_ = 1;
  }
  const double* data() const { return data_; }
  int64_t row() const { return row_; }
  int64_t col() const { return col_; }

 private:
  const double* data_;
  int64_t row_;
  int64_t col_;
  std::optional<Buffer> copy_;
};

void add_bias(const Product& p, double* out, int64_t rows) {
  const auto* bias = reinterpret_cast<const double*>(p.bias);
  for (int64_t i = 0; bias != nullptr && i < rows; ++i) {
    for (int64_t j = 0; j < p.n; ++j) out[i * p.n + j] += bias[j * p.bias_stride];
  }
}

void run_double(const Product& p) {
  const auto multiply = isa() == Isa::v4 ? v4::multiply_double : v3::multiply_double;
  for_tiles(p, row_tiling_of(p), [&](int64_t index, Range rows, Range) {
    const int64_t m = rows.end - rows.begin;
    const auto item = static_cast<int64_t>(sizeof(double));
    const Packed a(matrix(p, p.a, index) + rows.begin * p.a.row * item, p.a.row, p.a.col, m, p.k);
    const Packed b(matrix(p, p.b, index), p.b.row, p.b.col, p.k, p.n);
    double* out = reinterpret_cast<double*>(out_matrix(p, index)) + rows.begin * p.n;
    multiply({a.data(), b.data(), out, m, p.n, p.k, a.row(), a.col(), b.row(), b.col()});
    add_bias(p, out, m);
  });
}

// ---------------------------------------------------------------- integers

/// The type to compute in: unsigned, and of at least 32 bits, so that wrapping is defined.
template <class T>
using Wide = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T>
using Columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
template <class T>
using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
Columns<Wide<T>> copy_matrix(const std::byte* data, int64_t row, int64_t col, int64_t rows,
                             int64_t cols) {
  const auto* from = reinterpret_cast<const T*>(data);
  Columns<Wide<T>> copy(rows, cols);
  for (int64_t j = 0; j < cols; ++j) {
    for (int64_t i = 0; i < rows; ++i) {
      copy(i, j) = static_cast<Wide<T>>(from[i * row + j * col]);
    }
  }
  return copy;
}

/// Writes a result of `Wide<T>` values as T, with the bias added.
template <class T>
void write_out(const Rows<Wide<T>>& result, const Product& p, T* out) {
  const auto* bias = reinterpret_cast<const T*>(p.bias);
  for (int64_t i = 0; i < result.rows(); ++i) {
    for (int64_t j = 0; j < result.cols(); ++j) {
      Wide<T> value = result(i, j);
      if (bias != nullptr) value += static_cast<Wide<T>>(bias[j * p.bias_stride]);
      out[i * p.n + j] = static_cast<T>(value);
    }
  }
}

/// One block of rows. Apart from the dtype's own type, so that all small integers share one
/// instance of Eigen's code.
template <class W>
void multiply(Rows<W>& result, const Columns<W>& a, const Columns<W>& b) {
  result.noalias() = a * b;
}

template <class T>
void run_integers(const Product& p) {
  const auto item = static_cast<int64_t>(sizeof(T));
  for_tiles(p, row_tiling_of(p), [&](int64_t index, Range rows, Range) {
    const int64_t m = rows.end - rows.begin;
    const std::byte* a_data = matrix(p, p.a, index) + rows.begin * p.a.row * item;
    Rows<Wide<T>> result(m, p.n);
    multiply(result, copy_matrix<T>(a_data, p.a.row, p.a.col, m, p.k),
             copy_matrix<T>(matrix(p, p.b, index), p.b.row, p.b.col, p.k, p.n));
    write_out<T>(result, p, reinterpret_cast<T*>(out_matrix(p, index)) + rows.begin * p.n);
  });
}

/// k is 0: every row is the bias, or zero.
void fill_with_bias(const View& bias, const View& out) {
  const size_t item = item_size(out.dtype());
  if (!bias.present()) {
    std::memset(out.data, 0, static_cast<size_t>(out.numel()) * item);
    return;
  }
  const int64_t n = out.shape().back();
  const int64_t rows = out.numel() / n;
  copy_convert(out.data, out.dtype(), {n, 1}, bias.data, bias.dtype(), {0, bias.strides->back()},
               {rows, n});
}

}  // namespace

void matmul(const View& a, const View& b, const View& bias, const View& out) {
  if (out.numel() == 0) return;
  if (a.shape().back() == 0) return fill_with_bias(bias, out);
  if (try_small(a, b, bias, out)) return;
  const Product p = product_of(a, b, bias, out);
  switch (p.dtype) {
    case DType::f32:
      return run_f32(p);
    case DType::f16:
    case DType::bf16:
      return onednn::computes_matmul(p.dtype) ? run_onednn(p) : run_through_f32(p);
    case DType::f64:
      return run_double(p);
    default:
      return visit<kinds::integer>(p.dtype, [&]<class T>() {
        run_integers<std::make_signed_t<T>>(p);  // low bits have no sign
      });
  }
}

}  // namespace taper

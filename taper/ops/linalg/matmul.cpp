#include <taper/backend/cpu/matmul.h>

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/oracle.h>
#include <taper/ops/pointwise/pointwise.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

Shape leading(const Shape& shape, int count) {
  Shape result;
  for (int i = 0; i < count; ++i) result.push_back(shape[i]);
  return result;
}

void require_numbers(const InSpecs& in) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in.present(i)) continue;
    if (in[i].dtype != in[0].dtype) {
      violate(ErrorKind::dtype, "the operands must have one dtype; convert with astype");
    }
    if (is_bool(in[i].dtype)) violate(ErrorKind::dtype, "does not take bool");
  }
}

// ---------------------------------------------------------------------------------- matmul

Specs infer_matmul(const InSpecs& in, const NoAttrs&) {
  require_numbers(in);
  const Shape& a = in[0].shape;
  const Shape& b = in[1].shape;
  if (a.rank() == 0 || b.rank() == 0) {
    violate(ErrorKind::shape, "takes operands of 1 or more axes; multiply by a number with *");
  }
  const int64_t rows = b[b.rank() == 1 ? 0 : -2];
  if (a[-1] != rows) {
    violate(ErrorKind::shape, "x1 has " + std::to_string(a[-1]) +
                                  (a.rank() == 1 ? " elements" : " columns") + ", x2 has " +
                                  std::to_string(rows) + (b.rank() == 1 ? " elements" : " rows"));
  }
  Spec out = in[0];
  out.shape = broadcast_shapes(leading(a, a.rank() - 2), leading(b, b.rank() - 2));
  if (a.rank() > 1) out.shape.push_back(a[-2]);
  if (b.rank() > 1) out.shape.push_back(b[-1]);
  return out;
}

/// A view with axes of size one put in.
class Widened {
 public:
  explicit Widened(const View& view) : view_(view), spec_(*view.spec), strides_(*view.strides) {}
  void insert(int axis) {
    const bool last = axis == spec_.shape.rank();
    strides_.insert(axis, last ? 1 : spec_.shape[axis] * strides_[axis]);
    spec_.shape.insert(axis, 1);
  }
  View view() const { return {view_.data, &spec_, &strides_, view_.row_major}; }

 private:
  const View& view_;
  Spec spec_;
  Strides strides_;
};

/// A vector on the left is a row, one on the right a column; the result lacks that axis.
void matmul_cpu(const Kernel& k, const NoAttrs&) {
  const bool row = k.in(0).rank() == 1;
  const bool column = k.in(1).rank() == 1;
  if (!row && !column) return matmul(k.in(0), k.in(1), {}, k.out());
  Widened a(k.in(0));
  Widened b(k.in(1));
  Widened out(k.out());
  if (row) a.insert(0);
  if (column) b.insert(1);
  if (column) out.insert(k.out().rank());
  if (row) out.insert(k.out().rank() - (column ? 0 : 1));
  matmul(a.view(), b.view(), {}, out.view());
}

Results matmul_reference(const Inputs& in, const NoAttrs&) {
  const Tensor left = in[0].rank() == 1 ? expand_dims(in[0], 0) : in[0];
  const Tensor right = in[1].rank() == 1 ? expand_dims(in[1], 1) : in[1];
  const Arg args[] = {left, right};
  const Shape shape = infer_matmul(InSpecs(args), {})[0].shape;
  const int rank = shape.rank();
  const int64_t m = shape[rank - 2];
  const int64_t n = shape[rank - 1];
  const int64_t depth = in[0].shape().back();
  const Arg given[] = {in[0], in[1]};
  const Shape result = infer_matmul(InSpecs(given), {})[0].shape;
  return visit_widest(in[0].dtype(), [&]<class T>() {
    auto whole = [&](const Tensor& x, int64_t rows, int64_t columns) {
      Shape wanted = leading(shape, rank - 2);
      wanted.push_back(rows);
      wanted.push_back(columns);
      return broadcast_to(x, wanted).to_vector<T>();
    };
    const std::vector<T> a = whole(left, m, depth);
    const std::vector<T> b = whole(right, depth, n);
    std::vector<T> out(static_cast<size_t>(shape.numel()), T(0));
    for (int64_t i = 0; i < shape.numel(); ++i) {
      const int64_t batch = m * n == 0 ? 0 : i / (m * n);
      const int64_t row = i / n % m;
      for (int64_t j = 0; j < depth; ++j) {
        const T x = a[static_cast<size_t>((batch * m + row) * depth + j)];
        const T y = b[static_cast<size_t>((batch * depth + j) * n + i % n)];
        T& sum = out[static_cast<size_t>(i)];
        sum = wrapped_sum(sum, wrapped_product(x, y));
      }
    }
    return Results{{from_values(result, out)}};
  });
}

Grads matmul_vjp(const Saved& s, const NoAttrs&) {
  const bool row = s.in(0).rank() == 1;
  const bool column = s.in(1).rank() == 1;
  const Tensor a = row ? expand_dims(s.in(0), 0) : s.in(0);
  const Tensor b = column ? expand_dims(s.in(1), 1) : s.in(1);
  Tensor grad = column ? expand_dims(s.grad(), -1) : s.grad();
  if (row) grad = expand_dims(grad, -2);
  Grads grads(2);
  if (s.needs(0)) {
    grads[0] = detail::reduce_to(matmul(grad, matrix_transpose(b)), a.shape());
    if (row) grads[0] = squeeze(grads[0], 0);
  }
  if (s.needs(1)) {
    grads[1] = detail::reduce_to(matmul(matrix_transpose(a), grad), b.shape());
    if (column) grads[1] = squeeze(grads[1], 1);
  }
  return grads;
}

std::vector<Sample<NoAttrs>> matmul_samples() {
  return {{.inputs = {{.shape = {2, 3}}, {.shape = {3, 4}}}},
          {.inputs = {{.shape = {40, 50}}, {.shape = {50, 37}}}},
          {.inputs = {{.shape = {2, 3, 4}}, {.shape = {4, 5}}}},
          {.inputs = {{.shape = {2, 1, 3, 4}}, {.shape = {3, 4, 2}}}},
          {.inputs = {{.shape = {2, 0}}, {.shape = {0, 3}}}},
          {.inputs = {{.shape = {3, 3}, .low = -9, .high = 9, .dtype = DType::i32},
                      {.shape = {3, 3}, .low = -9, .high = 9, .dtype = DType::i32}}},
          {.inputs = {{.shape = {2, 3}}, {.shape = {4, 5}}},
           .error = "matmul: x1 has 3 columns, x2 has 4 rows (x1 f32[2,3], x2 f32[4,5])"},
          {.inputs = {{.shape = {5}}, {.shape = {5}}}},
          {.inputs = {{.shape = {3}}, {.shape = {3, 2}}}},
          {.inputs = {{.shape = {4, 3}}, {.shape = {3}}}},
          {.inputs = {{.shape = {3}}, {.shape = {2, 3, 4}}}},
          {.inputs = {{.shape = {2, 5, 3}}, {.shape = {3}}}},
          {.inputs = {{.shape = {0}}, {.shape = {0}}}},
          {.inputs = {{.shape = {3}}, {.shape = {4, 2}}},
           .error = "matmul: x1 has 3 elements, x2 has 4 rows"},
          {.inputs = {{.shape = {}}, {.shape = {3, 2}}}, .error = "1 or more axes"}};
}

const Op<NoAttrs> matmul_op{{.name = "matmul",
                             .doc =
                                 "The matrix product of the last two axes; others broadcast. A 1-d "
                                 "operand is a row on the left, a column on the right.",
                             .inputs = {"x1", "x2"},
                             .promotion = Promotion::same,
                             .infer = infer_matmul,
                             .reference = matmul_reference,
                             .grad = {matmul_vjp, Saves::inputs},
                             .any_strides = true,
                             .role = Role::weighs,
                             .kernels = {.cpu = matmul_cpu},
                             .onnx = {"MatMul", 13},
                             .samples = matmul_samples}};

// ---------------------------------------------------------------------------------- linear

Specs infer_linear(const InSpecs& in, const NoAttrs&) {
  const Shape& x = in[0].shape;
  const Shape& weight = in[1].shape;
  if (weight.rank() != 2 || x.rank() < 1) {
    violate(ErrorKind::shape, "takes x of 1 or more axes and a weight of 2");
  }
  if (x.back() != weight[1]) {
    violate(ErrorKind::shape, "weight expects " + std::to_string(weight[1]) + " features, x has " +
                                  std::to_string(x.back()));
  }
  if (in.present(2) && in[2].shape != Shape{weight[0]}) {
    violate(ErrorKind::shape, "bias must have shape " + to_string(Shape{weight[0]}));
  }
  require_numbers(in);
  Spec out = in[0];
  out.shape[x.rank() - 1] = weight[0];
  return out;
}

void linear_cpu(const Kernel& k, const NoAttrs&) {
  const View& w = k.in(1);
  const Spec spec{w.dtype(), {}, {w.shape()[1], w.shape()[0]}};
  const Strides strides{(*w.strides)[1], (*w.strides)[0]};
  const View transposed{w.data, &spec, &strides, false};
  const View bias = k.inputs.size() > 2 ? k.in(2) : View{};
  if (k.in(0).rank() > 1) {
    matmul(k.in(0), transposed, bias, k.out());
    return;
  }
  auto as_row = [](const View& v, Spec& row, Strides& steps) {
    row = {v.dtype(), {}, {1, v.shape()[0]}};
    steps = {0, (*v.strides)[0]};
    return View{v.data, &row, &steps, v.row_major};
  };
  Spec x_spec, out_spec;
  Strides x_strides, out_strides;
  matmul(as_row(k.in(0), x_spec, x_strides), transposed, bias,
         as_row(k.out(), out_spec, out_strides));
}

Results expand_linear(const Inputs& in, const NoAttrs&) {
  const bool is_vector = in[0].rank() == 1;
  Tensor y = matmul(is_vector ? expand_dims(in[0]) : in[0], matrix_transpose(in[1]));
  if (is_vector) y = squeeze(y, 0);
  Results results;
  results[0] = in.size() > 2 && in[2].defined() ? y + in[2] : y;
  return results;
}

Grads linear_vjp(const Saved& s, const NoAttrs&) {
  const Tensor& x = s.in(0);
  const Tensor& weight = s.in(1);
  // Counted, not -1, which could be any number beside no features.
  const int64_t count = leading(x.shape(), x.rank() - 1).numel();
  const Tensor rows = reshape(s.grad(), {count, weight.shape()[0]});
  Grads grads(s.inputs());
  if (s.needs(0)) grads[0] = reshape(matmul(rows, weight), x.shape());
  if (s.needs(1)) {
    grads[1] = matmul(matrix_transpose(rows), reshape(x, {count, weight.shape()[1]}));
  }
  if (s.inputs() > 2 && s.needs(2)) grads[2] = sum(rows, 0);
  return grads;
}

std::vector<Sample<NoAttrs>> linear_samples() {
  return {{.inputs = {{.shape = {5, 3}}, {.shape = {4, 3}}, {.shape = {4}}}},
          {.inputs = {{.shape = {2, 5, 3}}, {.shape = {4, 3}}, {.absent = true}}},
          {.inputs = {{.shape = {3}}, {.shape = {2, 3}}, {.shape = {2}}}},
          // Each of 70 equal terms may round the sum the same way.
          {.inputs = {{.shape = {50, 70}}, {.shape = {40, 70}}, {.shape = {40}}}, .tolerance = 4},
          {.inputs = {{.shape = {2, 5, 0}}, {.shape = {4, 0}}, {.shape = {4}}}},
          {.inputs = {{.shape = {5, 3}}, {.shape = {0, 3}}, {.shape = {0}}}},
          {.inputs = {{.shape = {64, 256}}, {.shape = {120, 400}}, {.shape = {120}}},
           .error = "linear: weight expects 400 features, x has 256 (x f32[64,256], weight "
                    "f32[120,400])"},
          {.inputs = {{.shape = {5, 3}}, {.shape = {4, 3}}, {.shape = {3}}},
           .error = "bias must have shape [4]"}};
}

const Op<NoAttrs> linear_op{{.name = "linear",
                             .doc = "x @ weight^T + bias.",
                             .inputs = {"x", "weight", "bias?"},
                             .infer = infer_linear,
                             .expand = expand_linear,
                             .grad = {linear_vjp, Saves::only({0, 1})},
                             .any_strides = true,
                             .role = Role::weighs,
                             .kernels = {.cpu = linear_cpu},
                             .samples = linear_samples}};

}  // namespace

Tensor matmul(const Tensor& x1, const Tensor& x2) { return matmul_op({x1, x2}); }

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return linear_op({x, weight, bias});
}

}  // namespace taper

#include <taper/backend/cpu/softmax.h>

#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

struct SoftmaxAttrs {
  Axis axis = -1;
};

Specs infer_softmax(const InSpecs& in, const SoftmaxAttrs& attrs) {
  if (!is_float(in[0].dtype)) {
    violate(ErrorKind::dtype, "takes floating tensors; convert with astype");
  }
  for (size_t i = 1; i < in.size(); ++i) {
    if (in[i] != in[0]) violate(ErrorKind::shape, "the operands must have one shape and dtype");
  }
  normalize_axis(attrs.axis, in[0].shape.rank());
  return in[0];
}

int axis_of(const Kernel& k, const SoftmaxAttrs& attrs) {
  return normalize_axis(attrs.axis, k.in(0).rank());
}

std::vector<Sample<SoftmaxAttrs>> one_operand() {
  return {{.inputs = {{.shape = {3, 7}, .low = -4, .high = 4}}},
          {.inputs = {{.shape = {2, 5, 3}}}, .attrs = {1}},
          {.inputs = {{.shape = {4, 2}}}, .attrs = {0}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {2}, .error = "axis must be in [-2, 1], got 2"},
          {.inputs = {{.shape = {3}, .dtype = DType::i64}}, .error = "takes floating tensors"}};
}
std::vector<Sample<SoftmaxAttrs>> two_operands() {
  return {{.inputs = {{.shape = {3, 7}}, {.shape = {3, 7}}}},
          {.inputs = {{.shape = {2, 5, 3}}, {.shape = {2, 5, 3}}}, .attrs = {1}},
          {.inputs = {{.shape = {2, 3}}, {.shape = {3}}}, .error = "one shape and dtype"}};
}

// ---------------------------------------------------------------------------------- the rows

Results one(Tensor tensor) {
  Results results;
  results[0] = std::move(tensor);
  return results;
}

Results expand_softmax(const Inputs& in, const SoftmaxAttrs& attrs) {
  const Tensor e = exp(in[0] - max(in[0], attrs.axis, true));
  return one(e / sum(e, attrs.axis, true));
}
Results expand_log_softmax(const Inputs& in, const SoftmaxAttrs& attrs) {
  const Tensor shifted = in[0] - max(in[0], attrs.axis, true);
  return one(shifted - log(sum(exp(shifted), attrs.axis, true)));
}
Results expand_softmax_grad(const Inputs& in, const SoftmaxAttrs& attrs) {
  const Tensor& y = in[0];
  return one(y * (in[1] - sum(y * in[1], attrs.axis, true)));
}
Results expand_log_softmax_grad(const Inputs& in, const SoftmaxAttrs& attrs) {
  return one(in[1] - exp(in[0]) * sum(in[1], attrs.axis, true));
}

using Kernel1 = void (*)(const View&, const View&, int);
using Kernel2 = void (*)(const View&, const View&, const View&, int);
template <Kernel1 kernel>
void run1(const Kernel& k, const SoftmaxAttrs& attrs) {
  kernel(k.in(0), k.out(), axis_of(k, attrs));
}
template <Kernel2 kernel>
void run2(const Kernel& k, const SoftmaxAttrs& attrs) {
  kernel(k.in(0), k.in(1), k.out(), axis_of(k, attrs));
}

const Op<SoftmaxAttrs> softmax_grad_op{{.name = "softmax_grad",
                                        .doc = "The gradient of softmax from its output y.",
                                        .internal = true,
                                        .inputs = {"y", "grad"},
                                        .infer = infer_softmax,
                                        .expand = expand_softmax_grad,
                                        .grad = through_expansion{},
                                        .reuse = {{0, 1}},
                                        .kernels = {.cpu = run2<softmax_grad>},
                                        .no_golden = golden_in_its_row,
                                        .samples = two_operands}};
const Op<SoftmaxAttrs> log_softmax_grad_op{{.name = "log_softmax_grad",
                                            .doc = "The gradient of log_softmax from its output y.",
                                            .internal = true,
                                            .inputs = {"y", "grad"},
                                            .infer = infer_softmax,
                                            .expand = expand_log_softmax_grad,
                                            .grad = through_expansion{},
                                            .reuse = {{0, 1}},
                                            .kernels = {.cpu = run2<log_softmax_grad>},
                                            .no_golden = golden_in_its_row,
                                            .samples = two_operands}};

Grads softmax_vjp(const Saved& s, const SoftmaxAttrs& attrs) {
  return {softmax_grad_op({s.out(), s.grad()}, attrs)};
}
Grads log_softmax_vjp(const Saved& s, const SoftmaxAttrs& attrs) {
  return {log_softmax_grad_op({s.out(), s.grad()}, attrs)};
}

const Op<SoftmaxAttrs> softmax_op{
    {.name = "softmax",
     .doc = "Exponentials along `axis`, scaled to sum to one.",
     .attributes = {{"axis", "The axis, counted from the end if negative."}},
     .inputs = {"x"},
     .infer = infer_softmax,
     .expand = expand_softmax,
     .grad = {softmax_vjp, Saves::outputs},
     .role = Role::probabilities,
     .kernels = {.cpu = run1<softmax>},
     .onnx = {"Softmax", 13},
     .samples = one_operand}};
const Op<SoftmaxAttrs> log_softmax_op{
    {.name = "log_softmax",
     .doc = "The logarithm of softmax, computed stably.",
     .attributes = {{"axis", "The axis, counted from the end if negative."}},
     .inputs = {"x"},
     .infer = infer_softmax,
     .expand = expand_log_softmax,
     .grad = {log_softmax_vjp, Saves::outputs},
     .kernels = {.cpu = run1<log_softmax>},
     .onnx = {"LogSoftmax", 13},
     .samples = one_operand}};

}  // namespace

Tensor softmax(const Tensor& x, int64_t axis) { return softmax_op({x}, {axis}); }
Tensor log_softmax(const Tensor& x, int64_t axis) { return log_softmax_op({x}, {axis}); }

}  // namespace taper

#include <numeric>

#include <taper/backend/cpu/copy.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// A tensor cut into parts.

namespace taper {
namespace {

struct SplitAttrs {
  int64_t split_size = 0;
  std::vector<int64_t> sizes = {};
  Axis axis = 0;
};

void check_count(int64_t parts) {
  if (parts <= UINT16_MAX) return;
  violate(ErrorKind::value, "gives at most 65535 parts, not " + std::to_string(parts));
}

/// The sizes of the parts along the axis of `size` elements.
std::vector<int64_t> part_sizes(const SplitAttrs& attrs, int64_t size) {
  if (!attrs.sizes.empty() && attrs.split_size != 0) {
    violate(ErrorKind::value, "takes split_size or sizes, not both");
  }
  if (!attrs.sizes.empty()) {
    int64_t total = 0;
    for (int64_t part : attrs.sizes) {
      if (part < 0 || __builtin_add_overflow(total, part, &total)) total = -1;
      if (total < 0) break;
    }
    if (total != size) {
      violate(ErrorKind::value, "sizes must be at least 0 and sum to the " + std::to_string(size) +
                                    " elements of the axis, got " + Value(attrs.sizes).print());
    }
    check_count(std::ssize(attrs.sizes));
    return attrs.sizes;
  }
  if (attrs.split_size < 1) {
    violate(ErrorKind::value,
            "split_size must be at least 1, got " + std::to_string(attrs.split_size));
  }
  check_count((size - 1) / attrs.split_size + 1);
  std::vector<int64_t> parts;
  for (int64_t rest = size; rest > 0; rest -= parts.back()) {
    parts.push_back(std::min(rest, attrs.split_size));
  }
  return parts.empty() ? std::vector<int64_t>{0} : parts;
}

Specs infer(const InSpecs& in, const SplitAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, in[0].shape.rank());
  Specs specs;
  for (int64_t size : part_sizes(attrs, in[0].shape[axis])) {
    Spec part = in[0];
    part.shape[axis] = size;
    specs.push_back(part);
  }
  return specs;
}

bool view(const Strided& x, const SplitAttrs& attrs, const Specs& out, ViewLayout* views) {
  const int axis = normalize_axis(attrs.axis, x.shape().rank());
  int64_t start = 0;
  for (int i = 0; i < out.count; ++i) {
    views[i] = {x.strides, x.offset + start * x.strides[axis]};
    start += out[i].shape[axis];
  }
  return true;
}

Results reference(const Inputs& in, const SplitAttrs& attrs) {
  const int axis = normalize_axis(attrs.axis, in[0].rank());
  const Specs specs = infer(in.specs(), attrs);
  const Tensor x = contiguous(in[0]);
  Results results;
  int64_t start = 0;
  for (int i = 0; i < specs.count; ++i) {
    const int64_t stop = start + specs[i].shape[axis];
    results[i] = slice(x, axis, start, stop);
    start = stop;
  }
  return results;
}

/// The gradients of the parts put together; zeros for a part that nothing depends on.
Grads vjp(const Saved& saved, const SplitAttrs& attrs) {
  std::vector<Tensor> parts;
  for (size_t i = 0; i < saved.outputs(); ++i) {
    const Spec& spec = saved.out_spec(i);
    parts.push_back(saved.grad(i).defined() ? saved.grad(i) : zeros(spec.shape, spec.dtype));
  }
  return {concat(parts, attrs.axis)};
}

std::vector<Sample<SplitAttrs>> samples() {
  const SampleInput whole{.shape = {5}, .low = -9, .high = 9, .dtype = DType::i32};
  return {
      {.inputs = {{.shape = {7, 3}}}, .attrs = {3}},
      {.inputs = {{.shape = {2, 12}}}, .attrs = {2, {}, -1}},
      {.inputs = {{.shape = {2, 9, 3}}}, .attrs = {0, {4, 0, 5}, 1}},
      {.inputs = {whole}, .attrs = {9}},
      {.inputs = {{.shape = {0, 3}}}, .attrs = {2}},
      {.inputs = {{.shape = {7}}}, .attrs = {0}, .error = "split_size must be at least 1, got 0"},
      {.inputs = {{.shape = {7}}},
       .attrs = {2, {3, 4}},
       .error = "takes split_size or sizes, not both"},
      {.inputs = {{.shape = {7}}},
       .attrs = {0, {3, 3}},
       .error = "sum to the 7 elements of the axis, got [3, 3]"},
      {.inputs = {{.shape = {7}}}, .attrs = {2, {}, 1}, .error = "axis must be in [-1, 0]"}};
}

const Op<SplitAttrs> split_op{
    {.name = "split",
     .doc = "x cut into parts along an axis; views.",
     .attributes = {{"split_size", "The size of each part; the last one may be smaller."},
                    {"sizes", "The sizes of the parts, instead of `split_size`."},
                    {"axis", "The axis, counted from the end if negative."}},
     .inputs = {"x"},
     .outputs = {"ys*"},
     .takes = kinds::every,
     .infer = infer,
     .reference = reference,
     .grad = {vjp, Saves::nothing},
     .view = view,
     .onnx = {"Split", 13, {{"split_size", ""}, {"sizes", "split"}}},
     .samples = samples}};

std::vector<Tensor> parts_of(const Tensor& x, const SplitAttrs& attrs) {
  const Arg arg(x);
  Results results = split_op.all({&arg, 1}, attrs);
  const Specs specs = infer(InSpecs({&arg, 1}), attrs);
  std::vector<Tensor> parts;
  for (int i = 0; i < specs.count; ++i) parts.push_back(std::move(results[i]));
  return parts;
}

}  // namespace

std::vector<Tensor> split(const Tensor& x, int64_t split_size, int64_t axis) {
  return parts_of(x, {split_size, {}, axis});
}
std::vector<Tensor> split(const Tensor& x, const std::vector<int64_t>& sizes, int64_t axis) {
  return parts_of(x, {0, sizes, axis});
}

}  // namespace taper

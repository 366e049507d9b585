#include <taper/ops/op.h>
#include <taper/ops/ops.h>

// Functions that join, make, drop and turn axes, said in reshape, permute_dims and slice.

namespace taper {
namespace {

/// The result of an op that is a reshape to what its rule infers.
template <class A, Specs (*infer)(const InSpecs& in, const A& attrs)>
Results reshape_to_inferred(const Inputs& in, const A& attrs) {
  return {{reshape(in[0], infer(in.specs(), attrs)[0].shape)}};
}

template <class A>
using Infer = Specs (*)(const InSpecs& in, const A& attrs);

template <class A, Infer<A> infer>
Row<A> reshape_row(std::string_view name, std::string_view doc,
                   const std::vector<AttributeDoc>& attributes, std::vector<Sample<A>> (*samples)(),
                   Onnx onnx = {}, std::vector<std::string_view> aliases = {}) {
  return {.name = name,
          .aliases = std::move(aliases),
          .doc = doc,
          .inlined = true,
          .attributes = attributes,
          .inputs = {"x"},
          .takes = kinds::every,
          .infer = infer,
          .expand = reshape_to_inferred<A, infer>,
          .grad = through_expansion{},
          .onnx = std::move(onnx),
          .samples = samples};
}

// ---------------------------------------------------------------------------------- flatten

struct FlattenAttrs {
  Axis start_axis = 0;
  Axis end_axis = -1;
};

Specs infer_flatten(const InSpecs& in, const FlattenAttrs& attrs) {
  Spec out = in[0];
  if (out.shape.rank() == 0) {
    out.shape = {1};
    return out;
  }
  const int first = normalize_axis(attrs.start_axis, in[0].shape.rank());
  const int last = normalize_axis(attrs.end_axis, in[0].shape.rank());
  if (first > last) {
    violate(ErrorKind::value, "start_axis " + std::to_string(attrs.start_axis) +
                                  " lies behind end_axis " + std::to_string(attrs.end_axis));
  }
  for (int i = last; i > first; --i) {
    out.shape[first] *= out.shape[i];
    out.shape.erase(i);
  }
  return out;
}

std::vector<Sample<FlattenAttrs>> flatten_samples() {
  return {{.inputs = {{.shape = {2, 3, 4}}}},
          {.inputs = {{.shape = {2, 3, 4, 5}}}, .attrs = {1, -2}},
          {.inputs = {{.shape = {}}}},
          {.inputs = {{.shape = {2, 3, 4}}},
           .attrs = {2, 1},
           .error = "start_axis 2 lies behind end_axis 1"}};
}

const Op<FlattenAttrs> flatten_op = reshape_row<FlattenAttrs, infer_flatten>(
    "flatten", "Axes start_axis..end_axis joined into one.",
    {{"start_axis", "The first axis that is joined."}, {"end_axis", "The last one."}},
    flatten_samples);

// ---------------------------------------------------------------------------------- expand_dims

struct ExpandDimsAttrs {
  Axis axis = 0;
};

Specs infer_expand_dims(const InSpecs& in, const ExpandDimsAttrs& attrs) {
  Spec out = in[0];
  out.shape.insert(normalize_axis(attrs.axis, in[0].shape.rank() + 1), 1);
  return out;
}

std::vector<Sample<ExpandDimsAttrs>> expand_dims_samples() {
  return {{.inputs = {{.shape = {2, 3}}}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {-1}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {4}, .error = "axis must be in [-3, 2], got 4"}};
}

const Op<ExpandDimsAttrs> expand_dims_op = reshape_row<ExpandDimsAttrs, infer_expand_dims>(
    "expand_dims", "A new axis of size one.", {{"axis", "Where it stands in the result."}},
    expand_dims_samples, {"Unsqueeze", 13, {{"axis", "axes"}}}, {"unsqueeze"});

// ---------------------------------------------------------------------------------- squeeze

struct SqueezeAttrs {
  Axes axis;
};

Specs infer_squeeze(const InSpecs& in, const SqueezeAttrs& attrs) {
  const Shape& shape = in[0].shape;
  const Shape axes = attrs.axis.resolve(shape.rank());
  Spec out = in[0];
  for (int i = axes.rank() - 1; i >= 0; --i) {
    const int at = static_cast<int>(axes[i]);
    if (shape[at] == 1) {
      out.shape.erase(at);
    } else if (!attrs.axis.all()) {
      violate(ErrorKind::shape,
              "axis " + std::to_string(at) + " has size " + std::to_string(shape[at]) + ", not 1");
    }
  }
  return out;
}

std::vector<Sample<SqueezeAttrs>> squeeze_samples() {
  return {{.inputs = {{.shape = {2, 1, 3}}}, .attrs = {1}},
          {.inputs = {{.shape = {1, 2, 1}}}, .attrs = {{0, -1}}},
          {.inputs = {{.shape = {1, 2, 1}}}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {1}, .error = "axis 1 has size 3, not 1"}};
}

const Op<SqueezeAttrs> squeeze_op = reshape_row<SqueezeAttrs, infer_squeeze>(
    "squeeze", "x without axes of size one.",
    {{"axis", "The axes, which must have size one; none: all that have."}}, squeeze_samples,
    {"Squeeze", 13, {{"axis", "axes"}}});

// ---------------------------------------------------------------------------------- transpose

Shape swapped_axes(int rank) {
  Shape axes;
  for (int i = 0; i < rank; ++i) axes.push_back(i);
  std::swap(axes[rank - 1], axes[rank - 2]);
  return axes;
}

Specs infer_transpose(const InSpecs& in, const NoAttrs&) {
  Spec out = in[0];
  const int rank = out.shape.rank();
  if (rank < 2) violate(ErrorKind::shape, "needs at least 2 axes");
  std::swap(out.shape[rank - 1], out.shape[rank - 2]);
  return out;
}
Results expand_transpose(const Inputs& in, const NoAttrs&) {
  return {{permute_dims(in[0], swapped_axes(in[0].rank()))}};
}

std::vector<Sample<NoAttrs>> transpose_samples() {
  return {{.inputs = {{.shape = {2, 3}}}},
          {.inputs = {{.shape = {4, 2, 3}}}},
          {.inputs = {{.shape = {3}}}, .error = "needs at least 2 axes"}};
}

const Op<NoAttrs> transpose_op{{.name = "matrix_transpose",
                                .doc = "The last two axes exchanged; a view.",
                                .inlined = true,
                                .inputs = {"x"},
                                .takes = kinds::every,
                                .infer = infer_transpose,
                                .expand = expand_transpose,
                                .grad = through_expansion{},
                                .samples = transpose_samples}};

// ---------------------------------------------------------------------------------- flip

struct FlipAttrs {
  Axes axis;
};

Specs infer_flip(const InSpecs& in, const FlipAttrs& attrs) {
  attrs.axis.resolve(in[0].shape.rank());
  return in[0];
}
Results expand_flip(const Inputs& in, const FlipAttrs& attrs) {
  Tensor y = in[0];
  for (int64_t axis : attrs.axis.resolve(y.rank())) y = slice(y, axis, {}, {}, -1);
  return {{y}};
}

std::vector<Sample<FlipAttrs>> flip_samples() {
  return {{.inputs = {{.shape = {2, 3}}}, .attrs = {-1}},
          {.inputs = {{.shape = {2, 3, 4}}}, .attrs = {{0, 2}}},
          {.inputs = {{.shape = {2, 3}}}},
          {.inputs = {{.shape = {2}}}, .attrs = {1}, .error = "axis must be in [-1, 0], got 1"}};
}

const Op<FlipAttrs> flip_op{{.name = "flip",
                             .doc = "The elements in reverse order along axes; a view.",
                             .inlined = true,
                             .attributes = {{"axis", "The axes; none: all."}},
                             .inputs = {"x"},
                             .takes = kinds::every,
                             .infer = infer_flip,
                             .expand = expand_flip,
                             .grad = through_expansion{},
                             .samples = flip_samples}};

// ---------------------------------------------------------------------------------- stack

struct StackAttrs {
  Axis axis = 0;
};

Specs infer_stack(const InSpecs& in, const StackAttrs& attrs) {
  if (in.size() == 0) violate(ErrorKind::value, "needs at least one tensor");
  Spec out = in[0];
  for (size_t i = 1; i < in.size(); ++i) {
    if (in[i].shape != out.shape) violate(ErrorKind::shape, "the tensors must have one shape");
  }
  out.shape.insert(normalize_axis(attrs.axis, out.shape.rank() + 1),
                   static_cast<int64_t>(in.size()));
  return out;
}
Results expand_stack(const Inputs& in, const StackAttrs& attrs) {
  std::vector<Tensor> expanded;
  for (size_t i = 0; i < in.size(); ++i) expanded.push_back(expand_dims(in[i], attrs.axis));
  return {{concat(expanded, normalize_axis(attrs.axis, in[0].rank() + 1))}};
}

std::vector<Sample<StackAttrs>> stack_samples() {
  const SampleInput whole{.shape = {2, 3}, .low = -9, .high = 9, .dtype = DType::i32};
  return {{.inputs = {{.shape = {2, 3}}, {.shape = {2, 3}}}},
          {.inputs = {{.shape = {2, 3}}, whole, {.shape = {2, 3}}}, .attrs = {-1}},
          {.inputs = {}, .error = "needs at least one tensor"},
          {.inputs = {{.shape = {2, 3}}, {.shape = {3}}}, .error = "must have one shape"}};
}

const Op<StackAttrs> stack_op{{.name = "stack",
                               .doc = "Tensors of one shape side by side along a new axis.",
                               .inlined = true,
                               .attributes = {{"axis", "Where the new axis stands."}},
                               .inputs = {"xs*"},
                               .takes = kinds::every,
                               .promotion = Promotion::same,
                               .infer = infer_stack,
                               .expand = expand_stack,
                               .grad = through_expansion{},
                               .samples = stack_samples}};

}  // namespace

Tensor flatten(const Tensor& x, int64_t start_axis, int64_t end_axis) {
  return flatten_op({x}, {start_axis, end_axis});
}
Tensor expand_dims(const Tensor& x, int64_t axis) { return expand_dims_op({x}, {axis}); }
Tensor squeeze(const Tensor& x, const Axes& axis) { return squeeze_op({x}, {axis}); }
Tensor matrix_transpose(const Tensor& x) { return transpose_op({x}); }
Tensor flip(const Tensor& x, const Axes& axis) { return flip_op({x}, {axis}); }
Tensor stack(const std::vector<Tensor>& xs, int64_t axis) {
  const std::vector<Arg> args(xs.begin(), xs.end());
  return std::move(stack_op.all(args, {axis})[0]);
}

}  // namespace taper

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/strided.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/pointwise/pointwise.h>
#include <taper/ops/tape.h>

// Ops that show the same buffer in another way, and the copies they fall back to.

namespace taper {
namespace {

/// Copies the elements in row-major order, whatever shape the output gives them.
template <class A>
void copy_row_major(const Kernel& k, const A&) {
  const View& x = k.in(0);
  copy_strided(k.out().data, row_major_strides(x.shape()), x.data, *x.strides, x.shape(),
               item_size(x.dtype()));
}

/// The oracle of a view: `source(i)` is the input's flat row-major index of output element i.
template <class Source>
Results gather_reference(const Tensor& x, const Shape& shape, Source&& source) {
  const std::vector<Element> values = elements_of(x);
  std::vector<Element> out;
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()), 0);
  for (int64_t i = 0; i < shape.numel(); ++i) {
    int64_t rest = i;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      index[static_cast<size_t>(axis)] = rest % shape[axis];
      rest /= shape[axis];
    }
    out.push_back(values[static_cast<size_t>(source(index, i))]);
  }
  Results results;
  results[0] = from_elements(shape, x.dtype(), out);
  return results;
}

int64_t flat_index(const std::vector<int64_t>& index, const Shape& shape) {
  int64_t flat = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    flat = flat * shape[axis] + index[static_cast<size_t>(axis)];
  }
  return flat;
}

// ---------------------------------------------------------------------------------- contiguous

Specs infer_same(const InSpecs& in, const NoAttrs&) { return in[0]; }

bool contiguous_view(const Strided& x, const NoAttrs&, const Specs&, ViewLayout* views) {
  if (!x.row_major) return false;
  views[0] = {x.strides, x.offset};
  return true;
}

Results contiguous_reference(const Inputs& in, const NoAttrs&) {
  return gather_reference(in[0], in[0].shape(), [](const auto&, int64_t i) { return i; });
}

Grads contiguous_vjp(const Saved& s, const NoAttrs&) { return {s.grad()}; }

std::vector<Sample<NoAttrs>> contiguous_samples() {
  return {{.inputs = {{.shape = {2, 3, 4}}}}, {.inputs = {{.shape = {}}}}};
}

const Op<NoAttrs> contiguous_op{{.name = "contiguous",
                                 .doc = "The same values in row-major memory.",
                                 .inputs = {"x"},
                                 .takes = kinds::every,
                                 .infer = infer_same,
                                 .reference = contiguous_reference,
                                 .grad = {contiguous_vjp, Saves::nothing},
                                 .view = contiguous_view,
                                 .any_strides = true,
                                 .kernels = {.cpu = copy_row_major<NoAttrs>},
                                 .onnx = {"Identity", 1},
                                 .samples = contiguous_samples}};

// ---------------------------------------------------------------------------------- reshape

struct ReshapeAttrs {
  Required<Shape> shape;
};

Specs infer_reshape(const InSpecs& in, const ReshapeAttrs& attrs) {
  Spec out = in[0];
  out.shape = attrs.shape;
  int unknown = -1;
  int64_t known = 1;
  for (int i = 0; i < out.shape.rank(); ++i) {
    if (out.shape[i] >= 0) {
      if (__builtin_mul_overflow(known, out.shape[i], &known)) {
        violate(ErrorKind::shape, "the new shape " + to_string(attrs.shape) + " is too large");
      }
    } else if (out.shape[i] == -1 && unknown < 0) {
      unknown = i;
    } else {
      violate(ErrorKind::shape, "the new shape may have one -1 and no other negative size, got " +
                                    to_string(attrs.shape));
    }
  }
  const int64_t count = in[0].shape.numel();
  if (unknown >= 0 && known > 0 && count % known == 0) out.shape[unknown] = count / known;
  if ((unknown >= 0 && out.shape[unknown] == -1) || out.shape.numel() != count) {
    violate(ErrorKind::shape,
            std::to_string(count) + " elements do not fit the new shape " + to_string(attrs.shape));
  }
  return out;
}

/// Strides of `to` over x's buffer, if every new axis stays within axes of x that merge.
bool reshape_view(const Strided& x, const ReshapeAttrs&, const Specs& out, ViewLayout* views) {
  const Shape& to = out[0].shape;
  ViewLayout& view = views[0];
  view.offset = x.offset;
  view.strides = row_major_strides(to);
  if (x.row_major) return true;
  const Shape& from = x.shape();
  int i = from.rank() - 1;
  int j = to.rank() - 1;
  while (i >= 0 || j >= 0) {
    int64_t block_from = i >= 0 ? from[i] : 1;
    int64_t block_to = j >= 0 ? to[j] : 1;
    int first_from = i;
    int first_to = j;
    while (block_from != block_to) {
      if (block_from < block_to) {
        if (--first_from < 0) return false;
        block_from *= from[first_from];
      } else {
        if (--first_to < 0) return false;
        block_to *= to[first_to];
      }
    }
    int64_t step = 0;  // of the innermost element of this block
    int64_t expected = 0;
    bool found = false;
    for (int axis = i; axis >= first_from && axis >= 0; --axis) {
      if (from[axis] == 1) continue;
      if (found && x.strides[axis] != expected) return false;
      if (!found) step = x.strides[axis];
      found = true;
      expected = x.strides[axis] * from[axis];
    }
    for (int axis = j; axis >= first_to && axis >= 0; --axis) {
      view.strides[axis] = step;
      step *= to[axis];
    }
    i = first_from - 1;
    j = first_to - 1;
  }
  return true;
}

Results reshape_reference(const Inputs& in, const ReshapeAttrs& attrs) {
  const Arg arg(in[0]);
  const Shape shape = infer_reshape(InSpecs({&arg, 1}), attrs)[0].shape;
  return gather_reference(in[0], shape, [](const auto&, int64_t i) { return i; });
}

Grads reshape_vjp(const Saved& s, const ReshapeAttrs&) {
  return {reshape(s.grad(), s.in_spec(0).shape)};
}

std::vector<Sample<ReshapeAttrs>> reshape_samples() {
  return {{.inputs = {{.shape = {2, 3, 4}}}, .attrs = {Shape{6, 4}}},
          {.inputs = {{.shape = {2, 6}}}, .attrs = {Shape{3, -1}}},
          {.inputs = {{.shape = {1}}}, .attrs = {Shape{}}},
          {.inputs = {{.shape = {2, 3}}},
           .attrs = {Shape{4, -1}},
           .error = "6 elements do not fit the new shape [4,-1]"},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {Shape{-1, -1}}, .error = "may have one -1"}};
}

const Op<ReshapeAttrs> reshape_op{
    {.name = "reshape",
     .doc = "The elements in row-major order under another shape.",
     .attributes = {{"shape", "The new shape; one size may be -1 and follows from the others."}},
     .inputs = {"x"},
     .takes = kinds::every,
     .infer = infer_reshape,
     .reference = reshape_reference,
     .grad = {reshape_vjp, Saves::nothing},
     .view = reshape_view,
     .any_strides = true,
     .kernels = {.cpu = copy_row_major<ReshapeAttrs>},
     .onnx = {"Reshape", 14},
     .samples = reshape_samples}};

// ---------------------------------------------------------------------------------- permute_dims

struct PermuteAttrs {
  Required<Shape> axes;
};

Shape checked_permutation(const Shape& axes, int rank) {
  Shape order = axes;
  bool seen[Shape::max_rank] = {};
  bool valid = axes.rank() == rank;
  for (int i = 0; valid && i < rank; ++i) {
    order[i] = normalize_axis(axes[i], rank);
    valid = !seen[order[i]];
    seen[order[i]] = true;
  }
  if (!valid) {
    violate(ErrorKind::value, "axes must name each of the " + std::to_string(rank) +
                                  " axes once, got " + to_string(axes));
  }
  return order;
}

Specs infer_permute(const InSpecs& in, const PermuteAttrs& attrs) {
  const Shape order = checked_permutation(attrs.axes, in[0].shape.rank());
  Spec out = in[0];
  for (int i = 0; i < order.rank(); ++i) out.shape[i] = in[0].shape[static_cast<int>(order[i])];
  return out;
}

bool permute_view(const Strided& x, const PermuteAttrs& attrs, const Specs&, ViewLayout* views) {
  const Shape order = checked_permutation(attrs.axes, x.shape().rank());
  ViewLayout& view = views[0];
  view.offset = x.offset;
  view.strides = order;
  for (int i = 0; i < order.rank(); ++i) view.strides[i] = x.strides[static_cast<int>(order[i])];
  return true;
}

Results permute_reference(const Inputs& in, const PermuteAttrs& attrs) {
  const Shape order = checked_permutation(attrs.axes, in[0].rank());
  Shape shape = in[0].shape();
  for (int i = 0; i < order.rank(); ++i) shape[i] = in[0].shape()[static_cast<int>(order[i])];
  return gather_reference(in[0], shape, [&](const std::vector<int64_t>& index, int64_t) {
    std::vector<int64_t> source(index.size());
    for (int i = 0; i < order.rank(); ++i) {
      source[static_cast<size_t>(order[i])] = index[static_cast<size_t>(i)];
    }
    return flat_index(source, in[0].shape());
  });
}

Grads permute_vjp(const Saved& s, const PermuteAttrs& attrs) {
  const Shape order = checked_permutation(attrs.axes, s.in_spec(0).shape.rank());
  Shape inverse = order;
  for (int i = 0; i < order.rank(); ++i) inverse[static_cast<int>(order[i])] = i;
  return {permute_dims(s.grad(), inverse)};
}

std::vector<Sample<PermuteAttrs>> permute_samples() {
  return {{.inputs = {{.shape = {2, 3, 4}}}, .attrs = {Shape{2, 0, 1}}},
          {.inputs = {{.shape = {2, 3}}}, .attrs = {Shape{-1, 0}}},
          {.inputs = {{.shape = {2, 3}}},
           .attrs = {Shape{0, 0}},
           .error = "axes must name each of the 2 axes once"}};
}

const Op<PermuteAttrs> permute_op{
    {.name = "permute_dims",
     .aliases = {"permute"},
     .doc = "The axes in another order; a view.",
     .attributes = {{"axes", "For each axis of the result, which axis of x it is."}},
     .inputs = {"x"},
     .takes = kinds::every,
     .infer = infer_permute,
     .reference = permute_reference,
     .grad = {permute_vjp, Saves::nothing},
     .view = permute_view,
     .onnx = {"Transpose", 13, {{"axes", "perm"}}},
     .samples = permute_samples}};

// ---------------------------------------------------------------------------------- broadcast_to

struct BroadcastAttrs {
  Required<Shape> shape;
};

Specs infer_broadcast(const InSpecs& in, const BroadcastAttrs& attrs) {
  Spec out = in[0];
  out.shape = attrs.shape;
  checked_bytes(out.shape, out.dtype);  // no memory is taken, but strides and counts must fit
  if (in[0].shape.rank() > attrs.shape->rank() ||
      !(broadcast_shapes(in[0].shape, attrs.shape) == attrs.shape)) {
    violate(ErrorKind::shape, "does not broadcast to " + to_string(attrs.shape));
  }
  return out;
}

bool broadcast_view(const Strided& x, const BroadcastAttrs&, const Specs& out, ViewLayout* views) {
  views[0] = {broadcast_strides(x.shape(), x.strides, out[0].shape), x.offset};
  return true;
}

Results broadcast_reference(const Inputs& in, const BroadcastAttrs& attrs) {
  const Shape& from = in[0].shape();
  return gather_reference(in[0], attrs.shape, [&](const std::vector<int64_t>& index, int64_t) {
    std::vector<int64_t> source(index.end() - from.rank(), index.end());
    for (int i = 0; i < from.rank(); ++i) {
      if (from[i] == 1) source[static_cast<size_t>(i)] = 0;
    }
    return flat_index(source, from);
  });
}

Grads broadcast_vjp(const Saved& s, const BroadcastAttrs&) {
  return {detail::reduce_to(s.grad(), s.in_spec(0).shape)};
}

std::vector<Sample<BroadcastAttrs>> broadcast_samples() {
  return {
      {.inputs = {{.shape = {3, 1}}}, .attrs = {Shape{2, 3, 4}}},
      {.inputs = {{.shape = {}}}, .attrs = {Shape{5}}},
      {.inputs = {{.shape = {3}}}, .attrs = {Shape{3, 2}}, .error = "do not broadcast"},
      {.inputs = {{.shape = {2, 3}}}, .attrs = {Shape{3}}, .error = "does not broadcast to [3]"}};
}

const Op<BroadcastAttrs> broadcast_op{{.name = "broadcast_to",
                                       .doc = "The values repeated along axes of size one; a view.",
                                       .attributes = {{"shape", "The shape of the result."}},
                                       .inputs = {"x"},
                                       .takes = kinds::every,
                                       .infer = infer_broadcast,
                                       .reference = broadcast_reference,
                                       .grad = {broadcast_vjp, Saves::nothing},
                                       .view = broadcast_view,
                                       .onnx = {"Expand", 13},
                                       .samples = broadcast_samples}};

}  // namespace

Tensor contiguous(const Tensor& x) { return contiguous_op({x}); }
Tensor reshape(const Tensor& x, const Shape& shape) { return reshape_op({x}, {shape}); }
Tensor permute_dims(const Tensor& x, const Shape& axes) { return permute_op({x}, {axes}); }
Tensor broadcast_to(const Tensor& x, const Shape& shape) { return broadcast_op({x}, {shape}); }

}  // namespace taper

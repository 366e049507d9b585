#include <taper/ops/index/places.h>

// Elements at places that several index tensors give together, and the adjoint that adds them back.

namespace taper {
namespace {

struct IndexAttrs {
  Shape axes;
  int64_t at = 0;
};

struct IndexGradAttrs {
  Shape shape;
  Shape axes;
  int64_t at = 0;
};

SampleInput index_input(const Shape& shape, double low, double high, DType dtype = DType::i64) {
  return {.shape = shape, .low = low, .high = high, .dtype = dtype};
}

Specs infer_index(const InSpecs& in, const IndexAttrs& attrs) {
  const Shape picked = check_picks(in, 1, {attrs.axes, attrs.at}, in[0].shape.rank());
  Spec out = in[0];
  out.shape = selected_shape(in[0].shape, {attrs.axes, attrs.at}, picked);
  return out;
}

void index_cpu(const Kernel& k, const IndexAttrs& attrs) {
  index(k.context, k.in(0), k.inputs.subspan(1), {attrs.axes, attrs.at}, k.out());
}

/// For every element that is picked from a row-major tensor, in order: visit(its place there).
template <class Visit>
void for_each_picked(const Inputs& in, const Shape& shape, const IndexAttrs& attrs, Visit&& visit) {
  Shape common;
  for (size_t i = 1; i < in.size(); ++i) common = broadcast_shapes(common, in[i].shape());
  std::vector<std::vector<int64_t>> indices;
  for (size_t i = 1; i < in.size(); ++i) {
    indices.push_back(broadcast_to(in[i], common).to_vector<int64_t>());
  }
  const Picks picks{attrs.axes, attrs.at};
  const Shape selected = selected_shape(shape, picks, common);
  const Strides strides = row_major_strides(shape);
  for (int64_t flat = 0; flat < selected.numel(); ++flat) {
    int64_t rest = flat;
    int64_t position[Shape::max_rank];
    for (int i = selected.rank() - 1; i >= 0; --i) {
      position[i] = rest % selected[i];
      rest /= selected[i];
    }
    size_t pick = 0;
    for (int i = 0; i < common.rank(); ++i) {
      pick = pick * static_cast<size_t>(common[i]) + static_cast<size_t>(position[attrs.at + i]);
    }
    int64_t offset = 0;
    int others = 0;
    for (int i = 0; i < shape.rank(); ++i) {
      if (picks.along(i)) continue;
      offset += strides[i] * position[others < attrs.at ? others : others + common.rank()];
      ++others;
    }
    for (int i = 0; i < attrs.axes.rank(); ++i) {
      const int axis = static_cast<int>(attrs.axes[i]);
      const int64_t index = indices[static_cast<size_t>(i)][pick];
      offset += strides[axis] * (index < 0 ? index + shape[axis] : index);
    }
    visit(static_cast<size_t>(offset));
  }
}

Results index_reference(const Inputs& in, const IndexAttrs& attrs) {
  const std::vector<Element> x = elements_of(in[0]);
  std::vector<Element> y;
  for_each_picked(in, in[0].shape(), attrs, [&](size_t from) { y.push_back(x[from]); });
  Shape common;
  for (size_t i = 1; i < in.size(); ++i) common = broadcast_shapes(common, in[i].shape());
  Results results;
  results[0] = from_elements(selected_shape(in[0].shape(), {attrs.axes, attrs.at}, common),
                             in[0].dtype(), y);
  return results;
}

Specs infer_index_grad(const InSpecs& in, const IndexGradAttrs& attrs) {
  const Shape picked = check_picks(in, 1, {attrs.axes, attrs.at}, attrs.shape.rank());
  if (!is_inexact(in[0].dtype)) violate(ErrorKind::dtype, "takes floating tensors");
  const Shape wanted = selected_shape(attrs.shape, {attrs.axes, attrs.at}, picked);
  if (in[0].shape != wanted) {
    violate(ErrorKind::shape, "grad must have the shape " + to_string(wanted));
  }
  Spec out = in[0];
  out.shape = attrs.shape;
  return out;
}

void index_grad_cpu(const Kernel& k, const IndexGradAttrs& attrs) {
  index_add(k.context, k.in(0), k.inputs.subspan(1), {attrs.axes, attrs.at}, k.out());
}

Results index_grad_reference(const Inputs& in, const IndexGradAttrs& attrs) {
  return visit_sums(in[0].dtype(), [&]<class T>() {
    const std::vector<T> grad = in[0].to_vector<T>();
    std::vector<T> y(static_cast<size_t>(attrs.shape.numel()), T(0));
    size_t next = 0;
    for_each_picked(in, attrs.shape, {attrs.axes, attrs.at},
                    [&](size_t to) { y[to] += grad[next++]; });
    return Results{{from_values(attrs.shape, y)}};
  });
}

std::vector<Tensor> saved_indices(const Saved& s) {
  std::vector<Tensor> indices;
  for (size_t i = 1; i < s.inputs(); ++i) indices.push_back(s.in(i));
  return indices;
}

Grads index_grad_vjp(const Saved& s, const IndexGradAttrs& attrs) {
  Grads grads(s.inputs());
  if (s.needs(0)) {
    grads[0] = detail::index_places(s.grad(), saved_indices(s), attrs.axes, attrs.at);
  }
  return grads;
}

std::vector<Sample<IndexGradAttrs>> index_grad_samples() {
  return {{.inputs = {{.shape = {7, 5}}, index_input({7}, -4, 4), index_input({7}, 0, 3)},
           .attrs = {Shape{4, 3, 5}, Shape{0, 1}, 0}},
          {.inputs = {{.shape = {3, 2, 6}}, index_input({2, 1}, 0, 4), index_input({6}, 0, 5)},
           .attrs = {Shape{4, 3, 5}, Shape{0, 2}, 1}},
          {.inputs = {{.shape = {6, 3, 7}}, index_input({6}, -4, 4, DType::i32)},
           .attrs = {Shape{3, 4, 7}, Shape{1}, 0}},
          {.inputs = {{.shape = {5}}, index_input({5}, 0, 3)},
           .attrs = {Shape{3, 4}, Shape{0}, 0},
           .error = "grad must have the shape [5,4]"},
          {.inputs = {{.shape = {2, 4}}, index_input({2}, 3, 4)},
           .attrs = {Shape{3, 4}, Shape{0}, 0},
           .error = "index 3 at position 0 is out of range for axis 0 of size 3"}};
}

const Op<IndexGradAttrs> index_grad_op{
    {.name = "index_grad",
     .doc = "The adjoint of index: zeros of `shape` with each element of grad added at its place "
            "along `axes`.",
     .internal = true,
     .inputs = {"grad", "indices*"},
     .takes = kinds::every,
     .infer = infer_index_grad,
     .reference = index_grad_reference,
     .grad = {index_grad_vjp, Saves{~1u}},
     .refuses_values = true,
     .kernels = {.cpu = index_grad_cpu},
     .no_golden = golden_in_its_row,
     .samples = index_grad_samples}};

std::vector<Arg> with_indices(const Tensor& x, const std::vector<Tensor>& indices) {
  std::vector<Arg> args{x};
  args.insert(args.end(), indices.begin(), indices.end());
  return args;
}

Grads index_vjp(const Saved& s, const IndexAttrs& attrs) {
  Grads grads(s.inputs());
  if (s.needs(0)) {
    const std::vector<Tensor> indices = saved_indices(s);
    grads[0] = index_grad_op.all(with_indices(s.grad(), indices),
                                 {s.in_spec(0).shape, attrs.axes, attrs.at})[0];
  }
  return grads;
}

std::vector<Sample<IndexAttrs>> index_samples() {
  const SampleInput x{.shape = {4, 3, 5}};
  return {
      {.inputs = {x, index_input({7}, -4, 4), index_input({7}, 0, 3)}, .attrs = {Shape{0, 1}, 0}},
      {.inputs = {x, index_input({2, 1}, 0, 4), index_input({6}, 0, 5, DType::i32)},
       .attrs = {Shape{0, 2}, 1}},
      {.inputs = {x, index_input({}, 0, 5), index_input({2}, 0, 4)}, .attrs = {Shape{2, 0}, 0}},
      {.inputs = {x, index_input({0}, 0, 3)}, .attrs = {Shape{1}, 2}},
      {.inputs = {{.shape = {2, 3, 2, 5}, .low = -9, .high = 9, .dtype = DType::i16},
                  index_input({6}, -3, 3)},
       .attrs = {Shape{1}, 1}},
      {.inputs = {x, index_input({2}, 0, 4)},
       .attrs = {Shape{0, 1}, 0},
       .error = "takes one index tensor for each of its axes [0,1]"},
      {.inputs = {x, index_input({2}, 0, 3), index_input({2}, 0, 3)},
       .attrs = {Shape{1, 1}, 0},
       .error = "axes must be different ones in [0, 3), got [1,1]"},
      {.inputs = {x, index_input({2}, 0, 3)},
       .attrs = {Shape{1}, 3},
       .error = "at must be in [0, 2], got 3"},
      {.inputs = {x, index_input({2}, 0, 3, DType::u8)},
       .attrs = {Shape{1}, 0},
       .error = "indices must be i32 or i64, got u8"},
      {.inputs = {x, index_input({2}, 0, 4), index_input({3}, 0, 3)},
       .attrs = {Shape{0, 1}, 0},
       .error = "do not broadcast"},
      {.inputs = {x, index_input({2}, 0, 4), index_input({2}, -4, -3)},
       .attrs = {Shape{0, 1}, 0},
       .error = "index -4 at position 0 is out of range for axis 1 of size 3"}};
}

const Op<IndexAttrs> index_op{
    {.name = "index",
     .doc = "The elements of x at the places that index tensors, one for each of `axes`, give "
            "together; their broadcast shape stands behind the first `at` other axes.",
     .internal = true,
     .inputs = {"x", "indices*"},
     .takes = kinds::every,
     .infer = infer_index,
     .reference = index_reference,
     .grad = {index_vjp, Saves{~1u}},
     .any_strides = true,
     .refuses_values = true,
     .kernels = {.cpu = index_cpu},
     .samples = index_samples}};

}  // namespace

std::string_view detail::name_of_index() { return index_op.name; }

Tensor detail::index_places(const Tensor& x, const std::vector<Tensor>& indices, const Shape& axes,
                            int64_t at) {
  return index_op.all(with_indices(x, indices), {axes, at})[0];
}

}  // namespace taper

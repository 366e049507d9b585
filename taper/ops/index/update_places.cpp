#include <taper/ops/index/places.h>
#include <taper/ops/pointwise/pointwise.h>

// Parts of a tensor replaced: those that slices and index tensors select, or where a mask is true.

namespace taper {
namespace {

using detail::PlaceAttrs;

// ---------------------------------------------------------------------------------- index_update

/// The part that the ranges leave, as a layout over x's memory.
Strides part_strides(const Strides& strides, const PlaceAttrs& attrs) {
  Strides result = strides;
  for (int i = 0; i < result.rank(); ++i) result[i] *= attrs.step[i];
  return result;
}

int64_t part_offset(const Strides& strides, const PlaceAttrs& attrs) {
  int64_t offset = 0;
  for (int i = 0; i < strides.rank(); ++i) offset += attrs.start[i] * strides[i];
  return offset;
}

void check_ranges(const Shape& shape, const PlaceAttrs& attrs) {
  bool fits = attrs.start.rank() == shape.rank() && attrs.step.rank() == shape.rank() &&
              attrs.count.rank() == shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) {
    if (attrs.count[i] == 0) continue;
    const int64_t last = attrs.start[i] + attrs.step[i] * (attrs.count[i] - 1);
    fits = attrs.count[i] > 0 && attrs.start[i] >= 0 && attrs.start[i] < shape[i] && last >= 0 &&
           last < shape[i];
  }
  if (!fits) violate(ErrorKind::value, "start, step and count must stay within x");
}

Specs infer_update(const InSpecs& in, const PlaceAttrs& attrs) {
  check_ranges(in[0].shape, attrs);
  const Shape picked = check_picks(in, 2, {attrs.axes, attrs.at}, in[0].shape.rank());
  const Shape target = selected_shape(attrs.count, {attrs.axes, attrs.at}, picked);
  if (in[1].dtype != in[0].dtype) {
    violate(ErrorKind::dtype, "values must have x's dtype; convert with astype");
  }
  if (in[1].shape.rank() > target.rank() || !(broadcast_shapes(in[1].shape, target) == target)) {
    violate(ErrorKind::shape, "values do not broadcast to the selection " + to_string(target));
  }
  return in[0];
}

void update_cpu(const Kernel& k, const PlaceAttrs& attrs) {
  const Strides& strides = *k.out().strides;
  const Part part{attrs.count, part_strides(strides, attrs), part_offset(strides, attrs)};
  const Picks picks{attrs.axes, attrs.at};
  Shape common;
  for (const View& view : k.inputs.subspan(2)) common = broadcast_shapes(common, view.shape());
  update_places(k.context, k.in(0), k.in(1), k.inputs.subspan(2), part, picks,
                selected_shape(attrs.count, picks, common), k.out());
}

/// Element by element, in the order of the values.
Results update_reference(const Inputs& in, const PlaceAttrs& attrs) {
  Shape common;
  for (size_t i = 2; i < in.size(); ++i) common = broadcast_shapes(common, in[i].shape());
  const Shape target = selected_shape(attrs.count, {attrs.axes, attrs.at}, common);
  // The numbers of x's elements, read in the way in which the values are written.
  Tensor numbers = reshape(arange(in[0].numel()), in[0].shape());
  for (int i = 0; i < attrs.count.rank(); ++i) {
    std::vector<int64_t> chosen;
    for (int64_t n = 0; n < attrs.count[i]; ++n) {
      chosen.push_back(attrs.start[i] + n * attrs.step[i]);
    }
    numbers = take(numbers, from_values({attrs.count[i]}, chosen), i);
  }
  std::vector<Tensor> indices;
  for (size_t i = 2; i < in.size(); ++i) indices.push_back(in[i]);
  if (!indices.empty()) numbers = detail::index_places(numbers, indices, attrs.axes, attrs.at);
  const std::vector<int64_t> to = numbers.to_vector<int64_t>();
  const std::vector<Element> values = elements_of(broadcast_to(in[1], target));
  std::vector<Element> y = elements_of(in[0]);
  for (size_t i = 0; i < to.size(); ++i) y[static_cast<size_t>(to[i])] = values[i];
  Results results;
  results[0] = from_elements(in[0].shape(), in[0].dtype(), y);
  return results;
}

/// What the ranges and index tensors select of a tensor of x's shape.
Tensor selected(const Tensor& x, const std::vector<Tensor>& indices, const PlaceAttrs& attrs) {
  Tensor part = x;
  for (int i = 0; i < attrs.count.rank(); ++i) {
    const int64_t start = attrs.start[i];
    const int64_t step = attrs.step[i];
    const int64_t stop = start + step * attrs.count[i];
    if (start == 0 && step == 1 && stop == x.shape()[i]) continue;
    if (attrs.count[i] == 0) {
      part = slice(part, i, 0, 0);
    } else {
      part = slice(part, i, start, stop < 0 ? std::nullopt : std::optional(stop), step);
    }
  }
  return indices.empty() ? part : detail::index_places(part, indices, attrs.axes, attrs.at);
}

/// Where the values of equal places are not overwritten by a later one, in the shape that
/// broadcasts to the selection; undefined if nothing can be overwritten.
Tensor kept_values(const std::vector<Tensor>& indices, const PlaceAttrs& attrs) {
  Shape common;
  for (const Tensor& index : indices) common = broadcast_shapes(common, index.shape());
  if (common.numel() <= 1) return {};
  PlaceAttrs all;
  for (int i = 0; i < attrs.axes.rank(); ++i) {
    all.start.push_back(0);
    all.step.push_back(1);
    all.count.push_back(attrs.count[static_cast<int>(attrs.axes[i])]);
    all.axes.push_back(i);
  }
  const Tensor numbers = reshape(arange(common.numel()), common);
  const Tensor holders = detail::update_places(zeros(all.count, DType::i64), numbers, indices, all);
  Tensor kept = equal(detail::index_places(holders, indices, all.axes, 0), numbers);
  Shape aligned = common;
  for (int i = static_cast<int>(attrs.at) + attrs.axes.rank(); i < attrs.count.rank(); ++i) {
    aligned.push_back(1);
  }
  return reshape(kept, aligned);
}

Grads update_vjp(const Saved& s, const PlaceAttrs& attrs) {
  std::vector<Tensor> indices;
  for (size_t i = 2; i < s.inputs(); ++i) indices.push_back(s.in(i));
  const Tensor& grad = s.grad();
  Grads grads(s.inputs());
  if (s.needs(0)) {
    grads[0] = detail::update_places(grad, zeros({}, grad.dtype()), indices, attrs);
  }
  if (s.needs(1)) {
    Tensor part = selected(grad, indices, attrs);
    const Tensor kept = indices.empty() ? Tensor() : kept_values(indices, attrs);
    if (kept.defined()) part = where(kept, part, 0);
    grads[1] = detail::reduce_to(part, s.in_spec(1).shape);
  }
  return grads;
}

std::vector<Sample<PlaceAttrs>> update_samples() {
  const SampleInput x{.shape = {4, 3, 5}};
  const SampleInput rows{.shape = {7}, .low = -4, .high = 4, .dtype = DType::i64};
  const SampleInput columns{.shape = {7}, .low = 0, .high = 5, .dtype = DType::i32};
  const PlaceAttrs all{{0, 0, 0}, {1, 1, 1}, {4, 3, 5}, {}, 0};
  const auto with = [&](const Shape& axes, int64_t at) {
    PlaceAttrs attrs = all;
    attrs.axes = axes;
    attrs.at = at;
    return attrs;
  };
  const SampleInput far{.shape = {2}, .low = 4, .high = 5, .dtype = DType::i64};
  return {{.inputs = {x, {.shape = {7, 3}}, rows, columns}, .attrs = with({0, 2}, 0)},
          {.inputs = {x, {.shape = {4, 1, 7}}, columns}, .attrs = with({2}, 2)},
          {.inputs = {x, {.shape = {}}, rows}, .attrs = with({0}, 1)},
          {.inputs = {x, {.shape = {2, 1, 2}}}, .attrs = {{3, 0, 1}, {-2, 1, 3}, {2, 3, 2}, {}, 0}},
          {.inputs = {x, {.shape = {3, 7}}, rows},
           .attrs = {{0, 2, 4}, {1, -1, 1}, {4, 3, 1}, {0}, 2},
           .error = "do not broadcast to the selection [3,1,7]"},
          {.inputs = {x, {.shape = {3, 1, 7}}, rows},
           .attrs = {{0, 2, 4}, {1, -1, 1}, {4, 3, 1}, {0}, 2}},
          {.inputs = {{.shape = {6}, .low = -9, .high = 9, .dtype = DType::u8},
                      {.shape = {2}, .low = 0, .high = 9, .dtype = DType::u8},
                      {.shape = {2}, .low = 0, .high = 6, .dtype = DType::i64}},
           .attrs = {{0}, {1}, {6}, {0}, 0}},
          {.inputs = {x, {.shape = {5}, .dtype = DType::i32}},
           .attrs = all,
           .error = "values must have x's dtype"},
          {.inputs = {x, {.shape = {}}},
           .attrs = {{0, 0, 0}, {1, 1, 1}, {4, 4, 5}, {}, 0},
           .error = "start, step and count must stay within x"},
          {.inputs = {x, {.shape = {}}, far},
           .attrs = with({0}, 0),
           .error = "index 4 at position 0 is out of range for axis 0 of size 4"}};
}

const Op<PlaceAttrs> index_update_op{
    {.name = "index_update",
     .doc = "x with `count` places from `start` on each axis, of `axes` those at the indices, "
            "replaced by values, which broadcast; of equal places the last one wins.",
     .internal = true,
     .inputs = {"x", "values", "indices*"},
     .takes = kinds::every,
     .infer = infer_update,
     .reference = update_reference,
     .grad = {update_vjp, Saves{~3u}},
     .layout = Layout::like_inputs,
     .any_strides = true,
     .refuses_values = true,
     .reuse = {{0, 0}},
     .kernels = {.cpu = update_cpu},
     .samples = update_samples}};

// ---------------------------------------------------------------------------------- mask_update

Specs infer_mask(const InSpecs& in, const NoAttrs&) {
  if (!is_bool(in[1].dtype)) violate(ErrorKind::dtype, "the mask must be bool");
  if (in[2].dtype != in[0].dtype) {
    violate(ErrorKind::dtype, "values must have x's dtype; convert with astype");
  }
  const Shape& shape = in[0].shape;
  for (size_t i : {size_t{1}, size_t{2}}) {
    if (broadcast_shapes(in[i].shape, shape) == shape) continue;
    violate(ErrorKind::shape, "mask and values must broadcast to x");
  }
  return in[0];
}

void mask_cpu(const Kernel& k, const NoAttrs&) {
  update_masked(k.in(0), k.in(1), k.in(2), k.out());
}

Results mask_expand(const Inputs& in, const NoAttrs&) {
  Results results;
  results[0] = where(in[1], in[2], in[0]);
  return results;
}

Grads mask_vjp(const Saved& s, const NoAttrs&) {
  const Tensor& mask = s.in(1);
  Grads grads(3);
  if (s.needs(0)) grads[0] = where(mask, 0, s.grad());
  if (s.needs(2)) grads[2] = detail::reduce_to(where(mask, s.grad(), 0), s.in_spec(2).shape);
  return grads;
}

std::vector<Sample<NoAttrs>> mask_samples() {
  const SampleInput mask{.shape = {4, 5}, .low = 0, .high = 2, .dtype = DType::boolean};
  return {{.inputs = {{.shape = {4, 5}}, mask, {.shape = {}}}},
          {.inputs = {{.shape = {3, 4, 5}}, mask, {.shape = {3, 1, 5}}}},
          {.inputs = {{.shape = {6}, .low = 0, .high = 9, .dtype = DType::i16},
                      {.shape = {}, .low = 1, .high = 2, .dtype = DType::boolean},
                      {.shape = {6}, .low = 0, .high = 9, .dtype = DType::i16}}},
          {.inputs = {{.shape = {5}}, mask, {.shape = {}}}, .error = "must broadcast to x"},
          {.inputs = {{.shape = {4, 5}}, {.shape = {4, 5}}, {.shape = {}}},
           .error = "the mask must be bool"},
          {.inputs = {{.shape = {4, 5}}, mask, {.shape = {}, .dtype = DType::i32}},
           .error = "values must have x's dtype"}};
}

const Op<NoAttrs> mask_update_op{
    {.name = "mask_update",
     .doc = "x with the elements where the mask is true replaced by those of values.",
     .internal = true,
     .inputs = {"x", "mask", "values"},
     .takes = kinds::every,
     .infer = infer_mask,
     .expand = mask_expand,
     .grad = {mask_vjp, Saves::only({1})},
     .layout = Layout::like_inputs,
     .any_strides = true,
     .reuse = {{0, 0}},
     .kernels = {.cpu = mask_cpu},
     .samples = mask_samples}};

}  // namespace

std::string_view detail::name_of_index_update() { return index_update_op.name; }

Tensor detail::update_places(const Arg& x, const Tensor& values, const std::vector<Tensor>& indices,
                             const PlaceAttrs& attrs) {
  std::vector<Arg> args{x, values};
  args.insert(args.end(), indices.begin(), indices.end());
  return index_update_op.all(args, attrs)[0];
}

Tensor detail::update_masked(const Arg& x, const Tensor& mask, const Tensor& values) {
  return mask_update_op({x, mask, values});
}

}  // namespace taper

#include <taper/ops/index/indexing.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <taper/ops/composed.h>
#include <taper/ops/index/indices.h>
#include <taper/ops/tape.h>

namespace taper {

void IndexItem::fail_index(uint64_t index) {
  fail(ErrorKind::index, "index " + std::to_string(index) + " is out of range for any axis");
}

namespace {

/// An index taken apart. Slices and integers leave a part of x with all its axes; index tensors
/// pick along some of them; then integers' axes are dropped and new ones made by a reshape.
struct IndexParts {
  std::vector<detail::Range> ranges;  // one for each axis of x
  /// The axes that the result shows beside the picked ones: those of x, or -1 for a new one.
  std::vector<int> shown;
  /// The index tensors and the axes of x along which they pick.
  std::vector<Tensor> indices;
  Shape axes;
  /// Masks and the axes of x from which on they stand.
  std::vector<Tensor> masks;
  std::vector<int> mask_axes;
  bool picks = false;
  size_t place = 0;  // in `shown`, of the axes that index tensors and masks make
};

/// Tensors that pick along an axis; others are refused.
Tensor checked_index_tensor(const Tensor& indices) {
  if (is_float(indices.dtype())) {
    violate(ErrorKind::dtype,
            "an index tensor must hold integers, got " + to_string(indices.spec()));
  }
  return indices.dtype() == DType::i32 ? indices : astype(indices, DType::i64);
}

int64_t checked_index(int64_t index, int axis, const Tensor& x) {
  const int64_t size = x.shape()[axis];
  if (index < -size || index >= size) {
    violate(ErrorKind::index, "index " + std::to_string(index) + " is out of range for axis " +
                                  std::to_string(axis) + " of size " + std::to_string(size));
  }
  return index < 0 ? index + size : index;
}

/// A mask shows whether each element of its axes, from `axis` on, is picked.
void check_mask(const Tensor& mask, int axis, const Tensor& x) {
  bool fits = true;
  for (int i = 0; fits && i < mask.rank(); ++i) fits = mask.shape()[i] == x.shape()[axis + i];
  if (fits) return;
  violate(ErrorKind::index, "the mask " + to_string(mask.spec()) +
                                " must have the sizes of the axes from " + std::to_string(axis) +
                                " on");
}

template <class T>
bool holds(const IndexItem& item) {
  return std::holds_alternative<T>(item.value);
}

/// How many axes of x an item takes.
int axes_of(const IndexItem& item) {
  const auto* tensor = std::get_if<Tensor>(&item.value);
  if (tensor != nullptr && tensor->defined() && is_bool(tensor->dtype())) return tensor->rank();
  return holds<Ellipsis>(item) || holds<NewAxis>(item) ? 0 : 1;
}

/// Whether the values of a mask can be read: not while a function is captured.
bool is_known(const Tensor& mask) { return static_cast<bool>(mask.impl()->storage); }

/// The places of a mask's true elements: for each of its axes the indices along it, in row-major
/// order; for a 0-d mask one tensor of as many zeros.
constexpr const char* unknown_picks =
    "a mask picks as many elements as it has true ones, so this cannot be captured; choose with "
    "`where`";

std::vector<Tensor> places_of(const Tensor& mask) {
  if (!is_known(mask)) violate(ErrorKind::unsupported, unknown_picks);
  const std::vector<bool> chosen = mask.to_vector<bool>();
  const int64_t count = std::ranges::count(chosen, true);
  std::vector<Tensor> places;
  std::vector<int64_t*> next;
  for (int axis = 0; axis < std::max(1, mask.rank()); ++axis) {
    places.push_back(empty({count}, DType::i64));
    next.push_back(places.back().mutable_data<int64_t>());
  }
  if (mask.rank() == 0) {
    std::fill_n(next[0], count, 0);
    return places;
  }
  int64_t index[Shape::max_rank] = {};
  for (const bool is_chosen : chosen) {
    for (int axis = 0; is_chosen && axis < mask.rank(); ++axis) {
      *next[static_cast<size_t>(axis)]++ = index[axis];
    }
    for (int axis = mask.rank() - 1; axis >= 0 && ++index[axis] == mask.shape()[axis]; --axis) {
      index[axis] = 0;
    }
  }
  return places;
}

/// How many axes the ellipsis stands for (0 if there is none: the rest follows at the end).
int left_over(const Tensor& x, const std::vector<IndexItem>& items) {
  int used = 0;
  int ellipses = 0;
  for (const IndexItem& item : items) {
    ellipses += holds<Ellipsis>(item) ? 1 : 0;
    used += axes_of(item);
  }
  if (ellipses > 1) violate(ErrorKind::index, "an index has at most one ellipsis");
  if (used > x.rank()) {
    violate(ErrorKind::index, "too many indices: " + std::to_string(used) + " for " +
                                  std::to_string(x.rank()) + " axes");
  }
  return x.rank() - used;
}

/// Takes the items of an index one after the other.
class Planner {
 public:
  Planner(const Tensor& x, const std::vector<IndexItem>& items) : x_(x) {
    const int rest = left_over(x, items);
    for (const IndexItem& item : items) add(item, rest);
    while (axis_ < x.rank()) keep_axis();
    // NumPy's rule: picked axes stand where the picking items stand together, else in front.
    plan_.place = plan_.picks && apart_ ? 0 : first_.value_or(0);
  }
  IndexParts finish() { return std::move(plan_); }

 private:
  void add(const IndexItem& item, int rest) {
    if (holds<NewAxis>(item)) {
      plan_.shown.push_back(-1);
      gap_ = true;
    } else if (holds<Ellipsis>(item)) {
      for (int i = 0; i < rest; ++i) keep_axis();
      gap_ = true;
    } else if (const auto* at = std::get_if<int64_t>(&item.value)) {
      pick();
      plan_.ranges.push_back({axis_, checked_index(*at, axis_, x_), 1, 1});
      ++axis_;
    } else if (const auto* slice = std::get_if<Slice>(&item.value)) {
      cut(*slice);
    } else {
      add_tensor(std::get<Tensor>(item.value));
    }
  }

  /// An item that picks: an integer counts as one beside index tensors.
  void pick() {
    if (!first_) {
      first_ = plan_.shown.size();
    } else {
      apart_ |= gap_;
    }
    gap_ = false;
  }

  void keep_axis() {
    plan_.shown.push_back(axis_);
    whole_axis();
    gap_ = true;
  }
  void whole_axis() {
    plan_.ranges.push_back({axis_, 0, 1, x_.shape()[axis_]});
    ++axis_;
  }

  void cut(const Slice& slice) {
    const int64_t step = slice.step.value_or(1);
    if (step == 0) violate(ErrorKind::value, "the step must not be 0");
    plan_.ranges.push_back(detail::sliced_range(x_.shape(), axis_, slice.start, slice.stop, step));
    plan_.shown.push_back(axis_++);
    gap_ = true;
  }

  void add_tensor(const Tensor& tensor) {
    if (!tensor.defined()) violate(ErrorKind::value, "the index tensor is undefined");
    pick();
    plan_.picks = true;
    if (!is_bool(tensor.dtype())) {
      plan_.indices.push_back(checked_index_tensor(tensor));
      plan_.axes.push_back(axis_);
      whole_axis();
      return;
    }
    check_mask(tensor, axis_, x_);
    plan_.masks.push_back(tensor);
    plan_.mask_axes.push_back(axis_);
    for (int i = 0; i < tensor.rank(); ++i) whole_axis();
  }

  const Tensor& x_;
  IndexParts plan_;
  int axis_ = 0;
  std::optional<size_t> first_;
  bool gap_ = false;    // something else stood behind the last item that picks
  bool apart_ = false;  // picking items have others between them
};

IndexParts make_plan(const Tensor& x, const std::vector<IndexItem>& items) {
  const TensorImpl& impl = x.checked();
  if (!impl.storage && impl.value_id < 0) violate(ErrorKind::unsupported, unknown_picks);
  return Planner(x, items).finish();
}

bool is_whole(const detail::Range& range, const Tensor& x) {
  return range.start == 0 && range.step == 1 && range.count == x.shape()[range.axis];
}

/// Whether slices and integers leave all of x.
bool is_whole(const IndexParts& plan, const Tensor& x) {
  for (const detail::Range& range : plan.ranges) {
    if (!is_whole(range, x)) return false;
  }
  return true;
}

/// The part of x that slices and integers leave, with all axes.
Tensor part_of(const Tensor& x, const IndexParts& plan) {
  Tensor part = x;
  for (const auto& [axis, start, step, count] : plan.ranges) {
    if (is_whole({axis, start, step, count}, x)) continue;
    if (count == 0) {
      part = slice(part, axis, 0, 0);
      continue;
    }
    const int64_t stop = start + step * count;
    part = slice(part, axis, start, stop < 0 ? std::nullopt : std::optional(stop), step);
  }
  return part;
}

/// The broadcast shape of the index tensors.
Shape picked_shape(const IndexParts& plan) {
  Shape common;
  try {
    for (const Tensor& index : plan.indices) common = broadcast_shapes(common, index.shape());
  } catch (const Violation& violation) {
    violate(violation.kind, "index tensors and masks beside each other: " + violation.rule);
  }
  return common;
}

/// Turns the masks into index tensors. A 0-d mask picks along no axis: it says whether there is
/// anything, which another index tensor takes over, or a new first axis of x.
void resolve_masks(IndexParts& plan, Tensor& x) {
  std::vector<Tensor> without_axis;
  for (size_t i = 0; i < plan.masks.size(); ++i) {
    const std::vector<Tensor> places = places_of(plan.masks[i]);
    if (plan.masks[i].rank() == 0) {
      without_axis.push_back(places[0]);
      continue;
    }
    for (size_t k = 0; k < places.size(); ++k) {
      plan.indices.push_back(places[k]);
      plan.axes.push_back(plan.mask_axes[i] + static_cast<int>(k));
    }
  }
  plan.masks.clear();
  if (without_axis.empty()) return;
  if (plan.indices.empty()) {
    x = expand_dims(x, 0);
    for (detail::Range& range : plan.ranges) ++range.axis;
    plan.ranges.insert(plan.ranges.begin(), {0, 0, 1, 1});
    for (int& axis : plan.shown) axis += axis >= 0 ? 1 : 0;
    plan.axes.push_back(0);
    plan.indices.push_back(without_axis[0]);
  }
  IndexParts all = plan;
  all.indices.insert(all.indices.end(), without_axis.begin(), without_axis.end());
  plan.indices[0] = broadcast_to(plan.indices[0], picked_shape(all));
}

/// How many axes of x that stay stand in front of the picked ones.
int64_t axes_in_front(const IndexParts& plan) {
  int last = -1;
  for (size_t i = 0; i < plan.place; ++i) last = std::max(last, plan.shown[i]);
  int64_t front = 0;
  for (int axis = 0; axis <= last; ++axis) {
    const bool is_picked = std::find(plan.axes.begin(), plan.axes.end(), axis) != plan.axes.end();
    front += is_picked ? 0 : 1;
  }
  return front;
}

/// The shape that the user sees: the axes shown, with the picked ones at their place.
Shape shown_shape(const IndexParts& plan, const Shape& picked) {
  Shape shape;
  for (size_t i = 0; i <= plan.shown.size(); ++i) {
    if (plan.picks && i == plan.place) {
      for (int64_t size : picked) shape.push_back(size);
    }
    if (i == plan.shown.size()) break;
    const int axis = plan.shown[i];
    shape.push_back(axis < 0 ? 1 : plan.ranges[static_cast<size_t>(axis)].count);
  }
  return shape;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  bool fits = from.rank() <= to.rank();
  for (int i = 1; fits && i <= from.rank(); ++i) {
    const int64_t size = from[from.rank() - i];
    fits = size == 1 || size == to[to.rank() - i];
  }
  return fits;
}

[[noreturn]] void refuse_values(const Shape& wanted) {
  violate(ErrorKind::shape, "values do not broadcast to the selection " + to_string(wanted));
}

/// `values` in x's dtype, without leading axes of one beyond `rank`.
Tensor fitted(const Tensor& values, const Tensor& x, int rank) {
  const Tensor fit = astype(values, x.dtype());
  Shape own = fit.shape();
  while (own.rank() > rank && own[0] == 1) own.erase(0);
  return own == fit.shape() ? fit : reshape(fit, own);
}

detail::PlaceAttrs place_attrs(const IndexParts& plan) {
  detail::PlaceAttrs attrs;
  for (const detail::Range& range : plan.ranges) {
    attrs.start.push_back(range.start);
    attrs.step.push_back(range.step);
    attrs.count.push_back(range.count);
  }
  return attrs;
}

/// What stands for the selection of an unknown mask until it is assigned to: nothing can be made of
/// it.
Tensor unknown_selection(const Tensor& x) {
  Tensor unknown{Ptr<TensorImpl>(new_impl())};
  unknown.impl()->spec = {x.dtype(), x.device(), {-1}};
  unknown.impl()->strides = {1};
  return unknown;
}

bool has_unknown_mask(const std::vector<IndexItem>& items) {
  if (interpreter == nullptr) return false;
  return std::ranges::any_of(items, [](const IndexItem& item) {
    const auto* tensor = std::get_if<Tensor>(&item.value);
    return tensor != nullptr && tensor->defined() && is_bool(tensor->dtype()) && !is_known(*tensor);
  });
}

Tensor read(const Tensor& x, const std::vector<IndexItem>& items) {
  IndexParts plan = make_plan(x, items);
  Tensor base = x;
  resolve_masks(plan, base);
  Tensor result = part_of(base, plan);
  const Shape picked = picked_shape(plan);
  if (plan.picks) {
    result = detail::index_places(result, plan.indices, plan.axes, axes_in_front(plan));
  }
  const Shape shown = shown_shape(plan, picked);
  return shown == result.shape() ? result : reshape(result, shown);
}

}  // namespace

Tensor index(const Tensor& x, const std::vector<IndexItem>& items) {
  return composed_of_x(detail::name_of_index(), x, [&] { return read(x, items); });
}

namespace {

/// The one mask that 0-d masks make together, or the only mask; undefined if there are others.
Tensor only_mask(const IndexParts& plan) {
  if (!plan.indices.empty() || plan.masks.empty()) return {};
  Tensor mask = plan.masks[0];
  for (size_t i = 1; i < plan.masks.size(); ++i) {
    if (mask.rank() > 0 || plan.masks[i].rank() > 0) return {};
    mask = logical_and(mask, plan.masks[i]);
  }
  return mask;
}

/// Values that are the same for all places of a mask, without the axis of the places; undefined if
/// there is one value for each place.
Tensor without_places(const Tensor& values, const IndexParts& plan) {
  Shape shape = values.shape();
  const int at = shape.rank() - static_cast<int>(plan.shown.size() - plan.place) - 1;
  if (at >= 0 && shape[at] != 1) return {};
  if (at >= 0) shape.erase(at);
  IndexParts shown = plan;
  shown.picks = false;
  const Shape wanted = shown_shape(shown, {});
  if (!broadcasts_to(shape, wanted)) refuse_values(wanted);
  return shape == values.shape() ? values : reshape(values, shape);
}

/// x with the elements of a part where a mask is true replaced by values that do not depend on how
/// many those are.
Tensor update_where(const Arg& x, const IndexParts& plan, const Tensor& mask,
                    const Tensor& values) {
  const Tensor& tensor = *x.tensor;
  const auto rank = static_cast<size_t>(tensor.rank());
  std::vector<int64_t> mask_sizes(rank, 1);
  for (int i = 0; i < mask.rank(); ++i) {
    mask_sizes[static_cast<size_t>(plan.mask_axes[0]) + static_cast<size_t>(i)] = mask.shape()[i];
  }
  std::vector<int64_t> value_sizes(rank, 1);
  const size_t missing = plan.shown.size() - static_cast<size_t>(values.rank());
  for (int i = 0; i < values.rank(); ++i) {
    const int axis = plan.shown[missing + static_cast<size_t>(i)];
    if (axis >= 0) value_sizes[static_cast<size_t>(axis)] = values.shape()[i];
  }
  const Tensor chosen = reshape(mask, Shape(mask_sizes));
  const Tensor given = values.rank() == 0 ? values : reshape(values, Shape(value_sizes));
  if (is_whole(plan, tensor)) return detail::update_masked(x, chosen, given);
  const Tensor part = detail::update_masked(part_of(tensor, plan), chosen, given);
  return detail::update_places(x, part, {}, place_attrs(plan));
}

/// The values of a selection of the shape `shown` in the shape in which the op takes them.
Tensor arranged(const Tensor& values, const Shape& shown, const Shape& picked,
                const IndexParts& plan) {
  if (values.rank() == 0) return values;
  const Shape& axes = plan.axes;
  Shape wanted;
  for (const detail::Range& range : plan.ranges) {
    if (std::find(axes.begin(), axes.end(), range.axis) == axes.end()) {
      wanted.push_back(range.count);
    }
  }
  const auto front = static_cast<int>(axes_in_front(plan));
  for (int i = 0; i < picked.rank(); ++i) wanted.insert(front + i, picked[i]);
  if (wanted == shown) return values;
  return reshape(values.shape() == shown ? values : broadcast_to(values, shown), wanted);
}

Tensor write(const Arg& x, const std::vector<IndexItem>& items, const Operand& values) {
  const Tensor& tensor = *x.tensor;
  if (!tensor.defined()) violate(ErrorKind::value, "x is undefined");
  IndexParts plan = make_plan(tensor, items);
  if (values.scalar() && !fits(*values.scalar(), tensor.dtype())) {
    violate(ErrorKind::value, misfit(*values.scalar(), tensor.dtype()));
  }
  const Tensor given =
      values.tensor() != nullptr ? *values.tensor() : full({}, *values.scalar(), tensor.dtype());
  if (!given.defined()) violate(ErrorKind::value, "the values are undefined");
  const Tensor mask = only_mask(plan);
  if (mask.defined()) {
    const Tensor fit = fitted(given, tensor, static_cast<int>(plan.shown.size()) + 1);
    const Tensor same = without_places(fit, plan);
    if (same.defined()) return update_where(x, plan, mask, same);
  }
  Tensor base = tensor;
  resolve_masks(plan, base);
  const Shape picked = picked_shape(plan);
  const Shape shown = shown_shape(plan, picked);
  const Tensor fit = fitted(given, tensor, shown.rank());
  if (!broadcasts_to(fit.shape(), shown)) refuse_values(shown);
  detail::PlaceAttrs attrs = place_attrs(plan);
  attrs.axes = plan.axes;
  attrs.at = axes_in_front(plan);
  const Tensor put = arranged(fit, shown, picked, plan);
  if (base.rank() == tensor.rank()) {
    base = Tensor();  // a donated x must have no other handle
    return detail::update_places(x, put, plan.indices, attrs);
  }
  return squeeze(detail::update_places(base, put, plan.indices, attrs), 0);
}

}  // namespace

Tensor index_update(const Arg& x, const std::vector<IndexItem>& items, const Operand& values) {
  const auto operands = [&] {
    return NamedOperands{{"x", *x.tensor},
                         {"values", values.tensor() != nullptr ? *values.tensor() : Tensor()}};
  };
  return composed(detail::name_of_index_update(), operands,
                  [&] { return write(x, items, values); });
}

Selection::Selection(Tensor& base, Selection* outer, std::vector<IndexItem> items)
    : Tensor(has_unknown_mask(items) ? unknown_selection(base) : index(base, items)),
      base_(&base),
      outer_(outer),
      items_(std::move(items)) {}

void Selection::assign(const Operand& values) {
  Tensor::operator=(Tensor());  // it shares base's buffer, which can then be reused
  if (interpreter != nullptr && outer_ == nullptr && base_->defined()) {
    interpreter->check_update(*base_);
  }
  if (outer_ == nullptr) {
    Ptr<TapeRecord> leaf = kept_leaf(*base_);
    *base_ = index_update(donate(*base_), items_, values);
    if (leaf) *base_ = as_leaf(*base_, std::move(leaf));
  } else {
    outer_->assign(index_update(*base_, items_, values));
  }
}

void Selection::update(const Tensor& values) {
  if (is_float(values.dtype()) && !is_float(base_->dtype())) {
    const Violation violation{ErrorKind::dtype,
                              "the result is " + std::string(dtype_name(values.dtype())) +
                                  " and x is not; assign what astype makes of it"};
    report(detail::name_of_index_update(), violation, {{"x", *base_}, {"values", values}});
  }
  assign(values);
}

void Selection::operator=(const Operand& values) && { assign(values); }
void Selection::operator=(const Selection& values) && {
  assign(static_cast<const Tensor&>(values));
}
void Selection::operator+=(const Operand& values) && { update(add(*this, values)); }
void Selection::operator-=(const Operand& values) && { update(subtract(*this, values)); }
void Selection::operator*=(const Operand& values) && { update(multiply(*this, values)); }
void Selection::operator/=(const Operand& values) && { update(divide(*this, values)); }
void Selection::operator%=(const Operand& values) && { update(remainder(*this, values)); }
void Selection::operator&=(const Operand& values) && { update(bitwise_and(*this, values)); }
void Selection::operator|=(const Operand& values) && { update(bitwise_or(*this, values)); }
void Selection::operator^=(const Operand& values) && { update(bitwise_xor(*this, values)); }

Selection Selection::operator[](IndexItem item) && { return {*this, this, {std::move(item)}}; }
Selection Selection::operator[](std::initializer_list<IndexItem> items) && {
  return {*this, this, items};
}
Selection Selection::operator[](IndexItem item) & { return {*this, nullptr, {std::move(item)}}; }
Selection Selection::operator[](std::initializer_list<IndexItem> items) & {
  return {*this, nullptr, items};
}
Tensor Selection::operator[](IndexItem item) const& { return index(*this, {std::move(item)}); }
Tensor Selection::operator[](std::initializer_list<IndexItem> items) const& {
  return index(*this, items);
}

Selection Tensor::operator[](IndexItem item) { return {*this, nullptr, {std::move(item)}}; }
Selection Tensor::operator[](std::initializer_list<IndexItem> items) {
  return {*this, nullptr, items};
}
Tensor Tensor::operator[](IndexItem item) const { return index(*this, {std::move(item)}); }
Tensor Tensor::operator[](std::initializer_list<IndexItem> items) const {
  return index(*this, items);
}

}  // namespace taper

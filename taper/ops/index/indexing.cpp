#include <taper/ops/index/indexing.h>

#include <string>
#include <utility>

#include <taper/ops/index/indices.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

/// A slice of one axis of x.
struct Cut {
  int axis;
  Slice slice;
};

/// An index taken apart: cuts keep every axis; then axes are dropped and made by a reshape; then
/// the one tensor of indices, if any, picks along its axis, or the one mask along its axes.
struct Plan {
  std::vector<Cut> cuts;
  /// For each axis after the reshape the axis of x that it shows, or -1 for a new one.
  std::vector<int> axes;
  Tensor indices;
  Tensor mask;
  int place = 0;
};

/// Throws the user's error with x beside it.
[[noreturn]] void fail_index(ErrorKind kind, const std::string& text, const Tensor& x) {
  fail(kind, text + " (x " + to_string(x.spec()) + ")");
}

/// Tensors that pick along an axis; others are refused.
Tensor checked_index_tensor(const Tensor& indices, const Tensor& x) {
  if (!indices.defined()) fail_index(ErrorKind::value, "the index tensor is undefined", x);
  if (is_float(indices.dtype())) {
    fail_index(ErrorKind::dtype,
               "an index tensor must hold integers, got " + to_string(indices.spec()), x);
  }
  return indices.dtype() == DType::i32 ? indices : astype(indices, DType::i64);
}

int64_t checked_index(int64_t index, int axis, const Tensor& x) {
  const int64_t size = x.shape()[axis];
  if (index < -size || index >= size) {
    fail_index(ErrorKind::index,
               "index " + std::to_string(index) + " is out of range for axis " +
                   std::to_string(axis) + " of size " + std::to_string(size),
               x);
  }
  return index < 0 ? index + size : index;
}

/// A mask shows whether each element of its axes, from `axis` on, is picked.
void check_mask(const Tensor& mask, int axis, const Tensor& x) {
  bool fits = mask.rank() > 0;
  for (int i = 0; fits && i < mask.rank(); ++i) fits = mask.shape()[i] == x.shape()[axis + i];
  if (fits) return;
  fail_index(ErrorKind::index,
             "the mask " + to_string(mask.spec()) + " must have the sizes of the axes from " +
                 std::to_string(axis) + " on",
             x);
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

/// The places of a mask's true elements in row-major order.
Tensor places_of(const Tensor& mask) {
  const std::vector<uint8_t> chosen = mask.to_vector<uint8_t>();
  std::vector<int64_t> places;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i] != 0) places.push_back(static_cast<int64_t>(i));
  }
  return from_values({static_cast<int64_t>(places.size())}, places);
}

bool is_everything(const Slice& slice) {
  return !slice.start && !slice.stop && slice.step.value_or(1) == 1;
}

/// How many axes the ellipsis stands for (0 if there is none: the rest follows at the end).
int left_over(const Tensor& x, const std::vector<IndexItem>& items) {
  int used = 0;
  int ellipses = 0;
  int tensors = 0;
  for (const IndexItem& item : items) {
    ellipses += holds<Ellipsis>(item) ? 1 : 0;
    tensors += holds<Tensor>(item) ? 1 : 0;
    used += axes_of(item);
  }
  if (ellipses > 1) fail_index(ErrorKind::index, "an index has at most one ellipsis", x);
  if (tensors > 1) {
    fail_index(ErrorKind::unsupported,
               "an index has at most one tensor; use take or "
               "take_along_axis",
               x);
  }
  if (used > x.rank()) {
    fail_index(
        ErrorKind::index,
        "too many indices: " + std::to_string(used) + " for " + std::to_string(x.rank()) + " axes",
        x);
  }
  return x.rank() - used;
}

/// Lets a tensor pick along its axis, or axes; moves `axis` behind them.
void add_tensor(Plan& plan, const Tensor& tensor, int& axis, const Tensor& x) {
  plan.place = static_cast<int>(plan.axes.size());
  if (!tensor.defined() || !is_bool(tensor.dtype())) {
    plan.indices = checked_index_tensor(tensor, x);
    plan.axes.push_back(axis++);
    return;
  }
  check_mask(tensor, axis, x);
  plan.mask = tensor;
  for (int i = 0; i < tensor.rank(); ++i) plan.axes.push_back(axis++);
}

Plan make_plan(const Tensor& x, const std::vector<IndexItem>& items) {
  if (!x.defined()) fail(ErrorKind::value, "an undefined tensor has no elements to index");
  const int rest = left_over(x, items);
  Plan plan;
  int axis = 0;
  for (const IndexItem& item : items) {
    if (holds<NewAxis>(item)) {
      plan.axes.push_back(-1);
    } else if (holds<Ellipsis>(item)) {
      for (int i = 0; i < rest; ++i) plan.axes.push_back(axis++);
    } else if (const auto* at = std::get_if<int64_t>(&item.value)) {
      const int64_t index = checked_index(*at, axis, x);
      plan.cuts.push_back({axis++, Slice(index, index + 1)});
    } else if (const auto* slice = std::get_if<Slice>(&item.value)) {
      if (!is_everything(*slice)) plan.cuts.push_back({axis, *slice});
      plan.axes.push_back(axis++);
    } else {
      add_tensor(plan, std::get<Tensor>(item.value), axis, x);
    }
  }
  while (axis < x.rank()) plan.axes.push_back(axis++);
  return plan;
}

Tensor cut_one(const Tensor& x, const Cut& cut) {
  return slice(x, cut.axis, cut.slice.start, cut.slice.stop, cut.slice.step.value_or(1));
}

/// The shape that the plan's axes make of a tensor after the cuts.
Shape shown_shape(const Plan& plan, const Shape& cut) {
  Shape shape;
  for (int axis : plan.axes) shape.push_back(axis < 0 ? 1 : cut[axis]);
  return shape;
}

/// The same with the mask's axes as one.
Shape masked_shape(const Plan& plan, const Shape& shown) {
  Shape shape = shown;
  shape[plan.place] = plan.mask.numel();
  for (int i = 1; i < plan.mask.rank(); ++i) shape.erase(plan.place + 1);
  return shape;
}

/// Replaces what cuts[first...] select together.
Tensor update_cuts(const Arg& x, const Tensor& values, const std::vector<Cut>& cuts, size_t first) {
  const Cut& cut = cuts[first];
  const bool last = first + 1 == cuts.size();
  const Tensor part = last ? values : update_cuts(cut_one(*x.tensor, cut), values, cuts, first + 1);
  return detail::slice_update(x, part, cut.axis, cut.slice.start, cut.slice.stop,
                              cut.slice.step.value_or(1));
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  bool fits = from.rank() <= to.rank();
  for (int i = 1; fits && i <= from.rank(); ++i) {
    const int64_t size = from[from.rank() - i];
    fits = size == 1 || size == to[to.rank() - i];
  }
  return fits;
}

/// `values` broadcast to what the index selects, in the shape of the cuts.
Tensor fitted(const Tensor& x, const Tensor& values, const Plan& plan, const Shape& cut) {
  Tensor fit = astype(values, x.dtype());
  const Shape shown = shown_shape(plan, cut);
  Shape own = fit.shape();
  while (own.rank() > shown.rank() && own[0] == 1) own.erase(0);
  if (!broadcasts_to(own, shown)) {
    fail_index(ErrorKind::shape,
               "values " + to_string(values.spec()) + " do not broadcast to the selection " +
                   to_string(shown),
               x);
  }
  if (own != fit.shape()) fit = reshape(fit, own);
  if (shown == cut) return fit;
  if (own != shown) fit = broadcast_to(fit, shown);
  return reshape(fit, cut);
}

}  // namespace

Tensor index(const Tensor& x, const std::vector<IndexItem>& items) {
  const Plan plan = make_plan(x, items);
  Tensor result = x;
  for (const Cut& cut : plan.cuts) result = cut_one(result, cut);
  const Shape shown = shown_shape(plan, result.shape());
  if (plan.mask.defined()) {
    return take(reshape(result, masked_shape(plan, shown)), places_of(plan.mask), plan.place);
  }
  if (shown != result.shape()) result = reshape(result, shown);
  return plan.indices.defined() ? take(result, plan.indices, plan.place) : result;
}

namespace {

/// x with the elements that the mask picks replaced.
Tensor update_masked(const Tensor& x, const Plan& plan, const Tensor& values) {
  if (!plan.cuts.empty() || static_cast<int>(plan.axes.size()) != x.rank()) {
    fail_index(ErrorKind::unsupported,
               "assigning through a mask takes no other items that cut; choose with `where`", x);
  }
  const int first_behind = plan.place + plan.mask.rank();
  Shape aligned = plan.mask.shape();
  Shape behind;
  for (int axis = first_behind; axis < x.rank(); ++axis) {
    aligned.push_back(1);
    behind.push_back(x.shape()[axis]);
  }
  Tensor spread = astype(values, x.dtype());
  if (!broadcasts_to(values.shape(), behind)) {  // one value for each place
    const Tensor places = places_of(plan.mask);
    const Shape merged = masked_shape(plan, x.shape());
    Shape picked = merged;
    picked[plan.place] = places.numel();
    if (!broadcasts_to(values.shape(), picked)) {
      fail_index(ErrorKind::shape,
                 "values " + to_string(values.spec()) + " do not broadcast to the selection " +
                     to_string(picked),
                 x);
    }
    spread = detail::put_add(broadcast_to(spread, picked), places, merged, plan.place);
    spread = reshape(spread, x.shape());
  }
  return where(reshape(plan.mask, aligned), spread, x);
}

}  // namespace

Tensor index_update(const Arg& x, const std::vector<IndexItem>& items, const Operand& values) {
  const Tensor& tensor = *x.tensor;
  const Plan plan = make_plan(tensor, items);
  if (plan.indices.defined()) {
    fail_index(ErrorKind::unsupported,
               "assigning to places that a tensor picks is not possible; choose with `where`",
               tensor);
  }
  const Tensor given =
      values.tensor() != nullptr ? *values.tensor() : full({}, *values.scalar(), tensor.dtype());
  if (!given.defined()) fail_index(ErrorKind::value, "the values are undefined", tensor);
  if (plan.mask.defined()) return update_masked(tensor, plan, given);
  Shape cut = tensor.shape();
  if (!plan.cuts.empty()) {
    Tensor part = tensor.detach();
    for (const Cut& each : plan.cuts) part = cut_one(part, each);
    cut = part.shape();
  }
  const Tensor fit = fitted(tensor, given, plan, cut);
  if (plan.cuts.empty()) return contiguous(broadcast_to(fit, tensor.shape()));
  return update_cuts(x, fit, plan.cuts, 0);
}

Selection::Selection(Tensor& base, Selection* outer, std::vector<IndexItem> items)
    : Tensor(index(base, items)), base_(&base), outer_(outer), items_(std::move(items)) {}

void Selection::assign(const Operand& values) {
  Tensor::operator=(Tensor());  // it shares base's buffer, which can then be reused
  if (outer_ == nullptr) {
    Ptr<TapeRecord> leaf = kept_leaf(*base_);
    *base_ = index_update(donate(*base_), items_, values);
    if (leaf) *base_ = as_leaf(*base_, std::move(leaf));
  } else {
    outer_->assign(index_update(*base_, items_, values));
  }
}

Selection& Selection::operator=(const Operand& values) && {
  assign(values);
  return *this;
}
Selection& Selection::operator=(const Selection& values) && {
  assign(static_cast<const Tensor&>(values));
  return *this;
}
Selection& Selection::operator+=(const Operand& values) && {
  assign(add(*this, values));
  return *this;
}
Selection& Selection::operator-=(const Operand& values) && {
  assign(subtract(*this, values));
  return *this;
}
Selection& Selection::operator*=(const Operand& values) && {
  assign(multiply(*this, values));
  return *this;
}
Selection& Selection::operator/=(const Operand& values) && {
  assign(divide(*this, values));
  return *this;
}

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

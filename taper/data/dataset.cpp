#include <taper/data/dataset.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include <taper/core/value.h>
#include <taper/data/batch_check.h>
#include <taper/data/draws.h>
#include <taper/data/epoch_scope.h>
#include <taper/io/sha256.h>

namespace taper::data {
namespace {

std::string printed(std::span<const Spec> specs) {
  std::string text;
  for (const Spec& spec : specs) text += (text.empty() ? "" : ", ") + to_string(spec);
  return "{" + text + "}";
}

Spec batch_spec(Spec example, size_t rows) {
  example.shape.insert(0, static_cast<int64_t>(rows));
  return example;
}

void check_index(int64_t index, int64_t size, const char* who) {
  if (index >= 0 && index < size) return;
  fail(ErrorKind::index, std::string(who) + ": there is no example " + std::to_string(index) +
                             ", the dataset has " + std::to_string(size));
}

/// Copies the elements of `from` in row-major order.
void copy_elements(const Tensor& from, std::byte* to) {
  const size_t item = item_size(from.dtype());
  if (from.is_contiguous()) {
    const size_t bytes = static_cast<size_t>(from.numel()) * item;
    if (bytes > 0) std::memcpy(to, from.raw(), bytes);
    return;
  }
  const std::byte* base = from.raw();
  for_each_offset(from.shape(), from.strides(), [&](int64_t offset) {
    std::memcpy(to, base + offset * static_cast<int64_t>(item), item);
    to += item;
  });
}

size_t bytes_of(const Spec& spec) { return checked_bytes(spec.shape, spec.dtype); }

/// Throws unless `example` has the fields of `specs`.
void check_example(int64_t index, std::span<const Tensor> example, std::span<const Spec> specs) {
  const std::string who = "dataset: example " + std::to_string(index);
  if (example.size() != specs.size()) {
    fail(ErrorKind::value, who + " has " + std::to_string(example.size()) +
                               " fields, the others have " + std::to_string(specs.size()) + " " +
                               printed(specs));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (example[i].defined() && example[i].spec() == specs[i]) continue;
    const bool same_dtype = example[i].defined() && example[i].dtype() == specs[i].dtype;
    fail(same_dtype ? ErrorKind::shape : ErrorKind::dtype,
         who + ": field " + std::to_string(i) + " is " +
             (example[i].defined() ? to_string(example[i].spec()) : "undefined") +
             ", that of the others is " + to_string(specs[i]));
  }
}

Tensor row_major(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor.requires_grad() ? shallow_copy(tensor) : tensor;
  Tensor copy = empty(tensor.spec());
  copy_elements(tensor, copy.raw());
  return copy;
}

template <class T>
void copy_scaled(const Tensor& from, std::span<const int64_t> rows, float scale, Tensor& to) {
  const int64_t row_size = to.shape().numel() / std::max<int64_t>(1, to.shape()[0]);
  const T* values = from.data<T>();
  float* out = reinterpret_cast<float*>(to.raw());
  for (int64_t row : rows) {
    const T* example = values + row * row_size;
    for (int64_t i = 0; i < row_size; ++i) out[i] = static_cast<float>(example[i]) * scale;
    out += row_size;
  }
}

void copy_plain(const Tensor& from, std::span<const int64_t> rows, const Spec& spec, Tensor& to) {
  const size_t bytes = bytes_of(spec);
  if (bytes == 0) return;
  const std::byte* values = from.raw();
  std::byte* out = to.raw();
  for (int64_t row : rows) {
    std::memcpy(out, values + static_cast<size_t>(row) * bytes, bytes);
    out += bytes;
  }
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Dataset

void check_batch(std::span<const Spec> specs, size_t rows, std::span<const Tensor> batch) {
  if (batch.size() != specs.size()) {
    fail(ErrorKind::value, "fill: the batch has " + std::to_string(batch.size()) +
                               " tensors, the examples have " + std::to_string(specs.size()) +
                               " fields");
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const Spec wanted = batch_spec(specs[i], rows);
    const Tensor& given = batch[i];
    const std::string who = "fill: tensor " + std::to_string(i) + " of the batch";
    if (!given.defined() || given.spec() != wanted || !given.is_contiguous()) {
      fail(ErrorKind::shape, who + " must be a row-major " + to_string(wanted) + ", got " +
                                 (given.defined() ? to_string(given.spec()) : "undefined"));
    }
    const Storage& storage = *given.impl()->storage;
    if (storage.foreign || !given.impl()->storage.sole_owner()) {
      fail(ErrorKind::value, who + " shares its buffer with another tensor");
    }
  }
}

std::vector<Spec> Dataset::specs() const {
  if (size() == 0) {
    fail(ErrorKind::value, "dataset: without examples the fields are not known; override specs()");
  }
  std::vector<Spec> specs;
  const GeneratorScope draws(default_generator(), 0, 0, 0);  // to ask moves no generator on
  for (const Tensor& field : get(0)) {
    if (!field.defined()) {
      fail(ErrorKind::value,
           "dataset: field " + std::to_string(specs.size()) + " of example 0 is undefined");
    }
    specs.push_back(field.spec());
  }
  return specs;
}

namespace {

void add_values(Sha256& sum, const Tensor& values) {
  sum.add(to_string(values.spec()));
  const Tensor dense = row_major(values);
  sum.add({reinterpret_cast<const char*>(dense.raw()), bytes_of(dense.spec())});
}

}  // namespace

std::string Dataset::digest() const {
  constexpr int64_t most_looked_at = 256;
  Sha256 sum;
  sum.add(std::to_string(size()) + "\n");
  for (const std::string& name : class_names()) sum.add(name + "\n");
  const int64_t count = std::min(size(), most_looked_at);
  for (int64_t i = 0; i < count; ++i) {
    // In steps that are not whole, so that no pattern of the examples meets them all.
    const int64_t index = count == size() ? i : i * (size() - 1) / (count - 1);
    const GeneratorScope draws(default_generator(), 0, 0, static_cast<uint64_t>(index));
    for (const Tensor& field : get(index)) {
      if (field.defined()) add_values(sum, field);
    }
  }
  return sum.finish();
}

void Dataset::fill(std::span<const int64_t> indices, std::span<Tensor> batch) const {
  std::vector<Spec> specs;
  for (const Tensor& tensor : batch) {
    if (!tensor.defined() || tensor.rank() == 0) {
      fail(ErrorKind::shape, "fill: a tensor of the batch is undefined or has no axes");
    }
    specs.push_back(tensor.spec());
    specs.back().shape.erase(0);
  }
  check_batch(specs, indices.size(), batch);
  std::optional<GeneratorScope> draws;
  for (size_t row = 0; row < indices.size(); ++row) {
    EpochScope::draw_for_example(draws, indices[row]);
    const std::vector<Tensor> example = get(indices[row]);
    check_example(indices[row], example, specs);
    for (size_t i = 0; i < specs.size(); ++i) {
      copy_elements(example[i], batch[i].raw() + row * bytes_of(specs[i]));
    }
  }
}

AnyDataset::AnyDataset(std::shared_ptr<const Dataset> dataset) : dataset_(std::move(dataset)) {
  if (!dataset_) fail(ErrorKind::value, "dataset: the pointer is null");
}

std::vector<Tensor> read_batch(const Dataset& dataset, std::span<const Spec> specs,
                               std::span<const int64_t> indices) {
  std::vector<Tensor> batch;
  batch.reserve(specs.size());
  for (const Spec& spec : specs) batch.push_back(empty(batch_spec(spec, indices.size())));
  dataset.fill(indices, batch);
  return batch;
}

std::vector<Tensor> read_batch(const Dataset& dataset, std::span<const int64_t> indices) {
  return read_batch(dataset, dataset.specs(), indices);
}

std::vector<int64_t> permutation(int64_t count, uint64_t seed, int64_t stream) {
  if (count < 0) {
    fail(ErrorKind::value,
         "permutation: the count must be at least 0, got " + std::to_string(count));
  }
  // The top bit keeps these streams apart from those that random ops use with the same seed.
  Draws random(seed, static_cast<uint64_t>(stream) ^ uint64_t{1} << 63);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

// ---------------------------------------------------------------------------------------------
// TensorDataset

template AnyDataset::AnyDataset(TensorDataset&);
template AnyDataset::AnyDataset(TensorDataset&&);

TensorDataset::TensorDataset(std::vector<Field> fields, TensorDatasetOptions options)
    : fields_(std::move(fields)), options_(std::move(options)) {
  const auto refuse = [](ErrorKind kind, size_t field, const std::string& what) {
    fail(kind, "TensorDataset: field " + std::to_string(field) + what);
  };
  if (fields_.empty()) fail(ErrorKind::value, "TensorDataset: needs at least one field");
  for (size_t i = 0; i < fields_.size(); ++i) {
    Tensor& values = fields_[i].values;
    if (!values.defined()) refuse(ErrorKind::value, i, " is undefined");
    values.check_data();
    Spec spec = values.spec();
    if (spec.shape.rank() == 0) refuse(ErrorKind::shape, i, " has no axis of examples");
    if (i == 0) size_ = spec.shape[0];
    if (spec.shape[0] != size_) {
      refuse(ErrorKind::shape, i,
             " has " + std::to_string(spec.shape[0]) + " examples along its first axis (" +
                 to_string(spec) + "), field 0 has " + std::to_string(size_) + " (" +
                 to_string(fields_[0].values.spec()) + ")");
    }
    spec.shape.erase(0);
    if (fields_[i].options.scale) {
      if (!is_integer(spec.dtype) && spec.dtype != DType::f32) {
        refuse(ErrorKind::dtype, i,
               " is " + std::string(dtype_name(spec.dtype)) + ", only integers and f32 are scaled");
      }
      spec.dtype = DType::f32;
    }
    values = row_major(values);
    specs_.push_back(spec);
  }
}

std::vector<Tensor> TensorDataset::get(int64_t index) const {
  std::vector<Tensor> example = read_batch(*this, specs_, {&index, 1});
  for (size_t i = 0; i < example.size(); ++i) {
    example[i] = view_of(example[i], specs_[i], row_major_strides(specs_[i].shape), 0);
  }
  return example;
}

std::optional<StoredField> TensorDataset::stored(size_t field) const {
  StoredField found{.values = fields_[field].values,
                    .rows = std::vector<int64_t>(static_cast<size_t>(size_)),
                    .scale = fields_[field].options.scale.value_or(1)};
  std::iota(found.rows.begin(), found.rows.end(), int64_t{0});
  return found;
}

std::string TensorDataset::digest() const {
  Sha256 sum;
  for (const std::string& name : options_.class_names) sum.add(name + "\n");
  for (const auto& [values, options] : fields_) {
    if (options.scale) sum.add("scaled by " + print_real(*options.scale));
    add_values(sum, values);
  }
  return sum.finish();
}

void TensorDataset::fill(std::span<const int64_t> indices, std::span<Tensor> batch) const {
  check_batch(specs_, indices.size(), batch);
  for (int64_t index : indices) check_index(index, size_, "TensorDataset");
  for (size_t i = 0; i < fields_.size(); ++i) {
    const auto& [values, options] = fields_[i];
    if (!options.scale) {
      copy_plain(values, indices, specs_[i], batch[i]);
      continue;
    }
    visit_dtype(values.dtype(),
                [&]<class T>() { copy_scaled<T>(values, indices, *options.scale, batch[i]); });
  }
}

// ---------------------------------------------------------------------------------------------
// Subset

Subset::Subset(AnyDataset dataset, std::vector<int64_t> indices)
    : dataset_(std::move(dataset)), indices_(std::move(indices)) {
  const int64_t count = dataset_->size();
  for (int64_t index : indices_) check_index(index, count, "Subset");
}

std::optional<StoredField> Subset::stored(size_t field) const {
  std::optional<StoredField> found = dataset_->stored(field);
  if (!found) return {};
  std::vector<int64_t> rows;
  for (const int64_t index : indices_) rows.push_back(found->rows[static_cast<size_t>(index)]);
  found->rows = std::move(rows);
  return found;
}

std::string Subset::digest() const {
  Sha256 sum;
  sum.add(dataset_->digest());
  sum.add({reinterpret_cast<const char*>(indices_.data()), indices_.size() * sizeof indices_[0]});
  return sum.finish();
}

std::vector<Tensor> Subset::get(int64_t index) const {
  check_index(index, size(), "Subset");
  return dataset_->get(indices_[static_cast<size_t>(index)]);
}

void Subset::fill(std::span<const int64_t> indices, std::span<Tensor> batch) const {
  std::vector<int64_t> source;
  source.reserve(indices.size());
  for (int64_t index : indices) {
    check_index(index, size(), "Subset");
    source.push_back(indices_[static_cast<size_t>(index)]);
  }
  dataset_->fill(source, batch);
}

TrainValidation split(const AnyDataset& dataset, double fraction, SplitOptions options) {
  const int64_t count = dataset->size();
  const auto train = static_cast<int64_t>(
      fraction > 0 && fraction < 1 ? std::floor(static_cast<double>(count) * (1 - fraction)) : 0);
  if (train <= 0 || train >= count) {
    fail(ErrorKind::value, "split: a fraction of " + std::to_string(fraction) + " of " +
                               std::to_string(count) +
                               " examples leaves a part empty; it must be between 0 and 1");
  }
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  constexpr int64_t split_stream = -1;  // the loader's streams are epochs
  if (options.shuffle) order = permutation(count, options.seed, split_stream);
  const auto middle = order.begin() + train;
  return {Subset(dataset, {order.begin(), middle}), Subset(dataset, {middle, order.end()})};
}

}  // namespace taper::data

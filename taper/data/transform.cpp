#include <taper/data/transform.h>

#include <algorithm>

#include <taper/core/error.h>
#include <taper/data/batch_check.h>
#include <taper/data/epoch_scope.h>
#include <taper/io/sha256.h>
#include <taper/ops/random/generator.h>

namespace taper::data {
namespace {

/// A row-major image at this place.
View view_at(std::byte* data, const Spec& spec, const Strides& strides) {
  return {.data = data, .spec = &spec, .strides = &strides};
}

/// A key for draws outside of a loader: the next one of the default generator.
uint64_t key_from_default() {
  const std::vector<int64_t> key = default_generator().draw(1).to_vector<int64_t>();
  const auto words = philox(static_cast<uint64_t>(key[0]), static_cast<uint64_t>(key[1]), 0);
  return uint64_t{words[0]} << 32 | words[1];
}

/// The key of the examples' streams: of a loader's seed and epoch, where one asks.
uint64_t key_of_epoch(uint64_t depth) {
  const EpochScope* epoch = EpochScope::current();
  if (epoch == nullptr) return key_from_default();
  // The top bits keep it apart from what random ops, orders and other depths draw of that seed.
  const uint64_t apart = (uint64_t{1} << 62) + (depth << 48);
  const auto words = philox(epoch->seed(), static_cast<uint64_t>(epoch->epoch()), apart);
  return uint64_t{words[0]} << 32 | words[1];
}

/// How many transformed datasets there are from this one on.
uint64_t depth_of(const Dataset& dataset) {
  if (const auto* subset = dynamic_cast<const Subset*>(&dataset)) {
    return depth_of(*subset->dataset());
  }
  const auto* transformed = dynamic_cast<const Transformed*>(&dataset);
  return transformed == nullptr ? 0 : 1 + depth_of(*transformed->dataset());
}

/// The other fields of a batch belong to the batch within while it is filled.
class Lent {
 public:
  Lent(std::span<Tensor> batch, Tensor images) : batch_(batch) {
    fields_.push_back(std::move(images));
    for (Tensor& field : batch.subspan(1)) fields_.push_back(std::move(field));
  }
  ~Lent() {
    for (size_t i = 1; i < batch_.size(); ++i) batch_[i] = std::move(fields_[i]);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  std::vector<Tensor>& fields() { return fields_; }

 private:
  std::span<Tensor> batch_;
  std::vector<Tensor> fields_;
};

}  // namespace

Spec Transform::spec(const Spec& image) const {
  if (image.shape.rank() != 3) {
    fail(ErrorKind::shape,
         std::string(name()) + ": takes images [C,H,W], got " + taper::to_string(image));
  }
  return image;
}

Tensor Transform::operator()(const Tensor& image) const {
  if (!image.defined()) fail(ErrorKind::value, std::string(name()) + ": the image is undefined");
  Spec one = image.spec();
  Strides strides = image.strides();
  one.shape.insert(0, 1);
  strides.insert(0, 0);
  const std::shared_ptr<const Transform> self(this, [](const Transform*) {});
  return Transformed(TensorDataset({view_of(image, one, strides, 0)}), {self}).get(0)[0];
}

AnyTransform::AnyTransform(std::shared_ptr<const Transform> transform)
    : inner_(std::move(transform)) {
  if (!inner_) fail(ErrorKind::value, "transform: the pointer is null");
}

AnyTransform::AnyTransform(std::string_view name, const Fields& options)
    : inner_(TransformFactory::get(name, "transform").make(options)) {}

std::string to_string(const Transform& transform) {
  std::string text;
  for (const auto& [name, value] : transform.config()) {
    text += (text.empty() ? "" : ", ") + name + "=" + value.print();
  }
  return std::string(transform.name()) + "(" + text + ")";
}

Transformed::Transformed(AnyDataset dataset, std::vector<AnyTransform> transforms)
    : dataset_(std::move(dataset)),
      transforms_(std::move(transforms)),
      specs_(dataset_->specs()),
      depth_(1 + depth_of(*dataset_)) {
  if (specs_.empty()) fail(ErrorKind::value, "Transformed: the examples have no fields");
  stages_.push_back(specs_[0]);
  for (const AnyTransform& transform : transforms_) {
    stages_.push_back(transform->spec(stages_.back()));
  }
  specs_[0] = stages_.back();
  for (size_t i = 1; i + 1 < stages_.size(); ++i) {
    most_bytes_ = std::max(most_bytes_, checked_bytes(stages_[i].shape, stages_[i].dtype));
  }
}

std::vector<Tensor> Transformed::get(int64_t index) const {
  std::vector<Tensor> example = read_batch(*this, specs_, {&index, 1});
  for (size_t i = 0; i < example.size(); ++i) {
    example[i] = view_of(example[i], specs_[i], row_major_strides(specs_[i].shape), 0);
  }
  return example;
}

void Transformed::fill(std::span<const int64_t> indices, std::span<Tensor> batch) const {
  if (transforms_.empty()) return dataset_->fill(indices, batch);
  check_batch(specs_, indices.size(), batch);
  Spec stored = stages_[0];
  stored.shape.insert(0, static_cast<int64_t>(indices.size()));
  Lent lent(batch, empty(stored));
  dataset_->fill(indices, lent.fields());

  std::vector<Strides> strides;
  for (const Spec& stage : stages_) strides.push_back(row_major_strides(stage.shape));
  const Tensor between = empty({2, static_cast<int64_t>(most_bytes_)}, DType::u8);
  const size_t bytes_in = checked_bytes(stages_[0].shape, stages_[0].dtype);
  const size_t bytes_out = checked_bytes(specs_[0].shape, specs_[0].dtype);
  const uint64_t key = key_of_epoch(depth_);
  for (size_t row = 0; row < indices.size(); ++row) {
    Draws draws(key, static_cast<uint64_t>(indices[row]));
    View image = view_at(lent.fields()[0].raw() + row * bytes_in, stages_[0], strides[0]);
    for (size_t i = 0; i < transforms_.size(); ++i) {
      const bool last = i + 1 == transforms_.size();
      std::byte* to = last ? batch[0].raw() + row * bytes_out : between.raw() + i % 2 * most_bytes_;
      const View out = view_at(to, stages_[i + 1], strides[i + 1]);
      transforms_[i]->apply(image, out, draws);
      image = out;
    }
  }
}

std::string Transformed::digest() const {
  Sha256 sum;
  sum.add(dataset_->digest());
  for (const AnyTransform& transform : transforms_) sum.add("\n" + to_string(*transform));
  return sum.finish();
}

}  // namespace taper::data

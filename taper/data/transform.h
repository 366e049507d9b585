// Random changes of the images that a model is trained on.
//
//   Transformed train(dataset, {RandomCrop(28, 4), RandomHorizontalFlip()});
//   trainer.fit(dataset, {.transforms = {RandomCrop(28, 4), RandomHorizontalFlip()}});
//
// One of your own:
//
//   struct DarkenOptions { Probability least = 0.5; };
//
//   class Darken final : public TransformWith<Darken, DarkenOptions> {
//    public:
//     using TransformWith::TransformWith;
//     void apply(const View& image, const View& out, Draws& draws) const override {
//       const double factor = options().least + (1 - options().least) * draws.uniform();
//       ...
//     }
//   };
//   static const FactoryFor<Transform, Darken> darken_entry{"Makes images darker."};
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/factory.h>
#include <taper/core/view.h>
#include <taper/data/dataset.h>
#include <taper/data/draws.h>

namespace taper::data {

/// Derive from TransformWith and override `apply`, and `spec` if it does not take images [C,H,W] of
/// any dtype or changes their shape. Every function may be called from several threads at once.
class TAPER_API Transform {
 public:
  virtual ~Transform() = default;

  /// Its registered name, and its options with their values.
  virtual std::string_view name() const = 0;
  virtual Fields config() const = 0;

  /// What it makes of an image of this spec; by default another one like it. Throws shape unless
  /// the image is [C,H,W], dtype or value for one that it cannot change.
  virtual Spec spec(const Spec& image) const;

  /// Writes to `out` what it makes of `image`. Both are row-major, of the specs that `spec` takes
  /// and gives, and share no memory. What is random comes from `draws`, the stream of this example
  /// in this epoch.
  virtual void apply(const View& image, const View& out, Draws& draws) const = 0;

  /// What it makes of one image [C,H,W], drawing from the default generator.
  Tensor operator()(const Tensor& image) const;
};

/// Registered transforms, by name.
using TransformFactory = Factory<Transform>;

/// A transform with one struct of options.
template <class Derived, class Options>
class TAPER_API TransformWith : public WithOptions<Derived, Transform, Options> {
 public:
  using WithOptions<Derived, Transform, Options>::WithOptions;
  std::string_view name() const override { return Derived::type_name; }
  Fields config() const override;
};

// Not inline: the library has those of its own classes.
template <class Derived, class Options>
Fields TransformWith<Derived, Options>::config() const {
  return to_fields(this->options());
}

/// A transform as an option: a typed one, or by its name.
class TAPER_API AnyTransform {
 public:
  template <std::derived_from<Transform> T>
  AnyTransform(T transform)  // NOLINT: implicit on purpose
      : inner_(std::make_shared<T>(std::move(transform))) {}
  /// Throws value for null.
  AnyTransform(std::shared_ptr<const Transform> transform);  // NOLINT
  /// Throws not_found naming the transforms that there are, and value for its options.
  explicit AnyTransform(std::string_view name, const Fields& options = {});

  const Transform* operator->() const { return inner_.get(); }
  const Transform& operator*() const { return *inner_; }

 private:
  std::shared_ptr<const Transform> inner_;
};

/// `RandomHorizontalFlip(p=0.5)`
TAPER_API std::string to_string(const Transform& transform);

/// The examples of another dataset with their first field, images [C,H,W], changed by the
/// transforms, each of which takes what the one before it gives. Images that a TensorDataset scales
/// are scaled before.
///
/// In a loader what is random depends on its seed, the epoch and the number of the example here
/// only: not on workers, the size or order of batches, or where a training was resumed. Elsewhere
/// it is drawn from the default generator.
class TAPER_API Transformed : public Dataset {
 public:
  /// The dataset's specs are asked for here. Throws what `Transform::spec` does.
  Transformed(AnyDataset dataset, std::vector<AnyTransform> transforms);

  int64_t size() const override { return dataset_->size(); }
  std::vector<Tensor> get(int64_t index) const override;
  std::vector<Spec> specs() const override { return specs_; }
  void fill(std::span<const int64_t> indices, std::span<Tensor> batch) const override;
  std::vector<std::string> class_names() const override { return dataset_->class_names(); }
  /// Those of the dataset: transforms make no other values of labels, and no NaN.
  std::optional<StoredField> stored(size_t field) const override { return dataset_->stored(field); }
  double input_scale() const override { return dataset_->input_scale(); }
  /// Of the dataset and of the transforms with their options.
  std::string digest() const override;

  const AnyDataset& dataset() const { return dataset_; }
  const std::vector<AnyTransform>& transforms() const { return transforms_; }

 private:
  AnyDataset dataset_;
  std::vector<AnyTransform> transforms_;
  std::vector<Spec> specs_;
  std::vector<Spec> stages_;  // of the image: as it is stored, behind the first transform, ...
  size_t most_bytes_ = 0;     // of an image between two transforms
  uint64_t depth_ = 1;        // counts the transformed datasets of a chain: each draws its own
};

}  // namespace taper::data

// Behind a transform of the library, outside of namespaces: what it would make each program
// compile. Its source (transform_entry.h) makes that, and the entry.
#ifndef TAPER_TRANSFORM
#define TAPER_TRANSFORM(Name, doc)                                                     \
  namespace taper {                                                                    \
  extern template class WithOptions<data::Name, data::Transform, data::Name::Options>; \
  namespace data {                                                                     \
  extern template class TransformWith<Name, Name::Options>;                            \
  }                                                                                    \
  }
#endif

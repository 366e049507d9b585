// Datasets: numbered examples, each a list of tensors, read in batches.
//
//   struct Squares : taper::data::Dataset {
//     int64_t size() const override { return 1000; }
//     std::vector<Tensor> get(int64_t i) const override {
//       return {tensor({float(i)}), tensor({float(i * i)})};
//     }
//   };
//   taper::data::Loader loader(Squares(), {.batch_size = 32, .shuffle = true});
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/tensor.h>

namespace taper::data {

/// The values of a field of all examples, where they lie in memory.
struct StoredField {
  Tensor values;              ///< as they are stored, before scaling, one a row
  std::vector<int64_t> rows;  ///< of `values`: those of the examples, in their order
  float scale = 1;            ///< what they are multiplied by
};

/// Derive from it and override `size` and `get`; override the others where that is faster.
///
/// All examples have the same fields: the number, shapes and dtypes of the tensors. Every function
/// but the constructors may be called from several threads at once.
class TAPER_API Dataset {
 public:
  virtual ~Dataset() = default;

  /// The number of examples.
  virtual int64_t size() const = 0;

  /// The fields of example `index` in [0, size()), without a batch axis, such as
  /// {f32[1,28,28], i64[]}. In a loader, what it draws from the default generator depends on the
  /// loader's seed, the epoch and `index` only.
  virtual std::vector<Tensor> get(int64_t index) const = 0;

  /// What `get` returns. By default example 0 is asked; throws value if there is none.
  virtual std::vector<Spec> specs() const;

  /// Writes example `indices[i]` to row i of the tensors of `batch`: one for each field, of its
  /// dtype and shape after an axis of `indices.size()`, row-major and owned by nobody else.
  ///
  /// By default it copies what `get` returns. Throws value, shape or dtype naming the example if
  /// its fields are not those of `specs`.
  virtual void fill(std::span<const int64_t> indices, std::span<Tensor> batch) const;

  /// The values of a field if they lie in memory, so that all of them can be looked at; nothing if
  /// examples must be read for that.
  virtual std::optional<StoredField> stored(size_t /*field*/) const { return {}; }

  /// The classes' names if the dataset knows them, else empty.
  virtual std::vector<std::string> class_names() const { return {}; }

  /// What stored numbers were multiplied by to make the first field: 1 / 255 for pictures scaled to
  /// [0, 1].
  virtual double input_scale() const { return 1; }

  /// Tells this data from other: 64 hexadecimal digits that depend on specs, size and values (of
  /// 256 examples, evenly spread, unless a dataset knows better). A training that was cut goes on
  /// with data of the same digest only.
  virtual std::string digest() const;

 protected:
  Dataset() = default;
  Dataset(const Dataset&) = default;
  Dataset(Dataset&&) = default;
  Dataset& operator=(const Dataset&) = default;
  Dataset& operator=(Dataset&&) = default;
};

/// A shared handle to a dataset of any type, made from a dataset by value or from a shared pointer:
/// what takes a dataset takes this.
class TAPER_API AnyDataset {
 public:
  template <class D>
    requires(std::is_base_of_v<Dataset, std::remove_cvref_t<D>> &&
             !std::is_abstract_v<std::remove_cvref_t<D>>)
  AnyDataset(D&& dataset)  // NOLINT: implicit on purpose
      : dataset_(std::make_shared<const std::remove_cvref_t<D>>(std::forward<D>(dataset))) {}
  template <class D>
    requires(std::is_base_of_v<Dataset, D>)
  AnyDataset(std::shared_ptr<D> dataset) : AnyDataset(Pointer(std::move(dataset))) {}  // NOLINT
  /// Throws value for a null pointer.
  AnyDataset(std::shared_ptr<const Dataset> dataset);  // NOLINT: implicit on purpose

  const Dataset& operator*() const { return *dataset_; }
  const Dataset* operator->() const { return dataset_.get(); }
  const std::shared_ptr<const Dataset>& pointer() const { return dataset_; }

 private:
  using Pointer = std::shared_ptr<const Dataset>;
  Pointer dataset_;
};

/// The examples of these numbers as one batch: a tensor for each field, with the batch axis first.
TAPER_API std::vector<Tensor> read_batch(const Dataset& dataset, std::span<const int64_t> indices);

/// The same with the specs of `dataset` given, which spares asking for them.
TAPER_API std::vector<Tensor> read_batch(const Dataset& dataset, std::span<const Spec> specs,
                                         std::span<const int64_t> indices);

/// The numbers 0 to count-1 in an order that depends on `count`, `seed` and `stream` only; all
/// orders are equally likely (Fisher-Yates). The loader uses the epoch as `stream`.
TAPER_API std::vector<int64_t> permutation(int64_t count, uint64_t seed, int64_t stream = 0);

// ---------------------------------------------------------------------------------------------

struct FieldOptions {
  /// If given, the field's values (of any integer dtype or f32) become f32 in the batch, multiplied
  /// by this. Images stored as u8 with `.scale = 1 / 255.f` take a quarter of the memory.
  std::optional<float> scale;
};

/// One field of all examples, the examples along the first axis.
struct Field {
  Tensor values;
  FieldOptions options;
  Field(Tensor all, FieldOptions how = {})  // NOLINT: implicit on purpose
      : values(std::move(all)), options(how) {}
};

struct TensorDatasetOptions {
  std::vector<std::string> class_names = {};
};

/// Examples held in memory: `TensorDataset({x, y})`, or with u8 images
/// `TensorDataset({{images, {.scale = 1 / 255.f}}, labels}, {.class_names = {"cat", "dog"}})`.
/// Copies share the tensors.
class TAPER_API TensorDataset : public Dataset {
 public:
  /// Throws value if there are no fields or one is undefined, shape if one has no axes or their
  /// first axes differ, dtype if one cannot be scaled.
  explicit TensorDataset(std::vector<Field> fields, TensorDatasetOptions options = {});

  int64_t size() const override { return size_; }
  std::vector<Tensor> get(int64_t index) const override;
  std::vector<Spec> specs() const override { return specs_; }
  void fill(std::span<const int64_t> indices, std::span<Tensor> batch) const override;
  std::vector<std::string> class_names() const override { return options_.class_names; }
  std::optional<StoredField> stored(size_t field) const override;
  double input_scale() const override {
    return static_cast<double>(fields_[0].options.scale.value_or(1));
  }
  /// Of all values, as they are stored.
  std::string digest() const override;

  /// The fields as they are stored: before scaling, row-major.
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
  std::vector<Spec> specs_;
  TensorDatasetOptions options_;
  int64_t size_ = 0;
};
extern template AnyDataset::AnyDataset(TensorDataset&);
extern template AnyDataset::AnyDataset(TensorDataset&&);

/// Some examples of another dataset, in the order given.
class TAPER_API Subset : public Dataset {
 public:
  /// Throws index for a number outside [0, dataset.size()).
  Subset(AnyDataset dataset, std::vector<int64_t> indices);

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  std::vector<Tensor> get(int64_t index) const override;
  std::vector<Spec> specs() const override { return dataset_->specs(); }
  void fill(std::span<const int64_t> indices, std::span<Tensor> batch) const override;
  std::vector<std::string> class_names() const override { return dataset_->class_names(); }
  std::optional<StoredField> stored(size_t field) const override;
  double input_scale() const override { return dataset_->input_scale(); }
  std::string digest() const override;

  const std::vector<int64_t>& indices() const { return indices_; }
  /// What the indices count in.
  const AnyDataset& dataset() const { return dataset_; }

 private:
  AnyDataset dataset_;
  std::vector<int64_t> indices_;
};

struct SplitOptions {
  bool shuffle = false;  ///< draw the examples at random instead of taking the last ones
  uint64_t seed = 0;
};

struct TrainValidation {
  Subset train;
  Subset validation;
};

/// Sets `fraction` of the examples aside for validation: the last ones, as Keras does (the training
/// part has floor(size * (1 - fraction)) examples). Throws value if a part would be empty.
TAPER_API TrainValidation split(const AnyDataset& dataset, double fraction,
                                SplitOptions options = {});

}  // namespace taper::data

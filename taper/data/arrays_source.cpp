// Arrays of NumPy: an .npz file with `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`.

#include <algorithm>
#include <string>

#include <taper/core/error.h>
#include <taper/data/source.h>
#include <taper/data/standardizer.h>
#include <taper/io/npz.h>
#include <taper/ops/ops.h>

namespace taper::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t most_classes = 1 << 20;

bool claims(const fs::path& path) {
  std::error_code ignored;
  return has_ending(path, ".npz") && fs::is_regular_file(path, ignored);
}

const Tensor* find(const NamedTensors& arrays, std::string_view name) {
  for (const auto& [known, array] : arrays) {
    if (known == name) return &array;
  }
  return nullptr;
}

struct Pair {
  Tensor x;
  Tensor y;
};

/// The arrays of a part; nothing if there is no `x`. Throws shape unless they have the same length.
std::optional<Pair> pair_of(const NamedTensors& arrays, const std::string& end,
                            const fs::path& path) {
  const Tensor* x = find(arrays, "x" + end);
  if (x == nullptr) return {};
  const Tensor* y = find(arrays, "y" + end);
  if (y == nullptr)
    fail(ErrorKind::value, path.string() + ": there is x" + end + " without y" + end);
  if (x->rank() < 2 || y->rank() < 1 || x->size(0) != y->size(0) || y->numel() != y->size(0)) {
    fail(ErrorKind::shape, path.string() + ": x" + end + " must be [N,...] and y" + end +
                               " [N], got " + to_string(x->spec()) + " and " +
                               to_string(y->spec()));
  }
  return Pair{*x, flatten(*y)};
}

/// Pictures [N,H,W], [N,H,W,C] or [N,C,H,W] of bytes as [N,C,H,W]; undefined for other arrays.
Tensor pictures_of(const Tensor& x) {
  if (x.dtype() != DType::u8) return {};
  if (x.rank() == 3) return expand_dims(x, 1);
  if (x.rank() != 4) return {};
  const bool channels_last = (x.size(3) == 1 || x.size(3) == 3) && x.size(1) > 3;
  return channels_last ? contiguous(permute_dims(x, {0, 3, 1, 2})) : x;
}

/// Classes by their largest number, of which each has its number as name.
std::vector<std::string> classes_of(const Tensor& y, const fs::path& path) {
  if (!is_integer(y.dtype())) return {};
  const double least = y.numel() == 0 ? 0 : min(y).item();
  const double largest = y.numel() == 0 ? 0 : max(y).item();
  if (least < 0 || largest >= most_classes) {
    fail(ErrorKind::value, path.string() + ": class numbers must be in [0, " +
                               std::to_string(most_classes) + "), y holds " +
                               std::to_string(static_cast<int64_t>(least < 0 ? least : largest)));
  }
  std::vector<std::string> names;
  for (int64_t i = 0; i <= static_cast<int64_t>(largest); ++i) names.push_back(std::to_string(i));
  return names;
}

Tensor row_of(const std::vector<double>& values) {
  return from_values<double>({1, std::ssize(values)}, values);
}

Tensor target_of(const Tensor& y, const DataForm& form) {
  if (!form.class_names.empty()) return astype(y, DType::i64);
  const Tensor standard = (astype(y, DType::f64) - form.target_mean) / form.target_deviation;
  return astype(expand_dims(standard, 1), DType::f32);
}

TensorDataset dataset_of(const Pair& pair, const DataForm& form) {
  const Tensor y = target_of(pair.y, form);
  const TensorDatasetOptions options{.class_names = form.class_names};
  const Tensor pictures = pictures_of(pair.x);
  if (pictures.defined()) return TensorDataset({{pictures, {.scale = 1 / 255.f}}, y}, options);
  if (form.columns.empty()) return TensorDataset({astype(pair.x, DType::f32), y}, options);
  const Tensor standard = (astype(pair.x, DType::f64) - row_of(form.mean)) / row_of(form.deviation);
  return TensorDataset({astype(standard, DType::f32), y}, options);
}

DataForm measure(const Pair& pair, const std::vector<int64_t>& rows, const fs::path& path) {
  DataForm form{.target = "y", .class_names = classes_of(pair.y, path)};
  const Tensor chosen = from_values<int64_t>({std::ssize(rows)}, rows);
  const Tensor pictures = pictures_of(pair.x);
  if (pictures.defined()) {
    form.picture = {pictures.size(1), pictures.size(2), pictures.size(3)};
  } else if (pair.x.rank() == 2) {
    for (int64_t i = 0; i < pair.x.size(1); ++i) form.columns.push_back(std::to_string(i));
    const Standardizer inputs(astype(take(pair.x, chosen, 0), DType::f64));
    form.mean = inputs.mean().to_vector<double>();
    form.deviation = inputs.deviation().to_vector<double>();
  }
  if (!form.class_names.empty()) return form;
  const Standardizer numbers(astype(expand_dims(take(pair.y, chosen, 0), 1), DType::f64));
  form.target_mean = numbers.mean().item();
  form.target_deviation = numbers.deviation().item();
  return form;
}

Examples load(const fs::path& path, const SourceOptions& options) {
  const NamedTensors arrays = read_npz(path);
  const std::optional<Pair> train = pair_of(arrays, "_train", path);
  const std::optional<Pair> all = train ? train : pair_of(arrays, "", path);
  if (!all)
    fail(ErrorKind::value, path.string() + ": there is neither x and y nor x_train and y_train");
  if (all->x.size(0) < 2)
    fail(ErrorKind::value, path.string() + ": there are fewer than 2 examples");
  const std::optional<Pair> validation = pair_of(arrays, "_val", path);
  const std::optional<Pair> test = pair_of(arrays, "_test", path);
  const MixedParts parts = mixed_parts(all->x.size(0), validation ? 0 : options.validation);
  DataForm form = measure(*all, parts.train, path);
  const TensorDataset dataset = dataset_of(*all, form);
  Examples examples{.train = Subset(dataset, parts.train),
                    .form = form,
                    .has_classes = !form.class_names.empty()};
  if (validation) examples.validation = dataset_of(*validation, form);
  if (!parts.others.empty()) examples.validation = Subset(dataset, parts.others);
  examples.was_split = !parts.others.empty();
  if (test) examples.test = dataset_of(*test, form);
  return examples;
}

AnyDataset read(const fs::path& path, const DataForm& form) {
  const NamedTensors arrays = read_npz(path);
  for (const char* end : {"_test", "", "_train"}) {
    if (const std::optional<Pair> pair = pair_of(arrays, end, path)) return dataset_of(*pair, form);
  }
  fail(ErrorKind::value, path.string() + ": there is neither x and y nor x_test and y_test");
}

const DataSource arrays_entry{"arrays", "an .npz file with x and y, or x_train, y_train and so on",
                              "mlp",    &claims,
                              &load,    &read};

}  // namespace
}  // namespace taper::data

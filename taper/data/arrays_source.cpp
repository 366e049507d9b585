// Arrays of NumPy: an .npz file with `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`.

#include <algorithm>
#include <optional>
#include <string>

#include <taper/core/error.h>
#include <taper/data/source.h>
#include <taper/data/standardizer.h>
#include <taper/io/npz.h>
#include <taper/ops/ops.h>

namespace taper::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t most_classes = 1 << 14;  // as many as a confusion matrix holds

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

/// The place of the first false one; nothing if all are true.
std::optional<int64_t> first_false(const Tensor& flags) {
  if (static_cast<bool>(all(flags))) return {};
  return static_cast<int64_t>(argmin(astype(flags, DType::u8)).item());
}

/// Throws io for a number that is none, naming its place.
void check_finite(const Tensor& values, const std::string& name, const fs::path& path) {
  if (!is_float(values.dtype()) || values.numel() == 0) return;
  const Tensor flat = flatten(values);
  const std::optional<int64_t> place = first_false(flat - flat == 0);
  if (!place) return;
  std::string where;
  int64_t rest = *place;
  for (int axis = values.rank() - 1; axis >= 0; --axis) {
    where = std::to_string(rest % values.size(axis)) + (where.empty() ? "" : ",") + where;
    rest /= values.size(axis);
  }
  fail(ErrorKind::io, path.string() + ": " + name + "[" + where + "] must be a finite number, is " +
                          print_real(flat.to_vector<double>()[static_cast<size_t>(*place)]));
}

/// The arrays of a part of the file, whose names end in `end`.
struct Pair {
  std::string end;
  Tensor x;
  Tensor y;  // flat
};

/// Nothing if there is no `x`. Throws shape unless they have the same length, and io for numbers
/// that are none.
std::optional<Pair> pair_of(const NamedTensors& arrays, const std::string& end,
                            const fs::path& path) {
  const Tensor* x = find(arrays, "x" + end);
  if (x == nullptr) return {};
  const Tensor* y = find(arrays, "y" + end);
  if (y == nullptr) {
    fail(ErrorKind::value, path.string() + ": there is x" + end + " without y" + end);
  }
  if (x->rank() < 2 || y->rank() < 1 || x->size(0) != y->size(0) || y->numel() != y->size(0)) {
    fail(ErrorKind::shape, path.string() + ": x" + end + " must be [N,...] and y" + end +
                               " [N], got " + to_string(x->spec()) + " and " +
                               to_string(y->spec()));
  }
  check_finite(*x, "x" + end, path);
  check_finite(*y, "y" + end, path);
  return Pair{end, *x, flatten(*y)};
}

/// Pictures [N,H,W], [N,H,W,C] or [N,C,H,W] of bytes as [N,C,H,W]; undefined for other arrays.
Tensor pictures_of(const Tensor& x) {
  if (x.dtype() != DType::u8) return {};
  if (x.rank() == 3) return expand_dims(x, 1);
  if (x.rank() != 4) return {};
  const bool channels_last = x.size(3) <= 4 && x.size(1) > 4;
  return channels_last ? contiguous(permute_dims(x, {0, 3, 1, 2})) : x;
}

/// Classes by their largest number, of which each has its number as name; none for numbers to
/// predict.
std::vector<std::string> classes_of(const Tensor& y, const fs::path& path) {
  if (is_float(y.dtype())) return {};
  if (is_bool(y.dtype())) return {"0", "1"};
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

/// The inputs as they are stored, pictures, or standardised. Throws shape and dtype for other ones
/// than the form tells of.
Field inputs_of(const Tensor& x, const std::string& name, const DataForm& form,
                const fs::path& path) {
  const Tensor pictures = pictures_of(x);
  const std::string what = path.string() + ": " + name + " " + to_string(x.spec());
  if (!form.picture.empty()) {
    if (!pictures.defined()) fail(ErrorKind::dtype, what + " must hold pictures of bytes");
    const Shape wanted(form.picture);
    Shape one = pictures.shape();
    one.erase(0);
    if (one != wanted) {
      fail(ErrorKind::shape, what + " must hold pictures " + to_string(wanted));
    }
    return {pictures, {.scale = 1 / 255.f}};
  }
  if (pictures.defined()) {
    fail(ErrorKind::dtype, what + " holds pictures of bytes, the training data do not");
  }
  if (form.columns.empty()) return astype(x, DType::f32);
  if (x.rank() != 2 || x.size(1) != std::ssize(form.columns)) {
    fail(ErrorKind::shape, what + " must be [N," + std::to_string(form.columns.size()) + "]");
  }
  const Tensor inputs =
      astype((astype(x, DType::f64) - row_of(form.mean)) / row_of(form.deviation), DType::f32);
  check_finite(inputs, name + " standardised", path);
  return inputs;
}

/// Throws dtype for targets of another kind than the form tells of, and value for a class that
/// there is not.
Tensor targets_of(const Tensor& y, const std::string& name, const DataForm& form,
                  const fs::path& path) {
  const std::string what = path.string() + ": " + name;
  if (form.class_names.empty()) {
    const Tensor standard = (astype(y, DType::f64) - form.target_mean) / form.target_deviation;
    const Tensor numbers = astype(standard, DType::f32);
    check_finite(numbers, name + " standardised", path);
    return expand_dims(numbers, 1);
  }
  if (is_float(y.dtype())) {
    fail(ErrorKind::dtype, what + " must hold class numbers as the training data do, is " +
                               std::string(dtype_name(y.dtype())));
  }
  const Tensor labels = astype(y, DType::i64);
  const auto classes = std::ssize(form.class_names);
  if (const auto place = first_false((labels >= 0) & (labels < classes))) {
    fail(ErrorKind::value,
         what + "[" + std::to_string(*place) + "] is " +
             std::to_string(labels.to_vector<int64_t>()[static_cast<size_t>(*place)]) +
             ", there are the classes 0 to " + std::to_string(classes - 1));
  }
  return labels;
}

TensorDataset dataset_of(const Pair& pair, const DataForm& form, const fs::path& path) {
  return TensorDataset({inputs_of(pair.x, "x" + pair.end, form, path),
                        targets_of(pair.y, "y" + pair.end, form, path)},
                       {.class_names = form.class_names});
}

/// Means and deviations of what is standardised. Throws value for numbers that are too large.
Standardizer standardizer_of(const Tensor& values, const std::string& name, const fs::path& path) {
  Standardizer made(astype(values, DType::f64));
  check_scale(made, path.string() + ": the numbers of " + name);
  return made;
}

DataForm measure(const Pair& pair, const std::vector<int64_t>& rows, const fs::path& path) {
  DataForm form{.target = "y", .class_names = classes_of(pair.y, path)};
  const Tensor chosen = from_values<int64_t>({std::ssize(rows)}, rows);
  const Tensor pictures = pictures_of(pair.x);
  if (pictures.defined()) {
    if (pictures.size(1) > 4) {
      fail(ErrorKind::shape, path.string() + ": x" + pair.end + " " + to_string(pair.x.spec()) +
                                 " must hold pictures of at most four channels, [N,H,W], "
                                 "[N,H,W,C] or [N,C,H,W]");
    }
    form.picture = {pictures.size(1), pictures.size(2), pictures.size(3)};
  } else if (pair.x.rank() == 2) {
    for (int64_t i = 0; i < pair.x.size(1); ++i) form.columns.push_back(std::to_string(i));
    const Standardizer inputs = standardizer_of(take(pair.x, chosen, 0), "x" + pair.end, path);
    form.mean = inputs.mean().to_vector<double>();
    form.deviation = inputs.deviation().to_vector<double>();
  }
  if (!form.class_names.empty()) return form;
  const Standardizer numbers =
      standardizer_of(expand_dims(take(pair.y, chosen, 0), 1), "y" + pair.end, path);
  form.target_mean = numbers.mean().item();
  form.target_deviation = numbers.deviation().item();
  return form;
}

Examples load(const fs::path& path, const SourceOptions& options) {
  const NamedTensors arrays = read_npz(path);
  const std::optional<Pair> train = pair_of(arrays, "_train", path);
  const std::optional<Pair> all = train ? train : pair_of(arrays, "", path);
  if (!all) {
    fail(ErrorKind::value, path.string() + ": there is neither x and y nor x_train and y_train");
  }
  if (all->x.size(0) < 2) {
    fail(ErrorKind::value, path.string() + ": there are fewer than 2 examples");
  }
  const std::optional<Pair> validation = pair_of(arrays, "_val", path);
  const std::optional<Pair> test = pair_of(arrays, "_test", path);
  const MixedParts parts = mixed_parts(all->x.size(0), validation ? 0 : options.validation);
  DataForm form = measure(*all, parts.train, path);
  const TensorDataset dataset = dataset_of(*all, form, path);
  Examples examples{.train = Subset(dataset, parts.train),
                    .form = form,
                    .has_classes = !form.class_names.empty()};
  if (validation) examples.validation = dataset_of(*validation, form, path);
  if (!parts.others.empty()) examples.validation = Subset(dataset, parts.others);
  examples.was_split = !parts.others.empty();
  if (test) examples.test = dataset_of(*test, form, path);
  return examples;
}

constexpr const char* ends_of_new[] = {"_test", "", "_train"};  // which part new data are

AnyDataset read(const fs::path& path, const DataForm& form) {
  const NamedTensors arrays = read_npz(path);
  for (const char* end : ends_of_new) {
    if (const auto pair = pair_of(arrays, end, path)) return dataset_of(*pair, form, path);
  }
  fail(ErrorKind::value, path.string() + ": there is neither x and y nor x_test and y_test");
}

const DataSource arrays_entry{"arrays", "an .npz file with x and y, or x_train, y_train and so on",
                              "mlp",    &claims,
                              &load,    &read};

}  // namespace

Tensor read_array(const fs::path& path, const DataForm& form) {
  const NamedTensors arrays = read_npz(path);
  for (const char* end : ends_of_new) {
    const std::string name = std::string("x") + end;
    const Tensor* x = find(arrays, name);
    if (x == nullptr) continue;
    check_finite(*x, name, path);
    const Field inputs = inputs_of(*x, name, form, path);
    const float scale = inputs.options.scale.value_or(1.0f);
    return astype(inputs.values, DType::f32) * scale;
  }
  fail(ErrorKind::value, path.string() + ": there is neither x nor x_test");
}

}  // namespace taper::data

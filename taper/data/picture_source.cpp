// Pictures: a folder with one folder for each class, or with such folders in `train`, `test` and
// `val`.

#include <algorithm>
#include <cctype>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/error.h>
#include <taper/core/threads.h>
#include <taper/data/source.h>
#include <taper/io/images.h>
#include <taper/ops/ops.h>

namespace taper::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t largest_as_it_is = 96;  // pixels of a side
constexpr int64_t usual_side = 64;
constexpr size_t most_looked_at = 100;

bool is_picture(const fs::path& path) {
  constexpr const char* endings[] = {".png", ".jpg", ".jpeg", ".jfif"};
  return std::ranges::any_of(endings, [&](const char* each) { return has_ending(path, each); });
}

/// A picture that cannot be read: left out without a word it would be missed.
bool is_other_picture(const fs::path& path) {
  constexpr const char* endings[] = {".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"};
  return std::ranges::any_of(endings, [&](const char* each) { return has_ending(path, each); });
}

/// Sorted, without what is hidden.
std::vector<fs::path> entries_of(const fs::path& folder, bool folders) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    const bool hidden = at->path().filename().string().starts_with('.');
    if (!hidden && at->is_directory(ignored) == folders) found.push_back(at->path());
  }
  if (error) fail(ErrorKind::io, folder.string() + ": " + error.message());
  std::ranges::sort(found);
  return found;
}

/// The files of a folder and of those in it, links to folders left out; sorted.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> found = entries_of(folder, false);
  for (const fs::path& inner : entries_of(folder, true)) {
    std::error_code ignored;
    if (fs::is_symlink(inner, ignored)) continue;
    for (fs::path& file : files_below(inner)) found.push_back(std::move(file));
  }
  return found;
}

bool holds_pictures(const fs::path& folder) {
  return std::ranges::any_of(entries_of(folder, false), is_picture);
}

bool has_classes(const fs::path& folder) {
  return std::ranges::any_of(entries_of(folder, true), holds_pictures);
}

// What the folder of a part may be called, in capitals or not.
constexpr std::string_view train_names[] = {"train", "training"};
constexpr std::string_view validation_names[] = {"val", "valid", "validation", "eval"};
constexpr std::string_view test_names[] = {"test", "testing"};

bool is_named(const fs::path& folder, std::span<const std::string_view> names) {
  std::string name = folder.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(names, name) != names.end();
}

/// The folder of a part; empty if there is none. A class may have such a name.
fs::path part_of(const fs::path& folder, std::span<const std::string_view> names) {
  for (const fs::path& each : entries_of(folder, true)) {
    if (is_named(each, names) && has_classes(each)) return each;
  }
  return {};
}

/// Throws value for a part beside the training data whose pictures are in no class's folder: left
/// out without a word it would be missed.
void check_parts(const fs::path& folder) {
  for (const fs::path& each : entries_of(folder, true)) {
    if (!is_named(each, validation_names) && !is_named(each, test_names)) continue;
    if (has_classes(each) || std::ranges::none_of(files_below(each), is_picture)) continue;
    fail(ErrorKind::value, each.string() +
                               ": its pictures are in no folders of classes; put them "
                               "there or give the folder another name");
  }
}

bool claims(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return false;
  const fs::path train = part_of(path, train_names);
  return has_classes(train.empty() ? path : train);
}

struct Files {
  std::vector<fs::path> paths;
  std::vector<int64_t> labels;
};

std::vector<std::string> class_names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& each : entries_of(folder, true)) {
    if (holds_pictures(each)) {
      names.push_back(each.filename().string());
    } else if (std::ranges::any_of(files_below(each), is_picture)) {
      fail(ErrorKind::value, each.string() + ": its pictures are in folders below it only; a " +
                                 "class's folder holds some itself");
    }
  }
  if (names.size() < 2) {
    fail(ErrorKind::value, folder.string() + ": pictures of at least two classes are needed, a " +
                               "folder for each, there are " + std::to_string(names.size()));
  }
  return names;
}

/// The pictures of the classes in a mixed order. Throws value for a folder of another class, and
/// unsupported for pictures of another kind.
Files files_of(const fs::path& folder, const std::vector<std::string>& class_names) {
  Files sorted;
  for (const fs::path& each : entries_of(folder, true)) {
    const auto known = std::ranges::find(class_names, each.filename().string());
    for (const fs::path& file : files_below(each)) {
      if (is_other_picture(file)) {
        fail(ErrorKind::unsupported, file.string() +
                                         ": pictures are read from PNG and JPEG files; " +
                                         "convert it and its like, or take them out");
      }
      if (!is_picture(file)) continue;
      if (known == class_names.end()) {
        fail(ErrorKind::value, each.string() + ": there is no such class in the training data");
      }
      sorted.paths.push_back(file);
      sorted.labels.push_back(known - class_names.begin());
    }
  }
  Files files;
  for (const int64_t i : mixed_parts(std::ssize(sorted.paths), 0).train) {
    files.paths.push_back(sorted.paths[static_cast<size_t>(i)]);
    files.labels.push_back(sorted.labels[static_cast<size_t>(i)]);
  }
  return files;
}

/// The shape that pictures are brought to: of those that are looked at, the common size if it is
/// small, and three channels if any has them.
std::vector<int64_t> common_shape(const Files& files, int64_t side) {
  const size_t every = std::max<size_t>(1, files.paths.size() / most_looked_at);
  int64_t channels = 1;
  Shape first;
  bool same = true;
  for (size_t i = 0; i < files.paths.size(); i += every) {
    const Shape shape = read_image(files.paths[i]).shape();
    if (i == 0) first = shape;
    channels = std::max(channels, shape[0]);
    same = same && shape[1] == first[1] && shape[2] == first[2];
  }
  if (side > 0) return {channels, side, side};
  const bool small = same && std::max(first[1], first[2]) <= largest_as_it_is;
  return small ? std::vector<int64_t>{channels, first[1], first[2]}
               : std::vector<int64_t>{channels, usual_side, usual_side};
}

TensorDataset read_files(const Files& files, const DataForm& form) {
  const Shape one(form.picture);
  Shape all = one;
  all.insert(0, std::ssize(files.paths));
  Tensor pictures = empty(all, DType::u8);
  uint8_t* to = pictures.mutable_data<uint8_t>();
  const int64_t size = one.numel();
  parallel_for(all[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Tensor picture =
          fit_picture(read_image(files.paths[static_cast<size_t>(i)]), form.picture);
      std::copy_n(picture.data<uint8_t>(), size, to + i * size);
    }
  });
  return TensorDataset(
      {{pictures, {.scale = 1 / 255.f}}, from_values<int64_t>({all[0]}, files.labels)},
      {.class_names = form.class_names});
}

Examples load(const fs::path& path, const SourceOptions& options) {
  const fs::path train = part_of(path, train_names);
  const fs::path& trained = train.empty() ? path : train;
  DataForm form{.class_names = class_names_in(trained)};
  const Files files = files_of(trained, form.class_names);
  form.picture = common_shape(files, options.picture_size);
  Examples examples{.train = read_files(files, form)};
  if (!train.empty()) {
    check_parts(path);
    const fs::path validation = part_of(path, validation_names);
    const fs::path test = part_of(path, test_names);
    const auto part = [&](const fs::path& folder) {
      return AnyDataset(read_files(files_of(folder, form.class_names), form));
    };
    if (!validation.empty()) examples.validation = part(validation);
    if (!test.empty()) examples.test = part(test);
  }
  examples.form = std::move(form);
  return examples;
}

/// Of a folder with parts its test part, else its validation part.
AnyDataset read(const fs::path& path, const DataForm& form) {
  const fs::path test = part_of(path, test_names);
  const fs::path part = test.empty() ? part_of(path, validation_names) : test;
  const Files files = files_of(part.empty() ? path : part, form.class_names);
  if (files.paths.empty()) {
    fail(ErrorKind::value, path.string() + ": there are no pictures in folders of classes");
  }
  return read_files(files, form);
}

const DataSource picture_entry{
    "pictures", "a folder with one folder of PNG or JPEG files for each class",
    "convnet",  &claims,
    &load,      &read};

}  // namespace

std::vector<std::string> picture_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      files.push_back(path);
      continue;
    }
    const size_t before = files.size();
    for (const fs::path& file : files_below(path)) {
      if (is_picture(file) || is_other_picture(file)) files.push_back(file.string());
    }
    if (files.size() == before) fail(ErrorKind::value, path + ": there are no pictures in it");
  }
  return files;
}

Tensor fit_picture(const Tensor& picture, const std::vector<int64_t>& shape) {
  Tensor fitted = shape[0] == 1 ? to_grey(picture) : picture;
  if (fitted.size(0) != shape[0]) {
    fitted = broadcast_to(fitted, {shape[0], fitted.size(1), fitted.size(2)});
  }
  return contiguous(resize_image(contiguous(fitted), shape[1], shape[2]));
}

}  // namespace taper::data

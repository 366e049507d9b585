#include <taper/data/source.h>

#include <algorithm>
#include <cctype>

#include <taper/core/error.h>
#include <taper/data/vision.h>

namespace taper::data {
namespace {

namespace fs = std::filesystem;

template <TrainTest (*load)(const fs::path&)>
Examples load_named(const fs::path&, const SourceOptions& options) {
  TrainTest both = load(options.folder);
  DataForm form{.class_names = both.train.class_names(),
                .picture = both.train.specs()[0].shape.to_vector()};
  return {.train = std::move(both.train), .test = std::move(both.test), .form = std::move(form)};
}

const DataSource fashion_mnist_entry{"fashion-mnist", "70,000 grey pictures of clothes.", "convnet",
                                     nullptr,         &load_named<fashion_mnist>,         nullptr};
const DataSource mnist_entry{"mnist", "70,000 handwritten digits.", "convnet",
                             nullptr, &load_named<mnist>,           nullptr};

}  // namespace

Examples DataSource::load(const fs::path& path, const SourceOptions& options) const {
  Examples examples = load_(path, options);
  examples.form.source = name;
  return examples;
}

AnyDataset DataSource::read(const fs::path& path, const DataForm& form) const {
  if (read_ == nullptr) {
    fail(ErrorKind::unsupported,
         std::string(name) + " is a dataset of its own: there is no other data of its kind");
  }
  std::error_code error;
  if (!fs::exists(path, error)) fail(ErrorKind::not_found, "there is no " + path.string());
  if (!claims_(path)) {
    fail(ErrorKind::unsupported, path.string() + ": the model takes data of the kind it was " +
                                     "trained on, " + std::string(doc));
  }
  return read_(path, form);
}

const DataSource& DataSource::of(const std::string& data) {
  const DataSource* named = Registry<DataSource>::find(data);
  if (named != nullptr && named->is_named()) return *named;
  std::vector<std::string_view> names;
  std::string kinds;
  std::error_code ignored;
  const bool is_there = fs::exists(data, ignored);
  for (const DataSource* source : all()) {
    if (source->is_named()) {
      names.push_back(source->name);
    } else {
      if (is_there && source->claims_(data)) return *source;
      kinds += "; " + std::string(source->name) + ": " + std::string(source->doc);
    }
  }
  if (is_there) {
    fail(ErrorKind::unsupported, data + " is no data that can be read" + kinds);
  }
  if (data.find_first_of("/.") != data.npos) {
    fail(ErrorKind::not_found, "there is no " + data + kinds);
  }
  detail::fail_unknown("dataset", data, names);
}

const DataSource& DataSource::get(std::string_view name) {
  return Registry<DataSource>::get(name, "data source");
}

bool has_ending(const fs::path& path, const std::string& ending) {
  std::string found = path.extension().string();
  std::ranges::transform(found, found.begin(), [](unsigned char c) { return std::tolower(c); });
  return found == ending;
}

std::vector<const DataSource*> DataSource::all() { return Registry<DataSource>::all(); }

MixedParts mixed_parts(int64_t count, double validation) {
  const std::vector<int64_t> order = permutation(count, 0);
  const double share = static_cast<double>(count) * (1 - validation);
  const auto middle = order.begin() + std::clamp<int64_t>(static_cast<int64_t>(share), 1, count);
  return {{order.begin(), middle}, {middle, order.end()}};
}

}  // namespace taper::data

#include <taper/data/vision.h>

#include <array>
#include <cstdlib>

#include <taper/data/idx.h>

namespace taper::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t side = 28;
constexpr int classes = 10;

/// Which of the four files: "train-images" and its kind "idx3-ubyte".
struct FileName {
  const char* content;
  const char* kind;
};
constexpr FileName file_names[] = {{"train-images", "idx3-ubyte"},
                                   {"train-labels", "idx1-ubyte"},
                                   {"t10k-images", "idx3-ubyte"},
                                   {"t10k-labels", "idx1-ubyte"}};
using Files = std::array<fs::path, std::size(file_names)>;

/// What is to be read, and where it may be.
struct Source {
  std::string function;
  std::vector<fs::path> folders;
  std::string fix;
  std::vector<std::string> class_names;
};

/// Why nothing can be found in the folder; empty if it is there.
std::string fault_of(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (fs::is_directory(status)) return {};
  if (fs::exists(status)) return folder.string() + " is no folder";
  if (status.type() == fs::file_type::not_found) return "there is no folder " + folder.string();
  return folder.string() + ": " + error.message();
}

/// The file in one of the spellings that are in use; empty if there is none.
fs::path find_file(const fs::path& folder, const FileName& name) {
  for (const char* separator : {"-", "."}) {
    for (const char* ending : {".gz", ""}) {
      std::error_code ignored;
      fs::path path = folder / (std::string(name.content) + separator + name.kind + ending);
      // What is there and cannot be reached is found too: reading it says why.
      if (fs::symlink_status(path, ignored).type() != fs::file_type::not_found) return path;
    }
  }
  return {};
}

/// Finds the four files; returns the names of those that are missing.
std::string find_in(const fs::path& folder, Files& files) {
  std::string missing;
  for (size_t i = 0; i < files.size(); ++i) {
    files[i] = find_file(folder, file_names[i]);
    if (!files[i].empty()) continue;
    missing += (missing.empty() ? "" : ", ") + std::string(file_names[i].content) + "-" +
               file_names[i].kind + "[.gz]";
  }
  return missing;
}

Files find_files(const Source& source) {
  std::string looked;
  for (const fs::path& folder : source.folders) {
    Files files;
    std::string fault = fault_of(folder);
    if (fault.empty()) {
      const std::string missing = find_in(folder, files);
      if (missing.empty()) return files;
      fault = folder.string() + " lacks " + missing;
    }
    looked += fault + "; ";
  }
  fail(ErrorKind::not_found, source.function + ": " + looked + source.fix);
}

Tensor read_images(const Source& source, const fs::path& path) {
  const Tensor images = read_idx(path);
  const Shape& shape = images.shape();
  if (images.dtype() != DType::u8 || shape.rank() != 3 || shape[1] != side || shape[2] != side) {
    fail(ErrorKind::io, source.function + ": " + path.string() +
                            ": the images must be u8[N,28,28], got " + to_string(images.spec()));
  }
  if (shape[0] == 0) {
    fail(ErrorKind::io, source.function + ": " + path.string() + ": there are no images");
  }
  const Spec spec{DType::u8, {}, {shape[0], 1, side, side}};
  return view_of(images, spec, row_major_strides(spec.shape), 0);
}

/// The labels as i64, checked to be classes of `count` images.
Tensor read_labels(const Source& source, const fs::path& path, int64_t count) {
  const auto refuse = [&](const std::string& what) {
    fail(ErrorKind::io, source.function + ": " + path.string() + ": " + what);
  };
  const Tensor bytes = read_idx(path);
  if (bytes.dtype() != DType::u8 || bytes.rank() != 1) {
    refuse("the labels must be u8[N], got " + to_string(bytes.spec()));
  }
  if (bytes.numel() != count) {
    refuse("there are " + std::to_string(bytes.numel()) + " labels for " + std::to_string(count) +
           " images");
  }
  Tensor labels = empty({count}, DType::i64);
  const uint8_t* from = bytes.data<uint8_t>();
  int64_t* to = labels.mutable_data<int64_t>();
  for (int64_t row = 0; row < count; ++row) {
    if (from[row] >= classes) {
      refuse("label " + std::to_string(from[row]) + " in row " + std::to_string(row) +
             " is not in [0, 10)");
    }
    to[row] = from[row];
  }
  return labels;
}

TensorDataset read_part(const Source& source, const fs::path& images_path,
                        const fs::path& labels_path) {
  const Tensor images = read_images(source, images_path);
  const Tensor labels = read_labels(source, labels_path, images.shape()[0]);
  return TensorDataset({{images, {.scale = 1 / 255.f}}, labels},
                       {.class_names = source.class_names});
}

TrainTest read(const Source& source) {
  const Files files = find_files(source);
  return {read_part(source, files[0], files[1]), read_part(source, files[2], files[3])};
}

/// The folder that the user named, else those that are known.
std::vector<fs::path> folders(const fs::path& given, const char* name,
                              std::vector<fs::path> known) {
  if (!given.empty()) return {given};
  const char* root = std::getenv("TAPER_DATA");
  if (root != nullptr && *root != '\0') known.insert(known.begin(), fs::path(root) / name);
  return known;
}

}  // namespace

TrainTest fashion_mnist(const fs::path& folder) {
  return read({.function = "fashion_mnist",
               .folders = folders(folder, "fashion-mnist", {"/usr/share/datasets/fashion-mnist"}),
               .fix = "`apt-get install dataset-fashion-mnist` installs the files on Debian, or "
                      "set TAPER_DATA to the folder that holds fashion-mnist/",
               .class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal",
                               "Shirt", "Sneaker", "Bag", "Ankle boot"}});
}

TrainTest mnist(const fs::path& folder) {
  return read({.function = "mnist",
               .folders = folders(folder, "mnist", {}),
               .fix = "give the folder with the four files of MNIST, or set TAPER_DATA to the "
                      "folder that holds mnist/",
               .class_names = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
}

}  // namespace taper::data

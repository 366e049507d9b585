#include <taper/data/vision.h>

#include <cstdlib>
#include <numeric>

#include <taper/data/loader.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::gzipped;
using testing::put;
using testing::TemporaryFolder;

constexpr const char* debian_folder = "/usr/share/datasets/fashion-mnist";

/// Sets TAPER_DATA for as long as it lives.
class DataVariable {
 public:
  explicit DataVariable(const fs::path& folder) {
    if (const char* text = std::getenv("TAPER_DATA")) before_ = text;
    setenv("TAPER_DATA", folder.c_str(), 1);
  }
  ~DataVariable() { setenv("TAPER_DATA", before_.c_str(), 1); }

 private:
  std::string before_;
};

std::string images_file(uint8_t count, int side = 28) {
  std::string bytes = {0, 0, 8, 3, 0, 0, 0, static_cast<char>(count)};
  for (int axis = 0; axis < 2; ++axis) bytes += {0, 0, 0, static_cast<char>(side)};
  return bytes + std::string(static_cast<size_t>(count * side * side), '\xff');
}

std::string labels_file(const std::string& labels) {
  return std::string({0, 0, 8, 1, 0, 0, 0, static_cast<char>(labels.size())}) + labels;
}

/// A small dataset of the classic form: 3 training images and 2 for the test.
void put_dataset(const fs::path& folder, const std::string& separator, bool gzip) {
  const auto put_one = [&](const std::string& content, const std::string& kind,
                           const std::string& bytes) {
    put(folder / (content + separator + kind + (gzip ? ".gz" : "")), gzip ? gzipped(bytes) : bytes);
  };
  put_one("train-images", "idx3-ubyte", images_file(3));
  put_one("train-labels", "idx1-ubyte", labels_file(std::string("\0\11\1", 3)));
  put_one("t10k-images", "idx3-ubyte", images_file(2));
  put_one("t10k-labels", "idx1-ubyte", labels_file("\4\5"));
}

std::vector<int64_t> first_labels(const TensorDataset& dataset, int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return read_batch(dataset, indices)[1].to_vector<int64_t>();
}

TEST(FashionMnist, RealFilesHoldTheKnownImages) {
  if (!fs::exists(debian_folder)) GTEST_SKIP() << "apt-get install dataset-fashion-mnist";
  const auto [train, test] = fashion_mnist(debian_folder);
  EXPECT_EQ(train.size(), 60'000);
  EXPECT_EQ(test.size(), 10'000);
  EXPECT_EQ(to_string(train.specs()[0]), "f32[1,28,28]");
  EXPECT_EQ(to_string(train.specs()[1]), "i64[]");
  EXPECT_EQ(first_labels(train, 4), (std::vector<int64_t>{9, 0, 0, 3}));
  EXPECT_EQ(first_labels(test, 4), (std::vector<int64_t>{9, 2, 1, 1}));
  EXPECT_EQ(train.class_names().size(), 10u);
  EXPECT_EQ(train.class_names()[9], "Ankle boot");
  EXPECT_EQ(test.class_names(), train.class_names());
  double sum = 0;
  float largest = 0;
  Loader loader(train, {.batch_size = 1000});
  for (const Batch& batch : loader) {
    const float* pixels = batch[0].data<float>();
    for (int64_t i = 0; i < batch[0].numel(); ++i) {
      sum += pixels[i];
      largest = std::max(largest, pixels[i]);
    }
  }
  EXPECT_NEAR(sum / (60'000.0 * 784), 0.2860, 5e-5);
  EXPECT_EQ(largest, 1.f);
}

TEST(FashionMnist, EveryClassIsEquallyFrequent) {
  if (!fs::exists(debian_folder)) GTEST_SKIP() << "apt-get install dataset-fashion-mnist";
  const auto [train, test] = fashion_mnist(debian_folder);
  std::vector<int> counts(10);
  for (int64_t label : first_labels(train, train.size())) ++counts[static_cast<size_t>(label)];
  EXPECT_EQ(counts, std::vector<int>(10, 6000));
}

TEST(FashionMnist, TheVariableComesBeforeTheSystem) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "fashion-mnist");
  put_dataset(folder / "fashion-mnist", "-", true);
  const DataVariable variable(folder.path());
  EXPECT_EQ(fashion_mnist().train.size(), 3);
}

TEST(FashionMnist, AFolderGivenIsTheOnlyOne) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { fashion_mnist(folder.path()); }),
            "fashion_mnist: " + folder.path().string() +
                " lacks train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], "
                "t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz]; `apt-get install "
                "dataset-fashion-mnist` installs the files on Debian, or set TAPER_DATA to the "
                "folder that holds fashion-mnist/");
}

TEST(Mnist, ReadsAllSpellings) {
  for (const char* separator : {"-", "."}) {
    for (bool gzip : {false, true}) {
      const TemporaryFolder folder;
      put_dataset(folder.path(), separator, gzip);
      const auto [train, test] = mnist(folder.path());
      EXPECT_EQ(train.size(), 3);
      EXPECT_EQ(first_labels(train, 3), (std::vector<int64_t>{0, 9, 1}));
      EXPECT_EQ(first_labels(test, 2), (std::vector<int64_t>{4, 5}));
      EXPECT_EQ(train.get(0)[0].to_vector<float>(), std::vector<float>(784, 1.f));
      EXPECT_EQ(train.class_names()[3], "3");
    }
  }
}

TEST(Mnist, NamesWhatIsMissing) {
  const TemporaryFolder folder;
  put_dataset(folder.path(), "-", true);
  fs::remove(folder / "t10k-labels-idx1-ubyte.gz");
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { mnist(folder.path()); }),
            "mnist: " + folder.path().string() +
                " lacks t10k-labels-idx1-ubyte[.gz]; give the folder with the four files of "
                "MNIST, or set TAPER_DATA to the folder that holds mnist/");
  const DataVariable unset("");
  EXPECT_EQ(error_of(ErrorKind::not_found, [] { mnist(); }),
            "mnist: give the folder with the four files of MNIST, or set TAPER_DATA to the folder "
            "that holds mnist/");
}

TEST(Mnist, SaysWhyAFolderCannotBeUsed) {
  const TemporaryFolder folder;
  const auto refusal = [](const fs::path& path) {
    const std::string text = error_of(ErrorKind::not_found, [&] { mnist(path); });
    return text.substr(0, text.find(';'));
  };
  EXPECT_EQ(refusal(folder / "none"), "mnist: there is no folder " + (folder / "none").string());
  put(folder / "file", "");
  EXPECT_EQ(refusal(folder / "file"), "mnist: " + (folder / "file").string() + " is no folder");
  const fs::path loop = folder / "loop";
  fs::create_symlink(loop, loop);
  EXPECT_EQ(refusal(loop), "mnist: " + loop.string() + ": Too many levels of symbolic links");
}

TEST(Mnist, NamesAFileThatCannotBeRead) {
  const TemporaryFolder folder;
  put_dataset(folder.path(), "-", false);
  const fs::path images = folder / "train-images-idx3-ubyte";
  fs::remove(images);
  fs::create_symlink("nowhere", images);
  EXPECT_EQ(error_of(ErrorKind::io, [&] { mnist(folder.path()); }),
            images.string() + ": No such file or directory");
}

TEST(Mnist, RefusesWhatIsNotTheDataset) {
  const TemporaryFolder folder;
  put_dataset(folder.path(), "-", false);
  const auto refusal = [&](const std::string& name, const std::string& bytes) {
    put_dataset(folder.path(), "-", false);
    const fs::path path = put(folder / name, bytes);
    const std::string text = error_of(ErrorKind::io, [&] { mnist(folder.path()); });
    const std::string prefix = "mnist: " + path.string() + ": ";
    EXPECT_TRUE(text.starts_with(prefix)) << text;
    return text.substr(std::min(text.size(), prefix.size()));
  };
  EXPECT_EQ(refusal("train-labels-idx1-ubyte", labels_file("\1\12\13")),
            "label 10 in row 1 is not in [0, 10)");
  EXPECT_EQ(refusal("t10k-labels-idx1-ubyte", labels_file("\1")),
            "there are 1 labels for 2 images");
  EXPECT_EQ(refusal("train-labels-idx1-ubyte", images_file(1)),
            "the labels must be u8[N], got u8[1,28,28]");
  EXPECT_EQ(refusal("t10k-images-idx3-ubyte", images_file(2, 27)),
            "the images must be u8[N,28,28], got u8[2,27,27]");
  EXPECT_EQ(refusal("t10k-images-idx3-ubyte", images_file(0)), "there are no images");
}

}  // namespace
}  // namespace taper::data

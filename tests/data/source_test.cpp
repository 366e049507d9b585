#include <taper/data/source.h>

#include <gtest/gtest.h>
#include <zip.h>

#include <cmath>

#include <taper/io/images.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

Examples load(const fs::path& path, const SourceOptions& options) {
  return DataSource::of(path.string()).load(path, options);
}

/// All inputs of a dataset, and all targets.
std::vector<Tensor> all_of(const AnyDataset& dataset) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < dataset->size(); ++i) indices.push_back(i);
  return read_batch(*dataset, indices);
}

/// Ten rows: x rises, the class changes in the middle.
std::string table_text() {
  std::string text = "x,noise,kind,price\n";
  for (int i = 0; i < 10; ++i) {
    text += std::to_string(i) + "," + std::to_string(i * 7 % 5) + "," +
            (i < 5 ? "\"low, end\"" : "high") + "," + std::to_string(100.5 + 2 * i) + "\n";
  }
  return text;
}

TEST(DataSource, IsFoundByNameOrByWhatIsThere) {
  const TemporaryFolder folder;
  EXPECT_EQ(DataSource::of("mnist").name, "mnist");
  EXPECT_EQ(DataSource::of(put(folder / "a.csv", "a\n1\n").string()).name, "table");
  EXPECT_TRUE(
      has(error_of(ErrorKind::not_found, [] { DataSource::of("minst"); }),
          "unknown dataset `minst`; there are: fashion-mnist, mnist; did you mean `mnist`?"));
  EXPECT_TRUE(has(error_of(ErrorKind::unsupported, [&] { DataSource::of(folder.path().string()); }),
                  "is no data that can be read; arrays: an .npz file"));
}

TEST(TableSource, StandardisesByItsTrainingPart) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "t.csv", table_text());
  const Examples examples = load(path, {.target = "kind", .drop = {"price"}, .validation = 0.3});
  EXPECT_EQ(examples.train->size(), 7);
  ASSERT_TRUE(examples.validation);
  EXPECT_EQ((*examples.validation)->size(), 3);
  EXPECT_FALSE(examples.test);
  EXPECT_EQ(examples.form.columns, (std::vector<std::string>{"x", "noise"}));
  EXPECT_EQ(examples.form.class_names, (std::vector<std::string>{"high", "low, end"}));
  EXPECT_EQ(examples.train->class_names(), examples.form.class_names);
  const std::vector<Tensor> train = all_of(examples.train);
  EXPECT_EQ(train[0].spec(), zeros({7, 2}).spec());
  EXPECT_EQ(train[1].dtype(), DType::i64);
  for (const double value : mean(train[0], 0).to_vector<double>()) EXPECT_NEAR(value, 0, 1e-6);
  const Tensor spread = std(train[0], 0, 0);
  for (const double value : spread.to_vector<double>()) EXPECT_NEAR(value, 1, 1e-6);
  // Each row once, in one part or the other, with its class.
  std::vector<bool> seen(10);
  for (const AnyDataset& part : {examples.train, *examples.validation}) {
    const std::vector<Tensor> rows = all_of(part);
    for (int64_t i = 0; i < part->size(); ++i) {
      const double standard = rows[0][{static_cast<int64_t>(i), 0}].item();
      const auto x = std::llround(standard * examples.form.deviation[0] + examples.form.mean[0]);
      EXPECT_FALSE(seen[static_cast<size_t>(x)]);
      seen[static_cast<size_t>(x)] = true;
      EXPECT_EQ(rows[1].to_vector<int64_t>()[static_cast<size_t>(i)], x < 5 ? 1 : 0);
    }
  }
  // The same again: the order depends on nothing else.
  EXPECT_EQ(load(path, {.target = "kind", .drop = {"price"}, .validation = 0.3}).train->digest(),
            examples.train->digest());
}

TEST(TableSource, PredictsNumbersInTheirOwnScale) {
  const TemporaryFolder folder;
  const Examples examples =
      load(put(folder / "t.csv", table_text()), {.target = "price", .drop = {"kind"}});
  EXPECT_FALSE(examples.has_classes);
  EXPECT_FALSE(examples.validation);
  const std::vector<Tensor> all = all_of(examples.train);
  EXPECT_EQ(all[1].shape(), (Shape{10, 1}));
  EXPECT_NEAR(examples.form.target_mean, 109.5, 1e-9);
  EXPECT_NEAR(std::sqrt(mean(square(all[1])).item()), 1, 1e-6);
  // Whole numbers of few values are classes, of many are numbers.
  EXPECT_TRUE(load(put(folder / "n.csv", "a,y\n1,0\n2,1\n3,0\n"), {.target = "y"}).has_classes);
  std::string many = "a,y\n";
  for (int i = 0; i < 30; ++i) many += "1," + std::to_string(i) + "\n";
  EXPECT_FALSE(load(put(folder / "m.csv", many), {.target = "y"}).has_classes);
}

TEST(TableSource, NamesClassesAsTheyAreWritten) {
  const TemporaryFolder folder;
  EXPECT_TRUE(has(error_of(ErrorKind::value,
                           [&] {
                             load(put(folder / "t.csv", "a,y\n1,2\n3,4\n"),
                                  {.target = "y", .drop = {"y"}});
                           }),
                  "the target `y` cannot be dropped"));
  const auto names = [&](const char* text) {
    return load(put(folder / "t.csv", text), {.target = "y"}).form.class_names;
  };
  EXPECT_EQ(names("a,y\n1,10\n2,02\n3,2\n4,-1\n"),
            (std::vector<std::string>{"-1", "02", "2", "10"}));
  EXPECT_EQ(names("a,y\n1,b\n2,10\n3,9\n"), (std::vector<std::string>{"10", "9", "b"}));
  EXPECT_TRUE(names("a,y\n1,0.5\n2,1\n").empty());
  EXPECT_TRUE(load(folder / "t.csv", {.target = "y", .task = "classes"}).has_classes);
  EXPECT_FALSE(load(put(folder / "u.csv", "a,y\n1,0\n2,1\n"), {.target = "y", .task = "numbers"})
                   .has_classes);
  for (const char* text : {"a,y\n1,b\n2,\n", "a,y\n1,\n2,b\n", "a,y\n1,1\n2,\n"}) {
    EXPECT_TRUE(has(error_of(ErrorKind::io, [&] { names(text); }), "the target is missing"))
        << text;
  }
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { names("big,y\n1e300,0\n-1e300,1\n"); }),
                  "the numbers of column `big` are too large to be standardised"));
}

TEST(TableSource, ReadsNewRowsInTheFormOfTheOldOnes) {
  const TemporaryFolder folder;
  const Examples examples =
      load(put(folder / "t.csv", table_text()), {.target = "kind", .drop = {"price"}});
  // Columns in another order, one more, no target.
  const Tensor rows = read_rows("more,noise,x\nwhat,2,4.5\n", "new", examples.form);
  EXPECT_EQ(rows.shape(), (Shape{1, 2}));
  EXPECT_NEAR(rows.to_vector<double>()[0], 0, 1e-6);
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { read_rows("x\n1\n", "new", examples.form); }),
            "new: there is no column `noise`; there are: x");
  EXPECT_EQ(
      error_of(ErrorKind::io, [&] { read_rows("x,noise\n1,2\n1e300,2\n", "new", examples.form); }),
      "new: line 3: column \"x\" holds a number that is too large");
  const DataSource& source = DataSource::get(examples.form.source);
  const AnyDataset again = source.read(folder / "t.csv", examples.form);
  EXPECT_EQ(again->size(), 10);
  const fs::path other = put(folder / "o.csv", "x,noise,kind\n1,2,middle\n");
  EXPECT_TRUE(has(error_of(ErrorKind::io, [&] { source.read(other, examples.form); }),
                  "line 2: there is no class \"middle\"; there are: high, low, end"));
}

TEST(TableSource, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "t.csv", table_text());
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { load(path, {}); }),
                  "which column is to be predicted (`target`)? There are: x, noise, kind, price"));
  EXPECT_TRUE(has(error_of(ErrorKind::io, [&] { load(path, {.target = "price"}); }),
                  "line 2: column \"kind\" must hold a finite number, got \"low, end\""));
  EXPECT_TRUE(has(error_of(ErrorKind::not_found, [&] { load(path, {.target = "cost"}); }),
                  "there is no column `cost`"));
  EXPECT_TRUE(has(error_of(ErrorKind::value,
                           [&] { load(put(folder / "one.csv", "a,y\n1,2\n"), {.target = "y"}); }),
                  "fewer than 2 rows"));
}

/// `count` pictures of one colour in a folder.
void put_pictures(const fs::path& folder, int count, int64_t side, uint8_t grey, int64_t channels) {
  fs::create_directories(folder);
  for (int i = 0; i < count; ++i) {
    const Tensor picture = full({channels, side, side}, static_cast<int64_t>(grey), DType::u8);
    put(folder / (std::to_string(i) + ".png"), encode_png(picture));
  }
}

TEST(PictureSource, ReadsAFolderForEachClass) {
  const TemporaryFolder folder;
  put_pictures(folder / "set" / "dark", 5, 12, 10, 1);
  put_pictures(folder / "set" / "light", 3, 12, 200, 3);
  fs::create_directories(folder / "set" / ".cache");
  put(folder / "set" / "dark" / "notes.txt", "mine");
  const Examples examples = load(folder / "set", {});
  EXPECT_EQ(examples.form.class_names, (std::vector<std::string>{"dark", "light"}));
  EXPECT_EQ(examples.form.picture, (std::vector<int64_t>{3, 12, 12}));
  EXPECT_EQ(examples.train->size(), 8);
  const std::vector<Tensor> all = all_of(examples.train);
  const auto labels = all[1].to_vector<int64_t>();
  EXPECT_EQ(std::ranges::count(labels, 1), 3);
  EXPECT_FALSE(std::ranges::is_sorted(labels));
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_NEAR((all[0][{static_cast<int64_t>(i), 2, 5, 5}].item()),
                (labels[static_cast<size_t>(i)] == 1 ? 200 : 10) / 255.0, 1e-6);
  }
  EXPECT_EQ(load(folder / "set", {.picture_size = 16}).form.picture,
            (std::vector<int64_t>{3, 16, 16}));
}

TEST(PictureSource, TakesPartsAsTheyAreAndResizes) {
  const TemporaryFolder folder;
  for (const char* part : {"train", "val", "test"}) {
    put_pictures(folder / "set" / part / "a", 4, 120, 10, 1);
    put_pictures(folder / "set" / part / "b", 4, 130, 200, 1);
  }
  const Examples examples = load(folder / "set", {});
  EXPECT_EQ(examples.form.picture, (std::vector<int64_t>{1, 64, 64}));
  ASSERT_TRUE(examples.validation && examples.test);
  EXPECT_EQ((*examples.test)->size(), 8);
  const AnyDataset again =
      DataSource::get(examples.form.source).read(folder / "set" / "test", examples.form);
  EXPECT_EQ(again->digest(), (*examples.test)->digest());
  put_pictures(folder / "set" / "test" / "c", 1, 12, 9, 1);
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { load(folder / "set", {}); }),
                  "test/c: there is no such class in the training data"));
}

TEST(PictureSource, AClassMayHaveTheNameOfAPart) {
  const TemporaryFolder folder;
  put_pictures(folder / "set" / "car", 2, 12, 10, 1);
  put_pictures(folder / "set" / "train", 2, 12, 200, 1);
  EXPECT_EQ(load(folder / "set", {}).form.class_names, (std::vector<std::string>{"car", "train"}));
}

TEST(PictureSource, SaysWhatIsWrong) {
  const TemporaryFolder folder;
  put_pictures(folder / "set" / "a", 2, 12, 10, 1);
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { load(folder / "set", {}); }),
                  "pictures of at least two classes are needed"));
  put_pictures(folder / "set" / "b", 2, 12, 10, 1);
  put(folder / "set" / "b" / "bad.jpg", "no picture");
  EXPECT_TRUE(has(error_of(ErrorKind::io, [&] { load(folder / "set", {}); }), "b/bad.jpg"));
}

/// An array as NumPy stores it.
template <class T>
std::string npy(const std::string& type, const std::string& shape, const std::vector<T>& values) {
  const std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) + '\0' + header +
         std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

fs::path put_npz(const fs::path& path,
                 const std::vector<std::pair<std::string, std::string>>& all) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const auto& [name, bytes] : all) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    zip_file_add(archive, (name + ".npy").c_str(), source, 0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  return path;
}

TEST(ArraysSource, TakesXAndYApart) {
  const TemporaryFolder folder;
  std::vector<float> x;
  std::vector<int64_t> y;
  for (int i = 0; i < 10; ++i) {
    x.insert(x.end(), {static_cast<float>(i), 7});
    y.push_back(i % 3);
  }
  const fs::path path = put_npz(folder / "a.npz", {{"x", npy<float>("<f4", "10, 2", x)},
                                                   {"y", npy<int64_t>("<i8", "10,", y)}});
  const Examples examples = load(path, {.validation = 0.2});
  EXPECT_EQ(examples.train->size(), 8);
  EXPECT_EQ((*examples.validation)->size(), 2);
  EXPECT_EQ(examples.form.class_names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(examples.form.deviation[1], 1);  // of a constant column
  EXPECT_NEAR(mean(all_of(examples.train)[0]).item(), 0, 1e-6);
  EXPECT_EQ(DataSource::get(examples.form.source).read(path, examples.form)->size(), 10);
}

TEST(ArraysSource, TakesPicturesAndPartsAsKerasStoresThem) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> x(4 * 5 * 6 * 3, 51);
  const std::vector<uint8_t> y{0, 1, 0, 1};
  const std::string pictures = npy<uint8_t>("|u1", "4, 5, 6, 3", x);
  const std::string labels = npy<uint8_t>("|u1", "4,", y);
  const Examples examples = load(
      put_npz(
          folder / "a.npz",
          {{"x_train", pictures}, {"y_train", labels}, {"x_test", pictures}, {"y_test", labels}}),
      {});
  EXPECT_EQ(examples.form.picture, (std::vector<int64_t>{3, 5, 6}));
  ASSERT_TRUE(examples.test);
  EXPECT_NEAR(all_of(*examples.test)[0].to_vector<double>()[0], 0.2, 1e-6);
  const auto fault = [&](const std::vector<std::pair<std::string, std::string>>& arrays,
                         ErrorKind kind) {
    return error_of(kind, [&] { load(put_npz(folder / "b.npz", arrays), {}); });
  };
  EXPECT_TRUE(has(fault({{"a", labels}}, ErrorKind::value), "there is neither x and y nor"));
  EXPECT_TRUE(has(fault({{"x", pictures}}, ErrorKind::value), "there is x without y"));
  EXPECT_TRUE(has(fault({{"x", pictures}, {"y", pictures}}, ErrorKind::shape),
                  "x must be [N,...] and y [N], got u8[4,5,6,3] and u8[4,5,6,3]"));
}

TEST(ArraysSource, RefusesPartsOfAnotherKind) {
  const TemporaryFolder folder;
  using Arrays = std::vector<std::pair<std::string, std::string>>;
  const auto fault = [&](const Arrays& changed, ErrorKind kind) {
    Arrays arrays{{"x_train", npy<float>("<f4", "4, 2", {1, 2, 3, 4, 5, 6, 7, 9})},
                  {"y_train", npy<int64_t>("<i8", "4,", {0, 1, 0, 1})},
                  {"x_test", npy<float>("<f4", "2, 2", {1, 2, 3, 4})},
                  {"y_test", npy<int64_t>("<i8", "2,", {0, 1})}};
    for (const auto& [name, bytes] : changed) {
      for (auto& array : arrays) {
        if (array.first == name) array.second = bytes;
      }
    }
    return error_of(kind, [&] { load(put_npz(folder / "b.npz", arrays), {}); });
  };
  const float nan = std::nanf("");
  EXPECT_TRUE(has(fault({{"y_test", npy<int64_t>("<i8", "2,", {0, 5})}}, ErrorKind::value),
                  "b.npz: y_test[1] is 5, there are the classes 0 to 1"));
  EXPECT_TRUE(has(fault({{"y_test", npy<int64_t>("<i8", "2,", {-1, 0})}}, ErrorKind::value),
                  "y_test[0] is -1"));
  EXPECT_TRUE(has(fault({{"y_test", npy<float>("<f4", "2,", {0.9f, 1})}}, ErrorKind::dtype),
                  "y_test must hold class numbers as the training data do, is f32"));
  EXPECT_TRUE(
      has(fault({{"x_test", npy<uint8_t>("|u1", "2, 1, 2", {1, 2, 3, 4})}}, ErrorKind::dtype),
          "x_test u8[2,1,2] holds pictures of bytes, the training data do not"));
  EXPECT_TRUE(has(fault({{"x_test", npy<float>("<f4", "2, 1", {1, 2})}}, ErrorKind::shape),
                  "x_test f32[2,1] must be [N,2]"));
  EXPECT_TRUE(has(fault({{"x_test", npy<float>("<f4", "2, 2", {1, 2, nan, 4})}}, ErrorKind::io),
                  "x_test[1,0] must be a finite number, is nan"));
  EXPECT_TRUE(has(fault({{"x_test", npy<double>("<f8", "2, 2", {1, 1e300, 3, 4})}}, ErrorKind::io),
                  "x_test standardised[0,1] must be a finite number, is inf"));
  EXPECT_TRUE(
      has(fault({{"x_train", npy<double>("<f8", "4, 2", {1, 1e300, 3, -1e300, 5, 6, 7, 9})}},
                ErrorKind::value),
          "the numbers of x_train are too large to be standardised"));
}

TEST(ArraysSource, TakesBoolsForClassesAndFourChannelsForPictures) {
  const TemporaryFolder folder;
  const Examples examples =
      load(put_npz(folder / "a.npz",
                   {{"x", npy<uint8_t>("|u1", "4, 5, 6, 4", std::vector<uint8_t>(480, 51))},
                    {"y", npy<uint8_t>("|b1", "4,", {0, 1, 1, 0})}}),
           {});
  EXPECT_EQ(examples.form.picture, (std::vector<int64_t>{4, 5, 6}));
  EXPECT_EQ(examples.form.class_names, (std::vector<std::string>{"0", "1"}));
  EXPECT_TRUE(examples.has_classes);
  EXPECT_TRUE(has(error_of(ErrorKind::shape,
                           [&] {
                             const std::vector<uint8_t> bytes(500, 51);
                             load(put_npz(folder / "b.npz",
                                          {{"x", npy<uint8_t>("|u1", "4, 5, 5, 5", bytes)},
                                           {"y", npy<uint8_t>("|b1", "4,", {0, 1, 1, 0})}}),
                                  {});
                           }),
                  "x u8[4,5,5,5] must hold pictures of at most four channels"));
  const Tensor inputs = read_array(folder / "a.npz", examples.form);
  EXPECT_EQ(inputs.shape(), Shape({4, 4, 5, 6}));
  EXPECT_NEAR(inputs.to_vector<double>()[0], 0.2, 1e-6);
}

TEST(PictureSource, LooksIntoFoldersOfAClass) {
  const TemporaryFolder folder;
  for (const char* name : {"a/1.png", "a/more/deep/2.jfif", "b/3.png"}) {
    fs::create_directories((folder / "set" / name).parent_path());
    put(folder / "set" / name, encode_png(full({1, 8, 8}, 9, DType::u8)));
  }
  EXPECT_EQ(load(folder / "set", {}).train->size(), 3);
  fs::create_directories(folder / "set" / "c" / "deep");
  put(folder / "set" / "c" / "deep" / "4.png", encode_png(full({1, 8, 8}, 9, DType::u8)));
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { load(folder / "set", {}); }),
                  "c: its pictures are in folders below it only"));
  EXPECT_EQ(picture_files({(folder / "set" / "a").string()}).size(), 2u);
  fs::create_directory(folder / "empty");
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { picture_files({(folder / "empty").string()}); }),
                  "there are no pictures in it"));
}

TEST(PictureSource, KnowsPartsByTheirOtherNames) {
  const TemporaryFolder folder;
  for (const char* part : {"Training", "TEST", "Valid"}) {
    for (const char* kind : {"a", "b"}) {
      fs::create_directories(folder / "set" / part / kind);
      put(folder / "set" / part / kind / "0.png", encode_png(full({1, 8, 8}, 9, DType::u8)));
    }
  }
  const Examples examples = load(folder / "set", {});
  EXPECT_EQ(examples.form.class_names, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(examples.test);
  EXPECT_TRUE(examples.validation);
  fs::remove_all(folder / "set" / "TEST");
  fs::create_directory(folder / "set" / "test");
  put(folder / "set" / "test" / "0.png", encode_png(full({1, 8, 8}, 9, DType::u8)));
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { load(folder / "set", {}); }),
                  "set/test: its pictures are in no folders of classes"));
}

TEST(DataSource, ReadsNewDataOfItsKindOnly) {
  const TemporaryFolder folder;
  const fs::path table = put(folder / "t.csv", "a,y\n1,2\n");
  for (const char* kind : {"pictures", "arrays"}) {
    EXPECT_TRUE(
        has(error_of(ErrorKind::unsupported, [&] { DataSource::get(kind).read(table, {}); }),
            "the model takes data of the kind it was trained on, a"));
  }
  EXPECT_TRUE(has(error_of(ErrorKind::not_found,
                           [&] { DataSource::get("table").read(folder / "none.csv", {}); }),
                  "there is no "));
}

}  // namespace
}  // namespace taper::data

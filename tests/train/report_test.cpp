#include <taper/train/report/mosaic.h>
#include <taper/train/report/report.h>

#include <gtest/gtest.h>

#include <stdlib.h>
#include <limits>

#include <cmath>

#include <taper/core/parse_fields.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/report/report_data.h>
#include <taper/train/report/summary.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::TemporaryFolder;

data::TensorDataset images() {
  Generator generator(3);
  const Tensor pixels = astype(uniform({12, 1, 8, 8}, 0, 256, DType::f32, &generator), DType::u8);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 12; ++i) labels.push_back(i % 3);
  return data::TensorDataset({{pixels, {.scale = 1 / 255.f}}, from_values<int64_t>({12}, labels)},
                             {.class_names = {"<b>cat", "dog & co", "100% it's"}});
}

/// A short training and what a report tells of it.
ReportInput trained() {
  manual_seed(1);
  nn::Sequential net{nn::Conv2d(1, 4, 3), nn::ReLU(), nn::Flatten(), nn::Linear(144, 3)};
  Trainer trainer(
      net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam(), .metrics = {"accuracy"}});
  const History history = trainer.fit(images(), {.epochs = 2, .verbose = false});
  return {.model = net,
          .info = {.name = "net",
                   .data = "pictures",
                   .inputs = {{.name = "x", .shape = {1, 8, 8}}},
                   .input_scale = 1 / 255.0,
                   .class_names = images().class_names()},
          .history = history,
          .run = {},
          .test = trainer.evaluate(images()),
          .data = images()};
}

/// Without the programs of the system while it lives.
struct NoPrograms {
  NoPrograms() { setenv("PATH", "/nowhere", 1); }
  ~NoPrograms() { setenv("PATH", before.c_str(), 1); }
  std::string before = getenv("PATH");
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

TEST(Report, TellsOfAnImageClassifier) {
  const TemporaryFolder folder;
  const WrittenReport written = write_report(folder.path(), trained());
  EXPECT_EQ(written.remark, "");
  EXPECT_EQ(written.files.size(), report_files.size() - 2 + 3);  // no regression; curves
  for (const std::string& file : written.files) EXPECT_TRUE(fs::exists(folder / file)) << file;
  const std::string html = content_of(folder / "report.html");
  for (const char* title : {"Results", "How it was made", "Learning", "Classes", "Confusion matrix",
                            "Mistakes", "Calibration", "First layer", "Feature maps", "Layers"}) {
    EXPECT_TRUE(has(html, std::string("<h2>") + title + "</h2>")) << title;
  }
  EXPECT_TRUE(has(html, "&lt;b&gt;cat"));
  EXPECT_TRUE(has(html, "dog &amp; co"));
  EXPECT_FALSE(has(html, "<b>cat"));
  EXPECT_FALSE(has(html, "http"));
  EXPECT_FALSE(has(html, "<script"));
  for (const char* name : {"curve-loss.svg", "confusion.svg", "calibration.svg", "mistakes.png",
                           "filters.png", "example.png", "feature_maps.png"}) {
    EXPECT_GT(fs::file_size(folder / "figures" / name), 50u) << name;
  }
  EXPECT_TRUE(has(content_of(folder / "figures" / "confusion.svg"), "&lt;b"));
  EXPECT_TRUE(has(content_of(folder / "figures" / "confusion.svg"), "100% it"));
  EXPECT_FALSE(has(content_of(folder / "figures" / "confusion.svg"), "<b>cat"));
}

TEST(Report, DoesNotRunTheUsersGnuplotFile) {
  const TemporaryFolder folder;
  const TemporaryFolder home;
  testing::put(home / ".gnuplot", "exit status 3\n");
  const std::string before = getenv("HOME") != nullptr ? getenv("HOME") : "";
  setenv("HOME", home.path().c_str(), 1);
  const std::string remark = write_report(folder.path(), trained()).remark;
  setenv("HOME", before.c_str(), 1);
  EXPECT_EQ(remark, "");
}

TEST(Report, KeepsItsTablesWithoutGnuplot) {
  const TemporaryFolder folder;
  const ReportInput input = trained();
  const NoPrograms none;
  EXPECT_EQ(write_report(folder.path(), input).remark,
            "gnuplot is missing or failed: the report has no curves");
  const std::string html = content_of(folder / "report.html");
  EXPECT_TRUE(has(html, "<th>precision</th>"));
  EXPECT_TRUE(has(html, "<th>val_loss</th>") || has(html, "<th>loss</th>"));
  EXPECT_TRUE(has(html, "gnuplot is missing or failed")) << html;
  EXPECT_FALSE(fs::exists(folder / "figures" / "curve-loss.svg"));
  EXPECT_TRUE(fs::exists(folder / "figures" / "mistakes.png"));
}

TEST(Report, LeavesOutWhatARegressionDoesNotHave) {
  const TemporaryFolder folder;
  nn::Linear net(3, 1);
  const data::TensorDataset data({ones({6, 3}), zeros({6, 1})});
  Trainer trainer(net, {.loss = nn::MSELoss(), .optimizer = optim::SGD()});
  const History history = trainer.fit(data, {.verbose = false});
  write_report(folder.path(),
               {.model = net,
                .info = {.name = "line", .data = "table", .inputs = {{.name = "x", .shape = {3}}}},
                .history = history,
                .run = {},
                .test = trainer.evaluate(data),
                .data = data});
  const std::string html = content_of(folder / "report.html");
  for (const char* title :
       {"Classes", "Confusion matrix", "Mistakes", "Calibration", "First layer", "Feature maps"}) {
    EXPECT_FALSE(has(html, std::string("<h2>") + title)) << title;
  }
  EXPECT_TRUE(has(html, "<h2>Layers</h2>"));
  EXPECT_TRUE(has(html, "<h2>Predictions</h2>"));
  EXPECT_TRUE(fs::exists(folder / "figures" / "predictions.svg"));
  EXPECT_TRUE(fs::exists(folder / "figures" / "residuals.svg"));
}

TEST(Report, IsWrittenAgainAndWithoutHistory) {
  const TemporaryFolder folder;
  ReportInput input = trained();
  write_report(folder.path(), input);
  testing::put(folder / "figures" / "mine.svg", "mine");
  {
    const NoPrograms none;
    write_report(folder.path(), input);
  }
  EXPECT_FALSE(fs::exists(folder / "figures" / "curve-loss.svg"));
  EXPECT_TRUE(fs::exists(folder / "figures" / "mine.svg"));
  input.history = {};
  write_report(folder.path(), input);
  EXPECT_FALSE(has(content_of(folder / "report.html"), "<h2>Learning</h2>"));
}

TEST(Report, NamesTheFileOfACurveSafely) {
  EXPECT_EQ(curve_file("val_loss"), "figures/curve-val_loss.svg");
  EXPECT_EQ(curve_file("../a b%"), "figures/curve-___a_b_.svg");
}

TEST(Report, MeasuresCalibrationAsItIsDefined) {
  // Logits that give the class 0 the probability 0.75 for all four examples, of which two are of
  // it: one bin, confidence 0.75, accuracy 0.5, error 0.25.
  struct Constant : nn::Layer<Constant> {
    Tensor forward(const Tensor& x) const {
      const Tensor logits = from_values<float>({1, 2}, std::vector<float>{std::log(3.f), 0});
      return broadcast_to(logits, {x.size(0), 2});
    }
  };
  const data::TensorDataset data({ones({4, 1}), tensor<int64_t>({0, 1, 0, 1})});
  const auto facts = classifier_facts({.model = Constant(),
                                       .info = {.name = "", .data = ""},
                                       .history = {},
                                       .run = {},
                                       .test = {.outputs = {Task::classes, OutputScale::logits}},
                                       .data = data},
                                      10);
  ASSERT_TRUE(facts);
  EXPECT_NEAR(facts->expected_calibration_error, 0.25, 1e-6);
  EXPECT_EQ(facts->bins[7].examples, 4);
  ASSERT_EQ(facts->mistakes.size(), 2u);
  EXPECT_EQ(facts->mistakes[1].example, 3);
  EXPECT_NEAR(facts->mistakes[0].probability, 0.75, 1e-6);
}

TEST(Summary, ListsLayersWithinLayers) {
  const nn::Sequential net{nn::Sequential{nn::Linear(3, 4), nn::ReLU()}, nn::Linear(4, 2)};
  const ModelSummary summary = summarize(net, zeros({1, 3}));
  ASSERT_EQ(summary.layers.size(), 3u);
  EXPECT_EQ(summary.layers[0].path, "0.0");
  EXPECT_EQ(summary.layers[0].type, "Linear");
  EXPECT_EQ(summary.layers[0].parameters, 16);
  EXPECT_EQ(summary.layers[1].type, "ReLU");
  EXPECT_EQ(to_string(summary.layers[2].outputs), "f32[1,2]");
  EXPECT_EQ(summary.parameters, 26);
  EXPECT_EQ(summary.parameter_bytes, 104);
  EXPECT_EQ(summary.output_bytes, 4 * (4 + 4 + 2));
  EXPECT_TRUE(has(to_string(summary), "26 parameters"));
}

TEST(Summary, ColumnsStayApart) {
  const nn::Sequential net{nn::MultiheadAttention(16, 4)};
  const std::string text = to_string(summarize(net, std::vector<Tensor>(3, zeros({2, 5, 16}))));
  const size_t row = text.find('\n') + 1;
  EXPECT_TRUE(has(text, "MultiheadAttention  f32["));
  EXPECT_EQ(text.find("f32[") - row, text.find("output"));
}

struct TwoHeads : nn::Layer<TwoHeads> {
  Tensor forward(const Tensor& x) { return first(x) + second(x) * scale.value(); }
  nn::Linear first = child("first", nn::Linear(3, 2));
  nn::Linear second = child("second", nn::Linear(3, 2));
  nn::Parameter scale = parameter("scale", ones({1}));
};

TEST(Summary, NamesTheClassesOfAModuleOfOnesOwn) {
  const ModelSummary summary = summarize(TwoHeads(), zeros({1, 3}));
  ASSERT_EQ(summary.layers.size(), 3u);
  EXPECT_EQ(summary.layers[0].path + " " + summary.layers[0].type, "first Linear");
  EXPECT_EQ(summary.layers[1].path + " " + summary.layers[1].type, "second Linear");
  EXPECT_EQ(summary.layers[2].path + " " + summary.layers[2].type, " TwoHeads");
  EXPECT_EQ(summarize(clone(TwoHeads()), zeros({1, 3})).layers[1].type, "Linear");
}

TEST(Mosaic, StretchesEachTileAndDrawsLinesBetween) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor tiles = from_values<float>({3, 1, 2}, std::vector<float>{-1, 3, 7, 7, 0, nan});
  const Tensor picture = mosaic(tiles, 2, 1, 9);
  EXPECT_EQ(picture.shape(), (Shape{3, 5}));
  EXPECT_EQ(picture.to_vector<int64_t>(),
            (std::vector<int64_t>{0, 255, 9, 128, 128, 9, 9, 9, 9, 9, 128, 0, 9, 9, 9}));
}

TEST(Mosaic, KeepsColoursAndEnlarges) {
  const Tensor tile = from_values<float>({1, 3, 1, 1}, std::vector<float>{0, 1, 2});
  const Tensor picture = mosaic(tile, 8, 2);
  EXPECT_EQ(picture.shape(), (Shape{3, 2, 2}));
  EXPECT_EQ(picture.to_vector<int64_t>(),
            (std::vector<int64_t>{0, 0, 0, 0, 128, 128, 128, 128, 255, 255, 255, 255}));
}

TEST(Report, ShowsLongNamesWholeWhereThePointerIs) {
  const TemporaryFolder folder;
  ReportInput input = trained();
  const std::string name = "a class whose name is of eighty-three letters " + std::string(37, 'x');
  input.test.class_names[0] = name;
  write_report(folder.path(), input);
  const std::string html = content_of(folder / "report.html");
  const size_t matrix = html.find("<h2>Confusion matrix</h2>");
  ASSERT_NE(matrix, html.npos);
  EXPECT_NE(html.find("title=\"" + name + "\"", matrix), html.npos);
  EXPECT_TRUE(has(html, "a class whose name is of ei…"));
  EXPECT_TRUE(has(html, "color: white"));  // the figures of dark cells
}

TEST(Report, DrawsTheFirstEpochWithin) {
  const TemporaryFolder folder;
  ReportInput input = trained();
  RunOrigin origin;
  origin.first_epoch_at = {0.25, 0.5, 0.75};
  origin.first_epoch_loss = {1.2, 1.1, 1.0};
  origin.training_examples = 12;
  input.run.made = to_fields(origin);
  EXPECT_EQ(write_report(folder.path(), input).remark, "");
  EXPECT_TRUE(has(content_of(folder / "figures" / "curve-loss.svg"), "within the first epoch"));
  EXPECT_TRUE(has(content_of(folder / "report.html"), "<td>training examples</td><td>12</td>"));
}

TEST(Report, SaysWhyFiltersOfOnePixelAreNotShown) {
  const TemporaryFolder folder;
  ReportInput input = trained();
  input.model = nn::Sequential{nn::Conv2d(1, 4, 1), nn::Flatten(), nn::Linear(256, 3)};
  write_report(folder.path(), input);
  EXPECT_TRUE(has(content_of(folder / "report.html"), "Its filters are of one pixel"));
}

TEST(Report, WritesInAFolderWhoseNameIsACommand) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::create_directories(folder / "|touch here;");
  fs::create_directories(folder / "~");
  fs::current_path(folder.path());
  for (const char* name : {"|touch here;", "~"}) {
    EXPECT_EQ(write_report(name, trained()).remark, "") << name;
    EXPECT_TRUE(fs::exists(fs::path(name) / "figures" / "curve-loss.svg")) << name;
  }
  fs::current_path(before);
  EXPECT_FALSE(fs::exists(folder / "here"));
}

TEST(Mosaic, FramesTilesInWhite) {
  const Tensor picture = mosaic(zeros({2, 2, 2}), 2, 1, 9, 6, 2);
  EXPECT_EQ(picture.shape(), Shape({2, 10}));
  EXPECT_EQ(slice(picture, 0, 0, 1).to_vector<int>(),
            (std::vector<int>{128, 128, 255, 255, 9, 9, 255, 255, 128, 128}));
}

}  // namespace
}  // namespace taper

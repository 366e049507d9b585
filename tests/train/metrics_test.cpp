#include <taper/train/metrics.h>

#include <gtest/gtest.h>

#include <taper/ops/ops.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::error_of;

ConfusionMatrix counted(int64_t classes, const std::vector<int64_t>& truth,
                        const std::vector<int64_t>& predicted) {
  ConfusionMatrix matrix(classes);
  const Shape shape{static_cast<int64_t>(truth.size())};
  matrix.add(from_values<int64_t>(shape, truth), from_values<int64_t>(shape, predicted));
  return matrix;
}

// The example of scikit-learn's documentation of classification_report:
// https://scikit-learn.org/stable/modules/generated/sklearn.metrics.classification_report.html
TEST(Metrics, AgreesWithTheReportOfScikitLearn) {
  const ConfusionMatrix matrix = counted(3, {0, 1, 2, 2, 2}, {0, 0, 2, 2, 1});
  const std::vector<ClassScores> scores = matrix.scores();
  EXPECT_DOUBLE_EQ(scores[0].precision, 0.5);
  EXPECT_DOUBLE_EQ(scores[0].recall, 1);
  EXPECT_DOUBLE_EQ(scores[0].f1, 2.0 / 3);
  EXPECT_EQ(scores[0].support, 1);
  EXPECT_EQ(scores[1].precision, 0);
  EXPECT_EQ(scores[1].recall, 0);
  EXPECT_EQ(scores[1].f1, 0);
  EXPECT_EQ(scores[1].support, 1);
  EXPECT_DOUBLE_EQ(scores[2].precision, 1);
  EXPECT_DOUBLE_EQ(scores[2].recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(scores[2].f1, 0.8);
  EXPECT_EQ(scores[2].support, 3);
  EXPECT_NEAR(matrix.macro_average().precision, 0.50, 0.005);
  EXPECT_NEAR(matrix.macro_average().recall, 0.56, 0.005);
  EXPECT_NEAR(matrix.macro_average().f1, 0.49, 0.005);
  EXPECT_EQ(matrix.macro_average().support, 5);
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 0.6);
}

// The macro averages in the documentation of precision_score, recall_score and f1_score.
TEST(Metrics, NamedOnesAgreeWithScikitLearn) {
  const ConfusionMatrix matrix = counted(3, {0, 1, 2, 0, 1, 2}, {0, 2, 1, 0, 0, 1});
  EXPECT_DOUBLE_EQ(Metric::get("precision")(matrix), 2.0 / 9);
  EXPECT_DOUBLE_EQ(Metric::get("recall")(matrix), 1.0 / 3);
  EXPECT_DOUBLE_EQ(Metric::get("f1")(matrix), 0.8 / 3);
  EXPECT_DOUBLE_EQ(Metric::get("accuracy")(matrix), 1.0 / 3);
}

TEST(Metrics, ZeroDivisionsGiveZero) {
  const ConfusionMatrix empty(2);
  EXPECT_EQ(empty.accuracy(), 0);
  EXPECT_EQ(empty.macro_average().f1, 0);
  EXPECT_EQ(ConfusionMatrix().macro_average().precision, 0);
}

TEST(Metrics, CountsTrueClassesInRows) {
  const ConfusionMatrix matrix = counted(2, {0, 0, 0, 1}, {0, 1, 1, 0});
  EXPECT_EQ(matrix(0, 0), 1);
  EXPECT_EQ(matrix(0, 1), 2);
  EXPECT_EQ(matrix(1, 0), 1);
  EXPECT_EQ(matrix(1, 1), 0);
  EXPECT_EQ(matrix.total(), 4);
}

TEST(Metrics, RefusesLabelsOutsideTheClasses) {
  EXPECT_EQ(error_of(ErrorKind::value, [] { counted(2, {0, 1, 2}, {0, 0, 0}); }),
            "confusion matrix: label 2 at row 2 is out of range for 2 classes");
  EXPECT_EQ(error_of(ErrorKind::value, [] { counted(2, {-1}, {0}); }),
            "confusion matrix: label -1 at row 0 is out of range for 2 classes");
  EXPECT_EQ(find_bad_label(from_values<int64_t>({2, 2}, std::vector<int64_t>{0, 1, 1, 7}), 2),
            "label 7 at row 1");
}

TEST(Metrics, RefusesClassesThatThereAreNot) {
  const ConfusionMatrix matrix = counted(2, {0}, {1});
  EXPECT_EQ(error_of(ErrorKind::value, [&] { matrix(-1, 3); }),
            "confusion matrix: -1 is out of range for 2 classes");
  EXPECT_EQ(error_of(ErrorKind::value, [&] { matrix.scores(2); }),
            "confusion matrix: 2 is out of range for 2 classes");
  EXPECT_EQ(error_of(ErrorKind::value, [] { ConfusionMatrix(int64_t{1} << 40); }),
            "confusion matrix: the number of classes must be in [0, 16384], got 1099511627776");
}

TEST(Metrics, UnknownNameListsThem) {
  EXPECT_EQ(error_of(ErrorKind::not_found, [] { Metric::get("acuracy"); }),
            "unknown metric `acuracy`; there are: accuracy, f1, precision, recall; did you mean "
            "`accuracy`?");
}

}  // namespace
}  // namespace taper

#include <taper/train/metrics/metrics.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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
  EXPECT_EQ(error_of(ErrorKind::not_found, [] { AnyMetric("acuracy"); }),
            "unknown metric `acuracy`; there are: accuracy, auc, f1, log_loss, mae, mse, "
            "perplexity, precision, r2, recall, rmse, top_k_accuracy; did you mean `accuracy`?");
}

/// What make_metrics_golden.py wrote: outputs, targets and scikit-learn's numbers for them.
struct GoldenCase {
  std::string name;
  OutputMeaning meaning;
  Tensor output;
  Tensor target;
  Fields numbers;
};

Tensor tensor_of(const Value& value, const Shape& shape, DType dtype) {
  std::vector<double> numbers;
  if (const auto* reals = value.get_if<Value::Reals>()) numbers = *reals;
  if (const auto* integers = value.get_if<Value::Integers>()) {
    numbers.assign(integers->begin(), integers->end());
  }
  return astype(from_values(shape, numbers), dtype);
}

std::vector<GoldenCase> golden_cases() {
  const std::string file = std::string(TAPER_SOURCE_DIR) + "/tests/train/metrics_golden.json";
  const Value all = parse_json(testing::content_of(file));
  std::vector<GoldenCase> cases;
  for (const Value& each : *all.get_if<Value::List>()) {
    const auto shape_of = [&](const char* key) {
      Shape shape;
      for (const int64_t size : *each.find(key)->get_if<Value::Integers>()) shape.push_back(size);
      return shape;
    };
    const Task task = FieldCodec<Task>::from_value(*each.find("task"));
    const bool numbers = task == Task::regression;
    cases.push_back(
        {.name = *each.find("name")->get_if<std::string>(),
         .meaning = {task, FieldCodec<OutputScale>::from_value(*each.find("scale"))},
         .output = tensor_of(*each.find("output"), shape_of("output_shape"), DType::f64),
         .target = tensor_of(*each.find("target"), shape_of("target_shape"),
                             numbers ? DType::f64 : DType::i64),
         .numbers = *each.find("numbers")->get_if<Fields>()});
  }
  return cases;
}

/// The metric by the name that it has in the history.
AnyMetric metric_named(const std::string& name) {
  if (name == "top_2_accuracy") return metrics::TopKAccuracy(2);
  return AnyMetric(name);
}

TEST(MetricsGolden, AgreeWithScikitLearn) {
  const std::vector<GoldenCase> cases = golden_cases();
  ASSERT_GE(cases.size(), 10u);
  for (const GoldenCase& c : cases) {
    ASSERT_FALSE(c.numbers.empty());
    for (const auto& [name, wanted] : c.numbers) {
      const auto metric = metric_named(name)->fresh();
      EXPECT_EQ(metric->refusal(c.meaning), "") << name;
      metric->update(Measured(c.meaning, c.output, c.target));
      EXPECT_NEAR(metric->value(), *wanted.get_if<double>(), 1e-12) << c.name << ": " << name;
    }
  }
}

/// In batches of seven, of which one goes through a checkpoint and half are merged.
TEST(MetricsGolden, DoNotDependOnTheBatches) {
  for (const GoldenCase& c : golden_cases()) {
    for (const auto& [name, wanted] : c.numbers) {
      const AnyMetric kind = metric_named(name);
      auto first = kind->fresh();
      const auto second = kind->fresh();
      const int64_t rows = c.output.size(0);
      for (int64_t row = 0; row < rows; row += 7) {
        const int64_t end = std::min(rows, row + 7);
        const Measured batch(c.meaning, slice(c.output, 0, row, end), slice(c.target, 0, row, end));
        (row < rows / 2 ? first : second)->update(batch);
        if (row != 7) continue;
        const Fields state = *parse_json(to_json(Value(first->state()))).get_if<Fields>();
        first = kind->fresh();
        first->load_state(state);
      }
      first->merge(*second);
      EXPECT_NEAR(first->value(), *wanted.get_if<double>(), 1e-12) << c.name << ": " << name;
    }
  }
}

TEST(Metrics, AreZeroOfNothing) {
  for (const MetricFactory* factory : MetricFactory::all()) {
    EXPECT_EQ(factory->make({})->value(), 0) << factory->name;
  }
}

TEST(Metrics, AreForgottenByReset) {
  for (const GoldenCase& c : golden_cases()) {
    const auto metric = metric_named(c.numbers.front().first)->fresh();
    metric->update(Measured(c.meaning, c.output, c.target));
    metric->reset();
    EXPECT_EQ(metric->state(), metric->fresh()->state());
  }
}

TEST(Metrics, MergeOnlyTheirLike) {
  EXPECT_EQ(error_of(ErrorKind::value, [] { metrics::Accuracy().merge(metrics::TopKAccuracy(5)); }),
            "accuracy: only one of the same type and options can be merged");
  EXPECT_EQ(
      error_of(ErrorKind::value, [] { metrics::TopKAccuracy(1).merge(metrics::TopKAccuracy(2)); }),
      "top_k_accuracy: only one of the same type and options can be merged");
}

TEST(Metrics, RefuseAStateThatTheyDidNotGive) {
  const auto refusal = [](const char* name, const Fields& state) {
    return error_of(ErrorKind::value, [&] { AnyMetric(name)->fresh()->load_state(state); });
  };
  using Integers = std::vector<int64_t>;
  EXPECT_EQ(refusal("f1", {{"right", Value(Integers{1})}, {"support", Value(Integers{1, 2, 3})}}),
            "f1: `right`, `predicted` and `support` must have one length, got 1");
  EXPECT_EQ(refusal("accuracy", {{"right", Value(5)}, {"total", Value(-1)}}),
            "accuracy: `right` must be within `total`, got 5");
  EXPECT_EQ(refusal("auc", {{"columns", Value(-1)}}),
            "auc: `scores` and `labels` must be rows of `columns`, got -1");
  EXPECT_EQ(refusal("auc", {{"columns", Value(1)},
                            {"scores", Value(std::vector<double>{2})},
                            {"labels", Value(Integers{4})}}),
            "auc: `labels` must be 0 or 1, got 1");
  EXPECT_EQ(refusal("r2", {{"mean", Value(std::vector<double>{2})}}),
            "r2: `mean`, `squares` and `residuals` must have one length, and count what was seen, "
            "got 0");
}

TEST(Metrics, SayWhatTheyNeed) {
  const OutputMeaning labels{Task::labels, OutputScale::logits};
  const OutputMeaning numbers{Task::regression, OutputScale::values};
  EXPECT_EQ(metrics::Accuracy().refusal(numbers), "classes");
  EXPECT_EQ(metrics::Accuracy().refusal(labels), "");
  EXPECT_EQ(metrics::Perplexity().refusal(labels), "one class for each example");
  EXPECT_EQ(metrics::R2().refusal(labels), "numbers");
  EXPECT_EQ(error_of(ErrorKind::value, [] { metrics::TopKAccuracy(0); }),
            "TopKAccuracy: `k` must be at least 1, got 0");
}

TEST(Metrics, OfNoColumnsAreZero) {
  const Measured batch({Task::regression, OutputScale::values}, zeros({4, 0}), zeros({4, 0}));
  for (const char* name : {"mae", "rmse", "r2"}) {
    const std::shared_ptr<Metric> metric = AnyMetric(name)->fresh();
    metric->update(batch);
    EXPECT_EQ(metric->value(), 0) << name;
  }
}

TEST(Metrics, RefuseLabelsThatAreNoClass) {
  const Measured batch({Task::classes, OutputScale::logits}, zeros({2, 3}), tensor({0, 7}));
  EXPECT_EQ(error_of(ErrorKind::index, [&] { metrics::F1().update(batch); }),
            "metrics: label 7 is out of range for 3 classes");
}

TEST(Metrics, NaNIsAmongNoFirstPlaces) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  metrics::TopKAccuracy first(1);
  first.update(
      Measured({Task::classes, OutputScale::probabilities}, full({2, 3}, nan), tensor({0, 1})));
  EXPECT_EQ(first.value(), 0);
}

TEST(Metrics, AUCOfNaNIsNaN) {
  metrics::AUC auc;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auc.update(Measured({Task::binary, OutputScale::logits}, tensor<float>({0, 1, 2, nan}),
                      tensor<float>({0, 1, 0, 1})));
  EXPECT_TRUE(std::isnan(auc.value()));
  metrics::AUC one_class;
  one_class.update(
      Measured({Task::binary, OutputScale::logits}, tensor<float>({0, 1}), tensor<float>({1, 1})));
  EXPECT_EQ(one_class.value(), 0);
}

TEST(Metrics, RefuseAsManyPlacesAsClasses) {
  const Measured batch({Task::classes, OutputScale::logits}, zeros({4, 3}), tensor({0, 1, 2, 0}));
  metrics::TopKAccuracy(2).update(batch);
  EXPECT_EQ(error_of(ErrorKind::value, [&] { metrics::TopKAccuracy(3).update(batch); }),
            "top_k_accuracy: `k` must be less than there are classes, got 3");
}

}  // namespace
}  // namespace taper

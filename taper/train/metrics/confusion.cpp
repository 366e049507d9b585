#include <taper/train/metrics/confusion.h>

#include <taper/core/error.h>

namespace taper {
ConfusionMatrix::ConfusionMatrix(int64_t classes) : classes_(classes) {
  if (classes < 0 || classes > most_classes) {
    fail(ErrorKind::value, "confusion matrix: the number of classes must be in [0, " +
                               std::to_string(most_classes) + "], got " + std::to_string(classes));
  }
  counts_.resize(static_cast<size_t>(classes * classes));
}

ConfusionMatrix ConfusionMatrix::from_counts(const std::vector<int64_t>& counts) {
  int64_t classes = 0;
  while (classes < most_classes && classes * classes < std::ssize(counts)) ++classes;
  ConfusionMatrix matrix(classes);
  if (matrix.counts_.size() != counts.size()) {
    fail(ErrorKind::value,
         "confusion matrix: " + std::to_string(counts.size()) + " counts are no square matrix");
  }
  matrix.counts_ = counts;
  return matrix;
}

void ConfusionMatrix::check_class(int64_t number) const {
  if (number >= 0 && number < classes_) return;
  fail(ErrorKind::value, "confusion matrix: " + std::to_string(number) + " is out of range for " +
                             std::to_string(classes_) + " classes");
}

int64_t ConfusionMatrix::operator()(int64_t truth, int64_t predicted) const {
  check_class(truth);
  check_class(predicted);
  return counts_[static_cast<size_t>(truth * classes_ + predicted)];
}

int64_t ConfusionMatrix::row_sum(int64_t truth) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < classes_; ++i) sum += (*this)(truth, i);
  return sum;
}

int64_t ConfusionMatrix::column_sum(int64_t predicted) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < classes_; ++i) sum += (*this)(i, predicted);
  return sum;
}

int64_t ConfusionMatrix::total() const {
  int64_t sum = 0;
  for (int64_t count : counts_) sum += count;
  return sum;
}

void ConfusionMatrix::add(int64_t truth, int64_t predicted) {
  check_class(truth);
  check_class(predicted);
  ++counts_[static_cast<size_t>(truth * classes_ + predicted)];
}

void ConfusionMatrix::add(const Tensor& truth, const Tensor& predicted) {
  if (truth.numel() != predicted.numel()) {
    fail(ErrorKind::shape, "confusion matrix: " + to_string(truth.spec()) + " true classes and " +
                               to_string(predicted.spec()) + " predicted ones");
  }
  for (const Tensor* labels : {&truth, &predicted}) {
    const std::string bad = find_bad_label(*labels, classes_);
    if (!bad.empty()) {
      fail(ErrorKind::value, "confusion matrix: " + bad + " is out of range for " +
                                 std::to_string(classes_) + " classes");
    }
  }
  const auto rows = truth.to_vector<int64_t>();
  const auto columns = predicted.to_vector<int64_t>();
  for (size_t i = 0; i < rows.size(); ++i) {
    ++counts_[static_cast<size_t>(rows[i] * classes_ + columns[i])];
  }
}

double ConfusionMatrix::accuracy() const {
  int64_t right = 0;
  for (int64_t i = 0; i < classes_; ++i) right += (*this)(i, i);
  return ratio(right, total());
}

ClassScores ConfusionMatrix::scores(int64_t of_class) const {
  return class_scores((*this)(of_class, of_class), column_sum(of_class), row_sum(of_class));
}

std::vector<ClassScores> ConfusionMatrix::scores() const {
  std::vector<ClassScores> all;
  for (int64_t i = 0; i < classes_; ++i) all.push_back(scores(i));
  return all;
}

ClassScores ConfusionMatrix::macro_average() const {
  ClassScores mean;
  for (const ClassScores& one : scores()) {
    mean.precision += one.precision / static_cast<double>(classes_);
    mean.recall += one.recall / static_cast<double>(classes_);
    mean.f1 += one.f1 / static_cast<double>(classes_);
    mean.support += one.support;
  }
  return mean;
}

std::string find_bad_label(const Tensor& labels, int64_t classes) {
  const auto values = labels.to_vector<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= 0 && values[i] < classes) continue;
    const int64_t rows = labels.rank() == 0 ? 1 : labels.size(0);
    const auto row = static_cast<int64_t>(i) / (labels.numel() / rows);
    return "label " + std::to_string(values[i]) + " at row " + std::to_string(row);
  }
  return {};
}

}  // namespace taper

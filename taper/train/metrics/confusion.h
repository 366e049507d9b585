// How often each class was taken for each other one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/tensor.h>

namespace taper {

/// A division by zero gives 0, as in scikit-learn.
inline double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }
inline double ratio(double part, int64_t whole) { return ratio(part, static_cast<double>(whole)); }
inline double ratio(int64_t part, int64_t whole) { return ratio(static_cast<double>(part), whole); }

/// The scores of one class; a division by zero gives 0, as in scikit-learn.
struct ClassScores {
  double precision = 0;  ///< of those predicted to be of the class, the part that is
  double recall = 0;     ///< of those that are of the class, the part predicted to be
  double f1 = 0;         ///< the harmonic mean of the two
  int64_t support = 0;   ///< the number of examples of the class
};

/// `right` are those of the class that were predicted to be of it.
inline ClassScores class_scores(int64_t right, int64_t predicted, int64_t support) {
  return {.precision = ratio(right, predicted),
          .recall = ratio(right, support),
          .f1 = ratio(2 * right, support + predicted),
          .support = support};
}

/// How often each class was predicted for each true class.
class TAPER_API ConfusionMatrix {
 public:
  /// It holds classes * classes counts, with this many 2 GiB.
  static constexpr int64_t most_classes = 16384;

  /// Throws value if `classes` is not in [0, most_classes].
  explicit ConfusionMatrix(int64_t classes = 0);

  /// The matrix that holds these counts, the true class being the slow index. Throws value unless
  /// their number is a square.
  static ConfusionMatrix from_counts(const std::vector<int64_t>& counts);

  int64_t classes() const { return classes_; }
  const std::vector<int64_t>& counts() const { return counts_; }
  /// The number of examples counted.
  int64_t total() const;
  /// How often `truth` was taken for `predicted`. Throws value for a class that there is not.
  int64_t operator()(int64_t truth, int64_t predicted) const;
  /// Counts examples. Throws value naming the row of a class outside [0, classes()) and shape if
  /// the numbers of elements differ.
  void add(const Tensor& truth, const Tensor& predicted);
  void add(int64_t truth, int64_t predicted);

  /// The part of the examples that were predicted right; 0 if there are none.
  double accuracy() const;
  ClassScores scores(int64_t of_class) const;
  /// The scores of every class.
  std::vector<ClassScores> scores() const;
  /// The plain means over all classes, and the number of examples.
  ClassScores macro_average() const;

 private:
  void check_class(int64_t number) const;
  int64_t column_sum(int64_t predicted) const;
  int64_t row_sum(int64_t truth) const;

  int64_t classes_;
  std::vector<int64_t> counts_;  // the true class is the slow index
};

/// The first element of `labels` that is outside [0, classes): "label 12 at row 7"; empty if none.
TAPER_API std::string find_bad_label(const Tensor& labels, int64_t classes);

}  // namespace taper

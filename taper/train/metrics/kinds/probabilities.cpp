#include <taper/train/metrics/kinds/probabilities.h>

#include <numeric>

namespace taper::metrics {
namespace {

SeenScores second_column(const SeenScores& both) {
  SeenScores one{.columns = 1};
  for (size_t i = 1; i < both.scores.size(); i += 2) {
    one.scores.push_back(both.scores[i]);
    one.labels.push_back(both.labels[i]);
  }
  return one;
}

}  // namespace

void SeenScores::check(std::string_view owner) const {
  const auto count = static_cast<int64_t>(scores.size());
  const bool fits = columns == 0 ? count == 0 : columns > 0 && count % columns == 0;
  check_rule(fits && labels.size() == scores.size(), owner,
             "`scores` and `labels` must be rows of `columns`", columns);
  const auto is_label = [](uint8_t label) { return label <= 1; };
  check_rule(std::ranges::all_of(labels, is_label), owner, "`labels` must be 0 or 1", count);
}

void AUC::update(const Measured& batch) {
  SeenScores more{batch.classes(), batch.probabilities(), batch.labels()};
  if (batch.meaning().task == Task::binary) more = second_column(more);
  join(sums(), more);
}

void AUC::join(SeenScores& sums, const SeenScores& more) {
  sums.columns = std::max(sums.columns, more.columns);
  sums.scores.insert(sums.scores.end(), more.scores.begin(), more.scores.end());
  sums.labels.insert(sums.labels.end(), more.labels.begin(), more.labels.end());
}

double AUC::value() const {
  const auto is_nan = [](double score) { return std::isnan(score); };
  if (std::ranges::any_of(sums().scores, is_nan)) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  int64_t count = 0;
  for (int64_t column = 0; column < sums().columns; ++column) {
    const double area = area_of(static_cast<size_t>(column));
    if (std::isnan(area)) continue;
    sum += area;
    ++count;
  }
  return ratio(sum, count);
}

/// From the ranks, equal scores sharing theirs: Mann and Whitney (1947). NaN of one class.
double AUC::area_of(size_t column) const {
  const auto columns = static_cast<size_t>(sums().columns);
  std::vector<size_t> order(sums().scores.size() / columns);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto score = [&](size_t row) { return sums().scores[row * columns + column]; };
  std::ranges::sort(order, std::less<>(), score);
  double rank_sum = 0;
  double positives = 0;
  for (size_t first = 0, end = 0; first < order.size(); first = end) {
    double here = 0;
    for (end = first; end < order.size() && score(order[end]) == score(order[first]); ++end) {
      here += sums().labels[order[end] * columns + column];
    }
    rank_sum += here * (static_cast<double>(first + end) + 1) / 2;
    positives += here;
  }
  const double negatives = static_cast<double>(order.size()) - positives;
  if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

}  // namespace taper::metrics

#include <taper/optim/strong_wolfe.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <utility>

namespace taper::optim::detail {
namespace {

constexpr double decrease = 1e-4;  // c1 of the conditions
constexpr double curvature = 0.9;  // c2

/// Where the cubic through both trials has its minimum, within the bounds; else their middle.
double cubic_minimum(const Trial& a, const Trial& b, double low, double high) {
  const auto& [left, right] = a.t <= b.t ? std::tie(a, b) : std::tie(b, a);
  const double d1 = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.t - right.t);
  const double square = d1 * d1 - left.slope * right.slope;
  if (square >= 0) {
    const double d2 = std::sqrt(square);
    const double part = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2);
    const double t = right.t - (right.t - left.t) * part;
    if (std::isfinite(t)) return std::clamp(t, low, high);
  }
  return (low + high) / 2;
}

class Search {
 public:
  Search(FunctionRef<Trial(double t)> evaluate, const Trial& start, const SearchLimits& limits)
      : evaluate_(evaluate), start_(start), limits_(limits) {}

  Trial run(double t) {
    if (!find_bracket(t)) zoom();
    return bracket_[low_];
  }

 private:
  Trial look_at(double t) {
    Trial trial = evaluate_(t);
    if (!std::isfinite(trial.loss)) trial.loss = HUGE_VAL;
    return trial;
  }
  bool is_too_high(const Trial& trial) const {
    return trial.loss > start_.loss + decrease * trial.t * start_.slope;
  }
  bool is_flat(const Trial& trial) const {
    return std::abs(trial.slope) <= -curvature * start_.slope;
  }
  void set_bracket(Trial a, Trial b) {
    bracket_ = {std::move(a), std::move(b)};
    order();
  }
  void order() { low_ = bracket_[0].loss <= bracket_[1].loss ? 0 : 1; }

  /// Goes further until a minimum lies between two trials; true if one satisfies the conditions.
  bool find_bracket(double t) {
    Trial before = start_;
    Trial now = look_at(t);
    while (tries_ < limits_.most_tries) {
      const bool rises = tries_ > 1 && now.loss >= before.loss;
      const bool is_past = is_too_high(now) || rises;
      if (!is_past && is_flat(now)) {
        set_bracket(now, now);
        return true;
      }
      if (is_past || now.slope >= 0) {
        set_bracket(std::move(before), std::move(now));
        return false;
      }
      const double next = cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t);
      before = std::exchange(now, look_at(next));
      ++tries_;
    }
    set_bracket(start_, std::move(now));
    return false;
  }

  /// Makes the bracket smaller until its lower end satisfies the conditions.
  void zoom() {
    bool was_near = false;
    bool done = false;
    while (!done && tries_ < limits_.most_tries) {
      const auto [first, last] = std::minmax(bracket_[0].t, bracket_[1].t);
      if ((last - first) * limits_.direction < limits_.change) return;
      Trial now = look_at(inside(first, last, was_near));
      ++tries_;
      Trial& low = bracket_[low_];
      Trial& high = bracket_[1 - low_];
      if (is_too_high(now) || now.loss >= low.loss) {
        high = std::move(now);
        order();
        continue;
      }
      done = is_flat(now);
      if (!done && now.slope * (high.t - low.t) >= 0) high = std::move(low);
      bracket_[low_] = std::move(now);
    }
  }

  /// The next t. One that is near an end for the second time, or at it, would hardly make the
  /// bracket smaller, and goes a tenth of it inwards.
  double inside(double first, double last, bool& was_near) const {
    const double t = cubic_minimum(bracket_[0], bracket_[1], first, last);
    const double margin = 0.1 * (last - first);
    const bool is_near = std::min(last - t, t - first) < margin;
    const bool moves = is_near && (was_near || t >= last || t <= first);
    was_near = is_near && !moves;
    if (!moves) return t;
    return std::abs(t - last) < std::abs(t - first) ? last - margin : first + margin;
  }

  FunctionRef<Trial(double t)> evaluate_;
  const Trial& start_;
  const SearchLimits& limits_;
  std::array<Trial, 2> bracket_;
  size_t low_ = 0;
  int64_t tries_ = 0;
};

}  // namespace

Trial strong_wolfe(FunctionRef<Trial(double t)> evaluate, const Trial& start, double t,
                   const SearchLimits& limits) {
  return Search(evaluate, start, limits).run(t);
}

}  // namespace taper::optim::detail

#pragma once

#include <taper/optim/schedule.h>

namespace taper::optim {

/// Whether a smaller or a larger number is better.
enum class PlateauMode { min, max };
/// Whether `threshold` is a part of the best number or a distance from it.
enum class ThresholdMode { rel, abs };

struct TAPER_API ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::min;
  Bounded<double, BelowOne> factor = 0.1;
  NonNegative<int64_t> patience = 10;  ///< bad steps that are borne; the next one reduces
  FiniteReal threshold = 1e-4;         ///< what is better must be better by more than this
  ThresholdMode threshold_mode = ThresholdMode::rel;
  NonNegative<int64_t> cooldown = 0;  ///< steps after a reduction that are not counted as bad
  Bounded<PerGroup, AtLeast<0>> min_lr = 0;
  NonNegative<double> eps = 1e-8;  ///< a smaller change of a rate is not made
};
/// Multiplies the rates by `factor` when a number of the training stops to improve, as PyTorch
/// defines it; a number that is not finite never improves. The callback ReduceOnPlateau has the
/// same rule with Keras' options.
class TAPER_API ReduceLROnPlateau final
    : public WithOptions<ReduceLROnPlateau, Schedule, ReduceLROnPlateauOptions> {
 public:
  /// By PyTorch's names.
  struct Memory {
    std::optional<double> best = {};
    int64_t num_bad_epochs = 0;
    int64_t cooldown_counter = 0;
  };

  using WithOptions::WithOptions;
  bool watches() const override { return true; }
  Watched watch(double number, Watched before) const override;
  std::string signature(int64_t steps, size_t groups) const override;

  /// Takes the next number to mind; true if the rates are to be reduced.
  bool sees(double number, Memory& memory) const;
  /// What a group's rate becomes then.
  double reduced(double rate, const SchedulePlace& place) const;

 private:
  bool is_better(double number, const std::optional<double>& than) const;
};

}  // namespace taper::optim

template <>
struct taper::EnumNames<taper::optim::PlateauMode> {
  static constexpr std::array<std::string_view, 2> names{"min", "max"};
};
template <>
struct taper::EnumNames<taper::optim::ThresholdMode> {
  static constexpr std::array<std::string_view, 2> names{"rel", "abs"};
};

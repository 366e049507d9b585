#include "schedule.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "part.h"
#include "recipe.h"

namespace taper::cli {
namespace {

using optim::Schedule;
using optim::ScheduleFactory;
using SchedulePointer = std::shared_ptr<Schedule>;

constexpr PartFlag<ScheduleFactory> schedule_flag{"--schedule", "schedule"};

/// A short name: a registered schedule, with options by the number of epochs.
struct ShortName {
  std::string_view name;
  std::string_view text;
  std::string_view schedule;
  Fields (*options)(int64_t epochs);
  int64_t (*held)(int64_t epochs) = nullptr;  // before it, at the full rate
};

Fields line(double from, double to, int64_t epochs) {
  return {{"start_factor", Value(from)}, {"end_factor", Value(to)}, {"total_iters", Value(epochs)}};
}

/// The full rate finds a good region, and the falling one settles in it: by measurement better
/// than half a cosine over the same epochs.
int64_t falling(int64_t epochs) {
  // A fall over one epoch ends behind the last one.
  return std::min(epochs, std::max<int64_t>(2, epochs / 5 * 2 + epochs % 5 * 2 / 5));
}

Fields none(int64_t /*epochs*/) { return {}; }

constexpr ShortName short_names[] = {
    {"fall", "falling at the end", optim::LinearLR::type_name,
     [](int64_t epochs) { return line(1, 0, falling(epochs)); },
     [](int64_t epochs) { return epochs - falling(epochs); }},
    {"constant", "constant", optim::LinearLR::type_name, [](int64_t) { return line(1, 1, 1); }},
    {"cosine", "falling as a cosine", optim::CosineAnnealingLR::type_name, &none},
    {"linear", "falling in a line", optim::LinearLR::type_name,
     [](int64_t epochs) { return line(1, 0, epochs); }},
    {"step", "a tenth after each third", optim::StepLR::type_name, &none},
};

const ShortName* find_short(const std::string& name) {
  const auto* found = std::ranges::find(short_names, name, &ShortName::name);
  return found == std::end(short_names) ? nullptr : found;
}

/// Throws UsageError for a name that there is not.
Part parse(const std::string& text) {
  const std::vector<std::string> names = schedule_names();
  const std::vector<std::string_view> known(names.begin(), names.end());
  Part part = parse_part(schedule_flag.flag, text);
  part.name = same_name(known, part.name);
  if (std::ranges::find(known, part.name) == known.end()) {
    find_named([&] { detail::fail_unknown(schedule_flag.noun, part.name, known); });
  }
  return part;
}

SchedulePointer in_turn(const SchedulePointer& first, const SchedulePointer& second,
                        int64_t epochs) {
  if (epochs == 0) return second;
  return std::make_shared<optim::SequentialLR>(std::vector<SchedulePointer>{first, second},
                                               std::vector<int64_t>{epochs});
}

SchedulePointer straight(double from, double to, int64_t epochs) {
  return schedule_flag.make(Part{std::string(optim::LinearLR::type_name), line(from, to, epochs)});
}

SchedulePointer make(Part part, const optim::ScheduleRun& run) {
  const ShortName* known = find_short(part.name);
  int64_t held = 0;
  if (known != nullptr) {
    part.name = known->schedule;
    for (auto& [name, value] : known->options(run.epochs)) {
      const auto same = [&](const auto& given) { return given.first == name; };
      if (std::ranges::none_of(part.options, same)) part.options.emplace_back(name, value);
    }
    if (known->held != nullptr) held = known->held(run.epochs);
  }
  part.options = optim::options_for_run(part.name, std::move(part.options), run);
  return in_turn(straight(1, 1, 1), schedule_flag.make(part), held);
}

}  // namespace

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const ShortName& known : short_names) names.emplace_back(known.name);
  for (std::string& name : schedule_flag.names()) names.push_back(std::move(name));
  return names;
}

std::string normal_schedule(const std::string& text) { return to_text(parse(text)); }

SchedulePointer make_schedule(const Recipe& recipe, int64_t epochs) {
  const int64_t warmup = recipe.course.warmup;
  const Part part = parse(recipe.course.schedule);
  const SchedulePointer schedule = make(
      part, {.epochs = std::max<int64_t>(1, epochs - warmup), .lr = recipe.subject.lr.value_or(1)});
  if (warmup == 0) return schedule;
  if (schedule->watches() || schedule->interval() == optim::ScheduleInterval::update) {
    throw UsageError("--warmup goes before schedules that count epochs: " + part.name +
                     (schedule->watches() ? " follows the validation loss" : " counts updates"));
  }
  return in_turn(straight(1 / static_cast<double>(warmup + 1), 1, warmup), schedule, warmup);
}

std::string schedule_text(const Recipe& recipe, int64_t epochs) {
  const Part part = parse(recipe.course.schedule);
  const ShortName* known = find_short(part.name);
  if (known == nullptr || !part.options.empty()) return recipe.course.schedule;
  return std::string(epochs == 1 ? "constant" : known->text);
}

}  // namespace taper::cli

// The schedules of `taper train --schedule NAME:option=value,...`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <taper/optim/schedule.h>

namespace taper::cli {

struct Recipe;

/// Short names, and the registered ones.
std::vector<std::string> schedule_names();

/// The text with the name as it is known and the options as they are written in JSON.
std::string normal_schedule(const std::string& text);

/// The schedule, for so many epochs and the recipe's rate, behind the warm-up. Throws UsageError
/// for a schedule or an option that there is not, and for a warm-up that does not go with it.
std::shared_ptr<optim::Schedule> make_schedule(const Recipe& recipe, int64_t epochs);

/// "falling at the end"
std::string schedule_text(const Recipe& recipe, int64_t epochs);

}  // namespace taper::cli

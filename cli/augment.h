// The transforms of `taper train --augment NAME:option=value,...`.
#pragma once

#include <string>
#include <vector>

#include <taper/data/source.h>
#include <taper/data/transform.h>

namespace taper::cli {

std::vector<std::string> transform_names();

/// The text of each, with the registered name and the options as they are written in JSON.
std::vector<std::string> normal_augment(const std::vector<std::string>& texts);

/// Throws UsageError for a transform or an option that there is not.
void check_augment(const std::vector<std::string>& texts);

/// For these examples: a size that is required and not given is theirs. Throws UsageError where
/// they are no images that the transforms can change.
std::vector<data::AnyTransform> make_transforms(const std::vector<std::string>& texts,
                                                const data::Examples& examples);

}  // namespace taper::cli

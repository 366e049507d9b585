// Private to the report: drawings made by the program gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace taper {

/// The text as a string of gnuplot's language, in which nothing is executed or interpreted.
std::string gnuplot_string(std::string_view text);

/// Draws `script` to an SVG file of this size. False if gnuplot is missing, fails or takes longer
/// than 20 seconds; nothing is left then.
bool draw_with_gnuplot(const std::string& script, int width, int height,
                       const std::filesystem::path& to);

}  // namespace taper

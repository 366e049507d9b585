// Private to the report: pieces of HTML.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace taper {

std::string escape_html(std::string_view text);

/// The image itself within the page. `kind` is "png", drawn in pixels, or "svg+xml".
std::string html_image(std::string_view bytes, std::string_view kind, std::string_view alternative);

/// A table's cell; `title` is shown when the pointer is over it.
struct HtmlCell {
  HtmlCell(std::string shown) : text(std::move(shown)) {}  // NOLINT: implicit on purpose
  HtmlCell(const char* shown) : text(shown) {}             // NOLINT: implicit on purpose
  HtmlCell(std::string shown, std::string whole)
      : text(std::move(shown)), title(std::move(whole)) {}
  std::string text;
  std::string title = {};
  double shade = 0;  // of its ground, from 0 to 1
};
using HtmlRow = std::vector<HtmlCell>;

inline constexpr size_t no_row = -1;

/// A table that scrolls where it is too wide for the page; `head` may be empty, the row of number
/// `marked` is bold. The heads of a "matrix" stand upright.
std::string html_table(const HtmlRow& head, const std::vector<HtmlRow>& rows,
                       size_t marked = no_row, std::string_view kind = "");

/// What is behind a line that one can open.
std::string html_folded(std::string_view line, const std::string& html);

/// At most `most` characters (of UTF-8 whole ones), the last a dot's line where some are left out.
std::string shortened(const std::string& text, size_t most);

/// The whole page.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace taper

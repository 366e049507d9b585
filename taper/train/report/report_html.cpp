#include <taper/train/report/report_html.h>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace taper {
namespace {

constexpr const char* style = R"(
body { font: 15px/1.5 system-ui, Helvetica, Arial, sans-serif; color: #222; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
p.note { color: #666; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .8rem; text-align: right; border-bottom: 1px solid #eee; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
table.facts td { text-align: left; overflow-wrap: anywhere; }
table.facts td:first-child { white-space: nowrap; }
table.matrix td { text-align: center; padding: .25rem .45rem; }
table.matrix td:first-child { text-align: left; }
table.matrix th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left;
  padding: .3rem .15rem; font-weight: normal; }
table.matrix th:first-child { writing-mode: initial; transform: none; vertical-align: bottom;
  color: #666; }
tr.marked { font-weight: bold; }
img { max-width: 100%; }
img.pixels { image-rendering: pixelated; }
div.wide { overflow-x: auto; }
div.wide img { max-width: none; }
div.plots { display: flex; flex-wrap: wrap; }
div.grid { display: flex; flex-wrap: wrap; gap: .8rem; }
figure { margin: 0; width: 6.6rem; font-size: .78rem; line-height: 1.3; overflow-wrap: anywhere; }
figure img { width: 100%; }
@media print { h2 { break-after: avoid; } figure, table, img { break-inside: avoid; } }
)";

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::string html_row(const HtmlRow& row, std::string_view tag, bool marked) {
  std::string html = marked ? "<tr class=\"marked\">" : "<tr>";
  for (const HtmlCell& cell : row) {
    std::string attributes;
    if (!cell.title.empty()) attributes += " title=\"" + escape_html(cell.title) + "\"";
    if (cell.shade > 0) {  // figures are white where the ground is dark
      attributes += fmt::format(" style=\"background: rgb(27 108 168 / {:.2f}){}\"", cell.shade,
                                cell.shade > 0.55 ? "; color: white" : "");
    }
    html += fmt::format("<{}{}>{}</{}>", tag, attributes, escape_html(cell.text), tag);
  }
  return html + "</tr>\n";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string html_image(std::string_view bytes, std::string_view kind,
                       std::string_view alternative) {
  return fmt::format("<img {}src=\"data:image/{};base64,{}\" alt=\"{}\">",
                     kind == "png" ? "class=\"pixels\" " : "", kind, base64(bytes),
                     escape_html(alternative));
}

std::string html_table(const HtmlRow& head, const std::vector<HtmlRow>& rows, size_t marked,
                       std::string_view kind) {
  const std::string_view name = head.empty() ? "facts" : kind;
  std::string html = "<div class=\"wide\"><table";
  html += name.empty() ? ">\n" : fmt::format(" class=\"{}\">\n", name);
  if (!head.empty()) html += html_row(head, "th", false);
  for (size_t i = 0; i < rows.size(); ++i) html += html_row(rows[i], "td", i == marked);
  return html + "</table></div>\n";
}

std::string html_folded(std::string_view line, const std::string& html) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape_html(line), html);
}

std::string shortened(const std::string& text, size_t most) {
  size_t characters = 0;
  size_t kept = 0;  // bytes of the first most - 1 characters
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;  // within a character
    if (characters + 1 == most) kept = i;
    ++characters;
  }
  return characters <= most ? text : text.substr(0, kept) + "…";
}

std::string html_page(const std::string& title, const std::string& body) {
  const std::string safe = escape_html(title);
  return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         safe + "</title>\n<style>" + style + "</style>\n</head>\n<body>\n<h1>" + safe + "</h1>\n" +
         body + "</body>\n</html>\n";
}

}  // namespace taper

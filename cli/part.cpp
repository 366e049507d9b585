#include "part.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include <taper/core/nearest_name.h>
#include <taper/core/value.h>

namespace taper::cli {
namespace {

constexpr const char* form = "NAME:option=value,option=value";

/// The pieces between the commas that stand in no brackets and no quotes.
std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> pieces(1);
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      pieces.back() += c;
      pieces.back() += text[++i];
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (!quoted) depth += (c == '[' || c == '{' ? 1 : 0) - (c == ']' || c == '}' ? 1 : 0);
    if (c == ',' && depth == 0 && !quoted) {
      pieces.emplace_back();
    } else {
      pieces.back() += c;
    }
  }
  return pieces;
}

/// Of a word that `parse_part` would not take for one and the same text.
bool needs_quotes(const std::string& word) {
  return word.find_first_of(",[]{}\"") != word.npos ||
         value_of(word).get_if<std::string>() == nullptr;
}

/// "p=0.5 (float), degrees (float, required)"
std::string listed(const std::vector<FieldInfo>& options) {
  std::string text;
  for (const FieldInfo& info : options) {
    const std::string value = info.is_required ? "" : "=" + info.default_value.print();
    text += fmt::format("{}{}{} ({}{})", text.empty() ? "" : ", ", info.name, value, info.kind,
                        info.is_required ? ", required" : "");
  }
  return text.empty() ? "it has none" : "there are: " + text;
}

}  // namespace

Value value_of(const std::string& text) {
  try {
    return parse_json(text);
  } catch (const Error&) {
    return Value(text);
  }
}

std::vector<std::string> split_parts(const std::string& text) {
  std::vector<std::string> parts;
  for (const std::string& piece : pieces_of(text)) {
    const size_t first = piece.find_first_of(":=");
    const bool is_option = first != piece.npos && piece[first] == '=';
    if (is_option && !parts.empty()) {
      parts.back() += "," + piece;
    } else {
      parts.push_back(piece);
    }
  }
  return parts;
}

Part parse_part(std::string_view flag, const std::string& text) {
  const size_t colon = text.find(':');
  Part part{text.substr(0, colon)};
  if (colon == text.npos) return part;
  for (const std::string& piece : pieces_of(text.substr(colon + 1))) {
    const size_t equals = piece.find('=');
    if (equals == piece.npos || equals == 0) {
      throw UsageError(fmt::format("{}: options are {}, got `{}`", flag, form, text));
    }
    std::string option = piece.substr(0, equals);
    std::ranges::replace(option, '-', '_');
    part.options.emplace_back(std::move(option), value_of(piece.substr(equals + 1)));
  }
  return part;
}

std::string to_text(const Part& part) {
  std::string text = part.name;
  for (const auto& [name, value] : part.options) {
    const std::string* word = value.get_if<std::string>();
    const bool plain = word != nullptr && !needs_quotes(*word);
    text += (&name == &part.options.front().first ? ":" : ",") + name + "=" +
            (plain ? *word : to_json(value));
  }
  return text;
}

void check_part(std::string_view flag, const Part& part, const std::vector<FieldInfo>& options) {
  for (const auto& [name, value] : part.options) {
    if (std::ranges::find(options, name, &FieldInfo::name) != options.end()) continue;
    std::vector<std::string_view> names;
    for (const FieldInfo& info : options) names.push_back(info.name);
    const std::string_view guess = nearest_name(name, names);
    throw UsageError(fmt::format("{}: {} has no option `{}`; {}{}", flag, part.name, name,
                                 listed(options),
                                 guess.empty() ? "" : fmt::format("; did you mean `{}`?", guess)));
  }
}

Fields with_nones(Fields given, const std::vector<FieldInfo>& options) {
  for (auto& [name, value] : given) {
    const auto info = std::ranges::find(options, name, &FieldInfo::name);
    if (info != options.end() && info->may_be_none && value == Value("none")) value = Value();
  }
  return given;
}

std::string same_name(const std::vector<std::string_view>& registered, const std::string& name) {
  const auto same = [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  };
  for (const std::string_view known : registered) {
    if (std::ranges::equal(known, name, same)) return std::string(known);
  }
  return name;
}

}  // namespace taper::cli

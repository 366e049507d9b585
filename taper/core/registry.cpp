#include <taper/core/registry.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/nearest_name.h>

namespace taper {

/// In the generated anchors.cpp: refers to every file that registers something.
extern const char* const kept_files[];

namespace detail {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// The number of letters to insert, remove, replace or swap with the next; the case of a letter
/// does not count (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [&](size_t i, size_t j) { return lower(a[i]) == lower(b[j]); };
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    std::vector<size_t> row(b.size() + 1, i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({last[j] + (same(i, j) ? 0 : 1), row[j] + 1, last[j + 1] + 1});
      const bool swapped = i > 0 && j > 0 && same(i, j - 1) && same(i - 1, j);
      if (swapped) row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
    }
    before = std::exchange(last, std::move(row));
  }
  return last[b.size()];
}

}  // namespace
}  // namespace detail

std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& names) {
  constexpr size_t longest_name = 64;  // a longer one is no misspelling, only work
  if (name.size() > longest_name) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (std::string_view candidate : names) {
    const size_t distance = detail::edit_distance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

namespace detail {

void fail_unknown(std::string_view what, std::string_view name,
                  const std::vector<std::string_view>& names) {
  std::string text = "unknown " + std::string(what) + " `" + std::string(name) + "`; there are";
  if (names.empty()) text += " none";
  for (size_t i = 0; i < names.size(); ++i) {
    text += i == 0 ? ": " : ", ";
    text += names[i];
  }
  const std::string_view guess = nearest_name(name, names);
  if (!guess.empty()) text += "; did you mean `" + std::string(guess) + "`?";
  fail(ErrorKind::not_found, text);
}

namespace {
std::string twice(std::string_view what, std::string_view name) {
  return std::string(what) + " `" + std::string(name) + "` is registered twice";
}
}  // namespace

void fail_two_entries(std::string_view what, std::string_view name) {
  fail(ErrorKind::value, twice(what, name));
}

void check_names(std::string_view what, const std::vector<std::string_view>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) fail(ErrorKind::internal, "a " + std::string(what) + " has no name");
    if (i > 0 && names[i] == names[i - 1]) fail(ErrorKind::internal, twice(what, names[i]));
  }
}

std::vector<size_t> sorted_order(const std::vector<std::string_view>& names) {
  // A use that no optimiser removes, so that the linker keeps those files of a static library.
  [[maybe_unused]] const char* const* volatile keep = kept_files;
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return names[a] < names[b]; });
  return order;
}

}  // namespace detail
}  // namespace taper

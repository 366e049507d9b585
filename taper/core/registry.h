// Named entries that register themselves where they are defined, in any translation unit.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <taper/core/api.h>

// The linker drops a row's file from a static library unless something refers to it: the build
// sets TAPER_FILE for each source and refers to this symbol from a generated list.
#ifdef TAPER_FILE
#define TAPER_ANCHOR_NAME_(file) taper_anchor_##file
#define TAPER_ANCHOR_NAME(file) TAPER_ANCHOR_NAME_(file)
extern "C" {
[[gnu::visibility("hidden")]] extern const char TAPER_ANCHOR_NAME(TAPER_FILE);
const char TAPER_ANCHOR_NAME(TAPER_FILE) = 0;
}
#endif

namespace taper {

template <class Entry>
class TAPER_API Registry;

/// The base of an entry: struct Op : Registered<Op>. An entry is a static object, lives as long as
/// the process and is never copied.
template <class Entry>
class TAPER_API Registered {
 public:
  const std::string_view name;
  const std::string_view doc;

  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 protected:
  Registered(std::string_view entry_name, std::string_view entry_doc)
      : name(entry_name), doc(entry_doc), next_(Registry<Entry>::first_) {
    Registry<Entry>::first_ = this;
  }
  ~Registered() = default;

 private:
  friend class Registry<Entry>;
  const Registered* next_;
};

namespace detail {

/// Throws not_found: "unknown module `Conv9d`; there are: ...; did you mean `Conv2d`?".
[[noreturn]] TAPER_API void fail_unknown(std::string_view what, std::string_view name,
                                         const std::vector<std::string_view>& names);

/// Throws value: "callback `EMA` is registered twice".
[[noreturn]] TAPER_API void fail_two_entries(std::string_view what, std::string_view name);

/// Throws Error(internal) for an empty name or one that stands twice; `names` are sorted.
TAPER_API void check_names(std::string_view what, const std::vector<std::string_view>& names);

/// The places of the names in alphabetical order.
TAPER_API std::vector<size_t> sorted_order(const std::vector<std::string_view>& names);

}  // namespace detail

/// All entries of one kind: a linked list through the entries. Its head is a constant until the
/// first entry is constructed, so the order of initialisation does not matter. Visible, so that
/// an entry of a program or plugin joins the list of the library.
template <class Entry>
class TAPER_API Registry {
 public:
  /// The entry of this name, or nullptr.
  static const Entry* find(std::string_view name) {
    for (const Registered<Entry>* entry = first_; entry; entry = entry->next_) {
      if (entry->name == name) return static_cast<const Entry*>(entry);
    }
    return nullptr;
  }

  /// The entry of this name; throws not_found naming what there is and what may be meant, and value
  /// if two have it. `what` is a noun for the message, such as "module".
  static const Entry& get(std::string_view name, std::string_view what) {
    const Entry* entry = find(name);
    if (entry == nullptr) detail::fail_unknown(what, name, names());
    for (const Registered<Entry>* other = entry->next_; other; other = other->next_) {
      if (other->name == name) detail::fail_two_entries(what, name);
    }
    return *entry;
  }

  /// All entries, sorted by name.
  static std::vector<const Entry*> all() {
    std::vector<const Entry*> entries;
    std::vector<std::string_view> entry_names;
    for (const Registered<Entry>* entry = first_; entry; entry = entry->next_) {
      entries.push_back(static_cast<const Entry*>(entry));
      entry_names.push_back(entry->name);
    }
    std::vector<const Entry*> sorted;
    for (size_t index : detail::sorted_order(entry_names)) sorted.push_back(entries[index]);
    return sorted;
  }

  /// All names, sorted.
  static std::vector<std::string_view> names() {
    std::vector<std::string_view> result;
    for (const Entry* entry : all()) result.push_back(entry->name);
    return result;
  }

  /// Throws Error(internal) if a name is empty or stands twice.
  static void check(std::string_view what) { detail::check_names(what, names()); }

 private:
  friend class Registered<Entry>;
  static inline constinit const Registered<Entry>* first_ = nullptr;
};

}  // namespace taper

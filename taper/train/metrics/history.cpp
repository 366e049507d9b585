#include <taper/train/metrics/history.h>

#include <algorithm>

#include <taper/core/error.h>
#include <taper/core/fields.h>

namespace taper {

void History::append(const NamedNumbers& epoch) {
  for (const auto& [name, number] : epoch) {
    auto found = std::find_if(lists_.begin(), lists_.end(),
                              [&](const auto& list) { return list.first == name; });
    if (found == lists_.end()) found = lists_.insert(found, {name, {}});
    found->second.push_back(number);
  }
}

std::vector<std::string> History::names() const {
  std::vector<std::string> all;
  for (const auto& [name, list] : lists_) all.push_back(name);
  return all;
}

bool History::has(std::string_view name) const {
  return std::any_of(lists_.begin(), lists_.end(),
                     [&](const auto& list) { return list.first == name; });
}

const std::vector<double>& History::operator[](std::string_view name) const {
  for (const auto& [known, list] : lists_) {
    if (known == name) return list;
  }
  std::string text = "history: no `" + std::string(name) + "`; there are:";
  for (const auto& [known, list] : lists_) text += " " + known;
  fail(ErrorKind::not_found, text);
}

Value History::to_value() const {
  Fields fields;
  for (const auto& [name, list] : lists_) fields.emplace_back(name, Value(list));
  return Value(std::move(fields));
}

History History::from_value(const Value& value) {
  const Fields* fields = value.get_if<Fields>();
  if (fields == nullptr) fail(ErrorKind::value, "history: must be an object of lists of numbers");
  History history;
  for (const auto& [name, list] : *fields) {
    history.lists_.emplace_back(name, FieldCodec<std::vector<double>>::from_value(list));
  }
  return history;
}

}  // namespace taper

// Private: looking into what `config()` says of a module.
#pragma once

#include <string>

#include <taper/core/value.h>

namespace taper {

/// The registered name; empty if there is no description.
inline std::string type_in(const Value* config) {
  const Value* type = config != nullptr ? config->find("type") : nullptr;
  const std::string* name = type != nullptr ? type->get_if<std::string>() : nullptr;
  return name != nullptr ? *name : std::string();
}

/// The description of a module within; null if there is none.
inline const Value* layer_in(const Value* config, size_t number) {
  const Value* layers = config != nullptr ? config->find("layers") : nullptr;
  const auto* list = layers != nullptr ? layers->get_if<Value::List>() : nullptr;
  return list != nullptr && number < list->size() ? &(*list)[number] : nullptr;
}

}  // namespace taper

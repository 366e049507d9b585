// Private: looking into what `config()` says of a module.
#pragma once

#include <string>

#include <taper/core/value.h>

namespace taper {

/// The description of a module within; null if there is none.
inline const Value* layer_in(const Value* config, size_t number) {
  const Value* layers = config != nullptr ? config->find("layers") : nullptr;
  const auto* list = layers != nullptr ? layers->get_if<Value::List>() : nullptr;
  return list != nullptr && number < list->size() ? &(*list)[number] : nullptr;
}

}  // namespace taper

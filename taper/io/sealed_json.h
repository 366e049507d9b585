// Private: JSON text that tells whether a byte of it was changed.
#pragma once

#include <string>

#include <taper/core/value.h>

namespace taper {

/// The text of an object with its own SHA-256 as the last entry, `manifest_sha256`.
std::string seal(const Value& content);

/// The object that was sealed. Throws io if the text was cut or changed.
Value unseal(const std::string& text);

}  // namespace taper

// NumPy's files: one array (.npy), or several in a zip archive (.npz).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <taper/core/tensor.h>
#include <taper/io/safetensors.h>

namespace taper {

/// The array of a .npy file's bytes (format 1.0 to 3.0), row-major. Types are those that tensors
/// have. `name` stands for the path in errors. Throws io for damaged
/// bytes, unsupported for other types (objects are never read: that would execute them).
TAPER_API Tensor decode_npy(std::string_view bytes, const std::string& name = "the array");

/// All arrays of a .npz file, by name without `.npy`. Throws as decode_npy does, and io for a file
/// that is no archive, is damaged or holds more than 2^36 bytes.
TAPER_API NamedTensors read_npz(const std::filesystem::path& path);

}  // namespace taper

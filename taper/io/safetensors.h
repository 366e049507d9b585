// The safetensors format: named tensors and text metadata, with nothing to execute.
// https://github.com/huggingface/safetensors
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/tensor.h>

namespace taper {

/// Names in order, each with a tensor.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// Names in order, each with a text.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// What a safetensors file holds.
struct TAPER_API SafeTensors {
  NamedTensors tensors;  ///< in the order of their data in the file
  Metadata metadata;     ///< in the order of the file; empty if there is none

  /// Null if there is no tensor of this name.
  const Tensor* find(std::string_view name) const;
  /// Throws not_found naming the tensors that there are.
  const Tensor& at(std::string_view name) const;
  /// The text of this name in the metadata; null if there is none.
  const std::string* find_metadata(std::string_view name) const;
};

/// Replaces or creates the file atomically (see AtomicFile).
///
/// The same tensors and metadata give the same bytes, those that the reference library writes: the
/// header without spaces, padded with spaces to a multiple of 8 bytes, the metadata in the order
/// given, then the tensors by descending alignment of their dtype (u64, i64, f64, c64, f32,
/// u32, i32, bf16, f16, u16, i16, i8, u8, bool) and by name. c128 is not in the format; tensors
/// that are not in row-major order are written as if they were.
///
/// Throws value for an undefined tensor, a name given twice, the name `__metadata__`, a name or
/// text that is not UTF-8; unsupported for c128; io naming the path.
TAPER_API void save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                                const Metadata& metadata = {});

/// Reads a whole file. Everything is checked before memory is taken for it: the length of the
/// header (at most 100,000,000 bytes and the file's), that it is a UTF-8 JSON object, names given
/// once, known dtypes, sizes that do not overflow and fit their bytes, data that fill the file
/// without holes, overlap or trailing bytes; and that bools are 0 or 1.
///
/// Throws io naming the path and the tensor; unsupported for a dtype of the format that Taper does
/// not have (such as F8_E4M3) and for more than `Shape::max_rank` axes.
TAPER_API SafeTensors load_safetensors(const std::filesystem::path& path);

}  // namespace taper

// Checkpoints that survive: a folder holds the last two, each a safetensors file and a manifest.
//
//   checkpoint-7.safetensors   the tensors
//   checkpoint-7.json          the manifest: the other file's name, size and SHA-256, where and by
//                              what it was made, the progress, and last its own SHA-256
//
// Both are written beside their places, synced and renamed, and the folder is synced; renaming the
// manifest is the commit. A manifest or a tensor file that was cut or changed is told by its
// digest, and the checkpoint before it is taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <taper/core/value.h>
#include <taper/io/safetensors.h>

namespace taper {

/// What a training needs to go on: named tensors, and whatever else as an object.
struct Checkpoint {
  Fields progress;
  NamedTensors tensors;
};

/// What the bits of a result depend on besides the program's input.
struct Environment {
  std::string build;  ///< of Taper: its version, compiler and oneDNN
  std::string cpu;    ///< the processor and the instruction set in use
  int64_t threads = 0;
};

/// That of this process.
TAPER_API Environment this_environment();

/// What differs between two, for a warning: "threads 2, now 1"; empty if nothing does.
TAPER_API std::string difference(const Environment& then, const Environment& now);

/// A checkpoint as it was found.
struct FoundCheckpoint {
  Checkpoint checkpoint;
  Environment environment;
  /// Why newer ones were passed over, each with the file's name; empty if this is the newest.
  std::vector<std::string> faults;
};

/// A folder of checkpoints. One process at a time may save into it.
class TAPER_API CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& path() const { return folder_; }

  /// Adds a checkpoint and removes all but this one and the one before it (with `is_first` that
  /// one, too: it is of another training), and what cut saves left. Makes the folder and those
  /// above it. Throws io; what was there is then still whole.
  void save(const Checkpoint& checkpoint, bool is_first = false) const;

  /// True if there is no checkpoint, whole or not. Throws io.
  bool empty() const;

  /// The newest whole checkpoint; nothing if there is none at all. Throws io naming each fault if
  /// there are some but none is whole.
  std::optional<FoundCheckpoint> load() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace taper

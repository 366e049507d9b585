// The folder that a training takes for its files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <taper/train/run.h>

namespace taper::cli {

/// Made or taken when it is constructed, and locked against other processes until it goes. What
/// was made of it goes away again if it is still empty at the end.
class RunFolder {
 public:
  /// Throws io if something is in the way, if it holds a run that `use` does not allow, or if
  /// another process trains in it.
  RunFolder(std::filesystem::path path, RunFolderUse use);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// False if the folder was there, perhaps since a moment ago.
  bool is_new() const { return is_new_; }

 private:
  void lock();
  void remove_made() const;

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // innermost first
  bool is_new_ = false;
  int lock_ = -1;
};

/// True if something of this name is there, also a link that leads nowhere.
bool is_there(const std::filesystem::path& path);

/// `a/../b/` is `b`: then nothing is made on the way.
std::filesystem::path plain(const std::filesystem::path& path);

}  // namespace taper::cli

// The folder that a training takes for its files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <taper/core/error.h>
#include <taper/train/run.h>

namespace taper::cli {

/// The folder is another process's.
class FolderTaken : public Error {
 public:
  using Error::Error;
};

/// Made or taken when it is constructed, and locked against other processes until it goes. What
/// was made of it goes away again if it is still empty at the end.
class RunFolder {
 public:
  /// Throws io if something is in the way or if it holds a run that `use` does not allow, and
  /// FolderTaken if another process trains in it or, with `must_be_new`, made it.
  RunFolder(std::filesystem::path path, RunFolderUse use, bool must_be_new = false);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  void make_new();
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

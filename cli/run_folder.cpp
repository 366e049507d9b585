#include "run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <taper/core/error.h>
#include <taper/io/files.h>

namespace taper::cli {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

fs::path plain(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

RunFolder::RunFolder(fs::path path, RunFolderUse use, bool must_be_new) : path_(std::move(path)) {
  for (fs::path at = fs::absolute(path_); !is_there(at) && at.has_relative_path();
       at = at.parent_path()) {
    made_.push_back(at);
  }
  try {
    if (must_be_new) make_new();
    is_new_ = prepare_run_folder(path_, use) || must_be_new;
    if (!is_new_) made_.clear();
    lock();
    remove_cut_files(path_);
    if (use == RunFolderUse::replace) clear_run_folder(path_);
  } catch (...) {
    remove_made();
    throw;
  }
}

RunFolder::~RunFolder() {
  try {
    // A training that failed before its first checkpoint leaves nothing, its logs neither.
    if (is_new_ && !holds_run(path_)) clear_run_folder(path_);
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): what cannot be removed stays
  }
  remove_made();
  if (lock_ >= 0) close(lock_);
}

/// One call tells who makes the folder; what else goes wrong is said by `prepare_run_folder`.
void RunFolder::make_new() {
  std::error_code error;
  if (make_folder(path_, error) || error) return;
  made_.clear();
  throw FolderTaken(ErrorKind::io, "another process made " + path_.string());
}

/// The lock goes with the process, however that ends.
void RunFolder::lock() {
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) return;  // a file system without locks
  close(lock_);
  lock_ = -1;
  made_.clear();  // its folder now
  throw FolderTaken(ErrorKind::io, "another process trains in " + path_.string());
}

/// Folders that are not empty stay.
void RunFolder::remove_made() const {
  std::error_code ignored;
  for (const fs::path& folder : made_) fs::remove(folder, ignored);
}

}  // namespace taper::cli

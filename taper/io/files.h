// Private: whole files, with the guarantees that the readers of hostile files and checkpoints need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace taper {

/// A regular file that is open to read.
class InputFile {
 public:
  /// Throws io if it cannot be opened or is not a regular file.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// The number of bytes when it was opened.
  uint64_t size() const { return size_; }

  /// Reads the next bytes; fewer than asked for only at the end of the file. Throws io.
  size_t read(std::span<char> bytes);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

/// Reads a plain or a gzipped file, the latter unpacked; several gzip members are read as one.
class UnpackedFile {
 public:
  /// Throws io as InputFile does.
  explicit UnpackedFile(const std::filesystem::path& path);
  ~UnpackedFile();

  /// The next unpacked bytes; fewer than asked for only at the end. Throws io if the gzip data is
  /// damaged, cut short or followed by something else.
  size_t read(std::span<char> bytes);

  /// No more bytes than this can come out of the file: its size, or for a gzipped one 1,032 times
  /// its size, which is the best that deflate does.
  uint64_t most_bytes() const;

 private:
  struct Gzip;

  size_t read_file(std::span<char> bytes);
  size_t unpack(std::span<char> bytes);

  InputFile file_;
  char magic_[2];
  size_t magic_size_ = 0;
  size_t magic_used_ = 0;
  std::unique_ptr<Gzip> gzip_;  // null if the file is plain
};

/// A new version of a file, written beside it and put in its place as a whole by `commit`.
///
/// Until then the old file is untouched, and without `commit` the temporary file is removed. A
/// symbolic link is replaced itself, not the file that it points to; what is there and no regular
/// file, such as a device, is refused.
class AtomicFile {
 public:
  /// Creates the temporary file with mode 0666 & ~umask. Throws io.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Throws io.
  void write(std::string_view bytes);

  /// Syncs, renames and syncs the folder: the file is on the disk when this returns. Throws io.
  void commit();

 private:
  void check_target() const;
  void create_temporary();
  [[noreturn]] void fail_io() const;
  void close_and_remove() noexcept;

  std::filesystem::path path_;
  std::string name_;       // of the file in its folder
  std::string temporary_;  // the same of the temporary file; empty if there is none
  int folder_ = -1;
  int descriptor_ = -1;
};

/// Makes a folder and those above it; their names are on the disk when this returns. True if this
/// call made it. Says in `error` what went wrong.
bool make_folder(const std::filesystem::path& folder, std::error_code& error);

/// True if something of this name is there, also a link that leads nowhere.
bool is_there(const std::filesystem::path& path);

/// The names in the folder are on the disk when this returns. Throws io.
void sync_folder(const std::filesystem::path& folder);

/// Locks a folder against other processes, and other locks of this one. The lock goes with the
/// process, however that ends. On a file system without locks it says that it has it.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// False if somebody else has it.
  explicit operator bool() const { return has_; }
  /// Who has it, for people: "another process", with its number where the system tells it.
  std::string holder() const;

 private:
  int descriptor_ = -1;
  bool has_ = true;
};

/// Removes what AtomicFile left in a folder when a process died in the middle: only where no other
/// process writes.
void remove_cut_files(const std::filesystem::path& folder);

/// The whole content of a file. Throws io, also if it holds more than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit);

/// The whole content of a file, unpacked if it is gzipped. Throws io, also if the unpacked content
/// is more than `limit` bytes, before more memory than that is taken.
std::string gunzip_file(const std::filesystem::path& path, size_t limit);

/// Replaces or creates a file: readers see the old content or the new, also after a crash. See
/// AtomicFile. Throws io; then the old file is untouched and no temporary file is left.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

}  // namespace taper

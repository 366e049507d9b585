#include <taper/io/files.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

#include <taper/core/error.h>

namespace taper {
namespace {

constexpr size_t chunk_bytes = size_t{64} << 10;
constexpr uint64_t deflate_best_ratio = 1032;
constexpr const char* temporary_prefix = ".taper-";
constexpr const char* temporary_suffix = ".tmp";

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail_at(const std::filesystem::path& path, const std::string& what) {
  fail(ErrorKind::io, (path.empty() ? "the empty path" : path.string()) + ": " + what);
}

std::string not_regular(const struct stat& status) {
  return S_ISDIR(status.st_mode) ? reason(EISDIR) : "Not a regular file";
}

/// Repeats a call that a signal interrupted.
template <class Call>
auto retry(Call call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// Everything that `source` still has, at most `limit` bytes. `expected` is a hint.
template <class Source>
std::string read_all(Source& source, const std::filesystem::path& path, uint64_t expected,
                     size_t limit) {
  std::string content;
  content.reserve(static_cast<size_t>(std::min<uint64_t>(expected, limit)));
  char chunk[chunk_bytes];
  while (const size_t count = source.read(chunk)) {
    if (count > limit - content.size()) {
      fail_at(path, "holds more than the limit of " + std::to_string(limit) + " bytes");
    }
    content.append(chunk, count);
  }
  return content;
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// Reading

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  // A named pipe without a writer would block for ever; on regular files O_NONBLOCK does nothing.
  descriptor_ = retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor_ < 0) fail_at(path, reason(errno));
  struct stat status;
  const int error = fstat(descriptor_, &status) != 0 ? errno : 0;
  if (error == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<uint64_t>(status.st_size);
    return;
  }
  close(descriptor_);
  fail_at(path, error != 0 ? reason(error) : not_regular(status));
}

InputFile::~InputFile() { close(descriptor_); }

size_t InputFile::read(std::span<char> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        retry([&] { return ::read(descriptor_, bytes.data() + done, bytes.size() - done); });
    if (count < 0) fail_at(path_, reason(errno));
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

/// The state of unpacking.
struct UnpackedFile::Gzip {
  z_stream stream = {};
  bool in_member = true;
  char input[chunk_bytes];

  Gzip() {
    constexpr int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream, gzip_only) != Z_OK) {
      fail(ErrorKind::value, "cannot allocate memory to unpack gzip data");
    }
  }
  ~Gzip() { inflateEnd(&stream); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
};

UnpackedFile::UnpackedFile(const std::filesystem::path& path) : file_(path) {
  magic_size_ = file_.read(magic_);
  if (magic_size_ == 2 && magic_[0] == '\x1f' && magic_[1] == '\x8b') {
    gzip_ = std::make_unique<Gzip>();
  }
}

UnpackedFile::~UnpackedFile() = default;

uint64_t UnpackedFile::most_bytes() const {
  if (!gzip_) return file_.size();
  uint64_t most = 0;
  return __builtin_mul_overflow(file_.size(), deflate_best_ratio, &most) ? UINT64_MAX : most;
}

size_t UnpackedFile::read(std::span<char> bytes) {
  return gzip_ ? unpack(bytes) : read_file(bytes);
}

/// The next bytes as they stand in the file, beginning with those that told its format.
size_t UnpackedFile::read_file(std::span<char> bytes) {
  const size_t first = std::min(magic_size_ - magic_used_, bytes.size());
  std::memcpy(bytes.data(), magic_ + magic_used_, first);
  magic_used_ += first;
  return first + file_.read(bytes.subspan(first));
}

size_t UnpackedFile::unpack(std::span<char> bytes) {
  z_stream& stream = gzip_->stream;
  size_t done = 0;
  while (done < bytes.size()) {
    if (stream.avail_in == 0) {
      stream.next_in = reinterpret_cast<Bytef*>(gzip_->input);
      stream.avail_in = static_cast<uInt>(read_file(gzip_->input));
      if (stream.avail_in == 0 && gzip_->in_member) fail_at(file_.path(), "gzip data is cut short");
      if (stream.avail_in == 0) break;
    }
    if (!gzip_->in_member) {
      if (*stream.next_in != 0x1f) fail_at(file_.path(), "gzip data is followed by something else");
      inflateReset(&stream);
      gzip_->in_member = true;
    }
    const size_t room = std::min(bytes.size() - done, size_t{1} << 30);
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + done);
    stream.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream, Z_NO_FLUSH);
    done += room - stream.avail_out;
    if (code == Z_STREAM_END) {
      gzip_->in_member = false;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      fail_at(file_.path(), std::string("gzip data is damaged: ") +
                                (stream.msg != nullptr ? stream.msg : zError(code)));
    }
  }
  return done;
}

std::string read_file(const std::filesystem::path& path, size_t limit) {
  InputFile file(path);
  if (file.size() > limit) {
    fail_at(path, "holds " + std::to_string(file.size()) + " bytes, the limit is " +
                      std::to_string(limit));
  }
  return read_all(file, path, file.size(), limit);
}

std::string gunzip_file(const std::filesystem::path& path, size_t limit) {
  UnpackedFile file(path);
  return read_all(file, path, 0, limit);
}

// ---------------------------------------------------------------------------------------------
// Writing

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(path), name_(path.filename().string()) {
  if (path.empty()) fail_at(path, reason(ENOENT));
  if (name_.empty() || name_ == "." || name_ == "..") fail_at(path, reason(EISDIR));
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  folder_ = retry([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder_ < 0) fail_io();
  try {
    check_target();
    create_temporary();
  } catch (...) {
    close_and_remove();
    throw;
  }
}

AtomicFile::~AtomicFile() { close_and_remove(); }

/// A rename would put a file in the place of a device such as /dev/stdout.
void AtomicFile::check_target() const {
  struct stat status;
  if (fstatat(folder_, name_.c_str(), &status, 0) != 0 || S_ISREG(status.st_mode)) return;
  fail_at(path_, not_regular(status));
}

void AtomicFile::create_temporary() {
  static std::atomic<uint64_t> number{0};
  while (true) {
    const std::string name = temporary_prefix + std::to_string(getpid()) + "-" +
                             std::to_string(number++) + temporary_suffix;
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    descriptor_ = retry([&] { return openat(folder_, name.c_str(), flags, 0666); });
    if (descriptor_ >= 0) {
      temporary_ = name;
      return;
    }
    if (errno != EEXIST) fail_io();
  }
}

void AtomicFile::fail_io() const { fail_at(path_, reason(errno)); }

void AtomicFile::close_and_remove() noexcept {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlinkat(folder_, temporary_.c_str(), 0);
  if (folder_ >= 0) close(folder_);
  descriptor_ = -1;
  temporary_.clear();
  folder_ = -1;
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retry([&] { return ::write(descriptor_, bytes.data(), bytes.size()); });
    if (count < 0) fail_io();
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

namespace {

/// The names in it are on the disk when this returns. False if that failed, with errno.
bool sync_names(int descriptor) {
  // Some file systems cannot sync a folder, and say EINVAL.
  return retry([&] { return fsync(descriptor); }) == 0 || errno == EINVAL;
}

}  // namespace

void AtomicFile::commit() {
  if (retry([&] { return fsync(descriptor_); }) != 0) fail_io();
  if (renameat(folder_, temporary_.c_str(), folder_, name_.c_str()) != 0) fail_io();
  temporary_.clear();
  if (!sync_names(folder_)) fail_io();
}

bool make_folder(const std::filesystem::path& folder, std::error_code& error) {
  namespace fs = std::filesystem;
  error.clear();
  const fs::path path = folder.has_filename() ? folder : folder.parent_path();  // `a/` is `a`
  const auto fail_with = [&](int code) {
    error.assign(code, std::generic_category());
    return false;
  };
  if (path.empty()) return fail_with(ENOENT);
  if (fs::is_directory(path, error)) return false;
  const fs::path parent = path.has_parent_path() ? path.parent_path() : ".";
  make_folder(parent, error);
  if (error == std::errc::file_exists) error = std::make_error_code(std::errc::not_a_directory);
  if (error) return false;
  if (mkdir(path.c_str(), 0777) != 0) {
    const int code = errno;
    return code == EEXIST && fs::is_directory(path, error) ? false : fail_with(code);
  }
  const int above = retry([&] { return open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (above < 0) return fail_with(errno);
  const bool synced = sync_names(above);
  const int code = errno;
  close(above);
  return synced ? true : fail_with(code);
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

void sync_folder(const std::filesystem::path& folder) {
  const int opened =
      retry([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  const bool synced = opened >= 0 && sync_names(opened);
  const int code = errno;
  if (opened >= 0) close(opened);
  if (!synced) fail_at(folder, reason(code));
}

FolderLock::FolderLock(const std::filesystem::path& folder)
    : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) return;
  has_ = retry([&] { return flock(descriptor_, LOCK_EX | LOCK_NB); }) == 0 || errno != EWOULDBLOCK;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::string FolderLock::holder() const {
  struct stat folder = {};
  if (descriptor_ < 0 || fstat(descriptor_, &folder) != 0) return "another process";
  // A line is `1: FLOCK ADVISORY WRITE 4711 fe:01:131 0 EOF`, the device in hexadecimal numbers.
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    int process = 0;
    unsigned int major = 0;
    unsigned int minor = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%*s FLOCK %*s %*s %d %x:%x:%lu", &process, &major, &minor,
                    &inode) != 4) {
      continue;
    }
    const bool is_this = inode == folder.st_ino && makedev(major, minor) == folder.st_dev;
    if (is_this && process > 0) return "another process (" + std::to_string(process) + ")";
  }
  return "another process";
}

namespace {

/// `.taper-PID-NUMBER.tmp`, and nothing else that somebody may have named.
bool is_temporary(std::string_view name) {
  if (!name.starts_with(temporary_prefix) || !name.ends_with(temporary_suffix)) return false;
  name.remove_prefix(std::string_view(temporary_prefix).size());
  name.remove_suffix(std::string_view(temporary_suffix).size());
  return !name.empty() && name.find_first_not_of("0123456789-") == name.npos;
}

}  // namespace

void remove_cut_files(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> cut;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (is_temporary(name)) cut.push_back(at->path());
  }
  for (const fs::path& path : cut) fs::remove(path, error);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace taper

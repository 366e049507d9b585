// Preloaded into a process under test: lets one of its calls fail or be its last.
//
//   TAPER_FAULT=kill:37       SIGKILL before the 37th counted call
//   TAPER_FAULT=power:37      the same as if the machine lost its power: files are empty unless
//                             their bytes were synced, and names are what they were when their
//                             folder was synced
//   TAPER_FAULT=ENOSPC:5      the 5th write fails so; `EIO:5` any counted call
//   TAPER_FAULT=ENOSPC:5+     the 5th write and all after it
//   TAPER_FAULT=count         prints how many calls there were, and how many of them were writes
//
// Counted are write, fsync, rename and renameat on files, not on the standard streams.

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

/// Files that were written since they were last synced, held open by descriptors of our own.
struct Unsynced {
  struct File {
    ino_t number;
    int descriptor;
  };
  File files[1024];
  size_t count = 0;

  File* find(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return nullptr;
    for (size_t i = 0; i < count; ++i) {
      if (files[i].number == status.st_ino) return &files[i];
    }
    return nullptr;
  }
  void add(int descriptor) {
    struct stat status;
    if (find(descriptor) != nullptr || fstat(descriptor, &status) != 0 || count == 1024) return;
    files[count++] = {status.st_ino, dup(descriptor)};
  }
  void remove(int descriptor) {
    File* file = find(descriptor);
    if (file == nullptr) return;
    close(file->descriptor);
    *file = files[--count];
  }
  void lose() const {
    for (size_t i = 0; i < count; ++i) {
      if (ftruncate(files[i].descriptor, 0) != 0) perror("ftruncate");
    }
  }
};

Unsynced unsynced;

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

/// Names that were made or moved since their folder was last synced.
class UnsyncedNames {
 public:
  /// A folder or file that is new.
  void add_made(const std::filesystem::path& path) { changes_.push_back({path, {}, -1}); }
  /// To be called before the rename.
  void add_moved(const std::filesystem::path& from, const std::filesystem::path& to) {
    changes_.push_back({to, from, open(to.c_str(), O_RDONLY | O_CLOEXEC)});
  }
  void remove(const std::filesystem::path& folder) {
    std::erase_if(changes_, [&](const Change& each) { return each.name.parent_path() == folder; });
  }
  /// Undoes what the disk does not know, the last change first.
  void lose() const {
    static const auto rename = next<int (*)(const char*, const char*)>("rename");
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
      std::error_code ignored;
      if (change->before.empty()) {
        std::filesystem::remove_all(change->name, ignored);
        continue;
      }
      rename(change->name.c_str(), change->before.c_str());
      if (change->replaced >= 0) put_back(*change);
    }
  }

 private:
  struct Change {
    std::filesystem::path name;
    std::filesystem::path before;  // empty for a new one
    int replaced;                  // the file that the name stood for; -1 if for none
  };

  static void put_back(const Change& change) {
    static const auto write = next<ssize_t (*)(int, const void*, size_t)>("write");
    const int file = ::open(change.name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    char bytes[4096];
    off_t at = 0;
    for (ssize_t got; (got = pread(change.replaced, bytes, sizeof bytes, at)) > 0; at += got) {
      if (write(file, bytes, static_cast<size_t>(got)) != got) perror("write");
    }
    close(file);
  }

  std::vector<Change> changes_;
};

UnsyncedNames& names() {
  static UnsyncedNames* const all = new UnsyncedNames;
  return *all;
}

/// What a descriptor stands for.
std::filesystem::path path_of(int descriptor) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = readlink(link.c_str(), path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}
std::filesystem::path path_in(int folder, const char* name) {
  if (name[0] == '/') return name;
  return (folder == AT_FDCWD ? std::filesystem::current_path() : path_of(folder)) / name;
}

struct Fault {
  bool kill = false;
  bool power = false;
  bool count = false;
  bool lasting = false;
  bool writes_only = false;
  int error = 0;
  long at = 0;
  long calls = 0;
  long writes = 0;

  Fault() {
    const char* text = getenv("TAPER_FAULT");
    if (text == nullptr) return;
    count = strcmp(text, "count") == 0;
    kill = strncmp(text, "kill:", 5) == 0;
    power = strncmp(text, "power:", 6) == 0;
    writes_only = strncmp(text, "ENOSPC:", 7) == 0;
    if (writes_only) error = ENOSPC;
    if (strncmp(text, "EIO:", 4) == 0) error = EIO;
    const char* colon = strchr(text, ':');
    char* end = nullptr;
    if (colon != nullptr) at = strtol(colon + 1, &end, 10);
    lasting = end != nullptr && *end == '+';
  }
  ~Fault() {
    if (count) printf("%ld calls, %ld writes\n", calls, writes);
  }

  /// True if this call is to fail; errno says how.
  bool strikes(bool is_write) {
    ++calls;
    if (is_write) ++writes;
    const long now = writes_only ? writes : calls;
    if (at == 0 || (writes_only && !is_write)) return false;
    if (now != at && !(lasting && now > at)) return false;
    if (power) {
      unsynced.lose();
      names().lose();
    }
    if (kill || power) raise(SIGKILL);
    errno = error;
    return true;
  }
};

Fault fault;

bool is_file(int descriptor) {
  struct stat status;
  return descriptor > 2 && fstat(descriptor, &status) == 0 &&
         (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

}  // namespace

extern "C" {

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto real = next<int (*)(const char*, mode_t)>("mkdir");
  const int result = real(path, mode);
  if (fault.power && result == 0) names().add_made(path_in(AT_FDCWD, path));
  return result;
}

int openat(int folder, const char* name, int flags, ...) {
  static const auto real = next<int (*)(int, const char*, int, ...)>("openat");
  const bool is_new =
      fault.power && (flags & O_CREAT) != 0 && faccessat(folder, name, F_OK, 0) != 0;
  const int result = real(folder, name, flags, 0666);
  if (is_new && result >= 0) names().add_made(path_in(folder, name));
  return result;
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (is_file(descriptor) && fault.strikes(true)) return -1;
  if (fault.power && is_file(descriptor)) unsynced.add(descriptor);
  return real(descriptor, bytes, count);
}

int fsync(int descriptor) {
  static const auto real = next<int (*)(int)>("fsync");
  if (is_file(descriptor) && fault.strikes(false)) return -1;
  if (fault.power) {
    unsynced.remove(descriptor);
    names().remove(path_of(descriptor));
  }
  return real(descriptor);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  if (fault.strikes(false)) return -1;
  if (fault.power) names().add_moved(path_in(AT_FDCWD, from), path_in(AT_FDCWD, to));
  return real(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  static const auto real = next<int (*)(int, const char*, int, const char*)>("renameat");
  if (fault.strikes(false)) return -1;
  if (fault.power) names().add_moved(path_in(from_folder, from), path_in(to_folder, to));
  return real(from_folder, from, to_folder, to);
}
}

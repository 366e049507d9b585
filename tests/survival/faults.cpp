// Preloaded into a process under test: lets one of its calls fail or be its last.
//
//   TAPER_FAULT=kill:37       SIGKILL before the 37th counted call
//   TAPER_FAULT=power:37      the same as if the machine lost its power: files are empty unless
//   their
//                             bytes were synced
//   TAPER_FAULT=ENOSPC:5      the 5th write fails so; `EIO:5` any counted call
//   TAPER_FAULT=ENOSPC:5+     the 5th write and all after it
//   TAPER_FAULT=count         prints how many calls there were, and how many of them were writes
//
// Counted are write, fsync, rename and renameat on files, not on the standard streams.

#include <dlfcn.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

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
    if (power) unsynced.lose();
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

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (is_file(descriptor) && fault.strikes(true)) return -1;
  if (fault.power && is_file(descriptor)) unsynced.add(descriptor);
  return real(descriptor, bytes, count);
}

int fsync(int descriptor) {
  static const auto real = next<int (*)(int)>("fsync");
  if (is_file(descriptor) && fault.strikes(false)) return -1;
  if (fault.power) unsynced.remove(descriptor);
  return real(descriptor);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  if (fault.strikes(false)) return -1;
  return real(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  static const auto real = next<int (*)(int, const char*, int, const char*)>("renameat");
  if (fault.strikes(false)) return -1;
  return real(from_folder, from, to_folder, to);
}
}

// What tests of file readers share: a folder of their own, and damaged copies of a file.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>

#include <taper/core/error.h>
#include <taper/core/philox.h>

namespace taper::testing {

/// A new empty folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (parent() / "taper-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  /// In memory if possible: some tests write thousands of files.
  static std::filesystem::path parent() {
    const bool in_memory = getenv("TMPDIR") == nullptr && std::filesystem::exists("/dev/shm");
    return in_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  }

  std::filesystem::path path_;
};

inline std::filesystem::path put(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
  return path;
}

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// One gzip member.
inline std::string gzipped(std::string_view bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// The text of the taper::Error that `action` throws, checked to be of this kind.
inline std::string error_of(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(kind_name(error.kind()), kind_name(kind)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

/// Every prefix of `good` but itself must be refused with Error(io).
inline void expect_prefixes_refused(const std::string& good, const std::filesystem::path& path,
                                    const std::function<void(const std::filesystem::path&)>& read) {
  for (size_t length = 0; length < good.size(); ++length) {
    put(path, std::string_view(good).substr(0, length));
    const std::string text = error_of(ErrorKind::io, [&] { read(path); });
    EXPECT_NE(text.find(path.filename().string()), text.npos) << text;
  }
}

/// Reads 2,000 copies of `good` with one to four bytes changed, removed or added at random: each
/// is read or refused with a taper::Error, and nothing else happens. Returns how many were read.
inline int read_mutations(const std::string& good, const std::filesystem::path& path,
                          const std::function<void(const std::filesystem::path&)>& read) {
  int accepted = 0;
  for (uint64_t trial = 0; trial < 2000; ++trial) {
    std::string bytes = good;
    const uint32_t changes = 1 + philox(5, trial)[0] % 4;
    for (uint32_t change = 1; change <= changes && !bytes.empty(); ++change) {
      const auto random = philox(5, trial, change);
      const size_t place = random[0] % bytes.size();
      const char byte = static_cast<char>(random[1]);
      switch (random[2] % 4) {
        case 0:
          bytes.erase(place, 1);
          break;
        case 1:
          bytes.insert(place, 1, byte);
          break;
        default:
          bytes[place] = byte;
          break;
      }
    }
    put(path, bytes);
    try {
      read(path);
      ++accepted;
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::internal) << error.what();
    }
  }
  return accepted;
}

}  // namespace taper::testing

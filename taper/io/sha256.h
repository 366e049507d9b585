// Private: checksums of files.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace taper {

/// SHA-256 (FIPS 180-4) of bytes that come in parts.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);
  /// The digest of all that was added, as 64 hexadecimal digits; nothing can be added after it.
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The digest of these bytes, as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

/// The digest of a whole file, read in parts. Throws io.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace taper

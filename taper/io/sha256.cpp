#include <taper/io/sha256.h>

#include <openssl/evp.h>

#include <vector>

#include <taper/core/error.h>
#include <taper/io/files.h>

namespace taper {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  TAPER_CHECK(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  TAPER_CHECK(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  TAPER_CHECK(EVP_DigestFinal_ex(impl_->context, digest, &size) == 1);
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 15];
  }
  return text;
}

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

std::string sha256_file(const std::filesystem::path& path) {
  constexpr size_t part = size_t{1} << 18;
  InputFile file(path);
  Sha256 hash;
  std::vector<char> bytes(part);
  while (const size_t count = file.read(bytes)) hash.add({bytes.data(), count});
  return hash.finish();
}

}  // namespace taper

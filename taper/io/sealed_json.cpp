#include <taper/io/sealed_json.h>

#include <string_view>

#include <taper/core/error.h>
#include <taper/io/sha256.h>

namespace taper {
namespace {

constexpr std::string_view digest_key = ",\n  \"manifest_sha256\": \"";
constexpr std::string_view digest_end = "\"\n}\n";
constexpr size_t digest_size = 64;

}  // namespace

std::string seal(const Value& content) {
  std::string text = to_json(content);
  TAPER_CHECK(text.ends_with("\n}"));
  text.resize(text.size() - 2);
  const std::string digest = sha256(text);
  return text + std::string(digest_key) + digest + std::string(digest_end);
}

Value unseal(const std::string& text) {
  const size_t tail = digest_key.size() + digest_size + digest_end.size();
  const std::string_view all = text;
  if (all.size() < tail || !all.ends_with(digest_end) ||
      all.substr(all.size() - tail, digest_key.size()) != digest_key) {
    fail(ErrorKind::io, "is cut short or damaged: it does not end with its digest");
  }
  const std::string_view content = all.substr(0, all.size() - tail);
  const size_t digest_at = all.size() - digest_size - digest_end.size();
  if (sha256(content) != all.substr(digest_at, digest_size)) {
    fail(ErrorKind::io, "is damaged: its content does not have the digest at its end");
  }
  return parse_json(std::string(content) + "\n}");
}

}  // namespace taper

#include <taper/train/runs/checkpoint.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/onednn.h>
#include <taper/core/error.h>
#include <taper/core/machine.h>
#include <taper/core/parse_fields.h>
#include <taper/core/threads.h>
#include <taper/io/files.h>
#include <taper/io/sealed_json.h>
#include <taper/io/sha256.h>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr const char* format_name = "taper-checkpoint";
constexpr int64_t format_version = 1;
constexpr size_t largest_manifest = size_t{64} << 20;
constexpr std::string_view prefix = "checkpoint-";
constexpr size_t kept = 2;

/// The manifest in the order of its keys, without the digest that ends it.
struct Manifest {
  Required<std::string> format;
  Required<int64_t> version;
  Required<std::string> file;
  Required<int64_t> bytes;
  Required<std::string> sha256;
  std::string build;
  std::string cpu;
  int64_t threads = 0;
};

// ---------------------------------------------------------------------------------- numbers

/// JSON has no infinity and no NaN: such a number is written as {"real": "inf"}.
Value encode(const Value& value) {
  if (const double* real = value.get_if<double>(); real != nullptr && !std::isfinite(*real)) {
    const char* text = std::isnan(*real) ? "nan" : *real > 0 ? "inf" : "-inf";
    return Value(Fields{{"real", Value(text)}});
  }
  if (const auto* reals = value.get_if<Value::Reals>()) {
    if (std::ranges::all_of(*reals, [](double real) { return std::isfinite(real); })) return value;
    Value::List list;
    for (double real : *reals) list.push_back(encode(Value(real)));
    return Value(std::move(list));
  }
  if (const auto* list = value.get_if<Value::List>()) {
    Value::List encoded;
    for (const Value& element : *list) encoded.push_back(encode(element));
    return Value(std::move(encoded));
  }
  if (const auto* fields = value.get_if<Fields>()) {
    Fields encoded;
    for (const auto& [name, field] : *fields) encoded.emplace_back(name, encode(field));
    return Value(std::move(encoded));
  }
  return value;
}

Value decode(const Value& value) {
  if (const auto* list = value.get_if<Value::List>()) {
    Value::List decoded;
    for (const Value& element : *list) decoded.push_back(decode(element));
    return Value(std::move(decoded));
  }
  const auto* fields = value.get_if<Fields>();
  if (fields == nullptr) return value;
  if (fields->size() == 1 && fields->front().first == "real") {
    const Value& text = fields->front().second;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (text == Value("inf")) return Value(infinity);
    if (text == Value("-inf")) return Value(-infinity);
    if (text == Value("nan")) return Value(std::numeric_limits<double>::quiet_NaN());
  }
  Fields decoded;
  for (const auto& [name, field] : *fields) decoded.emplace_back(name, decode(field));
  return Value(std::move(decoded));
}

// ---------------------------------------------------------------------------------- manifest

/// The number of `checkpoint-7.json`; nothing for another name.
std::optional<uint64_t> number_of(const std::string& name, std::string_view ending) {
  const std::string_view text = name;
  if (!text.starts_with(prefix) || !text.ends_with(ending)) return {};
  const char* begin = text.data() + prefix.size();
  const char* end = text.data() + text.size() - ending.size();
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (begin >= end || error != std::errc() || stop != end) return {};
  return number;
}

std::string name_of(uint64_t number, const char* ending) {
  return std::string(prefix) + std::to_string(number) + ending;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    fail(ErrorKind::io, folder.string() + ": " + error.message());
  }
  return names;
}

/// The numbers of the checkpoints whose manifest is there, newest first.
std::vector<uint64_t> numbers_in(const fs::path& folder) {
  std::vector<uint64_t> numbers;
  for (const std::string& name : names_in(folder)) {
    if (const auto number = number_of(name, ".json")) numbers.push_back(*number);
  }
  std::ranges::sort(numbers, std::greater());
  return numbers;
}

/// Removes all but the kept checkpoints, and temporary files of saves that were cut.
void remove_old(const fs::path& folder, const std::vector<uint64_t>& keep) {
  remove_cut_files(folder);
  for (const std::string& name : names_in(folder)) {
    auto number = number_of(name, ".json");
    if (!number) number = number_of(name, ".safetensors");
    const bool old = number && std::ranges::find(keep, *number) == keep.end();
    std::error_code ignored;
    if (old) fs::remove(folder / name, ignored);
  }
}

FoundCheckpoint read(const fs::path& folder, uint64_t number) {
  const Value content = unseal(read_file(folder / name_of(number, ".json"), largest_manifest));
  Fields known;
  FoundCheckpoint found;
  for (const auto& [name, value] : *content.get_if<Fields>()) {
    if (name == "progress") {
      const Value decoded = decode(value);
      if (const Fields* fields = decoded.get_if<Fields>()) found.checkpoint.progress = *fields;
    } else {
      known.emplace_back(name, value);
    }
  }
  const auto manifest = parse_fields<Manifest>("manifest", known);
  if (manifest.format.value() != format_name || manifest.version.value() != format_version) {
    fail(ErrorKind::unsupported, "is a checkpoint of another version of Taper");
  }
  const std::string file = name_of(number, ".safetensors");
  if (manifest.file.value() != file) fail(ErrorKind::io, "does not belong to " + file);
  if (sha256_file(folder / file) != manifest.sha256.value()) {
    fail(ErrorKind::io, file + " is damaged: it does not have the digest in the manifest");
  }
  found.checkpoint.tensors = load_safetensors(folder / file).tensors;
  found.environment = {manifest.build, manifest.cpu, manifest.threads};
  return found;
}

}  // namespace

Environment this_environment() {
  return {.build = "taper " TAPER_VERSION ", compiler " __VERSION__ ", oneDNN " + onednn_version(),
          .cpu = cpu_name() + (isa() == Isa::v4 ? ", x86-64-v4" : ", x86-64-v3"),
          .threads = threads()};
}

std::string difference(const Environment& then, const Environment& now) {
  std::string text;
  const auto compare = [&](const char* what, const std::string& was, const std::string& is) {
    if (was != is) text += (text.empty() ? "" : "; ") + std::string(what) + was + ", now " + is;
  };
  compare("", then.build, now.build);
  compare("processor ", then.cpu, now.cpu);
  compare("threads ", std::to_string(then.threads), std::to_string(now.threads));
  return text;
}

void CheckpointFolder::save(const Checkpoint& checkpoint, bool is_first) const {
  std::error_code error;
  make_folder(folder_, error);
  if (error) fail(ErrorKind::io, folder_.string() + ": " + error.message());
  const std::vector<uint64_t> before = numbers_in(folder_);
  // Space first: what cut saves left would otherwise fill a disk that is nearly full.
  remove_old(folder_, before);
  const uint64_t number = before.empty() ? 1 : before.front() + 1;
  const std::string file = name_of(number, ".safetensors");
  const fs::path path = folder_ / file;
  try {
    save_safetensors(path, checkpoint.tensors);
    const Environment here = this_environment();
    Fields content = to_fields(Manifest{format_name, format_version, file,
                                        static_cast<int64_t>(fs::file_size(path)),
                                        sha256_file(path), here.build, here.cpu, here.threads});
    content.emplace_back("progress", encode(Value(checkpoint.progress)));
    write_file_atomically(folder_ / name_of(number, ".json"), seal(Value(std::move(content))));
  } catch (const fs::filesystem_error& gone) {  // somebody else saves here
    fail(ErrorKind::io, path.string() + ": " + gone.code().message());
  } catch (...) {
    if (!fs::exists(folder_ / name_of(number, ".json"), error)) fs::remove(path, error);
    throw;
  }
  std::vector<uint64_t> keep{number};
  if (!is_first) {
    keep.insert(keep.end(), before.begin(), before.begin() + std::min(before.size(), kept - 1));
  }
  remove_old(folder_, keep);
}

bool CheckpointFolder::empty() const { return numbers_in(folder_).empty(); }

std::optional<FoundCheckpoint> CheckpointFolder::load() const {
  std::vector<std::string> faults;
  for (const uint64_t number : numbers_in(folder_)) {
    try {
      FoundCheckpoint found = read(folder_, number);
      found.faults = std::move(faults);
      return found;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::internal) throw;
      faults.push_back((folder_ / name_of(number, ".json")).string() + ": " + error.what());
    }
  }
  if (faults.empty()) return {};
  std::string text = "no checkpoint can be read";
  for (const std::string& fault : faults) text += "; " + fault;
  fail(ErrorKind::io, text);
}

}  // namespace taper

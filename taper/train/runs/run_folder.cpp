#include <taper/train/runs/run_folder.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/io/files.h>
#include <taper/io/sealed_json.h>
#include <taper/io/sha256.h>
#include <taper/train/runs/run.h>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr const char* format_name = "taper-run";
constexpr int64_t format_version = 1;
constexpr size_t largest_manifest = size_t{16} << 20;
constexpr const char* manifest_name = "run.json";
constexpr const char* aside_name = ".taper-old";

/// run.json in the order of its keys, without options and layers.
struct ManifestFile {
  Required<std::string> format;
  Required<int64_t> version;
  RunState state = RunState::fresh;
  int64_t epochs = 0;
  std::string data_digest = {};
  int64_t exported_epoch = 0;
  int64_t exported_step = 0;
  int64_t weights_epoch = 0;
  std::string model_sha256 = {};
  Fields digests = {};
  std::vector<std::string> report = {};
  bool replaces = false;
  std::vector<std::string> files = {};
};

std::vector<std::string> files_of_a_run() {
  std::vector<std::string> files;
  for (const std::string_view name : run_files) files.emplace_back(name);
  for (const char* name :
       {"checkpoints/checkpoint-*.json", "checkpoints/checkpoint-*.safetensors",
        "logs/train/events.out.tfevents.*.*.taper", "logs/validation/events.out.tfevents.*.*.taper",
        "logs/steps/events.out.tfevents.*.*.taper"}) {
    files.emplace_back(name);
  }
  return files;
}

std::string to_text(const RunManifest& run) {
  Fields content =
      to_fields(ManifestFile{format_name, format_version, run.state, run.epochs, run.data_digest,
                             run.exported_epoch, run.exported_step, run.weights_epoch,
                             run.model_sha256, run.digests, run.report, run.replaces, run.files});
  content.emplace_back("options", Value(run.options));
  content.emplace_back("layers", run.layers);
  return seal(Value(std::move(content)));
}

/// A name that leads out of the folder is refused: files of these names are removed.
void check_names(const std::vector<std::string>& files) {
  for (const std::string& name : files) {
    const fs::path path = name;
    const bool is_within =
        !path.empty() && path.is_relative() && path.has_filename() &&
        std::ranges::none_of(path, [](const fs::path& part) { return part == ".."; });
    if (!is_within) fail(ErrorKind::value, "`files` names " + print_quoted(name));
  }
}

RunManifest from_text(const std::string& text) {
  const Value content = unseal(text);
  RunManifest run;
  Fields known;
  for (const auto& [name, value] : *content.get_if<Fields>()) {
    const Fields* options = value.get_if<Fields>();
    if (name == "layers") {
      run.layers = value;
    } else if (name != "options") {
      known.emplace_back(name, value);
    } else if (options != nullptr) {
      run.options = *options;
    }
  }
  const auto file = parse_fields<ManifestFile>("run", known);
  if (file.format.value() != format_name || file.version.value() != format_version) {
    fail(ErrorKind::unsupported, "is the manifest of another version of Taper");
  }
  check_names(file.files);
  check_names(file.report);
  for (const auto& [name, digest] : file.digests) check_names({name});
  run.state = file.state;
  run.epochs = file.epochs;
  run.data_digest = file.data_digest;
  run.exported_epoch = file.exported_epoch;
  run.exported_step = file.exported_step;
  run.weights_epoch = file.weights_epoch;
  run.model_sha256 = file.model_sha256;
  run.digests = file.digests;
  run.report = file.report;
  run.replaces = file.replaces;
  run.files = file.files;
  return run;
}

/// The text of a manifest; nothing if there is none.
std::optional<std::string> read_text(const fs::path& folder) {
  if (!is_there(folder / manifest_name)) return {};
  return read_file(folder / manifest_name, largest_manifest);
}

RunManifest parse(const fs::path& folder, const std::string& text) {
  try {
    return from_text(text);
  } catch (const Error& error) {
    throw Error(error.kind(), (folder / manifest_name).string() + ": " + error.what());
  }
}

[[noreturn]] void fail_folder(const fs::path& folder, const std::string& why) {
  const std::string name = folder.empty() ? "the empty path" : folder.string();
  fail(ErrorKind::io, "cannot write to " + name + ": " + why);
}

/// Runs what throws the errors of the file system.
template <class Action>
void in_folder(const fs::path& folder, Action action) {
  try {
    action();
  } catch (const fs::filesystem_error& error) {
    fail_folder(folder, error.code().message());
  }
}

// ---------------------------------------------------------------------------------- files by name

/// Whether a name is that of the pattern, in which each `*` stands for digits.
bool matches(std::string_view name, std::string_view pattern) {
  while (!pattern.empty()) {
    if (pattern[0] == '*') {
      const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
      if (digits == 0) return false;
      name.remove_prefix(digits);
    } else {
      if (name.empty() || name[0] != pattern[0]) return false;
      name.remove_prefix(1);
    }
    pattern.remove_prefix(1);
  }
  return name.empty();
}

/// The files of these names that are there, as paths from `folder`. What has such a name and is a
/// folder is none.
std::vector<fs::path> named_files(const fs::path& folder, const std::vector<std::string>& names) {
  std::vector<fs::path> found;
  for (const fs::path name : names) {
    std::error_code none;
    for (fs::directory_iterator at(folder / name.parent_path(), none), end; !none && at != end;
         at.increment(none)) {
      const fs::path file = at->path().filename();
      std::error_code ignored;
      if (!matches(file.string(), name.filename().string())) continue;
      if (fs::is_directory(at->symlink_status(ignored))) continue;
      found.push_back(name.parent_path() / file);
    }
  }
  return found;
}

/// The folders within a run's folder that hold its files, innermost first.
std::vector<fs::path> folders_of(const std::vector<std::string>& names) {
  std::vector<fs::path> folders;
  for (const fs::path name : names) {
    for (fs::path at = name.parent_path(); !at.empty(); at = at.parent_path()) {
      if (std::ranges::find(folders, at) == folders.end()) folders.push_back(at);
    }
  }
  std::ranges::sort(folders, std::greater(), [](const fs::path& at) { return at.string().size(); });
  return folders;
}

/// The names in the folders of a run are on the disk when this returns.
void sync_folders(const fs::path& folder, const std::vector<std::string>& names) {
  for (const fs::path& at : folders_of(names)) {
    if (is_there(folder / at)) sync_folder(folder / at);
  }
  sync_folder(folder);
}

/// Removes files, what cut saves left beside them, and the folders that are then empty.
void remove_named(const fs::path& folder, const std::vector<std::string>& names) {
  for (const fs::path& file : named_files(folder, names)) fs::remove(folder / file);
  for (const fs::path& at : folders_of(names)) remove_cut_files(folder / at);
  sync_folders(folder, names);
  std::error_code ignored;
  for (const fs::path& at : folders_of(names)) fs::remove(folder / at, ignored);
}

void move_named(const fs::path& from, const fs::path& to, const std::vector<std::string>& names) {
  std::error_code error;
  for (const fs::path& file : named_files(from, names)) {
    make_folder((to / file).parent_path(), error);
    if (error) fail_folder(to, error.message());
    fs::rename(from / file, to / file);
  }
  sync_folders(from, names);
  sync_folders(to, names);
  for (const fs::path& at : folders_of(names)) fs::remove(from / at, error);
}

/// Ends what a process began that died while it replaced a run: the old run comes back, or goes for
/// good if the new one has saved. The folder must be locked.
void settle(const fs::path& folder) {
  const fs::path aside = folder / aside_name;
  std::error_code ignored;
  if (!is_there(aside)) return;
  remove_cut_files(aside);
  const std::optional<std::string> old_text = read_text(aside);
  if (!old_text) {  // nothing was moved yet
    fs::remove(aside, ignored);
    return;
  }
  const std::vector<std::string> old_files = parse(aside, *old_text).files;
  const std::optional<std::string> text = read_text(folder);
  const bool is_new = text && *text != *old_text;
  in_folder(folder, [&] {
    if (is_new && !parse(folder, *text).replaces) {
      remove_named(aside, old_files);
    } else {
      if (is_new) remove_named(folder, parse(folder, *text).files);
      write_file_atomically(folder / manifest_name, *old_text);
      move_named(aside, folder, old_files);
    }
    fs::remove(aside / manifest_name);
    fs::remove(aside, ignored);
  });
}

}  // namespace

void check_digest(const fs::path& folder, const RunManifest& run, std::string_view file) {
  for (const auto& [name, digest] : run.digests) {
    if (name != file || Value(sha256_file(folder / name)) == digest) continue;
    fail(ErrorKind::io, (folder / name).string() +
                            ": is not the file that the run saved; --resume writes it again from "
                            "the last checkpoint");
  }
}

bool is_run_folder(const fs::path& folder) {
  try {
    const std::optional<std::string> text = read_text(folder);
    return text && text->find(std::string("\"") + format_name + "\"") != std::string::npos;
  } catch (const Error&) {
    return false;
  }
}

std::optional<RunManifest> read_run_manifest(const fs::path& folder) {
  if (is_there(folder / aside_name)) {
    const FolderLock lock(folder);
    if (!lock) {
      throw FolderTaken(ErrorKind::io, lock.holder() + " trains in " + folder.string());
    }
    settle(folder);
  }
  const std::optional<std::string> text = read_text(folder);
  if (!text) return {};
  return parse(folder, *text);
}

RunFolder::RunFolder(fs::path path, RunFolderUse use, bool must_be_new) : path_(std::move(path)) {
  if (path_.empty()) fail_folder(path_, "it names no folder");
  for (fs::path at = fs::absolute(path_); !is_there(at) && at.has_relative_path();
       at = at.parent_path()) {
    made_.push_back(at);
  }
  try {
    take(use, must_be_new);
  } catch (...) {
    remove_made();
    throw;
  }
}

void RunFolder::take(RunFolderUse use, bool must_be_new) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (fs::exists(status) && !fs::is_directory(status)) fail_folder(path_, "a file is in the way");
  const bool made = make_folder(path_, error);
  if (error) fail_folder(path_, error.message());
  if (!made) made_.clear();
  if (must_be_new && !made) {
    throw FolderTaken(ErrorKind::io, "another process made " + path_.string());
  }
  lock_ = std::make_unique<FolderLock>(path_);
  if (!*lock_) {
    made_.clear();  // its folder now
    throw FolderTaken(ErrorKind::io, lock_->holder() + " trains in " + path_.string());
  }
  settle(path_);
  const std::optional<std::string> text = read_text(path_);
  std::optional<RunManifest> found;
  if (text) found = parse(path_, *text);
  check(use, found);
  remove_cut_files(path_);
  if (found && use == RunFolderUse::resume) {
    manifest_ = std::move(*found);
    goes_on_ = true;
    is_safe_ = true;
    return;
  }
  manifest_.files = files_of_a_run();
  if (found) {
    replaced_ = *text;
    is_safe_ = true;  // until `begin`
  } else {
    write();
  }
}

void RunFolder::check(RunFolderUse use, const std::optional<RunManifest>& found) const {
  std::error_code error;
  if (!found) {
    remove_cut_files(path_);
    const bool empty = fs::is_empty(path_, error);
    if (error) fail_folder(path_, error.message());
    if (!empty) {
      fail_folder(path_,
                  is_there(path_ / "model.json")
                      ? "its run has no run.json (an older Taper made it, or it was lost): it "
                        "can be evaluated but neither replaced nor gone on with"
                      : "the folder is not empty and holds no run of Taper");
    }
  } else if (use == RunFolderUse::fresh) {
    fail_folder(path_,
                "it holds a run already; go on with it (--resume) or replace it (--overwrite)");
  }
  for (const std::string_view name : run_files) {
    if (fs::is_directory(fs::symlink_status(path_ / name, error))) {
      fail_folder(path_, std::string(name) + " is a folder");
    }
  }
  if (access(path_.c_str(), W_OK | X_OK) != 0) {
    fail_folder(path_, std::error_code(errno, std::generic_category()).message());
  }
}

RunFolder::~RunFolder() {
  try {
    if (!is_safe_ && lock_ && *lock_) {
      if (manifest_.replaces) {
        settle(path_);
      } else {
        remove_named(path_, manifest_.files);
        fs::remove(path_ / manifest_name);
      }
    }
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): who opens it next goes on
  }
  remove_made();
}

/// Folders that are not empty stay.
void RunFolder::remove_made() const {
  std::error_code ignored;
  for (const fs::path& folder : made_) fs::remove(folder, ignored);
}

void RunFolder::write() const { write_file_atomically(path_ / manifest_name, to_text(manifest_)); }

void RunFolder::move_aside() {
  const fs::path aside = path_ / aside_name;
  std::error_code error;
  make_folder(aside, error);
  if (error) fail_folder(path_, error.message());
  write_file_atomically(aside / manifest_name, replaced_);
  in_folder(path_, [&] { move_named(path_, aside, parse(path_, replaced_).files); });
}

void RunFolder::begin(int64_t epochs, Fields options, Value layers, std::string data_digest) {
  if (!replaced_.empty()) {
    is_safe_ = false;
    manifest_.replaces = true;  // so that the end puts back what is moved by then
    move_aside();
    replaced_.clear();
  }
  manifest_.state = RunState::running;
  manifest_.epochs = epochs;
  manifest_.options = std::move(options);
  manifest_.layers = std::move(layers);
  manifest_.data_digest = std::move(data_digest);
  write();
}

void RunFolder::plan(int64_t epochs, Fields options, Value layers) {
  if (goes_on_ || !replaced_.empty()) return;
  manifest_.epochs = epochs;
  manifest_.options = std::move(options);
  manifest_.layers = std::move(layers);
  write();
}

void RunFolder::relabel(Fields options) {
  manifest_.options = std::move(options);
  write();
}

void RunFolder::owns(const std::string& file) {
  check_names({file});
  if (std::ranges::find(manifest_.files, file) == manifest_.files.end()) {
    manifest_.files.push_back(file);
  }
}

void RunFolder::saved() {
  if (manifest_.replaces) {
    RunManifest next = manifest_;
    next.replaces = false;
    write_file_atomically(path_ / manifest_name, to_text(next));  // the commit: tried again if not
    manifest_ = std::move(next);
    settle(path_);
  }
  is_safe_ = true;
}

void RunFolder::stopped() {
  manifest_.state = RunState::stopped;
  write();
}

void RunFolder::exported(int64_t epoch, int64_t step, int64_t weights_epoch) {
  manifest_.state = RunState::finished;
  manifest_.exported_epoch = epoch;
  manifest_.exported_step = step;
  manifest_.weights_epoch = weights_epoch;
  manifest_.digests.clear();
  for (const std::string_view name : run_files) {
    manifest_.digests.emplace_back(name, Value(sha256_file(path_ / name)));
  }
  manifest_.model_sha256 = *manifest_.digests[0].second.get_if<std::string>();
  manifest_.report.clear();
  write();
  saved();
}

std::vector<std::string> RunFolder::reports() const {
  std::vector<std::string> files;
  for (const std::string& name : manifest_.files) {
    if (name == report_page || name.starts_with("figures/")) files.push_back(name);
  }
  return files;
}

void RunFolder::reported(std::vector<std::string> files) {
  std::erase_if(manifest_.digests, [](const auto& entry) {  // an earlier report may have had more
    return std::ranges::find(run_files, entry.first) == run_files.end();
  });
  for (const std::string& name : files) {
    owns(name);
    std::error_code ignored;
    if (!fs::is_regular_file(path_ / name, ignored)) continue;
    manifest_.digests.emplace_back(name, Value(sha256_file(path_ / name)));
  }
  manifest_.report = std::move(files);
  write();
}

bool RunFolder::is_whole() const {
  if (manifest_.state != RunState::finished || manifest_.report.empty()) return false;
  const auto is_known = [&](const std::string& name) {
    return std::ranges::any_of(manifest_.digests,
                               [&](const auto& entry) { return entry.first == name; });
  };
  if (!std::ranges::all_of(manifest_.report, is_known)) return false;
  return std::ranges::all_of(manifest_.digests, [&](const auto& entry) {
    std::error_code ignored;
    const fs::path file = path_ / entry.first;
    return fs::is_regular_file(file, ignored) && Value(sha256_file(file)) == entry.second;
  });
}

}  // namespace taper

// The folder of a run, and what its manifest `run.json` says.
//
// The manifest is the first file of a run, and its change commits what was done: what a folder
// holds is read from it and never guessed from which files exist. Files that it does not name are
// not touched.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/api.h>
#include <taper/core/error.h>
#include <taper/core/fields.h>

namespace taper {

class FolderLock;

enum class RunState {
  fresh,     ///< begun; no step was trained
  running,   ///< trains, or was cut
  stopped,   ///< asked to stop; can go on
  finished,  ///< its model is exported
};

template <>
struct EnumNames<RunState> {
  static constexpr std::array<std::string_view, 4> names{"new", "running", "stopped", "finished"};
};

struct RunManifest {
  RunState state = RunState::fresh;
  Fields options = {};            ///< how the run is made, for who made it
  Value layers = {};              ///< the model's description; none for one of one's own
  int64_t epochs = 0;             ///< that were asked for
  std::string data_digest = {};   ///< of all its data, see `run_digest`
  int64_t exported_epoch = 0;     ///< after which model.safetensors was written
  int64_t exported_step = 0;      ///< in all epochs
  int64_t weights_epoch = 0;      ///< whose weights it holds: an earlier one's if it was best
  std::string model_sha256 = {};  ///< of model.safetensors; empty if no model is exported
  Fields digests = {};            ///< the SHA-256 of each file of model and report
  std::vector<std::string> report = {};  ///< the files of this model's report; none if not drawn
  bool replaces = false;                 ///< the run that it replaces lies aside until it has saved
  std::vector<std::string> files = {};   ///< of the run; a `*` stands for digits
};

/// The first file of a run's report for people; the others are in figures/.
inline constexpr std::string_view report_page = "report.html";

/// What a run folder may be taken for.
enum class RunFolderUse {
  fresh,    ///< a new run: the folder must be empty
  replace,  ///< a new run in the place of one that is there, if there is one
  resume,   ///< to go on with the run that is there, if there is one
};

/// The folder is another process's.
class TAPER_API FolderTaken : public Error {
 public:
  using Error::Error;
};

/// A run folder, made or taken when it is constructed, and locked against others until it goes.
///
/// A run that is to be replaced stays as it is until `begin`, lies aside until `saved`, and comes
/// back if the new one ends before that, be it by a crash: then when the folder is next opened. A
/// new run that ends before `saved` leaves nothing.
class TAPER_API RunFolder {
 public:
  /// Throws io if something is in the way, or a run that `use` does not allow, and FolderTaken if
  /// another process trains in it or, with `must_be_new`, made it.
  RunFolder(std::filesystem::path path, RunFolderUse use, bool must_be_new = false);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Of the run that goes on; that of a new run otherwise.
  const RunManifest& manifest() const { return manifest_; }
  /// Whether it was taken to go on with a run that is there and had begun.
  bool goes_on() const { return goes_on_; }

  /// How a new run will be made, so that it can go on from nothing but its folder even if it is cut
  /// before it begins.
  void plan(int64_t epochs, Fields options, Value layers);
  /// How the run is made is said in another way: its data were moved, say.
  void relabel(Fields options);
  /// One more file of the run, by its path from the folder: said before `begin`. Throws value for a
  /// path that leads out of it.
  void owns(const std::string& file);
  /// The training begins: everything that could refuse it was asked.
  void begin(int64_t epochs, Fields options, Value layers, std::string data_digest);
  /// The training can go on from what it saved.
  void saved();
  /// The training was asked to stop, and has saved.
  void stopped();
  /// model.safetensors and the three files beside it are in their places; the weights are those of
  /// `weights_epoch`.
  void exported(int64_t epoch, int64_t step, int64_t weights_epoch);
  /// The files of earlier reports: those that may be removed before a new one is written.
  std::vector<std::string> reports() const;
  /// The report of that model was written as these files.
  void reported(std::vector<std::string> files);
  /// Whether model and report are what the manifest says and all files are there.
  bool is_whole() const;

 private:
  void take(RunFolderUse use, bool must_be_new);
  void check(RunFolderUse use, const std::optional<RunManifest>& found) const;
  void write() const;
  void move_aside();
  void remove_made() const;

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // innermost first
  std::unique_ptr<FolderLock> lock_;
  RunManifest manifest_;
  std::string replaced_;  // the manifest of the run that is to be replaced; empty if there is none
  bool goes_on_ = false;
  bool is_safe_ = false;  // what is there may stay
};

/// Throws io unless a file of the run is the one that its manifest tells of; a file that it does
/// not tell of is not looked at.
TAPER_API void check_digest(const std::filesystem::path& folder, const RunManifest& run,
                            std::string_view file);

/// Whether the folder has a run.json of Taper's, be it damaged: other programs have files of that
/// name, too.
TAPER_API bool is_run_folder(const std::filesystem::path& folder);

/// What the manifest of a run says; nothing if the folder has none. A run that was being replaced
/// when the process died is put back before. Throws io for a manifest that is damaged.
TAPER_API std::optional<RunManifest> read_run_manifest(const std::filesystem::path& folder);

}  // namespace taper

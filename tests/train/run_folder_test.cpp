#include <taper/train/runs/run_folder.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include <taper/io/files.h>
#include <taper/io/sealed_json.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

/// All files within, with their content.
std::vector<std::pair<std::string, std::string>> files_in(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    files.emplace_back(fs::relative(entry.path(), folder).string(), content_of(entry.path()));
  }
  std::ranges::sort(files);
  return files;
}

/// The files of a run with this text in each; what the manifest names, and a subfolder's.
void put_files(const fs::path& folder, const std::string& text) {
  fs::create_directories(folder / "checkpoints");
  fs::create_directories(folder / "logs" / "train");
  for (const std::string_view name : run_files) put(folder / name, text);
  put(folder / "checkpoints" / ("checkpoint-" + std::to_string(text.size()) + ".json"), text);
  put(folder / "logs" / "train" / "events.out.tfevents.1.2.taper", text);
}

void make_run(const fs::path& folder, const std::string& text) {
  RunFolder run(folder, RunFolderUse::fresh);
  run.begin(2, {{"lr", Value(0.5)}}, {}, "digest");
  put_files(folder, text);
  run.saved();
  run.exported(2, 20, 2);
}

TEST(RunFolder, KnowsItsFilesByTheirContent) {
  const TemporaryFolder folder;
  const fs::path path = folder / "run";
  make_run(path, "right");
  {
    RunFolder run(path, RunFolderUse::resume);
    fs::create_directory(path / "figures");
    put(path / "figures" / "confusion.svg", "right");
    run.reported({"figures/confusion.svg"});
  }
  for (const char* name : {"model.json", "history.json", "report.json", "figures/confusion.svg"}) {
    EXPECT_TRUE(RunFolder(path, RunFolderUse::resume).is_whole());
    put(path / name, "wrong");
    EXPECT_FALSE(RunFolder(path, RunFolderUse::resume).is_whole()) << name;
    EXPECT_EQ(error_of(ErrorKind::io, [&] { check_digest(path, *read_run_manifest(path), name); }),
              (path / name).string() +
                  ": is not the file that the run saved; --resume writes it "
                  "again from the last checkpoint");
    put(path / name, "right");
  }
}

TEST(RunFolder, RemovesNoFileOfAnAlikeName) {
  const TemporaryFolder folder;
  const fs::path path = folder / "run";
  make_run(path, "old");
  fs::create_directories(path / "logs" / "train");
  const std::vector<const char*> mine{"checkpoints/checkpoint-best.safetensors", "logs/epochs.csv",
                                      "logs/train/events.out.tfevents.mine.taper",
                                      ".taper-my-notes.tmp"};
  for (const char* name : mine) put(path / name, "mine");
  {
    RunFolder run(path, RunFolderUse::replace);
    run.begin(1, {}, {}, "");
    put_files(path, "new");
    run.saved();
    run.exported(1, 1, 1);
  }
  for (const char* name : mine) EXPECT_EQ(content_of(path / name), "mine") << name;
}

TEST(RunFolder, SaysWhatItHolds) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_run_manifest(folder.path()), std::nullopt);
  {
    RunFolder run(folder / "a" / "run", RunFolderUse::fresh);
    EXPECT_EQ(read_run_manifest(run.path())->state, RunState::fresh);
    run.begin(3, {{"lr", Value(0.5)}}, {}, "digest");
    EXPECT_EQ(read_run_manifest(run.path())->state, RunState::running);
    run.saved();
    run.stopped();
    EXPECT_EQ(read_run_manifest(run.path())->state, RunState::stopped);
    EXPECT_FALSE(run.is_whole());
    for (const std::string_view name : run_files) put(run.path() / name, "x");
    run.exported(3, 30, 3);
    EXPECT_FALSE(run.is_whole());  // there is no report
    put(run.path() / "report.html", "x");
    run.reported({"report.html"});
    EXPECT_TRUE(run.is_whole());
  }
  const RunFolder again(folder / "a" / "run", RunFolderUse::resume);
  EXPECT_EQ(again.manifest().state, RunState::finished);
  EXPECT_EQ(again.manifest().epochs, 3);
  EXPECT_EQ(again.manifest().exported_step, 30);
  EXPECT_EQ(again.manifest().data_digest, "digest");
  EXPECT_EQ(Value(again.manifest().options), Value(Fields{{"lr", Value(0.5)}}));
  EXPECT_TRUE(again.is_whole());
  put(again.path() / "model.safetensors", "y");
  EXPECT_FALSE(again.is_whole());
}

TEST(RunFolder, LeavesNothingOfARunThatEndedBeforeItSaved) {
  const TemporaryFolder folder;
  {
    const RunFolder run(folder / "a" / "b" / "run", RunFolderUse::fresh);
  }
  EXPECT_FALSE(fs::exists(folder / "a"));
  fs::create_directory(folder / "mine");
  {
    RunFolder run(folder / "mine", RunFolderUse::resume);
    run.begin(1, {}, {}, "");
    put_files(run.path(), "new");
    fs::create_directory(run.path() / "figures");
    put(run.path() / "figures" / "notes", "mine");
  }
  EXPECT_EQ(files_in(folder / "mine"),
            (std::vector<std::pair<std::string, std::string>>{{"figures/notes", "mine"}}));
}

TEST(RunFolder, IsInTheWayOfAFreshRunAndOfAnotherProcess) {
  const TemporaryFolder folder;
  make_run(folder / "run", "old");
  const std::string name = (folder / "run").string();
  EXPECT_EQ(error_of(ErrorKind::io, [&] { RunFolder(folder / "run", RunFolderUse::fresh); }),
            "cannot write to " + name +
                ": it holds a run already; go on with it (--resume) or replace it (--overwrite)");
  const RunFolder run(folder / "run", RunFolderUse::resume);
  for (const RunFolderUse use :
       {RunFolderUse::fresh, RunFolderUse::resume, RunFolderUse::replace}) {
    EXPECT_EQ(error_of(ErrorKind::io, [&] { RunFolder(folder / "run", use); }),
              "another process (" + std::to_string(getpid()) + ") trains in " + name);
  }
  // Also one that has written nothing yet.
  const RunFolder fresh(folder / "fresh", RunFolderUse::fresh);
  EXPECT_THROW(RunFolder(folder / "fresh", RunFolderUse::fresh), FolderTaken);
}

TEST(RunFolder, RefusesWhatIsNoRun) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "other" / "checkpoints");
  fs::create_directories(folder / "older" / "checkpoints");
  put(folder / "older" / "model.json", "{}");
  put(folder / "file", "");
  make_run(folder / "cut", "old");
  const std::string whole = content_of(folder / "cut" / "run.json");
  put(folder / "cut" / "run.json", whole.substr(0, whole.size() / 2));
  make_run(folder / "blocked", "old");
  fs::remove(folder / "blocked" / "history.json");
  fs::create_directory(folder / "blocked" / "history.json");
  const auto before = files_in(folder.path());
  const auto refusal = [&](const char* name, RunFolderUse use) {
    std::string text = error_of(ErrorKind::io, [&] { RunFolder(folder / name, use); });
    EXPECT_EQ(files_in(folder.path()), before) << name;
    return text;
  };
  for (const RunFolderUse use :
       {RunFolderUse::fresh, RunFolderUse::resume, RunFolderUse::replace}) {
    EXPECT_EQ(refusal("other", use), "cannot write to " + (folder / "other").string() +
                                         ": the folder is not empty and holds no run of Taper");
    EXPECT_NE(refusal("older", use).find("an older Taper made it"), std::string::npos);
    EXPECT_EQ(refusal("file", use),
              "cannot write to " + (folder / "file").string() + ": a file is in the way");
    EXPECT_NE(refusal("cut", use).find("run.json: is cut short or damaged"), std::string::npos);
    refusal("file/run", use);
    refusal("new/../other", use);
  }
  EXPECT_NE(refusal("blocked", RunFolderUse::replace).find("history.json is a folder"),
            std::string::npos);
  EXPECT_NE(error_of(ErrorKind::io, [] { RunFolder("", RunFolderUse::fresh); }).find("empty path"),
            std::string::npos);
}

TEST(RunFolder, RemovesOnlyFilesOfTheRun) {
  const TemporaryFolder folder;
  make_run(folder / "run", "old");
  const std::vector<std::pair<std::string, std::string>> mine{
      {"figures/paper/fig1.pdf", "mine"}, {"logs/notes.txt", "mine"}, {"notes", "mine"}};
  fs::create_directories(folder / "run" / "figures" / "paper");
  fs::create_directories(folder / "run" / "logs");
  for (const auto& [name, text] : mine) put(folder / "run" / name, text);
  {
    RunFolder run(folder / "run", RunFolderUse::replace);
    run.begin(1, {}, {}, "");
    for (const auto& [name, text] : mine) EXPECT_EQ(content_of(folder / "run" / name), text);
    EXPECT_FALSE(fs::exists(folder / "run" / "model.safetensors"));
    run.saved();
  }
  std::vector<std::pair<std::string, std::string>> left = files_in(folder / "run");
  std::erase_if(left, [](const auto& file) { return file.first == "run.json"; });
  EXPECT_EQ(left, mine);
}

TEST(RunFolder, PutsAReplacedRunBackThatTheNewOneDidNotOutlive) {
  const TemporaryFolder folder;
  make_run(folder / "run", "old");
  const auto before = files_in(folder / "run");
  {
    RunFolder run(folder / "run", RunFolderUse::replace);
    EXPECT_EQ(files_in(folder / "run"), before);  // nothing is moved before the training begins
  }
  EXPECT_EQ(files_in(folder / "run"), before);
  {
    RunFolder run(folder / "run", RunFolderUse::replace);
    run.begin(1, {}, {}, "");
    put_files(run.path(), "newer");
  }
  EXPECT_EQ(files_in(folder / "run"), before);
}

/// The folder as a process leaves it that dies at each moment of a replacement.
TEST(RunFolder, SettlesAReplacementThatWasCutAnywhere) {
  const TemporaryFolder folder;
  make_run(folder / "run", "old");
  const auto old_files = files_in(folder / "run");
  const auto cut = [&](const std::function<void(RunFolder&)>& until) {
    fs::remove_all(folder / "cut");
    fs::remove_all(folder / "work");
    fs::copy(folder / "run", folder / "work", fs::copy_options::recursive);
    RunFolder run(folder / "work", RunFolderUse::replace);
    until(run);
    fs::copy(folder / "work", folder / "cut", fs::copy_options::recursive);
  };
  const auto begin = [&](RunFolder& run) {
    run.begin(1, {}, {}, "");
    put_files(run.path(), "newer");
  };
  cut(begin);
  EXPECT_NE(files_in(folder / "cut"), old_files);
  // Any number of the old run's files may be aside, and of the new one's in the folder.
  const auto aside = files_in(folder / "cut" / ".taper-old");
  for (size_t back = 0; back <= aside.size(); ++back) {
    cut(begin);
    fs::copy_file(folder / "cut" / ".taper-old" / "run.json", folder / "cut" / "run.json",
                  fs::copy_options::overwrite_existing);
    for (const fs::path file : {"checkpoints/checkpoint-5.json"}) fs::remove(folder / "cut" / file);
    for (size_t i = 0; i < back; ++i) {
      if (aside[i].first == "run.json") continue;
      fs::rename(folder / "cut" / ".taper-old" / aside[i].first, folder / "cut" / aside[i].first);
    }
    EXPECT_EQ(read_run_manifest(folder / "cut")->state, RunState::finished);
    EXPECT_EQ(files_in(folder / "cut"), old_files) << back;
  }
  cut(begin);
  {
    const RunFolder run(folder / "cut", RunFolderUse::resume);
  }
  EXPECT_EQ(files_in(folder / "cut"), old_files);
  cut([&](RunFolder& run) {
    begin(run);
    run.saved();
  });
  const auto new_files = files_in(folder / "cut");
  EXPECT_EQ(std::ranges::count_if(new_files, [](const auto& file) { return file.second == "old"; }),
            0);
  {
    const RunFolder run(folder / "cut", RunFolderUse::resume);
  }
  EXPECT_EQ(files_in(folder / "cut"), new_files);
}

TEST(RunFolder, ASaveThatCannotBeCommittedIsCommittedByTheNext) {
  const TemporaryFolder folder;
  make_run(folder / "run", "old");
  {
    RunFolder run(folder / "run", RunFolderUse::replace);
    run.begin(1, {}, {}, "");
    put_files(run.path(), "newer");
    const std::string manifest = content_of(run.path() / "run.json");
    fs::remove(run.path() / "run.json");
    fs::create_directory(run.path() / "run.json");  // in the way
    error_of(ErrorKind::io, [&] { run.saved(); });
    fs::remove(run.path() / "run.json");
    put(run.path() / "run.json", manifest);
    run.saved();
  }
  const RunFolder again(folder / "run", RunFolderUse::resume);
  EXPECT_EQ(content_of(folder / "run" / "model.safetensors"), "newer");
  EXPECT_FALSE(fs::exists(folder / "run" / ".taper-old"));
}

TEST(RunFolder, RefusesAManifestThatNamesFilesElsewhere) {
  const TemporaryFolder folder;
  put(folder / "precious", "mine");
  make_run(folder / "run", "old");
  for (const char* name : {"../precious", "/etc/passwd", "a/../../precious", ""}) {
    // As somebody would write it who seals it, too.
    make_run(folder / "bad", "old");
    Fields content = *unseal(content_of(folder / "bad" / "run.json")).get_if<Fields>();
    for (auto& [key, value] : content) {
      if (key == "files") value = Value(Value::List{Value(name)});
    }
    put(folder / "bad" / "run.json", seal(Value(content)));
    error_of(ErrorKind::value, [&] { read_run_manifest(folder / "bad"); });
    RunFolder own(folder / "own", RunFolderUse::fresh);
    error_of(ErrorKind::value, [&] { own.owns(name); });
    fs::remove_all(folder / "bad");
  }
}

}  // namespace
}  // namespace taper

#include <taper/io/files.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::error_of;
using testing::gzipped;
using testing::put;
using testing::TemporaryFolder;

constexpr size_t no_limit = SIZE_MAX;

std::string long_text() {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i * 7919 % 10007) + ",";
  return text;
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST(Files, ReadFileGivesTheWholeContent) {
  const TemporaryFolder folder;
  const std::string text = long_text();
  EXPECT_EQ(read_file(put(folder / "long", text), text.size()), text);
  EXPECT_EQ(read_file(put(folder / "empty", ""), 0), "");
  EXPECT_FALSE(read_file("/proc/self/status", 1 << 20).empty());  // its size is said to be 0
}

TEST(Files, ReadFileRefusesMoreThanTheLimit) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "five", "12345");
  EXPECT_EQ(error_of(ErrorKind::io, [&] { read_file(path, 4); }),
            path.string() + ": holds 5 bytes, the limit is 4");
  EXPECT_NE(error_of(ErrorKind::io, [&] { read_file("/proc/self/status", 10); })
                .find("holds more than the limit of 10 bytes"),
            std::string::npos);
}

TEST(Files, WhatIsNoFileIsNamed) {
  const TemporaryFolder folder;
  const fs::path none = folder / "none";
  EXPECT_EQ(error_of(ErrorKind::io, [&] { read_file(none, 1); }),
            none.string() + ": No such file or directory");
  EXPECT_EQ(error_of(ErrorKind::io, [&] { read_file(folder.path(), 1); }),
            folder.path().string() + ": Is a directory");
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_of(ErrorKind::io, [&] { gunzip_file(pipe, 1); }),
            pipe.string() + ": Not a regular file");
}

TEST(Gunzip, ReadsPlainAndGzippedFiles) {
  const TemporaryFolder folder;
  const std::string text = long_text();
  EXPECT_EQ(gunzip_file(put(folder / "plain", text), text.size()), text);
  EXPECT_EQ(gunzip_file(put(folder / "packed", gzipped(text)), text.size()), text);
  EXPECT_EQ(gunzip_file(put(folder / "empty", ""), 0), "");
  EXPECT_EQ(gunzip_file(put(folder / "nothing", gzipped("")), 0), "");
  EXPECT_EQ(gunzip_file(put(folder / "half a magic", "\x1f"), 1), "\x1f");
}

TEST(Gunzip, ReadsSeveralMembersAsOne) {
  const TemporaryFolder folder;
  const std::string text = long_text();
  const std::string three = gzipped("one ") + gzipped("") + gzipped(text);
  EXPECT_EQ(gunzip_file(put(folder / "three.gz", three), no_limit), "one " + text);
}

TEST(Gunzip, RefusesTruncationAtEveryByte) {
  const TemporaryFolder folder;
  const std::string good = gzipped("some text, some text, some more text");
  for (size_t length = 2; length < good.size(); ++length) {
    const fs::path path = put(folder / "cut.gz", good.substr(0, length));
    EXPECT_EQ(error_of(ErrorKind::io, [&] { gunzip_file(path, no_limit); }),
              path.string() + ": gzip data is cut short");
  }
}

TEST(Gunzip, RefusesWhatFollowsAndWhatIsDamaged) {
  const TemporaryFolder folder;
  const std::string good = gzipped("some text");
  const auto refusal = [&](const std::string& bytes) {
    const fs::path path = put(folder / "bad.gz", bytes);
    const std::string text = error_of(ErrorKind::io, [&] { gunzip_file(path, no_limit); });
    return text.substr(path.string().size());
  };
  EXPECT_EQ(refusal(good + "x"), ": gzip data is followed by something else");
  EXPECT_EQ(refusal(good + std::string(1, '\0')), ": gzip data is followed by something else");
  EXPECT_EQ(refusal(good + "\x1f"), ": gzip data is cut short");
  std::string bad_crc = good;
  bad_crc[good.size() - 8] ^= 1;
  EXPECT_EQ(refusal(bad_crc), ": gzip data is damaged: incorrect data check");
  std::string bad_length = good;
  bad_length[good.size() - 1] ^= 1;
  EXPECT_EQ(refusal(bad_length), ": gzip data is damaged: incorrect length check");
}

TEST(Gunzip, RefusesABombAtTheLimit) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "bomb.gz", gzipped(std::string(64 << 20, '\0')));
  EXPECT_LT(fs::file_size(path), 70'000u);
  EXPECT_EQ(error_of(ErrorKind::io, [&] { gunzip_file(path, 1000); }),
            path.string() + ": holds more than the limit of 1000 bytes");
}

TEST(Gunzip, SurvivesRandomMutations) {
  const TemporaryFolder folder;
  testing::read_mutations(gzipped("a little text, a little more"), folder / "mutated.gz",
                          [](const fs::path& path) { gunzip_file(path, 1 << 20); });
}

TEST(WriteFileAtomically, CreatesAndReplaces) {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_file_atomically(path, "old");
  EXPECT_EQ(content_of(path), "old");
  const std::string text = long_text();
  write_file_atomically(path, text);
  EXPECT_EQ(content_of(path), text);
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(WriteFileAtomically, UsesTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = umask(027);
  write_file_atomically(folder / "file", "x");
  umask(before);
  struct stat status;
  ASSERT_EQ(stat((folder / "file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(WriteFileAtomically, WritesIntoTheWorkingFolder) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("bare", "x");
  fs::current_path(before);
  EXPECT_EQ(content_of(folder / "bare"), "x");
}

TEST(WriteFileAtomically, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  const fs::path missing = folder / "none" / "file";
  EXPECT_EQ(error_of(ErrorKind::io, [&] { write_file_atomically(missing, "x"); }),
            missing.string() + ": No such file or directory");
  const fs::path taken = folder / "taken";
  fs::create_directory(taken);
  EXPECT_EQ(error_of(ErrorKind::io, [&] { write_file_atomically(taken, "x"); }),
            taken.string() + ": Is a directory");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(WriteFileAtomically, RefusesToReplaceWhatIsNoFile) {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("/dev/null", folder / "device");
  for (const fs::path& path : {pipe, folder / "device"}) {
    EXPECT_EQ(error_of(ErrorKind::io, [&] { write_file_atomically(path, "x"); }),
              path.string() + ": Not a regular file");
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_symlink(folder / "device"));
  EXPECT_EQ(files_in(folder.path()), 2u);
  EXPECT_EQ(error_of(ErrorKind::io, [] { write_file_atomically("", "x"); }),
            "the empty path: No such file or directory");
}

TEST(WriteFileAtomically, KeepsTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "file", "old");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text =
      error_of(ErrorKind::io, [&] { write_file_atomically(path, std::string(10'000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(text, path.string() + ": File too large");
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, WithoutCommitNothingChanges) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "file", "old");
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(content_of(path), "old");
    EXPECT_EQ(files_in(folder.path()), 2u);
  }
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

}  // namespace
}  // namespace taper

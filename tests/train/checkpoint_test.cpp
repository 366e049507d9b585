#include <taper/train/runs/checkpoint.h>

#include <gtest/gtest.h>

#include <limits>

#include <taper/core/philox.h>
#include <taper/io/sha256.h>
#include <taper/ops/ops.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

Checkpoint numbered(int64_t number) {
  return {.progress = {{"number", Value(number)}}, .tensors = {{"x", full({64}, number)}}};
}

int64_t number_in(const CheckpointFolder& folder) {
  const auto found = folder.load();
  if (!found) return -1;
  const int64_t number = *found->checkpoint.progress.at(0).second.get_if<int64_t>();
  EXPECT_EQ(found->checkpoint.tensors.at(0).second.to_vector<float>(),
            std::vector<float>(64, static_cast<float>(number)));
  return number;
}

TEST(Sha256, GivesTheDigestsOfTheStandard) {
  // FIPS 180-4 examples, and the empty message.
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 parts;
  parts.add("abcdbcdecdefdefgefghfghighijhijk");
  parts.add("ijkljklmklmnlmnomnopnopq");
  EXPECT_EQ(parts.finish(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(CheckpointFolder, IsEmptyAtFirst) {
  const TemporaryFolder folder;
  EXPECT_FALSE(CheckpointFolder(folder / "checkpoints").load());
  EXPECT_FALSE(fs::exists(folder / "checkpoints"));
}

TEST(CheckpointFolder, KeepsTheLastTwo) {
  const TemporaryFolder folder;
  const CheckpointFolder checkpoints(folder / "checkpoints");
  for (int64_t number = 1; number <= 5; ++number) {
    checkpoints.save(numbered(number));
    EXPECT_EQ(number_in(checkpoints), number);
  }
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(checkpoints.path())) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"checkpoint-4.json", "checkpoint-4.safetensors",
                                             "checkpoint-5.json", "checkpoint-5.safetensors"}));
}

TEST(CheckpointFolder, KeepsNumbersThatJsonDoesNotHave) {
  const TemporaryFolder folder;
  const CheckpointFolder checkpoints(folder / "checkpoints");
  const double infinity = std::numeric_limits<double>::infinity();
  const Fields progress{{"best", Value(-infinity)},
                        {"list", Value(Value::Reals{1.5, infinity, 0.1})},
                        {"nested", Value(Fields{{"real", Value(infinity)}})}};
  checkpoints.save({.progress = progress, .tensors = {{"x", ones({1})}}});
  EXPECT_EQ(Value(checkpoints.load()->checkpoint.progress).print(), Value(progress).print());
}

TEST(CheckpointFolder, RemovesWhatCutSavesLeft) {
  const TemporaryFolder folder;
  const CheckpointFolder checkpoints(folder.path());
  checkpoints.save(numbered(1));
  put(folder / "checkpoint-2.safetensors", "cut");
  put(folder / ".taper-1-1.tmp", "cut");
  put(folder / "notes.txt", "mine");
  EXPECT_EQ(number_in(checkpoints), 1);
  checkpoints.save(numbered(2));
  EXPECT_EQ(number_in(checkpoints), 2);
  EXPECT_FALSE(fs::exists(folder / ".taper-1-1.tmp"));
  EXPECT_TRUE(fs::exists(folder / "notes.txt"));
}

/// Damages one of the two files of the newest checkpoint: the one before must be taken, with a
/// fault that names the file.
void expect_fall_back(const CheckpointFolder& checkpoints, const fs::path& file,
                      const std::string& good, const std::string& damaged) {
  put(file, damaged);
  const auto found = checkpoints.load();
  ASSERT_TRUE(found);
  EXPECT_EQ(*found->checkpoint.progress.at(0).second.get_if<int64_t>(), 1);
  ASSERT_EQ(found->faults.size(), 1u);
  EXPECT_NE(found->faults[0].find("checkpoint-2"), std::string::npos);
  put(file, good);
}

TEST(CheckpointFolder, DetectsEveryChangedBitAndEveryCut) {
  const TemporaryFolder folder;
  const CheckpointFolder checkpoints(folder.path());
  checkpoints.save(numbered(1));
  checkpoints.save(numbered(2));
  for (const char* ending : {".json", ".safetensors"}) {
    const fs::path file = folder / (std::string("checkpoint-2") + ending);
    const std::string good = content_of(file);
    for (uint64_t trial = 0; trial < 125; ++trial) {
      const auto random = philox(11, trial);
      std::string flipped = good;
      flipped[random[0] % good.size()] ^= static_cast<char>(1 << random[1] % 8);
      expect_fall_back(checkpoints, file, good, flipped);
      expect_fall_back(checkpoints, file, good, good.substr(0, random[2] % good.size()));
    }
    EXPECT_EQ(number_in(checkpoints), 2);
  }
}

TEST(CheckpointFolder, DetectsAMissingFileAndAnotherVersion) {
  const TemporaryFolder folder;
  const CheckpointFolder checkpoints(folder.path());
  checkpoints.save(numbered(1));
  checkpoints.save(numbered(2));
  fs::remove(folder / "checkpoint-2.safetensors");
  EXPECT_EQ(number_in(checkpoints), 1);
  put(folder / "checkpoint-1.json", "{}");
  const std::string text = error_of(ErrorKind::io, [&] { checkpoints.load(); });
  EXPECT_NE(text.find("no checkpoint can be read; "), text.npos) << text;
  EXPECT_NE(text.find("checkpoint-1.json: is cut short or damaged"), text.npos) << text;
}

TEST(CheckpointFolder, SaysWhatDiffersBetweenMachines) {
  const Environment here{"taper 1", "Zen", 2};
  EXPECT_EQ(difference(here, here), "");
  EXPECT_EQ(difference(here, {"taper 1", "Zen", 4}), "threads 2, now 4");
  EXPECT_EQ(difference(here, {"taper 2", "Skylake", 2}),
            "taper 1, now taper 2; processor Zen, now Skylake");
  EXPECT_GE(this_environment().threads, 1);
}

TEST(CheckpointFolder, CannotBeMadeUnderAFile) {
  const TemporaryFolder folder;
  put(folder / "file", "");
  const std::string text = error_of(
      ErrorKind::io, [&] { CheckpointFolder(folder / "file/checkpoints").save(numbered(1)); });
  EXPECT_NE(text.find("Not a directory"), text.npos) << text;
}

}  // namespace
}  // namespace taper

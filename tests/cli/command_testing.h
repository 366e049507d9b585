// Runs the executable itself, in a folder with tiny files of pictures.
#pragma once

#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <string>

#include <taper/core/value.h>
#include <taper/io/images.h>
#include <taper/ops/ops.h>

#include "../io/file_testing.h"

namespace taper::testing {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string out;
  std::string error;
};

/// Runs `taper <arguments>` in `folder`.
inline Outcome run_taper(const TemporaryFolder& folder, const std::string& arguments) {
  const std::string error_file = (folder / "stderr").string();
  const std::string line = "cd '" + folder.path().string() + "' || exit; TAPER_THREADS=1 '" +
                           TAPER_COMMAND + "' " + arguments + " 2> '" + error_file + "'";
  Outcome outcome;
  FILE* pipe = popen(line.c_str(), "r");
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof buffer, pipe)) outcome.out.append(buffer, got);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.error = content_of(error_file);
  fs::remove(error_file);
  return outcome;
}

/// Runs a command, sends it a signal when it has printed a line that begins with `epoch`, and ends
/// as it ends. What a pipe brings cannot pass unseen.
inline constexpr const char* signal_after_an_epoch = R"(
import signal, subprocess, sys
asked = getattr(signal, sys.argv[1])
signal.signal(asked, signal.SIG_DFL)  # ignored in what a shell or nohup starts in the background
run = subprocess.Popen(sys.argv[2].split(), stdout=subprocess.PIPE, text=True)
try:
    for line in run.stdout:
        print(line, end='')
        if line.startswith('epoch'):
            break
    run.send_signal(asked)
    if run.poll() is None:
        run.send_signal(asked)  # as `timeout` does, to the process and to its group
    print(run.stdout.read(), end='', flush=True)
    sys.exit(run.wait())
finally:
    run.kill()
)";

inline std::string idx(const std::vector<uint32_t>& sizes, const std::string& data) {
  std::string bytes = {0, 0, 8, static_cast<char>(sizes.size())};
  for (uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes + data;
}

/// Images whose brightness tells the class.
inline void put_part(const fs::path& folder, const std::string& part, uint32_t count) {
  std::string images;
  std::string labels;
  for (uint32_t i = 0; i < count; ++i) {
    images += std::string(28 * 28, static_cast<char>(20 * (i % 10) + i % 7));
    labels += static_cast<char>(i % 10);
  }
  put(folder / (part + "-images-idx3-ubyte"), idx({count, 28, 28}, images));
  put(folder / (part + "-labels-idx1-ubyte"), idx({count}, labels));
}

class Command : public ::testing::Test {
 protected:
  Command() {
    fs::create_directory(folder_ / "mnist");
    put_part(folder_ / "mnist", "train", 60);
    put_part(folder_ / "mnist", "t10k", 20);
  }

  Outcome run(const std::string& arguments) const { return run_taper(folder_, arguments); }
  Outcome train(const std::string& arguments) const {
    return run("train mnist --model logistic --epochs 2 --data-dir mnist " + arguments);
  }
  /// A failure with this exit code and text, and nothing new in the folder.
  void expect_failure(const std::string& arguments, int code, const std::string& text) const {
    const auto before = entries();
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.error;
    EXPECT_NE(outcome.error.find(text), text.npos) << arguments << "\n" << outcome.error;
    EXPECT_TRUE(outcome.error.starts_with("taper: ")) << outcome.error;
    const auto lines = std::count(outcome.error.begin(), outcome.error.end(), '\n');
    EXPECT_LE(lines, code == 1 ? 1 : 2) << outcome.error;
    EXPECT_EQ(entries(), before) << arguments;
  }

  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      names.push_back(entry.path().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryFolder folder_;
};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace taper::testing

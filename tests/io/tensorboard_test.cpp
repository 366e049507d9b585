#include <taper/io/tensorboard.h>

#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "file_testing.h"

namespace taper {
namespace {

using testing::content_of;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

std::string digits_of(const std::string& bytes) {
  std::string digits;
  for (const char byte : bytes) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", static_cast<unsigned char>(byte));
    digits += text;
  }
  return digits;
}

TEST(EventWriter, WritesTheBytesOfTensorBoardsOwnMessages) {
  const TemporaryFolder folder;
  EventWriter writer(folder / "run", 1000);
  writer.start_session(7, 1001.5);
  writer.scalar("epoch_loss", 3, 0.25, 1002);
  writer.flush();
  EXPECT_EQ(writer.path().filename(), "events.out.tfevents.0000001000.00000.taper");
  // Event messages of tensorboard 2.20 with its masked_crc32c around them.
  EXPECT_EQ(digits_of(content_of(writer.path())),
            "1800000000000000a37f4b22090000000000408f401a0d627261696e2e4576656e743a3273ae6b560f0000"
            "00000000006d532b090900000000004c8f4010073a0208019adb7fb8200000000000000029eda950090000"
            "000000508f4010032a130a110a0a65706f63685f6c6f7373150000803eb43d3951");
}

TEST(EventWriter, GivesEachFileANameAfterThoseBefore) {
  const TemporaryFolder folder;
  EventWriter first(folder.path(), 1000);
  EventWriter second(folder.path(), 1000.9);
  EventWriter third(folder.path(), 1001);
  EXPECT_LT(first.path().filename(), second.path().filename());
  EXPECT_LT(second.path().filename(), third.path().filename());
}

TEST(EventWriter, TakesEveryTensorAsAHistogram) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path(), 1);
  const double infinite = std::numeric_limits<double>::infinity();
  const double largest = std::numeric_limits<double>::max();
  for (const std::vector<double>& values :
       {std::vector<double>{}, {infinite, -infinite, std::nan("")}, {3, 3}, {-largest, largest}}) {
    writer.histogram("h", 0, from_values<double>({std::ssize(values)}, values), 1);
  }
  writer.histogram("bools", 0, empty({0}, DType::boolean), 1);
  writer.flush();
  EXPECT_GT(std::filesystem::file_size(writer.path()), 600u);
}

TEST(EventWriter, ErrorsNameTheFile) {
  const TemporaryFolder folder;
  const auto file = put(folder / "file", "x");
  const std::string text = error_of(ErrorKind::io, [&] { EventWriter(file, 1); });
  EXPECT_TRUE(text.starts_with("cannot write " + file.string())) << text;
  error_of(ErrorKind::value, [&] { EventWriter(folder.path(), -1); });
  EventWriter writer(folder.path(), 1);
  error_of(ErrorKind::dtype, [&] { writer.image("i", 0, empty({2, 2}, DType::f32), 1); });
}

TEST(EventWriter, SaysWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  std::string text;
  std::string name;
  {
    EventWriter writer(folder.path(), 1);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    text = error_of(ErrorKind::io, [&] {
      for (int i = 0; i < 1000; ++i) writer.scalar("loss", i, 1, 1);
      writer.flush();
    });
    name = writer.path().string();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(text, "cannot write " + name + ": File too large");
}

}  // namespace
}  // namespace taper

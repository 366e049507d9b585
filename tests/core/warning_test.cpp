#include <taper/core/warning.h>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace taper {
namespace {

TEST(Warning, IsWrittenOnceToStderr) {
  ::testing::internal::CaptureStderr();
  warn("the kettle is empty");
  warn("the kettle is empty");
  warn("the kettle is hot");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "taper: warning: the kettle is empty\ntaper: warning: the kettle is hot\n");
}

TEST(Warning, AHandlerHearsEveryOne) {
  std::vector<std::string> heard;
  const WarningHandler before =
      set_warning_handler([&](const std::string& text) { heard.push_back(text); });
  EXPECT_FALSE(before);
  warn("twice");
  warn("twice");
  set_warning_handler(before);
  EXPECT_EQ(heard, (std::vector<std::string>{"twice", "twice"}));
}

}  // namespace
}  // namespace taper

#include "command_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::Command;
using testing::has;
using testing::Outcome;
using testing::put;

TEST_F(Command, TrainsOnATableOfOnesOwn) {
  std::string rows = "width,kind,height\n";
  for (int i = 0; i < 40; ++i) {
    rows += std::to_string(i) + (i < 20 ? ",small," : ",large,") + std::to_string(i % 3) + "\n";
  }
  put(folder_ / "things.csv", rows);
  const Outcome trained =
      run("train things.csv --target kind --epochs 30 --lr 0.05 --batch-size 8 --out run");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(has(trained.out, "things: 32 training, 8 validation examples f32[2], 2 classes"))
      << trained.out;
  EXPECT_TRUE(has(trained.out, "validation accuracy 1.0000")) << trained.out;
  EXPECT_TRUE(has(run("evaluate run").out, "data   things: 8 examples")) << run("evaluate run").out;
  put(folder_ / "new.csv", "height,width\n1,2\n0,39\n");
  const Outcome rows_of_file = run("predict run new.csv --top 1");
  EXPECT_TRUE(rows_of_file.out.starts_with("1  small ")) << rows_of_file.out << rows_of_file.error;
  EXPECT_TRUE(has(rows_of_file.out, "2  large ")) << rows_of_file.out;
  EXPECT_EQ(run("predict run --top 1 < new.csv").out, rows_of_file.out);
  EXPECT_TRUE(has(run("predict run new.csv --json").out, "\"row\": \"1\""));
  const Outcome all = run("evaluate run things.csv --json");
  EXPECT_EQ(*parse_json(all.out).find("examples"), Value(40)) << all.out << all.error;
  // From another folder, without a word of the data.
  fs::create_directory(folder_ / "elsewhere");
  const Outcome more = run("devices > /dev/null; cd elsewhere; '" TAPER_COMMAND
                           "' train --resume --out ../run --epochs 31");
  EXPECT_TRUE(has(more.out, "going on at epoch 31, step 1")) << more.out << more.error;
  EXPECT_TRUE(has(run("report run").out, "report run/report.html"));
  expect_failure("train things.csv", 1, "which column is to be predicted");
  expect_failure("train mnist --data-dir mnist --target kind", 2,
                 "--target and --drop are for tables");
  expect_failure("evaluate run new.csv", 1, "there is no column `kind`");
}

TEST_F(Command, TrainsOnPicturesOfOnesOwn) {
  for (int i = 0; i < 12; ++i) {
    for (const char* kind : {"dark", "light"}) {
      fs::create_directories(folder_ / "pictures" / kind);
      const int64_t grey = (kind[0] == 'd' ? 20 : 220) + i;
      put(folder_ / "pictures" / kind / (std::to_string(i) + ".png"),
          encode_png(full({1, 14, 14}, grey, DType::u8)));
    }
  }
  const Outcome trained = run("train pictures/ --epochs 20 --batch-size 8");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(has(trained.out, "convnet: ")) << trained.out;
  EXPECT_TRUE(has(trained.out, "validation accuracy 1.0000")) << trained.out;
  const std::string one = "runs/pictures-convnet-1";
  EXPECT_TRUE(has(run("predict " + one + " pictures/light/0.png --top 1").out, "light 0."));
  EXPECT_TRUE(has(run("evaluate " + one + " pictures").out, "(24 examples)"));
}

}  // namespace
}  // namespace taper

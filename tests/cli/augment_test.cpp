// taper train --augment.

#include "command_testing.h"

namespace taper {
namespace {

using testing::Command;
using testing::content_of;
using testing::has;
using testing::Outcome;
using testing::put;

TEST_F(Command, ChangesPicturesAtRandom) {
  const Outcome trained = train(
      "--augment randomcrop:padding=2,padding-mode=constant --augment RandomHorizontalFlip --out "
      "run");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(has(trained.out,
                  "augment   RandomCrop:padding=2,padding_mode=constant RandomHorizontalFlip\n"))
      << trained.out;
  const Value manifest = parse_json(content_of(folder_ / "run" / "run.json"));
  EXPECT_EQ(manifest.find("options")->find("augment")->print(),
            "[\"RandomCrop:padding=2,padding_mode=constant\", \"RandomHorizontalFlip\"]");
  EXPECT_TRUE(has(content_of(folder_ / "run" / "report.html"), "RandomHorizontalFlip"));
  // The same again, from what the run says of itself; and not the same without.
  const auto weights = [&](const char* name) {
    return content_of(folder_ / name / "model.safetensors");
  };
  EXPECT_EQ(run("train --config run/run.json --out again --data-dir mnist").code, 0);
  EXPECT_TRUE(weights("again") == weights("run"));
  EXPECT_EQ(train("--out plain").code, 0);
  EXPECT_FALSE(weights("plain") == weights("run"));
}

TEST_F(Command, GoesOnWithTheSameTransformsOnly) {
  ASSERT_EQ(train("--augment RandomRotation:degrees=[-5,10] --out run").code, 0);
  const Outcome more =
      run("train mnist --resume --out run --epochs 3 --data-dir mnist "
          "--augment randomrotation:degrees=[-5,10]");
  EXPECT_EQ(more.code, 0) << more.error;
  EXPECT_TRUE(has(more.out, "augment   RandomRotation:degrees=[-5, 10]\n")) << more.out;
  EXPECT_EQ(run("train --resume --out run --epochs 4 --data-dir mnist").code, 0);
  expect_failure("train --resume --out run --augment RandomHorizontalFlip --data-dir mnist", 1,
                 "cannot go on with run: `augment` was [\"RandomRotation:degrees=[-5, 10]\"], is "
                 "[\"RandomHorizontalFlip\"]");
}

TEST_F(Command, RefusesTransformsThatThereAreNot) {
  const std::string train = "train mnist --data-dir mnist --augment ";
  expect_failure(train + "RandomCrob", 2,
                 "unknown transform `RandomCrob`; there are: RandomCrop, RandomHorizontalFlip, "
                 "RandomRotation");
  expect_failure(
      train + "RandomCrop:pad=2", 2,
      "--augment: RandomCrop has no option `pad`; there are: size (int or list of 2 int, "
      "required), padding=0 (int or list of 2 or 4 int), ");
  expect_failure(train + "RandomCrop:padding", 2,
                 "--augment: options are NAME:option=value,option=value, got `RandomCrop:padding`");
  expect_failure(train + "RandomRotation", 2, "--augment: RandomRotation: `degrees` is required");
  expect_failure(train + "RandomHorizontalFlip:p=2", 2, "`p` must be in [0, 1], got 2");
  expect_failure(train + "RandomCrop:size=40", 2,
                 "--augment: RandomCrop: a crop of 40 x 40 does not fit into 28 x 28");
  put(folder_ / "a.csv", "x,y\n1,0\n2,1\n3,0\n4,1\n");
  expect_failure("train a.csv --target y --augment RandomCrop:padding=1", 2,
                 "--augment: RandomCrop: takes images [C,H,W], got f32[1]");
  put(folder_ / "c.json", R"({"augment": ["RandomCrop:padding=x"]})");
  expect_failure("train mnist --data-dir mnist --config c.json", 2, "`padding` must be int or");
}

}  // namespace
}  // namespace taper

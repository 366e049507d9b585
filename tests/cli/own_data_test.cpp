#include <taper/data/vision.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/optim/optimizers.h>
#include <taper/train/fit/trainer.h>

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
                 "--target, --drop and --task are for tables");
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

/// A table of which the second half is of another class.
std::string things(int rows) {
  std::string text = "width,kind,height\n";
  for (int i = 0; i < rows; ++i) {
    text +=
        std::to_string(i) + (2 * i < rows ? ",small," : ",large,") + std::to_string(i % 3) + "\n";
  }
  return text;
}

TEST_F(Command, TakesATableOfTabsAndNamesItInErrors) {
  std::string text = things(40);
  std::ranges::replace(text, ',', '\t');
  put(folder_ / "things.tsv", text);
  const Outcome trained = run("train things.tsv --target kind --epochs 2");
  EXPECT_TRUE(has(trained.out, "data      things: 32 training")) << trained.out << trained.error;
  expect_failure("train things.tsv --target kinds", 1,
                 "things.tsv: there is no column `kinds`; there are: width kind height");
}

TEST_F(Command, TrainsOneOutputForTwoClassesByALossOfTargets) {
  put(folder_ / "things.csv", things(40));
  const Outcome trained =
      run("train things.csv --target kind --loss bcewithlogitsloss --lr 0.05 --epochs 30 "
          "--batch-size 8 --out run");
  EXPECT_TRUE(has(trained.out, "validation accuracy 1.0000")) << trained.out << trained.error;
  put(folder_ / "new.csv", "height,width\n1,2\n0,39\n");
  EXPECT_TRUE(run("predict run new.csv --top 1").out.starts_with("1  small "))
      << run("predict run new.csv").out;
}

TEST_F(Command, LeavesNoPictureOutWithoutAWord) {
  for (const char* kind : {"dark", "light"}) {
    fs::create_directories(folder_ / "set" / kind);
    for (const char* name : {"a.png", "b.png"}) {
      put(folder_ / "set" / kind / name, encode_png(full({1, 12, 12}, 9, DType::u8)));
    }
    put(folder_ / "set" / kind / "notes.txt", "of no class");
  }
  EXPECT_EQ(run("train set --model linear --epochs 1 --out run").code, 0);
  put(folder_ / "set" / "dark" / "c.WebP", "RIFF");
  expect_failure("train set --model linear --epochs 1", 1,
                 "set/dark/c.WebP: pictures are read from PNG and JPEG files");
  expect_failure("evaluate run set", 1, "set/dark/c.WebP: pictures are read from");
  const Outcome guessed = run("predict run set/dark");
  EXPECT_EQ(guessed.code, 1);
  EXPECT_TRUE(has(guessed.error, "c.WebP")) << guessed.error;
}

TEST_F(Command, KnowsItsDataWhereverTheyAre) {
  put(folder_ / "things.csv", things(40));
  ASSERT_EQ(run("train things.csv --target kind --epochs 2 --out run").code, 0);
  ASSERT_EQ(train("--out pixels").code, 0);
  // The folder of a named dataset is remembered.
  EXPECT_EQ(run("evaluate pixels").code, 0);
  EXPECT_EQ(run("train --resume --out pixels --epochs 3").code, 0);
  // Moved.
  fs::rename(folder_ / "things.csv", folder_ / "moved.csv");
  expect_failure("evaluate run", 1, "there is no /");
  EXPECT_EQ(run("report run moved.csv").code, 0);
  EXPECT_TRUE(has(run("train moved.csv --resume --out run --epochs 3").out, "epoch 3/3"));
  EXPECT_EQ(run("evaluate run").code, 0);
  // Changed.
  put(folder_ / "moved.csv", things(44));
  expect_failure("evaluate run", 1, "moved.csv: is not the data that run was trained on");
  expect_failure("report run", 1, "is not the data that run was trained on");
  expect_failure("train --resume --out run --epochs 4", 1, "the data are not those that it began");
  EXPECT_TRUE(has(run("evaluate run moved.csv").out, "(44 examples)"));
  std::string renamed = things(40);
  put(folder_ / "moved.csv", renamed.replace(0, 5, "depth"));
  expect_failure("train --resume --out run --epochs 4", 1, "the data are not those that it began");
}

TEST_F(Command, TellsTheScaleOfNumbersToPredict) {
  std::string rows = "a,price\n";
  for (int i = 0; i < 40; ++i) rows += std::to_string(i) + "," + std::to_string(1000 + i) + ".5\n";
  put(folder_ / "p.csv", rows);
  const Outcome trained = run("train p.csv --target price --model linear --epochs 3 --out run");
  EXPECT_TRUE(has(trained.out, " of the standardised target, root mean square error "))
      << trained.out;
  EXPECT_TRUE(has(run("evaluate run").out, "root mean square error"));
  const Value numbers = parse_json(run("evaluate run --json").out);
  const Value report = parse_json(testing::content_of(folder_ / "run" / "report.json"));
  EXPECT_EQ(*numbers.find("rmse"), *report.find("rmse"));
  EXPECT_TRUE(has(testing::content_of(folder_ / "run" / "report.html"), "root mean square error"));
  EXPECT_TRUE(has(testing::content_of(folder_ / "run" / "report.html"), "price standardised"));
}

TEST_F(Command, ChecksWhatAConfigurationHolds) {
  const auto refused = [&](const char* text, const char* why) {
    put(folder_ / "c.json", text);
    expect_failure("train mnist --data-dir mnist --model linear --config c.json --out bad", 1, why);
  };
  refused(R"({"batch_size": 0})", "`batch_size` must be at least 1");
  refused(R"({"validation": 5})", "`validation` must be in [0, 1)");
  refused(R"({"seed": -1})", "`seed` must be at least 0");
  refused(R"({"lr": 0})", "`lr` must be above 0");
  refused(R"({"warmup": -3})", "`warmup` must be at least 0");
  refused(R"({"epochs": 0})", "`epochs` must be at least 1");
  refused(R"({"learning": 1})", "unknown option `learning`; there are: ");
  put(folder_ / "c.json",
      R"({"optimizer": "sgd", "momentum": 0.9, "epochs": 1, "model": "linear"})");
  EXPECT_EQ(run("train mnist --data-dir mnist --config c.json --out run").code, 0);
  put(folder_ / "c.json", R"({"epochs": 2})");
  EXPECT_TRUE(has(run("train --resume --out run --config c.json").out, "epoch 2/2"));
  expect_failure("train --resume --out run --weight-decay 0.1", 1,
                 "cannot go on with run: `weight_decay` was 0.0, is 0.1");
  EXPECT_EQ(run("train --resume --out run --momentum 0.9").code, 0);
}

TEST_F(Command, RepeatsARunWhoseModelWasAFile) {
  put(folder_ / "mine.json", R"({"type": "Sequential", "layers": [{"type": "Flatten"},
      {"type": "Linear", "options": {"in_features": 784, "out_features": 10}}]})");
  const std::string data = "--data-dir mnist --epochs 1 ";
  ASSERT_EQ(run("train mnist --model mine.json --out run " + data).code, 0);
  fs::remove(folder_ / "mine.json");
  const Outcome again = run("train --config run/run.json --out again " + data);
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_TRUE(testing::content_of(folder_ / "again" / "model.safetensors") ==
              testing::content_of(folder_ / "run" / "model.safetensors"));
}

TEST_F(Command, RefusesATestPartThatChanged) {
  for (const char* part : {"train", "val"}) {
    for (const char* kind : {"dark", "light"}) {
      const fs::path folder = folder_ / "set" / part / kind;
      fs::create_directories(folder);
      for (int i = 0; i < 6; ++i) {
        const int64_t grey = (kind[0] == 'd' ? 20 : 220) + i;
        put(folder / (std::to_string(i) + ".png"), encode_png(full({1, 12, 12}, grey, DType::u8)));
      }
    }
  }
  ASSERT_EQ(run("train set --model linear --epochs 1 --early-stop 3 --out run").code, 0);
  // The recipe of a run with validation data of its own splits nothing, and goes on all the same.
  EXPECT_EQ(run("train --resume --out run --epochs 1").code, 0);
  put(folder_ / "set" / "val" / "dark" / "0.png", encode_png(full({1, 12, 12}, 99, DType::u8)));
  expect_failure("train --resume --out run --epochs 2", 1, "the data are not those that it began");
}

TEST_F(Command, EvaluatesARunThatAProgramMade) {
  const data::TrainTest data = data::mnist(folder_ / "mnist");
  Trainer trainer(nn::Sequential{nn::Flatten(), nn::Linear(784, 10)},
                  {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam()});
  trainer.fit(data.train,
              {.verbose = false,
               .run = folder_ / "run",
               .run_details = {.model = "mine", .data = "mnist", .test_data = data.test}});
  EXPECT_TRUE(has(run("evaluate run --data-dir mnist").out, "(20 examples)"));
  EXPECT_EQ(run("report run --data-dir mnist").code, 0);
  expect_failure("train --resume --out run --data-dir mnist", 1, "a program made it");
  // What it was trained on is not what has the name.
  const auto fit = [&](const data::AnyDataset& train, const char* name, const char* folder) {
    Trainer again(nn::Sequential{nn::Flatten(), nn::Linear(784, 10)},
                  {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam()});
    again.fit(train, {.verbose = false,
                      .run = folder_ / folder,
                      .run_details = {.model = "mine", .data = name, .test_data = data.test}});
  };
  fit(data::Subset(data.train, {0, 1, 2, 3}), "mnist", "part");
  expect_failure("evaluate part --data-dir mnist", 1, "mnist: is not the data that part was");
  expect_failure("report part --data-dir mnist", 1, "mnist: is not the data that part was");
  put(folder_ / "things.csv", things(40));
  fit(data.train, "things.csv", "own");
  expect_failure("evaluate own", 1, "own: a program made it from data of its own");
}

TEST_F(Command, RefusesFilesForAModelOfSeveralInputs) {
  const Tensor steps = ones({6, 5, 4});
  Trainer trainer(nn::MultiheadAttention(4, 2), {.loss = nn::MSELoss(), .optimizer = optim::SGD()});
  trainer.fit(data::TensorDataset({steps, steps, steps, steps}),
              {.verbose = false, .run = folder_ / "run"});
  expect_failure("predict run mnist", 1,
                 "run: the model takes 3 inputs (query f32[5,4], key f32[5,4], value f32[5,4]), "
                 "files give it one; load_model takes it into a program");
  EXPECT_EQ(run("summary run").code, 0) << run("summary run").error;
}

TEST_F(Command, TakesNoOtherFileForItsOwn) {
  ASSERT_EQ(train("--out run").code, 0);
  const std::string right = testing::content_of(folder_ / "run" / "model.json");
  for (const char* name : {"model.json", "history.json", "report.json", "report.html"}) {
    const std::string text = testing::content_of(folder_ / "run" / name);
    put(folder_ / "run" / name, text.substr(0, 100));
    const Outcome mended = run("train --resume --out run");
    EXPECT_TRUE(has(mended.out, "test accuracy")) << name << mended.out << mended.error;
    EXPECT_GT(testing::content_of(folder_ / "run" / name).size(), 100u) << name;
  }
  put(folder_ / "run" / "model.json", std::string(right).replace(right.find("\"9\""), 3, "\"8\""));
  expect_failure("evaluate run", 1, "run/model.json: is not the file that the run saved");
}

TEST_F(Command, RemovesNoFigureThatItDidNotDraw) {
  put(folder_ / "things.csv", things(40));
  ASSERT_EQ(run("train things.csv --target kind --epochs 2 --out run").code, 0);
  for (const char* name : {"residuals.svg", "filters.png", "mistakes.png"}) {
    put(folder_ / "run" / "figures" / name, "mine");
  }
  EXPECT_EQ(run("train --resume --out run --epochs 3").code, 0);
  EXPECT_EQ(run("report run").code, 0);
  EXPECT_EQ(run("train things.csv --target kind --epochs 2 --out run --overwrite").code, 0);
  for (const char* name : {"residuals.svg", "filters.png", "mistakes.png"}) {
    EXPECT_EQ(testing::content_of(folder_ / "run" / "figures" / name), "mine") << name;
  }
}

TEST_F(Command, WritesItsTableOfEpochsAgain) {
  put(folder_ / "things.csv", things(40));
  const fs::path file = folder_ / "run" / "logs" / "epochs.csv";
  for (const size_t left : {0, 30}) {
    ASSERT_EQ(run("train things.csv --target kind --epochs 2 --csv --out run --overwrite").code, 0);
    const std::string before = testing::content_of(file);
    put(file, before.substr(0, left));
    const int64_t rows = std::ranges::count(before, '\n');
    EXPECT_EQ(run("train --resume --out run --epochs 3").code, 0);
    const std::string after = testing::content_of(file);
    EXPECT_TRUE(after.starts_with(before)) << after;
    EXPECT_EQ(std::ranges::count(after, '\n'), rows + 1);
  }
}

TEST_F(Command, CountsTheRowsOfATableOfOneColumn) {
  put(folder_ / "one.csv", "x,y\n1,2.5\n2,3.5\n3,4.5\n4,5.5\n");
  ASSERT_EQ(run("train one.csv --target y --task numbers --epochs 1 --out run").code, 0);
  put(folder_ / "new.csv", "x\n1\n\n\"\"\n3\n");
  expect_failure("predict run new.csv", 1,
                 "new.csv: line 4: column \"x\" must hold a finite number, got \"\"");
}

TEST_F(Command, SaysWhatIsWrongBeforeItTrains) {
  put(folder_ / "things.csv", things(40));
  const std::string train = "train things.csv --target kind --epochs 2 ";
  expect_failure(train + "--metrics accuracy,accuracy --out run", 1,
                 "the metric `accuracy` is given twice");
  put(folder_ / "latin.csv", "a,kind\n1,gr\xfc\xdf\n2,b\n");
  expect_failure("train latin.csv --target kind", 1, "latin.csv: line 2: the text is not UTF-8");
  ASSERT_EQ(run(train + "--weight-decay 0 --out run").code, 0);
  // A zero is a zero however it is written, and classes are what they were taken for.
  EXPECT_EQ(run("train --resume --out run --weight-decay 0.0 --task classes").code, 0);
  expect_failure(train + "--warmup 9", 2, "--warmup: 9 epochs of 2 leave none");
  expect_failure(train + "--picture-size 9", 2, "--picture-size is for folders of pictures");
  expect_failure(train + "--data-dir mnist", 2, "--data-dir is for named datasets, things is none");
  expect_failure("train mnist --data-dir mnist --task numbers", 2,
                 "--target, --drop and --task are for tables, mnist is none");
  put(folder_ / "none.csv", "width,height\n");
  expect_failure("predict run none.csv", 1, "there is nothing to predict");
  EXPECT_EQ(run("predict run none.csv --json").out, "[]\n");
  expect_failure("predict run mnist", 1, "mnist: is a folder, the model takes the rows of tables");
  fs::create_directories(folder_ / "photos" / "a");
  put(folder_ / "photos" / "a" / "0.png", encode_png(full({1, 8, 8}, 9, DType::u8)));
  expect_failure("evaluate run photos", 1,
                 "photos: the model takes data of the kind it was trained on, a CSV or TSV file");
}

TEST_F(Command, TakesADashAndTheOptionsNamesInAFile) {
  put(folder_ / "things.csv", things(40));
  put(folder_ / "c.json", R"({"early-stop": 3, "weight-decay": 0.01, "threads": 1, "out": "run",
      "checkpoint_seconds": 5, "epochs": 2})");
  const Outcome trained = run("train things.csv --target kind --config c.json");
  EXPECT_TRUE(has(trained.out, "out       run\n")) << trained.out << trained.error;
  put(folder_ / "c.json", R"({"out": ""})");
  expect_failure("train things.csv --target kind --config c.json", 1, "`out` must be a path");
  put(folder_ / "new.csv", "height,width\n1,2\n");
  EXPECT_EQ(run("predict run - < new.csv").out, run("predict run new.csv").out);
  // Moved after it was finished: said once, known from then on.
  fs::rename(folder_ / "things.csv", folder_ / "moved.csv");
  EXPECT_TRUE(has(run("train moved.csv --resume --out run").out, "is finished"));
  EXPECT_EQ(run("evaluate run").code, 0) << run("evaluate run").error;
}

}  // namespace
}  // namespace taper

// The parts of a training that `taper train` takes by name with their options: schedules, losses,
// metrics, callbacks and optimizers.

#include <cmath>

#include <taper/nn/loss.h>
#include <taper/optim/schedule.h>

#include "command_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::Command;
using testing::content_of;
using testing::has;
using testing::Outcome;
using testing::put;

class Parts : public Command {
 protected:
  Parts() {
    std::string rows = "width,height,size\n";
    for (int i = 0; i < 40; ++i) {
      rows += std::to_string(i) + "," + std::to_string(i % 3) + "," + std::to_string(i % 4) + "\n";
    }
    put(folder_ / "t.csv", rows);
  }

  std::string weights(const std::string& run_folder) const {
    return content_of(folder_ / run_folder / "model.safetensors");
  }
  Value option(const std::string& run_folder, const char* name) const {
    const Value manifest = parse_json(content_of(folder_ / run_folder / "run.json"));
    return *manifest.find("options")->find(name);
  }
  std::vector<double> rates(const std::string& run_folder) const {
    const Value history = parse_json(content_of(folder_ / run_folder / "history.json"));
    return *history.find("learning_rate")->get_if<Value::Reals>();
  }
  double reported(const std::string& run_folder, const char* name) const {
    const Value report = parse_json(content_of(folder_ / run_folder / "report.json"));
    return *report.find(name)->get_if<double>();
  }
  Outcome table(const std::string& options) const {
    return run("train t.csv --target size --model linear --epochs 3 --batch-size 8 " + options);
  }
};

TEST_F(Parts, AScheduleIsAnyRegisteredOne) {
  for (const optim::ScheduleFactory* entry : optim::ScheduleFactory::all()) {
    const std::string name(entry->name);
    const Outcome trained = train("--schedule " + name +
                                  " --optimizer SGD:momentum=0.5 --validation 0.2 --out " + name);
    EXPECT_EQ(trained.code, 0) << trained.error;
    EXPECT_EQ(option(name, "schedule"), Value(name));
    EXPECT_TRUE(has(trained.out, "SGD lr 0.001 " + name + ", seed")) << trained.out;
    EXPECT_TRUE(has(run("train --help").out, name));
  }
}

TEST_F(Parts, ASchedulesOptionsAreItsOwnOrThoseOfTheRun) {
  const std::string four = "--epochs 4 --data-dir mnist --lr 0.5 --optimizer SGD --out ";
  const auto rates_of = [&](const std::string& schedule, const std::string& folder) {
    const Outcome trained =
        run("train mnist --model logistic --schedule " + schedule + " " + four + folder);
    EXPECT_EQ(trained.code, 0) << trained.error;
    return rates(folder);
  };
  EXPECT_EQ(rates_of("steplr:step-size=1,gamma=0.5", "steps"),
            (std::vector<double>{0.5, 0.25, 0.125, 0.0625}));
  EXPECT_EQ(option("steps", "schedule"), Value("StepLR:step_size=1,gamma=0.5"));
  EXPECT_EQ(rates_of("step", "step"), (std::vector<double>{0.5, 0.5, 0.05, 0.05}));
  EXPECT_EQ(rates_of("step:gamma=0.5", "half"), (std::vector<double>{0.5, 0.5, 0.25, 0.25}));
  EXPECT_EQ(rates_of("linear", "linear"), (std::vector<double>{0.5, 0.375, 0.25, 0.125}));
  EXPECT_EQ(rates_of("constant", "constant"), (std::vector<double>{0.5, 0.5, 0.5, 0.5}));
  EXPECT_EQ(rates_of("fall", "fall"), (std::vector<double>{0.5, 0.5, 0.5, 0.25}));
  // Half a cosine over the epochs, by its formula.
  const std::vector<double> cosine = rates_of("CosineAnnealingLR", "cosine");
  ASSERT_EQ(cosine.size(), 4u);
  for (int epoch = 0; epoch < 4; ++epoch) {
    const auto at = static_cast<size_t>(epoch);
    EXPECT_NEAR(cosine[at], 0.25 * (1 + std::cos(epoch * std::acos(-1.0) / 4)), 1e-12);
  }
  EXPECT_EQ(rates_of("cosine", "short"), cosine);
  EXPECT_TRUE(weights("short") == weights("cosine"));
  // The rate of the run is the largest: behind it the last of 4 updates is far below the first.
  const std::vector<double> cycle = rates_of("OneCycleLR:cycle_momentum=false", "cycle");
  EXPECT_NEAR(cycle.front(), 0.5 / 25, 1e-12);
  EXPECT_NEAR(cycle.back(), 0.5 / 25 / 1e4, 1e-12);
  EXPECT_EQ(rates_of("OneCycleLR:cycle_momentum=false,max_lr=0.5", "same"), cycle);
}

TEST_F(Parts, RefuseWhatAScheduleIsNotFor) {
  expect_failure("train mnist --schedule OneCycle", 2, "did you mean `OneCycleLR`?");
  expect_failure("train mnist --schedule StepLR:gama=2", 2,
                 "--schedule: StepLR has no option `gama`; there are: step_size (int, required), "
                 "gamma=0.1 (float); did you mean `gamma`?");
  expect_failure("train mnist --schedule StepLR:gamma", 2,
                 "--schedule: options are NAME:option=value,option=value, got `StepLR:gamma`");
  expect_failure("train mnist --schedule StepLR:gamma=much", 2,
                 "--schedule: StepLR: `gamma` must be float, got str \"much\"");
  expect_failure("train mnist --schedule ReduceLROnPlateau", 2,
                 "--schedule ReduceLROnPlateau looks at the validation loss: give --validation");
  expect_failure("train mnist --warmup 1 --schedule OneCycleLR", 2,
                 "--warmup goes before schedules that count epochs: OneCycleLR counts updates");
  expect_failure("train mnist --validation 0.2 --warmup 1 --schedule ReduceLROnPlateau", 2,
                 "ReduceLROnPlateau follows the validation loss");
}

TEST_F(Parts, NoneIsNoValueOfAnOptionThatMayHaveNone) {
  for (const char* none : {"none", "null"}) {
    const Outcome trained = table(
        "--optimizer LBFGS:max_iter=2,line_search_fn=" + std::string(none) + " --out " + none);
    EXPECT_EQ(trained.code, 0) << trained.error;
  }
  EXPECT_TRUE(weights("none") == weights("null"));
}

TEST_F(Parts, GoOnWhereARunWasCut) {
  put(folder_ / "send.py", testing::signal_after_an_epoch);
  const std::string options =
      " t.csv --target size --model linear --epochs 60 --batch-size 8 --optimizer "
      "SGD:momentum=0.5,lr=0.01 --schedule OneCycleLR:pct_start=0.5 --loss "
      "CrossEntropyLoss:reduction=sum --callback EMA:decay=0.9 --metrics accuracy "
      "top_k_accuracy:k=2 --out ";
  ASSERT_EQ(run("train" + options + "whole").code, 0);
  run("devices > /dev/null; python3 send.py SIGTERM '" + std::string(TAPER_COMMAND) + " train" +
      options + "cut'");
  const Outcome more = run("train --resume --out cut");
  EXPECT_EQ(more.code, 0) << more.error;
  EXPECT_TRUE(weights("cut") == weights("whole"));
  EXPECT_EQ(reported("cut", "loss"), reported("whole", "loss"));
  EXPECT_EQ(run("train" + options + "cut --resume").code, 0);
  expect_failure("train --resume --out cut --callback EMA:decay=0.8", 1,
                 "`callback` was [\"EMA:decay=0.9\"], is [\"EMA:decay=0.8\"]");
  expect_failure("train --resume --out cut --optimizer SGD:lr=0.2", 1, "`lr` was 0.01, is 0.2");
  expect_failure("train --resume --out cut --optimizer SGD:momentum=0.4", 1,
                 "`momentum` was 0.5, is 0.4");
  // The same run again, from what it says of itself.
  EXPECT_EQ(run("train --config whole/run.json --out again").code, 0);
  EXPECT_TRUE(weights("again") == weights("whole"));
}

TEST_F(Parts, ALossHasItsOptionsWhereverItIsUsed) {
  ASSERT_EQ(table("--task numbers --loss huberloss:delta=0.5 --out half").code, 0);
  ASSERT_EQ(table("--task numbers --loss HuberLoss --out whole").code, 0);
  EXPECT_EQ(option("half", "loss"), Value("HuberLoss:delta=0.5"));
  EXPECT_FALSE(weights("half") == weights("whole"));
  // evaluate measures what the run's own report says.
  const Value found = parse_json(run("evaluate half --json").out);
  EXPECT_EQ(*found.find("loss")->get_if<double>(), reported("half", "loss"));
  const Value model = parse_json(content_of(folder_ / "half" / "model.json"));
  EXPECT_EQ(*model.find("loss"), Value("HuberLoss"));
  EXPECT_EQ(*model.find("loss_options")->find("delta"), Value(0.5));
  // A sum of squares has no root that is an error.
  EXPECT_TRUE(has(table("--task numbers --out mean").out, "root mean square error"));
  const Outcome sum = table("--task numbers --loss MSELoss:reduction=sum --out sum");
  EXPECT_EQ(sum.code, 0) << sum.error;
  EXPECT_FALSE(has(sum.out, "root mean square error")) << sum.out;
  expect_failure("train t.csv --target size --loss HuberLoss:detla=1", 2, "did you mean `delta`?");
  expect_failure("train t.csv --target size --loss HuberLoss:delta=0", 2,
                 "--loss: HuberLoss: `delta` must be finite and above 0, got 0.0");
}

TEST_F(Parts, DefaultsFitTheLoss) {
  // Whole numbers are classes, unless the loss compares numbers.
  const Outcome numbers = table("--loss MSELoss --out run");
  EXPECT_EQ(numbers.code, 0) << numbers.error;
  EXPECT_TRUE(has(numbers.out, "f32[2], numbers to predict")) << numbers.out;
  EXPECT_FALSE(has(numbers.out, "accuracy")) << numbers.out;
  EXPECT_EQ(option("run", "task"), Value("numbers"));
  EXPECT_EQ(run("train --resume --out run --epochs 4").code, 0);
  const Outcome classes = table("--out classes");
  EXPECT_TRUE(has(classes.out, "4 classes")) << classes.out << classes.error;
  EXPECT_TRUE(has(classes.out, "accuracy")) << classes.out;
  const std::string train = "train t.csv --target size ";
  expect_failure(train + "--task classes --loss MSELoss", 2,
                 "--loss: MSELoss compares numbers, the targets are 4 classes; CrossEntropyLoss "
                 "would fit");
  expect_failure(train + "--loss BCEWithLogitsLoss", 2,
                 "--loss: BCEWithLogitsLoss compares targets 0 and 1, the targets are 4 classes");
  expect_failure(train + "--task numbers --loss CrossEntropyLoss", 2,
                 "--loss: CrossEntropyLoss compares classes, the targets are numbers, unless "
                 "--task says classes; MSELoss would fit");
  expect_failure("train mnist --data-dir mnist --loss HuberLoss", 2,
                 "--loss: HuberLoss compares numbers, the targets are 10 classes");
}

TEST_F(Parts, ListsAreRepeatedOrInOne) {
  int count = 0;
  for (const char* list :
       {"top_k_accuracy:k=2,f1", "top_k_accuracy:k=2 F1", "Top_K_Accuracy:k=2 --metrics f1"}) {
    const std::string folder = "run" + std::to_string(++count);
    const Outcome trained = table("--out " + folder + " --metrics " + list);
    EXPECT_EQ(trained.code, 0) << trained.error;
    EXPECT_EQ(option(folder, "metrics").print(), "[\"top_k_accuracy:k=2\", \"f1\"]") << list;
  }
  for (const char* list : {"RandomCrop:padding=2,fill=9,RandomHorizontalFlip",
                           "RandomCrop:padding=2,fill=9 RandomHorizontalFlip"}) {
    const std::string folder = "run" + std::to_string(++count);
    EXPECT_EQ(train("--out " + folder + " --augment " + list).code, 0);
    EXPECT_EQ(option(folder, "augment").print(),
              "[\"RandomCrop:padding=2,fill=9\", \"RandomHorizontalFlip\"]");
  }
  put(folder_ / "c.json", R"({"metrics": ["f1", "top_k_accuracy:k=2"], "loss":
      "CrossEntropyLoss:reduction=sum", "optimizer": "SGD:lr=0.5,momentum=0.5"})");
  const Outcome config = table("--config c.json --momentum 0.25 --out config");
  EXPECT_EQ(config.code, 2) << config.out;
  EXPECT_TRUE(has(config.error, "`momentum` is given twice")) << config.error;
  EXPECT_TRUE(has(table("--config c.json --out config").out, "SGD lr 0.5 "));
  expect_failure("train --metrics f1 t.csv --target size", 2,
                 "DATA is required, unless --resume goes on with a run; it stands before options "
                 "that take several values");
  expect_failure("train t.csv --target size --metrics top_k_accuracy:n=2", 2,
                 "--metrics: top_k_accuracy has no option `n`; there are: k=");
  expect_failure("train t.csv --target size --optimizer SGD:momentun=0.5", 2,
                 "did you mean `momentum`?");
  expect_failure("train t.csv --target size --lr 0.1 --optimizer SGD:lr=0.5", 2,
                 "--optimizer: `lr` is given by --lr, too");
}

TEST_F(Parts, ACallbackIsAnyRegisteredOne) {
  const std::string train = "train t.csv --target size --model linear --batch-size 8 --epochs ";
  const Outcome early = run(train +
                            "9 --callback EarlyStopping:patience=1,min-delta=100 "
                            "--callback 'CSVLogger:path=\"a,b.csv\"' --out run");
  EXPECT_EQ(early.code, 0) << early.error;
  EXPECT_TRUE(has(early.out,
                  "callback  EarlyStopping:patience=1,min_delta=100 "
                  "CSVLogger:path=\"a,b.csv\"\n"))
      << early.out;
  EXPECT_EQ(rates("run").size(), 2u);
  EXPECT_TRUE(content_of(folder_ / "a,b.csv").starts_with("epoch,loss,"));
  // The averages of the weights are not the weights.
  ASSERT_EQ(run(train + "2 --out plain").code, 0);
  ASSERT_EQ(run(train + "2 --callback EMA:decay=0.5 --out averaged").code, 0);
  EXPECT_FALSE(weights("averaged") == weights("plain"));
  // More epochs, as one training.
  ASSERT_EQ(run(train + "4 --schedule constant --callback EMA --out four").code, 0);
  ASSERT_EQ(run(train + "2 --schedule constant --callback EMA --out two").code, 0);
  EXPECT_EQ(run("train --resume --epochs 4 --out two").code, 0);
  EXPECT_TRUE(weights("two") == weights("four"));
  expect_failure(train + "2 --callback EMMA", 2, "did you mean `EMA`?");
  expect_failure(train + "2 --callback CSVLogger", 2, "--callback: CSVLogger: `path` is required");
  expect_failure(train + "2 --callback EMA:decay=2", 2, "--callback: EMA: `decay` must be");
}

/// An array as NumPy stores it.
template <class T>
std::string npy(const std::string& type, const std::string& shape, const std::vector<T>& values) {
  const std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) + '\0' + header +
         std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

TEST_F(Parts, ARecurrentClassifierIsDescribedInAFile) {
  // The class is the sign of the first of five steps: the last one must have remembered it.
  std::vector<float> x;
  std::vector<int64_t> y;
  for (int i = 0; i < 60; ++i) {
    const bool high = (i / 3) % 2 == 0;
    for (int step = 0; step < 5; ++step) {
      x.push_back(step > 0 ? 0 : high ? 1.f : -1.f);
      x.push_back(static_cast<float>((i * 7 + step * 3) % 11) / 11 - 0.5f);
    }
    y.push_back(high ? 1 : 0);
  }
  put(folder_ / "x.npy", npy("<f4", "60, 5, 2", x));
  put(folder_ / "y.npy", npy("<i8", "60,", y));
  ASSERT_EQ(run("devices > /dev/null; python3 -m zipfile -c s.npz x.npy y.npy").code, 0);
  put(folder_ / "lstm.json", R"({"type": "Sequential", "layers": [
      {"type": "LSTM", "options": {"input_size": 2, "hidden_size": 8, "batch_first": true}},
      {"type": "Select", "options": {"dim": 1, "index": -1}},
      {"type": "Linear", "options": {"in_features": 8, "out_features": 2}}]})");
  const Outcome trained =
      run("train s.npz --model lstm.json --epochs 30 --lr 0.03 --batch-size 8 --out run");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(has(trained.out, "validation accuracy 1.0000")) << trained.out;
  EXPECT_TRUE(has(run("evaluate run s.npz").out, "accuracy 1.0000")) << run("evaluate run").out;
  const Outcome guessed = run("predict run s.npz --top 1");
  EXPECT_TRUE(guessed.out.starts_with("0  1 ")) << guessed.out << guessed.error;
  EXPECT_EQ(std::ranges::count(guessed.out, '\n'), 60);
}

}  // namespace
}  // namespace taper

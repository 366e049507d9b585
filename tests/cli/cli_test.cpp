#include "command_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::Command;
using testing::content_of;
using testing::has;
using testing::Outcome;
using testing::put;
using testing::put_part;

TEST_F(Command, TellsItsVersionAndHelp) {
  const Outcome version = run("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, "taper 0.1.0\n");
  EXPECT_EQ(run("--help").code, 0);
  for (const char* command : {"train", "evaluate", "ops", "devices", "bench"}) {
    const Outcome help = run(std::string(command) + " --help");
    EXPECT_EQ(help.code, 0);
    EXPECT_TRUE(has(help.out, command)) << help.out;
  }
  EXPECT_EQ(run("").code, 2);
}

TEST_F(Command, TrainsAndEvaluates) {
  const Outcome trained = train("--out here");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_EQ(trained.error, "");
  EXPECT_TRUE(has(trained.out, "logistic: 7850 parameters")) << trained.out;
  EXPECT_TRUE(has(trained.out, "epoch 2/2  ")) << trained.out;
  EXPECT_TRUE(has(trained.out, "test accuracy ")) << trained.out;
  for (const char* file : {"model.safetensors", "model.json", "history.json", "report.json"}) {
    EXPECT_TRUE(fs::exists(folder_ / "here" / file)) << file;
  }
  const Value report = parse_json(content_of(folder_ / "here" / "report.json"));
  EXPECT_EQ(report.find("epoch_seconds")->size(), 2u);
  EXPECT_EQ(*report.find("parameters"), Value(7850));
  EXPECT_EQ(report.find("classes")->size(), 10u);

  const Outcome evaluated = run("evaluate here --data-dir mnist");
  EXPECT_EQ(evaluated.code, 0) << evaluated.error;
  EXPECT_TRUE(has(evaluated.out, "(20 examples)")) << evaluated.out;
  const size_t place = trained.out.find("test accuracy ") + 5;
  EXPECT_TRUE(has(evaluated.out, trained.out.substr(place, 15))) << evaluated.out;
}

TEST_F(Command, RunsRepeatAndTakeTheNextFreeFolder) {
  EXPECT_EQ(train("").code, 0);
  EXPECT_EQ(train("").code, 0);
  const auto values = [&](const char* name) {
    return content_of(folder_ / "runs" / name / "model.safetensors");
  };
  EXPECT_NE(values("mnist-logistic-1"), "");
  EXPECT_EQ(values("mnist-logistic-1"), values("mnist-logistic-2"));
}

TEST_F(Command, ReplacesARunOnlyWhenToldTo) {
  const auto values = [&] { return content_of(folder_ / "run" / "model.safetensors"); };
  EXPECT_EQ(train("--out run").code, 0);
  const std::string first = values();
  const Outcome refused = train("--out run --seed 7");
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.error,
            "taper: cannot write to run: it holds a run already; go on with it "
            "(--resume) or replace it (--overwrite)\n");
  EXPECT_TRUE(values() == first);
  put(folder_ / "run" / "notes.txt", "mine");
  EXPECT_EQ(train("--out run --seed 7 --overwrite").code, 0);
  EXPECT_FALSE(values() == first);
  EXPECT_TRUE(fs::exists(folder_ / "run" / "notes.txt"));
}

TEST_F(Command, GoesOnWithARun) {
  const auto values = [&](const char* name) {
    return content_of(folder_ / name / "model.safetensors");
  };
  const std::string options = "--batch-size 16 --lr 0.01 --optimizer sgd ";
  EXPECT_EQ(train(options + "--out whole").code, 0);
  EXPECT_EQ(train(options + "--out run --resume").code, 0);  // there is nothing to go on from
  EXPECT_TRUE(values("run") == values("whole"));
  const Outcome again = train(options + "--out run --resume");
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_TRUE(has(again.out, "run is finished: 2 epochs; more --epochs go on")) << again.out;
  const Outcome more = run("train mnist --model logistic --epochs 3 --data-dir mnist --resume " +
                           options + "--out run");
  EXPECT_EQ(more.code, 0) << more.error;
  EXPECT_TRUE(has(more.out, "epoch 3/3")) << more.out;
  EXPECT_FALSE(has(more.out, "epoch 2/3")) << more.out;
  expect_failure("train mnist --model mlp --data-dir mnist --out run --resume", 1,
                 "cannot go on with run: the layers of mlp are not those of the run");
  expect_failure("train mnist --model logistic --batch-size 8 --data-dir mnist --out run --resume",
                 1, "`batch_size` was 16, is 8");
  expect_failure("train mnist --out run --resume --overwrite", 2, "--resume");
  fs::remove_all(folder_ / "run" / "checkpoints");
  expect_failure("train mnist --model logistic --epochs 2 --data-dir mnist --out run --resume", 1,
                 "cannot go on with run: `epochs` is 2, but it has had 3");
  const Outcome bare = run("train --out run --resume --data-dir mnist");
  EXPECT_EQ(bare.code, 0) << bare.error;
  EXPECT_EQ(bare.out, "run is finished: 3 epochs; more --epochs go on\n");
  expect_failure("train mnist --model logistic --epochs 9 --data-dir mnist --out run --resume", 1,
                 "run is finished after 3 epochs and has no checkpoint to go on from; --overwrite");
}

TEST_F(Command, GoesOnWithoutAnyOtherOption) {
  EXPECT_EQ(train("--batch-size 16 --lr 0.01 --seed 3 --optimizer sgd --out whole").code, 0);
  ASSERT_EQ(train("--batch-size 16 --lr 0.01 --seed 3 --optimizer sgd --out run").code, 0);
  const Outcome more = run("train --resume --out run --epochs 3 --data-dir mnist");
  EXPECT_EQ(more.code, 0) << more.error;
  EXPECT_TRUE(has(more.out, "batch 16, SGD lr 0.01")) << more.out;
  EXPECT_TRUE(has(more.out, "epoch 3/3")) << more.out;
  expect_failure("train --resume --out run --epochs 2 --data-dir mnist", 1,
                 "cannot go on with run: `epochs` is 2, but it has had 3");
  expect_failure("train --resume --out run --lr 0.5 --data-dir mnist", 1,
                 "cannot go on with run: `lr` was 0.01, is 0.5");
  expect_failure("train --resume --data-dir mnist", 2, "DATA is required");
  expect_failure("train --resume --out none --data-dir mnist", 2, "DATA is required");
  // Other pictures in files of the same size.
  fs::create_directory(folder_ / "other");
  put_part(folder_ / "other", "train", 60);
  put_part(folder_ / "other", "t10k", 20);
  std::string pictures = content_of(folder_ / "other" / "train-images-idx3-ubyte");
  pictures.back() ^= 1;
  put(folder_ / "other" / "train-images-idx3-ubyte", pictures);
  expect_failure("train --resume --out run --data-dir other", 1,
                 "cannot go on with run: the data are not those that it began with");
}

TEST_F(Command, TrainsAsItIsTold) {
  const std::string options =
      "--batch-size 8 --optimizer sgd --momentum 0.9 --weight-decay 0.001 --schedule cosine "
      "--warmup 1 --accumulate 2 --clip 1 --validation 0.2 --early-stop 3 --best --csv "
      "--metrics accuracy,f1 --loss crossentropyloss --class-weights balanced --time-limit 100 ";
  const Outcome trained = train(options + "--out run");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_TRUE(has(trained.out, "2 epochs of 6 steps, batch 8, SGD lr 0.001 falling as a cosine"))
      << trained.out;
  EXPECT_TRUE(has(trained.out, "val_f1 ")) << trained.out;
  EXPECT_TRUE(has(trained.out, "1 thread\n")) << trained.out;
  const Value manifest = parse_json(content_of(folder_ / "run" / "run.json"));
  const Value& kept = *manifest.find("options");
  EXPECT_EQ(*kept.find("schedule"), Value("cosine"));
  EXPECT_EQ(*kept.find("loss"), Value("CrossEntropyLoss"));
  EXPECT_EQ(*kept.find("optimizer_options")->find("momentum"), Value(0.9));
  EXPECT_EQ(*kept.find("optimizer_options")->find("weight_decay"), Value(0.001));
  EXPECT_TRUE(content_of(folder_ / "run" / "logs" / "epochs.csv")
                  .starts_with("epoch,loss,accuracy,f1,val_loss,val_accuracy,val_f1,"));
  const std::string html = content_of(folder_ / "run" / "report.html");
  for (const char* text : {"<td>cosine</td>", "test f1", "weight_decay", "How it was made"}) {
    EXPECT_TRUE(has(html, text)) << text;
  }
  // The same again, from what the run says of itself.
  const Outcome again = run("train --config run/run.json --out again --data-dir mnist");
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_TRUE(content_of(folder_ / "again" / "model.safetensors") ==
              content_of(folder_ / "run" / "model.safetensors"));
  // Options beside a file come before it.
  put(folder_ / "some.json", R"({"lr": 0.5, "epochs": 1, "model": "logistic"})");
  const Outcome some = run("train mnist --config some.json --lr 0.25 --out some --data-dir mnist");
  EXPECT_TRUE(has(some.out, "1 epoch of 1 step, batch 64, Adam lr 0.25")) << some.out << some.error;
  // Without a rate it is the optimizer's own, and the run says which.
  put(folder_ / "own.json", R"({"epochs": 1, "model": "logistic", "optimizer": "RMSprop"})");
  const Outcome own = run("train mnist --config own.json --out own --data-dir mnist");
  EXPECT_TRUE(has(own.out, "1 epoch of 1 step, batch 64, RMSprop lr 0.01")) << own.out << own.error;
  EXPECT_TRUE(has(content_of(folder_ / "own" / "run.json"), "\"lr\": 0.01")) << own.error;
  expect_failure("train --resume --out run --momentum 0.5 --data-dir mnist", 1,
                 "cannot go on with run: `momentum` was 0.9, is 0.5");
}

TEST_F(Command, RefusesOptionsThatDoNotGoTogether) {
  expect_failure("train mnist --momentum 0.9", 2,
                 "--optimizer: Adam has no option `momentum`; there are: lr=0.001 (float), ");
  expect_failure("train mnist --optimizer sgd --momentum much", 2, "`momentum` must be float");
  expect_failure("train mnist --early-stop 3", 2, "give --validation, too");
  expect_failure("train mnist --schedule cosin", 2, "did you mean `cosine`?");
  expect_failure("train mnist --loss L1Loss", 2, "unknown loss `L1Loss`; there are: BCELoss");
  expect_failure("train mnist --metrics auk", 2, "unknown metric `auk`");
  expect_failure("train mnist --class-weights even", 2, "must be none or balanced");
  expect_failure("train mnist --config nowhere.json", 1, "nowhere.json");
  put(folder_ / "bad.json", R"({"learning_rate": 1})");
  expect_failure("train mnist --config bad.json", 1,
                 "bad.json: unknown option `learning_rate`; there are: epochs, ");
  put(folder_ / "bad.json", R"({"lr": "fast"})");
  expect_failure("train mnist --config bad.json", 1, "bad.json: options: `lr` must be float");
}

TEST_F(Command, WritesAReportAgain) {
  ASSERT_EQ(train("--out run").code, 0);
  fs::remove(folder_ / "run" / "report.html");
  const Outcome report = run("report run --data-dir mnist");
  EXPECT_EQ(report.code, 0) << report.error;
  EXPECT_EQ(report.out, "report run/report.html\n");
  EXPECT_TRUE(fs::exists(folder_ / "run" / "report.html"));
  EXPECT_TRUE(has(run("train --resume --out run --data-dir mnist").out, "is finished: 2 epochs"));
  expect_failure("report nowhere", 1, "nowhere is no folder with a saved model");
}

TEST_F(Command, WritesAgainWhatARunHasLost) {
  const std::string options = "--batch-size 16 --out run ";
  ASSERT_EQ(train(options).code, 0);
  const auto weights = [&] { return content_of(folder_ / "run" / "model.safetensors"); };
  const std::string right = weights();
  const auto mended = [&] {
    const Outcome outcome = train(options + "--resume");
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_TRUE(has(outcome.out, "test accuracy")) << outcome.out;
    EXPECT_FALSE(has(outcome.out, "epoch 2/2")) << outcome.out;
    EXPECT_TRUE(weights() == right);
  };
  put(folder_ / "run" / "model.safetensors", right.substr(0, right.size() / 2));
  expect_failure("evaluate run --data-dir mnist", 1,
                 "run/model.safetensors: is not the file that the run saved; --resume");
  mended();
  fs::remove(folder_ / "run" / "model.safetensors");
  mended();
  fs::remove_all(folder_ / "run" / "figures");
  mended();
  EXPECT_TRUE(fs::exists(folder_ / "run" / "figures" / "curve-loss.svg"));
  EXPECT_TRUE(has(train(options + "--resume").out, "run is finished: 2 epochs"));
}

TEST_F(Command, AModelIsThatOfTheEpochsItTellsOf) {
  ASSERT_EQ(train("--out run").code, 0);
  ASSERT_EQ(run("train mnist --model logistic --epochs 4 --data-dir mnist --out whole").code, 0);
  fs::copy(folder_ / "run", folder_ / "cut", fs::copy_options::recursive);
  const Outcome more = run("train --epochs 4 --data-dir mnist --resume --out run");
  EXPECT_EQ(more.code, 0) << more.error;
  const std::string right = content_of(folder_ / "run" / "model.safetensors");
  // Killed behind the last checkpoint and before the export: the exported model is the older one.
  const std::string older = content_of(folder_ / "cut" / "model.safetensors");
  fs::remove_all(folder_ / "cut" / "checkpoints");
  fs::copy(folder_ / "run" / "checkpoints", folder_ / "cut" / "checkpoints");
  EXPECT_FALSE(older == right);
  const Outcome again = run("train --epochs 4 --data-dir mnist --resume --out cut");
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_TRUE(content_of(folder_ / "cut" / "model.safetensors") == right);
}

TEST_F(Command, KeepsTheOldRunUntilTheNewOneHasSaved) {
  ASSERT_EQ(train("--out run").code, 0);
  fs::create_directories(folder_ / "run" / "figures" / "paper");
  fs::create_directories(folder_ / "run" / "logs");
  put(folder_ / "run" / "figures" / "paper" / "fig1.pdf", "mine");
  put(folder_ / "run" / "logs" / "notes.txt", "mine");
  put(folder_ / "bad.json", R"({"type": "Linear", "options": {"in_features": 7,
                                "out_features": 10}})");
  const std::string before = content_of(folder_ / "run" / "run.json");
  const std::string overwrite = "--epochs 1 --out run --overwrite --data-dir ";
  expect_failure("train mnist --model logistic " + overwrite + "nowhere", 1,
                 "/nowhere; give the folder");
  expect_failure("train mnist --model bad.json " + overwrite + "mnist", 1, "Linear");
  expect_failure("train mnist --model logistic --lr 1e38 --out run --overwrite --data-dir mnist", 1,
                 "fit: the loss is ");
  EXPECT_EQ(content_of(folder_ / "run" / "run.json"), before);
  EXPECT_EQ(run("evaluate run --data-dir mnist").code, 0);
  EXPECT_EQ(run("train mnist --model logistic " + overwrite + "mnist").code, 0);
  EXPECT_FALSE(content_of(folder_ / "run" / "run.json") == before);
  EXPECT_TRUE(fs::exists(folder_ / "run" / "figures" / "paper" / "fig1.pdf"));
  EXPECT_TRUE(fs::exists(folder_ / "run" / "logs" / "notes.txt"));
}

TEST_F(Command, EvaluatesARunOfAnOlderTaper) {
  ASSERT_EQ(train("--out run").code, 0);
  fs::remove(folder_ / "run" / "run.json");
  EXPECT_EQ(run("evaluate run --data-dir mnist").code, 0);
  expect_failure("train mnist --model logistic --data-dir mnist --out run --resume", 1,
                 "an older Taper made it");
  expect_failure("train mnist --model logistic --data-dir mnist --out run --overwrite", 1,
                 "an older Taper made it");
}

TEST_F(Command, TakesTheLayersFromAFile) {
  put(folder_ / "layers.json",
      R"({"type": "Sequential", "layers": [{"type": "Flatten"},
          {"type": "Linear", "options": {"in_features": 784, "out_features": 10}}]})");
  const std::string data = "train mnist --epochs 1 --data-dir mnist ";
  EXPECT_EQ(run(data + "--model layers.json --out one").code, 0);
  const Outcome again = run(data + "--model one/model.json");
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_TRUE(fs::exists(folder_ / "runs" / "mnist-one-1" / "report.json")) << again.out;
  EXPECT_TRUE(content_of(folder_ / "one" / "model.safetensors") ==
              content_of(folder_ / "runs" / "mnist-one-1" / "model.safetensors"));
  put(folder_ / "bad.json", R"({"type": "Linaer"})");
  expect_failure(data + "--model bad.json", 1, "bad.json: unknown module `Linaer`");
  expect_failure(data + "--model none.json", 1, "none.json: No such file");
}

TEST_F(Command, PredictsPicturesAndShowsLayers) {
  ASSERT_EQ(train("--out run").code, 0);
  put(folder_ / "grey.png", encode_png(astype(full({40, 30}, 60), DType::u8)));
  put(folder_ / "colour.png", encode_png(astype(full({3, 28, 28}, 200), DType::u8)));
  const Outcome two = run("predict run grey.png colour.png --top 2");
  EXPECT_EQ(two.code, 0) << two.error;
  EXPECT_TRUE(two.out.starts_with("grey.png  ")) << two.out;
  EXPECT_TRUE(has(two.out, "\ncolour.png  ")) << two.out;
  EXPECT_EQ(std::count(two.out.begin(), two.out.end(), '.'), 6) << two.out;
  const Outcome json = run("predict run grey.png --invert --json");
  const Value list = parse_json(json.out);
  EXPECT_EQ(list.get_if<Value::List>()->at(0).find("classes")->size(), 3u);
  const Outcome bad = run("predict run run/model.json grey.png");
  EXPECT_EQ(bad.code, 1);
  EXPECT_TRUE(has(bad.error, "run/model.json: neither a PNG nor a JPEG file")) << bad.error;
  EXPECT_TRUE(has(bad.error, "1 of 2 pictures cannot be used")) << bad.error;
  EXPECT_TRUE(has(bad.out, "grey.png  ")) << bad.out;
  const Outcome layers = run("summary run");
  EXPECT_EQ(layers.code, 0) << layers.error;
  EXPECT_TRUE(has(layers.out, "7850 parameters")) << layers.out;
  EXPECT_EQ(run("summary run/model.json --input 1,28,28").out, layers.out);
  const Value described = parse_json(run("summary run --json").out);
  EXPECT_EQ(*described.find("parameters"), Value(7850));
  EXPECT_EQ(*(*described.find("layers")->get_if<Value::List>())[1].find("type"), Value("Linear"));
  expect_failure("summary run/model.json", 2, "--input: a file does not say");
  expect_failure("summary nowhere", 1, "there is no run folder or file nowhere");
  expect_failure("summary run --input 1,x", 2, "must be sizes such as 1,28,28");
  EXPECT_EQ(run("predict run < /dev/null").out, "");
  put(folder_ / "list", "grey.png\n\ncolour.png\n");
  EXPECT_EQ(run("predict run --top 2 < list").out, two.out);
  fs::copy(folder_ / "grey.png", folder_ / "-x.png");
  EXPECT_TRUE(run("predict run -- -x.png").out.starts_with("-x.png  "));
  EXPECT_TRUE(fs::exists(folder_ / "run" / "report.html"));
}

TEST_F(Command, CompletesItselfInAShell) {
  put(folder_ / "try.sh", R"sh(eval "$("$1" completion bash)"
reply() { COMP_WORDS=(taper "$@"); COMP_CWORD=$#; _taper; echo "${COMPREPLY[*]}"; }
reply tr
reply train --ep
reply predict run --in
reply train mni
reply train mnist --model l
reply train mnist --schedule co
reply train mnist --schedule One
reply train mnist --callback E
reply train mnist --metrics accuracy f1 top_
reply train mnist --callback EMA --ep
reply evaluate r
reply evaluate ''
reply train mnist --out ru
)sh");
  fs::create_directories(folder_ / "runs" / "mine-1");
  const Outcome words = run("devices > /dev/null && bash try.sh '" TAPER_COMMAND "'");
  EXPECT_EQ(words.out,
            "train\n--epochs --eps\n--invert\nmnist\nlinear logistic\nconstant "
            "cosine\nOneCycleLR\nEMA EarlyStopping\ntop_k_accuracy\n--epochs "
            "--eps\nruns/mine-1\nruns/mine-1\n"
            "runs/mine-1\n")
      << words.error;
  EXPECT_TRUE(run("completion zsh").out.starts_with("#compdef taper\n"));
  EXPECT_TRUE(has(run("completion zsh").out, "\"summary \"*) words_here=("));
  EXPECT_TRUE(has(run("completion fish").out, "__fish_seen_subcommand_from train' -l epochs"));
  expect_failure("completion csh", 2, "unknown shell `csh`; there are: bash, fish, zsh");
}

TEST_F(Command, RefusesWrongUsage) {
  expect_failure("trai mnist", 2, "did you mean `train`?");
  expect_failure("train", 2, "DATA is required");
  expect_failure("train cifar", 2, "there are: fashion-mnist, mnist");
  expect_failure("train mnist --model resnet", 2, "there are: convnet, linear, logistic, mlp");
  expect_failure("train mnist --epoch 3", 2, "did you mean `--epochs`?");
  expect_failure("train mnist --epochs 0", 2, "must be a whole number of at least 1, got `0`");
  expect_failure("train mnist --epochs 1.5", 2, "must be a whole number of at least 1");
  expect_failure("train mnist --batch-size -3", 2, "must be a whole number of at least 1");
  expect_failure("train mnist --lr 0", 2, "must be a finite number above 0, got `0`");
  expect_failure("train mnist --lr inf", 2, "must be a finite number above 0, got `inf`");
  expect_failure("train mnist --seed -1", 2, "must be a whole number of at least 0, got `-1`");
  expect_failure("--verison", 2, "unknown option `--verison`");
  expect_failure("--data-dir x train mnist", 2, "unknown option `--data-dir`");
  expect_failure("train mnist --epochs", 2, "--epochs: the value is missing");
  expect_failure("train mnist --epochs 1 --epochs 2", 2, "--epochs: given more than once");
  expect_failure("train mnist --out --lr 1", 2, "--out: the value is missing before `--lr`");
  expect_failure("train mnist --out ''", 2, "--out: must not be empty");
  expect_failure("evaluate ''", 2, "DIR: must not be empty");
  expect_failure("train mnist --seed 9223372036854775808", 2, "and below 2^63");
  expect_failure("train \"$(printf 'a\\033[31m')\"", 2, "unknown dataset `a\\x1b[31m`");
  expect_failure("bench --json x", 2, "--json requires NAME");
  expect_failure("bench matmul", 2, "there are: xor_train");
  expect_failure("bench op_add4 --mode fast", 2, "--mode");
  expect_failure("ops conv3d", 2, "unknown op `conv3d`");
  expect_failure("bench opz", 2, "did you mean `ops`?");
  expect_failure("bench ops ad", 2, "did you mean `add`?");
  expect_failure("bench ops conv2d", 2, "op `conv2d` takes no matrices");
  expect_failure("bench ops add --size 0", 2, "must be a whole number of at least 1, got `0`");
  expect_failure("bench ops add --mode captured", 2, "--mode: ops are timed eagerly");
  expect_failure("bench ops add --calls", 2, "the calls come from the standard input");
  expect_failure("bench ops --list --json x", 2, "--list and --calls print JSON by themselves");
  expect_failure("bench op_add4 add", 2, "only `ops` takes names of ops");
  expect_failure("bench op_add4 --size 3", 2, "--list, --calls and --size belong to `ops`");
}

TEST_F(Command, TimesOpsByDtypeLayoutAndAxis) {
  const Outcome sums = run("bench ops sum --size 4 --json sums.json");
  EXPECT_EQ(sums.code, 0) << sums.error;
  for (const char* each : {"sum f32 contiguous axis=[0]", "sum i8 strided axis=[1]",
                           "sum bool transposed axis=none"}) {
    EXPECT_TRUE(has(sums.out, each)) << each << "\n" << sums.out;
  }
  const std::string json = content_of(folder_ / "sums.json");
  EXPECT_EQ(parse_json(json).size(),
            static_cast<size_t>(std::count(sums.out.begin(), sums.out.end(), '\n')));
  EXPECT_TRUE(has(json, "\"seconds\"")) << json;
}

TEST_F(Command, AnswersTheCallsThatItLists) {
  const std::string listed = run("bench ops take where --size 3 --list").out;
  put(folder_ / "calls", listed + "{\"op\": \"tak\", \"attrs\": {}, \"inputs\": []}\n{}\n[\n");
  const Outcome answers = run("bench ops --calls < calls");
  EXPECT_EQ(answers.code, 0) << answers.error;
  const auto lines = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_GT(lines(listed), 50);
  EXPECT_EQ(lines(answers.out), lines(listed) + 3);
  EXPECT_LT(answers.out.find("refused: unknown op `tak`"), answers.out.find("a call needs `op`"));
  EXPECT_EQ(answers.out.find("refused"), answers.out.find("refused: unknown op `tak`"));
}

TEST_F(Command, FailsBeforeTrainingAndLeavesNothing) {
  expect_failure("train mnist", 1, "give the folder with the four files of MNIST");
  expect_failure("train mnist --data-dir nowhere --out a/b/c", 1, "/nowhere; give the folder");
  const std::string data = "train mnist --model logistic --data-dir mnist --out ";
  expect_failure(data + "/proc/taper-run", 1, "cannot write to /proc/taper-run: ");
  put(folder_ / "file", "");
  expect_failure(data + "file", 1, "cannot write to file: a file is in the way");
  expect_failure(data + "file/run", 1, "cannot write to file/run: ");
  expect_failure(data + "mnist", 1, "holds no run of Taper");
  expect_failure("train mnist --model logistic --data-dir mnist --lr 1e38 --out new", 1,
                 "fit: the loss is ");
  expect_failure(data + "new/..", 1, "cannot write to .: the folder is not empty");
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  expect_failure("bench op_add4 --threads 1 --json pipe", 1, "pipe: Not a regular file");
  expect_failure("evaluate nowhere", 1, "nowhere is no folder with a saved model");
  expect_failure("evaluate mnist", 1, "mnist/model.json");
}

TEST_F(Command, RefusesAModelThatIsOfOtherData) {
  ASSERT_EQ(train("--out run").code, 0);
  fs::remove(folder_ / "run" / "run.json");  // which knows the file
  const std::string right = content_of(folder_ / "run" / "model.json");
  const auto refusal = [&](const std::string& from, const std::string& to) {
    std::string text = right;
    put(folder_ / "run" / "model.json", text.replace(text.find(from), from.size(), to));
    const Outcome outcome = run("evaluate run --data-dir mnist");
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(outcome.error.starts_with("taper: run/model.json: ")) << outcome.error;
    return outcome.error;
  };
  EXPECT_TRUE(has(refusal("\"mnist\"", "\"cifar\""), "unknown dataset `cifar`"));
  EXPECT_TRUE(has(refusal("0.003921568859368563", "1.0"), "inputs multiplied by 1.0, those of"));
  EXPECT_TRUE(has(refusal("\"9\"", "\"8\""), "`class_names` are not those of mnist"));
}

TEST_F(Command, SavesAndStopsWhenAskedTo) {
  put(folder_ / "send.py", testing::signal_after_an_epoch);
  const std::pair<const char*, int> signals[] = {{"INT", 130}, {"TERM", 143}, {"HUP", 129}};
  for (const auto& [signal, code] : signals) {
    const std::string folder = std::string("run-") + signal;
    const Outcome outcome = run(
        "devices > /dev/null; python3 send.py SIG" + std::string(signal) + " '" + TAPER_COMMAND +
        " train mnist --model logistic --epochs 100000000 --data-dir mnist --resume --out " +
        folder + " --checkpoint-seconds 0.001'");
    EXPECT_EQ(outcome.code, code) << signal << outcome.error;
    EXPECT_TRUE(has(outcome.out, "--resume --out " + folder + " goes on from there"))
        << outcome.out;
    EXPECT_TRUE(fs::exists(folder_ / folder / "checkpoints")) << signal;
    EXPECT_FALSE(fs::exists(folder_ / folder / "report.json"));
    expect_failure("train --resume --epochs 90000000 --out " + folder, 1,
                   "cannot go on with " + folder + ": `epochs` was 100000000, is 90000000");
  }
}

/// Stands for gnuplot: sends Ctrl-C to the whole group of the training first, as a terminal does.
constexpr const char* gnuplot_with_a_signal = R"(#!/bin/sh
kill -INT -$PPID && echo sent >> "$SIGNALS"
PATH=${PATH#*:} exec gnuplot "$@"
)";

TEST_F(Command, DrawsItsReportToTheEndAfterASignalToTheGroup) {
  fs::create_directory(folder_ / "bin");
  put(folder_ / "bin" / "gnuplot", gnuplot_with_a_signal);
  fs::permissions(folder_ / "bin" / "gnuplot", fs::perms::owner_all);
  run("devices > /dev/null; SIGNALS=\"$PWD/signals\" PATH=\"$PWD/bin:$PATH\" setsid -w "
      "'" TAPER_COMMAND "' train mnist --model logistic --epochs 1 --data-dir mnist --out run");
  EXPECT_TRUE(content_of(folder_ / "signals").starts_with("sent\nsent\n"));
  for (const char* name : {"curve-loss.svg", "confusion.svg", "calibration.svg"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / "figures" / name)) << name;
  }
  EXPECT_TRUE(has(run("train --resume --out run").out, "run is finished: 1 epoch;"));
}

TEST_F(Command, TrainsOnWithoutAReaderAndSaysWhenOutputIsLost) {
  EXPECT_EQ(
      run("train mnist --model logistic --epochs 1 --data-dir mnist --out closed | true").code, 0);
  EXPECT_TRUE(fs::exists(folder_ / "closed" / "report.json"));
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const Outcome outcome = run("devices > /dev/full");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.error, "taper: the standard output cannot be written\n");
}

TEST_F(Command, EachProcessTakesAFolderOfItsOwn) {
  const std::string one = "train mnist --model logistic --epochs 1 --data-dir mnist > /dev/null";
  std::string line = one;
  for (int i = 0; i < 5; ++i) line += std::string(" & '") + TAPER_COMMAND + "' " + one;
  run(line + "; wait");
  for (int i = 1; i <= 6; ++i) {
    const std::string name = "mnist-logistic-" + std::to_string(i);
    EXPECT_TRUE(fs::exists(folder_ / "runs" / name / "report.json")) << name;
  }
}

TEST_F(Command, NumbersRunsBehindTheLastOne) {
  for (const char* name : {"1", "3", "4", "4-b", "x"}) {
    fs::create_directories(folder_ / "runs" / (std::string("mnist-logistic-") + name));
  }
  const Outcome fresh = train("");
  EXPECT_EQ(fresh.code, 0) << fresh.error;
  EXPECT_TRUE(has(fresh.out, "out       runs/mnist-logistic-5\n")) << fresh.out;
  const Outcome last = train("--resume");
  EXPECT_TRUE(has(last.out, "runs/mnist-logistic-5 is finished")) << last.out << last.error;
  // Without a word of the data: the one that was last written.
  const Outcome bare = run("train --resume");
  EXPECT_TRUE(has(bare.out, "runs/mnist-logistic-5 is finished")) << bare.out << bare.error;
  const Outcome more = run("train --resume --epochs 3");
  EXPECT_TRUE(has(more.out, "out       runs/mnist-logistic-5\n")) << more.out << more.error;
  EXPECT_TRUE(has(more.out, "going on at epoch 3, step 1")) << more.out;
  const Outcome recorded = run("train --resume --epochs 4 --compile");
  EXPECT_TRUE(has(recorded.out, "going on at epoch 4, step 1")) << recorded.error;
}

TEST_F(Command, DescribesOpsDevicesAndWorkloads) {
  const Outcome ops = run("ops");
  EXPECT_EQ(ops.code, 0);
  EXPECT_TRUE(has(ops.out, "softmax(x, axis=-1)\n")) << ops.out;
  EXPECT_TRUE(has(run("ops softmax").out, "attribute   axis: int = -1")) << run("ops softmax").out;
  EXPECT_TRUE(has(run("ops amax").out, "max(x, ")) << run("ops amax").out;
  EXPECT_TRUE(has(run("ops max").out, "also        amax\n")) << run("ops max").out;
  EXPECT_TRUE(has(run("ops max_pool2d").out, "outputs     y\n")) << run("ops max_pool2d").out;
  const Outcome devices = run("devices");
  EXPECT_EQ(devices.code, 0) << devices.error;
  EXPECT_TRUE(has(devices.out, "threads           1: set by TAPER_THREADS")) << devices.out;
  EXPECT_TRUE(has(devices.out, "oneDNN")) << devices.out;
  EXPECT_TRUE(has(run("bench").out, "lenet_train")) << run("bench").out;
}

TEST_F(Command, SpeaksToProgramsInJson) {
  const Value ops = parse_json(run("ops --json").out);
  ASSERT_TRUE(ops.is_list());
  EXPECT_GT(ops.size(), 100u);
  const Value softmax = parse_json(run("ops softmax --json").out);
  EXPECT_EQ(*softmax.find("signature"), Value("softmax(x, axis=-1)"));
  EXPECT_EQ(*parse_json(run("ops layer_norm --json").out).find("signature"),
            Value("layer_norm(x, normalized_shape, weight?, bias?, eps=1e-05)"));
  EXPECT_EQ(*softmax.find("attributes")->get_if<Value::List>()->at(0).find("default"), Value(-1));
  const Value devices = parse_json(run("devices --json").out);
  EXPECT_EQ(*devices.find("threads"), Value(1));
  const Outcome trained = train("--out run --json --metrics f1");
  EXPECT_EQ(trained.code, 0) << trained.error;
  EXPECT_EQ(trained.error, "");
  const Value result = parse_json(trained.out);  // nothing else was printed
  EXPECT_EQ(*result.find("out"), Value("run"));
  EXPECT_EQ(*result.find("state"), Value("finished"));
  EXPECT_EQ(*result.find("epochs"), Value(2));
  EXPECT_TRUE(result.find("metrics")->find("f1") != nullptr) << trained.out;
  EXPECT_EQ(run("train --resume --out run --json").out, trained.out);
  const Value report = parse_json(run("report run --json").out);
  EXPECT_EQ(*report.find("report"), Value("run/report.html"));
  EXPECT_EQ(parse_json(run("summary run --json").out).find("parameters")->print(), "7850");
}

TEST_F(Command, LetsTheRateFallAtTheEndOfShortRuns) {
  ASSERT_EQ(train("--lr 0.5 --out run").code, 0);
  const Value history = parse_json(content_of(folder_ / "run" / "history.json"));
  EXPECT_EQ(*history.find("learning_rate"), Value(Value::Reals{0.5, 0.25}));
  EXPECT_TRUE(has(run("train mnist --model logistic --epochs 1 --data-dir mnist --out one").out,
                  "lr 0.001 constant"));
}

}  // namespace
}  // namespace taper

#include <taper/train/run_fit.h>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include <taper/core/warning.h>
#include <taper/io/sha256.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/optimizers.h>
#include <taper/train/callbacks/stopping.h>
#include <taper/train/fit/signals.h>
#include <taper/train/runs/checkpoint.h>
#include <taper/train/runs/run.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::error_of;
using testing::TemporaryFolder;

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// Pictures of two classes, the second one brighter.
data::TensorDataset pictures(int64_t count, uint64_t seed) {
  Generator generator(seed);
  const Tensor noise = uniform({count, 1, 6, 6}, 0, 100, DType::f32, &generator);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back(i % 2);
  const Tensor y = from_values<int64_t>({count}, labels);
  const Tensor pixels = astype(noise + reshape(y, {count, 1, 1, 1}) * 100, DType::u8);
  return data::TensorDataset({{pixels, {.scale = 1 / 255.f}}, y},
                             {.class_names = {"dark", "bright"}});
}

Trainer new_trainer() {
  manual_seed(5);
  return {nn::Sequential{nn::Flatten(), nn::Linear(36, 2)},
          {.loss = nn::CrossEntropyLoss(),
           .optimizer = optim::Adam(optim::AdamOptions{.lr = 0.01}),
           .metrics = {"accuracy"}}};
}

TEST(RunFit, LeavesTheRunFolderOfTheCommand) {
  const TemporaryFolder folder;
  Trainer trainer = new_trainer();
  const History history = trainer.fit(
      pictures(40, 1),
      {.epochs = 3,
       .batch_size = 8,
       .verbose = false,
       .run = folder / "mine",
       .run_details = {.model = "net", .data = "pictures", .test_data = pictures(20, 2)}});
  EXPECT_EQ(history.epochs(), 3u);
  for (const char* name : {"run.json", "model.safetensors", "model.json", "history.json",
                           "report.json", "report.html", "figures/curve-loss.svg", "logs/train"}) {
    EXPECT_TRUE(fs::exists(folder / "mine" / name)) << name;
  }
  EXPECT_FALSE(CheckpointFolder(folder / "mine" / "checkpoints").empty());
  const auto manifest = read_run_manifest(folder / "mine");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->state, RunState::finished);
  EXPECT_EQ(manifest->exported_epoch, 3);
  EXPECT_EQ(manifest->exported_step, 15);
  EXPECT_EQ(manifest->model_sha256, sha256_file(folder / "mine" / "model.safetensors"));
  const SavedModel saved = load_model(folder / "mine");
  EXPECT_EQ(saved.info.class_names, (std::vector<std::string>{"dark", "bright"}));
  EXPECT_EQ(saved.info.outputs, (OutputMeaning{Task::classes, OutputScale::logits}));
  EXPECT_EQ(static_cast<float>(saved.info.input_scale), 1 / 255.f);
  const RunReport report = read_run_report(folder / "mine");
  EXPECT_EQ(report.part, "test");
  EXPECT_EQ(report.test_accuracy, trainer.evaluate(pictures(20, 2))["accuracy"]);
  EXPECT_EQ(read_history(folder / "mine")["loss"], history["loss"]);
}

TEST(RunFit, WithoutTestDataIsMeasuredOnTheValidationPart) {
  const TemporaryFolder folder;
  Trainer trainer = new_trainer();
  trainer.fit(pictures(40, 1),
              {.validation_split = 0.25, .verbose = false, .run = folder / "mine"});
  const RunReport report = read_run_report(folder / "mine");
  EXPECT_EQ(report.part, "validation");
  EXPECT_FALSE(report.test_accuracy);
  EXPECT_TRUE(has(content_of(folder / "mine" / "report.html"), "validation loss"));
  EXPECT_EQ(report.loss, trainer.evaluate(data::split(pictures(40, 1), 0.25).validation).loss);
}

TEST(RunFit, OfARegressionHasNoAccuracy) {
  const TemporaryFolder folder;
  const data::TensorDataset line({ones({6, 3}), zeros({6, 1})});
  Trainer trainer(nn::Linear(3, 1), {.loss = nn::MSELoss(), .optimizer = optim::SGD()});
  trainer.fit(line, {.verbose = false, .run = folder / "mine", .run_details = {.test_data = line}});
  const RunReport report = read_run_report(folder / "mine");
  EXPECT_TRUE(report.test_loss);
  EXPECT_FALSE(report.test_accuracy);
  EXPECT_EQ(load_model(folder / "mine").info.outputs.task, Task::regression);
}

TEST(RunFit, KeepsTheLossWithItsOptions) {
  const TemporaryFolder folder;
  const data::TensorDataset line({ones({6, 3}), full({6, 1}, 9)});
  const auto info_of = [&](const nn::AnyLoss& loss, const char* name) {
    Trainer trainer(nn::Linear(3, 1), {.loss = loss, .optimizer = optim::SGD()});
    trainer.fit(line, {.verbose = false, .run = folder / name});
    return load_model(folder / name).info;
  };
  const ModelInfo huber = info_of(nn::HuberLoss({.delta = 0.5}), "huber");
  const auto made = nn::LossFactory::get(huber.loss, "loss").make(huber.loss_options);
  EXPECT_EQ(made.options(), nn::AnyLoss(nn::HuberLoss({.delta = 0.5})).options());
  // The root of a mean of squares is an error in the target's unit, that of their sum is not.
  ModelInfo mean = info_of(nn::MSELoss(), "mean");
  ModelInfo sum = info_of(nn::MSELoss({.reduction = Reduction::sum}), "sum");
  for (ModelInfo* info : {&mean, &sum}) {
    info->form.target = "price";
    info->form.target_deviation = 10;
  }
  EXPECT_EQ(error_in_own_scale(mean, 4), 20);
  EXPECT_FALSE(error_in_own_scale(sum, 4));
  // Older files do not say them.
  mean.loss_options.clear();
  EXPECT_EQ(error_in_own_scale(mean, 4), 20);
}

TEST(RunFit, GoesOnAsIfItHadNotBeenCut) {
  const TemporaryFolder folder;
  const auto fit = [&](const fs::path& run, int64_t epochs, RunFolderUse use, int64_t cut) {
    Trainer trainer = new_trainer();
    int64_t updates = 0;
    trainer.fit(pictures(40, 1), {.epochs = epochs,
                                  .batch_size = 8,
                                  .verbose = false,
                                  .run = run,
                                  .run_details = {.use = use},
                                  .interrupted = [&] { return ++updates == cut; }});
  };
  fit(folder / "whole", 3, RunFolderUse::fresh, 0);
  fit(folder / "cut", 3, RunFolderUse::fresh, 7);
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { load_model(folder / "cut"); }),
            (folder / "cut").string() +
                " holds no model yet: its training is not finished; "
                "--resume goes on with it");
  EXPECT_TRUE(has(error_of(ErrorKind::io, [&] { fit(folder / "cut", 3, RunFolderUse::fresh, 0); }),
                  "it holds a run already"));
  fit(folder / "cut", 3, RunFolderUse::resume, 0);
  EXPECT_EQ(content_of(folder / "cut" / "model.safetensors"),
            content_of(folder / "whole" / "model.safetensors"));
  EXPECT_EQ(read_run_manifest(folder / "cut")->exported_step, 15);
  // Complete: nothing is trained or written.
  const auto before = fs::last_write_time(folder / "cut" / "model.safetensors");
  fit(folder / "cut", 3, RunFolderUse::resume, 0);
  EXPECT_EQ(fs::last_write_time(folder / "cut" / "model.safetensors"), before);
  EXPECT_TRUE(
      has(error_of(ErrorKind::value, [&] { fit(folder / "cut", 2, RunFolderUse::resume, 0); }),
          "`epochs` is 2, but it has had 3"));
}

TEST(RunFit, BringsACompleteRunBack) {
  const TemporaryFolder folder;
  const auto fit = [&](Trainer& trainer, int64_t batch_size, RunFolderUse use) {
    return trainer.fit(pictures(40, 1), {.epochs = 3,
                                         .batch_size = batch_size,
                                         .verbose = false,
                                         .run = folder / "mine",
                                         .run_details = {.use = use}});
  };
  Trainer first = new_trainer();
  const History history = fit(first, 8, RunFolderUse::fresh);
  const double loss = first.evaluate(pictures(40, 1)).loss;
  const std::string before = content_of(folder / "mine" / "run.json");
  for (const bool has_checkpoints : {true, false}) {
    if (!has_checkpoints) fs::remove_all(folder / "mine" / "checkpoints");
    Trainer again = new_trainer();
    EXPECT_EQ(fit(again, 8, RunFolderUse::resume)["loss"], history["loss"]);
    EXPECT_EQ(again.evaluate(pictures(40, 1)).loss, loss);
    EXPECT_EQ(content_of(folder / "mine" / "run.json"), before);
    Trainer other(nn::Sequential{nn::Flatten(), nn::Linear(36, 3)},
                  {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam()});
    EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { fit(other, 8, RunFolderUse::resume); }),
                    "cannot go on"));
  }
}

TEST(RunFit, KnowsWhoseWeightsItHolds) {
  const TemporaryFolder folder;
  Trainer trainer = new_trainer();
  const auto best = std::make_shared<BestWeights>(
      BestWeightsOptions{.monitor = "epoch_seconds", .mode = MonitorMode::max});
  trainer.fit(pictures(40, 1), {.epochs = 3,
                                .batch_size = 8,
                                .verbose = false,
                                .callbacks = {best},
                                .run = folder / "mine"});
  const auto manifest = read_run_manifest(folder / "mine");
  EXPECT_EQ(manifest->exported_epoch, 3);
  EXPECT_EQ(manifest->weights_epoch, best->best_epoch() + 1);
}

TEST(RunFit, RefusesTwoPlacesForCheckpoints) {
  Trainer trainer = new_trainer();
  EXPECT_EQ(error_of(ErrorKind::value,
                     [&] {
                       trainer.fit(pictures(8, 1),
                                   {.checkpoint = CheckpointOptions{.folder = "a"}, .run = "b"});
                     }),
            "fit: give `checkpoint.folder` or `run`, not both");
  EXPECT_FALSE(fs::exists("b"));
}

TEST(RunFit, LeavesNothingIfTheFitIsRefused) {
  const TemporaryFolder folder;
  Trainer trainer(nn::Linear(7, 2), {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD()});
  EXPECT_THROW(trainer.fit(pictures(8, 1), {.run = folder / "deep" / "mine"}), Error);
  EXPECT_FALSE(fs::exists(folder / "deep"));
}

TEST(RunFit, OfAModelWithMoreInputsThanFieldsIsRefused) {
  const TemporaryFolder folder;
  const nn::Sequential net{nn::MultiheadAttention(4, 2), nn::Flatten(), nn::Linear(20, 2)};
  Trainer trainer(net, {.loss = nn::CrossEntropyLoss(), .optimizer = optim::Adam()});
  const data::TensorDataset two({zeros({8, 5, 4}), zeros({8}, DType::i64)});
  const std::string text = error_of(
      ErrorKind::value, [&] { trainer.fit(two, {.verbose = false, .run = folder / "run"}); });
  EXPECT_TRUE(has(text, "query, key, value")) << text;
}

TEST(RunFit, ChecksWhatComesAtItsEndBeforeItsFirstStep) {
  const TemporaryFolder folder;
  const auto refused = [&](RunDetails details, const char* why,
                           std::optional<data::AnyDataset> validation = {}) {
    Trainer trainer = new_trainer();
    const std::string text = error_of(ErrorKind::value, [&] {
      trainer.fit(pictures(40, 1), {.validation_data = std::move(validation),
                                    .verbose = false,
                                    .run = folder / "mine",
                                    .run_details = std::move(details)});
    });
    EXPECT_TRUE(has(text, why)) << text;
    EXPECT_FALSE(fs::exists(folder / "mine"));
  };
  const auto labels = [](int64_t a, int64_t b) {
    return from_values<int64_t>({2}, std::vector<int64_t>{a, b});
  };
  const data::Field scaled{zeros({2, 1, 6, 6}, DType::u8), {.scale = 1 / 255.f}};
  const data::TensorDataset exchanged({scaled, labels(0, 1)}, {.class_names = {"bright", "dark"}});
  refused({.test_data = data::TensorDataset({scaled, labels(0, 2)})}, "label 2");
  refused({.test_data = data::TensorDataset({zeros({2, 1, 6, 6}), labels(0, 1)})},
          "the inputs of the test dataset are multiplied by 1.0, those of the training data by");
  refused({.test_data = exchanged},
          "the classes of the test dataset are bright, dark, those of the training data dark, "
          "bright");
  refused({}, "the classes of the validation dataset are bright, dark", exchanged);
  refused({.test_data = data::Subset(pictures(4, 1), {})}, "the test dataset is empty");
  refused({.model = "gr\xfc\xdf"}, "is not UTF-8");
  refused({.files = {"../victim.txt"}}, "`files` names \"../victim.txt\"");
  const auto twice = [] {
    Trainer(nn::Linear(2, 2), {.loss = nn::CrossEntropyLoss(),
                               .optimizer = optim::SGD(),
                               .metrics = {"accuracy", "accuracy"}});
  };
  EXPECT_TRUE(has(error_of(ErrorKind::value, twice), "the metric `accuracy` is given twice"));
}

TEST(RunFit, NamesClassesAsTheTrainingDataDo) {
  const TemporaryFolder folder;
  Trainer trainer = new_trainer();
  const data::TensorDataset nameless({{zeros({2, 1, 6, 6}, DType::u8), {.scale = 1 / 255.f}},
                                      from_values<int64_t>({2}, std::vector<int64_t>{0, 1})});
  trainer.fit(pictures(40, 1),
              {.verbose = false, .run = folder / "mine", .run_details = {.test_data = nameless}});
  EXPECT_EQ(load_model(folder / "mine").info.class_names,
            (std::vector<std::string>{"dark", "bright"}));
}

TEST(RunFit, KeepsItsFolderAndItsLargestSeed) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::create_directory(folder / "a");
  fs::create_directory(folder / "b");
  fs::current_path(folder / "a");
  Trainer trainer = new_trainer();
  struct Moves final : Callback {
    fs::path to;
    void on_epoch_end(Trainer&, const Logs&) override { fs::current_path(to); }
  };
  const auto moves = std::make_shared<Moves>();
  moves->to = folder / "b";
  trainer.fit(pictures(40, 1),
              {.seed = UINT64_MAX, .verbose = false, .callbacks = {moves}, .run = "mine"});
  fs::current_path(before);
  EXPECT_FALSE(fs::exists(folder / "b" / "mine"));
  EXPECT_TRUE(fs::exists(folder / "a" / "mine" / "report.html"));
  EXPECT_FALSE(read_run_report(folder / "a" / "mine").seed);
  EXPECT_TRUE(has(content_of(folder / "a" / "mine" / "run.json"), "18446744073709551615"));
}

TEST(RunFit, WithoutCheckpointsIsComparedByItsManifest) {
  const TemporaryFolder folder;
  const auto fit = [&](int64_t batch_size, RunFolderUse use) {
    Trainer trainer = new_trainer();
    trainer.fit(pictures(40, 1), {.batch_size = batch_size,
                                  .verbose = false,
                                  .run = folder / "mine",
                                  .run_details = {.use = use}});
  };
  fit(8, RunFolderUse::fresh);
  fs::remove_all(folder / "mine" / "checkpoints");
  fit(8, RunFolderUse::resume);
  EXPECT_TRUE(has(error_of(ErrorKind::value, [&] { fit(4, RunFolderUse::resume); }),
                  "`batch_size` was 8, is 4"));
}

TEST(RunFit, IsKnownBeforeItHasBegun) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {  // dies before it begins
    RunFolder run(folder / "run", RunFolderUse::fresh);
    run.plan(7, {{"lr", Value(0.5)}}, Value("layers"));
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  const RunFolder run(folder / "run", RunFolderUse::resume);
  EXPECT_EQ(run.manifest().state, RunState::fresh);
  EXPECT_EQ(run.manifest().epochs, 7);
  EXPECT_EQ(run.manifest().options.at(0).second, Value(0.5));
}

TEST(Signals, AskAProgramToStop) {
  const pid_t child = fork();
  if (child == 0) {  // signals are caught for the whole process
    catch_signals();
    const bool before = stop_signal() == 0;
    std::raise(SIGTERM);
    std::raise(SIGTERM);  // within two seconds it is the same wish
    _exit(before && stop_signal() == SIGTERM ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(RunFit, EndsThoughItsTestDataCannotBeMeasured) {
  const TemporaryFolder folder;
  const data::TensorDataset line({ones({6, 3}), zeros({6, 1})});
  const data::TensorDataset far({ones({6, 3}), full({6, 1}, 1e25)});
  Trainer trainer(nn::Linear(3, 1), {.loss = nn::MSELoss(), .optimizer = optim::SGD()});
  std::vector<std::string> heard;
  const WarningHandler before =
      set_warning_handler([&](const std::string& text) { heard.push_back(text); });
  trainer.fit(line, {.verbose = false, .run = folder / "mine", .run_details = {.test_data = far}});
  set_warning_handler(before);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_TRUE(has(heard[0], "the test data cannot be measured, the training data are: "));
  const RunReport report = read_run_report(folder / "mine");
  EXPECT_EQ(report.part, "training");
  EXPECT_FALSE(report.test_loss);
  EXPECT_EQ(read_run_manifest(folder / "mine")->state, RunState::finished);
}

}  // namespace
}  // namespace taper

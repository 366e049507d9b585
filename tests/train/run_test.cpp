#include <taper/train/runs/run.h>

#include <gtest/gtest.h>

#include <algorithm>

#include <taper/io/safetensors.h>
#include <taper/nn/layers.h>
#include <taper/nn/models.h>
#include <taper/nn/sequential.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

const ModelInfo info{.name = "tiny",
                     .data = "mnist",
                     .inputs = {{.name = "x", .shape = {1, 2, 2}}},
                     .input_scale = 0.5,
                     .class_names = {"a", "b"}};

nn::Sequential tiny() {
  return nn::Sequential{nn::Flatten(), nn::Linear(4, 3), nn::ReLU(), nn::Linear(3, 2)};
}

Evaluation tiny_test() {
  Evaluation test;
  test.confusion.emplace(2);
  test.confusion->add(0, 0);
  test.confusion->add(1, 0);
  test.class_names = {"a", "b"};
  return test;
}

void save_tiny(const fs::path& folder, const nn::Sequential& model) {
  History history;
  history.append({{"loss", 0.5}, {"epoch_seconds", 1.25}});
  fs::create_directories(folder);
  save_run(folder, model, info, history,
           {.test_accuracy = 0.5, .epoch_seconds = {1.25}, .epochs = 1, .model = "tiny"},
           tiny_test());
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Models, AreKnownByName) {
  EXPECT_EQ(LibraryModel::get("convnet")().num_parameters(), 225034);
  EXPECT_EQ(LibraryModel::get("mlp")().num_parameters(), 535818);
  EXPECT_EQ(LibraryModel::get("logistic")().num_parameters(), 7850);
  EXPECT_EQ(LibraryModel::get("convnet")()(zeros({2, 1, 28, 28})).shape(), (Shape{2, 10}));
  EXPECT_EQ(error_of(ErrorKind::not_found, [] { LibraryModel::get("resnet"); }),
            "unknown model `resnet`; there are: convnet, linear, logistic, mlp");
}

TEST(Run, BringsTheModelBack) {
  const TemporaryFolder folder;
  const nn::Sequential model = tiny();
  save_tiny(folder / "run", model);
  EXPECT_EQ(
      names_in(folder / "run"),
      (std::vector<std::string>{"history.json", "model.json", "model.safetensors", "report.json"}));
  const SavedModel saved = load_model(folder / "run");
  const Tensor x = from_values<float>({1, 1, 2, 2}, std::vector<float>{1, -2, 3, 4});
  EXPECT_EQ(saved.model(x).to_vector<float>(), model(x).to_vector<float>());
  EXPECT_FALSE(saved.model.training());
  EXPECT_EQ(saved.info.name, "tiny");
  EXPECT_EQ(saved.info.data, "mnist");
  EXPECT_EQ(saved.info.input_shape(), info.input_shape());
  EXPECT_EQ(saved.info.input_scale, 0.5);
  EXPECT_EQ(saved.info.class_names, info.class_names);
}

TEST(Run, ReportsWhatWasAskedFor) {
  const TemporaryFolder folder;
  save_tiny(folder / "run", tiny());
  const Value report = parse_json(content_of(folder / "run" / "report.json"));
  EXPECT_EQ(*report.find("test_accuracy"), Value(0.5));
  EXPECT_EQ(*report.find("epoch_seconds"), Value(Value::Reals{1.25}));
  for (const char* key : {"macro_f1", "peak_memory_mb", "test_loss", "epochs", "batch_size", "lr",
                          "seed", "model", "data", "threads", "parameters"}) {
    EXPECT_NE(report.find(key), nullptr) << key;
  }
  const Value& first = (*report.find("classes")->get_if<Value::List>())[0];
  EXPECT_EQ(
      first,
      Value(Fields{
          {"name", "a"}, {"precision", 0.5}, {"recall", 1.0}, {"f1", 2.0 / 3}, {"support", 1}}));
  const Value history = parse_json(content_of(folder / "run" / "history.json"));
  EXPECT_EQ(*history.find("loss"), Value(Value::Reals{0.5}));
}

TEST(Run, ReplacesARunAndNothingElse) {
  const TemporaryFolder folder;
  save_tiny(folder / "run", tiny());
  const std::string before = content_of(folder / "run" / "model.safetensors");
  save_tiny(folder / "run", tiny());
  EXPECT_NE(content_of(folder / "run" / "model.safetensors"), before);
  EXPECT_EQ(names_in(folder / "run").size(), 4u);
}

TEST(Run, RefusesAFolderInThePlaceOfAFile) {
  const TemporaryFolder folder;
  save_tiny(folder / "run", tiny());
  const std::string before = content_of(folder / "run" / "model.safetensors");
  fs::remove(folder / "run" / "history.json");
  fs::create_directory(folder / "run" / "history.json");
  const std::string expected =
      "cannot write to " + (folder / "run").string() + ": history.json is a folder";
  EXPECT_EQ(
      error_of(ErrorKind::io, [&] { save_run(folder / "run", tiny(), info, {}, {}, tiny_test()); }),
      expected);
  EXPECT_EQ(content_of(folder / "run" / "model.safetensors"), before);
  EXPECT_EQ(names_in(folder / "run").size(), 4u);
}

TEST(Run, TakesWhatADeadProcessWasSaving) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "run" / ".taper-new");
  put(folder / "run" / ".taper-new" / "model.json", "{");
  save_tiny(folder / "run", tiny());
  EXPECT_EQ(names_in(folder / "run").size(), 4u);
}

TEST(Run, ClassesWithoutNamesAreNumbered) {
  Evaluation test = tiny_test();
  test.class_names = {"a"};
  EXPECT_NE(class_table(test).find("\n1     "), std::string::npos) << class_table(test);
  EXPECT_NE(to_string(test).find("confusion"), std::string::npos);
  const TemporaryFolder folder;
  fs::create_directory(folder / "run");
  save_run(folder / "run", tiny(), info, {}, {}, test);
  const Value report = parse_json(content_of(folder / "run" / "report.json"));
  EXPECT_EQ(*(*report.find("classes")->get_if<Value::List>())[1].find("name"), Value("1"));
}

TEST(Run, AFailedSaveLeavesTheFolderAsItWas) {
  const TemporaryFolder folder;
  save_tiny(folder / "run", tiny());
  const std::string before = content_of(folder / "run" / "model.safetensors");
  History bad;
  bad.append({{"loss", std::numeric_limits<double>::quiet_NaN()}});
  const std::string text = error_of(
      ErrorKind::value, [&] { save_run(folder / "run", tiny(), info, bad, {}, tiny_test()); });
  EXPECT_NE(text.find("history.json: json: nan"), text.npos) << text;
  EXPECT_EQ(content_of(folder / "run" / "model.safetensors"), before);
  EXPECT_EQ(names_in(folder / "run").size(), 4u);
}

/// What load_model says of a run whose model.json has `from` replaced by `to`.
std::string refusal(ErrorKind kind, const std::string& from, const std::string& to) {
  const TemporaryFolder folder;
  save_tiny(folder / "run", tiny());
  const fs::path path = folder / "run" / "model.json";
  std::string text = content_of(path);
  const size_t place = text.find(from);
  EXPECT_NE(place, text.npos) << text;
  put(path, text.replace(std::min(place, text.size()), from.size(), to));
  const std::string said = error_of(kind, [&] { load_model(folder / "run"); });
  EXPECT_TRUE(said.starts_with((folder / "run" / "model.").string())) << said;
  return said;
}

TEST(Run, ErrorsNameTheFileAndThePlace) {
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), text.npos) << text;
  };
  contains(refusal(ErrorKind::value, "taper-model", "other"), "`format` must be \"taper-model\"");
  contains(refusal(ErrorKind::unsupported, "\"version\": 1", "\"version\": 9"),
           "`version` must be 1, got 9");
  contains(refusal(ErrorKind::value, "{", ""), "model.json");
  contains(refusal(ErrorKind::value, "\"input_scale\": 0.5", "\"input_scale\": -1"),
           "`input_scale` must be above 0");
  contains(refusal(ErrorKind::value, "[1, 2, 2]", "[1, 1, 1, 1, 1, 1, 1, 1, 1]"),
           "`input_shape` must be at most 8 sizes of at least 0");
  contains(refusal(ErrorKind::value, "[1, 2, 2]", "[1, -2, 2]"), "got [1, -2, 2]");
  contains(refusal(ErrorKind::value, "\"data\"", "\"colour\""), "no attribute `colour`");
  contains(refusal(ErrorKind::not_found, "\"ReLU\"", "\"RuLE\""), "unknown module `RuLE`");
  contains(refusal(ErrorKind::shape, "\"in_features\": 4", "\"in_features\": 5"),
           "model.safetensors: load_state_dict: 1.weight is f32[3,5] in the module");
}

TEST(Run, MissingFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { load_model(folder / "none"); }),
            (folder / "none").string() + " is no folder with a saved model");
  const std::string text = error_of(ErrorKind::io, [&] { load_model(folder.path()); });
  EXPECT_NE(text.find("model.json"), text.npos) << text;
}

TEST(Save, ModulesComeBackFromSafetensors) {
  const TemporaryFolder folder;
  const nn::Sequential model = tiny();
  save(model, folder / "m.safetensors");
  nn::Sequential other = tiny();
  load(other, folder / "m.safetensors");
  EXPECT_EQ(other.parameters()[0].value().to_vector<float>(),
            model.parameters()[0].value().to_vector<float>());
  nn::Sequential wrong{nn::Linear(4, 3)};
  const std::string text =
      error_of(ErrorKind::not_found, [&] { load(wrong, folder / "m.safetensors"); });
  EXPECT_TRUE(text.starts_with((folder / "m.safetensors").string() + ": load_state_dict: missing"))
      << text;
}

/// A module that no registry knows.
struct Own : nn::Layer<Own> {
  nn::Linear inner = child("inner", nn::Linear(2, 3));
  Tensor forward(const Tensor& x) const { return inner(x); }
};

TEST(Run, KeepsTheValuesOfAModuleOfYourOwn) {
  const TemporaryFolder folder;
  const Own own;
  save_run(folder.path(), own, info, {}, {}, tiny_test());
  Own other;
  load(other, folder / "model.safetensors");
  EXPECT_EQ(other.inner.weight.value().to_vector<float>(),
            own.inner.weight.value().to_vector<float>());
  const std::string text = error_of(ErrorKind::unsupported, [&] { load_model(folder.path()); });
  EXPECT_NE(text.find("model.json: does not describe the layers: the model is a module of its "
                      "author's own"),
            text.npos)
      << text;
}

}  // namespace
}  // namespace taper

#include <taper/train/runs/run.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <system_error>

#include <taper/core/error.h>
#include <taper/core/fields.h>
#include <taper/core/parse_fields.h>
#include <taper/io/files.h>
#include <taper/io/safetensors.h>
#include <taper/nn/init.h>
#include <taper/train/batch/weighting.h>
#include <taper/train/runs/run_folder.h>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr const char* format_name = "taper-model";
constexpr int64_t format_version = 1;
constexpr size_t largest_json = size_t{16} << 20;
constexpr const char* staging_name = ".taper-new";

/// model.json, in the order of its keys.
struct ModelFile {
  Required<std::string> format;
  Required<int64_t> version;
  std::string name;
  std::string data;
  std::vector<int64_t> input_shape = {};  // of the first input, all that older files say
  std::vector<Fields> inputs = {};        // an InputFields each
  double input_scale = 1;
  std::vector<std::string> class_names = {};
  std::string loss = "CrossEntropyLoss";  // as of files that do not say it
  Task task = Task::classes;
  OutputScale outputs = OutputScale::logits;
  Fields form = {};          // a data::DataForm
  Fields loss_options = {};  // older files do not say them
};

/// A ModelInput, in the order of its keys.
struct InputFields {
  std::string name = {};
  std::vector<int64_t> shape = {};
  std::string dtype = "f32";
};

[[noreturn]] void rethrow_with_path(const Error& error, const fs::path& path) {
  throw Error(error.kind(), path.string() + ": " + error.what(), error.op(), error.layer());
}

/// Runs `action`; its errors name the file.
template <class Action>
auto about(const fs::path& path, Action&& action) {
  try {
    return action();
  } catch (const Error& error) {
    rethrow_with_path(error, path);
  }
}

std::vector<Fields> write_inputs(const ModelInfo& info) {
  std::vector<Fields> inputs;
  for (const ModelInput& input : info.inputs) {
    const std::string dtype(dtype_name(input.dtype));
    inputs.push_back(to_fields(InputFields{input.name, input.shape, dtype}));
  }
  return inputs;
}

Value model_to_value(const nn::AnyModule& model, const ModelInfo& info) {
  Fields fields = to_fields(ModelFile{format_name, format_version, info.name, info.data,
                                      info.input_shape(), write_inputs(info), info.input_scale,
                                      info.class_names, info.loss, info.outputs.task,
                                      info.outputs.scale, to_fields(info.form), info.loss_options});
  fields.emplace_back("model", model.is_described() ? model.config() : Value());
  return Value(std::move(fields));
}

/// With what its readers find in it besides the fields of a RunReport.
Value report_to_value(const ModelInfo& info, const RunReport& report, const Evaluation& test) {
  Fields fields = to_fields(report);
  if (const auto error = error_in_own_scale(info, report.loss)) {
    fields.emplace_back("rmse", Value(*error));
  }
  Value::List classes;
  const auto scores = test.confusion ? test.confusion->scores() : std::vector<ClassScores>();
  for (size_t i = 0; i < scores.size(); ++i) {
    classes.push_back(Value(Fields{{"name", Value(class_name(test, i))},
                                   {"precision", Value(scores[i].precision)},
                                   {"recall", Value(scores[i].recall)},
                                   {"f1", Value(scores[i].f1)},
                                   {"support", Value(scores[i].support)}}));
  }
  Fields metrics;
  for (const auto& [name, value] : test.metrics) metrics.emplace_back(name, Value(value));
  fields.emplace_back("metrics", Value(std::move(metrics)));
  fields.emplace_back("classes", Value(std::move(classes)));
  return Value(std::move(fields));
}

void write_json(const fs::path& path, const Value& value) {
  const std::string text = about(path, [&] { return to_json(value); });
  write_file_atomically(path, text + "\n");
}

void check_sizes(const char* what, const std::vector<int64_t>& sizes) {
  const bool negative = std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; });
  if (negative || sizes.size() > Shape::max_rank) {
    fail(ErrorKind::value, "`" + std::string(what) + "` must be at most " +
                               std::to_string(Shape::max_rank) + " sizes of at least 0, got " +
                               Value(sizes).print());
  }
}

void check_model_file(const ModelFile& file) {
  if (!std::isfinite(file.input_scale) || file.input_scale <= 0) {
    fail(ErrorKind::value, "`input_scale` must be above 0, got " + print_real(file.input_scale));
  }
  check_sizes("input_shape", file.input_shape);
}

std::vector<ModelInput> read_inputs(const ModelFile& file) {
  if (file.inputs.empty()) return {{.name = "x", .shape = file.input_shape}};
  std::vector<ModelInput> inputs;
  for (const Fields& fields : file.inputs) {
    const auto known = parse_fields<InputFields>("inputs", fields);
    check_sizes("shape", known.shape);
    inputs.push_back({known.name, known.shape, parse_dtype(known.dtype)});
  }
  return inputs;
}

/// Throws value for a form that fits no inputs.
data::DataForm read_form(const Fields& fields) {
  auto form = parse_fields<data::DataForm>("form", fields);
  const bool fits = form.mean.size() == form.columns.size() &&
                    form.deviation.size() == form.columns.size() &&
                    (form.picture.empty() || form.picture.size() == 3);
  const auto is_bad = [](double value) { return !std::isfinite(value) || value == 0; };
  if (!fits || std::ranges::any_of(form.deviation, is_bad) || is_bad(form.target_deviation)) {
    fail(ErrorKind::value, "`form` does not fit together");
  }
  return form;
}

/// Splits model.json into what is known of the model and the description of its layers.
std::pair<ModelInfo, Value> read_model_file(const Value& content) {
  if (content.get_if<Fields>() == nullptr) fail(ErrorKind::value, "must hold an object");
  const Value* format = content.find("format");
  if (format == nullptr || *format != Value(format_name)) {
    fail(ErrorKind::value,
         std::string("is no model of Taper: `format` must be \"") + format_name + "\"");
  }
  const Value* version = content.find("version");
  if (version == nullptr || *version != Value(format_version)) {
    fail(ErrorKind::unsupported,
         "`version` must be 1, got " + (version != nullptr ? version->print() : "nothing"));
  }
  Fields known;
  Value layers;
  for (const auto& [name, value] : *content.get_if<Fields>()) {
    if (name == "model") {
      layers = value;
    } else {
      known.emplace_back(name, value);
    }
  }
  if (content.find("model") == nullptr) fail(ErrorKind::value, "`model` is missing");
  if (layers.is_none()) {
    fail(ErrorKind::unsupported,
         "does not describe the layers: the model is a module of its author's own, of which only "
         "the values are saved; load model.safetensors into that module");
  }
  ModelFile file = parse_fields<ModelFile>("model.json", known);
  check_model_file(file);
  return {ModelInfo{file.name,
                    file.data,
                    read_inputs(file),
                    file.input_scale,
                    file.class_names,
                    file.loss,
                    file.loss_options,
                    {file.task, file.outputs},
                    read_form(file.form)},
          std::move(layers)};
}

[[noreturn]] void fail_folder(const fs::path& folder, const std::string& why) {
  const std::string name = folder.empty() ? "the empty path" : folder.string();
  fail(ErrorKind::io, "cannot write to " + name + ": " + why);
}

/// Throws if a file of a run could not be put there.
void check_places(const fs::path& folder) {
  std::error_code ignored;
  for (const std::string_view name : run_files) {
    if (fs::is_directory(fs::symlink_status(folder / name, ignored))) {
      fail_folder(folder, std::string(name) + " is a folder");
    }
  }
}

void remove_staged(const fs::path& staging) {
  std::error_code ignored;
  for (const std::string_view name : run_files) fs::remove(staging / name, ignored);
  remove_cut_files(staging);
  fs::remove(staging, ignored);
}

/// Moves the finished files to their places; nothing is expected to fail here.
void put_in_place(const fs::path& staging, const fs::path& folder) {
  check_places(folder);
  for (const std::string_view name : run_files) fs::rename(staging / name, folder / name);
  fs::remove(staging);
}

}  // namespace

void save(const nn::Module& module, const fs::path& path) {
  save_safetensors(path, module.state_dict(), {{"format", "pt"}});
}

void load(nn::Module module, const fs::path& path) {
  const SafeTensors file = load_safetensors(path);
  about(path, [&] { module.load_state_dict(file.tensors); });
}

std::optional<double> error_in_own_scale(const ModelInfo& info, double loss) {
  const bool is_standardised = !info.form.target.empty() && info.form.class_names.empty();
  const nn::LossFactory* entry = nn::LossFactory::find(info.loss);
  if (!is_standardised || entry == nullptr) return {};
  const nn::AnyLoss made = entry->make(info.loss_options);
  const std::optional<nn::LossMeaning> meaning = made.meaning();
  const bool is_mean = meaning && meaning->mean_of_squares && reduction_of(made) == Reduction::mean;
  if (!is_mean) return {};
  return std::sqrt(loss) * info.form.target_deviation;
}

void check_can_be_saved(const nn::AnyModule& model, const ModelInfo& info) {
  const Value content = parse_json(to_json(model_to_value(model, info)));
  if (model.is_described()) read_model_file(content);
  if (!info.form.source.empty()) data::DataSource::get(info.form.source);
}

void save_run(const fs::path& folder, const nn::AnyModule& model, const ModelInfo& info,
              const History& history, const RunReport& report, const Evaluation& test) {
  const fs::path staging = folder / staging_name;
  try {
    remove_staged(staging);  // that of a process that died
    fs::create_directory(staging);
    save(model, staging / "model.safetensors");
    write_json(staging / "model.json", model_to_value(model, info));
    write_json(staging / "history.json", history.to_value());
    write_json(staging / "report.json", report_to_value(info, report, test));
    put_in_place(staging, folder);
  } catch (const fs::filesystem_error& error) {
    remove_staged(staging);
    fail_folder(folder, error.code().message());
  } catch (...) {
    remove_staged(staging);
    throw;
  }
}

History read_history(const fs::path& folder) {
  const fs::path path = folder / "history.json";
  const std::string text = read_file(path, largest_json);
  return about(path, [&] { return History::from_value(parse_json(text)); });
}

RunReport read_run_report(const fs::path& folder) {
  const fs::path path = folder / "report.json";
  const std::string text = read_file(path, largest_json);
  return about(path, [&] {
    const Value content = parse_json(text);
    const Fields* all = content.get_if<Fields>();
    if (all == nullptr) fail(ErrorKind::value, "must hold an object");
    Fields known;
    for (const auto& field : *all) {
      const bool is_other =
          field.first == "classes" || field.first == "metrics" || field.first == "rmse";
      if (!is_other) known.push_back(field);
    }
    return parse_fields<RunReport>("report.json", known);
  });
}

nn::AnyModule load_architecture(const fs::path& path) {
  const std::string text = read_file(path, largest_json);
  return about(path, [&] {
    const Value content = parse_json(text);
    const bool whole = content.find("format") != nullptr;
    return nn::module_from_config(whole ? read_model_file(content).second : content);
  });
}

namespace {

/// Throws unless the folder's model is the one that its manifest tells of; a run of an older Taper
/// has none.
void check_exported(const fs::path& folder) {
  const std::optional<RunManifest> run = read_run_manifest(folder);
  if (!run) return;
  if (run->model_sha256.empty()) {
    fail(ErrorKind::not_found, folder.string() +
                                   " holds no model yet: its training is not finished; "
                                   "--resume goes on with it");
  }
  try {
    for (const std::string_view name : run_files) check_digest(folder, *run, name);
  } catch (const Error&) {
    const FolderLock lock(folder);
    if (lock) throw;
    throw FolderTaken(ErrorKind::io, "another process trains in " + folder.string() +
                                         " and is about to save; try again");
  }
}

}  // namespace

SavedModel load_model(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    fail(ErrorKind::not_found, folder.string() + " is no folder with a saved model");
  }
  check_exported(folder);
  const fs::path description = folder / "model.json";
  const std::string text = read_file(description, largest_json);
  auto [info, layers] = about(description, [&] { return read_model_file(parse_json(text)); });
  nn::AnyModule model = about(description, [&] {
    const nn::UninitialisedScope loaded_next;  // a hostile size must not fill memory
    return nn::module_from_config(layers);
  });
  load(model, folder / "model.safetensors");
  model.eval();
  return {std::move(model), std::move(info)};
}

double peak_memory_mb() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace taper

// taper report DIR: writes the report of a run again.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include <taper/core/value.h>
#include <taper/train/report/report.h>
#include <taper/train/runs/run_folder.h>

#include "commands.h"
#include "tested_run.h"

namespace taper::cli {
namespace {

void report(const std::filesystem::path& path, const DataPlace& place, bool json) {
  const TestedRun run = load_tested_run(path, "", place);  // before the folder is taken
  if (!read_run_manifest(path)) {
    fail(ErrorKind::not_found, path.string() + " has no run.json: an older Taper made it");
  }
  RunFolder folder(path, RunFolderUse::resume);
  WrittenReport written = write_report(path,
                                       {.model = run.saved.model,
                                        .info = run.saved.info,
                                        .history = read_history(path),
                                        .run = read_run_report(path),
                                        .test = run.trainer.evaluate(run.data),
                                        .data = run.data},
                                       folder.reports());
  if (!written.remark.empty()) fail(ErrorKind::io, written.remark);
  folder.reported(written.files);
  const std::string page = (path / "report.html").string();
  if (!json) {
    std::cout << "report " << printable(page) << std::endl;
    return;
  }
  const Value::List files(written.files.begin(), written.files.end());
  std::cout << to_json(Value(Fields{{"report", Value(page)}, {"files", Value(files)}}))
            << std::endl;
}

}  // namespace

void add_report(CLI::App& app) {
  struct Arguments {
    std::string folder;
    DataPlace place;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("report", "Write the report of a run folder again");
  offer_run_folders(command->add_option("DIR", arguments->folder, "The run folder")
                        ->required()
                        ->check(some_text()));
  command
      ->add_option("DATA", arguments->place.data,
                   "Where the data of the run are now, if they were moved")
      ->check(file_name());
  command
      ->add_option("--data-dir", arguments->place.folder,
                   "Where the files of a named dataset are now, if they were moved")
      ->check(some_text());
  command->add_flag("--json", arguments->json, "Print an object for programs");
  command->callback([arguments] { report(arguments->folder, arguments->place, arguments->json); });
}

}  // namespace taper::cli

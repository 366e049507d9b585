#include <taper/train/callbacks.h>

#include <filesystem>
#include <system_error>

#include <taper/core/error.h>

namespace taper {

CSVLogger::CSVLogger(CSVLoggerOptions options) : options_(std::move(options)) {
  check_required(type_name, options_);
}

void CSVLogger::check() const {
  if (!file_) fail(ErrorKind::io, "CSVLogger: cannot write " + options_.path.value());
}

void CSVLogger::on_train_begin(Trainer&) {
  const std::filesystem::path path = options_.path.value();
  std::error_code none;
  header_written_ = options_.append && std::filesystem::file_size(path, none) > 0 && !none;
  file_ = std::ofstream(path, options_.append ? std::ios::app : std::ios::trunc);
  check();
}

void CSVLogger::on_epoch_end(Trainer&, const Logs& logs) {
  if (!header_written_) {
    file_ << "epoch";
    for (const auto& [name, value] : logs.values) file_ << ',' << name;
    file_ << '\n';
    header_written_ = true;
  }
  file_ << logs.epoch + 1;
  for (const auto& [name, value] : logs.values) file_ << ',' << print_real(value);
  file_ << std::endl;
  check();
}

void CSVLogger::on_train_end(Trainer&) { file_.close(); }

namespace {

const FactoryFor<Callback, CSVLogger, CSVLoggerOptions> csv_logger_entry{
    CSVLogger::type_name, "Writes a row of numbers for each epoch to a CSV file."};

}  // namespace
}  // namespace taper

#include <taper/train/callbacks/csv_logger.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/train/callbacks/log_file.h>

namespace taper {

void CSVLogger::check() const {
  if (!file_) fail(ErrorKind::io, "CSVLogger: cannot write " + options().path.value());
}

void CSVLogger::on_train_begin(Trainer&) {
  const std::filesystem::path path = options().path.value();
  const bool resumed = this->resumed();
  const bool keep = options().append || resumed;
  std::error_code error;
  auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error) size = 0;
  if (resumed && size > memory_.bytes) {
    size = memory_.bytes;
    std::filesystem::resize_file(path, static_cast<uintmax_t>(size), error);
    if (error) file_.setstate(std::ios::failbit);
    check();
  }
  // Of a file that is shorter than it was, only what this training wrote is known.
  const bool lost = resumed && size < memory_.bytes;
  const bool whole = keep && !(lost && !options().append);
  header_written_ = whole && size > 0;
  file_ = std::ofstream(path, whole ? std::ios::app : std::ios::trunc);
  check();
  memory_.bytes = whole ? size : 0;
  const std::string text = std::exchange(memory_.text, {});
  if (lost) {
    header_written_ = !text.empty();
    write(text);
  } else if (resumed) {
    memory_.text = text;
  }
}

void CSVLogger::write(const std::string& text) {
  file_ << text << std::flush;
  check();
  memory_.text += text;
  memory_.bytes = static_cast<int64_t>(file_.tellp());
}

void CSVLogger::on_epoch_end(Trainer&, const Logs& logs) {
  if (!file_.is_open()) return;
  if (!write_or_warn([&] { write_epoch(logs); })) file_.close();
}

void CSVLogger::write_epoch(const Logs& logs) {
  std::string text;
  if (!header_written_) {
    text = "epoch";
    for (const auto& [name, value] : logs.values) text += "," + name;
    text += '\n';
    header_written_ = true;
  }
  text += std::to_string(logs.epoch + 1);
  for (const auto& [name, value] : logs.values) text += "," + print_real(value);
  write(text + "\n");
}

void CSVLogger::on_train_end(Trainer&) { file_.close(); }

CallbackState CSVLogger::state() const { return {.values = to_fields(memory_), .tensors = {}}; }

void CSVLogger::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
}

}  // namespace taper

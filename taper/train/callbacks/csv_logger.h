#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include <taper/train/fit/callback.h>

namespace taper {

struct TAPER_API CSVLoggerOptions {
  Required<std::string> path;
  bool append = false;
};
/// Writes a table with a row for each epoch: `epoch` and all numbers of the history. A resumed
/// training cuts the rows that were written after its checkpoint, writes those again that were
/// lost, and goes on.
class TAPER_API CSVLogger final : public WithOptions<CSVLogger, Callback, CSVLoggerOptions> {
 public:
  using WithOptions::WithOptions;
  /// Opens the file. Throws io. Later on it is warned of, and nothing more is written.
  void on_train_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_train_end(Trainer& trainer) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

 private:
  struct Memory {
    int64_t bytes = 0;      // of the file
    std::string text = {};  // what this training wrote of it
  };
  void check() const;
  void write(const std::string& text);
  void write_epoch(const Logs& logs);

  std::ofstream file_;
  bool header_written_ = false;
  Memory memory_;  // how far the file is written
};

}  // namespace taper

TAPER_CALLBACK(CSVLogger, "Writes a row of numbers for each epoch to a CSV file.")

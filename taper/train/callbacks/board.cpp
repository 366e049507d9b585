#include <taper/train/callbacks/board.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/ops/ops.h>
#include <taper/train/callbacks/log_file.h>
#include <taper/train/fit/monitor.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/report/mosaic.h>

namespace taper {
namespace {

constexpr int64_t most_filters = 64;
constexpr int64_t filter_zoom = 8;

/// True for weights that are pictures: [N,1,H,W] or [N,3,H,W] with more than one pixel.
bool can_be_seen(const Tensor& weight) {
  return weight.rank() == 4 && (weight.size(1) == 1 || weight.size(1) == 3) && weight.numel() > 0 &&
         weight.size(2) * weight.size(3) > 1 && weight.size(2) * weight.size(3) <= 1024;
}

/// The filters beside each other in about a square, with a black line between them.
Tensor picture_of_filters(const Tensor& weight) {
  const int64_t count = std::min(weight.size(0), most_filters);
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  return mosaic(slice(weight, 0, 0, count), columns, filter_zoom, 0);
}

}  // namespace

TensorBoard::TensorBoard(TensorBoardOptions options, Clock clock)
    : WithOptions(std::move(options)), clock_(std::move(clock)) {
  if (clock_) return;
  clock_ = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  };
}

std::unique_ptr<EventWriter> TensorBoard::open(const char* run, int64_t first_step) const {
  const double now = clock_();
  auto writer =
      std::make_unique<EventWriter>(std::filesystem::path(options().log_dir.value()) / run, now);
  if (hide_later_) writer->start_session(first_step, now);
  return writer;
}

void TensorBoard::on_train_begin(Trainer& trainer) {
  hide_later_ = resumed();
  if (!hide_later_) memory_ = {};
  first_epoch_ = memory_.epochs;
  last_steps_ = clock_();
  train_ = open("train", first_epoch_);
  const auto is_there = [&](const char* run) {
    std::error_code none;
    return std::filesystem::exists(std::filesystem::path(options().log_dir.value()) / run, none);
  };
  if (hide_later_ && is_there("validation")) validation_ = open("validation", first_epoch_);
  if (validation_) validation_->flush();
  if (hide_later_ && is_there("steps")) steps_ = open("steps", memory_.steps + 1);
  if (steps_) steps_->flush();
  if (options().graph && !hide_later_) {
    const Graph* graph = trainer.graph();
    train_->graph(graph != nullptr ? graph_of(*graph, trainer.model()) : graph_of(trainer.model()),
                  clock_());
  }
  train_->flush();
}

void TensorBoard::write_numbers(const Logs& logs, double now) {
  for (const auto& [name, value] : logs.values) {
    const bool of_validation = name.starts_with(validation_prefix);
    if (of_validation && !validation_) validation_ = open("validation", first_epoch_);
    EventWriter& writer = of_validation ? *validation_ : *train_;
    const std::string bare = of_validation ? name.substr(validation_prefix.size()) : name;
    writer.scalar(bare.starts_with("epoch_") ? bare : "epoch_" + bare, logs.epoch, value, now);
  }
}

void TensorBoard::write_parameters(const Trainer& trainer, int64_t epoch, double now) {
  const auto is_due = [&](int64_t every) { return every > 0 && epoch % every == 0; };
  for (const auto& [path, cell] : trainer.model().named_parameters()) {
    const Tensor value = cell.value().detach();
    if (is_due(options().histograms)) train_->histogram(event_path(path), epoch, value, now);
    if (is_due(options().images) && can_be_seen(value)) {
      train_->image(event_path(path), epoch, picture_of_filters(value), now);
    }
  }
}

void TensorBoard::on_batch_end(Trainer& trainer, const Logs& logs) {
  if (!train_ || options().seconds == 0) return;
  const double now = clock_();
  if (now - last_steps_ < options().seconds) return;
  last_steps_ = now;
  if (!write_or_warn([&] { write_steps(logs, now); })) on_train_end(trainer);
}

void TensorBoard::write_steps(const Logs& logs, double now) {
  if (!steps_) steps_ = open("steps", memory_.steps + 1);
  for (const auto& [name, value] : logs.values) {
    steps_->scalar("batch_" + name, logs.total_step, value, now);
  }
  steps_->flush();
  memory_.steps = logs.total_step;
}

void TensorBoard::on_epoch_end(Trainer& trainer, const Logs& logs) {
  if (!train_) return;
  if (!write_or_warn([&] { write_epoch(trainer, logs); })) on_train_end(trainer);
}

void TensorBoard::write_epoch(const Trainer& trainer, const Logs& logs) {
  const double now = clock_();
  write_numbers(logs, now);
  write_parameters(trainer, logs.epoch, now);
  train_->flush();
  if (validation_) validation_->flush();
  memory_.epochs = logs.epoch + 1;
}

void TensorBoard::on_train_end(Trainer&) {
  train_.reset();
  validation_.reset();
  steps_.reset();
}

CallbackState TensorBoard::state() const { return {.values = to_fields(memory_), .tensors = {}}; }

void TensorBoard::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
}

}  // namespace taper

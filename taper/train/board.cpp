#include <taper/train/board.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/train/log_file.h>
#include <taper/train/monitor.h>
#include <taper/train/trainer.h>

namespace taper {
namespace {

constexpr std::string_view validation_prefix = "val_";
constexpr int64_t most_filters = 64;
constexpr int64_t filter_zoom = 8;

std::string with_slashes(std::string path) {
  std::ranges::replace(path, '.', '/');
  return path;
}

/// True for weights that are pictures: [N,1,H,W] or [N,3,H,W] with more than one pixel.
bool can_be_seen(const Tensor& weight) {
  return weight.rank() == 4 && (weight.size(1) == 1 || weight.size(1) == 3) && weight.numel() > 0 &&
         weight.size(2) * weight.size(3) > 1 && weight.size(2) * weight.size(3) <= 1024;
}

/// The filters beside each other in about a square, with a black line between them.
Tensor picture_of_filters(const Tensor& weight) {
  const int64_t count = std::min(weight.size(0), most_filters);
  const int64_t channels = weight.size(1);
  const int64_t tall = weight.size(2) * filter_zoom;
  const int64_t wide = weight.size(3) * filter_zoom;
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const int64_t rows = (count + columns - 1) / columns;
  const Shape shape{channels, rows * (tall + 1) - 1, columns * (wide + 1) - 1};
  Tensor picture = empty(shape, DType::u8);
  auto* pixels = picture.mutable_data<uint8_t>();
  std::fill_n(pixels, picture.numel(), uint8_t{0});
  const std::vector<double> values = weight.to_vector<double>();
  const int64_t size = channels * weight.size(2) * weight.size(3);
  for (int64_t n = 0; n < count; ++n) {
    const double* filter = values.data() + n * size;
    const auto [least, largest] = std::minmax_element(filter, filter + size);
    const double range = *largest - *least;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < tall * wide; ++i) {
        const int64_t y = i / wide;
        const int64_t x = i % wide;
        const double value =
            filter[(c * weight.size(2) + y / filter_zoom) * weight.size(3) + x / filter_zoom];
        const double part = range > 0 ? (value - *least) / range : 0.5;
        const int64_t row = n / columns * (tall + 1) + y;
        const int64_t column = n % columns * (wide + 1) + x;
        pixels[(c * shape[1] + row) * shape[2] + column] =
            static_cast<uint8_t>(std::isfinite(part) ? std::lround(255 * part) : 0);
      }
    }
  }
  return picture;
}

}  // namespace

TensorBoard::TensorBoard(TensorBoardOptions options, Clock clock)
    : options_(std::move(options)), clock_(std::move(clock)) {
  check_required(type_name, options_);
  require_option(options_.histograms >= 0, type_name, "`histograms` must be at least 0",
                 static_cast<double>(options_.histograms));
  require_option(options_.images >= 0, type_name, "`images` must be at least 0",
                 static_cast<double>(options_.images));
  if (clock_) return;
  clock_ = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  };
}

std::unique_ptr<EventWriter> TensorBoard::open(const char* run, bool hide_later) const {
  const double now = clock_();
  auto writer =
      std::make_unique<EventWriter>(std::filesystem::path(options_.log_dir.value()) / run, now);
  if (hide_later) writer->start_session(first_epoch_, now);
  return writer;
}

void TensorBoard::on_train_begin(Trainer& trainer) {
  hide_later_ = std::exchange(resumed_, false);
  if (!hide_later_) memory_ = {};
  first_epoch_ = memory_.epochs;
  train_ = open("train", hide_later_);
  const std::filesystem::path validation =
      std::filesystem::path(options_.log_dir.value()) / "validation";
  std::error_code none;
  if (hide_later_ && std::filesystem::exists(validation, none)) {
    validation_ = open("validation", true);
    validation_->flush();
  }
  if (options_.graph && !hide_later_) {
    const Graph* graph = trainer.graph();
    train_->graph(graph != nullptr ? graph_of(*graph, trainer.model()) : graph_of(trainer.model()),
                  clock_());
  }
  train_->flush();
}

void TensorBoard::write_numbers(const Trainer& trainer, const Logs& logs, double now) {
  for (const auto& [name, value] : logs.values) {
    const bool of_validation = name.starts_with(validation_prefix);
    if (of_validation && !validation_) validation_ = open("validation", hide_later_);
    EventWriter& writer = of_validation ? *validation_ : *train_;
    const std::string bare = of_validation ? name.substr(validation_prefix.size()) : name;
    writer.scalar(bare.starts_with("epoch_") ? bare : "epoch_" + bare, logs.epoch, value, now);
  }
  train_->scalar("epoch_learning_rate", logs.epoch, trainer.optimizer()->lr(), now);
}

void TensorBoard::write_parameters(const Trainer& trainer, int64_t epoch, double now) {
  const auto is_due = [&](int64_t every) { return every > 0 && epoch % every == 0; };
  for (const auto& [path, cell] : trainer.model().named_parameters()) {
    const Tensor value = cell.value().detach();
    if (is_due(options_.histograms)) train_->histogram(with_slashes(path), epoch, value, now);
    if (is_due(options_.images) && can_be_seen(value)) {
      train_->image(with_slashes(path), epoch, picture_of_filters(value), now);
    }
  }
}

void TensorBoard::on_epoch_end(Trainer& trainer, const Logs& logs) {
  if (!train_) return;
  if (!write_or_warn([&] { write_epoch(trainer, logs); })) on_train_end(trainer);
}

void TensorBoard::write_epoch(const Trainer& trainer, const Logs& logs) {
  const double now = clock_();
  write_numbers(trainer, logs, now);
  write_parameters(trainer, logs.epoch, now);
  train_->flush();
  if (validation_) validation_->flush();
  memory_.epochs = logs.epoch + 1;
}

void TensorBoard::on_train_end(Trainer&) {
  train_.reset();
  validation_.reset();
}

CallbackState TensorBoard::state() const { return {.values = to_fields(memory_), .tensors = {}}; }

void TensorBoard::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
  resumed_ = true;
}

namespace {

const FactoryFor<Callback, TensorBoard, TensorBoardOptions> tensorboard_entry{
    TensorBoard::type_name, "Writes numbers, histograms, pictures and the graph for TensorBoard."};

}  // namespace
}  // namespace taper

#include <taper/train/fit/progress.h>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace taper {
namespace {

std::string rate(double items_per_second) {
  if (!std::isfinite(items_per_second)) return "";
  if (items_per_second >= 1e4) return fmt::format("{:.1f}k items/s", items_per_second / 1e3);
  return fmt::format("{:.0f} items/s", items_per_second);
}

std::string clock_time(double seconds) {
  const int64_t whole = std::llround(std::min(seconds, 1e15));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string list(const NamedNumbers& values) {
  std::string text;
  for (const auto& [name, value] : values) {
    const bool plain = value == 0 || (std::abs(value) >= 1e-3 && std::abs(value) < 1e5);
    text +=
        plain ? fmt::format("  {} {:.4f}", name, value) : fmt::format("  {} {:.3e}", name, value);
  }
  return text;
}

size_t terminal_width() {
  winsize size = {};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Progress::Progress(bool verbose, int64_t epochs, int64_t steps)
    : verbose_(verbose),
      live_(verbose && isatty(STDOUT_FILENO) == 1),
      epochs_(epochs),
      steps_(steps) {}

Progress::~Progress() {
  if (open_) std::cout << std::endl;
}

void Progress::go_on(int64_t epoch, int64_t steps) {
  if (!verbose_) return;
  write(fmt::format("going on at epoch {}, step {}", epoch + 1, steps + 1), true);
}

void Progress::begin_epoch(int64_t epoch, int64_t steps, int64_t items) {
  epoch_ = epoch;
  steps_before_ = steps;
  items_before_ = items;
  epoch_start_ = Clock::now();
  last_shown_ = epoch_start_;
}

bool Progress::is_due() const { return live_ && seconds_since(last_shown_) >= 0.1; }

void Progress::show(int64_t step, int64_t items, const NamedNumbers& values) {
  last_shown_ = Clock::now();
  const double spent = seconds_since(epoch_start_);
  // In doubles: the product of the largest epochs and steps does not fit an integer.
  const double epochs_left = static_cast<double>(epochs_ - epoch_);
  const double steps_left = epochs_left * static_cast<double>(steps_) - static_cast<double>(step);
  const double left = spent / static_cast<double>(step - steps_before_) * steps_left;
  const auto items_here = static_cast<double>(items - items_before_);
  write(fmt::format("epoch {}/{}  step {}/{}  {}  {} left{}", epoch_ + 1, epochs_, step, steps_,
                    rate(items_here / spent), clock_time(left), list(values)),
        false);
}

void Progress::end_epoch(int64_t items, double train_seconds, double epoch_seconds,
                         const NamedNumbers& values) {
  if (!verbose_) return;
  write(fmt::format("epoch {}/{}  {:.1f} s  {}{}", epoch_ + 1, epochs_, epoch_seconds,
                    rate(static_cast<double>(items) / train_seconds), list(values)),
        true);
}

void Progress::write(const std::string& line, bool keep) {
  if (live_) std::cout << '\r' << (keep ? line : line.substr(0, terminal_width() - 1)) << "\x1b[K";
  if (!live_) std::cout << line;
  if (keep) std::cout << '\n';
  std::cout << std::flush;
  open_ = !keep;
}

}  // namespace taper

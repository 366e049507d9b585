// The event files that TensorBoard reads.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/tensor.h>

namespace taper {

/// A path of the library such as `conv1.weight` as TensorBoard groups names: `conv1/weight`.
TAPER_API std::string event_path(std::string path);

/// A box of TensorBoard's GRAPHS tab. Slashes in its name put it into groups.
struct EventGraphNode {
  std::string name;
  std::string op;
  std::vector<std::string> inputs = {};  ///< names of other nodes
  std::vector<std::pair<std::string, std::string>> attributes = {};
};

/// Writes one event file: records framed as TFRecords (length and data each with a masked CRC-32C)
/// that hold Event messages. The folder is a run in TensorBoard; its files are read in the order of
/// their names, which begin with the wall time.
///
/// Wall times are seconds since 1970, given by the caller. Records reach the file with `flush`,
/// with the destructor and when there are many. Everything throws io naming the file.
class TAPER_API EventWriter {
 public:
  /// Makes the folder and a new file in it.
  EventWriter(const std::filesystem::path& folder, double wall_time);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// Readers forget what earlier files of this folder say of `step` and of later steps.
  void start_session(int64_t step, double wall_time);
  /// A number, kept as f32.
  void scalar(std::string_view tag, int64_t step, double value, double wall_time);
  /// How the values are spread: 30 buckets of one width from the least to the largest, as
  /// TensorBoard's own writer makes them. What is not finite is left out.
  void histogram(std::string_view tag, int64_t step, const Tensor& values, double wall_time);
  /// A picture that `encode_png` takes. Throws as it does.
  void image(std::string_view tag, int64_t step, const Tensor& picture, double wall_time);
  void graph(const std::vector<EventGraphNode>& nodes, double wall_time);

  void flush();

 private:
  void write_record(std::string_view event);
  void write(std::string_view bytes);
  [[noreturn]] void fail_io(int error) const;

  std::filesystem::path path_;
  int file_ = -1;
  std::string unwritten_;
};

}  // namespace taper

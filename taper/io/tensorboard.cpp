#include <taper/io/tensorboard.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cerrno>
#include <cmath>
#include <functional>
#include <protozero/pbf_writer.hpp>
#include <system_error>

#include <taper/core/error.h>
#include <taper/io/images.h>

namespace taper {
namespace {

// Field numbers of event.proto, summary.proto, histogram.proto, graph.proto, node_def.proto,
// versions.proto and attr_value.proto of TensorFlow (Apache 2.0).
namespace event {
enum : protozero::pbf_tag_type {
  wall_time = 1,
  step = 2,
  file_version = 3,
  graph_def = 4,
  summary = 5,
  session_log = 7
};
}
namespace session_log {
enum : protozero::pbf_tag_type { status = 1 };
constexpr int32_t start = 1;
}  // namespace session_log
namespace summary {
enum : protozero::pbf_tag_type { value = 1, tag = 1, simple_value = 2, image = 4, histogram = 5 };
}
namespace image_message {
enum : protozero::pbf_tag_type { height = 1, width = 2, colorspace = 3, encoded = 4 };
}
namespace histogram_message {
enum : protozero::pbf_tag_type {
  least = 1,
  largest = 2,
  count = 3,
  sum = 4,
  sum_of_squares = 5,
  bucket_limit = 6,
  bucket = 7
};
}
namespace graph_message {
enum : protozero::pbf_tag_type { node = 1, versions = 4 };
}
namespace version_message {
enum : protozero::pbf_tag_type { producer = 1 };
constexpr int32_t this_producer = 22;
}  // namespace version_message
namespace node_message {
enum : protozero::pbf_tag_type { name = 1, op = 2, input = 3, attributes = 5 };
}
namespace map_entry {
enum : protozero::pbf_tag_type { key = 1, value = 2 };
}
namespace attribute_message {
enum : protozero::pbf_tag_type { bytes = 2 };
}

constexpr int bucket_count = 30;
constexpr int most_files_a_second = 100000;

/// CRC-32C, rotated and shifted as in the TFRecord format.
uint32_t masked_checksum(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const uint32_t sum = crc.checksum();
  return ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
}

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string event_at(int64_t step, double wall_time) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_double(event::wall_time, wall_time);
  writer.add_int64(event::step, step);
  return bytes;
}

/// An event with a summary of one value, whose content is `field`.
std::string summary_event(std::string_view tag, int64_t step, double wall_time,
                          const std::function<void(protozero::pbf_writer&)>& add_field) {
  std::string value;
  protozero::pbf_writer value_writer(value);
  value_writer.add_string(summary::tag, tag.data(), tag.size());
  add_field(value_writer);
  std::string list;
  protozero::pbf_writer(list).add_message(summary::value, value);
  std::string bytes = event_at(step, wall_time);
  protozero::pbf_writer(bytes).add_message(event::summary, list);
  return bytes;
}

std::string histogram_of(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  std::vector<double> limits;
  std::vector<double> buckets;
  double least = 0;
  double largest = 0;
  double sum = 0;
  double squares = 0;
  if (!values.empty()) {
    const auto [low, high] = std::ranges::minmax_element(values);
    least = *low;
    largest = *high;
    const int count = least == largest ? 1 : bucket_count;
    for (int i = 1; i <= count; ++i) {
      const double part = static_cast<double>(i) / count;
      limits.push_back(least * (1 - part) + largest * part);  // the range may be infinite
    }
    buckets.resize(static_cast<size_t>(count));
    for (const double value : values) {
      const double place = count == 1 ? 0 : (value / 2 - least / 2) / (largest / 2 - least / 2);
      ++buckets[std::min(static_cast<size_t>(place * count), buckets.size() - 1)];
      sum += value;
      squares += value * value;
    }
  }
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_double(histogram_message::least, least);
  writer.add_double(histogram_message::largest, largest);
  writer.add_double(histogram_message::count, static_cast<double>(values.size()));
  writer.add_double(histogram_message::sum, sum);
  writer.add_double(histogram_message::sum_of_squares, squares);
  writer.add_packed_double(histogram_message::bucket_limit, limits.begin(), limits.end());
  writer.add_packed_double(histogram_message::bucket, buckets.begin(), buckets.end());
  return bytes;
}

std::string node_of(const EventGraphNode& node) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(node_message::name, node.name);
  writer.add_string(node_message::op, node.op);
  for (const std::string& input : node.inputs) writer.add_string(node_message::input, input);
  for (const auto& [key, text] : node.attributes) {
    std::string value;
    protozero::pbf_writer(value).add_bytes(attribute_message::bytes, text);
    std::string entry;
    protozero::pbf_writer entry_writer(entry);
    entry_writer.add_string(map_entry::key, key);
    entry_writer.add_message(map_entry::value, value);
    writer.add_message(node_message::attributes, entry);
  }
  return bytes;
}

/// `events.out.tfevents.SECONDS.NUMBER.taper`: the order of the names is that of the files.
std::string file_name(double wall_time, int number) {
  char name[80];
  std::snprintf(name, sizeof name, "events.out.tfevents.%010lld.%05d.taper",
                static_cast<long long>(wall_time), number);
  return name;
}

}  // namespace

std::string event_path(std::string path) {
  std::ranges::replace(path, '.', '/');
  return path;
}

EventWriter::EventWriter(const std::filesystem::path& folder, double wall_time) {
  if (!(wall_time >= 0 && wall_time < 1e10)) {
    fail(ErrorKind::value,
         "EventWriter: the wall time must be seconds since 1970, got " + std::to_string(wall_time));
  }
  path_ = folder;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail_io(error.value());
  for (int number = 0; file_ < 0; ++number) {
    path_ = folder / file_name(wall_time, number);
    file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0 && (errno != EEXIST || number == most_files_a_second - 1)) fail_io(errno);
  }
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_double(event::wall_time, wall_time);
  writer.add_string(event::file_version, "brain.Event:2");
  write_record(bytes);
}

EventWriter::~EventWriter() {
  try {
    flush();
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): who wants to know it flushes before
  }
  close(file_);
}

void EventWriter::fail_io(int error) const {
  fail(ErrorKind::io, "cannot write " + (path_.empty() ? "to the empty path" : path_.string()) +
                          ": " + std::generic_category().message(error));
}

void EventWriter::write(std::string_view bytes) {
  constexpr size_t enough = size_t{1} << 16;
  unwritten_ += bytes;
  if (unwritten_.size() >= enough) flush();
}

void EventWriter::write_record(std::string_view event) {
  const std::string length = little_endian<uint64_t>(event.size());
  write(length);
  write(little_endian(masked_checksum(length)));
  write(event);
  write(little_endian(masked_checksum(event)));
}

void EventWriter::flush() {
  while (!unwritten_.empty()) {
    const ssize_t written = ::write(file_, unwritten_.data(), unwritten_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      unwritten_.clear();  // a part of a record must not be written twice
      fail_io(error);
    }
    unwritten_.erase(0, static_cast<size_t>(written));
  }
}

void EventWriter::start_session(int64_t step, double wall_time) {
  std::string session;
  protozero::pbf_writer(session).add_enum(session_log::status, session_log::start);
  std::string bytes = event_at(step, wall_time);
  protozero::pbf_writer(bytes).add_message(event::session_log, session);
  write_record(bytes);
}

void EventWriter::scalar(std::string_view tag, int64_t step, double value, double wall_time) {
  write_record(summary_event(tag, step, wall_time, [&](protozero::pbf_writer& writer) {
    writer.add_float(summary::simple_value, static_cast<float>(value));
  }));
}

void EventWriter::histogram(std::string_view tag, int64_t step, const Tensor& values,
                            double wall_time) {
  const std::string message = histogram_of(values.to_vector<double>());
  write_record(summary_event(tag, step, wall_time, [&](protozero::pbf_writer& writer) {
    writer.add_message(summary::histogram, message);
  }));
}

void EventWriter::image(std::string_view tag, int64_t step, const Tensor& picture,
                        double wall_time) {
  const std::string encoded = encode_png(picture);
  std::string message;
  protozero::pbf_writer writer(message);
  writer.add_int32(image_message::height, static_cast<int32_t>(picture.size(-2)));
  writer.add_int32(image_message::width, static_cast<int32_t>(picture.size(-1)));
  writer.add_int32(image_message::colorspace, picture.rank() == 3 && picture.size(0) == 3 ? 3 : 1);
  writer.add_bytes(image_message::encoded, encoded);
  write_record(summary_event(tag, step, wall_time, [&](protozero::pbf_writer& value) {
    value.add_message(summary::image, message);
  }));
}

void EventWriter::graph(const std::vector<EventGraphNode>& nodes, double wall_time) {
  std::string graph;
  protozero::pbf_writer writer(graph);
  for (const EventGraphNode& node : nodes) writer.add_message(graph_message::node, node_of(node));
  std::string versions;
  protozero::pbf_writer(versions).add_int32(version_message::producer,
                                            version_message::this_producer);
  writer.add_message(graph_message::versions, versions);
  std::string bytes = event_at(0, wall_time);
  protozero::pbf_writer(bytes).add_bytes(event::graph_def, graph);
  write_record(bytes);
}

}  // namespace taper

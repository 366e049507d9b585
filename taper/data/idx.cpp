#include <taper/data/idx.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include <taper/io/files.h>

namespace taper::data {
namespace {

static_assert(std::endian::native == std::endian::little, "idx files are big-endian");

std::optional<DType> dtype_of_code(uint8_t code) {
  switch (code) {
    case 0x08:
      return DType::u8;
    case 0x09:
      return DType::i8;
    case 0x0B:
      return DType::i16;
    case 0x0C:
      return DType::i32;
    case 0x0D:
      return DType::f32;
    case 0x0E:
      return DType::f64;
    default:
      return std::nullopt;
  }
}

/// `60000x28x28`, or `one value` for rank 0.
std::string printed(const Shape& shape) {
  std::string text;
  for (int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text.empty() ? "one value" : text;
}

void swap_bytes(std::string& data, size_t item) {
  if (item == 1) return;
  for (size_t i = 0; i < data.size(); i += item) std::reverse(&data[i], &data[i] + item);
}

class IdxReader {
 public:
  explicit IdxReader(const std::filesystem::path& path) : path_(path), file_(path) {}

  Tensor read() {
    const Spec spec = read_header();
    std::string data = read_data(spec);
    swap_bytes(data, item_size(spec.dtype));
    Tensor tensor = empty(spec);
    std::memcpy(tensor.raw(), data.data(), data.size());
    return tensor;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorKind::io, "read_idx: " + path_.string() + ": " + what);
  }

  void read_header_part(std::span<char> bytes) {
    if (file_.read(bytes) != bytes.size()) refuse("the file ends within the header");
  }

  Spec read_header() {
    char magic[4];
    read_header_part(magic);
    if (magic[0] != 0 || magic[1] != 0) {
      refuse("this is no idx file: it does not begin with two zero bytes");
    }
    const std::optional<DType> dtype = dtype_of_code(static_cast<uint8_t>(magic[2]));
    if (!dtype) {
      refuse("unknown type code " + std::to_string(static_cast<uint8_t>(magic[2])));
    }
    const auto rank = static_cast<uint8_t>(magic[3]);
    if (rank > Shape::max_rank) {
      refuse("has " + std::to_string(rank) + " axes, at most " + std::to_string(Shape::max_rank) +
             " are possible");
    }
    Spec spec{*dtype, {}, {}};
    for (int axis = 0; axis < rank; ++axis) spec.shape.push_back(read_size());
    return spec;
  }

  int64_t read_size() {
    char bytes[4];
    read_header_part(bytes);
    return __builtin_bswap32(std::bit_cast<uint32_t>(bytes));
  }

  size_t promised_bytes(const Spec& spec) const {
    try {
      return checked_bytes(spec.shape, spec.dtype);
    } catch (const Error&) {
      refuse("the header promises " + printed(spec.shape) + " of " +
             std::string(dtype_name(spec.dtype)) + ", too many to address");
    }
  }

  /// All bytes after the header, which must be as many as it promises.
  std::string read_data(const Spec& spec) {
    const size_t promised = promised_bytes(spec);
    const auto refuse_size = [&](const std::string& held) {
      refuse("the header promises " + printed(spec.shape) + " of " +
             std::string(dtype_name(spec.dtype)) + " (" + std::to_string(promised) +
             " bytes), the file holds " + held);
    };
    if (promised > file_.most_bytes()) {
      refuse_size("at most " + std::to_string(file_.most_bytes()));
    }
    std::string data;
    char chunk[size_t{64} << 10];
    while (const size_t count = file_.read(chunk)) {
      if (count > promised - data.size()) refuse_size("more");
      data.append(chunk, count);
    }
    if (data.size() < promised) refuse_size(std::to_string(data.size()));
    return data;
  }

  std::filesystem::path path_;
  UnpackedFile file_;
};

}  // namespace

Tensor read_idx(const std::filesystem::path& path) { return IdxReader(path).read(); }

}  // namespace taper::data

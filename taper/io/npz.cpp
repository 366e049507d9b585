#include <taper/io/npz.h>

#include <zip.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <taper/core/error.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

constexpr uint64_t largest_archive = uint64_t{1} << 36;
constexpr uint64_t most_inflation = 1100;  // deflate cannot do more

/// What the header of an array says.
struct Header {
  std::string type;  // "<f4"
  bool by_columns = false;
  Shape shape;
};

/// Reads the header: a literal of a dictionary, as NumPy writes it.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Header read() {
    Header header;
    bool has_type = false;
    bool has_order = false;
    bool has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !has_type) {
        if (!peek('\'')) fail(ErrorKind::unsupported, name_ + ": arrays of records are not read");
        header.type = quoted();
        has_type = true;
      } else if (key == "fortran_order" && !has_order) {
        header.by_columns = boolean();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = sizes();
        has_shape = true;
      } else {
        refuse();
      }
      if (!take(',') && !peek('}')) refuse();
    }
    if (!has_type || !has_order || !has_shape) refuse();
    return header;
  }

 private:
  [[noreturn]] void refuse() const {
    fail(ErrorKind::io, name_ + ": the header of the array is damaged");
  }
  void skip() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  bool peek(char c) {
    skip();
    return text_.starts_with(c);
  }
  bool take(char c) {
    if (!peek(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) refuse();
  }
  std::string quoted() {
    expect('\'');
    const size_t end = text_.find('\'');
    if (end == text_.npos) refuse();
    std::string word(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return word;
  }
  bool boolean() {
    skip();
    for (const auto& [word, value] : {std::pair{"True", true}, {"False", false}}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(std::strlen(word));
      return value;
    }
    refuse();
  }
  Shape sizes() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      skip();
      int64_t size = 0;
      const auto [stop, error] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0 || shape.rank() == Shape::max_rank) refuse();
      text_.remove_prefix(static_cast<size_t>(stop - text_.data()));
      shape.push_back(size);
      if (!take(',') && !peek(')')) refuse();
    }
    return shape;
  }

  std::string_view text_;
  const std::string& name_;
};

/// What numbers are stored as, and what they become.
struct StoredType {
  std::string_view code;
  size_t size;
  DType dtype;
};
constexpr StoredType stored_types[] = {
    {"<f4", 4, DType::f32}, {"<f8", 8, DType::f64},   {"<f2", 2, DType::f16},
    {"|i1", 1, DType::i8},  {"<i2", 2, DType::i16},   {"<i4", 4, DType::i32},
    {"<i8", 8, DType::i64}, {"|u1", 1, DType::u8},    {"|b1", 1, DType::boolean},
    {"<u2", 2, DType::u16}, {"<u4", 4, DType::u32},   {"<u8", 8, DType::u64},
    {"<c8", 8, DType::c64}, {"<c16", 16, DType::c128}};

const StoredType& stored_type(const std::string& code, const std::string& name) {
  for (const StoredType& type : stored_types) {
    if (type.code == code) return type;
  }
  fail(ErrorKind::unsupported, name + ": arrays of type " + code + " are not read");
}

/// The number of elements; nothing if it is beyond what the bytes can hold.
std::optional<size_t> count_of(const Shape& shape, size_t most) {
  size_t count = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto size = static_cast<size_t>(shape[axis]);
    if (size != 0 && count > most / size) return {};
    count *= size;
  }
  return count;
}

Tensor values_of(std::string_view bytes, const StoredType& type, const Shape& shape, size_t count) {
  Tensor tensor = empty(shape, type.dtype);
  if (count == 0) return tensor;
  if (type.dtype == DType::boolean) {
    bool* to = tensor.mutable_data<bool>();
    for (size_t i = 0; i < count; ++i) to[i] = bytes[i] != 0;
  } else {
    bytes.copy(reinterpret_cast<char*>(tensor.raw()), count * type.size);
  }
  return tensor;
}

/// A zip archive that is open.
class Archive {
 public:
  explicit Archive(const std::filesystem::path& path) : path_(path.string()) {
    int code = 0;
    zip_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &code));
    if (zip_) return;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    fail(ErrorKind::io, path_ + ": " + why);
  }

  uint64_t size() const { return static_cast<uint64_t>(zip_get_num_entries(zip_.get(), 0)); }

  /// The name of an entry and its bytes.
  std::pair<std::string, std::string> read(uint64_t number) {
    zip_stat_t about;
    if (zip_stat_index(zip_.get(), number, 0, &about) != 0) refuse("");
    constexpr uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if ((about.valid & wanted) != wanted) refuse("");
    const std::string name = about.name;
    total_ += about.size;
    const bool bomb = about.size / most_inflation > about.comp_size;
    if (bomb || about.size > largest_archive || total_ > largest_archive) refuse(name);
    std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(zip_.get(), number, 0),
                                                           &zip_fclose);
    if (!file) refuse(name);
    std::string bytes(about.size, '\0');
    if (zip_fread(file.get(), bytes.data(), bytes.size()) != static_cast<int64_t>(bytes.size())) {
      refuse(name);
    }
    char more = 0;  // reading on to the end checks the sum
    if (zip_fread(file.get(), &more, 1) != 0) refuse(name);
    return {name, std::move(bytes)};
  }

 private:
  [[noreturn]] void refuse(const std::string& name) {
    fail(ErrorKind::io, path_ + ": the entry `" + name + "` is damaged or too large");
  }

  std::string path_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> zip_{nullptr, &zip_discard};
  uint64_t total_ = 0;
};

}  // namespace

Tensor decode_npy(std::string_view bytes, const std::string& name) {
  constexpr std::string_view magic("\x93NUMPY", 6);
  const auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<uint8_t>(bytes[at])); };
  if (bytes.size() < 10 || !bytes.starts_with(magic)) {
    fail(ErrorKind::io, name + ": is no array of NumPy");
  }
  const size_t version = byte(6);
  const size_t width = version == 1 ? 2 : 4;
  if (version < 1 || version > 3 || bytes.size() < 8 + width) {
    fail(ErrorKind::io, name + ": is no array of NumPy that is known");
  }
  size_t length = 0;
  for (size_t i = 0; i < width; ++i) length |= byte(8 + i) << 8 * i;
  const size_t begin = 8 + width;
  if (length > bytes.size() - begin) {
    fail(ErrorKind::io, name + ": the header of the array is damaged");
  }
  const Header header = HeaderReader(bytes.substr(begin, length), name).read();
  const StoredType& type = stored_type(header.type, name);
  const std::string_view values = bytes.substr(begin + length);
  const std::optional<size_t> count = count_of(header.shape, values.size() / type.size);
  if (!count || *count * type.size != values.size()) {
    fail(ErrorKind::io, name + ": the array " + to_string(header.shape) + " of " + header.type +
                            " needs other than " + std::to_string(values.size()) + " bytes");
  }
  if (!header.by_columns) return values_of(values, type, header.shape, *count);
  Shape reversed;
  Shape axes;
  for (int axis = header.shape.rank() - 1; axis >= 0; --axis) {
    reversed.push_back(header.shape[axis]);
    axes.push_back(axis);
  }
  return contiguous(permute_dims(values_of(values, type, reversed, *count), axes));
}

NamedTensors read_npz(const std::filesystem::path& path) {
  Archive archive(path);
  NamedTensors arrays;
  for (uint64_t i = 0; i < archive.size(); ++i) {
    auto [name, bytes] = archive.read(i);
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    Tensor array = decode_npy(bytes, path.string() + ": " + name);
    arrays.emplace_back(std::move(name), std::move(array));
  }
  return arrays;
}

}  // namespace taper

#include <taper/io/safetensors.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include <taper/core/value.h>
#include <taper/io/files.h>

namespace taper {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr size_t length_bytes = 8;
constexpr uint64_t most_header_bytes = 100'000'000;
constexpr std::string_view metadata_name = "__metadata__";

struct FormatDType {
  std::string_view name;
  DType dtype;
};

/// The format's names of our dtypes, in the order in which the reference library writes tensors.
constexpr FormatDType format_dtypes[] = {
    {"U64", DType::u64}, {"I64", DType::i64},      {"F64", DType::f64}, {"C64", DType::c64},
    {"F32", DType::f32}, {"U32", DType::u32},      {"I32", DType::i32}, {"BF16", DType::bf16},
    {"F16", DType::f16}, {"U16", DType::u16},      {"I16", DType::i16}, {"I8", DType::i8},
    {"U8", DType::u8},   {"BOOL", DType::boolean},
};

/// Dtypes of the format that Taper does not have.
constexpr std::string_view foreign_dtypes[] = {
    "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F4", "F6_E2M3", "F6_E3M2",
};

size_t place_of(DType dtype) {
  const auto is_it = [&](const FormatDType& entry) { return entry.dtype == dtype; };
  return static_cast<size_t>(std::ranges::find_if(format_dtypes, is_it) - format_dtypes);
}

std::string printed(std::string_view name) {
  constexpr size_t longest = 200;
  return print_quoted(name.size() <= longest ? name : name.substr(0, longest));
}

// ---------------------------------------------------------------------------------------------
// Writing

/// The text as JSON. `what` names it in the error for text that is not UTF-8.
std::string json_text(const std::string& text, const std::string& what) {
  try {
    return to_json(Value(text), -1);
  } catch (const Error&) {
    fail(ErrorKind::value, "save_safetensors: " + what + " " + printed(text) + " is not UTF-8");
  }
}

template <class Pairs>
void check_names(const Pairs& pairs, const std::string& what) {
  std::set<std::string_view> names;
  for (const auto& [name, value] : pairs) {
    if (!names.insert(name).second) {
      fail(ErrorKind::value, "save_safetensors: " + what + " " + printed(name) + " is given twice");
    }
  }
}

using Ordered = std::vector<const std::pair<std::string, Tensor>*>;

Ordered in_file_order(const NamedTensors& tensors) {
  Ordered ordered;
  for (const auto& named : tensors) {
    if (named.first == metadata_name) {
      fail(ErrorKind::value, "save_safetensors: no tensor can be named \"__metadata__\"");
    }
    if (!named.second.defined()) {
      fail(ErrorKind::value,
           "save_safetensors: the tensor " + printed(named.first) + " is undefined");
    }
    if (place_of(named.second.dtype()) == std::size(format_dtypes)) {
      fail(ErrorKind::unsupported, "save_safetensors: the tensor " + printed(named.first) + " is " +
                                       std::string(dtype_name(named.second.dtype())) +
                                       ", which the format does not have; save real(x) and " +
                                       "imag(x), or astype(x, complex64)");
    }
    ordered.push_back(&named);
  }
  std::ranges::sort(ordered, [](const auto* a, const auto* b) {
    const size_t place_a = place_of(a->second.dtype());
    const size_t place_b = place_of(b->second.dtype());
    return place_a != place_b ? place_a < place_b : a->first < b->first;
  });
  return ordered;
}

std::string metadata_json(const Metadata& metadata) {
  std::string json;
  for (const auto& [name, text] : metadata) {
    json += json.empty() ? "{" : ",";
    json += json_text(name, "the name in the metadata") + ":";
    json += json_text(text, "the metadata of " + printed(name));
  }
  return json + "}";
}

std::string header_json(const Ordered& tensors, const Metadata& metadata) {
  std::string json = "{";
  if (!metadata.empty()) json += "\"__metadata__\":" + metadata_json(metadata);
  size_t begin = 0;
  for (const auto* named : tensors) {
    const auto& [name, tensor] = *named;
    const size_t end = begin + checked_bytes(tensor.shape(), tensor.dtype());
    if (json.size() > 1) json += ",";
    json += json_text(name, "the name");
    json += ":{\"dtype\":\"" + std::string(format_dtypes[place_of(tensor.dtype())].name);
    json += "\",\"shape\":" + to_string(tensor.shape());
    json += ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
    begin = end;
  }
  json += "}";
  json.append((length_bytes - json.size() % length_bytes) % length_bytes, ' ');
  return json;
}

/// The elements in row-major order of a tensor that lies otherwise in memory.
std::string row_major_bytes(const Tensor& tensor) {
  const size_t item = item_size(tensor.dtype());
  std::string bytes(static_cast<size_t>(tensor.numel()) * item, '\0');
  const std::byte* base = tensor.raw();
  char* out = bytes.data();
  for_each_offset(tensor.shape(), tensor.strides(), [&](int64_t offset) {
    std::memcpy(out, base + offset * static_cast<int64_t>(item), item);
    out += item;
  });
  return bytes;
}

void write_data(AtomicFile& file, const Tensor& tensor) {
  if (!tensor.is_contiguous()) {
    file.write(row_major_bytes(tensor));
    return;
  }
  const size_t bytes = static_cast<size_t>(tensor.numel()) * item_size(tensor.dtype());
  file.write({reinterpret_cast<const char*>(tensor.raw()), bytes});
}

// ---------------------------------------------------------------------------------------------
// Reading

/// What the header says of a tensor, checked.
struct Entry {
  std::string name;
  Spec spec;
  uint64_t begin;
  uint64_t end;
};

/// The checks of one file. The file's own words appear quoted and shortened in the messages.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path) {}

  SafeTensors read() {
    read_header();
    check_coverage();
    SafeTensors result;
    result.metadata = std::move(metadata_);
    result.tensors.reserve(entries_.size());
    for (Entry& entry : entries_) {
      Tensor tensor = read_tensor(entry);
      result.tensors.emplace_back(std::move(entry.name), std::move(tensor));
    }
    return result;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, ErrorKind kind = ErrorKind::io) const {
    fail(kind, "load_safetensors: " + file_.path().string() + ": " + what);
  }

  [[noreturn]] void refuse_tensor(std::string_view name, const std::string& what,
                                  ErrorKind kind = ErrorKind::io) const {
    refuse("tensor " + printed(name) + ": " + what, kind);
  }

  uint64_t read_header_length() {
    if (file_.size() < length_bytes) {
      refuse("the file holds " + std::to_string(file_.size()) +
             " bytes, the length of the header alone takes 8");
    }
    char bytes[length_bytes];
    read_exactly(bytes);
    const uint64_t length = std::bit_cast<uint64_t>(bytes);
    if (length > most_header_bytes) {
      refuse("the header claims " + std::to_string(length) + " bytes, the format allows 100000000");
    }
    if (length > file_.size() - length_bytes) {
      refuse("the header claims " + std::to_string(length) + " bytes, the file holds " +
             std::to_string(file_.size() - length_bytes) + " after its length");
    }
    return length;
  }

  void read_header() {
    std::string text(read_header_length(), '\0');
    read_exactly(text);
    data_bytes_ = file_.size() - length_bytes - text.size();
    if (!text.starts_with('{')) refuse("the header does not begin with '{'");
    const Value header = parse(text);
    for (const auto& [name, value] : *header.get_if<Fields>()) {
      if (name == metadata_name) {
        read_metadata(value);
      } else {
        entries_.push_back(read_entry(name, value));
      }
    }
  }

  Value parse(std::string_view text) const {
    try {
      return parse_json(text);
    } catch (const Error& error) {
      refuse(std::string("the header: ") + error.what());
    }
  }

  void read_metadata(const Value& value) {
    const Fields* fields = value.get_if<Fields>();
    if (fields == nullptr) {
      refuse("__metadata__ must be an object, got " + std::string(value.kind_name()));
    }
    for (const auto& [name, text] : *fields) {
      const std::string* string = text.get_if<std::string>();
      if (string == nullptr) {
        refuse("__metadata__: " + printed(name) + " must be a string, got " +
               std::string(text.kind_name()));
      }
      metadata_.emplace_back(name, *string);
    }
  }

  const Value& field(std::string_view tensor, const Value& entry, std::string_view name) const {
    const Value* value = entry.find(name);
    if (value == nullptr) refuse_tensor(tensor, "has no " + std::string(name));
    return *value;
  }

  /// A list of integers that are at least 0.
  Value::Integers sizes(std::string_view tensor, const Value& entry, std::string_view name) const {
    const Value& value = field(tensor, entry, name);
    const auto* integers = value.get_if<Value::Integers>();
    const bool is_empty = value.is_list() && value.size() == 0;
    if (integers == nullptr && !is_empty) {
      refuse_tensor(tensor, std::string(name) + " must be a list of int, got " +
                                std::string(value.kind_name()));
    }
    if (is_empty) return {};
    for (int64_t size : *integers) {
      if (size < 0) {
        refuse_tensor(tensor,
                      std::string(name) + " has the negative value " + std::to_string(size));
      }
    }
    return *integers;
  }

  DType read_dtype(std::string_view tensor, const Value& entry) const {
    const Value& value = field(tensor, entry, "dtype");
    const std::string* name = value.get_if<std::string>();
    if (name == nullptr) {
      refuse_tensor(tensor, "dtype must be a string, got " + std::string(value.kind_name()));
    }
    for (const FormatDType& known : format_dtypes) {
      if (known.name == *name) return known.dtype;
    }
    if (std::ranges::find(foreign_dtypes, *name) != std::end(foreign_dtypes)) {
      refuse_tensor(tensor, "Taper has no dtype " + *name, ErrorKind::unsupported);
    }
    refuse_tensor(tensor, "the format has no dtype " + printed(*name));
  }

  Shape read_shape(std::string_view tensor, const Value& entry) const {
    const Value::Integers shape = sizes(tensor, entry, "shape");
    if (shape.size() > Shape::max_rank) {
      refuse_tensor(tensor,
                    "has " + std::to_string(shape.size()) + " axes, Taper has at most " +
                        std::to_string(Shape::max_rank),
                    ErrorKind::unsupported);
    }
    return Shape(shape);
  }

  Entry read_entry(const std::string& name, const Value& value) const {
    if (value.get_if<Fields>() == nullptr) {
      refuse_tensor(name, "must be an object, got " + std::string(value.kind_name()));
    }
    const DType dtype = read_dtype(name, value);
    const Shape shape = read_shape(name, value);
    const Value::Integers offsets = sizes(name, value, "data_offsets");
    if (offsets.size() != 2) {
      refuse_tensor(name,
                    "data_offsets must be two integers, got " + std::to_string(offsets.size()));
    }
    const Entry entry{name, Spec{dtype, {}, shape}, static_cast<uint64_t>(offsets[0]),
                      static_cast<uint64_t>(offsets[1])};
    check_size(entry);
    return entry;
  }

  void check_size(const Entry& entry) const {
    const std::string offsets =
        "data_offsets [" + std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]";
    if (entry.end < entry.begin) refuse_tensor(entry.name, offsets + " end before they begin");
    if (entry.end > data_bytes_) {
      refuse_tensor(entry.name, offsets + " exceed the " + std::to_string(data_bytes_) +
                                    " bytes of data in the file");
    }
    uint64_t bytes = 0;
    try {
      bytes = checked_bytes(entry.spec.shape, entry.spec.dtype);
    } catch (const Error& error) {
      refuse_tensor(entry.name, error.what());
    }
    if (bytes != entry.end - entry.begin) {
      refuse_tensor(entry.name, to_string(entry.spec) + " takes " + std::to_string(bytes) +
                                    " bytes, " + offsets + " hold " +
                                    std::to_string(entry.end - entry.begin));
    }
  }

  /// Sorts the entries by their data, which must fill the file without holes or overlap.
  void check_coverage() {
    std::ranges::stable_sort(entries_, [](const Entry& a, const Entry& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    uint64_t covered = 0;
    for (const Entry& entry : entries_) {
      if (entry.begin != covered) {
        refuse_tensor(entry.name, "its data begin at " + std::to_string(entry.begin) +
                                      ", those before end at " + std::to_string(covered));
      }
      covered = entry.end;
    }
    if (covered != data_bytes_) {
      refuse("the tensors take " + std::to_string(covered) + " bytes of data, the file holds " +
             std::to_string(data_bytes_));
    }
  }

  Tensor read_tensor(const Entry& entry) {
    Tensor tensor = empty(entry.spec);
    char* data = reinterpret_cast<char*>(tensor.raw());
    const std::span<char> bytes(data, entry.end - entry.begin);
    read_exactly(bytes);
    if (is_bool(entry.spec.dtype)) {
      const auto bad =
          std::ranges::find_if(bytes, [](char byte) { return byte != 0 && byte != 1; });
      if (bad != bytes.end()) {
        refuse_tensor(entry.name, "a bool must be 0 or 1, element " +
                                      std::to_string(bad - bytes.begin()) + " is " +
                                      std::to_string(static_cast<uint8_t>(*bad)));
      }
    }
    return tensor;
  }

  void read_exactly(std::span<char> bytes) {
    if (file_.read(bytes) != bytes.size()) refuse("the file was cut short while it was read");
  }

  InputFile file_;
  uint64_t data_bytes_ = 0;
  Metadata metadata_;
  std::vector<Entry> entries_;
};

template <class Pairs>
auto* find_in(const Pairs& pairs, std::string_view name) {
  const auto found = std::ranges::find(
      pairs, name, [](const auto& pair) -> std::string_view { return pair.first; });
  return found == pairs.end() ? nullptr : &found->second;
}

}  // namespace

const Tensor* SafeTensors::find(std::string_view name) const { return find_in(tensors, name); }

const Tensor& SafeTensors::at(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  constexpr size_t most_named = 20;
  std::string known;
  for (size_t i = 0; i < std::min(tensors.size(), most_named); ++i) {
    known += (i > 0 ? ", " : "") + tensors[i].first;
  }
  if (tensors.size() > most_named) known += ", ...";
  fail(ErrorKind::not_found,
       "there is no tensor " + printed(name) + "; there are " + (known.empty() ? "none" : known));
}

const std::string* SafeTensors::find_metadata(std::string_view name) const {
  return find_in(metadata, name);
}

void save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const Metadata& metadata) {
  check_names(tensors, "the tensor");
  check_names(metadata, "the metadata");
  const Ordered ordered = in_file_order(tensors);
  const std::string header = header_json(ordered, metadata);
  if (header.size() > most_header_bytes) {
    fail(ErrorKind::value, "save_safetensors: " + path.string() + ": the header takes " +
                               std::to_string(header.size()) +
                               " bytes, the format allows 100000000");
  }
  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&length), sizeof length});
  file.write(header);
  for (const auto* named : ordered) write_data(file, named->second);
  file.commit();
}

SafeTensors load_safetensors(const std::filesystem::path& path) { return Reader(path).read(); }

}  // namespace taper

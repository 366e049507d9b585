#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include <taper/core/error.h>
#include <taper/io/image_codecs.h>
#include <taper/io/images.h>

namespace taper {
namespace {

constexpr uint64_t deflate_best_ratio = 1032;
constexpr size_t most_chunk_bytes = size_t{8} << 20;

/// What the callbacks need. No object that needs its destructor lives in a frame that a jump
/// leaves.
struct PngState {
  png_structp png = nullptr;
  png_infop info = nullptr;
  char message[128] = {};

  std::string_view input;
  std::string output;
  png_bytepp rows = nullptr;
  png_uint_32 width = 0;
  png_uint_32 height = 0;
  int channels = 0;
};

struct PngReader : PngState {
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};
struct PngWriter : PngState {
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto& state = *static_cast<PngState*>(png_get_error_ptr(png));
  std::snprintf(state.message, sizeof state.message, "%s", text);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t count) {
  auto& state = *static_cast<PngState*>(png_get_io_ptr(png));
  if (count > state.input.size()) png_error(png, "the file is cut short");
  std::memcpy(to, state.input.data(), count);
  state.input.remove_prefix(count);
}

void write_bytes(png_structp png, png_bytep from, size_t count) {
  auto& state = *static_cast<PngState*>(png_get_io_ptr(png));
  bool added = true;
  try {
    state.output.append(reinterpret_cast<const char*>(from), count);
  } catch (...) {
    added = false;  // an exception must not pass through the library
  }
  if (!added) png_error(png, "out of memory");
}

void flush_bytes(png_structp) {}

/// Runs `step`; false if the library gave up, `message` then says why.
bool guarded(PngState& state, void (*step)(PngState&)) {
  if (setjmp(png_jmpbuf(state.png)) != 0) return false;  // NOLINT
  step(state);
  return true;
}

void read_header(PngState& state) {
  png_set_read_fn(state.png, &state, read_bytes);
  // The size is checked by the caller, with a message of its own.
  png_set_user_limits(state.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_malloc_max(state.png, most_chunk_bytes);
  png_read_info(state.png, state.info);
  state.width = png_get_image_width(state.png, state.info);
  state.height = png_get_image_height(state.png, state.info);
}

void choose_output(PngState& state) {
  png_set_expand(state.png);
  png_set_scale_16(state.png);
  png_set_interlace_handling(state.png);
  png_read_update_info(state.png, state.info);
  state.channels = png_get_channels(state.png, state.info);
}

void read_pixels(PngState& state) {
  png_read_image(state.png, state.rows);
  png_read_end(state.png, nullptr);
}

void write_picture(PngState& state) {
  png_set_write_fn(state.png, &state, write_bytes, flush_bytes);
  png_set_user_limits(state.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(state.png, state.info, state.width, state.height, 8,
               state.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(state.png, state.info);
  png_write_image(state.png, state.rows);
  png_write_end(state.png, nullptr);
}

std::vector<png_bytep> rows_of(Tensor& pixels) {
  std::vector<png_bytep> rows;
  const int64_t stride = pixels.size(1) * pixels.size(2);
  auto* row = pixels.mutable_data<uint8_t>();
  for (int64_t y = 0; y < pixels.size(0); ++y, row += stride) rows.push_back(row);
  return rows;
}

/// Composes the picture on white; the last channel says how opaque each pixel is.
void compose_on_white(Tensor& pixels) {
  const int64_t channels = pixels.size(2);
  auto* pixel = pixels.mutable_data<uint8_t>();
  for (int64_t i = pixels.size(0) * pixels.size(1); i > 0; --i, pixel += channels) {
    const unsigned alpha = pixel[channels - 1];
    for (int64_t c = 0; c < channels - 1; ++c) {
      pixel[c] = static_cast<uint8_t>((pixel[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  }
}

}  // namespace

Tensor decode_png(const ImageBytes& source) {
  PngReader reader;
  reader.input = source.bytes;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) fail(ErrorKind::value, "decode_image: out of memory");
  const auto step = [&](void (*run)(PngState&)) {
    if (!guarded(reader, run)) source.fail_io("damaged PNG: " + std::string(reader.message));
  };
  step(read_header);
  source.check_size(reader.width, reader.height);
  step(choose_output);
  const uint64_t pixels = uint64_t{reader.width} * reader.height;
  // The smallest depth is one bit a pixel; less data than that cannot unpack to the picture.
  if (pixels / 8 > source.bytes.size() * deflate_best_ratio) {
    source.fail_io("damaged PNG: too few bytes for " + std::to_string(reader.width) + "x" +
                   std::to_string(reader.height) + " pixels");
  }
  Tensor interleaved = empty({reader.height, reader.width, reader.channels}, DType::u8);
  std::vector<png_bytep> rows = rows_of(interleaved);
  reader.rows = rows.data();
  step(read_pixels);
  const bool has_alpha = reader.channels % 2 == 0;
  if (has_alpha) compose_on_white(interleaved);
  return planes_of(interleaved, reader.channels - (has_alpha ? 1 : 0));
}

std::string encode_png(const Tensor& image) {
  if (image.dtype() != DType::u8) {
    fail(ErrorKind::dtype, "encode_png: the picture must be u8, got " + to_string(image.spec()));
  }
  const int rank = image.rank();
  const int64_t channels = rank == 3 ? image.size(0) : 1;
  if (rank < 2 || rank > 3 || (channels != 1 && channels != 3) || image.numel() == 0 ||
      image.size(-1) > PNG_UINT_31_MAX || image.size(-2) > PNG_UINT_31_MAX) {
    fail(ErrorKind::shape,
         "encode_png: the picture must be u8[H,W], u8[1,H,W] or u8[3,H,W] with at least one "
         "pixel, got " +
             to_string(image.spec()));
  }
  PngWriter writer;
  writer.height = static_cast<png_uint_32>(image.size(-2));
  writer.width = static_cast<png_uint_32>(image.size(-1));
  writer.channels = static_cast<int>(channels);
  const std::vector<uint8_t> planes = image.to_vector<uint8_t>();
  Tensor interleaved = empty({image.size(-2), image.size(-1), channels}, DType::u8);
  auto* out = interleaved.mutable_data<uint8_t>();
  const size_t area = planes.size() / static_cast<size_t>(channels);
  for (size_t i = 0; i < planes.size(); ++i) {
    out[i % area * static_cast<size_t>(channels) + i / area] = planes[i];
  }
  std::vector<png_bytep> rows = rows_of(interleaved);
  writer.rows = rows.data();
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_error, on_warning);
  if (writer.png != nullptr) writer.info = png_create_info_struct(writer.png);
  if (writer.info == nullptr || !guarded(writer, write_picture)) {
    fail(ErrorKind::value, "encode_png: " + std::string(writer.message));
  }
  return std::move(writer.output);
}

}  // namespace taper

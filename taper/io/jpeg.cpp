#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>  // needs what stands before it

#include <jerror.h>

#include <vector>

#include <taper/core/error.h>
#include <taper/io/image_codecs.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

// A progressive file of a few kilobytes can hold thousands of scans of a large picture.
constexpr int most_scans = 200;
constexpr int exif_marker = JPEG_APP0 + 1;
constexpr unsigned longest_marker = 0xffff;

/// What the callbacks need. No object that needs its destructor lives in a frame that a jump
/// leaves.
struct JpegReader {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  jmp_buf jump = {};
  char message[JMSG_LENGTH_MAX] = {};
  std::string_view input;
  JSAMPROW row = nullptr;

  JpegReader() = default;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

JpegReader& reader_of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  info->err->format_message(info, reader.message);
  std::longjmp(reader.jump, 1);
}

/// The library goes on after damage, with grey pixels: most of its warnings are errors here.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  const bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR ||
                        code == JWRN_ADOBE_XFORM || code == JWRN_BOGUS_PROGRESSION;
  if (!harmless) on_error(info);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  if (reader.info.input_scan_number <= most_scans) return;
  std::snprintf(reader.message, sizeof reader.message, "more than %d scans", most_scans);
  std::longjmp(reader.jump, 1);
}

/// Runs `step`; false if the library gave up, `message` then says why.
bool guarded(JpegReader& reader, void (*step)(JpegReader&)) {
  if (setjmp(reader.jump) != 0) return false;  // NOLINT
  step(reader);
  return true;
}

void read_header(JpegReader& reader) {
  jpeg_create_decompress(&reader.info);
  reader.info.progress = &reader.progress;
  jpeg_save_markers(&reader.info, exif_marker, longest_marker);
  jpeg_mem_src(&reader.info, reinterpret_cast<const unsigned char*>(reader.input.data()),
               static_cast<unsigned long>(reader.input.size()));
  jpeg_read_header(&reader.info, TRUE);
}

void start(JpegReader& reader) {
  const J_COLOR_SPACE space = reader.info.jpeg_color_space;
  const bool inks = space == JCS_CMYK || space == JCS_YCCK;
  reader.info.out_color_space = inks                              ? JCS_CMYK
                                : reader.info.num_components == 1 ? JCS_GRAYSCALE
                                                                  : JCS_RGB;
  reader.info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&reader.info);
}

void read_pixels(JpegReader& reader) {
  const size_t stride =
      size_t{reader.info.output_width} * static_cast<size_t>(reader.info.output_components);
  while (reader.info.output_scanline < reader.info.output_height) {
    jpeg_read_scanlines(&reader.info, &reader.row, 1);
    reader.row += stride;
  }
  jpeg_finish_decompress(&reader.info);
}

/// u8[H,W,4] of cyan, magenta, yellow and black as u8[H,W,3]. Adobe's programs store what is left
/// of the paper's white instead of the ink.
Tensor from_inks(const Tensor& inks, bool is_inverted) {
  const int64_t count = inks.size(0) * inks.size(1);
  Tensor colours = empty({inks.size(0), inks.size(1), 3}, DType::u8);
  const uint8_t* from = inks.data<uint8_t>();
  uint8_t* to = colours.mutable_data<uint8_t>();
  const auto light = [&](uint8_t value) { return is_inverted ? value : 255 - value; };
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < 3; ++c) {
      to[3 * i + c] =
          static_cast<uint8_t>((light(from[4 * i + c]) * light(from[4 * i + 3]) + 127) / 255);
    }
  }
  return colours;
}

/// The numbers of an Exif block, which is a TIFF file (Exif 2.3, 4.5). What lies outside it is 0.
struct ExifBlock {
  const uint8_t* bytes;
  size_t size;
  bool little;

  uint32_t number(size_t at, size_t width) const {
    if (at > size || width > size - at) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      value = value << 8 | bytes[little ? at + width - 1 - i : at + i];
    }
    return value;
  }
};

/// The orientation that a camera noted, from 1 (upright) to 8.
int orientation_of(const jpeg_decompress_struct& info) {
  constexpr std::string_view head("Exif\0\0", 6);
  constexpr uint32_t orientation = 0x0112;
  constexpr size_t entry_size = 12;
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view all(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (marker->marker != exif_marker || !all.starts_with(head)) continue;
    const ExifBlock block{marker->data + head.size(), all.size() - head.size(),
                          all.substr(head.size()).starts_with("II")};
    const size_t first = block.number(4, 4);
    const size_t count = block.number(first, 2);
    for (size_t i = 0; i < count; ++i) {
      const size_t entry = first + 2 + i * entry_size;
      if (block.number(entry, 2) != orientation) continue;
      const uint32_t value = block.number(entry + 8, 2);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

/// u8[C,H,W] as it was seen.
Tensor turned(const Tensor& picture, int orientation) {
  if (orientation == 1) return picture;
  const bool transposed = orientation >= 5;
  const bool flips_height =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool flips_width =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  Tensor seen = transposed ? permute_dims(picture, {0, 2, 1}) : picture;
  if (flips_height) seen = flip(seen, 1);
  if (flips_width) seen = flip(seen, 2);
  return contiguous(seen);
}

}  // namespace

Tensor decode_jpeg(const ImageBytes& source) {
  JpegReader reader;
  reader.input = source.bytes;
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.info.client_data = &reader;
  reader.errors.error_exit = on_error;
  reader.errors.emit_message = on_message;
  reader.errors.output_message = on_output;
  reader.progress.progress_monitor = on_progress;
  const auto step = [&](void (*run)(JpegReader&)) {
    if (!guarded(reader, run)) source.fail_io("damaged JPEG: " + std::string(reader.message));
  };
  step(read_header);
  source.check_size(reader.info.image_width, reader.info.image_height);
  const int orientation = orientation_of(reader.info);  // the markers go with the last row
  step(start);
  const int64_t channels = reader.info.output_components;
  Tensor interleaved =
      empty({reader.info.output_height, reader.info.output_width, channels}, DType::u8);
  reader.row = interleaved.mutable_data<uint8_t>();
  step(read_pixels);
  if (reader.info.out_color_space == JCS_CMYK) {
    interleaved = from_inks(interleaved, reader.info.saw_Adobe_marker != 0);
  }
  return turned(planes_of(interleaved, interleaved.size(2)), orientation);
}

}  // namespace taper

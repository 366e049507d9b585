#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>  // needs what stands before it

#include <jerror.h>

#include <vector>

#include <taper/core/error.h>
#include <taper/io/image_codecs.h>

namespace taper {
namespace {

// A progressive file of a few kilobytes can hold thousands of scans of a large picture.
constexpr int most_scans = 200;

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
  jpeg_mem_src(&reader.info, reinterpret_cast<const unsigned char*>(reader.input.data()),
               static_cast<unsigned long>(reader.input.size()));
  jpeg_read_header(&reader.info, TRUE);
}

void start(JpegReader& reader) {
  reader.info.out_color_space = reader.info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
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
  const J_COLOR_SPACE space = reader.info.jpeg_color_space;
  if (space == JCS_CMYK || space == JCS_YCCK) {
    fail(ErrorKind::unsupported,
         "decode_image: " + source.name + ": a CMYK JPEG is not read; convert it to RGB before");
  }
  step(start);
  const int64_t channels = reader.info.output_components;
  Tensor interleaved =
      empty({reader.info.output_height, reader.info.output_width, channels}, DType::u8);
  reader.row = interleaved.mutable_data<uint8_t>();
  step(read_pixels);
  return planes_of(interleaved, channels);
}

}  // namespace taper

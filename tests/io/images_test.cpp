#include <taper/io/images.h>

#include <algorithm>
#include <string>
#include <vector>

#include "file_testing.h"

namespace taper {
namespace {

using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

std::string bytes_of(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// Files written by Pillow 13.0; the numbers in the tests are what Pillow reads from them.
const std::string rgb_jpeg = bytes_of(
    "ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a"
    "070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ffdb004301"
    "03040405040509050509140d0b0d141414141414141414141414141414141414141414141414141414141414141414"
    "1414141414141414141414141414141414ffc00011080006000803012200021101031101ffc4001500010100000000"
    "000000000000000000000004ffc4001e100001010900000000000000000000000000010305060821234142d1ffc400"
    "14010100000000000000000000000000000005ffc4001d110001030501000000000000000000000005000203010607"
    "1"
    "523f0ffda000c03010002110311003f009e0295973dbab1c6abc00005fc7ca6ee4eee49e3b3e534317777a8bfffd"
    "9");
const std::string grey_jpeg = bytes_of(
    "ffd8ffe000104a46494600010100000100010000ffdb0043000302020302020303030304030304050805050404050a"
    "070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f171816141812141514ffc0000b08"
    "0006000801011100ffc40014000100000000000000000000000000000006ffc4001910000105000000000000000000"
    "00000000000103092582ffda0008010100003f00151dcc25664fffd9");
const std::string cmyk_jpeg = bytes_of(
    "ffd8ffee000e41646f626500640000000000ffdb004300080606070605080707070909080a0c140d0c0b0b0c191213"
    "0f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc00014080002"
    "0002044311004d11005911004b1100ffc40014000100000000000000000000000000000007ffc40014100100000000"
    "000000000000000000000000ffda000e0443004d0059004b00003f007535984aefffd9");
const std::string palette_png = bytes_of(
    "89504e470d0a1a0a0000000d49484452000000020000000202030000000fd8e5b700000009504c5445ff000000ff00"
    "0000ff2d4acd8a0000000374524e53ff0080a95673130000000c4944415478da63106098000000c400a128a1693a00"
    "00000049454e44ae426082");
const std::string deep_png = bytes_of(
    "89504e470d0a1a0a0000000d49484452000000040000000110000000008cc78c520000001149444154789c63606060"
    "646c60f8ff1f0005110281aee9d4590000000049454e44ae426082");
const std::string bits_png = bytes_of(
    "89504e470d0a1a0a0000000d4948445200000003000000020100000000b50f5bb70000000c49444154789c6358c074"
    "000002a801639aee58740000000049454e44ae426082");

Tensor picture(const Shape& shape, const std::vector<int>& values) {
  return from_values<uint8_t>(shape, std::vector<uint8_t>(values.begin(), values.end()));
}

void expect_picture(const Tensor& actual, const Shape& shape, const std::vector<int>& values) {
  EXPECT_EQ(actual.shape(), shape);
  EXPECT_EQ(actual.dtype(), DType::u8);
  EXPECT_EQ(actual.to_vector<int>(), values);
}

/// 6 rows of 8 pixels: (5 x^2 + 37 y) mod 256.
Tensor parabolas() {
  std::vector<int> values;
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 8; ++x) values.push_back((5 * x * x + 37 * y) % 256);
  }
  return picture({1, 6, 8}, values);
}

/// Three channels of different pictures.
Tensor colours() {
  std::vector<int> values;
  for (int i = 0; i < 3 * 17 * 23; ++i) values.push_back(i * i % 251);
  return picture({3, 17, 23}, values);
}

TEST(Images, PngComesBackAsItWas) {
  for (const Tensor& image : {colours(), parabolas(), picture({3, 1, 1}, {1, 2, 3})}) {
    const Tensor back = decode_image(encode_png(image));
    EXPECT_EQ(back.spec(), image.spec());
    EXPECT_EQ(back.to_vector<int>(), image.to_vector<int>());
    EXPECT_EQ(encode_png(image), encode_png(back));
  }
  expect_picture(decode_image(encode_png(picture({2, 1}, {7, 9}))), {1, 2, 1}, {7, 9});
}

TEST(Images, PngOfOtherKindsBecomeBytes) {
  // Red, nothing at all, half a blue, nothing: on white.
  expect_picture(decode_image(palette_png), {3, 2, 2},
                 {255, 255, 127, 255, 0, 255, 127, 255, 0, 255, 255, 255});
  expect_picture(decode_image(deep_png), {1, 1, 4}, {0, 1, 128, 255});
  expect_picture(decode_image(bits_png), {1, 2, 3}, {255, 0, 255, 0, 255, 255});
}

TEST(Images, JpegIsReadAsPillowReadsIt) {
  const Tensor grey = decode_image(grey_jpeg);
  expect_picture(grey, {1, 6, 8},
                 {1, 30, 61, 90, 121, 150, 181, 210, 1, 30, 62, 90, 121, 150, 181, 210,
                  2, 31, 63, 91, 123, 151, 182, 212, 4, 33, 64, 93, 124, 152, 184, 213,
                  4, 34, 65, 94, 125, 153, 185, 214, 5, 34, 65, 94, 125, 154, 185, 214});
  const Tensor rgb = decode_image(rgb_jpeg);
  EXPECT_EQ(rgb.shape(), (Shape{3, 6, 8}));
  const std::vector<int> values = rgb.to_vector<int>();
  EXPECT_EQ(std::vector<int>(values.begin(), values.begin() + 8),
            (std::vector<int>{1, 19, 50, 79, 112, 140, 169, 188}));
  EXPECT_EQ(std::vector<int>(values.end() - 8, values.end()),
            (std::vector<int>{231, 227, 211, 189, 167, 145, 129, 125}));
}

TEST(Images, InksAreWhatTheyLeaveOfWhite) {
  expect_picture(decode_image(cmyk_jpeg), {3, 2, 2},
                 {207, 207, 207, 207, 198, 198, 198, 198, 190, 190, 190, 190});  // as Pillow says
}

/// The picture with a camera's note of its orientation; `order` is "II" or "MM".
std::string with_orientation(const std::string& jpeg, int orientation, const std::string& order) {
  const auto number = [&](unsigned value, size_t width) {
    std::string bytes;
    for (size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> 8 * i);
    if (order == "MM") std::ranges::reverse(bytes);
    return bytes;
  };
  const std::string tiff =
      order + number(42, 2) + number(8, 4) + number(2, 2) + number(0x0100, 2) + number(4, 2) +
      number(1, 4) + number(8, 4) + number(0x0112, 2) + number(3, 2) + number(1, 4) +
      number(static_cast<unsigned>(orientation), 2) + number(0, 2) + number(0, 4);
  const std::string block = std::string("Exif\0\0", 6) + tiff;
  const auto length = static_cast<unsigned>(block.size() + 2);
  return jpeg.substr(0, 2) + "\xff\xe1" + static_cast<char>(length >> 8) +
         static_cast<char>(length) + block + jpeg.substr(2);
}

TEST(Images, AreTurnedAsTheCameraNoted) {
  const Tensor plain = decode_image(rgb_jpeg);
  const auto at = [](const Tensor& picture, int64_t row, int64_t column) {  // red
    return picture.to_vector<int>()[static_cast<size_t>(row * picture.size(2) + column)];
  };
  const int64_t height = plain.size(1);
  const int64_t width = plain.size(2);
  // Exif 2.3: where row 0 and column 0 of what is stored are seen.
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Tensor seen =
        decode_image(with_orientation(rgb_jpeg, orientation, orientation % 2 == 0 ? "II" : "MM"));
    const bool stands = orientation >= 5;
    ASSERT_EQ(seen.shape(), stands ? Shape({3, width, height}) : Shape({3, height, width}));
    for (const auto& [y, x] : {std::pair<int64_t, int64_t>{0, 0}, {1, 5}, {5, 2}, {3, 7}}) {
      const int64_t down = height - 1 - y;
      const int64_t left = width - 1 - x;
      const std::pair<int64_t, int64_t> places[] = {{y, x}, {y, left}, {down, left}, {down, x},
                                                    {x, y}, {x, down}, {left, down}, {left, y}};
      const auto& [row, column] = places[orientation - 1];
      EXPECT_EQ(at(seen, row, column), at(plain, y, x)) << orientation << " " << y << " " << x;
    }
  }
  EXPECT_EQ(decode_image(with_orientation(rgb_jpeg, 9, "II")).shape(), plain.shape());
}

TEST(Images, SurviveAnyNoteOfACamera) {
  const std::string jpeg = with_orientation(grey_jpeg, 6, "II");
  for (size_t at = 4; at < 48; ++at) {
    for (const char byte : {'\0', '\1', '\x7f', '\xff'}) {
      std::string changed = jpeg;
      changed[at] = byte;
      try {
        decode_image(changed);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::io) << error.what();
      }
    }
  }
}

TEST(Images, TheContentTellsTheKindAndNotTheName) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_image(put(folder / "a.jpg", bits_png)).shape(), (Shape{1, 2, 3}));
  EXPECT_EQ(read_image(put(folder / "a.png", grey_jpeg)).shape(), (Shape{1, 6, 8}));
  const auto refusal = [&](const std::string& bytes, ErrorKind kind = ErrorKind::io) {
    const auto path = put(folder / "b.png", bytes);
    const std::string text = error_of(kind, [&] { read_image(path); });
    const std::string start = "decode_image: " + path.string() + ": ";
    EXPECT_TRUE(text.starts_with(start)) << text;
    return text.substr(std::min(start.size(), text.size()));
  };
  EXPECT_EQ(refusal(""), "the file is empty");
  EXPECT_EQ(refusal("GIF89a..."), "a GIF file; PNG and JPEG are read");
  EXPECT_EQ(refusal("hello"), "neither a PNG nor a JPEG file");
  error_of(ErrorKind::io, [&] { read_image(folder / "none.png"); });
}

TEST(Images, HugeOnesAreRefusedFromTheHeader) {
  std::string png = bits_png.substr(0, 16) + bytes_of("0000c3500000c350") + bits_png.substr(24);
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17);
  for (int i = 0; i < 4; ++i)
    png[29 + static_cast<size_t>(i)] = static_cast<char>(crc >> (24 - 8 * i));
  EXPECT_EQ(error_of(ErrorKind::io, [&] { decode_image(png, "big"); }),
            "decode_image: big: 50000x50000 pixels are more than the limit of 67108864");
  // Within the limit, but far more pixels than the few bytes can hold.
  EXPECT_EQ(error_of(ErrorKind::io, [&] { decode_image(png, "big", int64_t{1} << 40); }),
            "decode_image: big: damaged PNG: too few bytes for 50000x50000 pixels");
  std::string jpeg = grey_jpeg;
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, bytes_of("c350c350"));
  EXPECT_EQ(error_of(ErrorKind::io, [&] { decode_image(jpeg, "big"); }),
            "decode_image: big: 50000x50000 pixels are more than the limit of 67108864");
  jpeg.replace(frame + 5, 4, bytes_of("00000008"));
  EXPECT_NE(error_of(ErrorKind::io, [&] { decode_image(jpeg); }).find("damaged JPEG"),
            std::string::npos);
}

TEST(Images, DamagedOnesAreRefusedOrRead) {
  const TemporaryFolder folder;
  const auto read = [](const std::filesystem::path& path) { read_image(path, 1 << 16); };
  for (const std::string& good : {encode_png(colours()), palette_png, rgb_jpeg, grey_jpeg}) {
    testing::expect_prefixes_refused(good, folder / "cut", read);
    testing::read_mutations(good, folder / "changed", read);
  }
}

TEST(Images, EncodeRefusesWhatIsNoPicture) {
  error_of(ErrorKind::dtype, [] { encode_png(empty({1, 2, 2}, DType::f32)); });
  for (const Shape& shape : {Shape{4}, Shape{2, 3, 3}, Shape{1, 0, 3}, Shape{1, 1, 2, 2}}) {
    error_of(ErrorKind::shape, [&] { encode_png(empty(shape, DType::u8)); });
  }
}

TEST(Images, ResizeIsThatOfPillow) {
  // Image.resize of the picture as floats with BILINEAR, rounded.
  const Tensor image = parabolas();
  expect_picture(resize_image(image, 2, 3), {1, 2, 3}, {57, 113, 156, 149, 154, 111});
  expect_picture(resize_image(image, 1, 1), {1, 1, 1}, {125});
  expect_picture(resize_image(image, 4, 8), {1, 4, 8},
                 {14,  19,  34,  59,  94,  139, 194, 163, 66,  71,  86,  111, 146, 191, 217, 55,
                  119, 124, 139, 164, 199, 159, 72,  108, 171, 176, 191, 216, 91,  40,  95,  160});
  const std::vector<int> larger = resize_image(image, 9, 11).to_vector<int>();
  EXPECT_EQ(std::vector<int>(larger.begin() + 22, larger.begin() + 33),
            (std::vector<int>{43, 46, 53, 64, 82, 106, 133, 166, 206, 145, 32}));
  EXPECT_EQ(resize_image(colours(), 17, 23).to_vector<int>(), colours().to_vector<int>());
}

TEST(Images, ResizeRefusesOtherSizes) {
  const auto refusal = [](int64_t height, int64_t width) {
    return error_of(ErrorKind::value, [&] { resize_image(parabolas(), height, width); });
  };
  EXPECT_EQ(refusal(0, 3),
            "resize_image: the new size must be at least 1x1 and at most 67108864 pixels, got 0x3");
  refusal(3, -1);
  refusal(int64_t{1} << 40, int64_t{1} << 40);
  error_of(ErrorKind::shape, [] { resize_image(empty({1, 0, 3}, DType::u8), 2, 2); });
  error_of(ErrorKind::dtype, [] { resize_image(empty({1, 2, 3}, DType::f32), 2, 2); });
}

TEST(Images, GreyIsTheLuma) {
  // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2 and 0.299 * 1 + 0.587 * 1 + 0.114 * 0 = 0.886
  const Tensor image = picture({3, 1, 3}, {200, 1, 255, 100, 1, 255, 50, 0, 255});
  expect_picture(to_grey(image), {1, 1, 3}, {124, 1, 255});
  EXPECT_EQ(to_grey(parabolas()).to_vector<int>(), parabolas().to_vector<int>());
  error_of(ErrorKind::shape, [] { to_grey(empty({2, 2, 2}, DType::u8)); });
}

}  // namespace
}  // namespace taper

#include <taper/data/idx.h>

#include <taper/core/allocator.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::gzipped;
using testing::put;
using testing::TemporaryFolder;

/// The bytes of an idx file.
std::string idx(int code, const std::vector<uint32_t>& sizes, const std::string& data) {
  std::string bytes = {0, 0, static_cast<char>(code), static_cast<char>(sizes.size())};
  for (uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes + data;
}

/// What is wrong with the file, without the path before it.
std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "bad-idx", bytes);
  const std::string text = error_of(ErrorKind::io, [&] { read_idx(path); });
  const std::string prefix = "read_idx: " + path.string() + ": ";
  EXPECT_TRUE(text.starts_with(prefix)) << text;
  return text.substr(std::min(text.size(), prefix.size()));
}

TEST(ReadIdx, ReadsEveryType) {
  const TemporaryFolder folder;
  const auto read = [&](int code, const std::string& data) {
    return read_idx(put(folder / "file", idx(code, {2}, data)));
  };
  const auto expect = [](const Tensor& tensor, DType dtype, const std::vector<double>& values) {
    EXPECT_EQ(tensor.dtype(), dtype);
    EXPECT_EQ(tensor.shape(), (Shape{2}));
    EXPECT_EQ(tensor.to_vector<double>(), values);
  };
  const auto bytes = [](const char* text, size_t size) { return std::string(text, size); };
  expect(read(0x08, "\1\xff"), DType::u8, {1, 255});
  expect(read(0x09, "\1\xff"), DType::i8, {1, -1});
  expect(read(0x0B, "\1\2\xff\xfe"), DType::i16, {258, -2});
  expect(read(0x0C, bytes("\0\1\0\0\xff\xff\xff\xfd", 8)), DType::i32, {65536, -3});
  expect(read(0x0D, bytes("\x3f\xc0\0\0\xc0\0\0\0", 8)), DType::f32, {1.5, -2});
  expect(read(0x0E, bytes("\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16)), DType::f64, {1.5, -2});
}

TEST(ReadIdx, ReadsShapesPlainAndGzipped) {
  const TemporaryFolder folder;
  const std::string file = idx(0x08, {2, 1, 3}, "abcdef");
  for (const std::string& bytes : {file, gzipped(file)}) {
    const Tensor tensor = read_idx(put(folder / "file", bytes));
    EXPECT_EQ(tensor.shape(), (Shape{2, 1, 3}));
    EXPECT_EQ(tensor.to_vector<char>(), (std::vector<char>{'a', 'b', 'c', 'd', 'e', 'f'}));
  }
  EXPECT_EQ(read_idx(put(folder / "scalar", idx(0x08, {}, "a"))).shape(), Shape{});
  EXPECT_EQ(read_idx(put(folder / "empty", idx(0x0C, {0, 5}, ""))).shape(), (Shape{0, 5}));
  EXPECT_EQ(read_idx(put(folder / "deep", idx(8, {1, 1, 1, 1, 1, 1, 1, 2}, "ab"))).rank(), 8);
}

TEST(ReadIdx, RefusesABadHeader) {
  EXPECT_EQ(refusal(""), "the file ends within the header");
  EXPECT_EQ(refusal("PNG!"), "this is no idx file: it does not begin with two zero bytes");
  EXPECT_EQ(refusal(idx(0x0A, {1}, "a")), "unknown type code 10");
  EXPECT_EQ(refusal(idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}, "a")),
            "has 9 axes, at most 8 are possible");
}

TEST(ReadIdx, RefusesOtherAmountsOfData) {
  EXPECT_EQ(refusal(idx(0x08, {60000, 28, 28}, std::string(1234, 'x'))),
            "the header promises 60000x28x28 of u8 (47040000 bytes), the file holds at most 1250");
  EXPECT_EQ(refusal(idx(0x08, {2, 3}, "abc")),
            "the header promises 2x3 of u8 (6 bytes), the file holds 3");
  EXPECT_EQ(refusal(idx(0x0C, {2}, "abc")),
            "the header promises 2 of i32 (8 bytes), the file holds 3");
  EXPECT_EQ(refusal(idx(0x08, {2, 3}, "abcdefg")),
            "the header promises 2x3 of u8 (6 bytes), the file holds more");
  EXPECT_EQ(refusal(gzipped(idx(0x08, {20, 3}, "abc"))),
            "the header promises 20x3 of u8 (60 bytes), the file holds 3");
  EXPECT_EQ(refusal(idx(0x08, {}, "")),
            "the header promises one value of u8 (1 bytes), the file holds 0");
  EXPECT_EQ(refusal(idx(0x0E, {0xffffffff, 0xffffffff}, "")),
            "the header promises 4294967295x4294967295 of f64, too many to address");
}

TEST(ReadIdx, TakesNoMemoryForARefusedFile) {
  reset_peak_memory();
  const size_t before = memory_stats().peak;
  refusal(idx(0x08, {60000, 28, 28}, "abc"));
  refusal(gzipped(idx(0x08, {0xffffffff, 0x7fffffff}, "abc")));
  EXPECT_EQ(memory_stats().peak, before);
}

TEST(ReadIdx, RefusesTruncationAtEveryByte) {
  const TemporaryFolder folder;
  const auto read = [](const fs::path& path) { read_idx(path); };
  const std::string file = idx(0x0C, {2, 2}, "0123456789abcdef");
  testing::expect_prefixes_refused(file, folder / "cut-idx", read);
  testing::expect_prefixes_refused(gzipped(file), folder / "cut-idx.gz", read);
}

TEST(ReadIdx, SurvivesRandomMutations) {
  const TemporaryFolder folder;
  const auto read = [](const fs::path& path) { read_idx(path); };
  const std::string file = idx(0x0B, {2, 3}, "0123456789ab");
  EXPECT_GT(testing::read_mutations(file, folder / "mutated-idx", read), 10);
  testing::read_mutations(gzipped(file), folder / "mutated-idx.gz", read);
}

}  // namespace
}  // namespace taper::data

#include <taper/io/safetensors.h>

#include <algorithm>
#include <cstring>

#include <taper/core/allocator.h>
#include <taper/ops/ops.h>

#include "file_testing.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using testing::content_of;
using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

/// A file with this header and data.
std::string file_of(const std::string& header, const std::string& data = {}) {
  const uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

/// What is wrong with the file, without the path before it.
std::string refusal(const std::string& bytes, ErrorKind kind = ErrorKind::io) {
  const TemporaryFolder folder;
  const fs::path path = put(folder / "bad.safetensors", bytes);
  const std::string text = error_of(kind, [&] { load_safetensors(path); });
  const std::string prefix = "load_safetensors: " + path.string() + ": ";
  EXPECT_TRUE(text.starts_with(prefix)) << text;
  return text.substr(std::min(text.size(), prefix.size()));
}

/// The same for a file with one tensor "x" and 8 bytes of data.
std::string entry_refusal(const std::string& entry, ErrorKind kind = ErrorKind::io) {
  return refusal(file_of("{\"x\":" + entry + "}", "12345678"), kind);
}

template <class T>
Tensor counting(const Shape& shape) {
  std::vector<T> values;
  for (int64_t i = 0; i < shape.numel(); ++i)
    values.push_back(T(static_cast<float>(i % 2 + i / 2)));
  if constexpr (std::is_same_v<T, bool>) {
    Tensor result = empty(shape, DType::boolean);
    for (int64_t i = 0; i < shape.numel(); ++i) result.mutable_data<bool>()[i] = i % 2 == 1;
    return result;
  } else {
    return from_values<T>(shape, values);
  }
}

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.spec(), b.spec());
  EXPECT_EQ(to_string(a), to_string(b));
}

TEST(SafeTensors, EveryDTypeAndShapeComesBack) {
  const TemporaryFolder folder;
  const fs::path path = folder / "all.safetensors";
  NamedTensors tensors;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 4}, Shape{1, 1, 5}}) {
    for (DType dtype : all_dtypes) {
      if (dtype == DType::c128) continue;  // the format has none
      const Tensor tensor =
          visit<kinds::every>(dtype, [&]<class T>() { return counting<T>(shape); });
      tensors.emplace_back(std::string(dtype_name(dtype)) + to_string(shape), tensor);
    }
  }
  save_safetensors(path, tensors, {{"format", "taper"}, {"empty", ""}});
  const SafeTensors loaded = load_safetensors(path);
  ASSERT_EQ(loaded.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) expect_same(loaded.at(name), tensor);
  EXPECT_EQ(loaded.metadata, (Metadata{{"format", "taper"}, {"empty", ""}}));
  EXPECT_EQ(*loaded.find_metadata("format"), "taper");
  EXPECT_EQ(loaded.find_metadata("none"), nullptr);
}

TEST(SafeTensors, BytesAreThoseOfTheReference) {
  const TemporaryFolder folder;
  const fs::path path = folder / "two.safetensors";
  save_safetensors(path, {{"b", tensor<uint8_t>({7, 8})}, {"a", tensor<int16_t>({1, -1})}},
                   {{"k", "v"}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},)"
      R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(content_of(path), file_of(header + padding, std::string("\1\0\xff\xff\7\10", 6)));
}

TEST(SafeTensors, OrderGivenDoesNotMatter) {
  const TemporaryFolder folder;
  const std::pair<std::string, Tensor> x{"x", tensor<float>({1, 2})};
  const std::pair<std::string, Tensor> y{"y", tensor<int64_t>({3})};
  const std::pair<std::string, Tensor> z{"z", tensor<float>({4})};
  save_safetensors(folder / "1", {x, y, z});
  save_safetensors(folder / "2", {z, y, x});
  EXPECT_EQ(content_of(folder / "1"), content_of(folder / "2"));
  EXPECT_EQ(load_safetensors(folder / "1").tensors[0].first, "y");
}

TEST(SafeTensors, NothingAtAllIsAFile) {
  const TemporaryFolder folder;
  save_safetensors(folder / "empty", {});
  EXPECT_EQ(content_of(folder / "empty"), file_of("{}      "));
  EXPECT_TRUE(load_safetensors(folder / "empty").tensors.empty());
}

TEST(SafeTensors, StridedTensorsAreWrittenInRowMajorOrder) {
  const TemporaryFolder folder;
  const Tensor base = tensor<int32_t>({0, 1, 2, 3, 4, 5});
  const Tensor transposed = view_of(base, {DType::i32, {}, {3, 2}}, {1, 3}, 0);
  const Tensor repeated = view_of(base, {DType::i32, {}, {2, 2}}, {0, 1}, 4);
  save_safetensors(folder / "views", {{"t", transposed}, {"r", repeated}});
  const SafeTensors loaded = load_safetensors(folder / "views");
  EXPECT_EQ(loaded.at("t").to_vector<int>(), (std::vector<int>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(loaded.at("r").to_vector<int>(), (std::vector<int>{4, 5, 4, 5}));
  EXPECT_TRUE(loaded.at("t").is_contiguous());
}

TEST(SafeTensors, NamesMayHoldAnyText) {
  const TemporaryFolder folder;
  const std::string name = "a \"quoted\" \\ name\n\twith \u00e4\u4e2d\U0001f600 and \x01";
  save_safetensors(folder / "names", {{name, tensor<float>({1})}, {"", tensor<float>({2})}},
                   {{name, name}});
  const SafeTensors loaded = load_safetensors(folder / "names");
  EXPECT_EQ(loaded.at(name).item(), 1);
  EXPECT_EQ(loaded.at("").item(), 2);
  EXPECT_EQ(*loaded.find_metadata(name), name);
}

TEST(SafeTensors, AMissingNameListsTheOthers) {
  SafeTensors file;
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { file.at("w"); }),
            "there is no tensor \"w\"; there are none");
  file.tensors = {{"a", tensor<float>({1})}, {"b", tensor<float>({1})}};
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { file.at("w"); }),
            "there is no tensor \"w\"; there are a, b");
  EXPECT_EQ(file.find("w"), nullptr);
}

TEST(SafeTensors, SaveRefusesWhatCouldNotBeRead) {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  const Tensor x = tensor<float>({1});
  const auto saving = [&](const NamedTensors& tensors, const Metadata& metadata = {}) {
    return error_of(ErrorKind::value, [&] { save_safetensors(path, tensors, metadata); });
  };
  EXPECT_EQ(saving({{"x", x}, {"x", x}}), "save_safetensors: the tensor \"x\" is given twice");
  EXPECT_EQ(saving({{"x", Tensor()}}), "save_safetensors: the tensor \"x\" is undefined");
  EXPECT_EQ(saving({{"__metadata__", x}}),
            "save_safetensors: no tensor can be named \"__metadata__\"");
  EXPECT_EQ(saving({}, {{"k", "1"}, {"k", "2"}}),
            "save_safetensors: the metadata \"k\" is given twice");
  EXPECT_EQ(saving({{"\xff", x}}), "save_safetensors: the name \"\ufffd\" is not UTF-8");
  EXPECT_EQ(saving({}, {{"k", "\xff"}}),
            "save_safetensors: the metadata of \"k\" \"\ufffd\" is not UTF-8");
  EXPECT_FALSE(fs::exists(path));
}

TEST(SafeTensors, RefusesABadHeaderLength) {
  EXPECT_EQ(refusal(""), "the file holds 0 bytes, the length of the header alone takes 8");
  EXPECT_EQ(refusal("1234567"), "the file holds 7 bytes, the length of the header alone takes 8");
  EXPECT_EQ(refusal(std::string("\x3c\0\0\0\0\0\0\0{}", 10)),
            "the header claims 60 bytes, the file holds 2 after its length");
  EXPECT_EQ(refusal(std::string("\1\xe1\xf5\5\0\0\0\0{}", 10)),
            "the header claims 100000001 bytes, the format allows 100000000");
  EXPECT_EQ(refusal(std::string(8, '\xff') + "{}"),
            "the header claims 18446744073709551615 bytes, the format allows 100000000");
}

TEST(SafeTensors, RefusesAHeaderThatIsNoJsonObject) {
  EXPECT_EQ(refusal(file_of("")), "the header does not begin with '{'");
  EXPECT_EQ(refusal(file_of("[]")), "the header does not begin with '{'");
  EXPECT_EQ(refusal(file_of(" {}")), "the header does not begin with '{'");
  EXPECT_TRUE(refusal(file_of("{")).starts_with("the header: json: line 1, column "));
  EXPECT_TRUE(refusal(file_of("{}x")).starts_with("the header: json: line 1, column 3: "));
  EXPECT_TRUE(refusal(file_of("{\"\xff\":1}")).starts_with("the header: json: line 1, column "));
  const std::string entry = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_NE(refusal(file_of("{\"x\":" + entry + ",\"x\":" + entry + "}"))
                .find("the name \"x\" is given twice"),
            std::string::npos);
  std::string deep = "{\"x\":";
  for (int i = 0; i < 100'000; ++i) deep += "[";
  EXPECT_NE(refusal(file_of(deep)).find("nested deeper than"), std::string::npos);
}

TEST(SafeTensors, RefusesBadMetadata) {
  EXPECT_EQ(refusal(file_of(R"({"__metadata__":[]})")),
            "__metadata__ must be an object, got list of int");
  EXPECT_EQ(refusal(file_of(R"({"__metadata__":{"k":1}})")),
            "__metadata__: \"k\" must be a string, got int");
}

TEST(SafeTensors, HaveNoWideComplexNumbers) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(ErrorKind::unsupported,
                     [&] { save_safetensors(folder / "x", {{"z", zeros({2}, DType::c128)}}); }),
            "save_safetensors: the tensor \"z\" is c128, which the format does not have; save "
            "real(x) and imag(x), or astype(x, complex64)");
}

TEST(SafeTensors, RefusesAMalformedEntry) {
  EXPECT_EQ(entry_refusal("1"), "tensor \"x\": must be an object, got int");
  EXPECT_EQ(entry_refusal("{}"), "tensor \"x\": has no dtype");
  EXPECT_EQ(entry_refusal(R"({"dtype":8})"), "tensor \"x\": dtype must be a string, got int");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F31","shape":[2],"data_offsets":[0,8]})"),
            "tensor \"x\": the format has no dtype \"F31\"");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})",
                          ErrorKind::unsupported),
            "tensor \"x\": Taper has no dtype F8_E4M3");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","data_offsets":[0,8]})"), "tensor \"x\": has no shape");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"),
            "tensor \"x\": shape must be a list of int, got int");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"),
            "tensor \"x\": shape must be a list of int, got list of float");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"),
            "tensor \"x\": shape has the negative value -2");
  EXPECT_EQ(entry_refusal(R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,8],"data_offsets":[0,8]})",
                          ErrorKind::unsupported),
            "tensor \"x\": has 9 axes, Taper has at most 8");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[2]})"), "tensor \"x\": has no data_offsets");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"),
            "tensor \"x\": data_offsets must be two integers, got 1");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[]})"),
            "tensor \"x\": data_offsets must be two integers, got 0");
}

TEST(SafeTensors, RefusesSizesThatLie) {
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
            "tensor \"x\": f32[3] takes 12 bytes, data_offsets [0,8] hold 8");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"),
            "tensor \"x\": data_offsets [8,0] end before they begin");
  EXPECT_EQ(entry_refusal(R"({"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]})"),
            "tensor \"x\": data_offsets [0,4000000] exceed the 8 bytes of data in the file");
  EXPECT_NE(entry_refusal(R"({"dtype":"F32","shape":[4294967296,4294967296,2],)"
                          R"("data_offsets":[0,8]})")
                .find("too large to address"),
            std::string::npos);
  EXPECT_NE(entry_refusal(R"({"dtype":"F32","shape":[99999999999999999999],)"
                          R"("data_offsets":[0,8]})")
                .find("does not fit 64 bits"),
            std::string::npos);
  EXPECT_NE(entry_refusal(R"({"dtype":"F64","shape":[9223372036854775807,0],)"
                          R"("data_offsets":[0,0]})")
                .find("too large to address"),
            std::string::npos);
}

TEST(SafeTensors, RefusesHolesOverlapAndTrailingBytes) {
  const auto two = [](const std::string& a, const std::string& b, size_t bytes) {
    return file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                       R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                   std::string(bytes, '.'));
  };
  EXPECT_EQ(refusal(two("[0,4]", "[5,9]", 9)),
            "tensor \"b\": its data begin at 5, those before end at 4");
  EXPECT_EQ(refusal(two("[0,4]", "[2,6]", 6)),
            "tensor \"b\": its data begin at 2, those before end at 4");
  EXPECT_EQ(refusal(two("[0,4]", "[0,4]", 4)),
            "tensor \"b\": its data begin at 0, those before end at 4");
  EXPECT_EQ(refusal(two("[1,5]", "[5,9]", 9)),
            "tensor \"a\": its data begin at 1, those before end at 0");
  EXPECT_EQ(refusal(two("[0,4]", "[4,8]", 9)),
            "the tensors take 8 bytes of data, the file holds 9");
  EXPECT_EQ(refusal(file_of("{}", "x")), "the tensors take 0 bytes of data, the file holds 1");
}

TEST(SafeTensors, RefusesBoolsThatAreNone) {
  EXPECT_EQ(refusal(file_of(R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})",
                            std::string("\0\1\2", 3))),
            "tensor \"m\": a bool must be 0 or 1, element 2 is 2");
}

TEST(SafeTensors, ReadsTensorsInAnyOrderOfTheHeader) {
  const TemporaryFolder folder;
  const fs::path path =
      put(folder / "file", file_of(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                                   R"("e":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},)"
                                   R"("a":{"shape":[1],"data_offsets":[0,1],"dtype":"U8"}} )",
                                   "\5\6"));
  const SafeTensors loaded = load_safetensors(path);
  ASSERT_EQ(loaded.tensors.size(), 3u);
  EXPECT_EQ(loaded.tensors[0].first, "a");
  EXPECT_EQ(loaded.at("a").item<int>(), 5);
  EXPECT_EQ(loaded.at("b").item<int>(), 6);
  EXPECT_EQ(loaded.at("e").shape(), (Shape{0}));
}

TEST(SafeTensors, TakesNoMemoryForARefusedFile) {
  reset_peak_memory();
  const size_t before = memory_stats().peak;
  entry_refusal(R"({"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]})");
  EXPECT_EQ(memory_stats().peak, before);
}

std::string small_file() {
  const TemporaryFolder folder;
  save_safetensors(folder / "small", {{"w", tensor<float>({1, 2, 3})}, {"b", tensor<bool>({true})}},
                   {{"k", "v"}});
  return content_of(folder / "small");
}

TEST(SafeTensors, RefusesTruncationAtEveryByte) {
  const TemporaryFolder folder;
  testing::expect_prefixes_refused(small_file(), folder / "cut.safetensors",
                                   [](const fs::path& path) { load_safetensors(path); });
}

TEST(SafeTensors, SurvivesRandomMutations) {
  const TemporaryFolder folder;
  const int accepted =
      testing::read_mutations(small_file(), folder / "mutated.safetensors",
                              [](const fs::path& path) { load_safetensors(path); });
  EXPECT_GT(accepted, 10);  // some change only numbers or names
}

}  // namespace
}  // namespace taper

#include <taper/io/npz.h>

#include <gtest/gtest.h>

#include <limits>

#include <taper/ops/ops.h>

#include "file_testing.h"

namespace taper {
namespace {

using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// NumPy 2.4: np.savez_compressed(path, a=np.array([[1, 2.5, -3], [0, 1e30, np.inf]], np.float32),
// f=np.asfortranarray(np.arange(6).reshape(2, 3)), t=np.array([True, False, True]),
// u=np.array([65535, 1], np.uint16), s=np.float64(2.5)).
const std::string archive = bytes_of(
    "504b03041400000008000000210016c2f7945c0000009800000005001400612e6e7079010010009800000000000000"
    "5c000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9366a2aea3a09e965f54529498179f5f94"
    "920a12774bcc294e058a17672416a402f91a463a0ac69a3a0ab50a64032e0686067b06060507060687030c4070ea93"
    "672150ac1e00504b030414000000080000002100f73b781455000000b000000005001400662e6e707901001000b000"
    "00000000000055000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a1aea3a09e965f5452"
    "9498179f5f94920a120f292a4d050a17672416a402b91a463a0ac69a3a0ab50ae4032e06286086d28c509a054a3341"
    "6956280d00504b03041400000008000000210016938cbb470000008300000005001400742e6e707901001000830000"
    "000000000047000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a05e9364a8aea3a09e965f545294"
    "98179f5f94920a12774bcc294e058a17672416a402f91ac63a9a3a0ab50a14002e46064600504b0304140000000800"
    "00002100348b316e480000008400000005001400752e6e707901001000840000000000000048000000000000009bec"
    "17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e536aa4aea3a09e965f54529498179f5f94920a12774bcc294e058a"
    "17672416a402f91a463a9a3a0ab50a1400aeffff191900504b03041400000008000000210035b43a93470000008800"
    "000005001400732e6e707901001000880000000000000047000000000000009bec17ea1b10c9c850c650ad9e925a9c"
    "5ca46ea5a06e9366a1aea3a09e965f54529498179f5f94920a12774bcc294e058a17672416a402f91a9a3a0ab50a14"
    "012e063060710000504b010214031400000008000000210016c2f7945c000000980000000500000000000000000000"
    "00800100000000612e6e7079504b0102140314000000080000002100f73b781455000000b000000005000000000000"
    "0000000000800193000000662e6e7079504b010214031400000008000000210016938cbb4700000083000000050000"
    "00000000000000000080011f010000742e6e7079504b0102140314000000080000002100348b316e48000000840000"
    "0005000000000000000000000080019d010000752e6e7079504b010214031400000008000000210035b43a93470000"
    "008800000005000000000000000000000080011c020000732e6e7079504b05060000000005000500ff0000009a0200"
    "000000");

/// A .npy file of version 1 with this header and these values.
std::string npy(std::string header, const std::string& values) {
  header += '\n';
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size() & 255) +
         static_cast<char>(header.size() >> 8) + header + values;
}

TEST(Npz, ReadsWhatNumPyWrites) {
  const TemporaryFolder folder;
  const NamedTensors arrays = read_npz(put(folder / "a.npz", archive));
  ASSERT_EQ(arrays.size(), 5u);
  EXPECT_EQ(arrays[0].first, "a");
  EXPECT_EQ(arrays[0].second.spec(), zeros({2, 3}).spec());
  EXPECT_EQ(arrays[0].second.to_vector<float>(),
            (std::vector<float>{1, 2.5F, -3, 0, 1e30F, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(arrays[1].second.spec(), zeros({2, 3}, DType::i64).spec());
  EXPECT_EQ(arrays[1].second.to_vector<int>(), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(arrays[2].second.dtype(), DType::boolean);
  EXPECT_EQ(arrays[2].second.to_vector<int>(), (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(arrays[3].second.dtype(), DType::u16);
  EXPECT_EQ(arrays[3].second.to_vector<int>(), (std::vector<int>{65535, 1}));
  EXPECT_EQ(arrays[4].second.shape(), Shape{});
  EXPECT_EQ(arrays[4].second.item(), 2.5);
}

TEST(Npz, ReadsComplexNumbers) {
  const std::string header = "'fortran_order': False, 'shape': (1,), }";
  const Complex<float> narrow(1.5f, -2);
  const Complex<double> wide(0.1, 1e300);
  const auto bytes = [](const auto& z) {
    return std::string(reinterpret_cast<const char*>(&z), sizeof z);
  };
  EXPECT_EQ(to_string(decode_npy(npy("{'descr': '<c8', " + header, bytes(narrow)))),
            "[1.5-2j] c64[1]");
  EXPECT_EQ(to_string(decode_npy(npy("{'descr': '<c16', " + header, bytes(wide)))),
            "[0.1+1e+300j] c128[1]");
}

TEST(Npz, NeverReadsObjectsAndNamesWhatIsWrong) {
  const auto fault = [](ErrorKind kind, const std::string& bytes) {
    return error_of(kind, [&] { decode_npy(bytes, "x"); });
  };
  EXPECT_EQ(fault(ErrorKind::unsupported,
                  npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "12345678")),
            "x: arrays of type |O are not read");
  EXPECT_EQ(
      fault(ErrorKind::unsupported,
            npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234")),
      "x: arrays of records are not read");
  EXPECT_EQ(fault(ErrorKind::unsupported,
                  npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "1234")),
            "x: arrays of type >f4 are not read");
  EXPECT_EQ(fault(ErrorKind::io,
                  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "1234")),
            "x: the array [2] of <f4 needs other than 4 bytes");
  EXPECT_EQ(fault(ErrorKind::io, npy("{'descr': '<f4', 'fortran_order': False, 'shape': "
                                     "(4611686018427387904, 4611686018427387904), }",
                                     "1234"))
                .substr(0, 13),
            "x: the array ");
  for (const char* header : {"", "{", "{}", "{'descr': '<f4'}",
                             "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False}",
                             "{'descr': '<f4', 'fortran_order': Falsch, 'shape': ()}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}"}) {
    EXPECT_EQ(fault(ErrorKind::io, npy(header, "1234")), "x: the header of the array is damaged")
        << header;
  }
  EXPECT_EQ(fault(ErrorKind::io, "PK"), "x: is no array of NumPy");
}

TEST(Npz, SurvivesMutations) {
  const TemporaryFolder folder;
  testing::read_mutations(archive, folder / "a.npz",
                          [](const std::filesystem::path& path) { read_npz(path); });
  const std::string array =
      npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 1), }", "1234");
  EXPECT_EQ(decode_npy(array).shape(), (Shape{2, 1}));
  testing::read_mutations(array, folder / "a.npy", [](const std::filesystem::path& path) {
    decode_npy(testing::content_of(path));
  });
}

}  // namespace
}  // namespace taper

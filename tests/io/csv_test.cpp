#include <taper/io/csv.h>

#include <gtest/gtest.h>

#include <cmath>

#include <taper/ops/ops.h>

#include "file_testing.h"

namespace taper {
namespace {

using testing::error_of;
using testing::put;
using testing::TemporaryFolder;

TEST(Csv, ReadsNumbersAndNames) {
  const TemporaryFolder folder;
  const Table table = read_csv(put(folder / "a.csv", "x,y z\r\n1,-2.5e3\r\n\n0.1,7"));
  EXPECT_EQ(table.names, (std::vector<std::string>{"x", "y z"}));
  EXPECT_EQ(table.values.shape(), Shape({2, 2}));
  EXPECT_EQ(table.values.to_vector<double>(), (std::vector<double>{1, -2500, 0.1, 7}));
  EXPECT_EQ(table.column("y z").to_vector<double>(), (std::vector<double>{-2500, 7}));
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { table.column("z"); }),
            "there is no column `z`; there are: x y z");
}

TEST(Csv, NamesLineAndColumnOfAFault) {
  const TemporaryFolder folder;
  const auto fault = [&](const char* text) {
    const auto path = put(folder / "a.csv", text);
    const std::string error = error_of(ErrorKind::io, [&] { read_csv(path); });
    return error.substr(error.find("a.csv") + 5);
  };
  EXPECT_EQ(fault(""), ": there is no line of names");
  EXPECT_EQ(fault("a,b\n1,2\n3\n"), ": line 3: there are 1 fields for 2 columns");
  EXPECT_EQ(fault("a,b\n1,x\n"), ": line 2: column \"b\" must hold a finite number, got \"x\"");
  EXPECT_EQ(fault("a,b\n,1\n"), ": line 2: column \"a\" must hold a finite number, got \"\"");
  EXPECT_EQ(fault("a\nnan\n"), ": line 2: column \"a\" must hold a finite number, got \"nan\"");
  EXPECT_EQ(fault("a\n1e999\n"), ": line 2: column \"a\" must hold a finite number, got \"1e999\"");
}

TEST(Csv, ReadsTextWithQuotes) {
  const TextTable table("\xef\xbb\xbfname,\"a, b\"\r\n\"says \"\"no\"\"\",1\n\"two\nlines\",\n",
                        "t.csv");
  EXPECT_EQ(table.names(), (std::vector<std::string>{"name", "a, b"}));
  ASSERT_EQ(table.rows(), 2);
  EXPECT_EQ(table.cell(0, 0), "says \"no\"");
  EXPECT_EQ(table.cell(1, 0), "two\nlines");
  EXPECT_EQ(table.cell(1, 1), "");
  EXPECT_EQ(table.number(0, 1), 1);
  EXPECT_EQ(table.find("a, b"), 1u);
  EXPECT_EQ(error_of(ErrorKind::io, [&] { table.number(1, 1); }),
            "t.csv: line 3: column \"a, b\" must hold a finite number, got \"\"");
  const auto fault = [](const char* text) {
    return error_of(ErrorKind::io, [&] { TextTable(text, "t.csv"); });
  };
  EXPECT_EQ(fault("a,a\n"), "t.csv: line 1: two columns are named \"a\"");
  EXPECT_EQ(fault("a\n\"x"), "t.csv: line 2: a quote does not end");
  EXPECT_EQ(fault("a\n\"x\"y\n"), "t.csv: line 2: there is text behind a quoted field");
  EXPECT_EQ(fault("a,b\n\"1\n\",2\n3\n"), "t.csv: line 4: there are 1 fields for 2 columns");
}

TEST(Csv, TakesSemicolonsAndTabsWhereTheNamesHoldNoComma) {
  const TextTable tabs("a\tb\n1\t2,5\n", "t.tsv");
  EXPECT_EQ(tabs.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(tabs.cell(0, 1), "2,5");
  const TextTable semicolons("\"a, b\";c\r\n1;\"x;y\"\r\n", "t.csv");
  EXPECT_EQ(semicolons.names(), (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(semicolons.cell(0, 1), "x;y");
  EXPECT_EQ(TextTable("a;b,c\n1,2\n", "t.csv").names(), (std::vector<std::string>{"a;b", "c"}));
  EXPECT_EQ(error_of(ErrorKind::not_found, [&] { semicolons.find("d"); }),
            "t.csv: there is no column `d`; there are: a, b c");
}

TEST(Csv, SurvivesMutations) {
  const TemporaryFolder folder;
  testing::read_mutations("x,y\n1,2\n3.5,-4e2\n", folder / "a.csv",
                          [](const std::filesystem::path& path) { read_csv(path); });
}

TEST(Csv, ReadsNumbersAsPeopleWriteThem) {
  EXPECT_EQ(parse_number(" 0.12 "), 0.12);
  EXPECT_EQ(parse_number("+0.5"), 0.5);
  EXPECT_EQ(parse_number("1e-400"), 0);
  EXPECT_TRUE(std::isinf(parse_number("1e400").value()));
  for (const char* text : {"", " ", "+", "+-1", "1 2", "0x10", "1,5"}) {
    EXPECT_FALSE(parse_number(text)) << text;
  }
}

TEST(Csv, NamesTheLineThatIsNotUtf8) {
  EXPECT_EQ(error_of(ErrorKind::io, [] { TextTable("a,b\n1,gr\xfc\xdf\n", "t.csv"); }),
            "t.csv: line 2: the text is not UTF-8; save the table as UTF-8");
  EXPECT_EQ(TextTable("a\ngr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\n", "t.csv").rows(), 1);
}

}  // namespace
}  // namespace taper

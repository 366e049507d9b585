#include <taper/core/fields.h>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/core/value.h>

namespace taper_test {

enum class Reduction { none, mean, sum };

struct Point {  // a type of its own
  int64_t x = 0;
  int64_t y = 0;
  bool operator==(const Point&) const = default;
};

struct Unit {};

struct Softmax {
  int axis = -1;
};

struct Everything {
  bool flag = false;
  int8_t small = 1;
  uint32_t count = 2;
  int64_t large = 3;
  float ratio = 0.1f;
  double scale = 0.5;
  Reduction reduction = Reduction::mean;
  std::string name = "x";
  std::vector<int64_t> sizes = {1, 2};
  std::vector<double> weights = {0.5};
  std::array<int64_t, 2> stride = {1, 1};
  std::optional<double> limit;
  std::optional<std::vector<int64_t>> axes;
  Point point;
  std::vector<std::string> words;
  std::optional<Reduction> other;
};

struct Conv {
  taper::Required<int64_t> in_channels;
  taper::Required<std::string> mode;
  std::array<int64_t, 2> kernel_size = {3, 3};
};

/// Attributes that are their own functor.
struct Swish {
  float beta = 1;
  template <class T>
  T operator()(T x) const {
    return x * T(beta);
  }
};

}  // namespace taper_test

template <>
struct taper::EnumNames<taper_test::Reduction> {
  static constexpr std::array<std::string_view, 3> names{"none", "mean", "sum"};
};

template <>
struct taper::FieldCodec<taper_test::Point> {
  static std::string kind() { return "point"; }
  static Value to_value(const taper_test::Point& point) {
    return std::to_string(point.x) + "/" + std::to_string(point.y);
  }
  static taper_test::Point from_value(const Value& value) {
    const auto* text = value.get_if<std::string>();
    if (!text || text->size() != 3 || (*text)[1] != '/') throw FieldMismatch(kind(), value);
    return {(*text)[0] - '0', (*text)[2] - '0'};
  }
};

namespace taper_test {
namespace {

using taper::Error;
using taper::ErrorKind;
using taper::Fields;
using taper::Value;

struct Hidden {  // in an unnamed namespace, as most options will be
  int64_t first_name = 1;
  double a = 2;
  bool _under_score9 = true;
};

template <class F>
std::string error_of(F f, ErrorKind kind = ErrorKind::value) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

template <class A>
std::string parse_error(std::string_view owner, const Fields& keywords) {
  return error_of([&] { taper::parse_fields<A>(owner, keywords); });
}

std::string json_error(std::string_view text) {
  return error_of([&] { taper::parse_json(text); });
}

TEST(FieldNames, AreThoseOfTheSource) {
  static_assert(taper::field_count<Unit>() == 0);
  static_assert(taper::field_count<Softmax>() == 1);
  static_assert(taper::field_count<Everything>() == 16);
  static_assert(taper::field_names<Softmax>()[0] == "axis");
  constexpr std::array<std::string_view, 3> hidden{"first_name", "a", "_under_score9"};
  EXPECT_EQ(taper::field_names<Hidden>(), hidden);
  constexpr std::array<std::string_view, 16> everything{
      "flag",  "small",   "count",  "large", "ratio", "scale", "reduction", "name",
      "sizes", "weights", "stride", "limit", "axes",  "point", "words",     "other"};
  EXPECT_EQ(taper::field_names<Everything>(), everything);
  constexpr std::array<std::string_view, 1> swish{"beta"};
  EXPECT_EQ(taper::field_names<Swish>(), swish);
}

TEST(FieldNames, WorkForLocalStructs) {
  struct Local {
    int depth = 0;
    std::string label;
  };
  constexpr std::array<std::string_view, 2> expected{"depth", "label"};
  EXPECT_EQ(taper::field_names<Local>(), expected);
}

// One struct per field count: each count is a line of its own in the header.
template <size_t N>
struct Many;
#define MANY(N, ...) \
  template <>        \
  struct Many<N> {   \
    int __VA_ARGS__; \
  }
MANY(1, a);
MANY(2, a, b);
MANY(3, a, b, c);
MANY(4, a, b, c, d);
MANY(5, a, b, c, d, e);
MANY(6, a, b, c, d, e, f);
MANY(7, a, b, c, d, e, f, g);
MANY(8, a, b, c, d, e, f, g, h);
MANY(9, a, b, c, d, e, f, g, h, i);
MANY(10, a, b, c, d, e, f, g, h, i, j);
MANY(11, a, b, c, d, e, f, g, h, i, j, k);
MANY(12, a, b, c, d, e, f, g, h, i, j, k, l);
MANY(13, a, b, c, d, e, f, g, h, i, j, k, l, m);
MANY(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n);
MANY(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
MANY(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
#undef MANY

template <size_t N>
void check_count() {
  Many<N> many{};
  static_assert(taper::field_count<Many<N>>() == N);
  int next = 0;
  taper::each_field(many, [&](std::string_view name, int& field) {
    EXPECT_EQ(name, std::string(1, static_cast<char>('a' + next)));
    field = next++;
  });
  EXPECT_EQ(next, static_cast<int>(N));
  EXPECT_EQ(&many.a + (N - 1), reinterpret_cast<int*>(&many) + (N - 1));
  EXPECT_EQ((reinterpret_cast<int*>(&many))[N - 1], static_cast<int>(N) - 1);
}

TEST(EachField, VisitsInOrderForEveryCount) {
  []<size_t... I>(std::index_sequence<I...>) {
    (check_count<I + 1>(), ...);
  }(std::make_index_sequence<16>());
}

TEST(EachField, GivesConstAndMutableReferences) {
  Softmax softmax;
  taper::each_field(softmax, [](std::string_view, auto& field) { field = 7; });
  EXPECT_EQ(softmax.axis, 7);
  const Softmax constant;
  taper::each_field(constant, [](std::string_view name, auto& field) {
    static_assert(std::is_const_v<std::remove_reference_t<decltype(field)>>);
    EXPECT_EQ(name, "axis");
  });
  Unit unit;
  taper::each_field(unit, [](std::string_view, auto&) { FAIL(); });
}

TEST(FieldsEqual, ComparesEachField) {
  const Everything plain;
  EXPECT_TRUE(taper::fields_equal(plain, Everything{}));
  EXPECT_TRUE(taper::fields_equal(Unit{}, Unit{}));
  std::vector<Everything> changed(16);
  changed[0].flag = true;
  changed[1].small = 2;
  changed[2].count = 3;
  changed[3].large = 4;
  changed[4].ratio = 0.25f;
  changed[5].scale = -0.5;
  changed[6].reduction = Reduction::sum;
  changed[7].name = "y";
  changed[8].sizes = {1, 2, 3};
  changed[9].weights = {};
  changed[10].stride = {1, 2};
  changed[11].limit = 0;
  changed[12].axes.emplace();
  changed[13].point.y = 1;
  changed[14].words = {""};
  changed[15].other = Reduction::none;
  for (const Everything& one : changed) {
    EXPECT_FALSE(taper::fields_equal(plain, one)) << taper::fields_print(one);
  }
}

TEST(FieldsEqual, ComparesRealsByTheirBits) {
  const Swish nan{.beta = std::nanf("")};
  EXPECT_TRUE(taper::fields_equal(nan, nan));
  EXPECT_FALSE(taper::fields_equal(Swish{.beta = 0.0f}, Swish{.beta = -0.0f}));
}

TEST(FieldsPrint, IsForPeople) {
  EXPECT_EQ(taper::fields_print(Unit{}), "");
  EXPECT_EQ(taper::fields_print(Softmax{}), "axis=-1");
  EXPECT_EQ(taper::fields_print(Everything{}),
            "flag=false, small=1, count=2, large=3, ratio=0.1, scale=0.5, reduction=mean, "
            "name=\"x\", sizes=[1, 2], weights=[0.5], stride=[1, 1], limit=none, axes=none, "
            "point=0/0, words=[], other=none");
  EXPECT_EQ(taper::fields_print(Conv{}), "in_channels=none, mode=none, kernel_size=[3, 3]");
}

TEST(ParseFields, KeepsDefaultsAndTakesKeywords) {
  EXPECT_EQ(taper::parse_fields<Softmax>("softmax", {}).axis, -1);
  EXPECT_EQ(taper::parse_fields<Softmax>("softmax", {{"axis", 2}}).axis, 2);
  const auto all = taper::parse_fields<Everything>("all", {{"flag", 1},
                                                           {"scale", 2},
                                                           {"reduction", "sum"},
                                                           {"weights", Value::Integers{1, 2}},
                                                           {"stride", 4},
                                                           {"limit", 1},
                                                           {"axes", Value::List{}},
                                                           {"point", "1/2"},
                                                           {"other", "none"}});
  EXPECT_TRUE(all.flag);
  EXPECT_EQ(all.scale, 2.0);
  EXPECT_EQ(all.reduction, Reduction::sum);
  EXPECT_EQ(all.weights, (std::vector<double>{1, 2}));
  EXPECT_EQ(all.stride, (std::array<int64_t, 2>{4, 4}));
  EXPECT_EQ(all.limit, 1.0);
  EXPECT_EQ(all.axes, std::vector<int64_t>{});
  EXPECT_EQ(all.point, (Point{1, 2}));
  EXPECT_EQ(all.other, Reduction::none);
}

TEST(ParseFields, ReadsBackWhatToFieldsWrites) {
  Everything one;
  one.ratio = 1.0f / 3;
  one.scale = 1.0 / 3;
  one.limit = std::numeric_limits<double>::denorm_min();
  one.axes = {-1, 1};
  one.point = {3, 4};
  one.words = {"a", "\"b\""};
  one.other = Reduction::mean;
  const Fields fields = taper::to_fields(one);
  ASSERT_EQ(fields.size(), 16u);
  EXPECT_EQ(fields[4].second, Value(0.33333334));
  EXPECT_TRUE(taper::fields_equal(taper::parse_fields<Everything>("all", fields), one));
  const Value json = taper::parse_json(taper::to_json(Value(fields)));
  ASSERT_NE(json.get_if<Value::Object>(), nullptr);
  const auto read = taper::parse_fields<Everything>("all", *json.get_if<Value::Object>());
  EXPECT_TRUE(taper::fields_equal(read, one));
  EXPECT_TRUE(taper::to_fields(Unit{}).empty());
}

TEST(ParseFields, NamesTheFieldInErrors) {
  EXPECT_EQ(parse_error<Softmax>("softmax", {{"axes", 1}}),
            "softmax: no attribute `axes`; it has: axis");
  EXPECT_EQ(parse_error<Unit>("relu", {{"slope", 1}}), "relu: no attribute `slope`; it has none");
  EXPECT_EQ(parse_error<Softmax>("softmax", {{"axis", "x"}}),
            "softmax: `axis` must be int, got str \"x\"");
  EXPECT_EQ(parse_error<Softmax>("softmax", {{"axis", true}}),
            "softmax: `axis` must be int, got bool true");
  EXPECT_EQ(parse_error<Softmax>("softmax", {{"axis", 1.0}}),
            "softmax: `axis` must be int, got float 1.0");
  EXPECT_EQ(parse_error<Softmax>("softmax", {{"axis", Value()}}),
            "softmax: `axis` must be int, got none");
  EXPECT_EQ(parse_error<Softmax>("softmax", {{"axis", 1}, {"axis", 1}}),
            "softmax: `axis` is given twice");
}

struct Window {
  int64_t size = 2;
  double scale = 1;
};
struct Pool {
  Window window = {};
  std::optional<Window> second = {};
  std::vector<Window> more = {};
};

TEST(ParseFields, ReadsStructsWithinStructs) {
  const Pool pool{{3, 0.5}, Window{4, 0.0}, {{5}, {6}}};
  const auto read = taper::parse_fields<Pool>("pool", taper::to_fields(pool));
  EXPECT_TRUE(taper::fields_equal(read, pool));
  EXPECT_EQ(taper::fields_print(Pool{{3, 0.5}}),
            "window={\"size\": 3, \"scale\": 0.5}, second=none, more=[]");
  Pool other = pool;
  other.second->scale = -0.0;
  EXPECT_FALSE(taper::fields_equal(other, pool));
  const auto given = taper::parse_fields<Pool>("pool", {{"window", Fields{{"scale", 2.0}}}});
  EXPECT_TRUE(taper::fields_equal(given, Pool{{2, 2.0}}));
  EXPECT_EQ(parse_error<Pool>("pool", {{"window", Fields{{"sise", 1}}}}),
            "pool: `window`: no attribute `sise`; it has: size, scale");
  EXPECT_EQ(parse_error<Pool>("pool", {{"window", Fields{{"size", "x"}}}}),
            "pool: `window`: `size` must be int, got str \"x\"");
  EXPECT_EQ(parse_error<Pool>("pool", {{"window", 1}}), "pool: `window` must be object, got int 1");
}

TEST(ParseFields, ChecksEachType) {
  const auto error = [](std::string name, Value value) {
    return parse_error<Everything>("f", {{std::move(name), std::move(value)}});
  };
  EXPECT_EQ(error("small", 128), "f: `small` must be int from -128 to 127, got int 128");
  EXPECT_EQ(error("small", -129), "f: `small` must be int from -128 to 127, got int -129");
  EXPECT_EQ(error("count", -1), "f: `count` must be int from 0 to 4294967295, got int -1");
  EXPECT_EQ(error("flag", 2), "f: `flag` must be bool, got int 2");
  EXPECT_EQ(error("ratio", 1e300),
            "f: `ratio` must be float up to 3.4028235e+38, got float 1e+300");
  EXPECT_EQ(error("scale", "1"), "f: `scale` must be float, got str \"1\"");
  EXPECT_EQ(error("reduction", "avg"),
            "f: `reduction` must be one of \"none\", \"mean\", \"sum\", got str \"avg\"");
  EXPECT_EQ(error("name", 1), "f: `name` must be str, got int 1");
  EXPECT_EQ(error("sizes", 1), "f: `sizes` must be list of int, got int 1");
  EXPECT_EQ(error("sizes", Value::List{1, "a"}),
            "f: `sizes` must be list of int, got list [1, \"a\"]");
  EXPECT_EQ(error("weights", Value::List{"a"}),
            "f: `weights` must be list of float, got list [\"a\"]");
  EXPECT_EQ(error("stride", Value::Integers{1, 2, 3}),
            "f: `stride` must be int or list of 2 int, got list of int [1, 2, 3]");
  EXPECT_EQ(error("limit", "x"), "f: `limit` must be float or none, got str \"x\"");
  EXPECT_EQ(error("axes", 1), "f: `axes` must be list of int or none, got int 1");
  EXPECT_EQ(error("point", 1), "f: `point` must be point, got int 1");
  EXPECT_LT(error("axes", std::string(100000, 'x')).size(), 200u);
}

TEST(Required, IsReportedWhenMissing) {
  EXPECT_EQ(parse_error<Conv>("Conv2d", {}), "Conv2d: `in_channels` is required");
  EXPECT_EQ(parse_error<Conv>("Conv2d", {{"in_channels", 1}}), "Conv2d: `mode` is required");
  EXPECT_EQ(parse_error<Conv>("Conv2d", {{"in_channels", "x"}}),
            "Conv2d: `in_channels` must be int, got str \"x\"");
  const auto conv = taper::parse_fields<Conv>("Conv2d", {{"in_channels", 3}, {"mode", "same"}});
  EXPECT_EQ(conv.in_channels, 3);
  EXPECT_EQ(conv.mode.value(), "same");
}

TEST(Required, ConvertsBothWays) {
  const Conv conv{.in_channels = 1, .mode = "same"};
  const int64_t channels = conv.in_channels;
  EXPECT_EQ(channels, 1);
  EXPECT_EQ(conv.in_channels * 2, 2);
  taper::check_options("Conv2d", conv);
  EXPECT_TRUE(taper::fields_equal(conv, conv));
  EXPECT_FALSE(taper::fields_equal(conv, Conv{}));
  EXPECT_EQ(error_of([] { taper::check_options("Conv2d", Conv{}); }),
            "Conv2d: `in_channels` is required");
  EXPECT_EQ(error_of([] { return int64_t{Conv{}.in_channels}; }), "a required field is not set");
}

TEST(DescribeFields, TellsKindAndDefault) {
  const auto infos = taper::describe_fields<Conv>();
  ASSERT_EQ(infos.size(), 3u);
  EXPECT_EQ(infos[0].name, "in_channels");
  EXPECT_EQ(infos[0].kind, "int");
  EXPECT_TRUE(infos[0].is_required);
  EXPECT_FALSE(infos[2].is_required);
  EXPECT_EQ(infos[2].kind, "int or list of 2 int");
  EXPECT_EQ(infos[2].default_value, Value(Value::Integers{3, 3}));
}

TEST(Value, HasOneFormForEachList) {
  EXPECT_EQ(Value(Value::List{1, 2}), Value(Value::Integers{1, 2}));
  EXPECT_EQ(Value(Value::List{1, 2.5}), Value(Value::Reals{1, 2.5}));
  EXPECT_EQ(Value(Value::List{true, 1}).kind_name(), "list");
  EXPECT_EQ(Value(Value::List{}), Value(Value::Reals{}));
  EXPECT_EQ(Value(Value::List{int64_t{1} << 60, 0.5}).kind_name(), "list");
  EXPECT_NE(Value(1), Value(1.0));
  EXPECT_NE(Value(1), Value(true));
  EXPECT_EQ(error_of([] { return Value(UINT64_MAX); }),
            "18446744073709551615 is too large for a 64-bit signed integer");
}

TEST(Value, HasKindNamesAndPrints) {
  const Value object(Value::Object{{"a", 1}, {"b", Value::List{Value(), "x"}}});
  EXPECT_EQ(object.print(), "{\"a\": 1, \"b\": [none, \"x\"]}");
  EXPECT_EQ(object.kind_name(), "object");
  EXPECT_EQ(object.size(), 2u);
  ASSERT_NE(object.find("a"), nullptr);
  EXPECT_EQ(*object.find("a"), Value(1));
  EXPECT_EQ(object.find("c"), nullptr);
  EXPECT_EQ(Value(Value::Reals{1, 0.1}).print(), "[1.0, 0.1]");
  EXPECT_EQ(Value(std::nan("")).print(), "nan");
  EXPECT_EQ(Value("a\n\"").print(), "\"a\\n\\\"\"");
  EXPECT_EQ(Value().kind_name(), "none");
  EXPECT_EQ(Value(false).kind_name(), "bool");
  EXPECT_EQ(Value(1u).kind_name(), "int");
  EXPECT_EQ(Value(0.5f).kind_name(), "float");
  EXPECT_EQ(Value("").kind_name(), "str");
  EXPECT_EQ(Value(Value::Integers{1}).kind_name(), "list of int");
  EXPECT_EQ(Value(Value::Reals{1}).kind_name(), "list of float");
}

TEST(Json, ReadsBackEqual) {
  const Value value(
      Value::Object{{"none", Value()},
                    {"yes", true},
                    {"least", INT64_MIN},
                    {"most", INT64_MAX},
                    {"tenth", 0.1},
                    {"one", 1.0},
                    {"zero", -0.0},
                    {"least real", std::numeric_limits<double>::denorm_min()},
                    {"most real", std::numeric_limits<double>::max()},
                    {"text", "\xc3\xa9 \"\\\n\t\x01"},
                    {"nothing", ""},
                    {"integers", Value::Integers{1, -2}},
                    {"reals", Value::Reals{1, 1.0 / 3}},
                    {"empty", Value::List{}},
                    {"list", Value::List{Value(), Value::Object{{"a", 1}}, Value::Integers{1}}},
                    {"object", Value::Object{}}});
  for (int indent : {-1, 0, 2}) {
    EXPECT_EQ(taper::parse_json(taper::to_json(value, indent)), value);
  }
}

TEST(Json, HasThisLayout) {
  const Value value(
      Value::Object{{"kernel_size", Value::Integers{3, 3}},
                    {"layers", Value::List{"a", Value::Object{{"p", 0.5}}, Value::Object{}}}});
  EXPECT_EQ(taper::to_json(value, -1),
            R"({"kernel_size": [3, 3], "layers": ["a", {"p": 0.5}, {}]})");
  EXPECT_EQ(taper::to_json(value, 2),
            "{\n"
            "  \"kernel_size\": [3, 3],\n"
            "  \"layers\": [\n"
            "    \"a\",\n"
            "    {\n"
            "      \"p\": 0.5\n"
            "    },\n"
            "    {}\n"
            "  ]\n"
            "}");
}

TEST(Json, NamesLineAndColumn) {
  EXPECT_EQ(json_error("{\"a\": 1,\n \"a\": 2}"),
            "json: line 2, column 4: the name \"a\" is given twice");
  EXPECT_EQ(json_error("[1,\n  x]").substr(0, 38), "json: line 2, column 3: syntax error w");
  EXPECT_EQ(json_error("").substr(0, 23), "json: line 1, column 1:");
  EXPECT_EQ(json_error("1 2").substr(0, 23), "json: line 1, column 3:");
  EXPECT_EQ(json_error("[18446744073709551615]"),
            "json: line 1, column 22: the integer 18446744073709551615 does not fit 64 bits");
  EXPECT_EQ(json_error("[-99999999999999999999]"),
            "json: line 1, column 23: the integer -99999999999999999999 does not fit 64 bits");
}

TEST(Json, RefusesWhatIsNotJson) {
  const std::vector<std::string> texts{"nan",      "[1e999]", "[Infinity]",  "[1,]",  "{\"a\" 1}",
                                       "\"\xff\"", "'a'",     "// x\n1",     "01",    "[",
                                       "{",        "\"abc",   "{\"a\":",     "+1",    ".5",
                                       "\"\n\"",   "[1][2]",  "\"\\ud800\"", "{1:2}", "tru"};
  for (const std::string& text : texts) {
    EXPECT_EQ(json_error(text).substr(0, 11), "json: line ") << text;
  }
}

TEST(Json, LimitsTheDepth) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(taper::parse_json(nested(100)).kind_name(), "list");
  EXPECT_EQ(json_error(nested(101)), "json: line 1, column 101: nested deeper than 100 levels");
  EXPECT_EQ(json_error(std::string(1000000, '[')),
            "json: line 1, column 101: nested deeper than 100 levels");
  Value value;
  for (int i = 0; i < 101; ++i) value = Value(Value::List{std::move(value)});
  EXPECT_EQ(error_of([&] { taper::to_json(value); }), "json: nested deeper than 100 levels");
}

TEST(Json, RefusesToWriteWhatCannotBeRead) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(error_of([&] { taper::to_json(Value(infinity)); }),
            "json: inf cannot be written as a number");
  EXPECT_EQ(error_of([&] { taper::to_json(Value(Value::Reals{1, std::nan("")})); }),
            "json: nan cannot be written as a number");
  EXPECT_EQ(error_of([] { taper::to_json(Value("\xff")); }),
            "json: the text \"\xef\xbf\xbd\" is not UTF-8");
  EXPECT_EQ(error_of([] { taper::to_json(Value(Value::Object{{"a", 1}, {"a", 2}})); }),
            "json: the name \"a\" is given twice");
}

}  // namespace
}  // namespace taper_test

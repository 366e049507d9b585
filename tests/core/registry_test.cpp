#include <taper/core/registry.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <taper/core/error.h>
#include <taper/core/factory.h>

namespace taper_test {
namespace {

using taper::Error;
using taper::ErrorKind;
using taper::Factory;
using taper::FactoryFor;
using taper::Fields;
using taper::NoOptions;
using taper::Registered;
using taper::Registry;
using taper::Required;
using taper::Value;
using taper::WithOptions;

template <class F>
std::string error_of(F f, ErrorKind kind) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

struct Tool : Registered<Tool> {
  Tool(std::string_view tool_name, int tool_weight)
      : Registered<Tool>(tool_name, "A tool."), weight(tool_weight) {}
  int weight;
};

// Before and after each other, in no order.
const Tool saw{"saw", 3};
const Tool axe{"axe", 5};
const Tool hammer{"hammer", 4};

struct Twice : Registered<Twice> {
  explicit Twice(std::string_view entry_name) : Registered<Twice>(entry_name, "") {}
};
const Twice first{"a"};
const Twice second{"b"};
const Twice third{"a"};

struct Nothing : Registered<Nothing> {};

TEST(Registry, FindsByName) {
  ASSERT_NE(Registry<Tool>::find("axe"), nullptr);
  EXPECT_EQ(Registry<Tool>::find("axe"), &axe);
  EXPECT_EQ(Registry<Tool>::find("axes"), nullptr);
  EXPECT_EQ(Registry<Tool>::get("saw", "tool").weight, 3);
  EXPECT_EQ(Registry<Tool>::get("saw", "tool").doc, "A tool.");
}

TEST(Registry, ListsSortedByName) {
  EXPECT_EQ(Registry<Tool>::all(), (std::vector<const Tool*>{&axe, &hammer, &saw}));
  EXPECT_TRUE(Registry<Nothing>::all().empty());
}

TEST(Registry, TellsWhatThereIs) {
  const auto error = [](std::string_view name) {
    return error_of([&] { Registry<Tool>::get(name, "tool"); }, ErrorKind::not_found);
  };
  EXPECT_EQ(error("drill"), "unknown tool `drill`; there are: axe, hammer, saw");
  EXPECT_EQ(error("hamer"),
            "unknown tool `hamer`; there are: axe, hammer, saw; did you mean `hammer`?");
  EXPECT_EQ(error("aswx").find("mean `saw`"), std::string::npos);
  EXPECT_EQ(error("swa"), "unknown tool `swa`; there are: axe, hammer, saw; did you mean `saw`?");
  EXPECT_EQ(error("SAW"), "unknown tool `SAW`; there are: axe, hammer, saw; did you mean `saw`?");
  EXPECT_EQ(error(""), "unknown tool ``; there are: axe, hammer, saw");
  EXPECT_EQ(error_of([] { Registry<Nothing>::get("a", "thing"); }, ErrorKind::not_found),
            "unknown thing `a`; there are none");
}

TEST(Registry, GivesNoEntryOfTwoThatShareAName) {
  EXPECT_EQ(Registry<Twice>::get("b", "letter").name, "b");
  EXPECT_EQ(error_of([] { Registry<Twice>::get("a", "letter"); }, ErrorKind::value),
            "letter `a` is registered twice");
}

TEST(Registry, CheckFindsNamesThatStandTwice) {
  Registry<Tool>::check("tool");
  EXPECT_EQ(error_of([] { Registry<Twice>::check("letter"); }, ErrorKind::internal),
            "letter `a` is registered twice");
}

/// A base with virtual functions: made as a shared_ptr.
struct Shape2d {
  virtual ~Shape2d() = default;
  virtual double area() const = 0;
};

struct RectangleOptions {
  Required<double> width;
  double height = 1;
};

struct Rectangle : WithOptions<Rectangle, Shape2d, RectangleOptions> {
  using WithOptions::WithOptions;
  double area() const override { return options().width * options().height; }
};
static const FactoryFor<Shape2d, Rectangle> rectangle_entry{"Flat."};

struct Square : WithOptions<Square, Shape2d, NoOptions> {
  using WithOptions::WithOptions;
  double area() const override { return 1; }
};
static const FactoryFor<Shape2d, Square> square_entry{"A unit square."};

/// A handle: made by value.
struct Handle {
  std::shared_ptr<int64_t> state;
};

struct CounterOptions {
  int64_t start = 10;
};

struct Counter : WithOptions<Counter, Handle, CounterOptions> {
  explicit Counter(CounterOptions options) : WithOptions(options) {
    state = std::make_shared<int64_t>(options.start);
  }
};
static const FactoryFor<Handle, Counter> counter_entry{"Counts."};

TEST(FactoryTest, MakesFromNameAndKeywords) {
  const auto& rectangle = Factory<Shape2d>::get("Rectangle", "shape");
  EXPECT_EQ(rectangle.doc, "Flat.");
  EXPECT_EQ(rectangle.make({{"width", 3}, {"height", 2.5}})->area(), 7.5);
  EXPECT_EQ(Factory<Shape2d>::get("Square", "shape").make({})->area(), 1);
  const Handle handle = Factory<Handle>::get("Counter", "handle").make({{"start", 3}});
  EXPECT_EQ(*handle.state, 3);
  EXPECT_EQ(*Factory<Handle>::get("Counter", "handle").make({}).state, 10);
}

TEST(FactoryTest, TellsItsOptions) {
  const auto& rectangle = Factory<Shape2d>::get("Rectangle", "shape");
  EXPECT_EQ(rectangle.defaults(), (Fields{{"width", Value()}, {"height", 1.0}}));
  ASSERT_EQ(rectangle.options().size(), 2u);
  EXPECT_TRUE(rectangle.options()[0].is_required);
  EXPECT_TRUE(Factory<Shape2d>::get("Square", "shape").options().empty());
  EXPECT_EQ(Factory<Shape2d>::all().size(), 2u);
}

TEST(FactoryTest, NamesTheClassInErrors) {
  const auto& rectangle = Factory<Shape2d>::get("Rectangle", "shape");
  EXPECT_EQ(error_of([&] { rectangle.make({}); }, ErrorKind::value),
            "Rectangle: `width` is required");
  EXPECT_EQ(error_of([&] { rectangle.make({{"depth", 1}}); }, ErrorKind::value),
            "Rectangle: no attribute `depth`; it has: width, height");
  EXPECT_EQ(error_of([] { Factory<Shape2d>::get("Squre", "shape"); }, ErrorKind::not_found),
            "unknown shape `Squre`; there are: Rectangle, Square; did you mean `Square`?");
}

}  // namespace
}  // namespace taper_test

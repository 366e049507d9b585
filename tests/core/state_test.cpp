#include <taper/core/state.h>

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <taper/autograd/autograd.h>
#include <taper/graph/compile.h>
#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"
#include "tests/core/failing_allocation.h"

namespace taper {
namespace {

using testing::thrown_text;
using Floats = std::vector<float>;

Floats values_of(const State& cell) { return cell.value().to_vector<float>(); }

TEST(State, WithoutACellIsFalse) {
  EXPECT_FALSE(State());
  EXPECT_TRUE(State("empty", {}));
  EXPECT_FALSE(State("empty", {}).value().defined());
}

TEST(State, CopiesShareTheCell) {
  const State cell("weight", tensor({1.f, 2.f}));
  const State copy = cell;
  EXPECT_EQ(copy, cell);
  copy.set(tensor({3.f}));
  EXPECT_EQ(values_of(cell), Floats{3});
  State renamed = cell;
  renamed.rename("w");
  EXPECT_EQ(cell.name(), "w");
  EXPECT_NE(State("w", tensor({3.f})), cell);
}

TEST(State, ValuesTakenEarlierDoNotChange) {
  const State cell("count", tensor({1.f}));
  const Tensor before = cell.value();
  cell.set(cell.value() + 1);
  Tensor mine = cell.value();
  mine += 10;
  EXPECT_EQ(before.item(), 1);
  EXPECT_EQ(cell.value().item(), 2);
  EXPECT_EQ(mine.item(), 12);
}

TEST(State, AnUpdateReusesTheBuffer) {
  const State cell("moment", full({1000}, 2));
  const std::byte* buffer = cell.value().raw();
  update(cell, [](Tensor& old) {
    old *= 3;
    return old;
  });
  EXPECT_EQ(cell.value().raw(), buffer);
  EXPECT_EQ(cell.value().to_vector<float>(), Floats(1000, 6));
}

TEST(State, AnUpdateOfASharedValueDoesNotTouchTheOthers) {
  const State cell("moment", full({10}, 2));
  const Tensor held = cell.value();
  update(cell, [](Tensor& old) {
    old += 1;
    return old;
  });
  EXPECT_EQ(held.to_vector<float>(), Floats(10, 2));
  EXPECT_EQ(values_of(cell), Floats(10, 3));
}

TEST(State, AnUpdateThatThrowsLeavesTheOldValue) {
  const State weight("weight", tensor({2.f, 3.f}), true);
  const State moment("moment", tensor({4.f, 5.f}));
  const State empty("empty", {});
  const std::byte* buffer = weight.value().raw();
  EXPECT_THROW(update(weight, [](Tensor& old) { return add(old, tensor({1.f, 2.f, 3.f})); }),
               Error);
  EXPECT_THROW(update({weight, moment, empty},
                      [](std::span<Tensor* const> old) -> Results {
                        EXPECT_FALSE(old[2]->defined());
                        throw std::runtime_error("no");
                      }),
               std::runtime_error);
  EXPECT_EQ(weight.value().raw(), buffer);
  EXPECT_TRUE(weight.value().requires_grad());
  EXPECT_EQ(values_of(weight), (Floats{2, 3}));
  EXPECT_EQ(values_of(moment), (Floats{4, 5}));
  EXPECT_FALSE(empty.value().defined());
  sum(weight.value() * weight.value()).backward();
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{4, 6}));
}

TEST(State, AnUpdateWithoutMemoryLeavesEachCellWhole) {
  const no_grad off;
  for (int64_t before = 0;; ++before) {
    const State weight("weight", full({100}, 2), true);
    const State moment("moment", full({100}, 4));
    bool failed = false;
    {
      const testing::FailingAllocation failing(before);
      try {
        update({weight, moment}, [](std::span<Tensor* const> old) {
          Results results;
          results[0] = *old[0] + *old[1];
          results[1] = *old[1] * 2;
          return results;
        });
      } catch (const Error&) {
        failed = true;
      }
    }
    EXPECT_EQ(values_of(weight), Floats(100, failed ? 2 : 6));
    EXPECT_EQ(values_of(moment), Floats(100, failed ? 4 : 8));
    EXPECT_TRUE(weight.value().requires_grad());
    if (!failed) {
      EXPECT_GT(before, 3);
      break;
    }
  }
}

TEST(State, AParameterCollectsItsGradient) {
  const State weight("weight", tensor({2.f, 3.f}), true);
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_TRUE(weight.value().requires_grad());
  EXPECT_FALSE(weight.grad().defined());
  sum(weight.value() * weight.value()).backward();
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{4, 6}));
  sum(weight.value()).backward();
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{5, 7}));
  weight.zero_grad();
  EXPECT_FALSE(weight.grad().defined());
  weight.set_grad(tensor({1.f, 1.f}));
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{1, 1}));
}

TEST(State, AParameterStaysALeafWhenItIsSet) {
  const State weight("weight", tensor({2.f}), true);
  weight.set(weight.value() * 5);  // the product is on the tape, the cell's value is a leaf
  EXPECT_EQ(values_of(weight), Floats{10});
  sum(weight.value() * 3).backward();
  EXPECT_EQ(weight.grad().item(), 3);
}

TEST(State, AnUpdateSeesPlainDataAndTheParameterStaysALeaf) {
  const State weight("weight", tensor({2.f}), true);
  const Tensor seen = weight.value();
  const no_grad off;
  update(weight, [](Tensor& old) { return old + 1; });
  EXPECT_EQ(seen.item(), 2);
  EXPECT_TRUE(seen.requires_grad());
  EXPECT_TRUE(weight.value().requires_grad());
  const enable_grad on;
  sum(weight.value()).backward();
  EXPECT_EQ(weight.grad().item(), 1);
}

TEST(State, AGradientMustBeLikeTheValue) {
  const State bias("bias", tensor({2.f, 3.f}), true);
  bias.set_grad(tensor({1.f, 1.f}));
  const std::string shape =
      thrown_text(ErrorKind::shape, [&] { bias.set_grad(tensor({1.f, 1.f, 1.f})); });
  EXPECT_NE(shape.find("`bias`"), std::string::npos) << shape;
  EXPECT_NE(shape.find("value f32[2], gradient f32[3]"), std::string::npos) << shape;
  thrown_text(ErrorKind::shape, [&] { bias.set_grad(tensor({1.f})); });  // would broadcast
  thrown_text(ErrorKind::dtype, [&] { bias.set_grad(tensor<double>({1.0, 1.0})); });
  EXPECT_EQ(bias.grad().to_vector<float>(), (Floats{1, 1}));
  bias.set_grad({});
  EXPECT_FALSE(bias.grad().defined());
}

TEST(State, ABufferForgetsTheTape) {
  const State weight("weight", tensor({2.f}), true);
  const State buffer("mean", tensor({0.f}));
  buffer.set(weight.value() * 4);
  EXPECT_FALSE(buffer.value().requires_grad());
  EXPECT_EQ(values_of(buffer), Floats{8});
}

TEST(State, OnlyTheCellSaysWhetherItsValueNeedsAGradient) {
  const State cell("weight", tensor<float>({1}), true);
  EXPECT_NE(thrown_text(ErrorKind::unsupported, [&] { cell.value().set_requires_grad(false); })
                .find("call cell.set_requires_grad(false)"),
            std::string::npos);
  EXPECT_TRUE(cell.requires_grad());
  sum(cell.value()).backward();
  EXPECT_EQ(cell.grad().item(), 1);
  cell.set_requires_grad(false);
  EXPECT_NO_THROW(cell.value().set_requires_grad(false));
}

TEST(State, NobodyMakesALeafOfACellsValueBehindItsBack) {
  Tensor start = tensor<float>({1});
  State cell("mean", start);
  const std::string text =
      thrown_text(ErrorKind::unsupported, [&] { cell.value().set_requires_grad(); });
  EXPECT_EQ(text,
            "set_requires_grad: the tensor is the value of a cell (f32[1]); call "
            "cell.set_requires_grad(true), or detach() for the value alone");
  Tensor held = cell.value();
  EXPECT_THROW(held.set_requires_grad(), Error);
  EXPECT_TRUE(held.detach().set_requires_grad().requires_grad());
  // What the cell was made from or assigned is another tensor, and so is what it no longer holds.
  EXPECT_TRUE(start.set_requires_grad().requires_grad());
  Tensor next = tensor<float>({2});
  cell.set(next);
  EXPECT_TRUE(next.set_requires_grad().requires_grad());
  EXPECT_FALSE(cell.value().requires_grad());
  EXPECT_TRUE(held.set_requires_grad().requires_grad());
  held = cell.value();
  cell = State();
  EXPECT_TRUE(held.set_requires_grad().requires_grad());
  EXPECT_FALSE(State("w", held).value().requires_grad());
}

TEST(State, AnUpdateOrAReplayKeepsTheValueTheCellsOwn) {
  const State cell("mean", tensor<float>({1}));
  update(cell, [](Tensor& old) { return old += 1; });
  EXPECT_THROW(cell.value().set_requires_grad(), Error);
  EXPECT_ANY_THROW(update(cell, [](Tensor&) -> Tensor { fail(ErrorKind::value, "no"); }));
  EXPECT_THROW(cell.value().set_requires_grad(), Error);
  auto f = compile([&] { update(cell, [](Tensor& old) { return old += 1; }); });
  f();
  EXPECT_EQ(cell.value().item(), 3);
  EXPECT_THROW(cell.value().set_requires_grad(), Error);
}

TEST(State, RequiresGradIsSwitched) {
  const State cell("weight", tensor({1.f}), true);
  cell.set_requires_grad(false);
  EXPECT_FALSE(cell.requires_grad());
  EXPECT_FALSE(cell.value().requires_grad());
  cell.set_requires_grad(true);
  EXPECT_TRUE(cell.value().requires_grad());
  const State counter("steps", tensor<int>({1}));
  EXPECT_NE(thrown_text(ErrorKind::dtype, [&] { counter.set_requires_grad(true); }).find("steps"),
            std::string::npos);
}

// ---------------------------------------------------------------------------------- clones

TEST(CloneScope, CopiesAreCellsOfTheirOwn) {
  const State cell("weight", tensor({1.f}), true);
  cell.set_grad(tensor({9.f}));
  State copy;
  {
    const CloneScope scope;
    copy = State(cell);
  }
  EXPECT_NE(copy, cell);
  EXPECT_EQ(copy.name(), "weight");
  EXPECT_TRUE(copy.requires_grad());
  EXPECT_FALSE(copy.grad().defined());
  EXPECT_EQ(copy.value().raw(), cell.value().raw());  // values never change
  copy.set(tensor({2.f}));
  EXPECT_EQ(values_of(cell), Floats{1});
  sum(copy.value()).backward();
  EXPECT_EQ(cell.grad().item(), 9);
}

TEST(CloneScope, SharedCellsStayShared) {
  const State tied("weight", tensor({1.f}));
  const std::vector<State> both = {tied, tied, State("other", tensor({1.f}))};
  std::vector<State> copies;
  {
    const CloneScope scope;
    copies = both;
    EXPECT_EQ(State(copies[2]) == copies[2], false);  // a copy of the copy is another cell
  }
  EXPECT_EQ(copies[0], copies[1]);
  EXPECT_NE(copies[0], copies[2]);
  EXPECT_NE(copies[0], tied);
}

TEST(CloneScope, NoCellAndEmptyCellsAreCopied) {
  const State empty("slot", {});
  const CloneScope scope;
  EXPECT_FALSE(State(State()));
  const State none;
  EXPECT_FALSE(State(none));
  const State copy(empty);
  EXPECT_NE(copy, empty);
  EXPECT_FALSE(copy.value().defined());
}

TEST(CloneScope, InnerScopesBelongToTheOutermost) {
  const State cell("weight", tensor({1.f}));
  EXPECT_FALSE(CloneScope::active());
  State first, second, third;
  {
    const CloneScope outer;
    {
      const CloneScope inner;
      first = State(cell);
    }
    EXPECT_TRUE(CloneScope::active());
    second = State(cell);
  }
  EXPECT_FALSE(CloneScope::active());
  EXPECT_EQ(State(cell), cell);
  {
    const CloneScope again;
    third = State(cell);
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, third);
}

TEST(CloneScope, IsOfItsThread) {
  const CloneScope scope;
  std::thread([] {
    EXPECT_FALSE(CloneScope::active());
    const State cell("weight", tensor({1.f}));
    EXPECT_EQ(State(cell), cell);
  }).join();
}

TEST(CloneScope, RemembersOtherObjects) {
  const int original = 0;
  const CloneScope scope;
  EXPECT_EQ(CloneScope::find(&original), nullptr);
  const auto copy = std::make_shared<int>(5);
  CloneScope::remember(&original, copy);
  EXPECT_EQ(CloneScope::find(&original), copy);
}

TEST(State, AParameterKeepsAFloatingValue) {
  const State cell("weight", from_values<float>({2}, std::vector<float>{1, 2}), true);
  EXPECT_EQ(testing::thrown_text(
                ErrorKind::dtype,
                [&] { cell.set(from_values<int64_t>({2}, std::vector<int64_t>{1, 2})); }),
            "`weight` needs gradients, so its value must be a floating tensor, got i64[2]");
  EXPECT_EQ(testing::thrown_text(ErrorKind::value, [&] { cell.set(Tensor()); }),
            "`weight` needs gradients, so its value must be a floating tensor, got an undefined "
            "one");
  EXPECT_EQ(cell.value().to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(State, AnUpdateWithoutAValueLeavesTheOldOne) {
  const State cell("step", from_values<float>({1}, std::vector<float>{3}));
  EXPECT_EQ(testing::thrown_text(ErrorKind::value,
                                 [&] { update(cell, [](Tensor&) { return Tensor(); }); }),
            "update: the function gave no value for `step`");
  EXPECT_EQ(cell.value().item(), 3);
  // A function that moves the value out loses it when it throws, and nothing worse happens.
  EXPECT_THROW(update(cell,
                      [](Tensor& old) -> Tensor {
                        const Tensor gone = std::move(old);
                        fail(ErrorKind::value, "after the move");
                      }),
               Error);
  cell.set(from_values<float>({1}, std::vector<float>{4}));
  EXPECT_EQ(cell.value().item(), 4);
}

TEST(State, AnUpdateOfSeveralCellsNeedsAValueForEach) {
  const State a("a", tensor<float>({1}));
  const State b("b", tensor<float>({2}));
  EXPECT_EQ(testing::thrown_text(ErrorKind::value,
                                 [&] {
                                   update({a, b}, [](std::span<Tensor* const> old) {
                                     Results results;
                                     results[0] = *old[0] + 1;
                                     return results;
                                   });
                                 }),
            "update: the function gave no value for `b`");
  EXPECT_EQ(a.value().item(), 1);
  EXPECT_EQ(b.value().item(), 2);
}

TEST(State, WithoutACellThrows) {
  const State none;
  const std::string text = "the State is null: it has no cell";
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.value(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.set(ones({1})); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.grad(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { none.zero_grad(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)none.name(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { update(none, [](Tensor& old) { return old; }); }),
            text);
  thrown_text(ErrorKind::value, [] { State("w", Tensor(), true); });
}

TEST(State, AValueOfAnotherShapeHasNoGradientYet) {
  const State cell("w", tensor<float>({1}), true);
  cell.set_grad(tensor<float>({4}));
  cell.set(tensor<float>({5}));
  EXPECT_EQ(cell.grad().item(), 4);
  cell.set(tensor<float>({5, 6}));
  EXPECT_FALSE(cell.grad().defined());
  sum(cell.value()).backward();
  EXPECT_EQ(cell.grad().to_vector<float>(), (Floats{1, 1}));
  update(cell, [](Tensor&) { return tensor<float>({7}); });
  EXPECT_FALSE(cell.grad().defined());
}

TEST(State, AnUpdateTakesEachCellOnce) {
  const State a("a", tensor<float>({1}));
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { update({a, a}, [](auto) { return Results(); }); }),
            "update: `a` is given twice");
  EXPECT_EQ(a.value().item(), 1);
}

TEST(State, FreezingKeepsTheGradient) {  // as in PyTorch
  const State cell("w", tensor<float>({1}), true);
  sum(cell.value() * 3).backward();
  cell.set_requires_grad(false);
  cell.set_requires_grad(true);
  EXPECT_EQ(cell.grad().item(), 3);
  cell.set_requires_grad(false);
  cell.zero_grad();
  cell.set_requires_grad(true);
  EXPECT_FALSE(cell.grad().defined());
  const State empty("e", Tensor());
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { empty.set_requires_grad(true); }),
            "set_requires_grad: `e` has no value");
}

}  // namespace
}  // namespace taper

#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper::optim {
namespace {

using testing::thrown_text;

struct Cells {
  State a{"a", tensor<double>({1.0, 2.0}), true};
  State b{"b", tensor<double>({3.0}), true};
  State c{"c", tensor<double>({-4.0}), true};

  std::vector<double> values() const {
    std::vector<double> all = a.value().to_vector<double>();
    for (const State& cell : {b, c}) all.push_back(cell.value().item());
    return all;
  }
  void gradients() const {
    for (const State& cell : {a, b, c}) {
      cell.zero_grad();
      sum(cell.value() * cell.value()).backward();
    }
  }
};

/// Steps of one optimizer with two groups, and of one optimizer for each.
template <class O, class Options>
void expect_like_separate(const Options& common, const Fields& own, const Options& all_own) {
  const Cells together, apart;
  O grouped(
      {{.parameters = {together.a, together.b}, .options = own}, {.parameters = {together.c}}},
      common);
  O first(std::vector<State>{apart.a, apart.b}, all_own);
  O second(std::vector<State>{apart.c}, common);
  EXPECT_EQ(grouped.groups(), 2u);
  EXPECT_EQ(grouped.parameters().size(), 3u);
  for (int i = 0; i < 4; ++i) {
    together.gradients();
    apart.gradients();
    grouped.step();
    first.step();
    second.step();
  }
  EXPECT_EQ(together.values(), apart.values());
}

TEST(ParameterGroups, EachHasItsOwnOptions) {
  expect_like_separate<Adam, AdamOptions>({.lr = 1e-1}, {{"lr", 1e-3}, {"weight_decay", 0.5}},
                                          {.lr = 1e-3, .weight_decay = 0.5});
  expect_like_separate<SGD, SGDOptions>({.lr = 1e-1}, {{"momentum", 0.9}},
                                        {.lr = 1e-1, .momentum = 0.9});
}

TEST(ParameterGroups, NameWhatChanges) {
  const Cells cells;
  const Adam adam({{.parameters = {cells.a}, .options = {{"lr", 0.5}}}, {.parameters = {cells.b}}},
                  {.lr = 0.25});
  std::vector<std::string> names;
  for (const auto& [name, cell] : adam.state()) names.push_back(name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"step", "lr", "0.exp_avg", "0.exp_avg_sq", "group1.step",
                                      "group1.lr", "group1.0.exp_avg", "group1.0.exp_avg_sq"}));
}

TEST(ParameterGroups, ScaleTheirOwnFirstRates) {
  const Cells cells;
  SGD sgd({{.parameters = {cells.a}, .options = {{"lr", 0.5}}}, {.parameters = {cells.b}}},
          {.lr = 0.25});
  sgd.scale_lr(0.5);
  sgd.scale_lr(0.25);
  EXPECT_EQ(sgd.lr(), 0.125);
  EXPECT_EQ(sgd.lr(1), 0.0625);
  EXPECT_EQ(sgd.first_lr(1), 0.25);
  sgd.set_lr(1, 1);
  sgd.scale_lr(0.5);
  EXPECT_EQ(sgd.lr(), 0.25);
  EXPECT_EQ(sgd.lr(1), 0.5);
  sgd.set_lr(2);
  EXPECT_EQ(sgd.lr(), 2);
  EXPECT_EQ(sgd.lr(1), 2);
  EXPECT_EQ(thrown_text(ErrorKind::index, [&] { sgd.lr(2); }),
            "optimizer: group 2 was asked for, there are 2");
  EXPECT_THROW(sgd.scale_lr(-1), Error);
  sgd.set_lr(1e300, 1);
  EXPECT_THROW(sgd.scale_lr(1e10), Error);
  EXPECT_EQ(sgd.lr(), 2);
  EXPECT_EQ(sgd.lr(1), 1e300);
}

TEST(ParameterGroups, SayWhatIsWrong) {
  const Cells cells;
  using Groups = std::vector<ParameterGroup>;
  const auto text = [](Groups groups) {
    return thrown_text(ErrorKind::value, [&] { SGD(std::move(groups)); });
  };
  EXPECT_EQ(text(Groups{{{cells.a}}, {{}}}), "optimizer: group 1 has no parameters");
  EXPECT_EQ(text(Groups{{{cells.a}}, {{cells.b, State()}}}),
            "optimizer: group 1: parameter 1 is null");
  EXPECT_EQ(text(Groups{{{cells.a}}, {{cells.b, cells.a}}}),
            "optimizer: group 1: `a` (parameter 1) is in group 0 too");
  EXPECT_EQ(text(Groups{}), "optimizer: there are no parameters to train");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { SGD(std::vector<State>{cells.a, cells.a}); }),
            "optimizer: `a` (parameter 1) is given twice");
  EXPECT_NE(text(Groups{{{cells.a}}, {{cells.b}, {{"rate", 1.0}}}}).find("rate"),
            std::string::npos);
}

TEST(Freezing, KeepsTheParameterAndItsSlotsUntilItIsUnfrozen) {
  const Cells cells;
  Adam adam(std::vector<State>{cells.a, cells.b, cells.c}, {.lr = 0.1, .weight_decay = 0.5});
  cells.gradients();
  adam.step();
  const auto slots = [&] {
    std::vector<double> all;
    for (const auto& [name, cell] : adam.state()) {
      if (name.starts_with("1.exp_avg")) all.push_back(cell.value().item());
    }
    return all;
  };
  const std::vector<double> before = slots();
  const double value = cells.b.value().item();
  cells.b.set_requires_grad(false);
  cells.a.zero_grad();
  sum(cells.a.value() * cells.b.value()).backward();
  adam.step();
  adam.step({ones({2}, DType::f64), ones({1}, DType::f64), ones({1}, DType::f64)});
  EXPECT_EQ(cells.b.value().item(), value);
  EXPECT_EQ(slots(), before);
  cells.b.zero_grad();
  cells.b.set_requires_grad(true);
  adam.step();  // no gradient yet
  EXPECT_EQ(slots(), before);
  cells.gradients();
  adam.step();
  EXPECT_NE(cells.b.value().item(), value);
  EXPECT_NE(slots(), before);
}

}  // namespace
}  // namespace taper::optim

#include <gtest/gtest.h>

#include <cmath>

#include <taper/taper.h>

#include "tests/core/error_testing.h"
#include "tests/optim/golden_testing.h"

namespace taper::optim {
namespace {

using testing::numbers_in;
using testing::table_in;
using testing::thrown_text;

/// Parameters for one group for each rate.
std::shared_ptr<Optimizer> optimizer_of(const std::string& kind, const std::vector<double>& rates) {
  std::vector<ParameterGroup> groups;
  for (const double lr : rates) {
    groups.push_back({.parameters = {State("x", zeros({1}), true)}, .options = {{"lr", lr}}});
  }
  if (kind == "SGD") return std::make_shared<SGD>(groups, SGDOptions{.momentum = 0.9});
  return std::make_shared<Adam>(groups);
}

std::vector<double> rates_of(const Optimizer& optimizer) {
  std::vector<double> rates;
  for (size_t i = 0; i < optimizer.groups(); ++i) rates.push_back(optimizer.lr(i));
  return rates;
}

std::vector<double> momenta_of(const Optimizer& optimizer) {
  std::vector<double> momenta;
  for (size_t i = 0; i < optimizer.groups(); ++i) {
    for (const auto& [name, value] : optimizer.present_options(i)) {
      if (name == "momentum") momenta.push_back(*value.get_if<double>());
      if (name == "betas") momenta.push_back(numbers_in(value)[0]);
    }
  }
  return momenta;
}

/// A hundredth of a millionth of a millionth apart at most.
void expect_like(const std::vector<double>& found, const std::vector<double>& expected,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-14 + 1e-13 * std::abs(expected[i])) << what;
  }
}

void move_on(LRScheduler& scheduler, const std::vector<double>& watched, size_t step) {
  if (watched.empty()) return scheduler.step();
  scheduler.step(watched[step]);
}

/// make_schedules_golden.py has PyTorch's numbers.
TEST(ScheduleGolden, GivesPyTorchsRatesAndMomenta) {
  const Value all = testing::golden("schedules_golden.json");
  for (const Value& each : *all.get_if<Value::List>()) {
    const std::string name = *each.find("name")->get_if<std::string>();
    const Fields options = *each.find("options")->get_if<Fields>();
    const std::string kind = *each.find("optimizer")->get_if<std::string>();
    const auto optimizer = optimizer_of(kind, numbers_in(*each.find("first")));
    const auto schedule = ScheduleFactory::get(name, "schedule").make(options);
    const auto rates = table_in(*each.find("lr"));
    const auto momenta = table_in(*each.find("momentum"));
    const Value* numbers = each.find("numbers");
    const std::vector<double> watched =
        numbers != nullptr ? numbers_in(*numbers) : std::vector<double>();
    LRScheduler scheduler(optimizer, schedule);
    for (size_t step = 0; step < rates.size(); ++step) {
      const std::string what = name + Value(options).print() + " step " + std::to_string(step);
      expect_like(rates_of(*optimizer), rates[step], what);
      expect_like(momenta_of(*optimizer), momenta[step], what);
      EXPECT_EQ(scheduler.last_epoch(), static_cast<int64_t>(step)) << what;
      EXPECT_EQ(scheduler.get_last_lr(), rates_of(*optimizer)) << what;
      if (step + 1 < rates.size()) {
        move_on(scheduler, watched, step);
      } else if (!watched.empty()) {
        scheduler.step(watched[step]);
      }
    }
    if (watched.empty()) continue;
    const Value state(scheduler.state());
    EXPECT_EQ(*state.find("num_bad_epochs"), *each.find("bad")) << name;
    EXPECT_EQ(*state.find("cooldown_counter"), *each.find("cooldown")) << name;
    EXPECT_EQ(numbers_in(Value(Value::List{*state.find("best")})),
              numbers_in(Value(Value::List{*each.find("best")})))
        << name;
  }
}

/// Cut at each step, with the states through JSON.
TEST(LRScheduler, GoesOnFromItsState) {
  const Value all = testing::golden("schedules_golden.json");
  for (const Value& each : *all.get_if<Value::List>()) {
    const std::string name = *each.find("name")->get_if<std::string>();
    const std::string kind = *each.find("optimizer")->get_if<std::string>();
    const std::vector<double> first = numbers_in(*each.find("first"));
    const auto schedule =
        ScheduleFactory::get(name, "schedule").make(*each.find("options")->get_if<Fields>());
    const Value* numbers = each.find("numbers");
    const std::vector<double> watched =
        numbers != nullptr ? numbers_in(*numbers) : std::vector<double>();
    const size_t steps = table_in(*each.find("lr")).size();
    const auto optimizer = optimizer_of(kind, first);
    LRScheduler whole(optimizer, schedule);
    for (size_t step = 0; step + 1 < steps; ++step) {
      const auto other = optimizer_of(kind, std::vector<double>(first.size(), 7));
      LRScheduler resumed(other, schedule);
      const Value through = parse_json(to_json(Value(whole.state())));
      resumed.load_state(*through.get_if<Fields>());
      EXPECT_EQ(rates_of(*other), rates_of(*optimizer)) << name;
      EXPECT_EQ(momenta_of(*other), momenta_of(*optimizer)) << name;
      move_on(whole, watched, step);
      move_on(resumed, watched, step);
      EXPECT_EQ(rates_of(*other), rates_of(*optimizer)) << name << " after " << step;
      EXPECT_EQ(momenta_of(*other), momenta_of(*optimizer)) << name << " after " << step;
      EXPECT_EQ(resumed.state(), whole.state()) << name;
    }
  }
}

TEST(LRScheduler, HasPyTorchsNames) {
  SGD sgd({{.parameters = {State("a", zeros({1}), true)}, .options = {{"lr", 0.5}}},
           {.parameters = {State("b", zeros({1}), true)}}},
          {.lr = 0.25});
  LRScheduler scheduler(sgd, StepLR({.step_size = 1, .gamma = 0.5}));
  scheduler.step();
  EXPECT_EQ(sgd.lr(), 0.25);
  EXPECT_EQ(sgd.lr(1), 0.125);
  EXPECT_EQ(Value(scheduler.state()).print(),
            "{\"last_epoch\": 1, \"base_lrs\": [0.5, 0.25], \"_last_lr\": [0.25, 0.125]}");
  LRScheduler plateau(sgd, ReduceLROnPlateau({.patience = 0}));
  plateau.step(3);
  EXPECT_EQ(Value(plateau.state()).print(),
            "{\"last_epoch\": 1, \"base_lrs\": [0.5, 0.25], \"_last_lr\": [0.25, 0.125], "
            "\"best\": 3.0, \"num_bad_epochs\": 0, \"cooldown_counter\": 0}");
  scheduler.put_back();
  EXPECT_EQ(sgd.lr(), 0.5);
  EXPECT_EQ(sgd.lr(1), 0.25);
}

TEST(LRScheduler, PutsRatesAndMomentaBack) {
  for (const std::string kind : {"SGD", "Adam"}) {
    const auto optimizer = optimizer_of(kind, {0.1, 0.2});
    const std::vector<double> before = momenta_of(*optimizer);
    const Fields made = optimizer->group_options(0);
    LRScheduler scheduler(optimizer, OneCycleLR({.max_lr = 1, .total_steps = 8}));
    for (int i = 0; i < 5; ++i) scheduler.step();
    EXPECT_NE(momenta_of(*optimizer), before);
    EXPECT_EQ(optimizer->group_options(0), made);
    scheduler.put_back();
    EXPECT_EQ(momenta_of(*optimizer), before);
    EXPECT_EQ(rates_of(*optimizer), std::vector({0.1, 0.2}));
  }
}

TEST(LRScheduler, SaysWhatIsWrong) {
  const auto sgd = optimizer_of("SGD", {0.1});
  const auto text = [](auto action) { return thrown_text(ErrorKind::value, action); };
  EXPECT_EQ(text([] { LRScheduler(SGD({.lr = 1}), StepLR(2)); }),
            "LRScheduler: the optimizer has no parameters yet");
  EXPECT_EQ(text([&] { LRScheduler(sgd, std::shared_ptr<const Schedule>()); }),
            "LRScheduler: the schedule is null");
  LRScheduler steps(sgd, StepLR(2));
  EXPECT_EQ(text([&] { steps.step(1.0); }),
            "LRScheduler: the schedule watches no number, call step()");
  LRScheduler plateau(sgd, ReduceLROnPlateau());
  plateau.step(1.0);
  EXPECT_EQ(text([&] { plateau.step(); }),
            "LRScheduler: the schedule watches a number, call step(number)");
  EXPECT_EQ(text([&] { steps.load_state(plateau.state()); }),
            "LRScheduler: the state is that of another schedule or optimizer");
  EXPECT_EQ(text([&] { LRScheduler(sgd, OneCycleLR({.max_lr = 1})); }),
            "OneCycleLR: give `total_steps`, or `epochs` and `steps_per_epoch`; only a fit knows "
            "them by itself");
  EXPECT_EQ(text([&] { LRScheduler(sgd, OneCycleLR({.max_lr = 1, .total_steps = 4}), 6); }),
            "OneCycleLR: it has 4 steps, step 5 was asked for");
  LRScheduler cycle(sgd, OneCycleLR({.max_lr = 1, .total_steps = 1}));
  cycle.step();  // as PyTorch lets a loop do behind its last update
  EXPECT_EQ(text([&] { cycle.step(); }), "OneCycleLR: it has 1 steps, step 2 was asked for");
  EXPECT_EQ(cycle.last_epoch(), 1);
  EXPECT_EQ(text([] { OneCycleLR({.max_lr = 1, .epochs = 3}); }),
            "OneCycleLR: `epochs` and `steps_per_epoch` go together, got 3");
  EXPECT_EQ(text([] { OneCycleLR({.max_lr = 0}); }),
            "OneCycleLR: `max_lr` must be finite and above 0, got 0.0");
  const PerGroup two{0.1, 0.2};
  EXPECT_EQ(text([&] { LRScheduler(sgd, OneCycleLR({.max_lr = two, .total_steps = 4})); }),
            "schedule: `max_lr` has 2 numbers, the optimizer 1 group");
  EXPECT_EQ(text([] { CosineAnnealingLR({.T_max = 3, .eta_min_factor = 0.5, .eta_min = 0.5}); }),
            "CosineAnnealingLR: give `eta_min` or `eta_min_factor`, not both, got 0.5");
}

TEST(OneCycleLR, StaysAtItsEndBehindTheLastStep) {
  const State x("x", ones({1}), true);
  AdamW adam(std::vector<State>{x});
  LRScheduler scheduler(
      adam,
      OneCycleLR({.max_lr = 1, .total_steps = 10, .anneal_strategy = AnnealStrategy::linear}));
  std::vector<double> rates;
  for (int i = 0; i < 10; ++i) {  // the customary loop: a step of the schedule behind each update
    rates.push_back(adam.lr());
    adam.step({ones({1})});
    scheduler.step();
  }
  EXPECT_NEAR(rates.back(), 4e-6, 1e-15);
  EXPECT_EQ(adam.lr(), rates.back());
  EXPECT_NEAR(momenta_of(adam)[0], 0.95, 1e-15);
}

TEST(LRScheduler, NeedsAMomentumToMove) {
  const std::vector<State> x{State("x", zeros({1}), true)};
  const auto cycle = [](AnyOptimizer optimizer) {
    LRScheduler(std::move(optimizer), OneCycleLR({.max_lr = 1, .total_steps = 4}));
  };
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { cycle(SGD(x)); }),
            "LRScheduler: the schedule moves the momentum, but SGD was made without one; give it a "
            "`momentum`, or the schedule `cycle_momentum` = false");
}

/// By updates within one after the other.
TEST(SequentialLR, TellsItsPartsTheirOwnPlaces) {
  const auto sgd = optimizer_of("SGD", {0.1});
  const SequentialLR both({std::make_shared<LinearLR>(), std::make_shared<OneCycleLR>(1)}, {3});
  LRScheduler scheduler(sgd, both, 9);
  const auto other = optimizer_of("SGD", {0.1});
  LRScheduler alone(other, OneCycleLR(1), 6);
  scheduler.move_to(3);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(sgd->lr(), other->lr()) << i;
    EXPECT_EQ(momenta_of(*sgd), momenta_of(*other)) << i;
    scheduler.step();
    alone.step();
  }
  EXPECT_THROW(SequentialLR({std::make_shared<ReduceLROnPlateau>()}, {}), Error);
  EXPECT_THROW(SequentialLR({nullptr}, {}), Error);
}

TEST(ScheduleRun, SaysWhatSchedulesMustBeTold) {
  const ScheduleRun run{.epochs = 7, .lr = 0.25};
  const auto text = [&](const char* name, const Fields& given) {
    return Value(options_for_run(name, given, run)).print();
  };
  EXPECT_EQ(text("StepLR", {{"gamma", 0.5}}),
            Value(Fields{{"gamma", 0.5}, {"step_size", 3}}).print());
  EXPECT_EQ(text("StepLR", {{"step_size", 2}}), Value(Fields{{"step_size", 2}}).print());
  EXPECT_EQ(text("CosineAnnealingLR", {}), Value(Fields{{"T_max", 7}}).print());
  EXPECT_EQ(text("OneCycleLR", {}), Value(Fields{{"max_lr", 0.25}}).print());
  // PyTorch's own defaults stand.
  EXPECT_EQ(text("LinearLR", {}), Value(Fields{}).print());
  EXPECT_EQ(text("a program's own", {{"x", 1}}), Value(Fields{{"x", 1}}).print());
  for (const RunOptions* of : Registry<RunOptions>::all()) {
    EXPECT_NE(ScheduleFactory::get(of->name, "schedule").make((*of)(run)), nullptr) << of->name;
    EXPECT_NE(ScheduleFactory::get(of->name, "schedule").make((*of)({.lr = 1})), nullptr)
        << of->name;
  }
}

TEST(ReduceLROnPlateau, NumbersThatAreNotFiniteNeverImprove) {
  const ReduceLROnPlateau rule({.patience = 1});
  ReduceLROnPlateau::Memory memory;
  EXPECT_FALSE(rule.sees(std::nan(""), memory));
  EXPECT_FALSE(memory.best.has_value());
  EXPECT_TRUE(rule.sees(-HUGE_VAL, memory));
  EXPECT_FALSE(rule.sees(1e300, memory));
  EXPECT_EQ(memory.best, 1e300);
}

}  // namespace
}  // namespace taper::optim

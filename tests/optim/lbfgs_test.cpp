#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include <taper/taper.h>

#include "tests/core/error_testing.h"
#include "tests/optim/golden_testing.h"

namespace taper::optim {
namespace {

using testing::numbers_in;
using testing::thrown_text;

using Loss = Tensor (*)(const Tensor& x, const Tensor& y);

Tensor at(const Tensor& x, int64_t i) { return x[{i}]; }

/// The losses of make_lbfgs_golden.py.
const std::map<std::string, Loss> losses = {
    {"quadratic",
     [](const Tensor& x, const Tensor& y) {
       const Tensor scale = tensor<double>({1, 4, 50});
       return sum(scale * square(x - 1)) / 2 + sum(square(sum(x) + y)) / 4 + sum(square(y + 2));
     }},
    {"rosenbrock",
     [](const Tensor& x, const Tensor& y) {
       return sum(100 * square(at(x, 1) - square(at(x, 0))) + square(1 - at(x, 0)) +
                  square(y - at(x, 2)) + square(at(x, 2)));
     }},
    {"quartic", [](const Tensor& x, const Tensor& y) {
       return sum(square(square(x))) + sum(exp(y) + exp(-y)) / 2 + sum(at(x, 0) * y);
     }}};

struct Problem {
  Loss loss;
  State x{"x", tensor<double>({-1.2, 1.0, 0.5}), true};
  State y{"y", tensor<double>({0.75}), true};

  std::vector<State> cells() const { return {x, y}; }
  Tensor closure() const {
    x.zero_grad();
    y.zero_grad();
    Tensor value = loss(x.value(), y.value());
    value.backward();
    return value;
  }
  std::vector<double> values() const {
    std::vector<double> all = x.value().to_vector<double>();
    all.push_back(y.value().item());
    return all;
  }
};

std::vector<std::pair<std::string, Tensor>> values_of(const Optimizer& optimizer) {
  std::vector<std::pair<std::string, Tensor>> values;
  for (const auto& [name, cell] : optimizer.state()) values.emplace_back(name, cell.value());
  return values;
}

double number(const Optimizer& optimizer, const std::string& name) {
  for (const auto& [known, cell] : optimizer.state()) {
    if (known == name) return cell.value().item();
  }
  return -1;
}

/// make_lbfgs_golden.py has PyTorch's iterates.
TEST(LbfgsGolden, GoesPyTorchsWay) {
  const Value all = testing::golden("lbfgs_golden.json");
  for (const Value& each : *all.get_if<Value::List>()) {
    const std::string name = *each.find("loss")->get_if<std::string>();
    const Fields options = *each.find("options")->get_if<Fields>();
    const std::string what = name + Value(options).print();
    const Problem problem{.loss = losses.at(name)};
    const auto optimizer = OptimizerFactory::get("LBFGS", "optimizer").make(options);
    optimizer->attach(problem.cells());
    const auto path = testing::table_in(*each.find("path"));
    const std::vector<double> values = numbers_in(*each.find("losses"));
    for (size_t i = 0; i < path.size(); ++i) {
      const Tensor loss = optimizer->step([&] { return problem.closure(); });
      EXPECT_NEAR(loss.item(), values[i], 1e-9 * (1 + std::abs(values[i]))) << what << " " << i;
      const std::vector<double> found = problem.values();
      for (size_t j = 0; j < found.size(); ++j) {
        EXPECT_NEAR(found[j], path[i][j], 1e-8 * (1 + std::abs(path[i][j]))) << what << " " << i;
      }
    }
    EXPECT_EQ(number(*optimizer, "func_evals"),
              static_cast<double>(*each.find("func_evals")->get_if<int64_t>()))
        << what;
    EXPECT_EQ(number(*optimizer, "n_iter"),
              static_cast<double>(*each.find("n_iter")->get_if<int64_t>()))
        << what;
    EXPECT_EQ(number(*optimizer, "step"), static_cast<double>(path.size()));
  }
}

TEST(Lbfgs, SolvesRosenbrock) {
  const State x("x", tensor<double>({-1.2, 1.0}), true);
  LBFGS lbfgs(std::vector<State>{x},
              {.tolerance_change = 1e-14, .line_search_fn = LineSearch::strong_wolfe});
  const auto loss = [&] {
    return 100 * square(at(x.value(), 1) - square(at(x.value(), 0))) + square(1 - at(x.value(), 0));
  };
  for (int i = 0; i < 5; ++i) {
    lbfgs.step([&] {
      lbfgs.zero_grad();
      Tensor value = loss();
      value.backward();
      return value;
    });
  }
  EXPECT_LT(loss().item(), 1e-10);
}

/// A cut between any two steps changes nothing; a copy is another handle.
TEST(Lbfgs, GoesOnFromItsState) {
  const LBFGSOptions options{
      .max_iter = 3, .history_size = 4, .line_search_fn = LineSearch::strong_wolfe};
  const Problem whole{.loss = losses.at("rosenbrock")};
  LBFGS first(whole.cells(), options);
  for (int step = 0; step < 8; ++step) {
    const Problem cut{.loss = whole.loss,
                      .x = State("x", whole.x.value(), true),
                      .y = State("y", whole.y.value(), true)};
    LBFGS second(cut.cells(), options);
    second.load_state(values_of(first));
    first.copied()->step([&] { return whole.closure(); });
    second.step([&] { return cut.closure(); });
    EXPECT_EQ(whole.values(), cut.values()) << step;
    const auto kept = values_of(first);
    const auto found = values_of(second);
    ASSERT_EQ(kept.size(), found.size());
    for (size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(kept[i].first, found[i].first);
      EXPECT_EQ(kept[i].second.to_vector<double>(), found[i].second.to_vector<double>());
    }
  }
}

TEST(Lbfgs, RefusesTheStateOfAnother) {
  const Problem problem{.loss = losses.at("quadratic")};
  LBFGS lbfgs(problem.cells());
  lbfgs.step([&] { return problem.closure(); });
  auto values = values_of(lbfgs);
  LBFGS other(std::vector<State>{State("x", zeros({2}, DType::f64), true)});
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { other.load_state(values); }),
            "d is f64[2] in this training, f64[4] in the checkpoint");
  std::erase_if(values, [](const auto& named) { return named.first == "old_stps"; });
  EXPECT_EQ(thrown_text(ErrorKind::not_found, [&] { lbfgs.load_state(values); }),
            "the optimizer's `old_stps` is missing");
  EXPECT_EQ(values_of(other).size(), 2u);
}

/// Also for parameters of f32 and of 16 bits, in several shapes and one of them frozen.
TEST(Lbfgs, TakesAnyFloatingParameters) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const State a("a", astype(tensor<double>({{3, -2}, {1, 5}}), dtype), true);
    const State b("b", astype(full({1}, 2), dtype), true);
    const State still("still", astype(full({3}, 7), dtype), true);
    still.set_requires_grad(false);
    LBFGS lbfgs(std::vector<State>{a, still, b}, {.line_search_fn = LineSearch::strong_wolfe});
    lbfgs.step([&] {
      lbfgs.zero_grad();
      Tensor loss = sum(square(a.value() - 1)) + sum(square(b.value() + sum(still.value())));
      loss.backward();
      return loss;
    });
    const bool is_half = dtype == DType::f16 || dtype == DType::bf16;
    const double near = is_half ? 0.15 : 1e-4;
    for (const double each : a.value().to_vector<double>()) EXPECT_NEAR(each, 1, near);
    EXPECT_NEAR(b.value().item(), -21, near);
    EXPECT_EQ(still.value().to_vector<double>(), std::vector({7.0, 7.0, 7.0}));
    EXPECT_EQ(a.value().dtype(), dtype);
  }
}

/// The logarithm has no value behind 0, and each first try goes there.
TEST(Lbfgs, NeverStaysWhereTheLossIsNotFinite) {
  for (const std::optional<LineSearch> search :
       {std::optional<LineSearch>(), std::optional(LineSearch::strong_wolfe)}) {
    const State x("x", tensor<double>({0.5}), true);
    LBFGS lbfgs(std::vector<State>{x}, {.lr = 3, .line_search_fn = search});
    for (int i = 0; i < 3; ++i) {
      lbfgs.step([&] {
        lbfgs.zero_grad();
        Tensor loss = sum(x.value() - log(x.value()) / 10);
        loss.backward();
        return loss;
      });
      EXPECT_GT(x.value().item(), 0);
    }
    if (search) {
      EXPECT_NEAR(x.value().item(), 0.1, 1e-6);
    }
  }
}

TEST(Lbfgs, AClosureThatThrowsLeavesEverythingAsItWas) {
  const Problem problem{.loss = losses.at("rosenbrock")};
  LBFGS lbfgs(problem.cells(), {.max_iter = 3, .line_search_fn = LineSearch::strong_wolfe});
  lbfgs.step([&] { return problem.closure(); });
  const std::vector<double> before = problem.values();
  const double evals = number(lbfgs, "func_evals");
  int calls = 0;
  const auto fails = [&]() -> Tensor {
    if (++calls == 3) fail(ErrorKind::value, "no more");
    return problem.closure();
  };
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lbfgs.step(fails); }), "no more");
  EXPECT_EQ(problem.values(), before);
  EXPECT_EQ(number(lbfgs, "func_evals"), evals);
  EXPECT_EQ(number(lbfgs, "step"), 1);
}

TEST(Lbfgs, SaysWhatIsWrong) {
  const Problem problem{.loss = losses.at("quadratic")};
  LBFGS lbfgs(problem.cells());
  const std::string text =
      "LBFGS: step(closure) is needed, whose closure clears the gradients, computes the loss, "
      "calls "
      "its backward and returns it";
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lbfgs.step(); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lbfgs.step(std::vector<Tensor>{}); }), text);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lbfgs.step([] { return Tensor(); }); }),
            "LBFGS: the closure must return the loss, one number, it returned an undefined tensor");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lbfgs.step([] { return zeros({2}); }); }),
            "LBFGS: the closure must return the loss, one number, it returned f32[2]");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { lbfgs.step(std::function<Tensor()>()); }),
            "LBFGS: the closure is empty");
  EXPECT_EQ(thrown_text(ErrorKind::value,
                        [&] {
                          LBFGS({{.parameters = {problem.x}}, {.parameters = {problem.y}}},
                                LBFGSOptions());
                        }),
            "LBFGS: it takes one group of parameters, got 2");
  EXPECT_THROW(LBFGS({.max_iter = 0}), Error);
  EXPECT_THROW(lbfgs.set_option("tolerance_grad", Value(0.5)), Error);
  EXPECT_EQ(thrown_text(ErrorKind::value,
                        [&] { LRScheduler(lbfgs, OneCycleLR({.max_lr = 1, .total_steps = 4})); }),
            "LRScheduler: the schedule moves the momentum, but LBFGS has neither `momentum` nor "
            "`betas`");
  EXPECT_THROW(OptimizerFactory::get("LBFGS", "optimizer").make({{"line_search_fn", "armijo"}}),
               Error);
}

}  // namespace
}  // namespace taper::optim

#include <gtest/gtest.h>

#include <cmath>

#include <taper/taper.h>

namespace taper::optim {
namespace {

/// Minimises w^2 + 3w from w = 2 and lists w after each step.
template <class Make>
std::vector<double> path(Make make, int steps) {
  const State w("w", tensor<double>({2.0}), true);
  auto optimizer = make(std::vector<State>{w});
  std::vector<double> values;
  for (int i = 0; i < steps; ++i) {
    optimizer.zero_grad();
    sum(w.value() * w.value() + w.value() * 3).backward();
    optimizer.step();
    values.push_back(w.value().item());
  }
  return values;
}

/// The same by the published formulas, in plain doubles.
std::vector<double> adam_by_hand(int steps, double lr, double b1, double b2, double eps,
                                 double wd) {
  double w = 2, m = 0, v = 0;
  std::vector<double> values;
  for (int t = 1; t <= steps; ++t) {
    const double g = 2 * w + 3 + wd * w;
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    w -= lr * (m / (1 - std::pow(b1, t))) / (std::sqrt(v / (1 - std::pow(b2, t))) + eps);
    values.push_back(w);
  }
  return values;
}

std::vector<double> sgd_by_hand(int steps, double lr, double mu, double damp, double wd,
                                bool nesterov) {
  double w = 2, buffer = 0;
  std::vector<double> values;
  for (int t = 1; t <= steps; ++t) {
    double g = 2 * w + 3 + wd * w;
    if (mu != 0) {
      buffer = t == 1 ? g : mu * buffer + (1 - damp) * g;
      g = nesterov ? g + mu * buffer : buffer;
    }
    w -= lr * g;
    values.push_back(w);
  }
  return values;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12) << "step " << i;
}

TEST(Sgd, FollowsTheFormulas) {
  auto with = [](SGDOptions options) {
    return [options](std::vector<State> p) { return SGD(std::move(p), options); };
  };
  expect_near(path(with({.lr = 0.1}), 5), sgd_by_hand(5, 0.1, 0, 0, 0, false));
  expect_near(path(with({.lr = 0.1, .weight_decay = 0.2}), 5),
              sgd_by_hand(5, 0.1, 0, 0, 0.2, false));
  expect_near(path(with({.lr = 0.1, .momentum = 0.9, .dampening = 0.3}), 5),
              sgd_by_hand(5, 0.1, 0.9, 0.3, 0, false));
  expect_near(path(with({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true}), 5),
              sgd_by_hand(5, 0.1, 0.9, 0, 0.1, true));
}

TEST(Adam, FollowsTheFormulas) {
  expect_near(path([](std::vector<State> p) { return Adam(std::move(p), {.lr = 0.05}); }, 6),
              adam_by_hand(6, 0.05, 0.9, 0.999, 1e-8, 0));
  const AdamOptions options{.lr = 0.1, .betas = {0.8, 0.9}, .eps = 1e-4, .weight_decay = 0.3};
  expect_near(path([&](std::vector<State> p) { return Adam(std::move(p), options); }, 6),
              adam_by_hand(6, 0.1, 0.8, 0.9, 1e-4, 0.3));
}

/// As in PyTorch, whose optimizers count the steps of each parameter: the means of one that joins
/// late, or comes back, are corrected by its own count.
TEST(Adam, CountsTheStepsOfEachParameter) {
  const State whole("whole", tensor<double>({2.0}), true);
  const State late("late", tensor<double>({2.0}), true);
  late.set_requires_grad(false);
  Adam adam(std::vector<State>{whole, late}, {.lr = 0.05});
  const auto step = [](Adam& by, const State& a, const State& b) {
    by.zero_grad();
    sum(a.value() * a.value() + a.value() * 3 + b.value() * b.value() + b.value() * 3).backward();
    by.step();
  };
  for (int i = 0; i < 3; ++i) step(adam, whole, late);
  late.set_requires_grad(true);
  for (int i = 0; i < 2; ++i) step(adam, whole, late);
  const std::vector<double> expected = adam_by_hand(6, 0.05, 0.9, 0.999, 1e-8, 0);
  EXPECT_NEAR(whole.value().item(), expected[4], 1e-12);
  EXPECT_NEAR(late.value().item(), expected[1], 1e-12);

  const State second_whole("whole", whole.value(), true);
  const State second_late("late", late.value(), true);
  Adam second(std::vector<State>{second_whole, second_late}, {.lr = 0.05});
  std::vector<std::pair<std::string, Tensor>> values;
  for (const auto& [name, cell] : adam.state()) values.emplace_back(name, cell.value());
  second.load_state(values);
  step(second, second_whole, second_late);
  EXPECT_NEAR(second_whole.value().item(), expected[5], 1e-12);
  EXPECT_NEAR(second_late.value().item(), expected[2], 1e-12);
}

TEST(Optimizer, RefusesTheStateOfAnother) {
  const State w("w", tensor<double>({2.0}), true);
  Adam adam(std::vector<State>{w});
  const auto error = [&](const std::vector<std::pair<std::string, Tensor>>& values) {
    try {
      adam.load_state(values);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  std::vector<std::pair<std::string, Tensor>> values;
  for (const auto& [name, cell] : adam.state()) values.emplace_back(name, cell.value());
  auto more = values;
  more.emplace_back("1.exp_avg", zeros({1}));
  EXPECT_EQ(error(more), "the optimizer keeps 4 of the tensors, the checkpoint has 5");
  auto other = values;
  other[2].second = zeros({3}, DType::f64);
  EXPECT_EQ(error(other), "0.exp_avg is f64[1] in this training, f64[3] in the checkpoint");
  values.erase(values.begin() + 3);
  EXPECT_EQ(error(values), "the optimizer's `0.exp_avg_sq` is missing");
}

TEST(Optimizer, UpdatesInPlaceWhenNothingElseHoldsTheBuffer) {
  const State w("w", rand({64}), true);
  SGD optimizer(std::vector<State>{w}, {.lr = 0.1});
  const std::byte* before = w.value().raw();
  optimizer.step({ones({64})});
  EXPECT_EQ(w.value().raw(), before);
  const Tensor kept = w.value();
  const std::vector<float> values = kept.to_vector<float>();
  optimizer.step({ones({64})});
  EXPECT_NE(w.value().raw(), before);
  EXPECT_EQ(kept.to_vector<float>(), values);
}

TEST(Optimizer, RefusesBadOptions) {
  EXPECT_THROW(SGD({.lr = -1}), Error);
  EXPECT_THROW(SGD({.nesterov = true}), Error);
  EXPECT_THROW(Adam({.betas = {1.0, 0.9}}), Error);
  EXPECT_THROW(Adam().step(), Error);
  EXPECT_THROW(Adam(std::vector<State>{}), Error);
}

TEST(Optimizer, IsMadeByNameFromItsOptions) {
  const auto adam = OptimizerFactory::get("Adam", "optimizer").make({{"lr", 0.5}});
  EXPECT_EQ(adam->lr(), 0.5);
  EXPECT_EQ(adam->type(), "Adam");
  EXPECT_THROW(OptimizerFactory::get("Adamm", "optimizer"), Error);
}

/// Each finds its way down a bowl with what it does by default but a larger rate, by name and
/// copied in the middle.
TEST(Optimizer, EveryRegisteredOneDescends) {
  for (const OptimizerFactory* entry : OptimizerFactory::all()) {
    const auto loss_of = [](const Tensor& x) { return sum(x * x * tensor<double>({1, 3})); };
    const State x("x", tensor<double>({1.0, -2.0}), true);
    const auto optimizer = entry->make({{"lr", 0.05}});
    optimizer->attach({x});
    EXPECT_EQ(optimizer->type(), entry->name);
    const auto descend = [&](Optimizer& by) {
      for (int i = 0; i < 100; ++i) {
        by.step([&] {
          by.zero_grad();
          Tensor loss = loss_of(x.value());
          loss.backward();
          return loss;
        });
      }
    };
    const double before = loss_of(x.value()).item();
    descend(*optimizer);
    const double between = loss_of(x.value()).item();
    EXPECT_LT(between, before / 10) << entry->name;
    descend(*optimizer->copied());  // the same cells
    EXPECT_LT(loss_of(x.value()).item(), between + 1e-12) << entry->name;
    EXPECT_EQ(optimizer->state()[0].second.value().item(), 200) << entry->name;
  }
}

TEST(Optimizer, KeepsTheSlotsThatItsOptionsAskFor) {
  const auto slots = [](const Fields& options) {
    const auto optimizer = OptimizerFactory::get("RMSprop", "optimizer").make(options);
    optimizer->attach({State("x", zeros({2}), true)});
    std::vector<std::string> names;
    for (const auto& [name, cell] : optimizer->state()) names.push_back(name);
    return std::vector<std::string>(names.begin() + 2, names.end());
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(slots({}), (Names{"0.square_avg"}));
  EXPECT_EQ(slots({{"momentum", 0.5}}), (Names{"0.square_avg", "0.momentum_buffer"}));
  EXPECT_EQ(slots({{"centered", true}}), (Names{"0.square_avg", "0.grad_avg"}));
  EXPECT_EQ(slots({{"momentum", 0.5}, {"centered", true}}),
            (Names{"0.square_avg", "0.momentum_buffer", "0.grad_avg"}));
}

TEST(Schedule, GivesFactorsOfTheRate) {
  const auto steps = ScheduleFactory::get("StepLR", "schedule").make({{"step_size", 2}});
  EXPECT_DOUBLE_EQ(steps->factor(1), 1);
  EXPECT_DOUBLE_EQ(steps->factor(4), 0.01);
  const CosineAnnealingLR cosine({.T_max = 4});
  EXPECT_DOUBLE_EQ(cosine.factor(0), 1);
  EXPECT_NEAR(cosine.factor(2), 0.5, 1e-15);
  EXPECT_NEAR(cosine.factor(9), 0, 1e-15);
}

// PyTorch 2.x gives the same factors for LinearLR(1, 0.2, 4) behind two epochs of ConstantLR(1).
TEST(Schedule, LinearAndSequential) {
  const LinearLR line({.start_factor = 1, .end_factor = 0.2, .total_iters = 4});
  const double expected[] = {1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2};
  const SequentialLR both({std::make_shared<LinearLR>(LinearLROptions{.start_factor = 1}),
                           std::make_shared<LinearLR>(line)},
                          {2});
  for (int64_t epoch = 0; epoch < 8; ++epoch) {
    EXPECT_NEAR(both.factor(epoch), expected[epoch], 1e-15) << epoch;
  }
  EXPECT_NEAR(LinearLR().factor(0), 1.0 / 3, 1e-15);
  EXPECT_THROW(LinearLR({.total_iters = 0}), Error);
  EXPECT_THROW(SequentialLR({std::make_shared<LinearLR>()}, {1}), Error);
  EXPECT_THROW(SequentialLR({std::make_shared<LinearLR>(), std::make_shared<LinearLR>(),
                             std::make_shared<LinearLR>()},
                            {3, 1}),
               Error);
}

TEST(Optimizer, LoadsNoRateThatItWouldRefuse) {
  const State w("w", ones({1}), true);
  SGD sgd(std::vector<State>{w}, {.lr = 0.5});
  for (const double lr : {-1.0, std::nan("")}) {
    EXPECT_THROW(
        sgd.load_state({{"step", zeros({}, DType::i64)}, {"lr", full({}, lr, DType::f64)}}), Error);
  }
  EXPECT_EQ(sgd.lr(), 0.5);
}

TEST(Optimizer, AnEndlessNormOnlyMeasures) {
  const State w("w", ones({2}), true);
  w.set_grad(tensor({3.f, 4.f}));
  EXPECT_EQ(clip_grad_norm({w}, INFINITY).item(), 5);
  EXPECT_EQ(w.grad().to_vector<float>(), (std::vector<float>{3, 4}));
}

TEST(Optimizer, ACopyWithoutParametersIsOneOfItsOwn) {
  const State p("p", ones({1}), true);
  const State q("q", ones({1}), true);
  Adam first({.lr = 0.1});
  Adam second = first;
  first.attach({p});
  second.attach({q});
  for (int i = 0; i < 5; ++i) first.step({ones({1})});
  second.step({ones({1})});
  EXPECT_NEAR(q.value().item(), 0.9, 1e-6);
  second.set_lr(7);
  EXPECT_EQ(first.lr(), 0.1);
}

TEST(Optimizer, ACopyOfAnAttachedOneIsTheSame) {
  const State w("w", ones({1}), true);
  SGD sgd(std::vector<State>{w}, {.lr = 0.5});
  SGD copy = sgd;
  sgd.set_lr(2);
  copy.scale_lr(0.5);
  EXPECT_EQ(copy.first_lr(), 2);
  EXPECT_EQ(sgd.lr(), 1);
}

TEST(Training, LearnsXor) {
  manual_seed(0);
  nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()};
  SGD optimizer(net.parameters(), {.lr = 0.5});
  const Tensor x = from_values<float>({4, 2}, std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor y = from_values<float>({4, 1}, std::vector<float>{0, 1, 1, 0});
  for (int i = 0; i < 2000; ++i) {
    optimizer.zero_grad();
    binary_cross_entropy(net(x), y).backward();
    optimizer.step();
  }
  const std::vector<float> out = net(x).to_vector<float>();
  EXPECT_LT(out[0], 0.1f);
  EXPECT_GT(out[1], 0.9f);
  EXPECT_GT(out[2], 0.9f);
  EXPECT_LT(out[3], 0.1f);
}

}  // namespace
}  // namespace taper::optim

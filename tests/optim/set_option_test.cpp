// Options that change over time, and steps by a closure.
#include <gtest/gtest.h>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper::optim {
namespace {

using testing::thrown_text;

/// The momentum of each group.
std::vector<double> momenta_of(const Optimizer& optimizer) {
  std::vector<double> momenta;
  for (size_t i = 0; i < optimizer.groups(); ++i) {
    momenta.push_back(*Value(optimizer.present_options(i)).find("momentum")->get_if<double>());
  }
  return momenta;
}

TEST(SetOption, ChangesTheNextSteps) {
  const State w("w", tensor<double>({2.0}), true);
  SGD sgd(std::vector<State>{w}, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01});
  double x = 2, buffer = 0;
  for (int i = 0; i < 6; ++i) {
    const double momentum = 0.9 - 0.1 * i;
    sgd.set_option("momentum", Value(momentum));
    sgd.set_option("weight_decay", Value(0.01 * i));
    sgd.zero_grad();
    sum(w.value() * w.value()).backward();
    sgd.step();
    const double grad = 2 * x + 0.01 * i * x;
    buffer = momentum * buffer + grad;
    x -= 0.1 * buffer;
    EXPECT_NEAR(w.value().item(), x, 1e-14);
  }
}

/// As optimizers that were made so, for each rule and each real option of it.
TEST(SetOption, GivesWhatAnOptimizerThatWasMadeSoGives) {
  for (const OptimizerFactory* entry : OptimizerFactory::all()) {
    if (entry->make({})->needs_closure()) continue;
    for (const FieldInfo& info : entry->options()) {
      const double* number = info.default_value.get_if<double>();
      if (number == nullptr || info.name == "lr") continue;
      const Value other(*number == 0 ? 0.25 : *number * 0.75);
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
        const auto run = [&](const std::shared_ptr<Optimizer>& optimizer, bool changes) {
          const State w("w", astype(tensor<double>({1, -2, 0.5}), dtype), true);
          optimizer->attach({w});
          if (changes) optimizer->set_option(info.name, other);
          for (int i = 0; i < 3; ++i) {
            optimizer->step({astype(tensor<double>({0.5, 1, -2}) + 0.25 * i, dtype)});
          }
          return w.value().to_vector<double>();
        };
        std::vector<double> changed;
        try {
          changed = run(entry->make({}), true);
        } catch (const Error& error) {  // one that needs a slot
          EXPECT_NE(std::string(error.what()).find("needs a slot"), std::string::npos);
          continue;
        }
        EXPECT_EQ(changed, run(entry->make({{std::string(info.name), other}}), false))
            << entry->name << " " << info.name;
      }
    }
  }
}

TEST(SetOption, IsACellOfCapturedSteps) {
  const State w("w", tensor<double>({2.0, -1.0}), true);
  const State other("w", w.value(), true);
  const AdamOptions options{.lr = 0.1};
  Adam adam(std::vector<State>{w}, options);
  Adam called(std::vector<State>{other}, options);
  const auto learn = [](Adam& optimizer, const State& cell) {
    optimizer.zero_grad();
    sum(cell.value() * cell.value()).backward();
    optimizer.step();
  };
  auto step = compile([&] { learn(adam, w); });
  for (int i = 0; i < 8; ++i) {
    if (i >= 2) {  // from then on there is a cell, which the first plan does not know
      const Value betas(Value::Reals{0.9 - 0.05 * i, 0.999});
      adam.set_option("betas", betas);
      called.set_option("betas", betas);
    }
    step();
    learn(called, other);
    EXPECT_EQ(w.value().to_vector<double>(), other.value().to_vector<double>()) << i;
  }
  EXPECT_EQ(step.captures(), 2u);
}

/// A module with optimizers that have changed.
struct Learner : nn::Layer<Learner> {
  nn::Parameter weight = parameter("weight", ones({2}));
  AnyOptimizer adam = attached(Adam({.lr = 1.0}));
  AnyOptimizer lbfgs = attached(LBFGS({.max_iter = 2}));
  Tensor forward(const Tensor& x) const { return x * weight.value(); }

 private:
  AnyOptimizer attached(auto optimizer) {
    optimizer.attach(parameters());
    return optimizer;
  }
};

TEST(SetOption, BelongsToTheCloneAlone) {
  Learner net;
  net.adam->set_option("eps", Value(0.5));
  const auto closure_of = [](const Learner& learner) {
    return [&learner] {
      learner.weight.zero_grad();
      Tensor loss = sum(square(square(learner.weight.value())));
      loss.backward();
      return loss;
    };
  };
  net.lbfgs->step(closure_of(net));
  const size_t cells = net.lbfgs->state().size();
  Learner copy = nn::clone(net);
  EXPECT_EQ(copy.adam->present_options(), net.adam->present_options());
  copy.adam->set_option("eps", Value(0.25));
  EXPECT_EQ(*Value(net.adam->present_options()).find("eps"), Value(0.5));
  const std::vector<float> before = net.weight.value().to_vector<float>();
  for (int i = 0; i < 2; ++i) copy.lbfgs->step(closure_of(copy));
  EXPECT_EQ(net.weight.value().to_vector<float>(), before);
  EXPECT_EQ(net.lbfgs->state().size(), cells);
  EXPECT_EQ(copy.lbfgs->state()[2].second.value().item(), 3);
  EXPECT_EQ(net.lbfgs->state()[2].second.value().item(), 1);
  net.lbfgs->step(closure_of(net));  // with what it knew itself
  net.lbfgs->step(closure_of(net));
  EXPECT_EQ(net.weight.value().to_vector<float>(), copy.weight.value().to_vector<float>());
}

TEST(SetOption, SaysWhatIsWrong) {
  const State w("w", zeros({1}), true);
  SGD sgd(std::vector<State>{w}, {.lr = 0.1, .momentum = 0.9});
  const auto text = [&](const char* name, const Value& value) {
    return thrown_text(ErrorKind::value, [&] { sgd.set_option(name, value); });
  };
  EXPECT_EQ(text("momentum", Value(-1.0)),
            "SGD: `momentum` must be finite and at least 0, got -1.0");
  EXPECT_NE(text("mass", Value(1.0)).find("SGD: no attribute `mass`"), std::string::npos);
  EXPECT_NE(text("nesterov", Value(true))
                .find("SGD: only real numbers of an elementwise optimizer "
                      "change after it was made"),
            std::string::npos);
  EXPECT_EQ(sgd.state().size(), 3u);  // no cell was made
  sgd.set_option("lr", Value(0.5));
  EXPECT_EQ(sgd.lr(), 0.5);
  EXPECT_EQ(sgd.state().size(), 3u);
  EXPECT_THROW(sgd.set_option("momentum", Value(0.5), 1), Error);
}

TEST(SetOption, IsInTheState) {
  const auto make = [] {
    return SGD({{.parameters = {State("a", zeros({1}), true)}},
                {.parameters = {State("b", zeros({1}), true)}}},
               SGDOptions{.lr = 0.1, .momentum = 0.9});
  };
  const auto values_of = [](const Optimizer& optimizer) {
    std::vector<std::pair<std::string, Tensor>> values;
    for (const auto& [name, cell] : optimizer.state()) values.emplace_back(name, cell.value());
    return values;
  };
  SGD sgd = make();
  const auto plain = values_of(sgd);
  SGD handle = sgd;
  sgd.set_option("momentum", Value(0.5), 1);
  EXPECT_EQ(momenta_of(handle), std::vector({0.9, 0.5}));  // another handle on the same cells
  const auto changed = values_of(sgd);
  EXPECT_EQ(changed.size(), plain.size() + 1);
  EXPECT_EQ(changed[5].first, "group1.options");
  SGD second = make();
  second.load_state(changed);
  EXPECT_EQ(momenta_of(second), std::vector({0.9, 0.5}));
  second.load_state(plain);  // of a time when nothing had changed
  EXPECT_EQ(momenta_of(second), std::vector({0.9, 0.9}));
  auto wrong = changed;
  wrong[5].second = full({3}, -1, DType::f64);
  SGD third = make();
  EXPECT_THROW(third.load_state(wrong), Error);
  wrong[5].second = zeros({2}, DType::f64);
  EXPECT_THROW(third.load_state(wrong), Error);
  EXPECT_EQ(values_of(third).size(), plain.size());
}

TEST(Optimizer, EveryOneTakesAClosure) {
  const State x("x", tensor<double>({2.0}), true);
  const State y("y", tensor<double>({2.0}), true);
  Adam by_closure(std::vector<State>{x}, {.lr = 0.1});
  Adam by_steps(std::vector<State>{y}, {.lr = 0.1});
  const auto loss_of = [](const State& cell) {
    cell.zero_grad();
    Tensor loss = sum(square(cell.value()));
    loss.backward();
    return loss;
  };
  for (int i = 0; i < 3; ++i) {
    const no_grad off;  // the closure has the tape nevertheless
    const double before = x.value().item();
    EXPECT_EQ(by_closure.step([&] { return loss_of(x); }).item(), before * before);
    {
      const enable_grad on;
      loss_of(y);
    }
    by_steps.step();
    EXPECT_EQ(x.value().item(), y.value().item());
  }
}

}  // namespace
}  // namespace taper::optim

// Parts are made of their options: by name, or of their fields in order.
#include <gtest/gtest.h>

#include <concepts>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

template <class Part, class... Args>
constexpr bool made_of = std::constructible_from<Part, Args...>;

// A whole number is one: a real number would be cut, and a bool is none.
static_assert(made_of<nn::Conv2d, int, size_t, int64_t>);
static_assert(!made_of<nn::Conv2d, int, double, int>);
static_assert(!made_of<nn::Conv2d, int, int, double>);
static_assert(!made_of<nn::Conv2d, int, int, bool>);
static_assert(!made_of<nn::Linear, float, int>);
static_assert(!made_of<nn::LSTM, int, int, bool>);
static_assert(!made_of<nn::LayerNorm, double>);
static_assert(!made_of<nn::Size2, int, double>);
static_assert(!made_of<data::RandomCrop, int, double>);
static_assert(!made_of<Required<Positive<int64_t>>, double>);
static_assert(!made_of<Required<Positive<int64_t>>, Positive<double>>);
// A real number may be written as a whole one.
static_assert(made_of<nn::Dropout, double> && made_of<nn::Dropout, int>);
static_assert(made_of<data::RandomRotation, int>);
static_assert(!made_of<nn::Dropout, bool>);
static_assert(!made_of<data::RandomRotation, bool>);
// A bool is a bool.
static_assert(made_of<nn::Linear, int, int, bool> && !made_of<nn::Linear, int, int, int>);
static_assert(made_of<nn::Conv2d, int, int, nn::Size2, nn::Size2>);
static_assert(made_of<TimeLimit, double> && !made_of<TimeLimit, bool>);
static_assert(made_of<optim::StepLR, int, double> && !made_of<optim::StepLR, double>);
// Optimizers, with and without what they update.
using Parameters = std::vector<State>;
using Groups = std::vector<optim::ParameterGroup>;
static_assert(made_of<optim::SGD, double, double> && made_of<optim::LBFGS, int, int>);
static_assert(made_of<optim::SGD, Parameters, double> && made_of<optim::SGD, Parameters&, double>);
static_assert(made_of<optim::AdamW, Groups, double>);
static_assert(!made_of<optim::SGD, bool> && !made_of<optim::LBFGS, double, double>);
static_assert(!made_of<optim::SGD, std::string> && !made_of<optim::SGD, Parameters, std::string>);

TEST(Options, ByNameAndInOrderAreTheSame) {
  const nn::Conv2d by_name({.in_channels = 1, .out_channels = 2, .kernel_size = {3, 5}});
  const nn::Conv2d in_order(1, 2, nn::Size2(3, 5));
  EXPECT_TRUE(fields_equal(by_name.options(), in_order.options()));

  const State w("w", ones({2}), true);
  const optim::SGD sgd(Parameters{w}, 0.5, 0.9);
  EXPECT_EQ(sgd.lr(), 0.5);
  EXPECT_EQ(sgd.options().momentum, 0.9);
  EXPECT_EQ(sgd.parameters().size(), 1u);
  EXPECT_EQ(optim::LBFGS(0.5, 7).options().max_iter, 7);
  EXPECT_EQ(TimeLimit(3).options().seconds, 3.0);
}

TEST(Options, BoundsHoldInOrder) {
  EXPECT_EQ(testing::thrown_text(ErrorKind::value, [] { optim::SGD(-1); }),
            "SGD: `lr` must be finite and at least 0, got -1.0");
  EXPECT_EQ(testing::thrown_text(ErrorKind::value, [] { nn::Conv2d(1, 0, 3); }),
            "Conv2d: `out_channels` must be at least 1, got 0");
}

}  // namespace
}  // namespace taper

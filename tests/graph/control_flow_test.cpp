// Choices and loops: eager, captured and replayed alike, with their gradients.

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

// ---------------------------------------------------------------------------------------- cond

TEST(Cond, AReplayChoosesByTheValue) {
  int first = 0;
  int second = 0;
  auto f = compile([&](const Tensor& x, const Tensor& limit) {
    return cond(
        sum(x) > limit,
        [&](const Tensor& a) {
          ++first;
          return a * 2;
        },
        [&](const Tensor& a) {
          ++second;
          return a - 1;
        },
        x);
  });
  const Tensor x = tensor({1.0, 2.0});
  EXPECT_EQ(values(f(x, tensor({2.0})[0])), (std::vector<double>{2, 4}));
  EXPECT_EQ(values(f(x, tensor({5.0})[0])), (std::vector<double>{0, 1}));
  EXPECT_EQ(values(f(tensor({4.0, 2.0}), tensor({5.0})[0])), (std::vector<double>{8, 4}));
  EXPECT_EQ(f.captures(), 1u);
  EXPECT_EQ(first, 1);  // each was recorded once
  EXPECT_EQ(second, 1);
}

TEST(Cond, EagerlyOnlyTheChosenOneRuns) {
  const auto never = [](const Tensor& x) -> Tensor {
    throw std::logic_error("ran");
    return x;
  };
  const auto twice = [](const Tensor& x) { return x * 2; };
  EXPECT_EQ(cond(tensor(true), twice, never, tensor(3)).item(), 6);
  EXPECT_EQ(cond(tensor({false}), never, twice, tensor(3)).item(), 6);
}

TEST(Cond, GivesSeveralResultsOfAnyKindThatCompiledFunctionsGive) {
  auto f = compile([](const Tensor& x) {
    return cond(
        max(x) > 0, [&] { return std::tuple(x + 1, x * 2); },
        [&] { return std::tuple(x - 1, x * 3); });
  });
  const auto [a, b] = f(tensor({1.0, -2.0}));
  EXPECT_EQ(values(a), (std::vector<double>{2, -1}));
  EXPECT_EQ(values(b), (std::vector<double>{2, -4}));
  const auto [c, d] = f(tensor({-1.0, -2.0}));
  EXPECT_EQ(values(c), (std::vector<double>{-2, -3}));
  EXPECT_EQ(values(d), (std::vector<double>{-3, -6}));
}

/// A model with a weight in each branch.
struct Branches {
  State w{"w", tensor({2.0, 3.0})};
  State v{"v", tensor({5.0, 7.0})};
  Branches() {
    w.set_requires_grad(true);
    v.set_requires_grad(true);
  }
  Tensor loss(const Tensor& x) const {
    const Tensor y = x * w.value();
    return sum(cond(
        sum(x) > 0, [&](const Tensor& a) { return tanh(a) * w.value(); },
        [&](const Tensor& a) { return a * a * v.value(); }, y));
  }
};

TEST(Cond, GradientsFlowToOperandsAndToWhatABranchUses) {
  const Branches model;
  const auto step = [&](const Tensor& x) {
    return gradients(model.loss(x), std::vector<State>{model.w, model.v});
  };
  auto captured = compile([&](const Tensor& x) {
    std::vector<Tensor> grads = step(x);
    for (Tensor& grad : grads) {
      if (!grad.defined()) grad = zeros({2});
    }
    return grads;
  });
  for (const Tensor& x : {tensor({0.5, 0.25}), tensor({-1.0, 0.5})}) {
    const std::vector<Tensor> eager = step(x);
    const std::vector<Tensor> replayed = captured(x);
    for (size_t i = 0; i < 2; ++i) {
      const Tensor expected = eager[i].defined() ? eager[i] : zeros({2});
      EXPECT_EQ(values(replayed[i]), values(expected)) << i;
    }
  }
  EXPECT_EQ(captured.captures(), 1u);
}

TEST(Cond, GradientsStopWhereAFunctionCutsThem) {
  const auto detached = [](const Tensor& a) { return a * a.detach(); };
  const auto under_no_grad = [](const Tensor& a) {
    Tensor factor;
    {
      const no_grad off;
      factor = a * 3;
    }
    return a * factor;
  };
  const auto same = [](const Tensor& a) { return a; };
  const auto gradient_through = [&](const auto& function) {
    return [&](const Tensor& x) {
      return grad([&](const Tensor& a) { return sum(cond(sum(a) > 0, function, same, a)); })(x);
    };
  };
  const Tensor x = tensor({1.0, 2.0});
  EXPECT_EQ(values(gradient_through(detached)(x)), (std::vector<double>{1, 2}));
  EXPECT_EQ(values(compile(gradient_through(detached))(x)), (std::vector<double>{1, 2}));
  EXPECT_EQ(values(compile(gradient_through(under_no_grad))(x)), (std::vector<double>{3, 6}));
  auto scanned = compile([](const Tensor& xs) {
    return grad([](const Tensor& a) {
      return scan([](const Tensor& c,
                     const Tensor& e) { return std::pair(c * e.detach() + e, Tensor()); },
                  tensor(1.0), a)
          .first;
    })(xs);
  });
  EXPECT_EQ(values(scanned(tensor({2.0, 3.0}))), (std::vector<double>{3, 1}));
}

TEST(Cond, AFunctionMayTakeGradientsItself) {
  const State w("w", tensor({3.0, 4.0}), true);
  const auto same = [](const Tensor& a) { return a; };
  const auto of_cell = [&](const Tensor& x) {
    return cond(
        sum(x) > 0,
        [&](const Tensor& a) {
          return gradients(sum(a * w.value() * w.value()), std::vector<State>{w})[0].detach();
        },
        same, x);
  };
  const auto of_leaf = [&](const Tensor& x) {
    return cond(
        sum(x) > 0,
        [](const Tensor& a) {
          Tensor b = a.detach();
          b.set_requires_grad();
          sum(b * b).backward();
          return b.grad();
        },
        same, x);
  };
  const Tensor x = tensor({1.0, 2.0});
  EXPECT_EQ(values(of_cell(x)), (std::vector<double>{6, 16}));
  EXPECT_EQ(values(compile(of_cell)(x)), (std::vector<double>{6, 16}));
  EXPECT_EQ(values(compile(of_leaf)(x)), (std::vector<double>{2, 4}));
  auto lost = compile([&](const Tensor& a) {
    return cond(
        sum(a) > 0,
        [](const Tensor& b) {
          sum(b * b).backward();
          return b.detach();
        },
        same, a);
  });
  const std::string why = thrown_text(ErrorKind::unsupported, [&] { lost(x); });
  EXPECT_NE(why.find("cond: backward() inside the function reaches its operand"), why.npos) << why;
}

TEST(Cond, RefusesWhatWouldLoseAGradient) {
  using Tensors = std::vector<Tensor>;
  const auto straight = custom_function(
      {.name = "straight",
       .forward = [](const Tensors& x) { return round(x[0]); },
       .backward = [](const Tensor& g, const Tensors&, const Tensor&) { return Tensors{g}; }});
  const auto refused = [&](const std::function<Tensor(const Tensor&)>& function) {
    auto f = compile([&](const Tensor& x) {
      return grad([&](const Tensor& a) {
        return sum(cond(sum(a) > 0, function, [](const Tensor& b) { return b; }, a));
      })(x);
    });
    return thrown_text(ErrorKind::unsupported, [&] { f(tensor({1.5, 2.5})); });
  };
  EXPECT_EQ(refused([&](const Tensor& a) { return straight({a}) * a; }),
            "cond: `straight`, whose gradient is its own, inside the function would be lost; the "
            "graph holds ops only");
  EXPECT_NE(refused([](const Tensor& a) {
              return checkpoint([](const Tensor& b) { return sin(b); }, a);
            }).find("whose gradient is its own, inside the function would be lost"),
            std::string::npos);
  EXPECT_EQ(refused([](const Tensor& a) {
              Tensor b = a * 2;
              register_hook(b, [](const Tensor& g) { return g * 3; });
              return b;
            }),
            "cond: a hook of a tensor inside the function would be lost; the graph holds ops only");
}

TEST(Cond, TrainsAsTheBranchesSay) {
  const Branches eager;
  const Branches compiled;
  const auto step_of = [](const Branches& model) {
    return [&model](const Tensor& x) {
      const std::vector<Tensor> grads =
          gradients(model.loss(x), std::vector<State>{model.w, model.v});
      if (grads[0].defined()) model.w.set(model.w.value() - 0.1 * grads[0]);
      if (grads[1].defined()) model.v.set(model.v.value() - 0.1 * grads[1]);
    };
  };
  const auto step = step_of(eager);
  auto replayed = compile(step_of(compiled));
  for (int i = 0; i < 10; ++i) {
    const Tensor x = tensor({i % 2 == 0 ? 0.5 : -0.5, 0.1});
    step(x);
    replayed(x);
    EXPECT_EQ(values(compiled.w.value()), values(eager.w.value())) << i;
    EXPECT_EQ(values(compiled.v.value()), values(eager.v.value())) << i;
  }
}

TEST(Cond, StandsInTheGraphWithItsFunctions) {
  auto f = compile([](const Tensor& x) {
    return cond(
        sum(x) > 2, [](const Tensor& a) { return a * 2; }, [](const Tensor& a) { return -a; }, x);
  });
  f(tensor({1.0, 2.0}));
  EXPECT_EQ(to_string(f.graph()),
            "%0 f32[2] = input\n"
            "%1 f32[] = sum(%0; axis=none, keepdims=false)\n"
            "%3 bool[] = greater(%1, 2.0)\n"
            "%4 f32[2] = cond(%3, %0; then=function of 1 operands, otherwise=function of 1 "
            "operands)\n"
            "{\n"
            "  %0 f32[2] = input\n"
            "  %2 f32[2] = multiply(%0, 2.0)\n"
            "  return %2\n"
            "}\n"
            "{\n"
            "  %0 f32[2] = input\n"
            "  %1 f32[2] = negative(%0)\n"
            "  return %1\n"
            "}\n"
            "return %4\n");
}

TEST(Cond, MayLeaveAResultUndefined) {
  const auto f = [](const Tensor& x) {
    return cond(
        sum(x) > 0, [](const Tensor& a) { return std::pair(Tensor(), a * 2); },
        [](const Tensor& a) { return std::pair(Tensor(), a * 3); }, x);
  };
  const Tensor x = tensor({1.0});
  auto second = compile([&](const Tensor& a) {
    EXPECT_FALSE(f(a).first.defined());
    return f(a).second;
  });
  EXPECT_FALSE(f(x).first.defined());
  EXPECT_EQ(second(x).item(), 2);
  auto one_only = compile([](const Tensor& a) {
    return cond(
        sum(a) > 0, [](const Tensor& b) { return b; }, [](const Tensor&) { return Tensor(); }, a);
  });
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { one_only(x); }),
            "cond: one of its functions leaves a result undefined");
}

TEST(Cond, RefusesWhatAReplayCouldNotRepeat) {
  const auto same = [](const Tensor& x) { return x; };
  const State cell("count", tensor(1.0));
  auto assigns = compile([&](const Tensor& x) {
    return cond(
        sum(x) > 0,
        [&](const Tensor& a) {
          cell.set(cell.value() + 1);
          return a;
        },
        same, x);
  });
  EXPECT_EQ(thrown_text(ErrorKind::unsupported, [&] { assigns(tensor({1.0})); }),
            "cond: cell `count` is assigned inside the function; return the value and assign it "
            "behind the call");
  auto draws = compile([&](const Tensor& x) {
    return cond(sum(x) > 0, [](const Tensor& a) { return a + randn({1}); }, same, x);
  });
  EXPECT_EQ(thrown_text(ErrorKind::unsupported, [&] { draws(tensor({1.0})); }),
            "randn: no random numbers can be drawn inside the function of cond; draw them before "
            "the call and "
            "pass them as operands");
  const Tensor outside = tensor({3.0});
  auto uses = compile([&](const Tensor& x) {
    return cond(sum(x) > 0, [&](const Tensor& a) { return a * outside; }, same, x);
  });
  const std::string why = thrown_text(ErrorKind::unsupported, [&] { uses(tensor({1.0})); });
  EXPECT_NE(why.find("was made outside the captured function"), why.npos) << why;
  auto allowed = compile([&](const Tensor& x) {
    return cond(sum(x) > 0, [&](const Tensor& a) { return a * constant(outside); }, same, x);
  });
  EXPECT_EQ(allowed(tensor({2.0})).item(), 6);
  Tensor kept;
  auto keeps = compile([&](const Tensor& x) {
    return cond(
        sum(x) > 0,
        [&](const Tensor& a) {
          kept = a * 2;
          return a;
        },
        same, x);
  });
  const std::string keeping = thrown_text(ErrorKind::unsupported, [&] { keeps(tensor({2.0})); });
  EXPECT_NE(keeping.find("keeps a result of multiply"), keeping.npos) << keeping;
}

TEST(Cond, SaysWhatDoesNotFit) {
  const auto same = [](const Tensor& x) { return x; };
  const auto total = [](const Tensor& x) { return sum(x); };
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { cond(tensor(1.0), same, same, tensor({2.0})); }),
            "cond: predicate must be one bool, such as `x > 0` gives, got f32[]");
  EXPECT_EQ(thrown_text(ErrorKind::shape,
                        [&] { cond(tensor({true, false}), same, same, tensor({2.0})); }),
            "cond: predicate must be one bool, such as `x > 0` gives, got bool[2]");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { cond(tensor(true), same, same, Tensor()); }),
            "cond: operands[0] is undefined");
  auto differ = compile([&](const Tensor& x) { return cond(sum(x) > 0, same, total, x); });
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { differ(tensor({2.0})); }),
            "cond: its functions give f32[1] and f32[] as result 0; both must give the same "
            "(predicate bool[], operands[0] f32[1])");
}

TEST(Cond, WhatABranchRefusesLeavesEveryCellAsItWas) {
  const State table("table", tensor({1.0, 2.0, 3.0}));
  const State count("count", zeros({3}));
  auto f = compile([&](const Tensor& index) {
    count.set(count.value() + 1);
    const Tensor found = cond(
        min(index) >= 0, [&](const Tensor& i) { return take(table.value(), i); },
        [&](const Tensor& i) { return astype(i, DType::f32); }, index);
    table.set(table.value() * 2);
    return found;
  });
  EXPECT_EQ(values(f(tensor({0, 2}))), (std::vector<double>{1, 3}));
  EXPECT_EQ(values(f(tensor({-5, 9}))), (std::vector<double>{-5, 9}));
  const std::string why = thrown_text(ErrorKind::index, [&] { f(tensor({0, 9})); });
  EXPECT_NE(why.find("cond: "), why.npos) << why;
  EXPECT_EQ(values(table.value()), (std::vector<double>{4, 8, 12}));
  EXPECT_EQ(values(count.value()), (std::vector<double>{2, 2, 2}));
}

// ---------------------------------------------------------------------------------- while_loop

/// Newton's square root, until it changes no more.
std::pair<Tensor, Tensor> square_root(const Tensor& x) {
  const auto [root, before, turns] = while_loop(
      [](const Tensor& now, const Tensor& last, const Tensor&) { return abs(now - last) > 1e-6; },
      [&](const Tensor& now, const Tensor&, const Tensor& count) {
        return std::tuple((now + x / now) / 2, now, count + 1);
      },
      x, x * 2, tensor(int64_t{0}));
  return {root, turns};
}

TEST(WhileLoop, RunsAsOftenAsItsValuesSay) {
  auto f = compile(square_root);
  for (const double x : {2.0, 144.0, 1e6}) {
    const auto [eager, turns] = square_root(tensor(x, DType::f64));
    const auto [replayed, same] = f(tensor(x, DType::f64));
    EXPECT_NEAR(eager.item(), std::sqrt(x), 1e-6 * std::sqrt(x));
    EXPECT_EQ(replayed.item(), eager.item());
    EXPECT_EQ(same.item<int64_t>(), turns.item<int64_t>());
  }
  EXPECT_EQ(f.captures(), 1u);
}

TEST(WhileLoop, MayRunNotAtAll) {
  auto f = compile([](const Tensor& x) {
    return while_loop([](const Tensor& a) { return a < 0; }, [](const Tensor& a) { return a + 1; },
                      x);
  });
  EXPECT_EQ(f(tensor(3.0)).item(), 3);
  EXPECT_EQ(f(tensor(-2.5)).item(), 0.5);
}

TEST(WhileLoop, HasNoGradientWhereItIsCaptured) {
  auto f = compile([](const Tensor& x) {
    return grad([](const Tensor& a) {
      return while_loop([](const Tensor& b) { return b < 10; },
                        [](const Tensor& b) { return b * 2; }, a);
    })(x);
  });
  const std::string why = thrown_text(ErrorKind::unsupported, [&] { f(tensor(1.0)); });
  EXPECT_NE(why.find("while_loop"), why.npos) << why;
  EXPECT_NE(why.find("the number of its turns is not known; use scan"), why.npos) << why;
}

TEST(WhileLoop, KeepsDtypesAndShapes) {
  const auto turn = [](const Tensor& x) { return astype(x, DType::f64); };
  const auto test = [](const Tensor& x) { return sum(x) < 10; };
  const std::string text = "while_loop: value 0 must stay f32[2], its function gives f64[2]";
  const auto eager = [&](const Tensor& x) { return while_loop(test, turn, x); };
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { eager(tensor({1.0, 2.0})); }), text);
  auto captured = compile(eager);
  const std::string why = thrown_text(ErrorKind::dtype, [&] { captured(tensor({1.0, 2.0})); });
  EXPECT_EQ(why.substr(0, text.size()), text);
}

// ---------------------------------------------------------------------------------------- scan

TEST(Scan, CarriesFromStepToStep) {
  const auto sums = [](const Tensor& xs, bool reverse) {
    return scan(
        [](const Tensor& total, const Tensor& x) {
          const Tensor next = total + x;
          return std::pair(next, next);
        },
        zeros({2}), xs, {.reverse = reverse});
  };
  const Tensor xs = tensor({{1.0, 10.0}, {2.0, 20.0}, {3.0, 30.0}});
  auto captured = compile([&](const Tensor& x) {
    const auto [last, all] = sums(x, false);
    const auto [first, back] = sums(x, true);
    return std::array<Tensor, 4>{last, all, first, back};
  });
  const auto [last, all, first, back] = captured(xs);
  EXPECT_EQ(values(last), (std::vector<double>{6, 60}));
  EXPECT_EQ(values(all), (std::vector<double>{1, 10, 3, 30, 6, 60}));
  EXPECT_EQ(values(first), (std::vector<double>{6, 60}));
  EXPECT_EQ(values(back), (std::vector<double>{6, 60, 5, 50, 3, 30}));
  EXPECT_EQ(values(sums(xs, false).second), values(all));
  EXPECT_EQ(values(sums(xs, true).second), values(back));
}

TEST(Scan, TakesListsAndNoSequencesAndNoResults) {
  const auto fibonacci = [](const Tensor& start) {
    return scan(
               [](const std::array<Tensor, 2>& pair, const std::vector<Tensor>&) {
                 return std::pair(std::array<Tensor, 2>{pair[1], pair[0] + pair[1]}, Tensor());
               },
               std::array<Tensor, 2>{start, start + 1}, std::vector<Tensor>{}, {.length = 10})
        .first;
  };
  auto captured = compile(fibonacci);
  EXPECT_EQ(fibonacci(tensor(0))[0].item<int>(), 55);
  EXPECT_EQ(captured(tensor(0))[0].item<int>(), 55);
}

TEST(Scan, OfNoElementsGivesEmptyResults) {
  const auto f = [](const Tensor& xs) {
    const auto [last, ys] =
        scan([](const Tensor& carry, const Tensor& x) { return std::pair(carry, x * carry); },
             tensor({1.0, 2.0}), xs);
    return std::array<Tensor, 2>{last, ys};
  };
  for (const auto& [last, ys] : {f(zeros({0, 2})), compile(f)(zeros({0, 2}))}) {
    EXPECT_EQ(values(last), (std::vector<double>{1, 2}));
    EXPECT_EQ(to_string(ys.spec()), "f32[0,2]");
  }
}

/// A recurrent network over f64 numbers with a count that has no gradient.
struct Recurrent {
  State w{"w", astype(tensor({{0.5, -0.3}, {0.2, 0.7}}), DType::f64)};
  State u{"u", astype(tensor({0.9, -0.4}), DType::f64)};
  State b{"b", astype(tensor({0.1, 0.2}), DType::f64)};
  Recurrent() {
    for (const State& cell : cells()) cell.set_requires_grad(true);
  }
  std::vector<State> cells() const { return {w, u, b}; }

  Tensor loss(const Tensor& start, const Tensor& xs) const {
    const auto step = [&](const std::array<Tensor, 2>& carry, const Tensor& x) {
      const Tensor next = tanh(matmul(w.value(), carry[0]) + u.value() * x + b.value());
      return std::pair(std::array<Tensor, 2>{next, carry[1] + 1}, sum(next * next));
    };
    const auto [last, ys] = scan(step, std::array<Tensor, 2>{start, tensor(int64_t{0})}, xs);
    return sum(last[0]) + sum(ys * ys);
  }
};

TEST(Scan, HasTheGradientsOfALoopThatIsWrittenOut) {
  const Recurrent model;
  const Tensor start = astype(tensor({0.3, -0.1}), DType::f64);
  const Tensor xs = astype(tensor({0.5, -1.0, 0.25, 2.0}), DType::f64);
  const auto all = [&](const Tensor& s, const Tensor& x) {
    const auto [loss, grads] = value_and_grad(
        [&](const Tensor& a, const Tensor& b) { return model.loss(a, b); }, {0, 1})(s, x);
    std::vector<Tensor> found = gradients(model.loss(s, x), model.cells());
    found.push_back(loss);
    found.insert(found.end(), grads.begin(), grads.end());
    for (Tensor& each : found) each = each.detach();  // else nothing is replayed
    return found;
  };
  const std::vector<Tensor> eager = all(start, xs);
  auto compiled = compile(all);
  for (int run = 0; run < 2; ++run) {
    const std::vector<Tensor> replayed = compiled(start, xs);
    ASSERT_EQ(replayed.size(), eager.size());
    for (size_t i = 0; i < eager.size(); ++i) {
      const std::vector<double> expected = values(eager[i]);
      const std::vector<double> found = values(replayed[i]);
      for (size_t k = 0; k < expected.size(); ++k) EXPECT_NEAR(found[k], expected[k], 1e-12) << i;
    }
  }
  EXPECT_EQ(compiled.captures(), 1u);
}

TEST(Scan, HasMoreStepsThanANodeHasOperands) {
  const auto f = [](const Tensor& w) {
    const auto [last, ys] =
        scan([&](const Tensor& c, const Tensor& x) { return std::pair(c, x * w); }, tensor(0.0),
             ones({70'000}));
    return sum(ys);
  };
  EXPECT_EQ(grad(f)(tensor(1.0)).item(), 70'000);
}

TEST(Scan, TakesComplexNumbers) {
  const auto f = [](const Tensor& z) {
    return cond(
        sum(abs(z)) > 0, [](const Tensor& a) { return conj(a) * 2; },
        [](const Tensor& a) { return a; }, z);
  };
  const Tensor z = tensor(std::vector<std::complex<double>>{{1, 2}});
  EXPECT_EQ(compile(f)(z).to_vector<std::complex<double>>(),
            (std::vector<std::complex<double>>{{2, -4}}));
}

TEST(Scan, IsDifferentiatedTwice) {
  const Tensor xs = astype(tensor({0.5, -1.0, 0.25}), DType::f64);
  const auto f = [&](const Tensor& s) {
    const auto [last, ys] = scan(
        [](const Tensor& carry, const Tensor& x) {
          const Tensor next = sin(carry * x);
          return std::pair(next, next * carry);
        },
        s, constant(xs));
    return last + sum(ys);
  };
  const Tensor at = tensor(0.7, DType::f64);
  auto captured = compile(grad(grad(f)));
  EXPECT_NEAR(captured(at).item(), grad(grad(f))(at).item(), 1e-12);
}

TEST(Scan, MayBeInsideOfOtherControlFlow) {
  const auto f = [](const Tensor& x, const Tensor& w) {
    return cond(
        sum(x) > 0,
        [&](const Tensor& a) {
          return scan(
                     [&](const Tensor& carry, const Tensor& each) {
                       const Tensor next = cond(
                           each > 1, [&] { return carry * w + each; }, [&] { return carry - w; });
                       return std::pair(next, Tensor());
                     },
                     w * 0, a)
              .first;
        },
        [&](const Tensor& a) { return a[0] * w; }, x);
  };
  const auto both = [&](const Tensor& x, const Tensor& w) {
    return std::array<Tensor, 2>{f(x, w), grad(f, 1)(x, w)};
  };
  auto captured = compile(both);
  for (const Tensor& x : {tensor({2.0, 0.5, 3.0}), tensor({-2.0, 0.5, -3.0})}) {
    const auto [y, dw] = both(x, tensor(1.5));
    const auto [replayed, replayed_dw] = captured(x, tensor(1.5));
    EXPECT_EQ(replayed.item(), y.item());
    EXPECT_NEAR(replayed_dw.item(), dw.item(), 1e-6);
  }
  EXPECT_EQ(captured.captures(), 1u);
}

TEST(Scan, SaysWhatDoesNotFit) {
  const auto step = [](const Tensor& carry, const Tensor& x) { return std::pair(carry + x, x); };
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { scan(step, tensor(0.0), tensor(1.0)); }),
            "scan: xs[0] must have an axis to step along, got f32[]");
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { scan(step, tensor(0.0), ones({2, 3})); }),
            "scan: value 0 must stay f32[], its function gives f32[3]");
  EXPECT_EQ(
      thrown_text(ErrorKind::value, [&] { scan(step, tensor(0.0), ones({2}), {.length = 3}); }),
      "scan: length must be the 2 elements of xs[0], got 3");
  EXPECT_EQ(thrown_text(ErrorKind::value,
                        [&] {
                          scan([](const Tensor& c,
                                  const std::vector<Tensor>&) { return std::pair(c, c); },
                               tensor(0.0), std::vector<Tensor>{});
                        }),
            "scan: needs `length`, the number of steps, without xs");
}

}  // namespace
}  // namespace taper

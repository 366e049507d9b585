// Where gradients flow through captured choices and loops, and where they are cut: as eagerly.

#include <gtest/gtest.h>

#include <functional>

#include <taper/taper.h>

namespace taper {
namespace {

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

/// The gradients of a program's sum in both operands, eagerly and compiled.
void expect_gradients(const std::function<Tensor(const Tensor&, const Tensor&)>& program,
                      const std::vector<double>& of_a, const std::vector<double>& of_b) {
  const auto slopes = [&](const Tensor& a, const Tensor& b) {
    const auto f = [&](const std::vector<Tensor>& x) { return sum(program(x[0], x[1])); };
    std::vector<Tensor> found = value_and_grad(f, {0, 1})({a, b}).second;
    for (Tensor& each : found) each = each.defined() ? each.detach() : zeros({2});
    return std::array{found[0], found[1]};
  };
  auto compiled = compile(slopes);
  const Tensor a = tensor({1.0, 2.0});
  const Tensor b = tensor({3.0, 4.0});
  for (const auto& found : {slopes(a, b), compiled(a, b)}) {
    EXPECT_EQ(values(found[0]), of_a);
    EXPECT_EQ(values(found[1]), of_b);
  }
}

TEST(Cond, GradientsStopAtAResultThatIsCut) {
  const auto product = [](const Tensor& b) {
    return [&b](const Tensor& u) { return (u * b).detach(); };
  };
  expect_gradients(
      [&](const Tensor& a, const Tensor& b) {
        return cond(sum(a) > 0, product(b), [&](const Tensor& u) { return u * b; }, a);
      },
      {0, 0}, {0, 0});
  expect_gradients(
      [&](const Tensor& a, const Tensor&) {
        const auto cut = [](const Tensor& u) { return u.detach(); };
        return cond(sum(a) > 0, cut, [](const Tensor& u) { return u; }, a);
      },
      {0, 0}, {0, 0});
  // One result is cut, the same value as the other is not.
  expect_gradients(
      [&](const Tensor& a, const Tensor& b) {
        const auto both = [&](const Tensor& u) {
          const Tensor y = u * b;
          return std::pair(y, y.detach());
        };
        const auto [y, z] = cond(sum(a) > 0, both, both, a);
        return y + z;
      },
      {3, 4}, {1, 2});
}

TEST(Cond, GradientsStopAtALeafThatAFunctionMakes) {
  const auto leaf = [](const Tensor& u) {
    Tensor q = (u * 2).detach();
    return q.set_requires_grad();
  };
  expect_gradients(
      [&](const Tensor& a, const Tensor& b) {
        const auto cut = [&](const Tensor& u) {
          const Tensor q = leaf(u);
          return b * q * q;
        };
        return cond(sum(a) > 0, cut, cut, a);
      },
      {0, 0}, {4, 16});
  expect_gradients(
      [&](const Tensor& a, const Tensor& b) {
        const auto slope = [&](const Tensor& u) {
          return grad([&](const Tensor& q) { return sum(b * q * q); })(u.detach()) * 1;
        };
        return cond(sum(a) > 0, slope, slope, a);
      },
      {0, 0}, {2, 4});
  // Not detached, the gradient itself depends on the operand.
  expect_gradients(
      [&](const Tensor& a, const Tensor& b) {
        const auto slope = [&](const Tensor& u) {
          return grad([&](const Tensor& q) { return sum(b * q * q); })(u) * 1;
        };
        return cond(sum(a) > 0, slope, slope, a);
      },
      {6, 8}, {2, 4});
}

TEST(Cond, GradientsReachAnOuterValueThatIsTheResult) {
  expect_gradients(
      [](const Tensor& a, const Tensor& b) {
        return cond(sum(a) > 0, [&] { return b; }, [&] { return a; });
      },
      {0, 0}, {1, 1});
  expect_gradients(
      [](const Tensor& a, const Tensor& b) {
        const Tensor between = b * 2;
        return cond(
            sum(a) > 0, [&](const Tensor&) { return between; }, [](const Tensor& u) { return u; },
            a);
      },
      {0, 0}, {2, 2});
}

TEST(Cond, ItsResultsAreOffTheTapeUnderNoGrad) {
  expect_gradients(
      [](const Tensor& a, const Tensor&) {
        Tensor same;
        {
          const no_grad off;
          const auto identity = [](const Tensor& u) { return u; };
          same = cond(sum(a) > 0, identity, identity, a);
        }
        return same * a;
      },
      {1, 2}, {0, 0});
}

TEST(Scan, GradientsStopAtWhatIsCutAndReachWhatIsGiven) {
  // Truncated in time: a step's carry is cut, its result is not.
  expect_gradients(
      [](const Tensor& a, const Tensor& b) {
        const auto step = [](const Tensor& c, const Tensor& e) {
          return std::pair((c * e).detach(), c * e);
        };
        return scan(step, sum(a), b).second;
      },
      {3, 3}, {3, 9});
  expect_gradients(
      [](const Tensor& a, const Tensor& b) {
        const auto step = [](const Tensor& c, const Tensor& e) {
          return std::pair(c * e, (c * e).detach());
        };
        return scan(step, sum(a), b).second;
      },
      {0, 0}, {0, 0});
  expect_gradients(
      [](const Tensor& a, const Tensor& b) {
        const auto step = [&](const Tensor& c, const Tensor& e) { return std::pair(c * e, a); };
        const auto [last, ys] = scan(step, tensor(1.0), b);
        return last + sum(ys);
      },
      {2, 2}, {4, 3});
}

}  // namespace
}  // namespace taper

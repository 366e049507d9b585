// Runs the programs of fuzz.py, a line of the standard input each, and compares every variable with
// NumPy's after every step: eagerly, then captured and replayed; of smooth programs also first
// and second gradients with differences, and captured ones with eager ones. Prints the shortest
// prefix that goes wrong and ends with the tenth failure.

#include <taper/taper.h>

#include <cmath>
#include <iostream>
#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include "interpreter.h"

namespace taper::fuzz {
namespace {

constexpr int most_failures = 10;
constexpr size_t most_leaves = 4;
constexpr int64_t most_shown = 40;

/// A step of a program went wrong.
struct Failure : std::runtime_error {
  Failure(size_t at, const std::string& what) : std::runtime_error(what), step(at) {}
  size_t step;
};

/// Within the error; infinities and NaN are met exactly.
bool is_close(double got, double want, double error) {
  if (std::isnan(want)) return std::isnan(got);
  return got == want || std::abs(got - want) <= error;
}

std::string joined(const Json& values) {
  return values.size() <= most_shown ? values.dump() : std::to_string(values.size()) + " elements";
}

/// What is wrong with `got`; empty if nothing is.
std::string difference(const Tensor& got, const Json& want) {
  std::ostringstream text;
  const auto dtype = want.at("dtype").get<std::string>();
  const Shape shape(want.at("shape").get<std::vector<int64_t>>());
  if (dtype_name(got.dtype()) != dtype || got.shape() != shape) {
    text << "is " << to_string(got.spec()) << ", NumPy has " << dtype << to_string(shape);
    return text.str();
  }
  const Json& values = want.at("values");
  const auto say = [&](size_t i, const auto& value) {
    text.precision(17);
    text << "element " << i << " is " << value << ", NumPy has " << values[i].dump() << " (error "
         << want.at("error") << ")\n  NumPy: " << joined(values)
         << "\n  Taper: " << (got.numel() <= most_shown ? to_string(got) : to_string(got.spec()));
    return text.str();
  };
  if (got.dtype() == DType::u64) {
    const auto elements = got.to_vector<uint64_t>();
    for (size_t i = 0; i < elements.size(); ++i) {
      if (elements[i] != values[i].get<uint64_t>()) return say(i, elements[i]);
    }
    return {};
  }
  if (!is_float(got.dtype())) {
    const auto elements = got.to_vector<int64_t>();
    for (size_t i = 0; i < elements.size(); ++i) {
      const bool flag = values[i].is_boolean();
      const int64_t expected = flag ? values[i].get<bool>() : values[i].get<int64_t>();
      if (elements[i] != expected) return say(i, elements[i]);
    }
    return {};
  }
  const auto error = want.at("error").get<double>();
  const auto elements = got.to_vector<double>();
  const auto expected = doubles_of(values);
  for (size_t i = 0; i < elements.size(); ++i) {
    if (!is_close(elements[i], expected[i], error)) return say(i, elements[i]);
  }
  return {};
}

/// What the variables must hold, by slot.
using Wanted = std::map<int, const Json*>;

Wanted wanted_of_leaves(const Json& program) {
  Wanted wanted;
  int slot = 0;
  for (const Json& leaf : program.at("leaves")) wanted[slot++] = &leaf;
  return wanted;
}

void note(Wanted& wanted, const Json& step) {
  const int slot = step.at("out").get<int>();
  if (step.contains("want")) {
    wanted[slot] = &step.at("want");
  } else if (!step.contains("refused")) {
    wanted.erase(slot);
  }
}

void check(const Slots& slots, const Wanted& wanted, size_t step, const std::string& mode) {
  for (const auto& [slot, want] : wanted) {
    const std::string wrong = difference(slots.at(slot), *want);
    if (!wrong.empty()) throw Failure(step, mode + ": v" + std::to_string(slot) + " " + wrong);
  }
}

Slots leaves_of(const Json& program) {
  Slots slots;
  int slot = 0;
  for (const Json& leaf : program.at("leaves")) slots[slot++] = tensor_of(leaf);
  return slots;
}

std::vector<Tensor> list_of_leaves(const Json& program) {
  std::vector<Tensor> leaves;
  for (const Json& leaf : program.at("leaves")) leaves.push_back(tensor_of(leaf));
  return leaves;
}

/// Runs a step; one that NumPy refuses must throw Taper's error.
void run_or_fail(const Json& program, size_t at, Slots& slots, const std::string& mode) {
  const Json& step = program.at("steps")[at];
  const bool is_refused = step.contains("refused");
  try {
    run_step(step, slots);
  } catch (const Error& error) {
    if (is_refused && error.kind() != ErrorKind::internal) return;
    throw Failure(at, mode + ": " + error.what());
  } catch (const std::exception& error) {
    throw Failure(at, mode + ": " + error.what());
  }
  if (is_refused) throw Failure(at, mode + ": NumPy refuses this");
}

void run_steps(const Json& program, size_t count, Slots& slots, const std::string& mode) {
  for (size_t i = 0; i < count; ++i) run_or_fail(program, i, slots, mode);
}

/// Every variable is looked at after every step: none may change through another.
void run_eagerly(const Json& program) {
  Slots slots = leaves_of(program);
  Wanted wanted = wanted_of_leaves(program);
  for (size_t i = 0; i < program.at("steps").size(); ++i) {
    run_or_fail(program, i, slots, "eager");
    note(wanted, program.at("steps")[i]);
    check(slots, wanted, i, "eager");
  }
}

/// Calls `function` with the elements of the vector.
template <class Function, size_t... I>
std::vector<Tensor> call_with(Function& function, const std::vector<Tensor>& all,
                              std::index_sequence<I...>) {
  return function(all[I]...);
}
template <class Function, size_t count = 1>
std::vector<Tensor> call_with_all(Function& function, const std::vector<Tensor>& all) {
  if (all.size() == count) return call_with(function, all, std::make_index_sequence<count>());
  if constexpr (count < most_leaves) return call_with_all<Function, count + 1>(function, all);
  throw std::runtime_error("more leaves than the interpreter passes");
}

/// The first `count` steps as one compiled function, captured and then replayed.
void run_captured(const Json& program, size_t count) {
  Wanted wanted = wanted_of_leaves(program);
  for (size_t i = 0; i < count; ++i) note(wanted, program.at("steps")[i]);
  auto function = compile([&](const auto&... leaves) {
    Slots slots;
    int slot = 0;
    ((slots[slot++] = leaves), ...);
    run_steps(program, count, slots, "captured");
    std::vector<Tensor> live;
    for (const auto& [each, want] : wanted) live.push_back(slots.at(each));
    return live;
  });
  const std::vector<Tensor> leaves = list_of_leaves(program);
  const Wanted untouched = wanted_of_leaves(program);
  for (const char* mode : {"captured", "replayed"}) {
    Slots live;
    try {
      size_t i = 0;
      const std::vector<Tensor> results = call_with_all(function, leaves);
      for (const auto& [slot, want] : wanted) live[slot] = results.at(i++);
    } catch (const Failure&) {
      throw;
    } catch (const std::exception& error) {
      throw Failure(count - 1, std::string(mode) + ": " + error.what());
    }
    check(live, wanted, count - 1, mode);
    Slots given;
    for (size_t i = 0; i < leaves.size(); ++i) given[static_cast<int>(i)] = leaves[i];
    check(given, untouched, count - 1, std::string(mode) + ", given");
  }
}

/// The sum of all floating variables, weighted so that no two elements count alike.
Tensor weighted_sum(const Slots& slots) {
  Tensor total = zeros({}, DType::f64);
  for (const auto& [slot, x] : slots) {
    if (!is_float(x.dtype()) || x.numel() == 0) continue;
    const Tensor weights = reshape(cos(arange(x.numel(), DType::f64) + slot), x.shape());
    total = total + sum(astype(x, DType::f64) * weights);
  }
  return total;
}

/// What the first `count` steps of a smooth program make of its leaves, as one number. Squares of
/// the leaves keep it on the tape where the steps lose them.
TensorFunction loss_of(const Json& program, size_t count) {
  return [&program, count](const std::vector<Tensor>& leaves) {
    Slots slots;
    for (size_t i = 0; i < leaves.size(); ++i) slots[static_cast<int>(i)] = leaves[i];
    run_steps(program, count, slots, "gradients");
    Tensor total = weighted_sum(slots);
    for (const Tensor& leaf : leaves) total = total + sum(square(leaf));
    return total;
  };
}

/// The first gradients by every element, the second along a random direction.
void check_gradients(const Json& program, size_t count) {
  const TensorFunction loss = loss_of(program, count);
  const std::vector<Tensor> leaves = list_of_leaves(program);
  try {
    gradcheck(loss, leaves, {.atol = 1e-4, .rtol = 1e-4});
    gradgradcheck(loss, leaves, {.atol = 1e-3, .rtol = 1e-3, .fast_mode = true});
  } catch (const Failure&) {
    throw;
  } catch (const std::exception& error) {
    throw Failure(count - 1, std::string("gradients: ") + error.what());
  }
}

/// Gradients that are taken within a compiled function are those of eager calls, bit for bit.
void check_captured_gradients(const Json& program, size_t count) {
  const std::vector<Tensor> leaves = list_of_leaves(program);
  std::vector<size_t> numbers(leaves.size());
  std::iota(numbers.begin(), numbers.end(), size_t{0});
  const auto gradients = value_and_grad(loss_of(program, count), numbers);
  auto function = compile(
      [&](const auto&... operands) { return gradients(std::vector<Tensor>{operands...}).second; });
  try {
    const std::vector<Tensor> eager = gradients(leaves).second;
    for (const char* mode : {"captured", "replayed"}) {
      const std::vector<Tensor> results = call_with_all(function, leaves);
      for (size_t i = 0; i < leaves.size(); ++i) {
        if (results.at(i).to_vector<double>() == eager.at(i).to_vector<double>()) continue;
        throw Failure(count - 1, std::string(mode) + ": the gradient by v" + std::to_string(i) +
                                     " is " + to_string(results[i]) + ", eagerly " +
                                     to_string(eager[i]));
      }
    }
  } catch (const Failure&) {
    throw;
  } catch (const std::exception& error) {
    throw Failure(count - 1, std::string("captured gradients: ") + error.what());
  }
}

/// Runs all steps and, if that fails, ever longer prefixes, of which the first failure is thrown.
template <class Run>
void run_with_prefixes(const Json& program, const Run& run) {
  const size_t count = program.at("steps").size();
  try {
    run(program, count);
  } catch (const Failure&) {
    for (size_t shorter = 1; shorter < count; ++shorter) run(program, shorter);
    throw;
  }
}

void run(const Json& program) {
  run_eagerly(program);
  if (program.at("steps").empty()) return;
  const bool can_be_captured = program.at("capture").get<bool>();
  const bool is_smooth = program.at("smooth").get<bool>();
  if (can_be_captured) run_with_prefixes(program, run_captured);
  if (is_smooth) run_with_prefixes(program, check_gradients);
  if (is_smooth && can_be_captured) run_with_prefixes(program, check_captured_gradients);
}

void print(const Json& program, const Failure& failure) {
  std::cout << "program " << program.at("name").get<std::string>() << " fails\n";
  int slot = 0;
  for (const Json& leaf : program.at("leaves")) {
    std::cout << "  v" << slot++ << " = " << leaf.dump() << "\n";
  }
  for (size_t i = 0; i <= failure.step; ++i) {
    Json step = program.at("steps")[i];
    std::cout << "  v" << step.at("out") << " = " << step.at("op").get<std::string>() << " "
              << step.at("in").dump();
    for (const char* known : {"op", "in", "out", "want"}) step.erase(known);
    std::cout << " " << (step.empty() ? "" : step.dump()) << "\n";
  }
  std::cout << failure.what() << std::endl;
}

int run_all() {
  int programs = 0;
  int failures = 0;
  size_t steps = 0;
  for (std::string line; failures < most_failures && std::getline(std::cin, line); ++programs) {
    const Json program = Json::parse(line);
    steps += program.at("steps").size();
    try {
      run(program);
    } catch (const Failure& failure) {
      print(program, failure);
      ++failures;
    } catch (const std::exception& error) {  // a variable that cannot be read
      print(program, Failure(program.at("steps").size() - 1, error.what()));
      ++failures;
    }
  }
  std::cout << programs << " programs, " << steps << " steps, " << failures << " failures\n";
  return failures == 0 && programs > 0 ? 0 : 1;
}

}  // namespace
}  // namespace taper::fuzz

int main() { return taper::fuzz::run_all(); }

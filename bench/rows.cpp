// Times calls of ops for bench/numpy_rows.py. Each line of the standard input is a call as JSON,
//
//   {"op": "sum", "attrs": {"axis": [1]}, "inputs": [{"shape": [1000, 1000], "dtype": "f32",
//    "layout": "contiguous", "low": -1, "high": 1}]}
//
// and each line of the output the least number of seconds that it took, or why it cannot be made.

#include <taper/taper.h>

#include <chrono>
#include <iostream>
#include <string>

#include <taper/core/value.h>
#include <taper/ops/op.h>

namespace taper {
namespace {

double number(const Value& value) {
  const int64_t* whole = value.get_if<int64_t>();
  return whole != nullptr ? static_cast<double>(*whole) : *value.get_if<double>();
}

/// A matrix is `transposed` in memory, or every second column of one that is twice as wide.
Tensor make_input(const Value& text) {
  const Value::Integers* sizes = text.find("shape")->get_if<Value::Integers>();
  Shape shape(sizes != nullptr ? *sizes : Value::Integers());
  const std::string& layout = *text.find("layout")->get_if<std::string>();
  const DType dtype = parse_dtype(*text.find("dtype")->get_if<std::string>());
  if (layout == "transposed") std::swap(shape[0], shape[1]);
  if (layout == "strided") shape[1] *= 2;
  const Tensor values = uniform(shape, number(*text.find("low")), number(*text.find("high")));
  const Tensor x = astype(values, dtype);
  if (layout == "transposed") return permute_dims(x, {1, 0});
  return layout == "strided" ? slice(x, 1, {}, {}, 2) : x;
}

double least_seconds(const OpBase& op, const void* attrs, std::span<const Arg> args) {
  using Clock = std::chrono::steady_clock;
  constexpr double enough = 0.02;
  double least = 1e9;
  double total = 0;
  for (int calls = 0; calls < 2 || (total < enough && calls < 200); ++calls) {
    const Clock::time_point start = Clock::now();
    call(op, attrs, args);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    least = std::min(least, seconds);
    total += seconds;
  }
  return least;
}

double time_of(const std::string& line) {
  const Value text = parse_json(line);
  const OpBase& op = Registry<OpBase>::get(*text.find("op")->get_if<std::string>(), "op");
  const Fields* given = text.find("attrs")->get_if<Fields>();
  const auto attrs = op.attrs_from_fields(given != nullptr ? *given : Fields());
  std::vector<Tensor> inputs;
  const Value& all = *text.find("inputs");
  for (const Value& each : *all.get_if<Value::List>()) inputs.push_back(make_input(each));
  const std::vector<Arg> args(inputs.begin(), inputs.end());
  return least_seconds(op, attrs.get(), args);
}

}  // namespace
}  // namespace taper

int main() {
  using namespace taper;
  const no_grad off;
  set_threads(1);
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << time_of(line) << std::endl;
    } catch (const Error& error) {
      std::cout << "refused: " << error.what() << std::endl;
    }
  }
}

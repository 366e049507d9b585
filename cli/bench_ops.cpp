#include "bench_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include <taper/autograd/autograd.h>
#include <taper/io/files.h>

#include "commands.h"
#include "row_cases.h"

namespace taper::cli {
namespace {

/// The least seconds of a call among those that fit in a fiftieth of a second, of two at least.
double least_seconds(const RowCase& each) {
  using Clock = std::chrono::steady_clock;
  const std::vector<Tensor> operands = make_operands(each);
  const std::vector<Arg> args(operands.begin(), operands.end());
  const auto attrs = each.op->attrs_from_fields(each.attrs);
  double least = 1e9;
  double total = 0;
  for (int calls = 0; calls < 2 || (total < 0.02 && calls < 200); ++calls) {
    const Clock::time_point start = Clock::now();
    call(*each.op, attrs.get(), args);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    least = std::min(least, seconds);
    total += seconds;
  }
  return least;
}

/// The named rows, all of which have cases, or every row.
std::vector<const OpBase*> chosen_rows(const std::vector<std::string>& names) {
  if (names.empty()) return public_ops();
  std::vector<const OpBase*> rows;
  for (const std::string& name : names) {
    rows.push_back(&find_named([&]() -> auto& { return op_named(name); }));
    if (row_cases(*rows.back(), 1).empty()) {
      throw UsageError(fmt::format("op `{}` takes no matrices, and so has nothing to time", name));
    }
  }
  return rows;
}

/// Answers each call of the standard input by its seconds, or by why it cannot be made.
void answer_calls() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << least_seconds(parse_case(line)) << std::endl;
    } catch (const Error& error) {
      std::cout << "refused: " << printable(error.what()) << std::endl;
    }
  }
}

}  // namespace

void bench_ops(const OpsBench& bench) {
  const no_grad off;
  if (bench.calls) return answer_calls();
  Value::List results;
  for (const OpBase* op : chosen_rows(bench.names)) {
    for (const RowCase& each : row_cases(*op, bench.size.value_or(1000))) {
      Value result = to_value(each);
      if (bench.list) {
        std::cout << to_json(result, -1) << '\n';
        continue;
      }
      const double seconds = least_seconds(each);
      std::cout << fmt::format("{:10.1f} us  {}\n", seconds * 1e6, label(each)) << std::flush;
      Fields fields = *result.get_if<Fields>();
      fields.emplace_back("seconds", seconds);
      results.push_back(Value(std::move(fields)));
    }
  }
  if (!bench.json.empty()) {
    write_file_atomically(bench.json, to_json(Value(std::move(results))) + "\n");
  }
}

}  // namespace taper::cli

// taper bench NAME: times a workload by the rules of bench/peers/workloads.md, or `ops`.

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>

#include <taper/core/threads.h>
#include <taper/core/value.h>
#include <taper/io/files.h>
#include <taper/ops/op.h>
#include <taper/ops/random/generator.h>
#include <taper/train/runs/run.h>

#include "bench_ops.h"
#include "bench_workloads.h"
#include "commands.h"

namespace taper::cli {
namespace {

constexpr std::string_view of_ops = "ops";

struct BenchArguments {
  std::string workload;
  std::string mode = "eager";
  std::optional<int64_t> threads = {};  // 2, of ops 1
  std::string json = {};
  OpsBench ops = {};
};

struct Timing {
  double first_step_s = 0;
  std::vector<double> seconds = {};  // of each step, sorted
  double median() const {
    const size_t half = seconds.size() / 2;
    return seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
  }
};

double timed(const Step& step) {
  const auto start = std::chrono::steady_clock::now();
  step();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The first step apart, 3 more and at least 0.5 s of warm-up, then steps until 3 s and 10 steps.
Timing measure(const Step& step) {
  Timing timing{.first_step_s = timed(step)};
  double warm = 0;
  for (int i = 0; i < 3 || warm < 0.5; ++i) warm += timed(step);
  double total = 0;
  while (total < 3 || timing.seconds.size() < 10) {
    timing.seconds.push_back(timed(step));
    total += timing.seconds.back();
  }
  std::sort(timing.seconds.begin(), timing.seconds.end());
  return timing;
}

/// Fails now if the result could not be written after the measurement.
void check_json(const std::string& path) {
  if (!path.empty()) const AtomicFile trial(path);
}

/// Keeps this process on the first `count` of the CPUs that it may use, with as many threads.
void use_threads(int64_t count) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    fail(ErrorKind::unsupported, "bench: cannot read the CPU affinity");
  }
  if (count > CPU_COUNT(&allowed)) {
    throw UsageError(fmt::format("--threads: {} CPUs are not there; this process may use {}", count,
                                 CPU_COUNT(&allowed)));
  }
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  for (int cpu = 0; CPU_COUNT(&chosen) < count; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &chosen);
  }
  if (sched_setaffinity(0, sizeof chosen, &chosen) != 0) {
    fail(ErrorKind::unsupported, "bench: cannot set the CPU affinity");
  }
  set_threads(static_cast<int>(count));
}

Value to_value(const BenchArguments& arguments, const Timing& timing) {
  return Value(Fields{{"workload", Value(arguments.workload)},
                      {"mode", Value(arguments.mode)},
                      {"threads", Value(arguments.threads.value_or(2))},
                      {"ms_median", Value(timing.median() * 1e3)},
                      {"ms_min", Value(timing.seconds.front() * 1e3)},
                      {"steps", Value(timing.seconds.size())},
                      {"peak_rss_mb", Value(peak_memory_mb())},
                      {"first_step_s", Value(timing.first_step_s)}});
}

void list_workloads() {
  for (const Workload& workload : workloads()) {
    std::cout << fmt::format("{:<16}  {}\n", workload.name, workload.doc);
  }
  std::cout << fmt::format("{:<16}  {}\n", of_ops,
                           "every op that takes matrices, by dtype, memory order and axis");
}

/// Those of `ops` beside a workload are wrong.
void check_arguments(const BenchArguments& arguments) {
  const OpsBench& ops = arguments.ops;
  if (arguments.workload == of_ops) {
    if (arguments.mode != "eager") throw UsageError("--mode: ops are timed eagerly");
    if (ops.calls && (ops.list || !ops.names.empty())) {
      throw UsageError("--calls: the calls come from the standard input, without OP and --list");
    }
    if ((ops.calls || ops.list) && !arguments.json.empty()) {
      throw UsageError("--json: --list and --calls print JSON by themselves");
    }
  } else if (!ops.names.empty()) {
    throw UsageError("unexpected argument `" + ops.names[0] + "`: only `ops` takes names of ops");
  } else if (ops.list || ops.calls || ops.size) {
    throw UsageError("--list, --calls and --size belong to `ops`");
  }
}

void bench(const BenchArguments& arguments) {
  if (arguments.workload.empty()) return list_workloads();
  check_arguments(arguments);
  if (arguments.workload == of_ops) {
    check_json(arguments.json);
    set_threads(static_cast<int>(arguments.threads.value_or(1)));
    OpsBench ops = arguments.ops;
    ops.json = arguments.json;
    return bench_ops(ops);
  }
  const Workload& workload =
      find_named([&]() -> auto& { return find_workload(arguments.workload); });
  check_json(arguments.json);
  use_threads(arguments.threads.value_or(2));
  manual_seed(0);
  const Timing timing = measure(workload.make(arguments.mode == "captured"));
  const Value result = to_value(arguments, timing);
  if (!arguments.json.empty()) write_file_atomically(arguments.json, to_json(result) + "\n");
  std::cout << fmt::format("{} {}, {} threads: median {:.4g} ms, least {:.4g} ms of {} steps\n",
                           arguments.workload, arguments.mode, arguments.threads.value_or(2),
                           timing.median() * 1e3, timing.seconds.front() * 1e3,
                           timing.seconds.size());
}

void add_ops_options(CLI::App& command, CLI::Option* name, OpsBench& ops) {
  std::vector<std::string> rows;
  for (const OpBase* op : public_ops()) rows.emplace_back(op->name);
  offer(command.add_option("OP", ops.names, "With `ops`: these only"), std::move(rows));
  command.add_option("--size", ops.size, "With `ops`: rows and columns of the matrices [1000]")
      ->needs(name)
      ->check(whole_number(1));
  command.add_flag("--list", ops.list, "With `ops`: print the calls as JSON, one a line")
      ->needs(name);
  command
      .add_flag("--calls", ops.calls,
                "With `ops`: answer each call of the standard input by its seconds")
      ->needs(name);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command =
      app.add_subcommand("bench", "Time a workload, or `ops`; without a name, list them");
  CLI::Option* name = command->add_option("NAME", arguments->workload,
                                          "The workload, or `ops`: the ops by dtype, "
                                          "memory order and axis");
  std::vector<std::string> names = {std::string(of_ops)};
  for (const Workload& workload : workloads()) names.emplace_back(workload.name);
  offer(name, std::move(names));
  command->add_option("--mode", arguments->mode, "eager or captured")
      ->needs(name)
      ->check(CLI::IsMember({"eager", "captured"}))
      ->capture_default_str();
  command
      ->add_option("--threads", arguments->threads,
                   "Threads, of a workload on as many CPUs [2, of ops 1]")
      ->needs(name)
      ->check(whole_number(1));
  command->add_option("--json", arguments->json, "Write the result to this file")
      ->needs(name)
      ->check(some_text());
  add_ops_options(*command, name, arguments->ops);
  command->callback([arguments] { bench(*arguments); });
}

}  // namespace taper::cli

#include <taper/core/threads.h>

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <taper/core/allocator.h>
#include <taper/core/error.h>

namespace taper {
namespace {

int affinity_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  return std::max(1, CPU_COUNT(&set));
}

/// CPUs that one cgroup's quota allows, rounded up; 0 if it has none.
int quota_cpus(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream v2(folder + "/cpu.max");
  if (std::string word; v2 >> word >> period && word != "max") {
    quota = std::strtod(word.c_str(), nullptr);
  } else if (std::ifstream v1(folder + "/cpu.cfs_quota_us"); v1 >> quota) {
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? std::max(1, static_cast<int>((quota + period - 1) / period)) : 0;
}

/// The tightest quota on the way from this process's cgroup to the root; 0 if there is none.
int cgroup_cpus() {
  int least = 0;
  auto consider = [&](const std::string& folder) {
    const int cpus = quota_cpus(folder);
    if (cpus > 0 && (least == 0 || cpus < least)) least = cpus;
  };
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers.find("cpu") == controllers.npos) continue;
    const std::string root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    std::string path = line.substr(second + 1);
    while (!path.empty() && path != "/") {
      consider(root + path);
      path.erase(path.rfind('/'));
    }
    consider(root);
  }
  return least;
}

constexpr int most_threads = 1024;

/// The first number of `OMP_NUM_THREADS`, as in "4" or "4,2"; 0 if there is none in range, which
/// OpenMP ignores, too.
int openmp_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return 0;
  const std::string_view view(text);
  int count = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), count);
  const bool is_first = end == view.data() + view.size() || *end == ',';
  return error == std::errc() && is_first && count >= 1 && count <= most_threads ? count : 0;
}

int default_threads() {
  if (const char* text = std::getenv("TAPER_THREADS")) {
    const std::string_view view(text);
    int count = 0;
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), count);
    const bool whole = error == std::errc() && end == view.data() + view.size();
    if (whole && count >= 1 && count <= most_threads) return count;
    fail(ErrorKind::value, "TAPER_THREADS must be a number in [1, " + std::to_string(most_threads) +
                               "], got \"" + std::string(view) + "\"");
  }
  if (const int asked = openmp_threads(); asked > 0) return asked;
  const int quota = cgroup_cpus();
  const int cpus = affinity_cpus();
  return quota > 0 ? std::min(quota, cpus) : cpus;
}

std::atomic<int> thread_count{0};  // 0: not yet asked
constinit thread_local int prepared_for TAPER_TLS_FAST = 0;
constinit thread_local bool serial TAPER_TLS_FAST = false;  // inside a part or a SerialScope

std::atomic<bool> forked{false};

void one_thread_after_fork() {
  thread_count.store(1);  // libgomp's workers do not exist in the child
  forked.store(true);
}

struct Part {
  int64_t begin;
  int64_t end;
};

Part part_of(int64_t count, int parts, int index) {
  return {count * index / parts, count * (index + 1) / parts};
}

/// Keeps the first exception of the parts, to be rethrown by the caller's thread.
class FirstException {
 public:
  void run(FunctionRef<void(int64_t, int64_t)> body, Part part) noexcept {
    serial = true;
    try {
      body(part.begin, part.end);
    } catch (...) {
      if (!taken_.exchange(true)) exception_ = std::current_exception();
    }
    serial = false;
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::atomic<bool> taken_{false};
  std::exception_ptr exception_;
};

void run_parts(int parts, int64_t count, FunctionRef<void(int64_t, int64_t)> body) {
  FirstException outcome;
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not see libgomp's barriers; std::thread it does.
  std::vector<std::thread> others;
  for (int i = 1; i < parts; ++i) {
    others.emplace_back([&, i] { outcome.run(body, part_of(count, parts, i)); });
  }
  outcome.run(body, part_of(count, parts, 0));
  for (std::thread& other : others) other.join();
#else
  constexpr size_t stack = size_t{16} << 20;
  thread_local int started = 1;  // libgomp ends the process if it cannot start its threads
  if (parts > started) [[unlikely]] {
    leave_room(static_cast<size_t>(parts) * stack);
    started = parts;
  }
#pragma omp parallel num_threads(parts)
  outcome.run(body, part_of(count, omp_get_num_threads(), omp_get_thread_num()));
#endif
  outcome.rethrow();
}

}  // namespace

int threads() {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count == 0) [[unlikely]] {
    count = default_threads();
    int unset = 0;
    if (thread_count.compare_exchange_strong(unset, count)) {
      pthread_atfork(nullptr, nullptr, one_thread_after_fork);
    } else {
      count = unset;
    }
  }
  return count;
}

void set_threads(int count) {
  if (count < 1 || count > most_threads) {
    fail(ErrorKind::value, "set_threads: the count must be in [1, " + std::to_string(most_threads) +
                               "], got " + std::to_string(count));
  }
  if (count > 1 && forked.load()) {  // libgomp would wait for the parent's threads for ever
    fail(ErrorKind::unsupported,
         "set_threads: a process made by fork runs on one thread, because "
         "its parent had used Taper; start it as a program of its own");
  }
  threads();  // registers the fork handler
  thread_count.store(count);
}

void parallel_for(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) {
  if (count <= 0) return;
  const int64_t useful = std::max<int64_t>(1, count / std::max<int64_t>(1, grain));
  const int parts = serial ? 1 : static_cast<int>(std::min<int64_t>(threads(), useful));
  if (parts == 1) {
    body(0, count);
    return;
  }
  run_parts(parts, count, body);
}

void prepare_thread() {
#if defined(__SANITIZE_THREAD__)
  const int wanted = 1;
#else
  const int wanted = serial ? 1 : threads();
#endif
  // Inside a parallel region the setting would end with the region.
  if (prepared_for == wanted || omp_in_parallel() != 0) return;
  omp_set_num_threads(wanted);
  prepared_for = wanted;
}

SerialScope::SerialScope() : outer_(serial) { serial = true; }

SerialScope::~SerialScope() { serial = outer_; }

}  // namespace taper

#pragma once

#include <cstdint>

#include <taper/core/api.h>
#include <taper/core/function_ref.h>

namespace taper {

/// The number of threads that kernels use: `TAPER_THREADS`, else `OMP_NUM_THREADS`, else the CPUs
/// that the process's affinity and its cgroup quota allow.
TAPER_API int threads();

/// Sets the number of threads for the whole process, in [1, 1024]. Throws value otherwise.
TAPER_API void set_threads(int count);

/// Runs `body(begin, end)` over parts of [0, count), in parallel if there are at least
/// `2 * grain` items. `grain` is the work, in items, worth about 25 µs. The parts depend only on
/// count, grain and the number of threads. An exception of `body` is rethrown here.
TAPER_API void parallel_for(int64_t count, int64_t grain,
                            FunctionRef<void(int64_t begin, int64_t end)> body);

/// Makes the calling thread's OpenMP calls (oneDNN's) use `threads()`; cheap when it is so already.
TAPER_API void prepare_thread();

/// While it lives, the calling thread uses no other thread: for threads of which there are many
/// already, such as a loader's workers. Scopes nest.
class TAPER_API SerialScope {
 public:
  SerialScope();
  ~SerialScope();
  SerialScope(const SerialScope&) = delete;
  SerialScope& operator=(const SerialScope&) = delete;

 private:
  bool outer_;
};

}  // namespace taper

#pragma once

/// Marks what the shared library exports; everything else is built with hidden visibility.
#define TAPER_API __attribute__((visibility("default")))

/// Thread-locals on the call path: initial-exec costs one instruction, also in a shared library.
#define TAPER_TLS_FAST __attribute__((tls_model("initial-exec")))

/// Marks the functions of functors, which a source for one instruction set must not emit as weak
/// symbols: the linker could then use them on an older machine.
#if defined(__CUDACC__)
#define TAPER_FN __host__ __device__ inline __attribute__((always_inline))
#else
#define TAPER_FN inline __attribute__((always_inline))
#endif

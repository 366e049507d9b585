#pragma once

/// Marks what the shared library exports; everything else is built with hidden visibility.
#define TAPER_API __attribute__((visibility("default")))

/// Thread-locals on the call path: initial-exec costs one instruction, also in a shared library.
#define TAPER_TLS_FAST __attribute__((tls_model("initial-exec")))

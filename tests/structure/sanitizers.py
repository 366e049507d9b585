#!/usr/bin/env python3
"""Checks that the sanitizers of this build find planted mistakes: sanitizers.py PLANTED SANITIZERS

SANITIZERS is what the build gave to -fsanitize=, such as `address,undefined`.
"""

import subprocess
import sys

from source_files import finish

MISTAKES = {
    "address": {
        "heap_overflow": "AddressSanitizer: heap-buffer-overflow",
        "use_after_free": "AddressSanitizer: heap-use-after-free",
        "leak": "LeakSanitizer: detected memory leaks",
    },
    "undefined": {"signed_overflow": "runtime error: signed integer overflow"},
    "thread": {
        "data_race": "ThreadSanitizer: data race",
        "parallel_race": "ThreadSanitizer: data race",
    },
}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, sanitizers = sys.argv[1], sys.argv[2].split(",")
    problems = []
    done = subprocess.run([program], capture_output=True, text=True)
    if done.returncode or done.stderr:
        problems.append(f"without a mistake: {done.returncode}\n{done.stderr}")
    for sanitizer in sanitizers:
        for mistake, report in MISTAKES[sanitizer].items():
            done = subprocess.run([program, mistake], capture_output=True, text=True)
            if done.returncode == 0 or report not in done.stderr:
                problems.append(f"{mistake}: not found by {sanitizer}, exit code "
                                f"{done.returncode}\n{done.stderr}")
    finish(problems, f"sanitizers ({', '.join(sanitizers)})")


main()

"""Timing of one workload in this process, and the size and import time of a package."""

import importlib.metadata
import inspect
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workloads import WORKLOADS


def cycle(batches):
    while True:
        yield from batches


def repeat(op, times=1000):
    def step():
        for _ in range(times):
            op()

    return step


def measure(step, min_seconds=3.0, min_steps=10):
    """First-step time, then every step's time until both minima are met, after a warm-up."""
    def timed():
        start = time.perf_counter()
        step()
        return time.perf_counter() - start

    first = timed()
    warm_until = time.perf_counter() + 0.5
    for _ in range(3):
        step()
    while time.perf_counter() < warm_until:
        step()
    times = []
    while sum(times) < min_seconds or len(times) < min_steps:
        times.append(timed())
    return first, times


def run_here(make_peer, name, threads, folder):
    """Run one workload in this process; its result as a dict, or the reason there is none."""
    os.sched_setaffinity(0, range(threads))
    start = time.perf_counter()
    peer, workload = make_peer(threads, folder), WORKLOADS[name]
    make = getattr(peer, workload.family, None)
    if make is None or not workload.args.keys() <= inspect.signature(make).parameters.keys():
        return {"skipped": "not implemented for this peer"}
    step = make(**workload.args)
    build = time.perf_counter() - start
    first, times = measure(step)
    median = statistics.median(times)
    return {
        "ms_median": median * 1e3, "ms_min": min(times) * 1e3, "steps": len(times),
        "items_per_s": workload.items / median, "unit": workload.unit,
        "gflops": workload.gflop / median, "gbytes_per_s": workload.mbytes / median / 1e3,
        "build_s": build, "first_step_s": first,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "package": f"{peer.package} {importlib.metadata.version(distribution(peer.package))}",
    }


def distribution(package):
    return importlib.metadata.packages_distributions()[package][0]


def import_seconds(package, times=3):
    """Least time of `import package` in fresh processes (files already cached)."""
    code = f"import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"
    return min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                    check=True).stdout.splitlines()[-1]) for _ in range(times))


def installed_megabytes(package):
    """Size of the distribution and of each one it requires, by name."""
    sizes, seen, todo = {}, set(), [distribution(package)]
    while todo:
        name, extras = re.match(r"([\w.-]+)(?:\[([^]]*)\])?", todo.pop()).groups()
        name = re.sub(r"[-_.]+", "-", name).lower()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            dist = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        files = (Path(f.locate()) for f in dist.files or ())
        sizes[name] = sum(f.stat().st_size for f in files if f.exists()) / 1e6
        for requirement in dist.requires or ():
            extra = re.search(r"extra == ['\"]([^'\"]+)", requirement)
            if not extra or extra[1] in (extras or "").split(","):
                todo.append(requirement)
    return sizes

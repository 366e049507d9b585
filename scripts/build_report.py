#!/usr/bin/env python3
"""Measures a build against its budgets: scripts/build --report [--built DIR] [--preset release]

Makes a clean build without the compiler's cache in a folder of its own, unless --built names a
finished one, and prints a table: what was measured, what it would be in a tree with four times the
rows, and the budget for that. Rows are the objects of taper/ops; with f for their share,

  time of the build   t * (1 + 3 f), f the share of the compilers' time
  a file's size       s + 3 * (text and data of the objects of taper/ops that are in it)
  scripts/test        t + 3 * (time of the tests that loop over all rows)

and the rest as it is. The kernels of taper/backend do not grow with the rows.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLD = 4
ROWS = "taper/ops/"
ROW_TESTS = "ops",  # tests that loop over all rows
BUDGETS = {"build": 12 * 60, "library": 20e6, "version": 0.020, "first": 0.6, "tests": 8 * 60}
FIRST_PROGRAM = "examples/first_program.cpp"

# Compiling the first program on 2026-11-27, when <taper/taper.h> included what it did at 11febbb:
# CPU seconds (the least of three), which hold for the machine named only.
BASELINE = {"seconds": 3.5,
            "machine": "an Intel Xeon (AVX-512), 2 cores, g++ 12.2"}


def ninja_log(text):
    """Seconds that each output took; of several runs of one the last counts."""
    seconds = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            seconds[fields[3]] = (int(fields[1]) - int(fields[0])) / 1000
    return seconds


def source_of(output):
    """CMakeFiles/taper_v3.dir/taper/ops/x.cpp.o -> taper/ops/x.cpp; None for what is no object."""
    match = re.fullmatch(r"CMakeFiles/[^/]+\.dir/(.*)\.o", output)
    return match[1] if match else None


def is_row(output):
    return (source_of(output) or "").startswith(ROWS)


def share_of_rows(amounts):
    """The part of a sum over outputs that is made of objects of rows."""
    total = sum(amounts.values())
    return sum(x for output, x in amounts.items() if is_row(output)) / total if total else 0.0


def folder_of(output):
    """taper/ops, taper/backend, ...; of what is generated `other`."""
    match = re.match(r"taper/[^/]+(?=/)", source_of(output) or "")
    return match[0] if match else "other"


def test_times(text):
    """Seconds of each test from what run_tests.py printed."""
    return {name: float(seconds) for name, seconds in
            re.findall(r"^(\w+): \d+ passed, \d+ failed.*, ([\d.]+) s$", text, re.M)}


def sizes_of_objects(folder):
    """Text and data of the library's objects, as `size` adds them up."""
    sizes = {}
    for part in ("taper_objects", "taper_v3", "taper_v4"):
        objects = sorted((folder / f"CMakeFiles/{part}.dir").rglob("*.o"))
        if not objects:
            continue
        done = subprocess.run(["size", *objects], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines()[1:]:
            text, data, _, _, _, name = line.split(maxsplit=5)
            sizes[str(Path(name).relative_to(folder))] = int(text) + int(data)
    return sizes


def stripped_size(file):
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, file], check=True)
        return os.path.getsize(copy.name)


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clean_build(preset, folder):
    """Wall and CPU seconds of a build of everything that no cache helps."""
    environment = os.environ | {"CCACHE_DISABLE": "1"}
    subprocess.run(["cmake", "--preset", preset, "-B", folder], cwd=ROOT, env=environment,
                   check=True, stdout=subprocess.DEVNULL)
    start, used = time.monotonic(), cpu_seconds()
    subprocess.run(["cmake", "--build", folder, "--", "--quiet"], cwd=ROOT, env=environment,
                   check=True)
    return time.monotonic() - start, cpu_seconds() - used


def least_cpu(command, times):
    """The least CPU time of several runs: a busy host does not lengthen it much."""
    least = float("inf")
    for _ in range(times):
        used = cpu_seconds()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        least = min(least, cpu_seconds() - used)
    return least


def first_program():
    """CPU seconds that a user's compiler takes for it, and its lines after the preprocessor."""
    command = ["g++", "-std=c++20", "-O2", "-I.", FIRST_PROGRAM]
    lines = subprocess.run([*command, "-E"], cwd=ROOT, check=True, capture_output=True)
    return least_cpu([*command, "-c", "-o", "/dev/null"], 3), lines.stdout.count(b"\n")


def median_wall(command, times):
    seconds = []
    for _ in range(times):
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds)


def machine():
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return f"{os.cpu_count()} cores of {model[1] if model else 'an unknown CPU'}, load {load}"


def minutes(seconds):
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60} min {round(seconds) % 60:02} s"


def megabytes(size):
    return f"{size / 1e6:.2f} MB"


def milliseconds(seconds):
    return f"{1000 * seconds:.1f} ms"


def row(what, measured, extrapolated=None, budget=None, show=str):
    """A line of the table; what is extrapolated, or else measured, is held against the budget."""
    reached = measured if extrapolated is None else extrapolated
    verdict = "" if budget is None else show(budget) + (" (over)" if reached > budget else "")
    return f"| {what} | {show(measured)} | {'' if extrapolated is None else show(reached)} " \
           f"| {verdict} |"


def rows_of_build(log, built):
    """The clean build that was timed, or what the log of one adds up to."""
    if built:
        figures = {"clean build, wall": built[0], "clean build, CPU time / 2": built[1] / 2}
    else:
        figures = {"clean build, sum of the log / 2": sum(log.values()) / 2}
    grows = 1 + (FOLD - 1) * share_of_rows(log)
    for what, seconds in figures.items():
        yield row(what, seconds, seconds * grows, BUDGETS["build"], minutes)


def rows_of_sizes(folder, sizes):
    more = (FOLD - 1) * sum(size for name, size in sizes.items() if is_row(name))
    for what, file in ("libtaper.so", "lib/libtaper.so"), ("taper", "taper"):
        path = (folder / file).resolve()
        budget = BUDGETS["library"] if what == "libtaper.so" else None
        size, stripped = path.stat().st_size, stripped_size(path)
        yield row(what, size, size + more, budget, megabytes)
        yield row(f"{what}, stripped", stripped, stripped + more, budget, megabytes)
    folders = {}
    for name, size in sizes.items():
        folders[folder_of(name)] = folders.get(folder_of(name), 0) + size
    for name, size in sorted(folders.items(), key=lambda each: -each[1]):
        grown = FOLD * size if name + "/" == ROWS else size
        yield row(f"objects of {name}", size, grown, show=megabytes)


def rows_of_first_program():
    seconds, lines = first_program()
    yield row("first program, lines", lines, show=lambda x: f"{x:,.0f}")
    yield row("first program, CPU time", seconds, budget=BUDGETS["first"] * BASELINE["seconds"],
              show=lambda x: f"{x:.2f} s")


def rows_of_tests(log):
    if not log.exists():
        return
    times = test_times(log.read_text())
    total = sum(times.values())
    more = (FOLD - 1) * sum(times.get(name, 0.0) for name in ROW_TESTS)
    yield row("tests of scripts/test", total, total + more, BUDGETS["tests"], minutes)


def report(folder, built, test_log):
    log = ninja_log((folder / ".ninja_log").read_text())
    print(f"{machine()}; {sum(map(is_row, log))} of {len(log)} outputs are objects of rows\n")
    print("| what | measured | four times the rows | budget |\n|---|---|---|---|")
    version = median_wall([folder / "taper", "--version"], 20)
    lines = [*rows_of_build(log, built), *rows_of_sizes(folder, sizes_of_objects(folder)),
             row("`taper --version`", version, budget=BUDGETS["version"], show=milliseconds),
             *rows_of_first_program(), *rows_of_tests(test_log)]
    print(*lines, sep="\n")
    print(f"\nThe baseline of the first program was measured on {BASELINE['machine']}.")
    print("\n| slowest outputs | s |\n|---|---|")
    for output, seconds in sorted(log.items(), key=lambda each: -each[1])[:10]:
        print(f"| {output} | {seconds:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="release")
    parser.add_argument("--built", type=Path, help="the folder of a finished clean build")
    options = parser.parse_args()
    test_log = ROOT / "build" / options.preset / "test.log"
    if options.built:
        return report(options.built.resolve(), None, test_log)
    folder = Path(tempfile.mkdtemp(prefix="taper_report_"))
    try:
        report(folder, clean_build(options.preset, folder), test_log)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())

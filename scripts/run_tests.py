#!/usr/bin/env python3
"""Runs the tests registered with CTest and counts test cases, not binaries.

  run_tests.py BUILD_DIR [--long]

A test labelled `gtest` is a GoogleTest binary, run in two shards at once; any other is one case,
judged by its exit code. Tests labelled `long` run only with --long. Failures are printed in full.
The last line is `N passed, N failed`; the exit code is 0 if nothing failed and something passed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SHARDS = 2
TIMEOUT = 900  # seconds a binary may take


@dataclass
class Outcome:
    passed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)  # what to print of each failed case

    def __add__(self, other):
        return Outcome(self.passed + other.passed, self.skipped + other.skipped,
                       self.failures + other.failures)


def registered_tests(build):
    command = ["ctest", "--test-dir", build, "--show-only=json-v1"]
    listing = subprocess.run(command, capture_output=True, text=True)
    if listing.returncode:
        sys.exit(f"{listing.stderr}cannot list the tests of {build}\n0 passed, 1 failed")
    for test in json.loads(listing.stdout)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", ())}
        yield test["name"], test.get("command"), properties


def run(command, properties, folder, environments=({},)):
    """Runs a process per environment, at once: for each why it failed, or None, and its output.
    Output goes to files: unlike pipes, a process that was left behind cannot keep them open."""
    inherited = dict(os.environ) | dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", ()))
    outputs = [folder / f"output{i}" for i in range(len(environments))]
    deadline = time.monotonic() + TIMEOUT
    processes = []
    try:
        for environment, output in zip(environments, outputs):
            with output.open("wb") as out:
                processes.append(subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                    env=inherited | environment, cwd=properties.get("WORKING_DIRECTORY"),
                    start_new_session=True))
        errors = [wait(process, deadline) for process in processes]
    finally:  # Ctrl-C does not reach other sessions by itself
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return [(error, output.read_text(errors="replace")) for error, output in zip(errors, outputs)]


def wait(process, deadline):
    try:
        code = process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return f"stopped after {TIMEOUT} s"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else None


def run_script(command, properties, folder):
    (error, text), = run(command, properties, folder)
    return Outcome(failures=[f"{error}\n{text}"]) if error else Outcome(passed=1)


def run_gtest(command, properties, folder):
    reports = [folder / f"report{i}.json" for i in range(SHARDS)]
    environments = [
        {"GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(i),
         "GTEST_OUTPUT": f"json:{report}", "GTEST_COLOR": "no"} for i, report in enumerate(reports)]
    results = run(command, properties, folder, environments)
    outcome = sum((outcome_of_shard(*r, report) for r, report in zip(results, reports)), Outcome())
    return outcome if outcome != Outcome() else Outcome(failures=["it contains no test"])


def outcome_of_shard(error, text, report):
    try:
        suites = json.loads(report.read_text())["testsuites"]
    except (OSError, ValueError):
        return outcome_of_text(text, error or "wrote no report")
    outcome = Outcome()
    for suite in suites:
        for case in suite["testsuite"]:
            if case.get("failures"):
                outcome.failures.append(section(text, f"{suite['name']}.{case['name']}"))
            elif case["result"] == "COMPLETED":
                outcome.passed += 1
            else:
                outcome.skipped += 1
    for suite in re.findall(r"^\[  FAILED  \] (\S+): SetUpTestSuite or Tear", text, re.M):
        start = max(text.find(f" from {suite}\n"), 0)  # its tests are reported as skipped
        outcome.failures.append(f"setting up {suite}\n{text[start:text.find('[ RUN ', start)]}")
    if error and not outcome.failures:  # such as a leak found at the end
        last = text.rfind("[==========]")
        outcome.failures.append(f"{error} although every test passed\n{text[max(last, 0):]}")
    return outcome


def outcome_of_text(text, error):
    """What a binary that did not reach its end had done, from the lines it printed."""
    failed = re.findall(r"^\[  FAILED  \] ([^\s,]+).* \(\d+ ms\)$", text, re.M)
    started = re.findall(r"^\[ RUN      \] (\S+)$", text, re.M)
    where = f"in or after {started[-1]}" if started else "before the first test"
    end = section(text, started[-1]) if started else text
    return Outcome(passed=len(re.findall(r"^\[       OK \]", text, re.M)),
                   failures=[*(section(text, name) for name in failed), f"{error} {where}\n{end}"])


def section(text, name):
    """What a binary printed from the start of a test to the start of the next one."""
    start = text.find(f"[ RUN      ] {name}\n")
    if start < 0:
        return f"{name} failed outside of its body\n{text}"
    end = re.search(r"^\[( RUN      |----------)\]", text[start + 1:], re.M)
    return text[start:start + 1 + end.start()] if end else text[start:]


def run_test(name, command, properties):
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if not command:
            outcome = Outcome(failures=["its program was not built"])
        else:
            run_one = run_gtest if "gtest" in properties.get("LABELS", ()) else run_script
            try:
                outcome = run_one(command, properties, folder)
            except OSError as error:
                outcome = Outcome(failures=[f"cannot start: {error}"])
    for failure in outcome.failures:
        print(f"--- {name}: {failure.rstrip()}")
    skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
    print(f"{name}: {outcome.passed} passed, {len(outcome.failures)} failed{skipped}, "
          f"{time.monotonic() - start:.1f} s", flush=True)
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build_dir")
    parser.add_argument("--long", action="store_true", help="also run tests labelled `long`")
    args = parser.parse_args()
    total = Outcome()
    for name, command, properties in registered_tests(args.build_dir):
        if args.long or "long" not in properties.get("LABELS", ()):
            total += run_test(name, command, properties)
    print(f"{total.passed} passed, {len(total.failures)} failed")
    sys.exit(0 if total.passed and not total.failures else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks what scripts/build_report.py makes of logs and sizes; it measures nothing."""

import sys

from source_files import finish, root_of

sys.path.append(str(root_of([]) / "scripts"))
import build_report as report  # noqa: E402

ROW = "CMakeFiles/taper_v3.dir/taper/ops/nn/softmax.cpp.o"
KERNEL = "CMakeFiles/taper_objects.dir/taper/backend/cpu/conv.cpp.o"
TEST = "CMakeFiles/ops_test.dir/tests/ops/op_check_test.cpp.o"
NINJA_LOG = f"""# ninja log v5
0\t9000\t1\t{ROW}\tab
10\t1010\t1\t{ROW}\tab
0\t3000\t1\t{KERNEL}\tcd
500\t4500\t1\t{TEST}\tef
"""
TEST_LOG = """core: 10 passed, 0 failed, 3.5 s
--- ops: a failure that says: 2 passed, 1 failed, 9.0 s of something
ops: 200 passed, 1 failed, 2 skipped, 60.0 s
210 passed, 1 failed
"""
LOG = {ROW: 1.0, KERNEL: 3.0, TEST: 4.0}


def expectations():
    """(what is computed, what it must be)"""
    yield report.ninja_log(NINJA_LOG), LOG
    yield report.share_of_rows(LOG), 0.125
    yield report.share_of_rows({}), 0.0
    yield [report.folder_of(each) for each in (ROW, KERNEL, "CMakeFiles/a.dir/anchors.cpp.o")], \
        ["taper/ops", "taper/backend", "other"]
    yield report.test_times(TEST_LOG), {"core": 3.5, "ops": 60.0}
    yield report.row("x", 1, 5, 4), "| x | 1 | 5 | 4 (over) |"
    yield report.row("x", 5, 4, 4), "| x | 5 | 4 | 4 |"
    yield report.row("x", 5, budget=4), "| x | 5 |  | 4 (over) |"
    yield report.row("x", 5), "| x | 5 |  |  |"
    yield list(report.rows_of_build(LOG, (800, 1200))), [
        "| clean build, wall | 13 min 20 s | 18 min 20 s | 12 min 00 s (over) |",
        "| clean build, CPU time / 2 | 10 min 00 s | 13 min 45 s | 12 min 00 s (over) |"]
    yield list(report.rows_of_build({**LOG, "taper": 1192.0}, None)), [
        "| clean build, sum of the log / 2 | 10 min 00 s | 10 min 02 s | 12 min 00 s |"]
    yield report.minutes(59.9), "59.9 s"
    yield report.minutes(61), "1 min 01 s"
    yield report.minutes(119.7), "2 min 00 s"


def main():
    finish([f"{got!r}, expected {wanted!r}" for got, wanted in expectations() if got != wanted],
           "build budgets")


main()

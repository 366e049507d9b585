#!/usr/bin/env python3
"""Kills a training, fills its disk and breaks its files: survival.py SURVIVOR FAULTS KILLS

Whatever happens, the run that goes on must end with the bytes of one that was never cut.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

survivor, faults, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
STEPS = 24
passed = 0


def run(folder, seconds="0", kill_step=0, fault=None):
    environment = dict(os.environ, TAPER_THREADS="1")
    if fault:
        environment.update(LD_PRELOAD=faults, TAPER_FAULT=fault)
    return subprocess.run([survivor, folder, seconds, str(kill_step)], env=environment,
                          capture_output=True, text=True)


def new_folder(parent):
    return Path(tempfile.mkdtemp(dir=parent))


def check(condition, what):
    global passed
    if not condition:
        print("FAILED:", what)
        sys.exit(1)
    passed += 1


def finish(folder, expected, what):
    """Goes on to the end."""
    last = run(folder)
    check(last.returncode == 0, f"{what}: exit {last.returncode} {last.stderr}")
    check((folder / "model.safetensors").read_bytes() == expected, f"{what}: other weights")
    left = [path.name for path in folder.rglob(".taper-*")]
    check(not left, f"{what}: left {left}")


def kill_at_steps(parent, expected):
    """At seeded steps, up to three times in a run; saves come by time, so at any distance."""
    numbers = random.Random(7)
    for trial in range(kills):
        folder = new_folder(parent)
        steps = sorted(numbers.sample(range(1, STEPS + 1), numbers.randint(1, 3)))
        for step in steps:
            killed = run(folder, numbers.choice(["0", "0.001", "1000"]), step)
            check(killed.returncode == -signal.SIGKILL, f"killed at {step}: {killed.returncode}")
        finish(folder, expected, f"trial {trial}, killed at steps {steps}")


def count(parent):
    """(calls, writes) of a whole run that saves after every update."""
    counted = run(new_folder(parent), fault="count")
    check(counted.returncode == 0, counted.stderr)
    return [int(number) for number in re.findall(r"\d+", counted.stdout)]


def kill_at_calls(parent, expected, calls):
    """At every write, fsync and rename of two whole saves in the middle, and before and after."""
    a_save = calls // (STEPS + 4)
    for call in range(2 * a_save, 4 * a_save + 1):
        folder = new_folder(parent)
        killed = run(folder, fault=f"kill:{call}")
        check(killed.returncode == -signal.SIGKILL, f"killed at call {call}: {killed.returncode}")
        finish(folder, expected, f"killed at call {call}")


def fail_at_calls(parent, expected, calls, writes):
    """One call fails: the training goes on, warns, and ends with the same weights."""
    a_save = calls // (STEPS + 4)
    for call in range(a_save + 1, 2 * a_save + 3):
        folder = new_folder(parent)
        outcome = run(folder, fault=f"EIO:{call}")
        check(outcome.returncode == 0, f"EIO at call {call}: {outcome.stderr}")
        check("no checkpoint was saved" in outcome.stderr, f"EIO at call {call}: no warning")
        check("Input/output error" in outcome.stderr, outcome.stderr)
        finish(folder, expected, f"EIO at call {call}")
    for write in range(1, 2 * writes // (STEPS + 4) + 1):
        folder = new_folder(parent)
        outcome = run(folder, fault=f"ENOSPC:{write}+")
        check(outcome.returncode == 1, f"disk full from write {write}: {outcome.returncode}")
        check("model.safetensors: No space left on device" in outcome.stderr, outcome.stderr)
        left = [path.name for path in folder.rglob(".taper-*")]
        check(not left, f"disk full from write {write}: left {left}")
        finish(folder, expected, f"disk full from write {write}")


with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as parent:
    whole = new_folder(parent)
    first = run(whole)
    check(first.returncode == 0, first.stderr)
    model = (whole / "model.safetensors").read_bytes()
    all_calls, all_writes = count(parent)
    kill_at_steps(parent, model)
    kill_at_calls(parent, model, all_calls)
    fail_at_calls(parent, model, all_calls, all_writes)
print(f"{passed} checks passed; a run makes {all_calls} calls, {all_writes} of them writes")

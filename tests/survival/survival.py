#!/usr/bin/env python3
"""Kills trainings and fills their disk: survival.py SURVIVOR TAPER FAULTS KILLS

Whatever happens, the run that goes on must end with the bytes of one that was never cut.
"""

import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

survivor, command, faults, kills = *sys.argv[1:4], int(sys.argv[4])
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
        for how in ("kill", "power"):
            folder = new_folder(parent)
            killed = run(folder, fault=f"{how}:{call}")
            check(killed.returncode == -signal.SIGKILL, f"{how} at {call}: {killed.returncode}")
            kept = list((folder / "checkpoints").glob("*.json"))
            check(kept, f"{how} at {call}: no checkpoint is left")
            finish(folder, expected, f"{how} at call {call}")


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
        check("No space left on device" in outcome.stderr, outcome.stderr)
        left = [path.name for path in folder.rglob(".taper-*")]
        check(not left, f"disk full from write {write}: left {left}")
        finish(folder, expected, f"disk full from write {write}")


def idx(sizes, data):
    return struct.pack(f">4B{len(sizes)}I", 0, 0, 8, len(sizes), *sizes) + data


def put_images(folder):
    """Tiny files in the format of MNIST."""
    for part, size in (("train", 60), ("t10k", 20)):
        pixels = b"".join(bytes([20 * (i % 10)]) * 784 for i in range(size))
        labels = bytes(i % 10 for i in range(size))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx([size, 28, 28], pixels))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx([size], labels))


def train(folder, data, fault=None, options=("--epochs", "2", "--resume")):
    """The command; without a PATH, so that it draws no pictures."""
    environment = {"TAPER_THREADS": "1", "PATH": ""}
    if fault:
        environment.update(LD_PRELOAD=faults, TAPER_FAULT=fault)
    return subprocess.run([command, "train", "mnist", "--model", "logistic",
                           "--checkpoint-seconds", "1000", "--data-dir", data, "--out", folder,
                           *options], env=environment, capture_output=True, text=True)


def kill_the_command(parent):
    """At every write, fsync and rename of a whole run of the command, its last files included."""
    data = new_folder(parent)
    put_images(data)
    whole = new_folder(parent) / "run"
    first = train(whole, data, "count")
    check(first.returncode == 0, first.stderr)
    calls = int(re.search(r"(\d+) calls", first.stdout)[1])
    for call in range(1, calls + 1):
        for how in ("kill", "power"):
            folder = new_folder(parent) / "run"
            killed = train(folder, data, f"{how}:{call}")
            check(killed.returncode == -signal.SIGKILL, f"{how} at call {call}: {killed.stderr}")
            last = train(folder, data)
            check(last.returncode == 0, f"command, {how} at call {call}: {last.stderr}")
            for name in ("model.safetensors", "model.json"):
                check((folder / name).read_bytes() == (whole / name).read_bytes(),
                      f"command, {how} at call {call}: {name}")
            check(sorted(path.name for path in folder.iterdir()) ==
                  sorted(path.name for path in whole.iterdir()), f"command, {how} at {call}: files")


def copy_of(parent, run_folder):
    return Path(shutil.copytree(run_folder, new_folder(parent) / "run"))


def change_a_run(parent):
    """A finished run is extended, or replaced, and killed at every call: then the same command ends
    as if nothing had happened, and a run that is replaced is there until the new one has saved."""
    data = new_folder(parent)
    put_images(data)
    first = new_folder(parent) / "run"
    check(train(first, data).returncode == 0, "the first run")
    old = (first / "model.safetensors").read_bytes()
    resume = ("--epochs", "3", "--resume")
    replace = ("--epochs", "2", "--seed", "5", "--overwrite")
    for options in (resume, replace):
        whole = copy_of(parent, first)
        counted = train(whole, data, "count", options)
        check(counted.returncode == 0, counted.stderr)
        calls = int(re.search(r"(\d+) calls", counted.stdout)[1])
        new = (whole / "model.safetensors").read_bytes()
        check(new != old, "the run did not change")
        for call in range(1, calls + 1):
            for how in ("kill", "power"):
                what = f"{options}, {how} at call {call}"
                folder = copy_of(parent, first)
                killed = train(folder, data, f"{how}:{call}", options)
                check(killed.returncode == -signal.SIGKILL, f"{what}: {killed.stderr}")
                if options is replace:
                    last = subprocess.run([command, "train", "--resume", "--out", folder,
                                           "--data-dir", data],
                                          env={"TAPER_THREADS": "1", "PATH": ""},
                                          capture_output=True, text=True)
                    check(last.returncode == 0, f"{what}: {last.stderr}")
                    model = (folder / "model.safetensors").read_bytes()
                    check(model in (old, new), f"{what}: other weights")
                last = train(folder, data, options=options)
                check(last.returncode == 0, f"{what}: {last.stderr}")
                check((folder / "model.safetensors").read_bytes() == new, f"{what}: other weights")
                check(sorted(path.name for path in folder.iterdir()) ==
                      sorted(path.name for path in whole.iterdir()), f"{what}: files")


with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as parent:
    whole = new_folder(parent)
    first = run(whole)
    check(first.returncode == 0, first.stderr)
    model = (whole / "model.safetensors").read_bytes()
    all_calls, all_writes = count(parent)
    kill_at_steps(parent, model)
    kill_at_calls(parent, model, all_calls)
    fail_at_calls(parent, model, all_calls, all_writes)
    kill_the_command(parent)
    change_a_run(parent)
print(f"{passed} checks passed; a run makes {all_calls} calls, {all_writes} of them writes")

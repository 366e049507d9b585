#!/usr/bin/env python3
"""Runs Taper on emulated processors: other_cpus.py TAPER_COMMAND SMALL_OP

On Haswell (AVX2, no AVX-512) everything must work and give what it gives here; on Nehalem (no AVX)
what needs no kernel must work and the rest end with an error that names what the processor lacks.
"""

import shutil
import subprocess
import sys

from source_files import finish

EMULATOR = shutil.which("qemu-x86_64")


def run(*command, cpu=None):
    """(exit code, standard output, standard error)"""
    emulator = [EMULATOR, "-cpu", cpu] if cpu else []
    # The emulator warns of features that it does not emulate; they are not used then.
    done = subprocess.run([*emulator, *command], capture_output=True, text=True, timeout=300)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("qemu-x86_64: warn")]
    return done.returncode, done.stdout.strip(), "\n".join(errors)


def numbers(text):
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return None


def check_haswell(taper, small_op):
    version = run(taper, "--version")
    if run(taper, "--version", cpu="Haswell") != version:
        yield "Haswell: `taper --version` differs"
    code, text, errors = run(taper, "devices", cpu="Haswell")
    if code or "x86-64-v3 (AVX2)" not in text:
        yield f"Haswell: `taper devices` gives {code}\n{text}\n{errors}"
    expected, actual = run(small_op), run(small_op, cpu="Haswell")
    here, there = numbers(expected[1]), numbers(actual[1])
    if expected[0] or actual[0] or not here or not there or any(
            abs(a - b) > 1e-3 * max(1, abs(a)) for a, b in zip(here, there, strict=True)):
        yield f"Haswell: the ops give {actual}, here {expected}"


def check_nehalem(taper, small_op):
    code, text, errors = run(taper, "--version", cpu="Nehalem")
    if code or not text.startswith("taper "):
        yield f"Nehalem: `taper --version` gives {code} {text} {errors}"
    for command in ([small_op], [taper, "devices"]):
        code, _, errors = run(*command, cpu="Nehalem")
        if code != 1 or "this CPU lacks AVX2" not in errors:
            yield f"Nehalem: {command} gives {code}, not an error that names AVX2\n{errors}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if EMULATOR is None:
        print("skipped: there is no qemu-x86_64 (Debian package qemu-user)")
        return
    finish([*check_haswell(*sys.argv[1:]), *check_nehalem(*sys.argv[1:])], "other processors")


main()

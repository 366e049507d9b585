#!/usr/bin/env python3
"""Checks the objects compiled once per instruction set: weak_symbols.py BUILD_DIR

The linker keeps one copy of a weak symbol, whichever comes first: if an AVX-512 object defined one
that an AVX2 object has too, an AVX2 machine could get AVX-512 code. So every weak symbol must carry
its set's namespace in its name: taper's (v3, v4), Highway's (N_AVX2, N_AVX3) or that of Eigen
(Eigen_v3, Eigen_v4).
"""

import re
import subprocess
import sys
from pathlib import Path

from source_files import finish

OWN = {"v3": re.compile(r"\b(Eigen_)?v3::|\bN_AVX2\b"),
       "v4": re.compile(r"\b(Eigen_)?v4::|\bN_AVX3\w*\b")}
# GCC's pointer to the unwinder's function, which sanitized code refers to: data, the same for all.
SHARED = {"DW.ref.__gxx_personality_v0"}
LINE = re.compile(r"[0-9a-f]+ ([WwVvu]) (.*)\Z")


def weak_symbols(objects):
    """(object, demangled name) of each weak or unique definition."""
    listing = subprocess.run(["nm", "-C", "--defined-only", "-A", *objects], check=True,
                             capture_output=True, text=True).stdout
    for line in listing.splitlines():
        # nm -A writes `file:address type name`.
        name, _, rest = line.partition(".o:")
        match = LINE.match(rest.strip())
        if match:
            yield name + ".o", match[2]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = Path(sys.argv[1])
    problems, checked = [], 0
    for level, own in OWN.items():
        objects = sorted((build / f"CMakeFiles/taper_{level}.dir").rglob("*.o"))
        if not objects:
            problems.append(f"{build}: taper_{level} has no objects; build it first")
            continue
        for path, name in weak_symbols(objects):
            checked += 1
            if name not in SHARED and not own.search(name):
                problems.append(f"{Path(path).relative_to(build)}: {name}")
    finish(problems, f"weak symbols ({checked})")


main()

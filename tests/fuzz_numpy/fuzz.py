#!/usr/bin/env python3
"""Random programs in Taper and NumPy: fuzz.py INTERPRETER [--seed S] [--count N] [--only K]

Program K of seed S is the same wherever it is made. Every fourth is smooth, and its gradients are
compared with differences; every eighth has steps that NumPy refuses. The interpreter (main.cpp)
reads a program a line, runs it eagerly and, where that is possible, captured and replayed, and
prints the shortest prefix that goes wrong.
"""

import argparse
import json
import random
import subprocess
import sys
import warnings

import numpy as np

import numeric
import structural
import wrong
from programs import Refused, new_program

STEPS = numeric.STEPS | structural.STEPS
SMOOTH_EVERY = 4
WRONG_EVERY = 8


def make_program(seed, number):
    random.seed(f"{seed}:{number}")
    program = new_program(smooth=number % SMOOTH_EVERY == 0)
    wanted = random.randint(2, 9)
    steps = STEPS | wrong.STEPS if number % WRONG_EVERY == 1 else STEPS
    kinds = random.choices(list(steps), list(steps.values()), k=12 * wanted)
    for kind in kinds:  # most refuse what there is, so many are tried
        try:
            kind(program)
        except Refused:
            continue
        if len(program.steps) >= wanted:
            break
    return program.json() | {"name": f"--seed {seed} --only {number}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interpreter", help="the program fuzz_numpy; `-` prints the programs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--only", type=int, help="this one program")
    options = parser.parse_args()
    numbers = range(options.count) if options.only is None else [options.only]
    np.seterr(all="ignore")
    warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN in both
    lines = (json.dumps(make_program(options.seed, number), separators=(",", ":"))
             for number in numbers)
    if options.interpreter == "-":
        return print(*lines, sep="\n")
    process = subprocess.Popen([options.interpreter], stdin=subprocess.PIPE, text=True)
    try:
        for line in lines:
            process.stdin.write(line + "\n")
        process.stdin.close()
    except BrokenPipeError:  # it gave up, and has said why
        pass
    sys.exit(process.wait())


main()

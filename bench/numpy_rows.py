#!/usr/bin/env python3
"""Times the rows that NumPy has, too, on one thread, beside NumPy and in turns with it.

  bench/numpy_rows.py [--build build/release] [--only sum,max] [--limit 1.2]

The cases are those of `taper bench ops --list`: every row by each of its dtypes, for matrices that
are contiguous, transposed and strided, along each axis. A ratio above 1 means that NumPy is faster.
A case above the limit is measured again in three more turns, of which the least ratio counts, since
a neighbour that wakes up makes any call slow. Those that stay above it are listed first and make
the exit code 1, but for exceptions with a reason.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np  # noqa: E402

DTYPES = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "i8": np.int8, "i16": np.int16,
          "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32,
          "u64": np.uint64, "c64": np.complex64, "c128": np.complex128, "bool": np.bool_}

# Rows that NumPy calls by another name, or whose attributes it takes in another form. A row that
# does not stand here is np.NAME(operands..., attributes...).
FUNCTIONS = {
    "astype": lambda x, dtype: x.astype(DTYPES[dtype]),
    "clip": lambda x, low=None, high=None: np.clip(x, low, high),
    "concat": lambda *xs, axis: np.concatenate(xs, axis),
    "contiguous": lambda x: x.copy(order="C"),
    "flatten": None,  # a view, of two axes that NumPy cannot name
    "full_like": lambda x, value, dtype: np.full_like(x, value, DTYPES[dtype]),
    "linear": lambda x, weight, bias: x @ weight.T + bias,
    "ones_like": lambda x, dtype: np.ones_like(x, DTYPES[dtype]),
    "pad": lambda x, widths, value: np.pad(
        x, [tuple(widths[i:i + 2]) for i in range(0, len(widths), 2)], constant_values=value),
    "reciprocal": lambda x: 1 / x,  # NumPy's own gives integers of integers
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "split": lambda x, split_size, sizes, axis: np.array_split(
        x, range(split_size, x.shape[axis], split_size), axis),
    "stack": lambda *xs, axis: np.stack(xs, axis),
    "zeros_like": lambda x, dtype: np.zeros_like(x, DTYPES[dtype]),
}

# Cases that are slower than the limit, by a pattern of their label, and why.
EXCEPTIONS = {
    r"(exp|expm1|log|sin|cos|sinh|tanh|pow) f(16|32|64) ":
        "NumPy calls the kernels of SVML, which it has for AVX-512 only",
    r"(exp|expm1|log|sin|cos|sinh|tanh|sqrt) [iu]16 ":
        "16-bit integers become f32 in a pass of its own",
    r"(var|std) f64 ": "one pass more, so that equal elements give exactly 0",
    r"astype f(32|64) \w+ dtype=[iu](8|16)":
        "saturates, and NaN gives 0, where NumPy's result is undefined",
    r"(sum|mean) c\d+ strided axis=\[0\]": "one part of the numbers after the other",
    r"divide c\d+ ": "divides where NumPy multiplies by a reciprocal, which may overflow",
    r"(matmul|linear) f64 ": "Eigen against OpenBLAS's kernel for AVX-512",
    r"where ([fiuc]64|c128) ": "reads both operands, NumPy the chosen one: bound by memory",
    r"astype \w+ \w+ dtype=c64": "real numbers are converted, then put beside zeros",
    r"((max|min) ([fiu]64|f32) strided axis=\[0\]|(frexp|logical_\w+|remainder) [fiu]64 strided"
    r"|(add|subtract|multiply|divide|equal|not_equal) c128 strided)":
        "every second column is packed first",
    r"arg(max|min) f32 \w+ axis=": "reads a row for its extreme and again for the place",
}


def array(generator, operand):
    shape = list(operand["shape"])
    layout = operand["layout"] if len(shape) == 2 else "contiguous"
    if layout == "transposed":
        shape.reverse()
    if layout == "strided":
        shape[1] *= 2
    values = generator.uniform(operand["low"], operand["high"], shape)
    values = values.astype(DTYPES[operand["dtype"]])
    return values.T if layout == "transposed" else values[:, ::2] if layout == "strided" else values


def numpy_call(call, arrays):
    """A function without arguments that does in NumPy what the row does, or None."""
    name = call["op"]
    function = FUNCTIONS.get(name, getattr(np, name, None))
    if not callable(function):
        return None
    attrs = {key: tuple(value) if isinstance(value, list) else value
             for key, value in call["attrs"].items()}
    if attrs.get("dtype", "f32") not in DTYPES:
        return None
    return lambda: function(*arrays, **attrs)


def seconds(function):
    """The least of the calls within 20 ms, as `taper bench ops` takes it; of one that is slow."""
    least, total, calls = 1e9, 0, 0
    while (calls < 2 and total < 0.5) or (total < 0.02 and calls < 200):
        start = time.perf_counter()
        function()
        last = time.perf_counter() - start
        least, total, calls = min(least, last), total + last, calls + 1
    return least


def label(call):
    matrices = [each for each in call["inputs"] if each and len(each["shape"]) == 2]
    shown = next((each for each in matrices if each["dtype"] != "bool"), matrices[0])
    attrs = (f"{key}={value}" for key, value in call["attrs"].items() if key != "keepdims")
    return " ".join([call["op"], shown["dtype"], shown["layout"], *attrs])


class Taper:
    """`taper bench ops`, which answers calls one by one."""

    def __init__(self, command):
        self.command = command
        self.server = subprocess.Popen([command, "bench", "ops", "--calls"], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def calls(self, names):
        listing = subprocess.run([self.command, "bench", "ops", "--list", *names], check=True,
                                 stdout=subprocess.PIPE, text=True)
        return [json.loads(line) for line in listing.stdout.splitlines()]

    def seconds(self, call):
        self.server.stdin.write(json.dumps(call) + "\n")
        self.server.stdin.flush()
        answer = self.server.stdout.readline()
        if not answer or answer.startswith("refused"):
            raise ValueError(f"{label(call)}: {answer or 'the command died'}")
        return float(answer)


def measure(taper, call, function, limit):
    """The least ratio of the medians of turns, with both medians; None if NumPy refuses."""
    found = None
    for turn in range(4):
        ours, theirs = [], []
        for _ in range(1 if turn == 0 else 3):
            ours.append(taper.seconds(call))
            try:
                theirs.append(seconds(function))
            except (TypeError, ValueError, np.exceptions.DTypePromotionError):
                return None
        medians = statistics.median(ours), statistics.median(theirs)
        ratio = medians[0] / medians[1]
        if found is None or ratio < found[0]:
            found = ratio, *medians
        if found[0] <= limit:
            break
    return found


def reason_for(text):
    return next((reason for pattern, reason in EXCEPTIONS.items() if re.match(pattern, text)), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", type=Path)
    parser.add_argument("--only", default="", help="rows, with commas between them")
    parser.add_argument("--limit", default=1.2, type=float)
    args = parser.parse_args()
    taper = Taper(args.build / "taper")
    generator = np.random.default_rng(0)
    np.seterr(all="ignore")
    found, without, last_inputs, arrays = [], 0, None, []
    for call in taper.calls(filter(None, args.only.split(","))):
        inputs = [each for each in call["inputs"] if each]
        is_known = all(each["dtype"] in DTYPES for each in inputs)
        if is_known and inputs != last_inputs:
            last_inputs, arrays = inputs, [array(generator, each) for each in inputs]
        function = numpy_call(call, arrays) if is_known else None
        result = measure(taper, call, function, args.limit) if function else None
        if result is None:
            without += 1
        else:
            found.append((*result, label(call)))
    report(found, without, args.limit)


def report(found, without, limit):
    slow = 0
    for ratio, ours, theirs, text in sorted(found, reverse=True):
        reason = reason_for(text) if ratio > limit else None
        slow += ratio > limit and reason is None
        print(f"{ratio:7.2f}  {ours * 1e6:9.1f} us  NumPy {theirs * 1e6:9.1f} us  {text}"
              + (f"  ({reason})" if reason else ""))
    print(f"{len(found)} cases, {slow} slower than {limit} of NumPy without a reason; NumPy does "
          f"not have {without} others")
    sys.exit(slow > 0)


if __name__ == "__main__":
    main()

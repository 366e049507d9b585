#!/usr/bin/env python3
"""Times the rows that NumPy has, too, on one thread, beside NumPy and in turns with it.

  bench/numpy_rows.py [--build build/release] [--only sum,max] [--rounds 3] [--limit 1.2]

Every row by each of its dtypes, for matrices that are contiguous, transposed and strided, along
each axis. A ratio above 1 means that NumPy is faster; those above the limit are listed first and
make the exit code 1, but for exceptions with a reason.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np  # noqa: E402

N = 1000
DTYPES = {"f32": np.float32, "f64": np.float64, "i8": np.int8, "i16": np.int16, "i32": np.int32,
          "i64": np.int64, "u8": np.uint8, "bool": np.bool_}
LAYOUTS = ("contiguous", "transposed", "strided")

# Rows that are slower than the limit for a reason.
EXCEPTIONS = {
    "any": "NumPy stops at the first one, which is near",
    "all": "NumPy stops at the first one, which is near",
}


def spec(dtype, layout="contiguous", shape=(N, N), low=-4, high=4):
    if dtype in ("u8", "bool"):
        low, high = 0, (200 if dtype == "u8" else 2)
    return {"shape": list(shape), "dtype": dtype, "layout": layout, "low": low, "high": high}


def array(generator, description):
    shape = list(description["shape"])
    layout = description["layout"]
    if layout == "transposed":
        shape.reverse()
    if layout == "strided":
        shape[1] *= 2
    values = generator.uniform(description["low"], description["high"], shape)
    values = values.astype(DTYPES[description["dtype"]])
    return values.T if layout == "transposed" else values[:, ::2] if layout == "strided" else values


def numpy_function(row):
    """What NumPy has for a row, by its name; it takes arrays and attributes."""
    name = row["name"]
    if name == "astype":
        return lambda attrs, x: x.astype(DTYPES[attrs["dtype"]])
    if name == "concat":
        return lambda attrs, *xs: np.concatenate(xs, attrs["axis"])
    if name == "take":
        return lambda attrs, x, i: x.take(i, attrs["axis"])
    if name == "take_along_axis":
        return lambda attrs, x, i: np.take_along_axis(x, i, attrs["axis"])
    if name == "contiguous":
        return lambda attrs, x: x.copy(order="C")
    if name == "clip":
        return lambda attrs, x: np.clip(x, attrs["low"], attrs["high"])
    function = getattr(np, name, None)
    if not callable(function) or name in ("pad", "reshape", "index", "permute_dims", "slice",
                                          "broadcast_to"):
        return None
    if any(a["name"] == "keepdims" for a in row["attributes"]):
        def reduce(attrs, x):
            axis = attrs["axis"]
            return function(x, axis=tuple(axis) if isinstance(axis, list) else axis)
        return reduce
    return lambda attrs, *xs: function(*xs)


def attributes(row):
    """The values of attributes that are tried."""
    names = [a["name"] for a in row["attributes"]]
    if "keepdims" in names:
        kind = next(a["kind"] for a in row["attributes"] if a["name"] == "axis")
        listed = kind.startswith("list")
        return [{}] + [{"axis": [axis] if listed else axis} for axis in (0, 1)]
    if row["name"] == "astype":
        return [{"dtype": dtype} for dtype in DTYPES]
    if row["name"] == "clip":
        return [{"low": -1.0, "high": 1.0}]
    return [{"axis": axis} for axis in (0, 1)] if names == ["axis"] or "axis" in names else [{}]


def inputs_of(row, dtype, layout, attrs):
    positive = row["name"] in ("log", "log1p", "sqrt", "rsqrt", "pow", "divide", "remainder")
    x = spec(dtype, layout, low=1 if positive else -4)
    if row["name"] == "take":
        return [x, spec("i64", shape=(N,), low=0, high=N - 1)]
    if row["name"] == "take_along_axis":
        return [x, spec("i64", low=0, high=N - 1)]
    if row["name"] == "where":
        return [spec("bool", layout), x, x]
    if row["operands"] == ["xs*"]:
        return [x, x]
    return [x] * len(row["operands"])


def cases(rows, only):
    for row in rows:
        function = numpy_function(row)
        if function is None or (only and row["name"] not in only):
            continue
        if row["name"].endswith(("_grad", "_update")):
            continue
        for dtype in DTYPES:
            for layout in LAYOUTS:
                for attrs in attributes(row):
                    if attrs.get("dtype") == dtype:
                        continue
                    call = {"op": row["name"], "attrs": attrs,
                            "inputs": inputs_of(row, dtype, layout, attrs)}
                    yield call, function


def least_seconds(function, attrs, arrays):
    full = {"axis": None} | attrs
    least, total, calls = 1e9, 0, 0
    while calls < 2 or (total < 0.02 and calls < 200):
        start = time.perf_counter()
        function(full, *arrays)
        seconds = time.perf_counter() - start
        least, total, calls = min(least, seconds), total + seconds, calls + 1
    return least


def label(call):
    first = call["inputs"][0]
    attrs = " ".join(f"{k}={v}" for k, v in call["attrs"].items())
    kind = call["inputs"][-1] if call["op"] == "where" else first
    return f"{call['op']} {kind['dtype']} {kind['layout']} {attrs}".strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--limit", default=1.2, type=float)
    args = parser.parse_args()
    listing = subprocess.run([args.build / "taper", "ops", "--json"], check=True,
                             capture_output=True, text=True)
    server = subprocess.Popen([args.build / "bench/rows"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    generator = np.random.default_rng(0)
    np.seterr(all="ignore")
    found, refused = [], 0
    only = set(filter(None, args.only.split(",")))
    for call, function in cases(json.loads(listing.stdout), only):
        arrays = [array(generator, each) for each in call["inputs"]]
        ours = theirs = 1e9
        try:
            for _ in range(args.rounds):
                server.stdin.write(json.dumps(call) + "\n")
                server.stdin.flush()
                answer = server.stdout.readline()
                if answer.startswith("refused"):
                    raise TypeError(answer)
                ours = min(ours, float(answer))
                theirs = min(theirs, least_seconds(function, call["attrs"], arrays))
        except (TypeError, ValueError, np.exceptions.DTypePromotionError):
            refused += 1  # one of the two does not take this dtype
            continue
        found.append((ours / theirs, ours, theirs, label(call)))
    found.sort(reverse=True)
    slow = 0
    for ratio, ours, theirs, name in found:
        reason = EXCEPTIONS.get(name.split()[0]) if ratio > args.limit else None
        slow += ratio > args.limit and reason is None
        print(f"{ratio:7.2f}  {ours * 1e6:9.1f} us  NumPy {theirs * 1e6:9.1f} us  {name}"
              + (f"  ({reason})" if reason else ""))
    print(f"{len(found)} cases, {slow} slower than {args.limit} of NumPy, {refused} not taken")
    sys.exit(slow > 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes index_cases.json beside this file: random indices read and assigned by NumPy.

index_cases_test.cpp reads it. A case is a shape, the items of an index, what it reads of an arange
of that shape, and the arange after an assignment of values counted down from -1. Other cases, for a
run by hand: `--count N --seed S --out FILE`.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

DTYPES = {"i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8}
KINDS = "slice", "integer", "indices", "mask", "newaxis", "bool"


def random_slice(size):
    def bound():
        return random.choice([None, random.randint(-size - 2, size + 2)])
    return slice(bound(), bound(), random.choice([None, 1, 1, 2, 3, -1, -1, -2, -3]))


def random_indices(size, common):
    """Indices whose shape broadcasts to `common`."""
    shape = [random.choice([1, n]) if random.random() < 0.3 else n for n in common]
    shape = shape[random.randint(0, len(shape)) if random.random() < 0.3 else 0:]
    name = random.choice(list(DTYPES))
    low = 0 if name == "u8" else -size
    values = np.array([random.randint(low, size - 1) for _ in range(int(np.prod(shape)))])
    return values.reshape(shape).astype(DTYPES[name])


def random_mask(sizes, count):
    """A mask with `count` true elements, or as many as it has places if that is less."""
    total = int(np.prod(sizes))
    mask = np.zeros(total, bool)
    mask[random.sample(range(total), min(total, count))] = True
    return mask.reshape(sizes)


def random_index(shape):
    """Items for the axes from left to right; a mask takes several of them."""
    common = [random.choice([0, 1, 2, 3, 3, 4]) for _ in range(random.choice([0, 1, 1, 2]))]
    picked = common[-1] if common else 1
    weights = random.choice([(4, 1, 1, 1, 0, 0), (2, 3, 3, 1, 1, 0), (2, 2, 2, 3, 1, 1)])
    items, axis, used_ellipsis = [], 0, False
    while axis < len(shape) and random.random() < 0.9:
        kind = random.choices(KINDS, weights)[0]
        size = shape[axis]
        if not used_ellipsis and random.random() < 0.12:
            items.append(Ellipsis)
            used_ellipsis = True
            axis = random.randint(axis, len(shape))
        elif kind == "newaxis":
            items.append(None)
        elif kind == "bool":
            items.append(np.array(random.random() < 0.8))
        elif kind == "mask":
            rank = random.randint(1, min(2, len(shape) - axis))
            items.append(random_mask(shape[axis:axis + rank], picked))
            axis += rank
        elif kind == "slice" or size == 0:
            items.append(random_slice(size))
            axis += 1
        elif kind == "integer":
            items.append(random.randint(-size, size - 1))
            axis += 1
        else:
            items.append(random_indices(size, common))
            axis += 1
    return items


def values_for(shape):
    """Values that broadcast to a selection: all of it, axes of one, fewer axes, or a number."""
    own = [1 if random.random() < 0.25 else n for n in shape]
    own = own[random.randint(0, len(own)) if random.random() < 0.3 else 0:]
    if random.random() < 0.1 and len(own) < 7:
        own = [1, *own]
    return -1 - np.arange(int(np.prod(own))).reshape(own)


def described(item):
    if item is None:
        return "newaxis"
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        return {"slice": [item.start, item.stop, item.step]}
    if isinstance(item, np.ndarray):
        dtype = {np.dtype(v): k for k, v in DTYPES.items()}.get(item.dtype, "bool")
        return {"dtype": dtype, "shape": list(item.shape), "values": item.ravel().tolist()}
    return item


def array(x):
    return {"shape": list(x.shape), "values": x.ravel().tolist()}


def random_case():
    """One case, or None if NumPy refuses it: masks that do not broadcast, axes of one too many."""
    shape = [random.choice([0, 1, 2, 3, 4, 5]) if random.random() < 0.1 else random.randint(1, 4)
             for _ in range(random.randint(1, 4))]
    x = np.arange(int(np.prod(shape))).reshape(shape)
    items = random_index(shape)
    try:
        read = x[tuple(items)]
        values = values_for(read.shape)
        x[tuple(items)] = values
    except (IndexError, TypeError, ValueError):
        return None
    if read.ndim > 8 or read.size > 200:
        return None
    before = np.arange(x.size).reshape(shape)
    return {"shape": shape, "items": [described(item) for item in items],
            "read": array(before[tuple(items)]), "values": array(values),
            "assigned": x.ravel().tolist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "index_cases.json")
    options = parser.parse_args()
    random.seed(options.seed)
    cases = []
    while len(cases) < options.count:
        case = random_case()
        if case is not None:
            cases.append(case)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    options.out.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

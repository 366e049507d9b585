"""A random program under construction: its leaves, its steps and what NumPy makes of them.

Every value carries how far Taper's may lie from NumPy's. 0 means the same bits: such values may go
through what jumps (comparisons, rounding, casts to integers); others may not.
"""

import math
import random
from dataclasses import dataclass

import numpy as np

NUMPY = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "i8": np.int8, "i16": np.int16,
         "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32,
         "u64": np.uint64, "bool": np.bool_}
NAMES = {np.dtype(numpy): name for name, numpy in NUMPY.items()}
FLOATS = "f16", "f32", "f64"
UNSIGNED = "u8", "u16", "u32", "u64"
LEAF_DTYPES = {"f32": 36, "f64": 14, "f16": 5, "i32": 10, "i64": 12, "i8": 5, "i16": 3, "u8": 5,
               "u16": 3, "u32": 3, "u64": 4, "bool": 10}
MOST_ELEMENTS = 400
MOST_AXES = 6


class Refused(Exception):
    """The step cannot be made here; another one is tried."""


def require(condition):
    if not condition:
        raise Refused


@dataclass
class Variable:
    slot: int
    value: np.ndarray
    error: float
    is_leaf: bool = False

    @property
    def dtype(self):
        return NAMES[self.value.dtype]

    @property
    def is_float(self):
        return self.value.dtype.kind == "f"

    @property
    def largest(self):
        return float(np.abs(self.value).max()) if self.value.size else 0.0


def epsilon(dtype):
    return float(np.finfo(NUMPY[dtype]).eps)


def listed(value):
    """The elements as JSON has them: numbers, and words for what is not finite."""
    values = value.ravel().tolist()
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        return [x if math.isfinite(x) else str(x) for x in values]
    return values


def described(value):
    return {"dtype": NAMES[value.dtype], "shape": list(value.shape), "values": listed(value)}


class Program:
    """`smooth` programs have f64 leaves away from all kinks, so that differences give gradients."""

    def __init__(self, smooth):
        self.smooth = smooth
        self.capturable = True
        self.leaves = []
        self.steps = []
        self.live = []
        self.slots = 0

    def add_leaf(self, value):
        self.leaves.append(described(value) | {"error": 0})
        self.live.append(Variable(self.slots, value, 0.0, is_leaf=True))
        self.slots += 1

    def pick(self, accept=lambda variable: True):
        """A live variable, the newer the likelier."""
        fit = [variable for variable in self.live if accept(variable)]
        require(fit)
        return fit[-1] if random.random() < 0.4 else random.choice(fit)

    def emit(self, op, operands, value, error=0.0, /, target=None, **attributes):
        """Adds a step whose result is a new variable, or the new value of `target`."""
        value = np.asarray(value)
        require(value.size <= MOST_ELEMENTS and value.ndim <= MOST_AXES)
        if value.dtype.kind == "f":
            self.check_range(value, error)
        slot = self.slots if target is None else target.slot
        step = {"op": op, "in": [operand(each) for each in operands], "out": slot}
        step |= attributes
        self.steps.append(step | {"want": described(value) | {"error": error}})
        made = Variable(slot, value, error)
        if target is None:
            self.slots += 1
        else:
            self.live.remove(target)
        self.live.append(made)

    def emit_refused(self, op, operands, /, target=None, **attributes):
        """Adds a step that must throw. What only values tell would throw at replays alone."""
        self.capturable = False
        step = {"op": op, "in": [operand(each) for each in operands], "refused": True,
                "out": self.slots if target is None else target.slot}
        self.steps.append(step | attributes)

    def check_range(self, value, error):
        if self.smooth:  # large values have slopes that change faster than differences show
            require(value.dtype == np.float64 and np.isfinite(value).all())
            require(value.size == 0 or np.abs(value).max() < 50)
        if value.size == 0 or (error == 0 and not np.isfinite(value).all()):
            require(not math.isnan(error))
            return
        require(np.isfinite(value).all() and math.isfinite(error))
        largest = np.abs(value).max()
        require(largest <= (500 if value.dtype == np.float16 else 1e5))
        require(error <= 0.02 * max(1.0, largest))

    def drop(self, variable):
        """Its handle goes away, so that a buffer may have one owner only."""
        require(len(self.live) > 1)
        self.live.remove(variable)
        self.steps.append({"op": "drop", "in": [], "out": variable.slot})

    def json(self):
        return {"leaves": self.leaves, "steps": self.steps, "capture": self.capturable,
                "smooth": self.smooth}


def operand(each):
    return {"v": each.slot} if isinstance(each, Variable) else each


def random_shape():
    if random.random() < 0.12:  # long enough for whole vectors, tiles and their rests
        shape = [random.choice([7, 16, 17, 33, 40, 67])]
        shape.insert(random.randint(0, 1), random.randint(1, 5))
        return shape
    rank = random.choices(range(5), (1, 3, 5, 4, 2))[0]
    return [0 if random.random() < 0.04 else random.randint(1, 4) for _ in range(rank)]


def related_shape(shape):
    """A shape that often broadcasts or multiplies with `shape`."""
    if not shape or random.random() < 0.3:
        return random_shape()
    shape = [1 if random.random() < 0.2 else size for size in shape]
    if random.random() < 0.2:
        random.shuffle(shape)
    return shape[random.randint(0, len(shape) - 1) if random.random() < 0.3 else 0:]


def random_values(shape, dtype, smooth):
    count = math.prod(shape)
    if smooth:  # no two alike, none near 0
        values = [random.uniform(0.2, 2.5) * random.choice((-1, 1)) for _ in range(count)]
    elif dtype == "bool":
        values = [random.random() < 0.5 for _ in range(count)]
    elif dtype not in FLOATS:
        low = 0 if dtype in UNSIGNED else -9
        values = [random.randint(low, 9) for _ in range(count)]
        if count and random.random() < 0.1:
            ends = np.iinfo(NUMPY[dtype])
            values[random.randrange(count)] = random.choice((int(ends.min), int(ends.max)))
    elif random.random() < 0.6:  # eighths: sums and products of them are exact
        values = [random.randint(-32, 32) / 8 for _ in range(count)]
    else:
        values = [random.uniform(-3, 3) for _ in range(count)]
    if dtype in FLOATS and not smooth and count and random.random() < 0.05:
        values[random.randrange(count)] = random.choice((math.nan, math.inf, -math.inf))
    return np.array(values, NUMPY[dtype]).reshape(shape)


def new_program(smooth):
    program = Program(smooth)
    shape = random_shape()
    for _ in range(random.randint(1, 4)):
        dtype = "f64" if smooth else random.choices(*zip(*LEAF_DTYPES.items()))[0]
        program.add_leaf(random_values(shape, dtype, smooth))
        shape = related_shape(shape)
    return program

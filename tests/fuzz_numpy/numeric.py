"""Steps that compute: pointwise ops, reductions, products, casts."""

import math
import operator
import random

import numpy as np

import rules
from programs import FLOATS, NUMPY, UNSIGNED, Variable, epsilon, require

KINK = 0.02  # how near smooth programs may come to where a derivative jumps
GRAIN = 64   # multiples of 1 / GRAIN add up exactly while they are few

erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# What NumPy computes in f64, and a bound of the slope between the least and the largest operand.
FUNCTIONS = {
    "exp": (np.exp, lambda low, high: math.exp(min(high, 700))),
    "expm1": (np.expm1, lambda low, high: math.exp(min(high, 700))),
    "log": (np.log, lambda low, high: 1 / low if low > 0 else math.inf),
    "log1p": (np.log1p, lambda low, high: 1 / (1 + low) if low > -1 else math.inf),
    "sqrt": (np.sqrt, lambda low, high: 0.5 / math.sqrt(low) if low > 0 else math.inf),
    "rsqrt": (lambda x: 1 / np.sqrt(x), lambda low, high: low**-1.5 if low > 0 else math.inf),
    "sin": (np.sin, lambda low, high: 1.0),
    "cos": (np.cos, lambda low, high: 1.0),
    "tanh": (np.tanh, lambda low, high: 1.0),
    "erf": (erf, lambda low, high: 1.2),
    "sigmoid": (sigmoid, lambda low, high: 0.25),
    "softplus": (lambda x: np.logaddexp(0, x), lambda low, high: 1.0),
    "silu": (lambda x: x * sigmoid(x), lambda low, high: 1.2),
    "gelu": (lambda x: x * 0.5 * erfc(-x / math.sqrt(2)), lambda low, high: 1.2),
}
FLOATS_ONLY = "silu", "gelu"
KEEPING = {"negative": np.negative, "abs": np.abs, "relu": lambda x: np.maximum(x, 0)}
ROUNDING = {"floor": np.floor, "round": np.round, "sign": np.sign}
ARITHMETIC = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply,
              "divide": np.true_divide, "maximum": np.maximum, "minimum": np.minimum}
COMPARISONS = {"equal": np.equal, "not_equal": np.not_equal, "less": np.less,
               "less_equal": np.less_equal, "greater": np.greater,
               "greater_equal": np.greater_equal}
LOGIC = {"logical_and": np.logical_and, "logical_or": np.logical_or}
BITS = {"bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor}


def function(program):
    """An elementary function; integers become floats."""
    name = random.choice(list(FUNCTIONS))
    compute, slope_between = FUNCTIONS[name]
    x = program.pick(lambda v: v.value.size and (v.is_float or name not in FLOATS_ONLY))
    operand = rules.floating(x.value)
    low, high = float(operand.min()) - x.error, float(operand.max()) + x.error
    require(math.isfinite(low) and math.isfinite(high) and max(-low, high) < 1e4)
    slope = slope_between(low, high)
    require(slope < 1e3)
    y = compute(operand.astype(np.float64)).astype(operand.dtype)
    steps = 5 + low**2 if name == "gelu" else 5  # its tail magnifies the roundings of NumPy's way
    program.emit(name, [x], y, slope * x.error + rounding(y, steps))


def rounding(value, steps):
    """So many roundings of the largest element, by NumPy and Taper together."""
    limits = np.finfo(value.dtype)
    largest = float(np.abs(value).max()) if value.size else 0.0
    return steps * float(limits.eps) * largest + float(limits.smallest_subnormal)


def keeping(program):
    """What neither rounds nor jumps."""
    name = random.choice(list(KEEPING))
    x = program.pick(lambda v: v.dtype != "bool" and (v.is_float or name != "relu"))
    require(not program.smooth or name == "negative" or away_from_kink(x.value))
    program.emit(name, [x], KEEPING[name](x.value), x.error)


def away_from_kink(value):
    return value.size == 0 or np.abs(value).min() > KINK


def rounded(program):
    require(not program.smooth)
    name = random.choice(list(ROUNDING))
    x = program.pick(lambda v: v.error == 0 and v.dtype != "bool")
    y = ROUNDING[name](x.value).astype(x.value.dtype)
    program.emit(name, [x], y)


def square(program):
    x = program.pick(lambda v: v.dtype != "bool")
    y = np.square(x.value)
    error = 2 * x.largest * x.error + x.error**2 + (rounding(y, 1) if x.error else 0)
    program.emit("square", [x], y, error)


def reciprocal(program):
    x = program.pick(lambda v: v.value.size and np.abs(v.value).min() > 0.05 + v.error)
    operand = rules.floating(x.value)
    y = (1 / operand).astype(operand.dtype)
    least = float(np.abs(operand).min()) - x.error
    program.emit("reciprocal", [x], y, x.error / least**2 + (rounding(y, 1) if x.error else 0))


def random_number(smooth=False):
    if not smooth and random.random() < 0.5:
        return random.randint(-3, 5)
    return random.choice((0.5, 1.5, -2.25, 0.1, 3.0, -0.7))


def random_operands(program):
    """Two variables, or a variable and a number on either side."""
    x1 = program.pick()
    x2 = random_number(program.smooth) if random.random() < 0.25 else program.pick()
    return (x2, x1) if random.random() < 0.3 else (x1, x2)


def largest_of(value):
    return float(np.abs(value).max()) if value.size else 0.0


def error_of_arithmetic(name, a, b, ea, eb, y):
    """The error of y = a op b, whose operands have the errors ea and eb."""
    if ea == 0 and eb == 0:
        return 0.0  # correctly rounded by both
    if name in ("maximum", "minimum"):
        return max(ea, eb)
    if name in ("add", "subtract"):
        return ea + eb + rounding(y, 1)
    if name == "multiply":
        return largest_of(a) * eb + largest_of(b) * ea + ea * eb + rounding(y, 1)
    least = float(np.abs(b).min()) - eb if b.size else 1.0
    require(least > 0.01)
    return (ea + largest_of(y) * eb) / least + rounding(y, 1)


def compute_arithmetic(program, name, x1, x2):
    """The result and its error, by NumPy on the operands that Taper's rules give."""
    require(isinstance(x1, Variable) or isinstance(x2, Variable))
    a, b = rules.promoted(x1, x2, to_float=name == "divide")
    rules.require_numbers(a, b)
    require(broadcasts(a.shape, b.shape))
    if name == "divide":
        require(b.size == 0 or np.abs(b).min() > (0.1 if program.smooth else 0))
    if program.smooth and name in ("maximum", "minimum"):
        require(away_from_kink(a - b))
    y = ARITHMETIC[name](a, b)
    return y, error_of_arithmetic(name, a, b, rules.error_of(x1), rules.error_of(x2), y)


def broadcasts(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b)))


def arithmetic(program):
    name = random.choice(list(ARITHMETIC))
    x1, x2 = random_operands(program)
    program.emit(name, [x1, x2], *compute_arithmetic(program, name, x1, x2))


def remainder(program):
    require(not program.smooth)
    x1, x2 = random_operands(program)
    a, b = rules.promoted(x1, x2)
    rules.require_numbers(a, b)
    require(rules.error_of(x1) == rules.error_of(x2) == 0 and broadcasts(a.shape, b.shape))
    require((b != 0).all() and np.isfinite(a).all() and np.isfinite(b).all())
    program.emit("remainder", [x1, x2], np.remainder(a, b))


def power(program):
    x1 = program.pick(lambda v: v.error == 0 and v.value.size)
    whole = x1.value.dtype.kind in "iu"
    require(whole or (x1.is_float and float(x1.value.min()) > 0.1 and x1.largest < 50))
    x2 = random.choice((0, 1, 2, 3)) if whole else random.choice((2, 0.5, -1.5, 3))
    a, b = rules.promoted(x1, x2, to_float=not whole)
    y = np.power(a, b) if whole else np.power(a.astype(np.float64), b).astype(a.dtype)
    program.emit("pow", [x1, x2], y, 0.0 if whole else rounding(y, 4))


def comparison(program):
    require(not program.smooth)
    name = random.choice(list(COMPARISONS))
    x1, x2 = random_operands(program)
    require(rules.error_of(x1) == rules.error_of(x2) == 0)
    if isinstance(x1, Variable) and isinstance(x2, Variable):
        a, b = rules.promoted(x1, x2)
    else:  # exact for every number beside integers
        a, b = (each.value if isinstance(each, Variable) else each for each in (x1, x2))
    require(broadcasts(np.shape(a), np.shape(b)))
    program.emit(name, [x1, x2], COMPARISONS[name](a, b))


def logic(program):
    require(not program.smooth)
    x1, x2 = (program.pick(lambda v: v.error == 0) for _ in range(2))
    require(broadcasts(x1.value.shape, x2.value.shape))
    if random.random() < 0.3:
        return program.emit("logical_not", [x1], np.logical_not(x1.value))
    name = random.choice(list(LOGIC))
    program.emit(name, [x1, x2], LOGIC[name](x1.value, x2.value))


def bits(program):
    x1, x2 = (program.pick(lambda v: not v.is_float) for _ in range(2))
    if random.random() < 0.3:
        return program.emit("bitwise_invert", [x1], ~x1.value)
    name = random.choice(list(BITS))
    a, b = rules.promoted(x1, x2)
    require(broadcasts(a.shape, b.shape))
    program.emit(name, [x1, x2], BITS[name](a, b))


def where(program):
    condition = program.pick(lambda v: v.dtype == "bool")
    x1, x2 = random_operands(program)
    a, b = rules.promoted(x1, x2)
    require(broadcasts(a.shape, b.shape))
    both = np.broadcast_shapes(a.shape, b.shape)
    require(broadcasts(both, condition.value.shape))
    error = max(rules.error_of(x1), rules.error_of(x2))
    program.emit("where", [condition, x1, x2], np.where(condition.value, a, b), error)


def clip(program):
    x = program.pick(lambda v: v.dtype != "bool")
    low, high = sorted(random.randint(-6, 9) / (2 if x.is_float else 1) for _ in range(2))
    low, high = (bound if x.is_float else int(bound) for bound in (low, high))
    require(x.dtype not in UNSIGNED or low >= 0)
    require(not program.smooth or (away_from_kink(x.value - low) and
                                   away_from_kink(x.value - high)))
    low, high = random.choice(((low, high), (low, None), (None, high)))
    program.emit("clip", [x], np.clip(x.value, low, high), x.error, low=low, high=high)


# ------------------------------------------------------------------------------------ reductions


def random_axes(rank):
    """All axes, one or several, counted from either end."""
    if rank == 0 or random.random() < 0.2:
        return None
    axes = random.sample(range(rank), random.randint(1, rank) if random.random() < 0.4 else 1)
    axes = [axis - rank if random.random() < 0.4 else axis for axis in axes]
    return axes if len(axes) > 1 or random.random() < 0.3 else axes[0]


def as_numpy(axes):
    return tuple(axes) if isinstance(axes, list) else axes


def count_of(value, result):
    """How many elements make one."""
    return value.size / max(1, result.size)


def is_exact_sum(magnitudes, grain=GRAIN):
    """Whether sums of these, each a sum of magnitudes of multiples of 1 / grain, do not round."""
    return magnitudes.size == 0 or float(magnitudes.max()) * grain < 2**23


def is_grained(value):
    scaled = value.astype(np.float64) * GRAIN
    return bool(np.isfinite(scaled).all() and (scaled == np.rint(scaled)).all())


def total(program):
    name = random.choice(("sum", "sum", "mean"))
    x = program.pick(lambda v: v.is_float or name == "sum")
    axes, keepdims = random_axes(x.value.ndim), random.random() < 0.5
    how = {"axis": as_numpy(axes), "keepdims": keepdims}
    dtype = rules.sum_dtype(x.value)
    if not x.is_float:
        y, error = np.sum(x.value, dtype=dtype, **how), 0.0
    else:
        wide = x.value.astype(np.float64)
        y = getattr(np, name)(wide, **how).astype(dtype)
        error = error_of_total(x, np.sum(np.abs(wide), **how), y, name == "mean")
    program.emit(name, [x], y, error, axis=axes, keepdims=keepdims)


def error_of_total(x, magnitudes, y, is_mean):
    if y.size == 0 or x.value.size == 0:
        return 0.0
    count = count_of(x.value, y)
    if x.error == 0 and is_grained(x.value) and is_exact_sum(magnitudes):
        return 0.0 if not is_mean or math.log2(count).is_integer() else rounding(y, 3)
    sums = epsilon(x.dtype) * float(np.max(magnitudes)) * min(count, 64)
    error = count * x.error + sums
    return (error / count if is_mean else error) + rounding(y, 2)


def extreme(program):
    name = random.choice(("max", "min"))
    x = program.pick(lambda v: v.value.size)
    axes, keepdims = random_axes(x.value.ndim), random.random() < 0.5
    y = getattr(np, name)(x.value, axis=as_numpy(axes), keepdims=keepdims)
    if program.smooth:
        require(no_two_alike(x.value))
    program.emit(name, [x], y, x.error, axis=axes, keepdims=keepdims)


def no_two_alike(value):
    return value.size < 2 or np.diff(np.sort(value, axis=None)).min() > KINK


def place_of_extreme(program):
    require(not program.smooth)
    name = random.choice(("argmax", "argmin"))
    x = program.pick(lambda v: v.value.size and v.error == 0)
    axis = random.choice((None, *range(-x.value.ndim, x.value.ndim)))
    keepdims = random.random() < 0.5
    y = getattr(np, name)(x.value, axis=axis, keepdims=keepdims)
    program.emit(name, [x], y, axis=axis, keepdims=keepdims)


def truth(program):
    require(not program.smooth)
    name = random.choice(("any", "all"))
    x = program.pick(lambda v: v.error == 0)
    axes, keepdims = random_axes(x.value.ndim), random.random() < 0.5
    y = getattr(np, name)(x.value, axis=as_numpy(axes), keepdims=keepdims)
    program.emit(name, [x], y, axis=axes, keepdims=keepdims)


def spread(program):
    """var and std; a spread near 0 is left out: the root would magnify the error."""
    name = random.choice(("var", "std"))
    x = program.pick(lambda v: v.is_float and v.value.size)
    axes, keepdims = random_axes(x.value.ndim), random.random() < 0.5
    how = {"axis": as_numpy(axes), "keepdims": keepdims}
    correction = random.choice((0, 0, 1))
    wide = x.value.astype(np.float64)
    y = getattr(np, name)(wide, ddof=correction, **how)
    require(count_of(x.value, y) > correction + 1 and y.min() > 0.05)
    y = y.astype(x.value.dtype)
    apart = 2 * x.largest + x.error
    error = 4 * apart * (x.error + 8 * epsilon(x.dtype) * apart)
    slope = 1 if name == "var" else 0.5 / float(y.min())
    program.emit(name, [x], y, slope * error + rounding(y, 8), axis=axes, keepdims=keepdims,
                 correction=correction)


# -------------------------------------------------------------------------------- products, casts


def product(program):
    x1 = program.pick(lambda v: v.value.ndim and v.dtype != "bool")
    rows = x1.value.shape[-1]

    def fits(v):
        return v.value.ndim and v.value.shape[-1 if v.value.ndim == 1 else -2] == rows
    x2 = program.pick(fits)
    a, b = rules.promoted(x1, x2)
    rules.require_numbers(a, b)
    require(broadcasts(a.shape[:-2], b.shape[:-2]))
    if a.dtype.kind != "f":
        return program.emit("matmul", [x1, x2], np.matmul(a, b))
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    y = np.matmul(wide_a, wide_b).astype(a.dtype)
    magnitudes = np.matmul(np.abs(wide_a), np.abs(wide_b))
    program.emit("matmul", [x1, x2], y, error_of_product(x1, x2, a, b, magnitudes, y))


def error_of_product(x1, x2, a, b, magnitudes, y):
    if y.size == 0:
        return 0.0
    exact = is_grained(a) and is_grained(b) and is_exact_sum(magnitudes, GRAIN**2)
    if x1.error == x2.error == 0 and exact:
        return 0.0
    depth = a.shape[-1]
    given = depth * (x1.error * largest_of(b) + x2.error * largest_of(a) + x1.error * x2.error)
    sums = float(np.finfo(y.dtype).eps) * float(magnitudes.max()) * min(depth, 64)
    return given + sums + rounding(y, 2)


def linear(program):
    x1 = program.pick(lambda v: v.is_float and v.value.ndim)
    inputs = x1.value.shape[-1]
    x2 = program.pick(lambda v: v.dtype == x1.dtype and v.value.ndim == 2 and
                      v.value.shape[1] == inputs)
    a, b = x1.value.astype(np.float64), x2.value.T.astype(np.float64)
    y, magnitudes = np.matmul(a, b), np.matmul(np.abs(a), np.abs(b))
    operands = [x1, x2]
    biases = [v for v in program.live if v.dtype == x1.dtype and
              v.value.shape == x2.value.shape[:1]]
    shift = 0.0
    if biases and random.random() < 0.7:
        operands.append(random.choice(biases))
        y = y + operands[2].value
        shift = operands[2].error
    y = y.astype(x1.value.dtype)
    error = error_of_product(x1, x2, x1.value, x2.value.T, magnitudes, y) + shift
    program.emit("linear", operands, y, error + (rounding(y, 2) if len(operands) > 2 else 0.0))


def softmax(program):
    x = program.pick(lambda v: v.is_float and v.value.ndim and v.value.size)
    axis = random.randint(-x.value.ndim, x.value.ndim - 1)
    shifted = x.value.astype(np.float64)
    require(np.isfinite(shifted).all())
    shifted = shifted - shifted.max(axis, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    if random.random() < 0.5:
        y = np.exp(logs).astype(x.value.dtype)
        program.emit("softmax", [x], y, x.error + rounding(y, 8), axis=axis)
    else:
        y = logs.astype(x.value.dtype)
        program.emit("log_softmax", [x], y, 2 * x.error + rounding(y, 8), axis=axis)


def one_hot(program):
    require(not program.smooth)
    x = program.pick(lambda v: v.dtype in ("i32", "i64") and v.value.size and
                     0 <= v.value.min() and v.value.max() < 8)
    classes = int(x.value.max()) + random.randint(1, 2)
    dtype = random.choice(("f32", "f64", "i64", "bool"))
    y = np.eye(classes, dtype=NUMPY[dtype])[x.value]
    program.emit("one_hot", [x], y, classes=classes, dtype=dtype)


def cast(program):
    require(not program.smooth)
    x = program.pick()
    dtype = random.choice(list(NUMPY))
    require(dtype in FLOATS or x.error == 0)
    y = rules.converted(x.value, dtype)
    narrows = dtype in FLOATS and x.error > 0
    program.emit("astype", [x], y, x.error + (rounding(y, 1) if narrows else 0.0), dtype=dtype)


STEPS = {function: 8, keeping: 4, rounded: 2, square: 1, reciprocal: 1, arithmetic: 16,
         remainder: 2, power: 1, comparison: 5, logic: 2, bits: 2, where: 4, clip: 2, total: 8,
         extreme: 4, place_of_extreme: 2, truth: 2, spread: 3, product: 8,
         linear: 4, softmax: 2, one_hot: 2, cast: 5}

"""Where Taper differs from NumPy on purpose; nothing else in the generator knows of it.

- Mixed dtypes: NumPy gives f64 for i32 with f32 and for u8 with a float; the array API leaves that
  open, and Taper takes the float's dtype.
- Numbers: a float beside integers or bools makes f32, for NumPy f64.
- Integers in functions that give floats become f32, for NumPy f64 (i8: f16).
- Sums of integers and bools are i64 for u8, u16 and u32, too, which NumPy sums in u64.
- u64 and a signed integer have no common dtype; NumPy takes f64.
- Arithmetic of two bools is refused: NumPy takes it for logic.
"""

import numpy as np

from programs import FLOATS, NUMPY, UNSIGNED, Variable, require

SIZES = {name: np.dtype(numpy).itemsize for name, numpy in NUMPY.items()}


def promote(a, b):
    if a == b or b == "bool":
        return a
    if a == "bool":
        return b
    if (a in FLOATS) != (b in FLOATS):
        return a if a in FLOATS else b
    if (a in UNSIGNED) != (b in UNSIGNED):
        signed, other = (b, a) if a in UNSIGNED else (a, b)
        require(other != "u64")
        return signed if SIZES[signed] > SIZES[other] else f"i{16 * SIZES[other]}"
    return a if SIZES[a] > SIZES[b] else b


def dtype_of(each):
    if isinstance(each, Variable):
        return each.dtype
    return "bool" if isinstance(each, bool) else "i64" if isinstance(each, int) else "f32"


def number_dtype(number, beside):
    """What a number becomes beside a dtype."""
    if beside in FLOATS:
        return beside
    if isinstance(number, float):
        return "f32"
    return dtype_of(number) if beside == "bool" else beside


def promoted(x1, x2, to_float=False):
    """The values of both operands in their common dtype; at least one is a variable."""
    dtypes = [dtype_of(x1), dtype_of(x2)]
    for i, each in enumerate((x1, x2)):
        if not isinstance(each, Variable):
            dtypes[i] = number_dtype(each, dtypes[1 - i])
            if dtypes[i] not in FLOATS:
                ends = np.iinfo(NUMPY[dtypes[i]]) if dtypes[i] != "bool" else None
                require(ends is None or ends.min <= each <= ends.max)
    dtype = promote(*dtypes)
    if to_float and dtype not in FLOATS:
        dtype = "f32"
    values = []
    for each, own in zip((x1, x2), dtypes):
        value = each.value if isinstance(each, Variable) else np.array(each, NUMPY[own])
        values.append(value.astype(NUMPY[dtype]))
    return values


def floating(value):
    """What a function of floats makes of its operand."""
    return value if value.dtype.kind == "f" else value.astype(np.float32)


def sum_dtype(value):
    return value.dtype if value.dtype.kind == "f" or value.dtype == np.uint64 else np.int64


def error_of(each):
    return each.error if isinstance(each, Variable) else 0.0


def require_numbers(*values):
    require(all(value.dtype != np.bool_ for value in values))


def converted(value, dtype):
    """`astype`: of floats to integers only what both convert alike, which is what fits."""
    if value.dtype.kind == "f" and dtype not in FLOATS and dtype != "bool":
        ends = np.iinfo(NUMPY[dtype])
        require(value.size == 0 or (np.isfinite(value).all() and value.min() > ends.min - 1.0
                                    and value.max() < min(ends.max, 2.0**62)))
    return value.astype(NUMPY[dtype])

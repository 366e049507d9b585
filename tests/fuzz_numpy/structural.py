"""Steps that move elements: views, indexing, joins, and updates in place."""

import math
import random
import sys
from pathlib import Path

import numpy as np

import numeric
import rules
from programs import NUMPY, Variable, described, require

sys.path.append(str(Path(__file__).resolve().parents[1] / "ops"))
import make_index_cases as indexing  # noqa: E402


MOST_ITEMS = 5  # as many as the interpreter writes between brackets
MOST_TAPER_AXES = 8


def view(program, op, x, value, /, **attributes):
    program.emit(op, [x], value, x.error, **attributes)


def random_axis(rank):
    require(rank > 0)
    return random.randint(-rank, rank - 1)


def random_sizes(count):
    """A shape of so many elements."""
    if count == 0:
        sizes = [random.randint(0, 3) for _ in range(random.randint(1, 3))]
        sizes[random.randrange(len(sizes))] = 0
        return sizes
    sizes = []
    while count > 1 and len(sizes) < 4:
        divisors = [n for n in range(2, count + 1) if count % n == 0]
        sizes.append(random.choice(divisors))
        count //= sizes[-1]
    sizes += [count] if count > 1 else []
    for _ in range(random.choice((0, 0, 0, 1))):
        sizes.insert(random.randint(0, len(sizes)), 1)
    random.shuffle(sizes)
    return sizes


def reshape(program):
    x = program.pick()
    sizes = random_sizes(x.value.size)
    value = x.value.reshape(sizes)
    if sizes and x.value.size and random.random() < 0.3:
        sizes[random.randrange(len(sizes))] = -1
    view(program, "reshape", x, value, shape=sizes)


def flatten(program):
    x = program.pick(lambda v: v.value.ndim)
    rank = x.value.ndim
    first, last = sorted(random.randrange(rank) for _ in range(2))
    shape = x.value.shape
    joined = shape[:first] + (math.prod(shape[first:last + 1]),) + shape[last + 1:]
    start, end = (axis - rank if random.random() < 0.4 else axis for axis in (first, last))
    view(program, "flatten", x, x.value.reshape(joined), start=start, end=end)


def permute(program):
    x = program.pick(lambda v: v.value.ndim > 1)
    if random.random() < 0.2:
        return view(program, "matrix_transpose", x, np.swapaxes(x.value, -1, -2))
    axes = random.sample(range(x.value.ndim), x.value.ndim)
    view(program, "permute_dims", x, x.value.transpose(axes), axes=axes)


def change_axes(program):
    x = program.pick()
    if random.random() < 0.5:
        axis = random.randint(-x.value.ndim - 1, x.value.ndim)
        return view(program, "expand_dims", x, np.expand_dims(x.value, axis), axis=axis)
    axis = random_axis(x.value.ndim)
    require(x.value.shape[axis] == 1)
    view(program, "squeeze", x, np.squeeze(x.value, axis), axis=axis)


def broadcast(program):
    x = program.pick()
    shape = [random.randint(1, 4) if size == 1 else size for size in x.value.shape]
    shape = [random.randint(1, 3) for _ in range(random.choice((0, 0, 1, 2)))] + shape
    view(program, "broadcast_to", x, np.broadcast_to(x.value, shape), shape=shape)


def cut(program):
    x = program.pick(lambda v: v.value.ndim)
    axis = random_axis(x.value.ndim)
    if random.random() < 0.25:
        return view(program, "flip", x, np.flip(x.value, axis), axis=axis)
    part = indexing.random_slice(x.value.shape[axis])
    view(program, "slice", x, x.value[along(axis, part, x.value.ndim)], axis=axis,
         **slice_attributes(part))


def along(axis, part, rank):
    items = [slice(None)] * rank
    items[axis] = part
    return tuple(items)


def slice_attributes(part):
    return {"start": part.start, "stop": part.stop, "step": part.step or 1}


def contiguous(program):
    x = program.pick()
    view(program, "contiguous", x, x.value)


def copy(program):
    """A second handle: what is done in place through one must not show in the other."""
    x = program.pick()
    view(program, "copy", x, x.value)


# -------------------------------------------------------------------------------------- indexing


def random_items(program, x):
    """The items for NumPy and as the program says them; now and then a variable is one."""
    items = indexing.random_index(list(x.value.shape))
    texts = [indexing.described(item) for item in items]
    if random.random() < 0.25:
        return mask_variable(program, x)
    places = [i for i, item in enumerate(items) if is_indices(item)]
    if places and random.random() < 0.3:
        place = random.choice(places)
        size = items[place].max() + 1 if items[place].size else 1
        other = program.pick(lambda v: v.dtype in ("i32", "i64") and v.value.ndim < 3 and
                             v.value.size and -size <= v.value.min() and v.value.max() < size)
        # NumPy goes through them in the order of memory; Taper's last value is the row-major one.
        items[place], texts[place] = other.value.copy(order="C"), {"v": other.slot}
    return items, texts


def is_indices(item):
    return isinstance(item, np.ndarray) and item.dtype != np.bool_


def mask_variable(program, x):
    def fits(v):
        rank = v.value.ndim
        return v.dtype == "bool" and 0 < rank and v.value.shape == x.value.shape[:rank]
    mask = program.pick(fits)
    program.capturable = False  # how much it picks is known only when the program runs
    return [mask.value], [{"v": mask.slot}]


def selected(value, items):
    require(len(items) <= MOST_ITEMS)
    require(value.size or not any(is_empty_mask(item) for item in items))
    try:
        part = value[tuple(items)]
    except (IndexError, TypeError, ValueError):
        require(False)
    require(np.ndim(part) <= MOST_TAPER_AXES)
    return part


def is_empty_mask(item):
    """On an empty array NumPy takes one of any sizes; Taper wants those of the axes."""
    return isinstance(item, np.ndarray) and item.dtype == np.bool_ and item.size == 0


def is_basic(items):
    return not any(isinstance(item, np.ndarray) for item in items)


def read(program):
    x = program.pick(lambda v: v.value.ndim)
    items, texts = random_items(program, x)
    view(program, "index", x, selected(x.value, items), items=texts)


def random_indices(size, shape, dtype):
    count = math.prod(shape)
    values = [random.randint(-size, size - 1) for _ in range(count)]
    return np.array(values, NUMPY[dtype]).reshape(shape)


def take(program):
    x = program.pick(lambda v: v.value.ndim and v.value.size)
    axis = random_axis(x.value.ndim)
    shape = [random.randint(0 if random.random() < 0.1 else 1, 4)
             for _ in range(random.choice((1, 1, 2)))]
    dtype = random.choice(("i32", "i64"))
    along_axis = random.random() < 0.4
    if along_axis:
        shape = list(x.value.shape)
        shape[axis] = random.randint(1, 4)
    indices = random_indices(x.value.shape[axis], shape, dtype)
    pick = np.take_along_axis if along_axis else np.take
    view(program, pick.__name__, x, pick(x.value, indices, axis), axis=axis,
         indices=indexing.described(indices))


# ----------------------------------------------------------------------------------------- joins


def concat(program):
    first = program.pick(lambda v: v.value.ndim)
    axis = random_axis(first.value.ndim)
    place = axis % first.value.ndim

    def fits(v):
        rest = list(v.value.shape)
        same = list(first.value.shape)
        if len(rest) != len(same):
            return False
        del rest[place], same[place]
        return rest == same
    join(program, "concat", first, fits, axis)


def stack(program):
    first = program.pick()
    axis = random.randint(-first.value.ndim - 1, first.value.ndim)
    join(program, "stack", first, lambda v: v.value.shape == first.value.shape, axis)


def join(program, op, first, fits, axis):
    parts = [first] + [program.pick(fits) for _ in range(random.choice((0, 1, 1, 2)))]
    dtype = parts[0].dtype
    for part in parts[1:]:
        dtype = rules.promote(dtype, part.dtype)
    values = [part.value.astype(NUMPY[dtype]) for part in parts]
    together = np.concatenate if op == "concat" else np.stack
    error = max(part.error for part in parts)
    program.emit(op, parts, together(values, axis), error, axis=axis)


def pad(program):
    x = program.pick()
    widths = [random.choice((0, 0, 1, 2)) for _ in range(2 * x.value.ndim)]
    value = random.randint(0, 1) if x.dtype == "bool" else random.choice((0, 3, 7))
    if x.is_float and random.random() < 0.5:
        value = -0.75
    pairs = list(zip(widths[::2], widths[1::2]))
    padded = np.pad(x.value, pairs, constant_values=value) if pairs else x.value
    view(program, "pad", x, padded, widths=widths, value=value)


# --------------------------------------------------------------------------------------- updates


def values_to_put(program, x, shape):
    """A variable that fits, new values, or a number; as x's dtype, and as the program says it."""
    if random.random() < 0.3:
        number = numeric.random_number() if x.is_float else random.randint(0, 5)
        return np.array(number).astype(x.value.dtype), number, 0.0
    if random.random() < 0.4:
        other = program.pick(lambda v: (v.error == 0 or x.is_float) and reaches(v.value, shape))
        return rules.converted(other.value, x.dtype), other, other.error
    values = indexing.values_for(shape)
    dtype = x.dtype if program.smooth or random.random() < 0.6 else "i64"
    values = values.astype(NUMPY[dtype])
    return values.astype(x.value.dtype), {"literal": described(values)}, 0.0


def reaches(value, shape):
    """Whether it broadcasts to the shape, leading axes of one aside."""
    own = list(value.shape)
    while len(own) > len(shape) and own[0] == 1:
        del own[0]
    return len(own) <= len(shape) and all(
        size in (1, whole) for size, whole in zip(reversed(own), reversed(shape)))


def error_after_update(x, put):
    return max(x.error, put) if x.is_float else 0.0


def put(array, items, values):
    """array[items] = values, of which leading axes of one do not count."""
    rank = np.ndim(array[tuple(items)])
    while values.ndim > rank:
        values = values[0]
    array[tuple(items)] = values.copy(order="C")


def assign(program):
    """x[items] = values, or the function that gives the changed x."""
    x = program.pick(lambda v: v.value.ndim)
    items, texts = random_items(program, x)
    part = selected(x.value, items)
    values, said, error = values_to_put(program, x, part.shape)
    changed = x.value.copy()
    put(changed, items, values)
    in_place = random.random() < 0.7
    program.emit("assign" if in_place else "index_update", [x, said], changed,
                 error_after_update(x, error), target=x if in_place else None, items=texts)


def assign_within(program):
    """x[items][more] = values, which changes x."""
    x = program.pick(lambda v: v.value.ndim)
    items = indexing.random_index(list(x.value.shape))
    require(is_basic(items))
    outer = selected(x.value, items)
    require(outer.ndim)
    more = indexing.random_index(list(outer.shape))
    values, said, error = values_to_put(program, x, selected(outer, more).shape)
    changed = x.value.copy()
    put(changed[tuple(items)], more, values)
    program.emit("assign_within", [x, said], changed, error_after_update(x, error), target=x,
                 items=[indexing.described(item) for item in items],
                 more=[indexing.described(item) for item in more])


def update_slice(program):
    x = program.pick(lambda v: v.value.ndim)
    axis = random_axis(x.value.ndim)
    part = indexing.random_slice(x.value.shape[axis])
    where = along(axis, part, x.value.ndim)
    shape = x.value[where].shape
    other = program.pick(lambda v: v.dtype == x.dtype and v.value.shape == shape)
    changed = x.value.copy()
    changed[where] = other.value
    program.emit("slice_update", [x, other], changed, error_after_update(x, other.error),
                 axis=axis, **slice_attributes(part))


IN_PLACE = {"add": "+=", "subtract": "-=", "multiply": "*=", "divide": "/="}


def random_other(program):
    return numeric.random_number(program.smooth) if random.random() < 0.4 else program.pick()


def update(program):
    """x op= y rebinds x, whose dtype may widen; its shape is left as NumPy would have it."""
    x = program.pick()
    name = random.choice(list(IN_PLACE))
    other = random_other(program)
    y, error = numeric.compute_arithmetic(program, name, x, other)
    require(y.shape == x.value.shape)
    program.emit(IN_PLACE[name], [x, other], y, error, target=x)


def update_part(program):
    """x[items] op= y: of equal places the last one counts, as in x[items] = x[items] op y."""
    x = program.pick(lambda v: v.value.ndim)
    items, texts = random_items(program, x)
    part = Variable(-1, selected(x.value, items), x.error)
    name = random.choice(list(IN_PLACE))
    other = random_other(program)
    y, error = numeric.compute_arithmetic(program, name, part, other)
    require(y.shape == part.value.shape and (y.dtype.kind != "f" or x.is_float))
    changed = x.value.copy()
    put(changed, items, rules.converted(y, x.dtype))
    if x.is_float and y.dtype != x.value.dtype:
        error += numeric.rounding(changed, 1) if error else 0.0
    program.emit("assign" + IN_PLACE[name], [x, other], changed, error_after_update(x, error),
                 target=x, items=texts)


def drop(program):
    program.drop(program.pick())


STEPS = {reshape: 6, flatten: 1, permute: 6, change_axes: 4, broadcast: 4, cut: 7, contiguous: 1,
         copy: 3, read: 10, take: 3, concat: 3, stack: 2, pad: 2, assign: 8, assign_within: 3,
         update_slice: 2, update: 8, update_part: 4, drop: 4}

"""Steps that NumPy refuses: Taper must throw its Error, and every variable keep its value."""

import random

import numpy as np

import numeric
import structural
from programs import require

REFUSALS = IndexError, TypeError, ValueError


def refuse(program, op, operands, numpy, /, **attributes):
    """Adds the step if NumPy refuses what it says."""
    try:
        numpy()
    except REFUSALS:
        return program.emit_refused(op, operands, **attributes)
    require(False)


def pair(program):
    return (program.pick(lambda v: v.dtype != "bool") for _ in range(2))


def arithmetic(program):
    """Shapes that do not broadcast, a new value and in place."""
    x1, x2 = pair(program)
    name = random.choice(list(structural.IN_PLACE))
    op = random.choice((name, structural.IN_PLACE[name]))
    refuse(program, op, [x1, x2], lambda: numeric.ARITHMETIC[name](x1.value, x2.value),
           target=x1 if op != name else None)


def product(program):
    x1, x2 = pair(program)
    refuse(program, "matmul", [x1, x2], lambda: np.matmul(x1.value, x2.value))


def reduction(program):
    x = program.pick()
    rank = x.value.ndim
    axes = random.choice((rank, -rank - 1, [0, rank], [0, 0], [rank - 1, -1]))
    refuse(program, "sum", [x], lambda: np.sum(x.value, axis=numeric.as_numpy(axes)),
           axis=axes, keepdims=random.random() < 0.5)


def reshape(program):
    x = program.pick()
    sizes = structural.random_sizes(x.value.size + random.choice((-1, 1, 2))) \
        if x.value.size else [2, 3]
    refuse(program, "reshape", [x], lambda: x.value.reshape(sizes), shape=sizes)


def permute(program):
    x = program.pick(lambda v: v.value.ndim)
    axes = [random.randrange(x.value.ndim) for _ in range(x.value.ndim)]
    refuse(program, "permute_dims", [x], lambda: x.value.transpose(axes), axes=axes)


def broadcast(program):
    x = program.pick(lambda v: v.value.ndim)
    shape = [size + random.choice((0, 1)) for size in x.value.shape]
    refuse(program, "broadcast_to", [x], lambda: np.broadcast_to(x.value, shape), shape=shape)


def join(program):
    op, numpy = random.choice((("concat", np.concatenate), ("stack", np.stack)))
    x1, x2 = program.pick(), program.pick()
    axis = random.randint(-3, 3)
    refuse(program, op, [x1, x2], lambda: numpy([x1.value, x2.value], axis), axis=axis)


def beyond(program):
    """An index out of range, as a number or in a tensor, read or assigned to."""
    x = program.pick(lambda v: v.value.ndim)
    axis = random.randrange(min(x.value.ndim, structural.MOST_ITEMS))
    size = x.value.shape[axis]
    far = random.choice((size, size + 3, -size - 1))
    item = np.array([0 if size else far, far]) if random.random() < 0.5 else far
    items = [slice(None)] * axis + [item]
    texts = [structural.indexing.described(each) for each in items]
    op = random.choice(("index", "assign", "index_update"))
    refuse(program, op, [x, 1], lambda: x.value[tuple(items)],
           target=x if op == "assign" else None, items=texts)


def values_that_do_not_fit(program):
    x = program.pick(lambda v: v.value.ndim and not v.is_float)
    items, texts = structural.random_items(program, x)
    structural.selected(x.value, items)
    other = program.pick(lambda v: v.dtype == x.dtype)
    op = random.choice(("assign", "index_update"))
    refuse(program, op, [x, other],
           lambda: structural.put(x.value.copy(), items, other.value),
           target=x if op == "assign" else None, items=texts)


STEPS = {arithmetic: 12, product: 12, reduction: 8, reshape: 8, permute: 4, broadcast: 4, join: 8,
         beyond: 12, values_that_do_not_fit: 8}

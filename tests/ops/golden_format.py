"""What make_golden.py writes its cases with: rounding to a dtype, tolerances, numbers as text."""

import math

import numpy as np
import torch

RNG = np.random.default_rng(5)
FLOATS = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": np.float32}
COMPLEX = {"c64": np.complex64, "c128": np.complex128}
OTHERS = {"i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8,
          "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_}
NAMES = {np.dtype(kind): name for name, kind in {**OTHERS, **COMPLEX}.items()}
# The distance from 1 to the next number, and the smallest number.
EPSILON = {"f32": 2.0**-23, "f64": 2.0**-52, "f16": 2.0**-10, "bf16": 2.0**-7}
SMALLEST = {"f32": 2.0**-149, "f64": 2.0**-1074, "f16": 2.0**-24, "bf16": 2.0**-133}


def uniform(*shape):
    """Numbers from -2 to 2 with two decimals, none of them 0."""
    x = np.round(RNG.uniform(-2, 2, shape), 2)
    return np.where(x == 0, 0.5, x)


def distinct(*shape):
    """Different numbers with some room between them."""
    count = math.prod(shape)
    return (RNG.permutation(count).reshape(shape) - count // 2) * 0.25


def elementwise(f):
    """A function of floats as one of arrays."""
    return np.vectorize(f, otypes=[float])


def rounded(x, dtype):
    """The numbers as the dtype holds them, to nearest even; of bf16, as float32."""
    x = np.asarray(x)
    if dtype == "bf16":
        return torch.tensor(x.astype(np.float32)).to(torch.bfloat16).to(torch.float32).numpy()
    return x.astype(FLOATS[dtype])


def number(x):
    """A number that JSON can say: the shortest decimal that gives the same bits in its dtype; of a
    complex one both parts."""
    if isinstance(x, np.complexfloating):
        return [number(x.real), number(x.imag)]
    if isinstance(x, np.floating):
        if not np.isfinite(x):
            return str(float(x))
        shortest = float(str(x))
        assert x.dtype.type(shortest) == x
        is_short = shortest.is_integer() and abs(shortest) < 1e6
        return int(shortest) if is_short and str(x) != "-0.0" else shortest
    return int(x)


def tensor(x, dtype):
    """The JSON of an operand: floating numbers in `dtype`, others in their own."""
    if x is None:
        return None
    x = np.asarray(x)
    if x.dtype.kind == "f":
        x = rounded(x, dtype)
    else:
        dtype = NAMES[x.dtype]
    return {"dtype": dtype, "shape": list(x.shape), "values": [number(v) for v in x.ravel()]}


def exact(x, dtype):
    """An operand as the reference gets it: as stored, floating numbers in float64."""
    if x is None or np.asarray(x).dtype.kind != "f":
        return x
    return rounded(x, dtype).astype(np.float64)


def leaf(x, is_variable):
    if x is None:
        return None
    x = torch.tensor(x)
    return x.requires_grad_(is_variable and (x.is_floating_point() or x.is_complex()))


def largest(arrays):
    finite = [np.abs(x[np.isfinite(x)]) for x in map(np.asarray, arrays)
              if x.dtype.kind in "fc"]
    return max([float(x.max()) for x in finite if x.size], default=0.0)


class Writer:
    """Collects the cases."""

    def __init__(self):
        self.cases = []

    def add(self, op, inputs, outputs, dtype=None, attrs=None, *, ulps=4, scale=None,
            zero_sign=False, out=None, cotangent=None, grads=()):
        """One case. A result may differ from the reference by `ulps` of itself, where a sum may
        cancel of the largest result or of `scale`."""
        case = {"op": op, **({"attrs": attrs} if attrs else {}),
                "inputs": [tensor(x, dtype) for x in inputs],
                "outputs": [tensor(x, out or dtype) for x in outputs]}
        if grads:
            case["cotangent"] = tensor(cotangent, out or dtype)
            case["grads"] = [tensor(x, dtype) for x in grads]
        if dtype and ulps:
            room = largest([*outputs, *(g for g in grads if g is not None)])
            relative = ulps * EPSILON[out or dtype]
            absolute = relative * (room if scale is None else scale)
            case["rtol"] = float(f"{relative:.1e}")
            case["atol"] = float(f"{max(absolute, 2 * SMALLEST[dtype]):.1e}")
        if zero_sign:
            case["zero_sign"] = True
        self.cases.append(case)

    def numpy(self, op, f, inputs, dtype=None, attrs=None, *, ulps=0, scale=0, zero_sign=False):
        """The results of a function on float64 arrays; exact, or with `ulps` for each element."""
        outputs = f(*(exact(x, dtype) for x in inputs))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        self.add(op, inputs, tuple(map(np.asarray, outputs)), dtype, attrs, ulps=ulps, scale=scale,
                 zero_sign=zero_sign)

    def torch(self, op, f, inputs, dtype, attrs=None, *, ulps=4, scale=None, grad=True,
              constant=(), integers=np.int64, out=None):
        """The results of a function on float64 tensors and the gradients of its operands, but of
        those in `constant`; whole results are stored as `integers`."""
        leaves = [leaf(exact(x, dtype), grad and i not in constant)
                  for i, x in enumerate(inputs)]
        results = f(*leaves)
        results = results if isinstance(results, tuple) else (results,)
        arrays = [x.detach().numpy() for x in results]
        arrays = [x.astype(integers) if x.dtype.kind == "i" else x for x in arrays]
        cotangent, grads = None, []
        variables = [x for x in leaves if x is not None and x.requires_grad]
        if variables:
            cotangent = uniform(*arrays[0].shape)
            if arrays[0].dtype.kind == "c":
                cotangent = cotangent + 1j * uniform(*arrays[0].shape)
            found = iter(torch.autograd.grad(
                results[0], variables, torch.tensor(exact(cotangent, out or dtype))))
            grads = [next(found).numpy() if x is not None and x.requires_grad else None
                     for x in leaves]
        self.add(op, inputs, arrays, dtype, attrs, ulps=ulps, scale=scale, out=out,
                 cotangent=cotangent, grads=grads)

    def cast(self, values, before, after):
        """A conversion, rounded once."""
        if before in FLOATS:
            stored = rounded(values, before)
        else:
            stored = np.asarray(values).astype(OTHERS[before])
        result = rounded(stored, after) if after in FLOATS else stored.astype(OTHERS[after])
        self.cases.append({"op": "astype", "attrs": {"dtype": after},
                           "inputs": [tensor(stored, before)], "outputs": [tensor(result, after)]})

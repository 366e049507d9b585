#!/usr/bin/env python3
"""Writes golden.json beside this file: calls of ops with the results of NumPy and PyTorch.

Needs the packages numpy (2.0 or newer) and torch. golden_test.cpp reads the file; one line is one
case: an op's name, its attributes by field, its inputs, its outputs and, where it is
differentiable, the gradients of its inputs for a cotangent of its first output. References are
computed in float64 and rounded once to the dtype of the case.
"""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import golden_losses
import golden_norms
import golden_views
from golden_format import Writer, distinct, elementwise, uniform

INF, NAN = math.inf, math.nan
# Every kind of float: beside the limits also a subnormal one, of f32 and of f64.
SPECIAL = np.array([NAN, INF, -INF, 0.0, -0.0, 1, -2.5, 3e38, 1e-40])
ORDINARY = np.array([-3.7, -1, -0.625, -1e-3, 1e-9, 0.3, 0.75, 1, 2.5, 6.1])

golden = Writer()


def arithmetic():
    pairs = {"f32": SPECIAL, "f64": np.array([INF, -0.0, 0.0, -3, 1.7e308, 5e-324])}
    rings = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}
    choices = {"maximum": np.maximum, "minimum": np.minimum}
    for name, f in {**rings, **choices, "divide": np.divide}.items():
        for dtype, values in pairs.items():
            golden.numpy(name, f, (values.reshape(-1, 1), values), dtype,
                         zero_sign=name not in choices)
        small = uniform(2, 1), np.array([0.5, -1.25, 3.0, 65504.0])
        golden.numpy(name, f, small, "f16" if name in rings else "bf16", ulps=1)
    bases = np.array([NAN, INF, -INF, 0.0, -0.0, 1, -1, 0.3, -2.5, 1e-40, 1e30]).reshape(11, 1)
    powers = np.array([NAN, INF, -INF, 0.0, 1, -1, 2, 3, 0.5, -2.5, 1e30])
    for dtype in "f32", "f64":
        golden.numpy("pow", np.power, (bases, powers), dtype, ulps=2, zero_sign=True)
    for kind in np.int64, np.int8:
        golden.numpy("pow", np.power, (np.array([[-3], [0], [1], [2], [11]], dtype=kind),
                                               np.array([0, 1, 2, 7], dtype=kind)))
    wrapping_integers({**rings, **choices})
    a, b = uniform(2, 1, 2), uniform(3, 1) + 3
    for name, f in {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul,
                    "divide": torch.div}.items():
        golden.torch(name, f, (a, b), "f64")
    ties = np.array([1.0, 2.0, -1.0, 0.5]), np.array([1.0, 1.5, -1.0, 2.0])
    golden.torch("maximum", torch.maximum, ties, "f64")
    golden.torch("minimum", torch.minimum, ties, "f64")
    base = np.array([0.3, 2.0, 7.5, 0.0, 0.0, 0.0, -2.0, -2.0])
    power = np.array([2.0, -1.5, 0.0, 2.0, 0.0, 1.0, 3.0, -2.0])
    golden.torch("pow", torch.pow, (base[:6], power[:6]), "f64")
    golden.torch("pow", torch.pow, (base, power), "f64", constant=[1])
    golden.torch("pow", torch.pow, (np.zeros(2), np.array([-1.0, -0.5])), "f64")


def wrapping_integers(binary):
    for kind in np.int8, np.int32, np.int64, np.uint8, np.uint32, np.uint64:
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        values = np.array([low, high, 1, 7], dtype=kind)
        for name, f in binary.items():
            golden.numpy(name, f, (values.reshape(4, 1), values))
        for name, f in {"negative": np.negative, "abs": np.abs, "sign": np.sign,
                        "square": np.square}.items():
            golden.numpy(name, f, (values,))


def exact_functions():
    bounds = np.array(-0.5), np.array(1.25)
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, -0.3, 8388609.0, -2147483904.0])
    wide = np.array([NAN, -INF, -0.0, 5e-324, 0.5, 2.5, -1.5, 4503599627370497.5, 1e300])
    for dtype, values in {"f32": np.concatenate([SPECIAL, halves]), "f64": wide}.items():
        for name, f in {"negative": np.negative, "abs": np.abs, "square": np.square,
                        "reciprocal": np.reciprocal, "sqrt": np.sqrt, "floor": np.floor,
                        "round": np.round}.items():
            golden.numpy(name, f, (values,), dtype, zero_sign=True)
        golden.numpy("sign", np.sign, (values,), dtype)
        golden.numpy("clip", np.clip, (values, *bounds), dtype)
    kinks = np.array([-1.0, -0.5, 0.0, 0.3, 1.25, 1.5, -2.0])
    for name, f in {"negative": torch.neg, "abs": torch.abs, "square": torch.square,
                    "floor": torch.floor, "round": torch.round, "sign": torch.sign}.items():
        golden.torch(name, f, (kinks,), "f64")
    # Not at the bounds, where versions of PyTorch differ: 1 once, 0 in 2.15.
    golden.torch("clip", torch.clamp, (kinks[[0, 2, 3, 5, 6]], *bounds), "f64")
    for name, f in {"reciprocal": torch.reciprocal, "sqrt": torch.sqrt}.items():
        golden.torch(name, f, (np.array([0.25, 1.0, 3.7, 1e-6, 1e6]),), "f64")


def elementary_functions():
    signs = np.array([NAN, INF, -INF, 0.0, -0.0, 1e-40, -1e-40, 1e-10, -1e-10])
    middle = np.array([-9.5, -2.3, -1, -0.3, 0.01, 0.4, 0.7, 1, 3.3, 12])
    wide = np.concatenate([signs, middle, [-800, -103.2, -88.1, 50, 88.6, 88.8, 709.5, 710, 1e30]])
    positive = np.concatenate([signs, [-1, 1e-45, 1e-38, 0.3, 0.99, 1, 1.01, 2, 1e5, 3e38]])
    shifted = np.concatenate([signs, [-1.5, -1, -0.9999, -0.3, 0.2, 1, 1e4, 1e30]])
    angles = np.concatenate([signs, middle, [math.pi, -math.pi / 2, 100, -9999.5]])
    for dtype in "f32", "f64":
        for f, name in (np.exp, "exp"), (np.expm1, "expm1"), (np.tanh, "tanh"):
            golden.numpy(name, f, (wide,), dtype, ulps=3, zero_sign=name != "exp")
        for name, f in {"erf": elementwise(math.erf), "softplus": softplus,
                        "sigmoid": sigmoid}.items():
            golden.numpy(name, f, (wide,), dtype, ulps=3, zero_sign=name == "erf")
        for f, name in (rsqrt, "rsqrt"), (np.log, "log"):
            golden.numpy(name, f, (positive,), dtype, ulps=2)
        golden.numpy("log1p", np.log1p, (shifted,), dtype, ulps=2, zero_sign=True)
        golden.numpy("sin", np.sin, (angles,), dtype, ulps=2, zero_sign=True)
        golden.numpy("cos", np.cos, (angles,), dtype, ulps=2)
    for name, f in {"exp": torch.exp, "expm1": torch.expm1, "tanh": torch.tanh, "erf": torch.erf,
                    "sigmoid": torch.sigmoid, "sin": torch.sin, "cos": torch.cos,
                    "softplus": lambda x: F.softplus(x, threshold=1000)}.items():
        golden.torch(name, f, (ORDINARY,), "f64", ulps=16)
    for name, f in {"log": torch.log, "log1p": torch.log1p, "rsqrt": torch.rsqrt}.items():
        golden.torch(name, f, (np.abs(ORDINARY),), "f64")


def rsqrt(x):
    return 1 / np.sqrt(x)


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x)))


def activations():
    limits = np.array([NAN, INF, 0.0, 1e-40, -1e-40, 90, -90, 1e30, -1e30])
    values = np.concatenate([limits, [-INF], ORDINARY])
    plain = {"relu": (F.relu, {}), "leaky_relu": (F.leaky_relu, {"negative_slope": 0.01}),
             "elu": (F.elu, {"alpha": 1.0})}
    smooth = {"gelu": (F.gelu, {}), "silu": (F.silu, {})}
    for name, (f, _) in plain.items():
        golden.torch(name, f, (values,), "f32", ulps=4, grad=False)
    for dtype in "f32", "f64":
        for name, (f, _) in smooth.items():
            golden.torch(name, f, (np.delete(values, 9),), dtype, ulps=4, scale=8, grad=False)
    for name, (f, attrs) in {**plain, **smooth}.items():
        golden.torch(name, f, (np.append(ORDINARY, 0.0),), "f64", attrs, ulps=16, scale=8)
    golden.torch("leaky_relu", lambda x: F.leaky_relu(x, 0.3), (ORDINARY,), "f64",
                 {"negative_slope": 0.3})
    golden.torch("elu", lambda x: F.elu(x, 0.4), (np.append(ORDINARY, 0.0),), "f64",
                 {"alpha": 0.4}, ulps=16)


def comparisons():
    # Integers that float64 cannot tell apart.
    large = np.array([2**53, 2**53 + 1, -2**63, 2**63 - 1, 0])
    flags = np.array([False, True])
    for name in "equal", "not_equal", "less", "less_equal", "greater", "greater_equal":
        f = getattr(np, name)
        golden.numpy(name, f, (SPECIAL.reshape(9, 1), SPECIAL), "f32")
        golden.numpy(name, f, (large.reshape(5, 1), large))
        golden.numpy(name, f, (flags.reshape(2, 1), flags))
    for name in "logical_and", "logical_or":
        golden.numpy(name, getattr(np, name), (flags.reshape(2, 1), flags))
    golden.numpy("logical_not", np.logical_not, (flags,))
    condition = np.array([[True, False, True], [False, False, True]])
    ones = np.array([NAN, 1.5, -INF]), np.array([[2.0], [NAN]])
    golden.numpy("where", np.where, (condition, *ones), "f32")
    golden.numpy("where", np.where, (condition, large[:3], np.array([[-1], [2]])))
    golden.torch("where", torch.where, (condition, uniform(3), uniform(2, 1)), "f64")


def reductions():
    x, ties = uniform(2, 3, 2), np.array([[1.0, 3.0, 3.0], [2.0, 0.5, 2.0], [-1.0, -1.0, -1.0]])
    for axis, keepdims in (None, False), ([0, 2], True), ([-2], False):
        attrs = {"axis": axis, "keepdims": keepdims}
        dims = tuple(range(3)) if axis is None else tuple(axis)
        for name, f in {"sum": torch.sum, "mean": torch.mean, "max": torch.amax,
                        "min": torch.amin}.items():
            golden.torch(name, lambda x: f(x, dims, keepdims), (x,), "f32", attrs)
        correction = float(keepdims)
        golden.torch("var", lambda x: torch.var(x, dims, correction=correction, keepdim=keepdims),
                     (x,), "f32", {**attrs, "correction": correction})
    for name, f in {"max": torch.amax, "min": torch.amin}.items():
        golden.torch(name, lambda x: f(x, 1), (ties,), "f64", {"axis": [1]})
    edge = np.array([[1.0, NAN, 2.0], [INF, -INF, 0.0], [-INF, -INF, -INF], [NAN, NAN, 1.0]])
    for name, f in {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min,
                    "var": np.var}.items():
        golden.numpy(name, lambda x: f(x, axis=1), (edge,), "f32", {"axis": [1]})
    for name, f in {"argmax": np.argmax, "argmin": np.argmin}.items():
        for values in edge, ties:
            golden.numpy(name, lambda x: f(x, axis=1), (values,), "f32", {"axis": 1})
        golden.numpy(name, f, (ties,), "f64", {"axis": None})
        golden.numpy(name, lambda x: f(x, axis=0, keepdims=True),
                     (np.array([[-5, 7], [9, 7], [9, -7]]),), None, {"axis": 0, "keepdims": True})
    odd_reductions()


def odd_reductions():
    # Sums of integers do not wrap at their own size; half sums do not overflow on the way.
    for kind in np.int8, np.uint8, np.int32:
        full = np.full((2, 6), np.iinfo(kind).max, dtype=kind)
        golden.numpy("sum", lambda x: np.sum(x, 1, np.int64), (full,), None, {"axis": [1]})
        golden.numpy("max", np.max, (full,))
    golden.numpy("sum", lambda x: np.sum(x, dtype=np.int64), (np.array([True, False, True]),))
    golden.numpy("mean", np.mean, (np.full(40, 2000.0),), "f16")
    golden.numpy("sum", np.sum, (np.full(40, 2000.0),), "f16")
    golden.numpy("mean", np.mean, (np.full(40, 3e37),), "bf16", ulps=1)
    empty = np.zeros((0, 3))
    golden.numpy("sum", lambda x: np.sum(x, 0), (empty,), "f32", {"axis": [0]})
    golden.numpy("sum", lambda x: np.sum(x, 1), (empty,), "f32", {"axis": [1]})
    golden.numpy("mean", lambda x: np.mean(x, 0), (empty,), "f32", {"axis": [0]})
    golden.numpy("var", lambda x: np.var(x, 0), (empty,), "f64", {"axis": [0]})
    golden.numpy("var", lambda x: np.var(x, 0, ddof=1), (np.array([[1.5, -2.0]]),), "f64",
                 {"axis": [0], "correction": 1.0})
    golden.numpy("var", np.var, (1e4 + distinct(6),), "f64", ulps=64)


def products():
    a, b = uniform(2, 1, 2, 3), uniform(2, 3, 2)
    golden.torch("matmul", torch.matmul, (a[0, 0], b[0]), "f64")
    golden.torch("matmul", torch.matmul, (a, b), "f32")
    golden.torch("matmul", torch.matmul, (a, b), "f16", grad=False)
    golden.torch("matmul", torch.matmul, (a, b), "bf16", grad=False)
    edge = np.array([[0.0, 1.0], [INF, -1.0], [NAN, 0.0]])
    golden.numpy("matmul", np.matmul, (edge, np.array([[INF, 2.0], [1.0, -INF]])), "f32")
    golden.numpy("matmul", np.matmul, (np.zeros((2, 0)), np.zeros((0, 3))), "f64")
    wide = np.array([[2**30, 3, -7], [5, -2**31, 2]], dtype=np.int32)
    golden.numpy("matmul", np.matmul, (wide, wide.T.copy()))
    golden.numpy("matmul", np.matmul, (wide.astype(np.int64), wide.T.astype(np.int64)))
    golden.numpy("matmul", np.matmul, (np.array([[100, 2]], np.int8),
                                       np.array([[3], [-4]], np.int8)))
    x, weight, bias = uniform(2, 2, 3), uniform(4, 3), uniform(4)
    golden.torch("linear", F.linear, (x, weight, bias), "f32")
    golden.torch("linear", F.linear, (x[0], weight, None), "f64")


def convolutions():
    x, weight = uniform(1, 2, 4, 4), uniform(2, 2, 3, 2)
    cases = [(uniform(2, 2, 3, 3), uniform(2, 2, 2, 2), uniform(2), (1, 1), (0, 0), (1, 1), 1),
             (x, weight, None, (2, 1), (1, 2), (1, 1), 1),
             (x, weight, uniform(2), (1, 2), (2, 1), (2, 3), 1),
             (x, uniform(4, 1, 2, 3), None, (2, 3), (1, 0), (1, 1), 2),
             (x, uniform(2, 1, 3, 3), uniform(2), (2, 2), (1, 1), (1, 1), 2),
             (uniform(1, 1, 4, 4), uniform(2, 1, 1, 1), None, (3, 3), (0, 0), (1, 1), 1)]
    for index, (image, kernel, bias, stride, padding, dilation, groups) in enumerate(cases):
        attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        dtype = "f64" if index == 5 else "f32"
        golden.torch("conv2d", lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation, groups),
                     (image, kernel, bias), dtype, attrs)


def pools():
    x = distinct(1, 2, 4, 5)
    equal_and_nan = np.array([[[[1.0, 1.0, -INF, -INF], [1.0, 1.0, -INF, -INF],
                                [0.0, NAN, 3.0, 2.0], [5.0, 1.0, 2.0, 3.0]]]])
    for kernel, stride, padding in ((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)):
        attrs = {"kernel_size": kernel, "stride": stride, "padding": padding}
        for values in x, equal_and_nan:
            golden.torch("max_pool2d", lambda x: F.max_pool2d(
                x, kernel, stride, padding, return_indices=True), (values,), "f32", attrs,
                integers=np.int32)
        for counted in (True, False) if any(padding) else (True,):
            golden.torch("avg_pool2d", lambda x: F.avg_pool2d(
                x, kernel, stride, padding, count_include_pad=counted), (x,), "f32",
                {**attrs, "count_include_pad": counted})
    planes, places = uniform(1, 2, 3, 2), np.array([[[[0, 5, 5]], [[2, 1, 2]]]], dtype=np.int32)
    golden.torch("max_pool2d_gather", lambda x, i: torch.gather(
        x.flatten(2), 2, i.long().flatten(2)).reshape(i.shape), (planes, places), "f32")


def networks():
    x = uniform(2, 3, 2)
    extreme = np.array([[1000.0, 999.0, -1000.0], [-INF, 0.0, 1.0], [-INF, -INF, -INF],
                        [INF, 0.0, 1.0], [NAN, 0.0, 1.0], [1e-30, 2e-30, -90.0]])
    for name, f in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
        for axis in -1, 1, 0:
            golden.torch(name, lambda x: f(x, axis), (x,), "f32", {"axis": axis})
        golden.torch(name, lambda x: f(x, -1), (extreme,), "f32", grad=False, ulps=8)
    golden.torch("softmax", lambda x: torch.softmax(x, -1), (x,), "bf16", ulps=1, grad=False)
    for p, passes in (0.0, True), (1.0, False):
        golden.torch("dropout", lambda x, key: (F.dropout(x, p), torch.full(x.shape, passes)),
                     (uniform(3), np.array([1, 2])), "f32", {"p": p})
    mean, var, weight, bias = uniform(3), np.abs(uniform(3)) + 0.1, uniform(3), uniform(3)
    # F.batch_norm gives values, the definition below also the gradients of the statistics.
    golden.torch("batch_norm", lambda *args: F.batch_norm(*args, eps=1e-3),
                 (uniform(2, 3, 2, 2), mean, var, weight, bias), "f32", {"eps": 1e-3}, grad=False)
    golden.torch("batch_norm", lambda x, m, v, w, b: F.batch_norm(x, m, v),
                 (uniform(4, 3), mean, var, None, None), "f32", grad=False)
    golden.torch("batch_norm", lambda x, m, v, w, b: channels(
        (x.movedim(1, -1) - m) / torch.sqrt(v + 1e-5) * w + b),
        (uniform(2, 3, 2), mean, var, weight, bias), "f32")


def channels(x):
    return x.movedim(-1, 1)


def losses():
    logits, labels = 3 * uniform(3, 3), np.array([0, 2, 1])
    images, places = uniform(2, 2, 2), np.array([[0, 1], [1, 1]])
    inside = np.round(np.abs(uniform(3, 3)) / 2.1 + 0.02, 2)
    targets = np.abs(uniform(3, 3)) / 2
    sure = np.array([0.0, 1.0, 0.0, 1.0, 1e-30]), np.array([0.0, 1.0, 1.0, 0.0, 0.25])
    # Right answers with great certainty: the loss is far smaller than the logit.
    certain = (np.array([15.3, -15.3, 30.0, -30.0, 1000.0, -1000.0, 0.0, 100.0]),
               np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.25]))
    for reduction in "none", "mean", "sum":
        attrs = {"reduction": reduction}
        for pair in (logits, labels), (images, places):
            golden.torch("cross_entropy", lambda x, t: F.cross_entropy(x, t, reduction=reduction),
                         pair, "f32", attrs)
        for name in "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss":
            f = getattr(F, name)
            values = logits if name.endswith("logits") else inside
            golden.torch(name, lambda x, t: f(x, t, reduction=reduction), (values, targets), "f32",
                         attrs)
    none = {"reduction": "none"}
    golden.torch("cross_entropy", lambda x, t: F.cross_entropy(x, t, reduction="none"),
                 (np.array([[1000.0, 0.0, -1000.0], [20.0, 0.0, -1.0], [-INF, 0.0, 1.0]]),
                  np.array([1, 0, 2])), "f32", none, grad=False, ulps=8)
    # The gradient of the target is left out: PyTorch's does not belong to its bounded loss.
    golden.torch("binary_cross_entropy",
                 lambda x, t: F.binary_cross_entropy(x, t, reduction="none"), sure, "f32", none,
                 constant=[1])
    # By definition: F.binary_cross_entropy_with_logits cancels for certain answers itself.
    for dtype in "f32", "f64":
        golden.torch("binary_cross_entropy_with_logits",
                     lambda x, t: -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x)), certain,
                     dtype, none, scale=0, grad=False)


def indexing():
    x, rows = uniform(4, 3), np.array([[0, 3, -1], [2, -4, 0]])
    for axis in 0, -2, 1:
        some = rows if axis != 1 else np.array([2, 0, -1, 2], dtype=np.int32)
        golden.torch("take", lambda x, i: torch_take(x, i, axis), (x, some), "f64", {"axis": axis})
        golden.numpy("take", lambda x, i: np.take(x, i, axis), (np.arange(12).reshape(4, 3), some),
                     None, {"axis": axis})
    along = np.array([[0, 3, -1], [2, -4, 0]])
    golden.torch("take_along_axis", lambda x, i: torch.gather(x, 0, i % 4), (x, along), "f64",
                 {"axis": 0})
    golden.torch("take_along_axis", lambda x, i: torch.gather(x, 1, i % 3),
                 (x, np.array([[0], [-1], [1], [2]])), "f64", {"axis": -1})
    golden.torch("put_along_axis_add", lambda v, i: torch.zeros(4, 3, dtype=v.dtype).scatter_add(
        0, i, v), (uniform(3, 3), np.array([[0, 3, 1], [0, 1, 1], [2, 3, 1]])), "f64",
        {"shape": [4, 3], "axis": 0})
    index_places()
    classes = np.array([[2, 0], [3, 3]])
    golden.numpy("one_hot", lambda i: np.eye(4, dtype=np.float32)[i], (classes,), "f32",
                 {"num_classes": 4, "dtype": "f32"})
    golden.numpy("one_hot", lambda i: np.eye(5, dtype=bool)[i], (classes.astype(np.uint8),), None,
                 {"num_classes": 5, "dtype": "bool"})


def index_places():
    """x[rows, :, columns] and the like: read, assigned, and assigned through a mask."""
    x, rows, columns = uniform(4, 3, 5), np.array([[0], [-1]]), np.array([2, -5, 2])
    taken, mine = x[rows, :, columns], np.zeros_like(x)
    slopes = uniform(*taken.shape)
    np.add.at(mine, (rows, slice(None), columns), slopes)
    golden.add("index", (x, rows, columns), (taken,), "f64", {"axes": [0, 2], "at": 0},
               cotangent=slopes, grads=(mine, None, None))
    changed, slopes, last = x.copy(), uniform(*x.shape), np.array([0, 1, 1])
    values = uniform(2, 3, 1)
    changed[rows, :, columns] = values
    mine, theirs = slopes.copy(), slopes[rows, :, columns] * last[:, None]
    mine[rows, :, columns] = 0
    attrs = {"start": [0, 0, 0], "step": [1, 1, 1], "count": [4, 3, 5], "axes": [0, 2], "at": 0}
    golden.add("index_update", (x, values, rows, columns), (changed,), "f64", attrs,
               cotangent=slopes, grads=(mine, theirs.sum(2, keepdims=True), None, None))
    mask, values = uniform(3, 5) > 0, uniform(5)
    golden.add("mask_update", (x, mask, values), (np.where(mask, values, x),), "f64",
               cotangent=slopes, grads=(np.where(mask, 0, slopes), None,
                                        np.where(mask, slopes, 0).sum((0, 1))))


def torch_take(x, indices, axis):
    """numpy.take in PyTorch."""
    axis %= x.ndim
    flat = (indices % x.shape[axis]).reshape(-1).long()
    return x.index_select(axis, flat).reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1:])


def layouts():
    x = uniform(2, 3, 2)
    golden.torch("reshape", lambda x: x.reshape(4, -1), (x,), "f64", {"shape": [4, -1]})
    golden.torch("permute_dims", lambda x: x.permute(2, 0, 1), (x,), "f64", {"axes": [-1, 0, 1]})
    golden.torch("broadcast_to", lambda x: x.broadcast_to(2, 3, 2), (uniform(3, 1),), "f64",
                 {"shape": [2, 3, 2]})
    golden.torch("contiguous", lambda x: x.contiguous(), (x,), "f64")
    golden.torch("slice", lambda x: x[:, 1:], (x,), "f64", {"axis": 1, "start": 1})
    golden.torch("slice", lambda x: x.flip(2)[..., 1::2], (x,), "f64",
                 {"axis": -1, "start": -2, "stop": None, "step": -2})
    line = np.arange(7)
    for start, stop, step in (None, None, -1), (-3, None, 1), (5, -7, -2), (9, 2, -3), (4, 2, 1):
        golden.numpy("slice", lambda x: x[start:stop:step], (line,), None,
                     {"axis": 0, "start": start, "stop": stop, "step": step})
    golden.torch("slice_update", lambda x, v: torch.cat([v.expand(2, 1, 2), x[:, 1:2],
                                                         v.expand(2, 1, 2)], 1),
                 (x, uniform(2)), "f64", {"axis": 1, "start": 0, "stop": None, "step": 2})
    golden.torch("concat", lambda *xs: torch.cat(xs, 1),
                 (uniform(2, 1), uniform(2, 3), uniform(2, 2)), "f64", {"axis": -1})
    golden.numpy("concat", lambda *xs: np.concatenate(xs, 0),
                 (line[:2], line[:0], line[4:]), None, {"axis": 0})
    golden.torch("pad", lambda x: F.pad(x, (1, 2, 0, 3), value=-1.5), (x[0],), "f64",
                 {"widths": [0, 3, 1, 2], "value": -1.5})
    golden.numpy("pad", lambda x: np.pad(x, ((2, 1),), constant_values=9), (line,), None,
                 {"widths": [2, 1], "value": 9.0})


def casts():
    # Ties, the largest finite numbers, the step to infinity, subnormals: of f16, then of bf16.
    f16 = [NAN, INF, -INF, -0.0, 2049, 2051, 65504, 65519, 65520, 6e-8, 2.98e-8, 2.9803e-8, 1e-9,
           6.1e-5, 6.0976e-5, 0.1, -1 / 3]
    bf16 = [257, 259, 3.3895e38, 3.3962e38, 1e-40, 9.2e-41, 4.5e-41, -1e-45, 1.00390625, 1.01171875]
    values = np.array(f16 + bf16)
    for dtype in "f16", "bf16", "f64":
        golden.cast(values, "f32", dtype)
        golden.cast(values.reshape(3, 9)[:, ::-1].copy(), "f32", dtype)
    # Just beside a tie of f16, which rounding to f32 first would make one.
    beside = np.array([1 + 2.0**-11 + 2.0**-40, 1 - 2.0**-12 + 2.0**-40, -65520 + 2.0**-30])
    golden.cast(beside, "f64", "f16")
    golden.cast(np.array([0.1, 1e300, -1e-300, NAN, 1 + 2.0**-24, 16777217.0]), "f64", "f32")
    golden.cast(np.array([0.5, 65504.0, -6e-8]), "f16", "bf16")
    golden.cast(np.array([1.5, 1e38, -0.0]), "bf16", "f16")
    fractions = np.array([-1.9, -0.5, 0.5, 1.9, 2.5, 100.7, 127.9])
    for dtype in "i8", "i16", "i32", "i64":
        golden.cast(fractions, "f32", dtype)
    golden.cast(np.array([0.9, 254.99, 3.5]), "f32", "u8")
    golden.cast(np.array([9007199254740993.0, -2.0**62, 2.0**31]), "f64", "i64")
    golden.cast(np.array([0.0, -0.0, 1e-45, NAN, -2.0]), "f32", "bool")
    integers = np.array([2**63 - 1, -2**63, 16777217, 300, -1, 0, 129, 65536 * 3 + 7])
    for dtype in "i8", "i16", "i32", "u8", "f32", "f64", "bool":
        golden.cast(integers, "i64", dtype)
    golden.cast(np.array([200, 0, 255]), "u8", "i8")
    golden.cast(np.array([True, False]), "bool", "f16")
    golden.torch("astype", lambda x: x * 1, (np.array([0.1, -3.0]),), "f32", {"dtype": "f64"},
                 out="f64")


def optimizers():
    """The steps of torch.optim, each from the state before to the state after."""
    start, slopes = uniform(3), uniform(3, 3)
    sgd_steps(start, slopes)
    adam_steps(start, slopes)
    rmsprop_steps(start, slopes)


def update_steps(name, make, options, slots, start, slopes):
    """Steps of one optimizer; `slots` are the names of its state in the order of our slots."""
    p = torch.tensor(start)
    optimizer = make([p])
    for step, slope in enumerate(slopes):
        before = p.numpy().copy()
        # A state that is not there yet is any of zeros.
        states = [optimizer.state[p][slot].numpy().copy() if step else np.zeros(p.shape)
                  for slot in slots]
        p.grad = torch.tensor(slope)
        optimizer.step()
        # The optimizer made two steps more, in which the parameter had no part.
        golden.add(name, (before, slope, 0.01, np.int64(step + 3), np.int64(2), *states),
                   (p.numpy(), *(optimizer.state[p][slot].numpy() for slot in slots)), "f32",
                   options, ulps=32, scale=1)


def sgd_steps(start, slopes):
    for momentum, dampening, decay, nesterov in ((0.0, 0.0, 0.0, False), (0.0, 0.0, 0.1, False),
                                                 (0.9, 0.0, 0.0, False), (0.8, 0.3, 0.0, False),
                                                 (0.8, 0.0, 0.01, True)):
        update_steps("sgd_update",
                     lambda p: torch.optim.SGD(p, 0.01, momentum, dampening, decay, nesterov),
                     {"momentum": momentum, "dampening": dampening, "weight_decay": decay,
                      "nesterov": nesterov},
                     ["momentum_buffer"] if momentum else [], start, slopes)


def adam_steps(start, slopes):
    for name, kind, betas, eps, decay in (
            ("adam_update", torch.optim.Adam, (0.9, 0.999), 1e-8, 0.0),
            ("adam_update", torch.optim.Adam, (0.8, 0.9), 1e-3, 0.1),
            ("adamw_update", torch.optim.AdamW, (0.9, 0.999), 1e-8, 0.01),
            ("adamw_update", torch.optim.AdamW, (0.8, 0.9), 1e-3, 0.5)):
        update_steps(name, lambda p: kind(p, 0.01, betas, eps, decay),
                     {"betas": list(betas), "eps": eps, "weight_decay": decay},
                     ["exp_avg", "exp_avg_sq"], start, slopes)


def rmsprop_steps(start, slopes):
    for alpha, decay, momentum, centered in ((0.99, 0.0, 0.0, False), (0.9, 0.1, 0.0, True),
                                             (0.9, 0.0, 0.8, False), (0.8, 0.01, 0.5, True)):
        slots = ["square_avg"] + ["momentum_buffer"] * (momentum > 0) + ["grad_avg"] * centered
        update_steps("rmsprop_update",
                     lambda p: torch.optim.RMSprop(p, 0.01, alpha, 1e-8, decay, momentum, centered),
                     {"alpha": alpha, "eps": 1e-8, "weight_decay": decay, "momentum": momentum,
                      "centered": centered}, slots, start, slopes)


def integer_operators():
    for kind in np.int8, np.int32, np.int64, np.uint8, np.uint32, np.uint64:
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        values = np.array([low, high, 1, 7, 100], dtype=kind)
        for name in "bitwise_and", "bitwise_or", "bitwise_xor":
            golden.numpy(name, getattr(np, name), (values.reshape(5, 1), values))
        golden.numpy("bitwise_invert", np.invert, (values,))
        divisors = np.array([3, high, -1, -7] if low else [3, high, 5], dtype=kind)
        golden.numpy("remainder", np.remainder, (values.reshape(5, 1), divisors))
    flags = np.array([False, True])
    for name in "bitwise_and", "bitwise_or", "bitwise_xor":
        golden.numpy(name, getattr(np, name), (flags.reshape(2, 1), flags))


def remainders():
    ordinary = np.array([5.5, -5.5, 1e30, 0.3, 7.0, -7.0])
    for dtype, values in {"f32": SPECIAL, "f64": SPECIAL[:7], "bf16": ordinary}.items():
        values = np.concatenate([values, ordinary])
        golden.numpy("remainder", np.remainder, (values.reshape(-1, 1), values), dtype,
                     ulps=int(dtype == "bf16"), zero_sign=True)
    x, y = np.array([[5.5, -5.5, 0.75], [9.25, -1.5, -8.0]]), np.array([2.0, 2.5, -3.0])
    slope = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]])
    # With the quotient held fixed, x - y * floor(x / y) has these slopes.
    golden.add("remainder", (x, y), (np.remainder(x, y),), "f64", cotangent=slope,
               grads=(slope, -(slope * np.floor(x / y)).sum(0)))


def truths():
    values = np.array([[0.0, NAN, -0.0], [0.0, 0.0, 0.0], [1.0, -INF, 1e-40]])
    for name, f in {"any": np.any, "all": np.all}.items():
        golden.numpy(name, f, (values != 0,))
        golden.numpy(name, lambda x: f(x, axis=1), (values,), "f32", {"axis": [1]})
        golden.numpy(name, lambda x: f(x, axis=0, keepdims=True), (np.array([[0, 3], [5, -1]]),),
                     None, {"axis": [0], "keepdims": True})
        golden.numpy(name, lambda x: f(x, axis=0), (np.zeros((0, 2)),), "f32", {"axis": [0]})


def products_of_vectors():
    v, w = np.array([1.5, -2.0, 0.25]), np.array([4.0, 0.5, -3.0])
    m = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.75]])
    g = np.array([2.0, -0.5])
    batch = np.arange(12.0).reshape(2, 3, 2)
    golden.add("matmul", (v, w), (v @ w,), "f64", cotangent=np.array(2.0), grads=(2 * w, 2 * v))
    golden.add("matmul", (m, v), (m @ v,), "f64", cotangent=g, grads=(np.outer(g, v), g @ m))
    golden.add("matmul", (v, m.T.copy()), (v @ m.T,), "f64", cotangent=g,
               grads=(m.T @ g, np.outer(v, g)))
    golden.numpy("matmul", np.matmul, (v, batch), "f32")
    golden.numpy("matmul", np.matmul, (batch.swapaxes(1, 2).copy(), v), "f16")
    golden.numpy("matmul", np.matmul, (np.array([100, 2], np.int8), np.array([3, -4], np.int8)))


def complex_numbers():
    z = uniform(2, 3) + 1j * uniform(2, 3)
    w = uniform(3) + 1j * uniform(3)
    pairs = {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div}
    for name, f in pairs.items():
        golden.torch(name, f, (z, w), "f64")
    for name, f in {"negative": torch.neg, "abs": torch.abs, "imag": lambda x: x.imag * 1,
                    "real": lambda x: x.real * 1, "sum": torch.sum, "mean": torch.mean}.items():
        golden.torch(name, f, (z,), "f64")
    golden.torch("real", lambda x: x * 1, (z.real.copy(),), "f64")
    for name in "equal", "not_equal":
        golden.numpy(name, getattr(np, name), (z, np.where(z.real > 0, z, w)))
    golden.torch("conj", torch.conj_physical, (z,), "f64")


def main():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing
        for family in (arithmetic, exact_functions, elementary_functions, activations, comparisons,
                       reductions, products, convolutions, pools, networks, losses, indexing,
                       layouts, casts, optimizers, integer_operators, remainders, truths,
                       products_of_vectors):
            family()
        for family in golden_views.FAMILIES:
            family(golden)
        complex_numbers()  # these last, since they draw numbers
        for family in golden_losses.FAMILIES + golden_norms.FAMILIES:
            family(golden)
    golden.cases.sort(key=lambda case: case["op"])
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in golden.cases)
    Path(__file__).with_name("golden.json").write_text(f"[\n{lines}\n]\n")


main()

"""Cases of make_golden.py: what makes tensors, what joins, cuts and turns their axes."""

import functools
import math

import numpy as np
import torch

from golden_format import uniform


def creation(golden):
    golden.numpy("full", lambda: np.full((3, 2), -1.5), (), "f32",
                 {"shape": [3, 2], "value": -1.5})
    golden.numpy("full", lambda: np.full((), 7), (), None,
                 {"shape": [], "value": 7, "dtype": "i64"})
    for name, make in {"zeros": np.zeros, "ones": np.ones}.items():
        golden.numpy(name, functools.partial(make, (2, 3)), (), "f64",
                     {"shape": [2, 3], "dtype": "f64"})
    x = uniform(2, 3)
    golden.numpy("full_like", lambda x: np.full_like(x, 2.5), (x,), "f32", {"value": 2.5})
    golden.numpy("zeros_like", np.zeros_like, (x,), "f32")
    golden.numpy("ones_like", np.ones_like, (np.arange(3),))
    golden.numpy("arange", lambda: np.arange(9, -3, -5), (), None,
                 {"start": 9, "stop": -3, "step": -5})
    golden.numpy("arange", lambda: np.arange(0.5, 2, 0.3), (), "f64",
                 {"start": 0.5, "stop": 2, "step": 0.3, "dtype": "f64"}, ulps=1)
    golden.numpy("linspace", lambda: np.linspace(-1, 2, 7), (), "f64",
                 {"start": -1, "stop": 2, "num": 7, "dtype": "f64"}, ulps=1)
    golden.numpy("linspace", lambda: np.linspace(0, 1, 5, endpoint=False), (), "f32",
                 {"start": 0, "stop": 1, "num": 5, "endpoint": False})
    golden.numpy("eye", lambda: np.eye(3, 5, -1), (), "f32", {"n_rows": 3, "n_cols": 5, "k": -1})


def axes_of_views(golden):
    x = uniform(2, 1, 3, 4)
    golden.numpy("flatten", lambda x: x.reshape(2, 3, 4), (x,), "f32",
                 {"start_axis": 1, "end_axis": -2})
    golden.numpy("expand_dims", lambda x: np.expand_dims(x, -2), (x,), "f32", {"axis": -2})
    golden.numpy("squeeze", lambda x: np.squeeze(x, 1), (x,), "f32", {"axis": 1})
    golden.numpy("squeeze", np.squeeze, (x,), "f32")
    golden.numpy("matrix_transpose", np.matrix_transpose, (x,), "f32")
    golden.numpy("flip", lambda x: np.flip(x, (0, -1)), (x,), "f32", {"axis": [0, -1]})
    golden.numpy("flip", np.flip, (x,), "f32")
    y = uniform(2, 3)
    golden.torch("stack", lambda *xs: torch.stack(xs, -1), (y, y + 1, y * 2), "f64", {"axis": -1})
    for correction in 0, 1:
        golden.torch("std", lambda x, c=correction: torch.std(x, 1, correction=c), (y,), "f64",
                     {"axis": 1, "correction": correction})


def hyperbolic(golden):
    values = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, -1e-10, -9.5, -2.3, -1,
                       -0.3, 0.01, 0.4, 3.3, 12, 19.9, 20.1, -88.1, 88.6, 89.4, 89.5, 709.5, 710.4,
                       -710.5, 1e30])
    for dtype in "f32", "f64":
        golden.numpy("sinh", np.sinh, (values,), dtype, ulps=4, zero_sign=True)
    ordinary = np.array([-3.7, -1, -0.625, -1e-3, 1e-9, 0.3, 0.75, 1, 2.5, 6.1])
    golden.torch("sinh", torch.sinh, (ordinary,), "f64", ulps=16)
    for dtype in "f32", "f64", "f16", "bf16":
        numbers = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, 1, -2.75, 0.3, 12, 6e4, 6e-8,
                            1e-40])
        golden.numpy("frexp", np.frexp, (numbers,), dtype, zero_sign=True)
    tiny = np.array([5e-324, -1.1e-308, 2.3e-308, 1.7e308])
    golden.numpy("frexp", np.frexp, (tiny,), "f64")
    golden.torch("frexp", lambda x: torch.frexp(x), (ordinary,), "f64", integers=np.int32)


def parts(golden):
    x = uniform(7, 4)
    golden.torch("split", lambda x: torch.split(x, 3), (x,), "f64", {"split_size": 3})
    golden.torch("split", lambda x: torch.split(x, [1, 0, 3], -1), (x,), "f64",
                 {"sizes": [1, 0, 3], "axis": -1})


FAMILIES = creation, axes_of_views, hyperbolic, parts

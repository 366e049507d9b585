"""Cases of make_golden.py: normalisations whose numbers are drawn behind all others."""

import math

import numpy as np
import torch.nn.functional as F

from golden_format import uniform


def layer_norm(golden, x, weight, bias, dtype, eps=1e-5, **how):
    """Of the last axes, as many as weight or bias has, or of the last one."""
    shape = next((p.shape for p in (weight, bias) if p is not None), x.shape[-1:])
    golden.torch("layer_norm", lambda x, w, b: F.layer_norm(x, shape, w, b, eps),
                 (x, weight, bias), dtype, {"normalized_shape": list(shape), "eps": eps}, **how)


def ordinary_rows(golden):
    layer_norm(golden, uniform(3, 7), uniform(7), uniform(7), "f32", ulps=8)
    layer_norm(golden, uniform(2, 3, 5), uniform(3, 5), None, "f64", eps=0.25)
    layer_norm(golden, uniform(4, 5), None, uniform(5), "f32", eps=1e-3, ulps=8)
    layer_norm(golden, uniform(2, 2, 4), None, None, "f64", eps=0.0, ulps=16)
    layer_norm(golden, uniform(6), uniform(6), uniform(6), "f32", ulps=8)
    layer_norm(golden, uniform(5, 70), uniform(70), uniform(70), "f32", ulps=8)  # beyond 32 lanes
    for dtype in "f16", "bf16":
        layer_norm(golden, uniform(3, 5), uniform(5), uniform(5), dtype, ulps=1)


def edges_of_layer_norm(golden):
    weight, bias = uniform(4), uniform(4)
    # What is wrong in a row stays there; equal elements have no spread.
    rows = np.array([[1.0, 2.0, 4.0, -3.0], [math.nan, 1, 2, 3], [0.5, 1, 2, 4],
                     [math.inf, 1, 2, 3], [-1, 0.25, math.inf, -math.inf], [0.1, 0.1, 0.1, 0.1],
                     [3, -4, 0.5, 1]])
    for dtype in "f32", "f64", "f16":
        layer_norm(golden, rows, weight, bias, dtype, grad=False)
    # Sizes whose squares are no number of f32, and a mean that is large beside the spread.
    spread = np.array([1.0, -2.0, 3.5, 0.25])
    for dtype in "f32", "f64":
        layer_norm(golden, np.outer([1e30, 1e-18, 1e-30, 3e37], spread), weight, bias, dtype,
                   eps=0.0, ulps=32, grad=False)
    # The reference, in f64, knows the f32 case to all digits, and would not an f64 one.
    layer_norm(golden, 1e4 + spread * [[1], [0.125]], weight, bias, "f32", ulps=32, grad=False)
    layer_norm(golden, 1e4 + uniform(2, 4), weight, bias, "f32", ulps=32)
    layer_norm(golden, uniform(3, 1), uniform(1), uniform(1), "f32")
    layer_norm(golden, np.zeros((0, 4)), weight, bias, "f32")


FAMILIES = ordinary_rows, edges_of_layer_norm

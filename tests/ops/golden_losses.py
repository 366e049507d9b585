"""Cases of make_golden.py: losses whose numbers are drawn behind all others."""

import numpy as np
import torch
import torch.nn.functional as F

from golden_format import uniform


def huber(golden):
    x, far = uniform(3, 4), 2 * uniform(3, 4)
    for reduction in "none", "mean", "sum":
        for delta in 0.5, 1.0:
            attrs = {"reduction": reduction, "delta": delta}
            golden.torch("huber_loss", lambda x, t: F.huber_loss(x, t, **attrs), (x, far), "f32",
                         attrs)


FAMILIES = (huber,)

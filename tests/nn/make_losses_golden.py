#!/usr/bin/env python3
"""Writes losses_golden.json beside this file: losses with the results of PyTorch.

Needs numpy and torch. One line is one case: a loss by its registered name, which is PyTorch's, its
options, the operands, the result, and the gradients of the floating operands for a cotangent. A new
loss is a row in `LOSSES`.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch

RNG = np.random.default_rng(11)
DTYPES = {"f32": (np.float32, 2e-6), "f64": (np.float64, 1e-13)}
NAMES = {np.dtype(np.int32): "i32", np.dtype(np.int64): "i64"}


def numbers(*shape, low=-2, high=2):
    return np.round(RNG.uniform(low, high, shape), 2)


def labels(classes, *shape):
    return RNG.integers(0, classes, shape)


def probabilities(*shape):
    return numbers(*shape, low=0.05, high=0.95)


def log_probs(*shape):
    return np.round(np.log(RNG.dirichlet(np.ones(shape[-1]), shape[:-1])), 3)


def ctc_correction(loss, operands):
    """What PyTorch's gradient has beside the derivative: it supposes normalized probabilities, and
    so adds exp(log_probs) in the frames of a sequence that has an alignment."""
    x, targets, frames, lengths = operands
    one = x.dim() == 2
    x, targets = (x[:, None], targets[None]) if one else (x, targets)
    frames, lengths = frames.reshape(-1), lengths.reshape(-1)
    losses = torch.nn.functional.ctc_loss(x, targets, frames, lengths, loss.blank, "none")
    within = (torch.arange(len(x))[:, None] < frames) & losses.isfinite()
    mass = torch.where(within, x.exp().sum(2), 0).sum(0)
    mass = mass - mass.detach()
    if loss.reduction == "mean":
        return (mass / lengths.clamp(min=1)).mean()
    return mass.sum() if loss.reduction == "sum" or one else mass


# A row: the options beside the reduction, the operands, and what PyTorch's gradient has too much.
LOSSES = {
    "MSELoss": [({}, (numbers(4, 3), numbers(4, 3)))],
    "HuberLoss": [({}, (numbers(4, 3), numbers(4, 3))),
                  ({"delta": 0.25}, (numbers(7), numbers(7))),
                  ({"delta": 3.0}, (numbers(2, 3, 2), numbers(2, 3, 2)))],
    "CrossEntropyLoss": [({}, (numbers(5, 4), labels(4, 5))),
                         ({}, (numbers(2, 3, 4), labels(3, 2, 4))),
                         ({}, (numbers(2, 3, 2, 2), labels(3, 2, 2, 2)))],
    "BCELoss": [({}, (probabilities(4, 3), probabilities(4, 3)))],
    "BCEWithLogitsLoss": [({}, (numbers(4, 3), probabilities(4, 3)))],
    "CTCLoss": [
        ({}, (log_probs(7, 3, 4), np.array([[1, 1, 2], [3, 0, 0], [0, 0, 0]]),
              np.array([7, 5, 4]), np.array([3, 1, 0]))),
        ({"blank": 3}, (log_probs(6, 2, 4), np.array([0, 1, 2, 2, 0], dtype=np.int32),
                        np.array([6, 5], dtype=np.int32), np.array([2, 3], dtype=np.int32))),
        ({"zero_infinity": True}, (log_probs(5, 2, 4), np.array([[1, 1, 1], [1, 2, 3]]),
                                   np.array([4, 5]), np.array([3, 3]))),
        ({}, (log_probs(5, 4), np.array([2, 1]), np.array(5), np.array(2)))],
}
CORRECTIONS = {"CTCLoss": ctc_correction}


def number(x):
    """The shortest decimal that is this number in its dtype."""
    return float(str(x)) if isinstance(x, np.floating) else int(x)


def tensor(x, dtype):
    x = np.asarray(x)
    x = x.astype(DTYPES[dtype][0]) if x.dtype.kind == "f" else x
    return {"dtype": NAMES.get(x.dtype, dtype), "shape": list(x.shape),
            "values": [number(v) for v in x.ravel()]}


def case(name, options, arrays, dtype):
    """Computed in double precision from the operands as the dtype holds them."""
    loss = getattr(torch.nn, name)(**options)
    operands = []
    for x in arrays:
        exact = x.astype(DTYPES[dtype][0]).astype(np.float64) if x.dtype.kind == "f" else x
        operands.append(torch.tensor(exact, requires_grad=x.dtype.kind == "f"))
    result = loss(*operands)
    corrected = result
    if name in CORRECTIONS:
        corrected = result - CORRECTIONS[name](loss, operands)
    cotangent = numbers(*result.shape, low=0.5)
    variables = [x for x in operands if x.requires_grad]
    found = iter(torch.autograd.grad(corrected, variables, torch.tensor(cotangent)))
    grads = [tensor(next(found).numpy(), dtype) if x.requires_grad else None for x in operands]
    return {"loss": name, "options": options, "operands": [tensor(x, dtype) for x in arrays],
            "result": tensor(result.detach().numpy(), dtype),
            "cotangent": tensor(cotangent, dtype), "grads": grads, "tolerance": DTYPES[dtype][1]}


def main():
    cases = [case(name, {**options, "reduction": reduction}, arrays, dtype)
             for name, rows in LOSSES.items()
             for (options, arrays), reduction, dtype in itertools.product(
                 rows, ("none", "mean", "sum"), DTYPES)]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in cases)
    Path(__file__).with_name("losses_golden.json").write_text(f"[\n{lines}\n]\n")


main()

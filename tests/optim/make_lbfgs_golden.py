#!/usr/bin/env python3
"""Writes lbfgs_golden.json: make_lbfgs_golden.py, with PyTorch.

The parameters after each step of LBFGS in float64 on three losses of x and y, how often it looked
at the loss, and PyTorch's names of what it keeps. lbfgs_test.cpp has the same losses.
"""

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)


def quadratic(x, y):
    """A bowl that is 50 times as steep in one direction, with both parameters in each."""
    scale = torch.tensor([1.0, 4.0, 50.0])
    return (scale * (x - 1) ** 2).sum() / 2 + (x.sum() + y) ** 2 / 4 + (y + 2) ** 2


def rosenbrock(x, y):
    return (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + (y - x[2]) ** 2 + x[2] ** 2).sum()


def quartic(x, y):
    return (x ** 4).sum() + torch.cosh(y).sum() + (x[0] * y).sum()


LOSSES = {"quadratic": quadratic, "rosenbrock": rosenbrock, "quartic": quartic}


def case(loss_name, options, steps):
    x = torch.nn.Parameter(torch.tensor([-1.2, 1.0, 0.5]))
    y = torch.nn.Parameter(torch.tensor([0.75]))
    optimizer = torch.optim.LBFGS([x, y], **options)

    def closure():
        optimizer.zero_grad()
        loss = LOSSES[loss_name](x, y)
        loss.backward()
        return loss

    path, losses = [], []
    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
        path.append(x.tolist() + y.tolist())
    state = optimizer.state[x]
    return {"loss": loss_name, "options": options, "path": path, "losses": losses,
            "func_evals": state["func_evals"], "n_iter": state["n_iter"]}


def all_cases():
    search = {"line_search_fn": "strong_wolfe"}
    for loss in LOSSES:
        yield case(loss, search, 3)
        yield case(loss, {**search, "max_iter": 3}, 8)
        yield case(loss, {**search, "max_iter": 4, "history_size": 2}, 6)
        yield case(loss, {**search, "max_iter": 10, "max_eval": 5}, 5)
        yield case(loss, {**search, "lr": 0.1, "max_iter": 5}, 5)
    yield case("quadratic", {}, 2)
    yield case("quadratic", {"lr": 0.5, "max_iter": 4}, 6)
    yield case("quartic", {"lr": 0.5, "max_iter": 4, "history_size": 3}, 6)
    yield case("rosenbrock", {"lr": 0.01, "max_iter": 5}, 6)
    yield case("quadratic", {"max_iter": 1}, 5)
    yield case("quadratic", {"tolerance_grad": 0.5}, 3)
    yield case("quadratic", {**search, "tolerance_change": 0.1}, 3)


lines = ",\n".join(json.dumps(found) for found in all_cases())
Path(__file__).with_name("lbfgs_golden.json").write_text(f"[\n{lines}\n]\n")

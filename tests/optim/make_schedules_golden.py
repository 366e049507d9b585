#!/usr/bin/env python3
"""Writes schedules_golden.json: make_schedules_golden.py, with PyTorch.

Schedules by name with their options, and for each step the rates of the optimizer's groups and,
where the schedule moves it, their momentum or beta1. `numbers` are those that a schedule watches.
"""

import json
import math
import warnings
from pathlib import Path

import torch
from torch.optim import SGD, Adam, lr_scheduler

warnings.filterwarnings("ignore")


def optimizer_of(kind, rates):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in rates]
    return SGD(groups, momentum=0.9) if kind == "SGD" else Adam(groups)


def case(name, options, steps, kind="SGD", rates=(0.1,), numbers=None):
    optimizer = optimizer_of(kind, rates)
    scheduler = getattr(lr_scheduler, name)(optimizer, **options)
    groups = optimizer.param_groups
    lr, momentum = [], []
    for i in range(steps):
        lr.append([group["lr"] for group in groups])
        momentum.append([group["betas"][0] if kind == "Adam" else group["momentum"]
                         for group in groups])
        optimizer.step()
        scheduler.step(*([numbers[i]] if numbers else []))
    found = {"name": name, "options": options, "optimizer": kind, "first": list(rates),
             "lr": lr, "momentum": momentum}
    if numbers:
        state = scheduler.state_dict()
        found["numbers"] = numbers
        found["bad"] = state["num_bad_epochs"]
        found["cooldown"] = state["cooldown_counter"]
        found["best"] = state["best"]
    return found


def all_cases():
    one = {"max_lr": 0.5}
    yield case("StepLR", {"step_size": 3, "gamma": 0.5}, 10)
    yield case("StepLR", {"step_size": 2}, 8, rates=(0.1, 0.02))
    yield case("CosineAnnealingLR", {"T_max": 7}, 8)
    yield case("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}, 8, rates=(0.1, 0.5))
    yield case("LinearLR", {}, 8)
    yield case("LinearLR", {"start_factor": 1.0, "end_factor": 0.25, "total_iters": 4}, 8)
    yield case("OneCycleLR", {**one, "total_steps": 20}, 20)
    yield case("OneCycleLR", {**one, "epochs": 3, "steps_per_epoch": 7}, 21, kind="Adam")
    yield case("OneCycleLR", {**one, "total_steps": 17, "pct_start": 0.4, "div_factor": 10.0,
                              "final_div_factor": 100.0, "anneal_strategy": "linear"}, 17)
    yield case("OneCycleLR", {**one, "total_steps": 23, "three_phase": True}, 23)
    yield case("OneCycleLR", {**one, "total_steps": 11, "three_phase": True, "pct_start": 0.45,
                              "base_momentum": 0.7, "max_momentum": 0.99}, 11, kind="Adam")
    yield case("OneCycleLR", {**one, "total_steps": 12, "cycle_momentum": False}, 12)
    yield case("OneCycleLR", {"max_lr": [0.5, 0.2], "total_steps": 12, "base_momentum": [0.8, 0.5],
                              "max_momentum": [0.9, 0.6]}, 12, rates=(0.1, 0.3))
    yield case("OneCycleLR", {**one, "total_steps": 5, "pct_start": 0.0}, 5)
    yield case("OneCycleLR", {**one, "total_steps": 1}, 1)
    wave = [2 + math.sin(i) + i % 3 / 10 for i in range(24)]
    flat = [1.0] * 24
    fall = [1 / (1 + i) for i in range(8)] + [0.124, 0.1249, 0.2, 0.124, 0.12, 0.3, 0.3, 0.3]
    plateau = "ReduceLROnPlateau"
    yield case(plateau, {}, 24, numbers=flat)
    yield case(plateau, {"patience": 2, "factor": 0.5}, 24, numbers=wave)
    yield case(plateau, {"patience": 1, "factor": 0.5, "cooldown": 2}, 24, numbers=flat)
    yield case(plateau, {"patience": 1, "factor": 0.5, "mode": "max", "threshold": 0.1}, 24,
               numbers=wave)
    yield case(plateau, {"patience": 0, "factor": 0.5, "threshold": 0.002, "threshold_mode": "abs",
                         "cooldown": 1}, 16, numbers=fall)
    yield case(plateau, {"patience": 0, "factor": 0.3, "mode": "max", "threshold_mode": "abs",
                         "min_lr": 0.004}, 24, numbers=wave)
    yield case(plateau, {"patience": 0, "factor": 0.1, "min_lr": [0.001, 0.05], "eps": 1e-3}, 16,
               numbers=fall, rates=(0.1, 0.2))


lines = ",\n".join(json.dumps(found) for found in all_cases())
Path(__file__).with_name("schedules_golden.json").write_text(f"[\n{lines}\n]\n")

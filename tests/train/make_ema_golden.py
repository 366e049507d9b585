#!/usr/bin/env python3
"""Writes ema_golden.json beside this file: values over some updates and what PyTorch's
AveragedModel makes of them. Needs numpy and torch."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

RNG = np.random.default_rng(3)


class Values(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("count", torch.tensor(0))


def case(decay, use_buffers):
    module = Values()
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay),
                             use_buffers=use_buffers)
    steps = []
    for step in range(6):
        weight, mean = (np.round(RNG.uniform(-2, 2, size), 2) for size in (3, 2))
        with torch.no_grad():
            module.weight.copy_(torch.tensor(weight))
            module.mean.copy_(torch.tensor(mean))
            module.count.fill_(7 * step)
        averaged.update_parameters(module)
        steps.append({"weight": weight.tolist(), "mean": mean.tolist(), "count": 7 * step,
                      "averages": {name: value.tolist()
                                   for name, value in averaged.module.state_dict().items()}})
    return {"decay": decay, "use_buffers": use_buffers, "steps": steps}


def main():
    cases = [case(decay, use_buffers)
             for decay in (0.999, 0.9, 0.0) for use_buffers in (False, True)]
    Path(__file__).with_name("ema_golden.json").write_text(json.dumps(cases, indent=1) + "\n")


main()

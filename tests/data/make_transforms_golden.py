#!/usr/bin/env python3
"""Writes transforms_golden.json: make_transforms_golden.py, with PyTorch and torchvision.

Images with what torchvision makes of them: padded (crops are windows of these), turned left to
right, and turned by an angle. No pixel of the turned ones lies at the middle between two others,
where rounding would decide.
"""

import json
from pathlib import Path

import torch
import torchvision
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

DTYPES = {"f32": torch.float32, "f64": torch.float64, "u8": torch.uint8}


def image(dtype, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    if dtype == "u8":
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(DTYPES[dtype])


def tensor(x):
    return {"shape": list(x.shape), "values": x.double().ravel().tolist()}


def pad(dtype, shape, padding, mode, fill=0):
    x = image(dtype, shape, 1)
    sides = [padding] if isinstance(padding, int) else padding
    made = F.pad(x, sides, fill=fill, padding_mode=mode)
    return {"dtype": dtype, "image": tensor(x), "padding": padding, "padding_mode": mode,
            "fill": fill, "made": tensor(made)}


def rotate(dtype, shape, angle, interpolation="nearest", expand=False, center=None, fill=0):
    x = image(dtype, shape, 2)
    made = F.rotate(x, angle, InterpolationMode(interpolation), expand=expand, center=center,
                    fill=fill)
    return {"dtype": dtype, "image": tensor(x), "degrees": [angle, angle],
            "interpolation": interpolation, "expand": expand, "center": center, "fill": fill,
            "made": tensor(made)}


pads = [pad("f32", (1, 4, 5), 2, mode) for mode in ("constant", "edge", "reflect", "symmetric")]
pads += [pad("f64", (3, 4, 5), [1, 2], "reflect"), pad("u8", (3, 4, 5), [1, 2, 3, 0], "symmetric"),
         pad("u8", (3, 4, 5), [0, 3, 1, 2], "constant", 7),
         pad("f32", (3, 3, 4), 1, "constant", [0.25, 0.5, 0.75]),
         pad("f32", (1, 4, 4), 6, "edge"), pad("f64", (1, 4, 4), 4, "symmetric"),
         pad("f32", (1, 4, 4), 3, "reflect"), pad("f32", (1, 1, 1), 1, "symmetric")]
rotations = []
for mode in ("nearest", "bilinear"):
    for angle in (0, 13, -41.5, 90, 180, 271):
        rotations.append(rotate("f32", (1, 8, 8), angle, mode))
    rotations += [rotate("f64", (3, 6, 9), 17, mode, fill=[0.5, 0.25, 1]),
                  rotate("u8", (3, 7, 6), 33, mode, fill=9),
                  rotate("f32", (1, 7, 5), 21, mode, center=[1.3, 4.2]),
                  rotate("f32", (2, 7, 5), 21, mode, expand=True, fill=0.5),
                  rotate("u8", (1, 5, 8), 90, mode, expand=True),
                  rotate("u8", (1, 4, 8), 90, mode, expand=True),
                  rotate("u8", (1, 3, 3), 180, mode, expand=True),
                  rotate("f64", (1, 9, 4), -70.5, mode, expand=True),
                  rotate("f32", (1, 1, 1), 45, mode)]
x = image("f32", (3, 4, 5), 3)
golden = {"made_by": f"torchvision {torchvision.__version__}", "pads": pads,
          "rotations": rotations,
          "flip": {"dtype": "f32", "image": tensor(x), "made": tensor(F.horizontal_flip(x))}}
path = Path(__file__).with_name("transforms_golden.json")
path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"dtype"', '\n{"dtype"') + "\n")

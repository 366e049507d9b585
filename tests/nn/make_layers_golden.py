#!/usr/bin/env python3
"""Writes layers_golden.json beside this file: layers with the results of PyTorch.

Needs the packages numpy and torch. layers_golden_test.cpp reads the file; one line is one case: a
registered layer's name, its options, its mode, the values of its cells in the order of PyTorch's
state_dict, its operands (null: not given) and what PyTorch says of them: the outputs (null: there
is none), the gradients of operands and parameters for a cotangent of each output, and the cells
that the call changed. A case with a `call` gives the layer's own call parameters, too. PyTorch
computes in float64 from what is rounded to the dtype of the case.

A new layer brings its rows: they are all that the test needs of it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[1] / "ops"))
import golden_format as form  # noqa: E402
from golden_format import distinct, exact, largest, uniform  # noqa: E402

cases = []


class Select(torch.nn.Module):
    """A module of what PyTorch has as a function."""

    def __init__(self, dim, index):
        super().__init__()
        self.place = dim, index

    def forward(self, x):
        return torch.select(x, *self.place)


MODULES = {"Select": Select}
# How PyTorch takes the operands in our order, where that is not its own.
CALLS = {
    "LSTM": lambda m, x, *states: m(x, states or None),
    "MultiheadAttention": lambda m, q, k, v, padding=None, mask=None, **call: m(
        q, k, v, key_padding_mask=padding, attn_mask=mask, **call),
}


def flat(results):
    """The tensors of nested tuples."""
    if results is None or isinstance(results, torch.Tensor):
        return [results]
    return [x for each in results for x in flat(each)]


def cell_value(name, cell):
    """The value that a cell of PyTorch's module gets, for a float cell."""
    values = 0.5 * uniform(*cell.shape)
    return np.abs(values) + 0.5 if name.endswith("running_var") else values


def numbers(x):
    return None if x is None else x.detach().numpy()


def with_cells(module, dtype):
    """Gives the module's float cells values; returns those of all."""
    values = {}
    for name, cell in module.state_dict().items():
        if cell.is_floating_point():
            values[name] = cell_value(name, cell)
            cell.copy_(torch.tensor(exact(values[name], dtype)))
        else:
            values[name] = cell.numpy().copy()
    return values


def layer(name, options, *inputs, dtype="f32", training=False, ulps=32, call=None,
          is_derivative=True):
    """One case. A result may differ from PyTorch's by `ulps` of the largest one. Differences are
    not taken where the gradient is not that of the function on purpose."""
    keywords = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    module = MODULES.get(name, getattr(torch.nn, name, None))(**keywords).double().train(training)
    cells = with_cells(module, dtype)
    leaves = [None if x is None else torch.tensor(exact(x, dtype)) for x in inputs]
    floats = [x.requires_grad_() for x in leaves if x is not None and x.is_floating_point()]
    run = CALLS.get(name, lambda m, *operands: m(*operands))
    outputs = flat(run(module, *leaves, **(call or {})))
    cotangents = [None if y is None else uniform(*y.shape) for y in outputs]
    loss = sum((y * torch.tensor(exact(c, dtype))).sum()
               for y, c in zip(outputs, cotangents) if y is not None)
    parameters = dict(module.named_parameters())
    variables = [*floats, *parameters.values()]
    found = torch.autograd.grad(loss, variables, allow_unused=True) if variables else []
    of_floats = iter(found[:len(floats)])
    grads = [numbers(next(of_floats)) if x is not None and x.requires_grad else None
             for x in leaves]
    of_cells = dict(zip(parameters, map(numbers, found[len(floats):])))
    changed = {key: x.numpy() for key, x in module.state_dict().items()
               if not np.array_equal(x.numpy(), exact(cells[key], dtype))}
    results = [*map(numbers, outputs), *grads, *of_cells.values(), *changed.values()]
    relative = ulps * form.EPSILON[dtype]
    room = relative * largest([x for x in results if x is not None])

    def tensors(of):
        return [form.tensor(x, dtype) for x in of]

    def named(of):
        return [[key, form.tensor(x, dtype)] for key, x in of.items()]

    cases.append({
        "layer": name, "options": options, "training": training,
        **({"call": call} if call else {}), **({} if is_derivative else {"is_derivative": False}),
        "cells": named(cells), "inputs": tensors(inputs),
        "outputs": tensors(map(numbers, outputs)), "cotangents": tensors(cotangents),
        "grads": tensors(grads), "cell_grads": named(of_cells), "changed": named(changed),
        "rtol": float(f"{relative:.1e}"), "atol": float(f"{max(room, form.SMALLEST[dtype]):.1e}")})


def in_both(name, options, *inputs, **others):
    for dtype in "f32", "f64":
        layer(name, options, *inputs, dtype=dtype, **others)


def functions():
    values = np.array([[-3.7, -1, -0.625], [0.3, 2.5, 6.1]])
    for name in "ReLU", "Sigmoid", "Tanh", "GELU", "SiLU", "Identity":
        in_both(name, {}, values)
    in_both("Softmax", {"dim": -1}, values)
    layer("Softmax", {"dim": 0}, values, dtype="f64")
    layer("Flatten", {}, uniform(2, 3, 2), dtype="f64")
    layer("Flatten", {"start_dim": 0, "end_dim": 1}, uniform(2, 3, 2))
    layer("Dropout", {"p": 0.7}, values)
    layer("Dropout", {"p": 0.0}, values, training=True, dtype="f64")


def selections():
    in_both("Select", {"dim": 1, "index": -1}, uniform(2, 3, 2))
    layer("Select", {"dim": -1, "index": 0}, uniform(2, 3, 4, 2), dtype="f16")
    layer("Select", {"dim": -2, "index": -2}, uniform(2, 3), dtype="bf16")
    layer("Select", {"dim": 0, "index": 0}, uniform(1))
    layer("Select", {"dim": 1, "index": 2}, uniform(0, 3, 2))


def products():
    in_both("Linear", {"in_features": 4, "out_features": 3}, uniform(2, 4))
    layer("Linear", {"in_features": 1, "out_features": 2, "bias": False}, uniform(2, 3, 1))
    images = uniform(2, 4, 5, 6)
    in_both("Conv2d", {"in_channels": 4, "out_channels": 2, "kernel_size": 3}, images)
    in_both("Conv2d", {"in_channels": 4, "out_channels": 6, "kernel_size": [3, 2],
                       "stride": [2, 1], "padding": [1, 0], "dilation": [1, 2], "groups": 2,
                       "bias": False}, images)
    peaks = distinct(2, 2, 5, 6)
    in_both("MaxPool2d", {"kernel_size": 2}, peaks)
    layer("MaxPool2d", {"kernel_size": [3, 2], "stride": 1, "padding": 1}, peaks)
    in_both("AvgPool2d", {"kernel_size": [2, 3]}, images)
    layer("AvgPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
          images)


def norms():
    rows, images = uniform(5, 3), uniform(2, 3, 4, 2)
    for training in False, True:
        for name, x in ("BatchNorm1d", rows), ("BatchNorm2d", images):
            in_both(name, {"num_features": 3}, x, training=training)
        layer("BatchNorm1d", {"num_features": 3, "eps": 0.1, "momentum": 0.4, "affine": False},
              uniform(2, 3, 4), dtype="f64", training=training)
        layer("BatchNorm2d", {"num_features": 3, "track_running_stats": False}, images,
              dtype="f64", training=training)


def layer_norms():
    rows, images = uniform(5, 4), uniform(2, 3, 4)
    in_both("LayerNorm", {"normalized_shape": 4}, rows)
    in_both("LayerNorm", {"normalized_shape": [3, 4], "eps": 0.1}, images, training=True)
    layer("LayerNorm", {"normalized_shape": [4], "elementwise_affine": False}, images, dtype="f64")
    layer("LayerNorm", {"normalized_shape": 4, "bias": False}, images)
    layer("LayerNorm", {"normalized_shape": 4}, uniform(4))
    layer("LayerNorm", {"normalized_shape": 1}, uniform(3, 1), dtype="f64", ulps=2048)
    for dtype in "f16", "bf16":
        layer("LayerNorm", {"normalized_shape": 4}, images, dtype=dtype, ulps=2)


def embeddings():
    sizes = {"num_embeddings": 5, "embedding_dim": 3}
    ids = np.array([[0, 4, 1], [4, 2, 4]])
    in_both("Embedding", sizes, ids)
    layer("Embedding", sizes, np.array(3, dtype=np.int32))
    for padding in 4, -4:
        layer("Embedding", {**sizes, "padding_idx": padding}, ids, dtype="f64",
              is_derivative=False)
    layer("Embedding", {**sizes, "max_norm": 0.9}, ids, training=True)
    layer("Embedding", {**sizes, "max_norm": 1.1, "norm_type": 1.0, "padding_idx": 2}, ids,
          dtype="f64", is_derivative=False)
    layer("Embedding", {"num_embeddings": 1, "embedding_dim": 1}, np.zeros((2, 0), np.int64))
    layer("Embedding", sizes, ids, dtype="bf16", ulps=2)


def lstms():
    sizes = {"input_size": 3, "hidden_size": 4}
    x = uniform(5, 2, 3)
    in_both("LSTM", sizes, x)
    in_both("LSTM", sizes, x, uniform(1, 2, 4), uniform(1, 2, 4))
    layer("LSTM", {**sizes, "bias": False, "batch_first": True}, x, dtype="f64")
    in_both("LSTM", {**sizes, "num_layers": 2, "bidirectional": True, "batch_first": True}, x,
            uniform(4, 5, 4), uniform(4, 5, 4))
    layer("LSTM", {**sizes, "num_layers": 2, "proj_size": 2, "dropout": 0.5}, x,
          uniform(2, 2, 2), uniform(2, 2, 4), dtype="f64")
    layer("LSTM", {**sizes, "proj_size": 1, "bidirectional": True}, uniform(5, 3))
    layer("LSTM", {**sizes, "batch_first": True}, uniform(5, 3), uniform(1, 4), uniform(1, 4))
    layer("LSTM", {"input_size": 1, "hidden_size": 1}, uniform(1, 1, 1), dtype="f64")
    layer("LSTM", sizes, uniform(3, 0, 3))


def attentions():
    sizes = {"embed_dim": 4, "num_heads": 2}
    q, k, v = uniform(3, 2, 4), uniform(5, 2, 4), uniform(5, 2, 4)
    in_both("MultiheadAttention", sizes, q, k, v)
    padding = np.array([[False, True, False, False, True], [False, False, False, True, False]])
    causal = np.triu(np.ones((3, 5), dtype=bool), 1)
    of_heads = uniform(4, 3, 5)
    layer("MultiheadAttention", sizes, q, k, v, padding)
    layer("MultiheadAttention", sizes, q, k, v, None, causal, dtype="f64")
    layer("MultiheadAttention", {**sizes, "bias": False}, q, k, v, padding, of_heads, dtype="f64")
    layer("MultiheadAttention", sizes, q, k, v, uniform(2, 5), uniform(3, 5))
    first = [x.swapaxes(0, 1).copy() for x in (q, k, v)]
    options = {**sizes, "batch_first": True}
    in_both("MultiheadAttention", options, *first, padding, causal)
    layer("MultiheadAttention", {**options, "num_heads": 1}, *first, training=True)
    layer("MultiheadAttention", {**options, "dropout": 0.3}, *first)
    others = uniform(2, 5, 3), uniform(2, 5, 2)
    in_both("MultiheadAttention", {**options, "kdim": 3, "vdim": 2}, first[0], *others)
    in_both("MultiheadAttention", {**options, "add_bias_kv": True, "add_zero_attn": True}, *first,
            padding, of_heads)
    layer("MultiheadAttention", {**sizes, "add_zero_attn": True}, q, k, v)
    layer("MultiheadAttention", {**options, "kdim": 3, "add_bias_kv": True, "bias": False},
          first[0], others[0], first[2], None, causal, dtype="f64")
    layer("MultiheadAttention", sizes, q[:, 0], k[:, 0], v[:, 0], padding[0], of_heads[:2])
    nothing = causal.copy()
    nothing[1] = True  # a query that no key is allowed for
    for call in ({"need_weights": False}, {"average_attn_weights": False},
                 {"average_attn_weights": False, "need_weights": False}):
        layer("MultiheadAttention", sizes, q, k, v, None, causal, dtype="f64", call=call)
    layer("MultiheadAttention", sizes, q, k, v, padding, nothing, call={"need_weights": False})
    layer("MultiheadAttention", sizes, q[:, 0], k[:, 0], v[:, 0],
          call={"average_attn_weights": False})
    square = np.triu(np.ones((5, 5), dtype=bool), 1)
    layer("MultiheadAttention", options, first[1], first[1], first[2], None, square,
          call={"is_causal": True})
    layer("MultiheadAttention", sizes, k, k, v, padding, square,
          call={"is_causal": True, "need_weights": False})


def half_precision():
    """Sums are made in f32, but every step of a layer that is made of ops is rounded."""
    x, q, k = uniform(5, 2, 3), uniform(3, 2, 4), uniform(5, 2, 4)
    for dtype in "f16", "bf16":
        layer("Linear", {"in_features": 4, "out_features": 3}, uniform(2, 4), dtype=dtype, ulps=2)
        layer("LSTM", {"input_size": 3, "hidden_size": 4}, x, dtype=dtype, ulps=8)
        layer("MultiheadAttention", {"embed_dim": 4, "num_heads": 2}, q, k, k, dtype=dtype, ulps=8)


functions()
products()
norms()
layer_norms()
embeddings()
lstms()
attentions()
half_precision()
selections()
path = Path(__file__).parent / "layers_golden.json"
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
path.write_text(f"[\n{lines}\n]\n")
print(f"{len(cases)} cases, {path.stat().st_size} bytes")

#!/usr/bin/env python3
"""Reads with TensorBoard what Taper writes for it: tensorboard_reader.py TENSORBOARD_LOGS

Run by the Python that has TensorBoard. The program writes a log folder and prints the parameters;
TensorBoard's own readers must find every number, histogram, picture and box.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from PIL import Image
from source_files import finish
from tensorboard.backend.event_processing import event_accumulator, event_file_loader
from tensorboard.compat.proto import graph_pb2

PARAMETERS = ["0/weight", "0/bias", "3/weight", "3/bias"]
LOGS = {
    "train": {
        "epoch_loss": [2, 1], "epoch_accuracy": [0.5, 0.25], "epoch_seconds": [0.5, 0.5],
        "epoch_learning_rate": [0.25, 0.25],
    },
    "validation": {"epoch_loss": [1, 0.5], "epoch_accuracy": [0.25, 0.125]},
}


def opened(folder):
    everything = event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE
    return event_accumulator.EventAccumulator(str(folder), everything).Reload()


def check_equal(what, got, expected):
    if got != expected:
        yield f"{what}: {got}, not {expected}"


def check_scalars(run, accumulator):
    tags = accumulator.Tags()["scalars"]
    yield from check_equal(f"{run}: the scalars", sorted(tags), sorted(LOGS[run]))
    for tag in set(tags) & set(LOGS[run]):
        events = accumulator.Scalars(tag)
        yield from check_equal(f"{run}/{tag}", [e.value for e in events], LOGS[run][tag])
        yield from check_equal(f"{run}/{tag}: the steps", [e.step for e in events], [0, 1])
        yield from check_equal(f"{run}/{tag}: the times", [e.wall_time for e in events],
                               [1000.5, 1000.75])


def check_histogram(what, histogram, values):
    edges = [histogram.min, *histogram.bucket_limit]
    counts, _ = numpy.histogram(values, bins=edges)
    yield from check_equal(f"{what}: the counts", histogram.bucket, counts.tolist())
    got = [histogram.num, histogram.min, histogram.max, histogram.sum, histogram.sum_squares]
    expected = [len(values), min(values), max(values), sum(values), sum(v * v for v in values)]
    if not numpy.allclose(got, expected, rtol=1e-6, atol=1e-7):
        yield f"{what}: {got}, not {expected}"
    if edges != sorted(edges) or edges[-1] != histogram.max:
        yield f"{what}: the limits {edges}"


def check_histograms(accumulator, parameters):
    yield from check_equal("the histograms", sorted(accumulator.Tags()["histograms"]),
                           sorted(PARAMETERS))
    for tag in PARAMETERS:
        events = accumulator.Histograms(tag)
        yield from check_equal(f"{tag}: the steps", [e.step for e in events], [0, 1])
        for event in events:
            values = parameters[tag.replace("/", ".")]
            yield from check_histogram(tag, event.histogram_value, values)


def pixels(event):
    return numpy.asarray(Image.open(io.BytesIO(event.encoded_image_string))).tolist()


def check_filters(accumulator, parameters):
    yield from check_equal("the pictures", accumulator.Tags()["images"], ["0/weight"])
    event = accumulator.Images("0/weight")[0]
    # Three filters of 3x3, each pixel 8x8, two beside each other, a line between them.
    yield from check_equal("the size of a picture", [event.width, event.height], [49, 49])
    first = numpy.array(parameters["0.weight"][:9]).reshape(3, 3)
    scaled = numpy.rint(255 * (first - first.min()) / (first.max() - first.min()))
    yield from check_equal("the first filter", numpy.array(pixels(event))[4:24:8, 4:24:8].tolist(),
                           scaled.tolist())


def check_graph(accumulator):
    graph = graph_pb2.GraphDef.FromString(accumulator.Graph().SerializeToString())
    inputs = {node.name: list(node.input) for node in graph.node}
    yield from check_equal("the graph", inputs, {
        "input": [],
        "model/0/weight": [], "model/0/bias": [],
        "model/0/Conv2d": ["input", "model/0/weight", "model/0/bias"],
        "model/1/ReLU": ["model/0/Conv2d"],
        "model/2/Flatten": ["model/1/ReLU"],
        "model/3/weight": [], "model/3/bias": [],
        "model/3/Linear": ["model/2/Flatten", "model/3/weight", "model/3/bias"],
        "output": ["model/3/Linear"],
    })
    attributes = {node.name: node.attr for node in graph.node}
    yield from check_equal("an attribute", attributes["model/0/Conv2d"]["out_channels"].s, b"3")


def check_by_hand(folder):
    accumulator = opened(folder)
    yield from check_histogram("ramp", accumulator.Histograms("ramp")[0].histogram_value,
                               list(range(61)))
    yield from check_equal("grey", pixels(accumulator.Images("grey")[0]),
                           [[0, 50, 100], [150, 200, 250]])
    yield from check_equal("red", pixels(accumulator.Images("red")[0]), [[[255, 0, 10]]])


def check_plugins(folder):
    """The plugins that TensorBoard's server finds, which reads through this loader."""
    plugins = set()
    for path in sorted(folder.iterdir()):
        for event in event_file_loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                plugins.add(value.metadata.plugin_data.plugin_name)
    yield from check_equal("the plugins", plugins - {""},
                           {"graphs", "histograms", "images", "scalars"})


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    problems = []
    with tempfile.TemporaryDirectory() as name:
        output = subprocess.run([sys.argv[1], name], check=True, stdout=subprocess.PIPE).stdout
        parameters = json.loads(output)
        runs = {run: opened(Path(name, "logs", run)) for run in LOGS}
        for run, accumulator in runs.items():
            problems += check_scalars(run, accumulator)
        problems += check_histograms(runs["train"], parameters)
        problems += check_filters(runs["train"], parameters)
        problems += check_graph(runs["train"])
        problems += check_by_hand(Path(name, "by_hand"))
        problems += check_plugins(Path(name, "logs", "train"))
    finish(problems, "tensorboard reader")


main()

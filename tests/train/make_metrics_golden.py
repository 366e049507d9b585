#!/usr/bin/env python3
"""Writes metrics_golden.json: make_metrics_golden.py, with NumPy and scikit-learn.

Outputs and targets of each task with scikit-learn's numbers for them.
"""

import json
from pathlib import Path

import numpy as np
from sklearn import metrics

random = np.random.default_rng(7)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def case(name, task, scale, output, target, numbers):
    return {"name": name, "task": task, "scale": scale,
            "output_shape": list(output.shape), "output": output.ravel().tolist(),
            "target_shape": list(target.shape), "target": target.ravel().tolist(),
            "numbers": {key: float(value) for key, value in numbers.items()}}


def mean_scores(truth, predicted, labels):
    options = {"average": "macro", "zero_division": 0, "labels": labels}
    return {"precision": metrics.precision_score(truth, predicted, **options),
            "recall": metrics.recall_score(truth, predicted, **options),
            "f1": metrics.f1_score(truth, predicted, **options)}


def of_classes(name, scores, truth, scale):
    count = scores.shape[1]
    labels = list(range(count))
    p = softmax(scores) if scale == "logits" else scores
    predicted = p.argmax(axis=1)
    loss = metrics.log_loss(truth, p, labels=labels)
    numbers = {"accuracy": metrics.accuracy_score(truth, predicted),
               **mean_scores(truth, predicted, labels),
               "log_loss": loss, "perplexity": np.exp(loss),
               "top_2_accuracy": metrics.top_k_accuracy_score(truth, p, k=2, labels=labels)}
    if len(set(truth)) == count:
        numbers["auc"] = metrics.roc_auc_score(truth, p, multi_class="ovr", labels=labels)
    return case(name, "classes", scale, scores, truth, numbers)


def of_binary(name, scores, truth, scale):
    p = sigmoid(scores) if scale == "logits" else scores
    predicted = (p > 0.5).astype(int)
    numbers = {"accuracy": metrics.accuracy_score(truth, predicted),
               **mean_scores(truth, predicted, [0, 1]),
               "log_loss": metrics.log_loss(truth, p, labels=[0, 1]),
               "auc": metrics.roc_auc_score(truth, p)}
    return case(name, "binary", scale, scores, truth, numbers)


def of_labels(name, scores, truth):
    p = sigmoid(scores)
    predicted = (p > 0.5).astype(int)
    numbers = {"accuracy": metrics.accuracy_score(truth, predicted),
               **mean_scores(truth, predicted, None),
               "log_loss": metrics.log_loss(truth.ravel(), p.ravel(), labels=[0, 1]),
               "auc": metrics.roc_auc_score(truth, p, average="macro")}
    return case(name, "labels", "logits", scores, truth, numbers)


def of_numbers(name, output, target):
    numbers = {"mae": metrics.mean_absolute_error(target, output),
               "mse": metrics.mean_squared_error(target, output),
               "rmse": metrics.root_mean_squared_error(target, output),
               "r2": metrics.r2_score(target, output)}
    return case(name, "regression", "values", output, target, numbers)


def main():
    truth = random.integers(0, 5, 40)
    logits = random.normal(size=(40, 5)) + 1.5 * np.eye(5)[truth]
    coarse = np.round(logits)  # with equal scores
    few = random.integers(0, 3, 40)  # two of the classes never occur
    yes = random.integers(0, 2, 40)
    labels = random.integers(0, 2, (40, 3))
    x = random.normal(size=40)
    columns = random.normal(size=(40, 3)) * [1, 10, 0.1] + [0, 1e6, 5]
    cases = [
        of_classes("classes", logits, truth, "logits"),
        of_classes("classes of probabilities", softmax(logits), truth, "probabilities"),
        of_classes("equal scores", softmax(coarse), truth, "probabilities"),
        of_classes("missing classes", logits, few, "logits"),
        of_binary("binary", random.normal(size=40) + yes, yes, "logits"),
        of_binary("binary [N,1]", (random.normal(size=40) + yes), yes, "logits"),
        of_binary("equal binary scores", np.round(random.normal(size=40) + yes), yes, "logits"),
        of_binary("binary probabilities", sigmoid(random.normal(size=40) + yes), yes,
                  "probabilities"),
        of_labels("labels", random.normal(size=(40, 3)) + labels, labels),
        of_numbers("numbers", x + 0.3 * random.normal(size=40), x),
        of_numbers("columns", columns + random.normal(size=(40, 3)) * [0.5, 2, 0.2], columns),
        of_numbers("one value", np.zeros(40), np.full(40, 2.0)),
        of_numbers("one value met", np.full(40, 2.0), np.full(40, 2.0)),
    ]
    cases[5]["output_shape"] = [40, 1]
    path = Path(__file__).with_name("metrics_golden.json")
    path.write_text("[\n" + ",\n".join(json.dumps(each) for each in cases) + "\n]\n")


main()

#!/usr/bin/env python3
"""Runs the classic programs and checks what they print: classic.py BUILD DATA [--full]

Without --full small_convnet, which trains for minutes, sees few images, and its accuracy is not
checked; custom_loop then compares a short training.
"""

import re
import subprocess
import sys
from pathlib import Path

programs = Path(sys.argv[1]) / "examples/classic"
data = Path(sys.argv[2])
full = sys.argv[3:] == ["--full"]
# scikit-learn 1.7, LinearSVC(loss="hinge", C=1) on the standardised biopsies: its objective, which
# penalises the intercept too. LinearRegression on the standardised patients: its test error.
SUPPORT_VECTORS = 26.5264
DIABETES = 0.504829
failures = []


def run(name, *arguments):
    command = [programs / name, *map(str, arguments)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    check(outcome.returncode == 0, name, f"exit {outcome.returncode}: {outcome.stderr}")
    return outcome.stdout


def check(condition, name, what):
    print("ok    " if condition else "FAILED", name, what)
    if not condition:
        failures.append(name)


def numbers(text, after):
    """All numbers of the line that begins with `after`."""
    line = next(line for line in text.splitlines() if line.startswith(after))
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", line[len(after):])]


def within(name, value, low, high, what):
    check(low <= value <= high, name, f"{what} {value} in [{low}, {high}]")


def linear_regression():
    text = run("linear_regression", data / "diabetes.csv")
    w, b = numbers(text, "after 10 epochs")
    within("linear_regression", w, 2.2, 2.7, "w")
    within("linear_regression", b, 1.9, 2.0, "b")
    for got, best in zip(numbers(text, "converged"), numbers(text, "least squares")):
        within("linear_regression", abs(got - best), 0, 1e-3, "distance from least squares")
    within("linear_regression", numbers(text, "diabetes")[0], DIABETES - 0.02, DIABETES + 0.02,
           "test MSE")
    unscaled = next(line for line in text.splitlines() if line.startswith("unscaled"))
    check("inf" in unscaled and " in MSELoss at epoch 1, step " in unscaled, "linear_regression",
          unscaled)


def xor():
    text = run("xor")
    check(numbers(text, "linear") == [0.5, 0.583, 0.583, 0.661], "xor", "the linear model")
    check(numbers(text, "accuracy") == [1], "xor", "the network is right")


def logistic_regression():
    text = run("logistic_regression", data / "breast_cancer.csv")
    within("logistic_regression", numbers(text, "logistic regression")[0], 0.95, 1, "accuracy")
    objective, accuracy = numbers(text, "support vectors")
    within("logistic_regression", objective / SUPPORT_VECTORS, 0.9999, 1.005, "objective's ratio")
    within("logistic_regression", accuracy, 0.95, 1, "accuracy")


def small_binary():
    text = run("small_binary", data / "breast_cancer.csv")
    within("small_binary", numbers(text, "mean accuracy")[0], 0.93, 1, "mean accuracy")


def on_images(name, parameters, least, slow=False):
    short = slow and not full
    text = run(name, 1, 640) if short else run(name)
    check(numbers(text, "parameters") == [parameters], name, f"{parameters} parameters")
    if not short:
        within(name, numbers(text, "test accuracy")[0], least, 1, "test accuracy")
    return text


def autoencoder():
    text = run("autoencoder")
    within("autoencoder", numbers(text, "error per pixel")[0], 0.0119, 0.0126, "error per pixel")


def lenet5():
    text = on_images("lenet5", 61706, 0.87)
    refused = next(line for line in text.splitlines() if line.startswith("with 28x28: "))
    check("400" in refused and "256" in refused and "model.fc1" in refused, "lenet5", refused)


def custom_loop():
    text = run("custom_loop", 1) if full else run("custom_loop", 1, 640)
    check("bit for bit: yes" in text, "custom_loop", "the Trainer's bits")


linear_regression()
xor()
logistic_regression()
small_binary()
on_images("mlp_digits", 101770, 0.855)
on_images("small_convnet", 250326, 0.84, slow=True)
lenet5()
autoencoder()
custom_loop()
sys.exit(1 if failures else 0)

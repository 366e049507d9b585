#!/usr/bin/env python3
"""Checks that a function and its row say the same: functions.py TAPER

For each public row of `TAPER ops --json` the functions of its name in taper/ops/ops.h are read: one
of them must have the row's operands and attributes as parameters, by name and in their order, with
a default where the row has one and the same default: operands that may be absent stand behind
attributes that are required. So a binding, which reads the rows, behaves like C++.
"""

import json
import re
import subprocess
import sys

from source_files import finish, root_of

# Rows whose functions are more than rows, or several functions, with the reason.
OTHER = {
    "arange": "a single number is the stop, not the start",
    "dropout": "draws the key of the row",
    "split": "two functions, for a size and for a list of sizes",
    "random_uniform": "the row of uniform and rand, which draw its key",
    "random_normal": "the row of normal and randn, which draw its key",
    "random_integers": "the row of randint, which draws its key",
    "cond": "a template that captures its functions",
    "scan": "a template that captures its function",
    "while_loop": "a template that captures its functions",
}
# Functions that take a program's own numbers or a generator.
NO_ROW = {"tensor", "from_values", "from_numbers", "uniform", "rand", "normal", "randn", "randint"}
DECLARATION = re.compile(r"TAPER_API\s+[\w:<>, ]+?\s+(\w+)\(([^;]*)\);")


def parameters(text):
    """(name, default or None) of each parameter."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "<({") - (char in ">)}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    for part in filter(str.strip, parts):
        declared, _, default = " ".join(part.split()).partition("=")
        yield re.search(r"(\w+)\s*\Z", declared)[1], default.strip() or None


def as_json(default):
    """What a C++ default is in the row's JSON."""
    if default in ("{}", "std::nullopt"):
        return None
    if default in ("true", "false"):
        return default == "true"
    if default.startswith("{"):
        return [int(item) for item in default.strip("{}").split(",")]
    if "::" in default:
        return default.rpartition("::")[2].removesuffix("_")
    return float(default)


def parameter_names(row):
    """Operands, then attributes; but what need not be given stands behind what must be."""
    names = [(name.endswith("?"), name.rstrip("?*")) for name in row["operands"]]
    names += [(not each["required"], each["name"]) for each in row["attributes"]]
    return [name for _, name in sorted(names, key=lambda entry: entry[0])]


def differences(function, row):
    attributes = {attribute["name"]: attribute for attribute in row["attributes"]}
    names = parameter_names(row)
    if [name for name, _ in function] != names:
        yield f"has ({', '.join(name for name, _ in function)}), its row ({', '.join(names)})"
        return
    for name, default in function:
        attribute = attributes.get(name)
        if attribute is None:
            continue
        if attribute["required"] != (default is None):
            yield f"{name} is {default or 'required'}, in its row " + (
                "required" if attribute["required"] else str(attribute["default"]))
        elif default is not None and as_json(default) != attribute["default"]:
            if attribute["type"] == "device" and default == "{}":
                continue
            yield f"{name} is {default}, in its row {attribute['default']}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = root_of([])
    text = re.sub(r"//[^\n]*", "", (root / "taper/ops/ops.h").read_text())
    functions = {}
    for name, declared in DECLARATION.findall(text):
        functions.setdefault(name, []).append(list(parameters(declared)))
    rows = json.loads(subprocess.run([sys.argv[1], "ops", "--json"], check=True,
                                     capture_output=True, text=True).stdout)
    problems, checked = [], 0
    for row in rows:
        name = row["name"]
        if name in OTHER:
            continue
        found = [list(differences(function, row)) for function in functions.get(name, [])]
        checked += 1
        if not found:
            problems.append(f"{name}: no function in ops.h")
        elif all(found):
            problems += [f"{name}: {line}" for line in min(found, key=len)]
    named = {row["name"] for row in rows} | NO_ROW
    problems += [f"{name}: no row" for name in sorted(functions.keys() - named)]
    finish(problems, f"functions ({checked})")


main()

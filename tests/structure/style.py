#!/usr/bin/env python3
"""Checks rules of style that clang-format does not know: style.py [CHECKOUT]"""

import re
import sys

from source_files import files, finish, root_of, without_comments

FOLDERS = ["taper", "cli", "tests", "bench", "examples", "scripts", "cmake"]
CPP = {".h", ".cpp", ".cu"}
MOST_LINES = 600
MOST_COLUMNS = 100
OMP_FILE = "taper/core/threads.cpp"
# Written in parts so that this file passes.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
NAMESPACE = re.compile(r"\busing\s+namespace\s+std\b")
OMP = re.compile(r"^\s*#\s*pragma\s+omp\b|\b_Pragma\s*\(\s*\"omp\b")


def is_code(path):
    if path.suffix in CPP | {".py", ".cmake"} or path.name == "CMakeLists.txt":
        return True
    with path.open("rb") as file:
        return path.suffix == "" and file.read(2) == b"#!"


def check(root, path):
    name = str(path.relative_to(root))
    text = path.read_text()
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        yield f"{name}: {len(lines)} lines, more than {MOST_LINES}"
    if text and not text.endswith("\n"):
        yield f"{name}:{len(lines)}: no newline at the end"
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_COLUMNS:
            yield f"{name}:{number}: {len(line)} columns, more than {MOST_COLUMNS}"
        if "\t" in line:
            yield f"{name}:{number}: a tab"
        if line.rstrip() != line:
            yield f"{name}:{number}: spaces at the end"
        if UNFINISHED.search(line):
            yield f"{name}:{number}: {UNFINISHED.search(line)[0]}"
    if path.suffix not in CPP:
        return
    code = without_comments(text)
    for number, line in enumerate(code.splitlines(), 1):
        if NAMESPACE.search(line):
            yield f"{name}:{number}: using namespace std"
        if OMP.search(line) and name != OMP_FILE:
            yield f"{name}:{number}: `omp` outside {OMP_FILE}; use parallel_for"
    if path.suffix == ".h" and not re.search(r"^#pragma once$", code, re.M):
        yield f"{name}:1: no #pragma once"


def main():
    root = root_of(sys.argv[1:])
    problems = []
    for path in files(root, FOLDERS):
        if is_code(path):
            problems += check(root, path)
    finish(problems, "style")


main()

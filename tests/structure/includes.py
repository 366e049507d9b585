#!/usr/bin/env python3
"""Checks what includes what: includes.py [CHECKOUT]

An include goes to the same layer or a lower one, likewise among the rooms of a layer, nothing in
taper/ includes a program's or a test's file, and the headers that <taper/taper.h> reaches include
the standard library and Taper only and export what they declare.
"""

import re
import sys

from source_files import files, finish, root_of, without_comments

LAYERS = ["core", "backend", "ops", "autograd", "graph", "compile", "nn", "optim", "io", "data",
          "train"]
# The rooms of a layer that has some, lowest first. A file beside them stands above them all.
ROOMS = {"train": ["batch", "metrics", "checks", "runs", "report", "fit", "callbacks"]}
FOLDERS = ["taper", "cli", "tests", "bench", "examples"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">\n]+)[">]', re.M)
# A header of the standard library: no folder, no suffix.
STANDARD = re.compile(r"[a-z_]+\Z")
# A function or variable declared in a namespace and defined elsewhere; templates are not.
DECLARED = re.compile(r"(?<!>\n)^(?!using |typedef |static_assert|template|inline )"
                      r"(?:extern [^;(]*?(\w+)(?: TAPER_TLS_FAST)?;|"
                      r"[\w\[][\w:<>,&*\[\] \n]*[ &*\n](\w+)\([^;{}]*\)(?: noexcept)?;)", re.M)


def rank(parts):
    """The height of a file's layer and of its room therein; programs and tests stand above all.
    None: no known layer or room."""
    if parts[0] != "taper" or len(parts) == 2:
        return len(LAYERS) + (parts[0] != "taper"), 0
    if parts[1] not in LAYERS:
        return None
    rooms = ROOMS.get(parts[1], [])
    if rooms and len(parts) > 3 and parts[2] not in rooms:
        return None
    room = rooms.index(parts[2]) if rooms and len(parts) > 3 else len(rooms)
    return LAYERS.index(parts[1]), room


def includes(root, path):
    """(line, name, the file of the checkout or None) of each include of a file."""
    for match in INCLUDE.finditer(without_comments(path.read_text())):
        name = match[2]
        places = [root / name] if match[1] == "<" else [path.parent / name, root / name]
        found = next((place.resolve() for place in places if place.is_file()), None)
        yield path.read_text().count("\n", 0, match.start()) + 1, name, found


def check_layers(root, path):
    parts = path.relative_to(root).parts
    own = rank(parts)
    if own is None:
        yield (f"{path.relative_to(root)}:1: {'/'.join(parts[1:-1])} is no layer; add it to LAYERS"
               " or ROOMS")
        return
    for line, name, found in includes(root, path):
        where = f"{path.relative_to(root)}:{line}"
        if found is None:
            if name.startswith("taper/"):
                yield f"{where}: <{name}> does not exist"
            continue
        target = rank(found.relative_to(root).parts)
        if target is not None and target > own:
            yield f"{where}: <{name}> stands above this file's layer or room"


def check_public(root):
    """Follows the includes from <taper/taper.h>."""
    first = root / "taper/taper.h"
    came_from, waiting = {first: None}, [first]
    while waiting:
        path = waiting.pop()
        for line, name, found in includes(root, path):
            if found is not None and found not in came_from:
                came_from[found] = path
                waiting.append(found)
                yield from check_exported(root, found)
            if found is None and not STANDARD.match(name):
                chain, at = [], path
                while at is not None:
                    chain.append(str(at.relative_to(root)))
                    at = came_from[at]
                yield (f"{path.relative_to(root)}:{line}: a public header includes <{name}>"
                       f" (reached by {' < '.join(chain)})")


def check_exported(root, path):
    """What a public header declares can be linked in the shared library."""
    text = without_comments(path.read_text())
    for match in DECLARED.finditer(text):
        name = match[1] or match[2]
        defined_below = re.search(rf"^inline [^;{{]*\b{name}\(", text, re.M)
        if "TAPER_API" not in match[0] and not defined_below:
            line = text.count("\n", 0, match.start()) + 1
            yield (f"{path.relative_to(root)}:{line}: {name} is declared in a public header"
                   " without TAPER_API")


def main():
    root = root_of(sys.argv[1:])
    problems = []
    for path in files(root, FOLDERS, {".h", ".cpp", ".cu"}):
        problems += check_layers(root, path)
    problems += check_public(root)
    finish(problems, "includes")


main()

#!/usr/bin/env python3
"""Checks that no second list is keyed by a registered name: one_place.py TAPER_COMMAND [CHECKOUT]

An op's name, or an alias, stands as a string in the op's own file under taper/ops (of control flow:
taper/graph) and nowhere else in taper/ and cli/. So does the name of whatever else a registry
holds (layers, losses, optimizers, schedules, metrics, callbacks, models, data sources, ...): in the
file that registers it, or the header of that name. Words that mean something else are listed in
one_place.allow: `FILE NAME  # reason` a line.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from source_files import files, finish, root_of, string_literals, without_comments

NAME = re.compile(r'\.name\s*=\s*"([^"]+)"')
# The names of operands, results and attributes are no names of ops, nor are those of ONNX.
OPERANDS = re.compile(r"\.(?:inputs|outputs|onnx)\s*=\s*\{[^{}]*\}|AttributeDoc \w+\{[^{}]*\}")
# What makes an entry of a registry: of a class, or of a name.
ENTRY = re.compile(r"^TAPER_[A-Z]+\((\w+), *\"|<(?:[\w:]+, )?(?:\w+::)*(\w+)> \w+_entry\{|"
                   r"^(?:static )?const \w+ \w+_entry\{\s*\"([^\"]+)\"", re.M)
TYPE_NAME = re.compile(r"\btype_name = \"([^\"]+)\"")
ALLOWED = re.compile(r"(\S+) (\S+) +# *(\S.*)\Z")


def literals(path):
    """(line, content) of the string literals of a file, operand names left out."""
    text = path.read_text()
    spans = [match.span() for match in OPERANDS.finditer(without_comments(text))]
    for place, content in string_literals(text):
        if not any(begin <= place < end for begin, end in spans):
            yield text.count("\n", 0, place) + 1, content


def own_files(root, names):
    """The files that hold the row of each op, by name: where `.name = "..."` stands or, if a
    helper makes the row, the sources there that hold the name at all."""
    declared, mentioned = {}, {}
    for path in files(root, ["taper/ops", "taper/graph"], {".cpp"}):
        where = str(path.relative_to(root))
        for name in NAME.findall(without_comments(path.read_text())):
            declared.setdefault(name, set()).add(where)
        for _, name in literals(path):
            mentioned.setdefault(name, set()).add(where)
    return {name: declared.get(name, mentioned.get(name, set())) for name in names}


def op_names(command):
    """The names in `taper ops --all`, and those that only stand for one: alias to name."""
    done = subprocess.run([command, "ops", "--all", "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"`{command} ops --all` failed: {done.stderr.strip()}")
    rows = json.loads(done.stdout)
    aliases = {alias: row["name"] for row in rows for alias in row["aliases"]}
    return {row["name"] for row in rows}, aliases


def registered(root):
    """The files that may hold each name of a registry besides those of ops."""
    own = {}
    for path in files(root, ["taper"], {".h", ".cpp"}):
        text = without_comments(path.read_text())
        pair = {str(path.with_suffix(suffix).relative_to(root)) for suffix in (".h", ".cpp")}
        names = [next(name for name in entry if name) for entry in ENTRY.findall(text)]
        for name in names + TYPE_NAME.findall(text):
            own.setdefault(name, set()).update(pair)
    return own


def read_allowed(problems):
    file = Path(__file__).with_name("one_place.allow")
    allowed = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        match = ALLOWED.match(line)
        if match:
            allowed[match[1], match[2]] = False
        elif line.strip():
            problems.append(f"{file.name}:{number}: `FILE NAME  # reason` expected: {line}")
    return allowed


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    root = root_of(sys.argv[2:])
    names, aliases = op_names(sys.argv[1])
    own = own_files(root, names)
    problems = [] if names else ["`taper ops` lists no op"]
    problems += [f"{' and '.join(sorted(paths))}: which one holds the row of {name}?"
                 for name, paths in own.items() if len(paths) > 1]
    own |= {alias: own[name] for alias, name in aliases.items()}
    entries = registered(root)
    for name, paths in entries.items():
        own[name] = own.get(name, set()) | paths
    allowed = read_allowed(problems)
    for path in files(root, ["taper", "cli"], {".h", ".cpp", ".cu"}):
        where = str(path.relative_to(root))
        for line, text in literals(path):
            if text not in own or where in own.get(text, ()):
                continue
            if (where, text) in allowed:
                allowed[where, text] = True
            else:
                problems.append(f'{where}:{line}: "{text}" is the name of an op or entry')
    problems += [f"one_place.allow: {path} {name} is allowed for nothing"
                 for (path, name), used in allowed.items() if not used]
    finish(problems, f"one place ({len(names)} ops, {len(entries)} entries)")


main()

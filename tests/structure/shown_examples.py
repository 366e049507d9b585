#!/usr/bin/env python3
"""Checks that the code of docs/extending.md stands in the examples: shown_examples.py [CHECKOUT]

A block that begins with `// examples/NAME.cpp` shows parts of that file, divided by blank lines.
"""

import re
import sys

from source_files import finish, root_of

BLOCK = re.compile(r"^```cpp\n// (examples/\S+)\n(.*?)^```$", re.M | re.S)


def main():
    root = root_of(sys.argv[1:])
    blocks = BLOCK.findall((root / "docs/extending.md").read_text())
    problems = [] if blocks else ["docs/extending.md: shows no example"]
    for name, text in blocks:
        code = (root / name).read_text()
        for part in text.strip("\n").split("\n\n"):
            if part.strip("\n") not in code:
                problems.append(f"docs/extending.md: not in {name}: {part.splitlines()[0]}")
    finish(problems, "shown examples")


main()

#!/usr/bin/env python3
"""Tests the code of docs/adding_an_op.md: doc_examples.py BUILD_DIR

With --extract MARKDOWN FOLDER (what the build does) it writes the page's blocks into files: a block
that begins with `// taper/.../name.cpp` is one, those for ops.h make declarations.h.
"""

import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```cpp\n// (taper/\S+)\n(.*?)^```$", re.M | re.S)


def extract(markdown, folder):
    folder.mkdir(parents=True, exist_ok=True)
    declarations = ""
    for name, text in BLOCK.findall(markdown.read_text()):
        if name == "taper/ops/ops.h":
            declarations += text
        else:
            write(folder / Path(name).name, text)
    write(folder / "declarations.h", "#pragma once\n#include <taper/ops/ops.h>\nnamespace taper {\n"
                                     f"{declarations}}}  // namespace taper\n")


def write(path, text):
    """Leaves a file alone that holds the text already, so that nothing is built again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}doc examples: `{command[0]}` gives {done.returncode}")
    return done.stdout


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--extract":
        extract(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run("cmake", "--build", sys.argv[1], "--target", "doc_examples")
    for op in ("swish", "cumulative_sum"):
        output = run(str(Path(sys.argv[1], "tests/doc_examples")), f"--gtest_filter=*/{op}_*")
        if not re.search(r"^\[  PASSED  \] \d\d+ tests", output, re.M):
            sys.exit(f"doc examples: too few tests of {op}\n{output}")
    print("doc examples: all good")


main()

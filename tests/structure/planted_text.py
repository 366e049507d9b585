#!/usr/bin/env python3
"""Checks that includes.py and style.py find what is wrong in small checkouts made for it."""

import subprocess
import sys
import tempfile
from pathlib import Path

from source_files import finish

# The check, the files of a checkout and, for each, what must be found in it (none: nothing).
UNFINISHED = "TO" + "DO"
CASES = [
    ("includes", {"taper/taper.h": "#include <vector>\n#include <taper/core/a.h>\n",
                  "taper/core/a.h": "#include <string>\n"}, None),
    ("includes", {"taper/taper.h": "",
                  "taper/core/a.cpp": "\n#include <taper/ops/b.h>\n", "taper/ops/b.h": ""},
     "taper/core/a.cpp:2: <taper/ops/b.h> stands above"),
    ("includes", {"taper/taper.h": "",
                  "taper/core/a.cpp": '#include "../io/b.h"\n', "taper/io/b.h": ""},
     "taper/core/a.cpp:1: <../io/b.h> stands above"),
    ("includes", {"taper/taper.h": "", "taper/core/a.cpp": "#include <taper/core/none.h>\n"},
     "taper/core/a.cpp:1: <taper/core/none.h> does not exist"),
    ("includes", {"taper/taper.h": "", "taper/new/a.cpp": ""}, "new is no layer"),
    ("includes", {"taper/taper.h": "", "taper/data/a.cpp": "#include <cli/b.h>\n", "cli/b.h": ""},
     "taper/data/a.cpp:1: <cli/b.h> stands above"),
    ("includes", {"taper/taper.h": "#include <taper/core/a.h>\n",
                  "taper/core/a.h": "// <fmt/a.h>\n#include <fmt/format.h>\n"},
     "taper/core/a.h:2: a public header includes <fmt/format.h> (reached by taper/core/a.h <"),
    ("includes", {"taper/taper.h": "#include <dnnl.hpp>\n"},
     "taper/taper.h:1: a public header includes <dnnl.hpp>"),
    ("style", {"taper/core/threads.cpp": "#pragma omp parallel\n", "taper/a.h": "#pragma once\n",
               "taper/b.cpp": "// #pragma omp and using namespace std are not used\n",
               "scripts/data.csv": "\t\n"}, None),
    ("style", {"taper/a.cpp": "int x;\n" * 601}, "taper/a.cpp: 601 lines"),
    ("style", {"taper/a.cpp": "\n" + "//" * 51 + "\n"}, "taper/a.cpp:2: 102 columns"),
    ("style", {"scripts/a": "#!/bin/sh\n\techo\n"}, "scripts/a:2: a tab"),
    ("style", {"bench/a.py": "x = 1 \n"}, "bench/a.py:1: spaces at the end"),
    ("style", {"bench/a.py": "x = 1"}, "bench/a.py:1: no newline"),
    ("style", {"cli/a.cpp": f"// {UNFINISHED}: more\n"}, f"cli/a.cpp:1: {UNFINISHED}"),
    ("style", {"tests/a.cpp": "using namespace std;\n"}, "tests/a.cpp:1: using namespace std"),
    ("style", {"examples/a.h": "int x;\n"}, "examples/a.h:1: no #pragma once"),
    ("style", {"taper/a.cpp": "void f() {\n  #pragma omp for\n}\n"}, "taper/a.cpp:2: `omp`"),
]


def check(script, tree, expected):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tree.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        command = [sys.executable, Path(__file__).with_name(script + ".py"), folder]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != (expected is not None) or (expected or "all good") not in done.stdout:
        yield (f"{script}.py on {sorted(tree)}: exit code {done.returncode}, expected "
               f"`{expected}`\n{done.stdout}{done.stderr}")


def main():
    finish([problem for case in CASES for problem in check(*case)], f"planted ({len(CASES)})")


main()

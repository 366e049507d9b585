#!/usr/bin/env python3
"""scripts/build says what to do in a checkout where nothing was set up: not_set_up.py"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from source_files import finish, root_of

ROOT = root_of([])
COPIED = ["CMakeLists.txt", "CMakePresets.json", "cmake", "scripts", "taper"]


def main():
    problems = []
    with tempfile.TemporaryDirectory(prefix="taper_not_set_up_") as folder:
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(folder, name))
        # A system with a oneDNN of its own needs no setup.
        configured = subprocess.run(["cmake", "--preset", "release"], cwd=folder,
                                    capture_output=True, text=True)
        if "oneDNN 3.2 or newer is missing" in configured.stderr:
            built = subprocess.run(["scripts/build"], cwd=folder, capture_output=True, text=True)
            last = built.stderr.rstrip().rsplit("\n", 1)[-1]
            if built.returncode != 1 or last != "Taper is not set up here: run scripts/setup first":
                problems.append(f"exit code {built.returncode}, the last line is: {last}")
    finish(problems, "not set up")


main()

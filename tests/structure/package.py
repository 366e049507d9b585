#!/usr/bin/env python3
"""Installs Taper, moves what was installed, and builds others' programs on it: package.py BUILD_DIR

The programs know the moved folder only: they are built by CMake and by pkg-config, on the shared
and the static library, by g++ and clang++ if it is there, and run with a bare environment.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import exports
from source_files import finish, root_of

ROOT = root_of([])
CONSUMER = ROOT / "tests/package"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "TAPER_THREADS": "1"}

LIBRARIES = {"libtaper.a", "libtaper.so", "libtaper.so.0.1", "libtaper.so.0.1.0", "libdnnl.so.3"}
PACKAGE_FILES = {
    "bin/taper", "lib/cmake/taper/taperConfig.cmake", "lib/cmake/taper/taperConfigVersion.cmake",
    "lib/cmake/taper/taperTargets.cmake", "lib/cmake/taper/taperStaticTargets.cmake",
    "lib/pkgconfig/taper.pc", "lib/pkgconfig/taper-static.pc", "include/taper/taper.h",
    "share/bash-completion/completions/taper", "share/zsh/site-functions/_taper",
    "share/fish/vendor_completions.d/taper.fish",
    "share/licenses/taper/LICENSE", "share/licenses/taper/onednn/LICENSE",
} | {f"lib/{name}" for name in LIBRARIES}

problems = []


def run(what, *command, **options):
    """The output of a command that must succeed; "" if it does not."""
    environment = ENVIRONMENT | options.pop("env", {})
    done = subprocess.run([str(part) for part in command], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        problems.append(f"{what}: exit code {done.returncode}\n{done.stdout}")
        return ""
    return done.stdout


def check_program(what, program, prefix, shared):
    if not program.exists():
        return
    if run(what, program, cwd="/").strip() != "all good":
        problems.append(f"{what}: does not say that all is good")
    loaded = {}
    for line in run(what, "ldd", program).splitlines():
        match = re.match(r"\s*(lib\S+) => (\S.*?)(?: \(0x\w+\))?$", line)
        if match:
            loaded[match[1]] = match[2]
    for name, wanted in {"libtaper.so.0.1": shared, "libdnnl.so.3": True}.items():
        place = loaded.get(name)
        if (place is not None) != wanted:
            problems.append(f"{what}: {name} is {place or 'not loaded'}")
        elif wanted and Path(os.path.realpath(place)).parent != prefix / "lib":
            problems.append(f"{what}: {name} comes from {place}")


def check_files(prefix, forbidden):
    """What must be there, what headers must not be, and paths of this machine in any file."""
    files = {str(path.relative_to(prefix)): path for path in prefix.rglob("*") if not path.is_dir()}
    for name in sorted(PACKAGE_FILES - files.keys()):
        problems.append(f"{name} is not installed")
    for name, path in files.items():
        content = path.read_bytes()
        for place in forbidden:
            if place.encode() in content:
                problems.append(f"{name} contains the path {place}")
        if name.startswith("include/"):
            for header in re.findall(r'#\s*include\s*[<"](taper/[^">]+)', content.decode()):
                if f"include/{header}" not in files:
                    problems.append(f"{name} includes <{header}>, which is not installed")


def by_cmake(work, prefix):
    for kind in ["shared", "static"]:
        what, build = f"CMake, {kind}", work / kind
        run(what, "cmake", "-S", work / "source", "-B", build, "-G", "Ninja", f"-DKIND={kind}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", f"-DCMAKE_PREFIX_PATH={prefix}")
        run(what, "cmake", "--build", build)
        check_program(what, build / "consumer", prefix, kind == "shared")


def by_pkg_config(work, prefix):
    path = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    shared, forced, static = (
        run("pkg-config", "pkg-config", *options, env=path).split() for options in [
            ["--cflags", "--libs", "taper"], ["--static", "--cflags", "--libs", "taper"],
            ["--cflags", "--libs", "taper-static"]])
    sources = [work / "source" / name for name in ("main.cpp", "parts.cpp")]
    compiled = [work / f"{source.stem}.o" for source in sources]
    for compiler in filter(shutil.which, ["g++", "clang++"]):
        what, program = f"{compiler} and pkg-config", work / compiler
        run(what, compiler, "-std=c++20", *sources, *shared, "-o", program)
        check_program(what, program, prefix, True)
    for source, made in zip(sources, compiled):
        run("g++ -c", "g++", "-std=c++20", "-c", source, *shared[:1], "-o", made)
    for what, flags, is_shared in [("taper --static", forced, True),
                                   ("taper-static", static, False)]:
        program = work / what.replace(" ", "_")
        run(what, "g++", *compiled, *flags, "-o", program)
        check_program(what, program, prefix, is_shared)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="taper_package_") as folder:
        work = Path(folder).resolve()
        first, prefix = work / "installed", work / "moved"
        run("cmake --install", "cmake", "--install", build, "--prefix", first)
        if not first.is_dir():
            finish(problems, "package")
        first.rename(prefix)
        shutil.copytree(CONSUMER, work / "source")

        venv = os.path.realpath(ROOT / ".venv")
        check_files(prefix, {str(ROOT), str(build.resolve()), venv, str(first)})
        exports.check(run, ROOT, work, prefix, problems)
        if not run("bin/taper", prefix / "bin/taper", "--version", cwd="/").startswith("taper "):
            problems.append("bin/taper does not say its version")
        run("dlopen", "python3", "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])",
            prefix / "lib/libtaper.so")
        by_cmake(work, prefix)
        by_pkg_config(work, prefix)
    finish(problems, "package")


main()

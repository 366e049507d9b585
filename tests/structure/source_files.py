"""What the checks share: the files of a checkout, and C++ text without comments or literals."""

import re
import sys
from pathlib import Path

SKIPPED = {"build", "__pycache__", ".venv", ".git"}

_TOKEN = re.compile(
    r'//(?:[^\n\\]|\\.)*|/\*.*?\*/|R"(?P<d>[^(]*)\(.*?\)(?P=d)"|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)*'", re.S)


def root_of(arguments):
    """The checkout to look at: the first argument, else the one this file is in."""
    return Path(arguments[0]).resolve() if arguments else Path(__file__).resolve().parents[2]


def files(root, folders, suffixes=None):
    """The files below `folders`, sorted; of these suffixes, if given."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            wanted = suffixes is None or path.suffix in suffixes
            if path.is_file() and wanted and not SKIPPED & set(path.relative_to(root).parts):
                found.append(path)
    return found


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """The text with comments blanked: lines and columns stay."""
    return _TOKEN.sub(lambda m: _blank(m[0]) if m[0].startswith("/") else m[0], text)


def string_literals(text):
    """(place, content) of every string literal outside of comments; neighbours are joined."""
    place, content, end = None, "", 0
    for match in _TOKEN.finditer(without_comments(text)):
        if not match[0].startswith('"'):
            continue
        if place is not None and not text[end:match.start()].strip():
            content += match[0][1:-1]
        else:
            if place is not None:
                yield place, content
            place, content = match.start(), match[0][1:-1]
        end = match.end()
    if place is not None:
        yield place, content


def finish(problems, what):
    """Prints the problems and ends: exit code 1 if there is one."""
    for problem in problems:
        print(problem)
    print(f"{what}: {len(problems)} wrong" if problems else f"{what}: all good")
    sys.exit(1 if problems else 0)

#!/usr/bin/env python3
"""Writes onnx_names.json beside this file: make_onnx_names.py TAPER

onnx_names_test.cpp reads it. For each ONNX operator that the rows of `TAPER ops --all` name: by
version of the operator set that changed it, the names of its attributes and operands. Needs the
package onnx.
"""

import json
import subprocess
import sys
from pathlib import Path

import onnx.defs


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = json.loads(subprocess.run([sys.argv[1], "ops", "--all", "--json"], check=True,
                                     capture_output=True, text=True).stdout)
    wanted = {row["onnx"]["name"] for row in rows if row["onnx"]}
    names = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.name in wanted:
            operands = [operand.name for operand in schema.inputs]
            names.setdefault(schema.name, {})[schema.since_version] = sorted(
                {*operands, *schema.attributes})
    lines = [f"{json.dumps(name)}: {json.dumps(dict(sorted(versions.items())))}"
             for name, versions in sorted(names.items())]
    Path(__file__).with_name("onnx_names.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()

"""Benchmark peer frameworks on the workloads defined in workloads.md.

  python bench_peers.py --framework torch --workload all --threads 2 --json out.json
  python bench_peers.py --framework torch --export-onnx DIR     # models for ort and openvino
  python bench_peers.py --table *.json                          # markdown table of results

Every workload runs in its own process, so first-step time and peak memory are its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from jax_peer import Jax
from measure import import_seconds, installed_megabytes, run_here
from onnx_peers import OnnxRuntime, OpenVino
from tf_peer import TensorFlow
from torch_peer import Torch
from workloads import WORKLOADS

FRAMEWORKS = {
    "torch": lambda threads, folder: Torch(threads),
    "torch-tuned": lambda threads, folder: Torch(threads, "tuned"),
    "torch-compile": lambda threads, folder: Torch(threads, "compile"),
    "jax": lambda threads, folder: Jax(threads),
    "tf": lambda threads, folder: TensorFlow(threads),
    "ort": OnnxRuntime,
    "openvino": OpenVino,
}


def run_child(framework, name, threads, folder):
    """Run one workload in a process of its own; its result, or the last line of its error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    environment |= {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, "--framework", framework, "--workload", name,
               "--threads", str(threads), "--onnx-dir", str(folder), "--in-process"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def markdown_table(files):
    results = {}
    for file in files:
        results |= json.loads(Path(file).read_text())["results"]
    frameworks = [f for f in FRAMEWORKS if any(key.endswith(f"/{f}") for key in results)]
    yield "| workload | " + " | ".join(frameworks) + " |"
    yield "|---" * (len(frameworks) + 1) + "|"
    for name in WORKLOADS:
        cells = [results.get(f"{name}/{f}", {}).get("ms_median") for f in frameworks]
        best = min((c for c in cells if c), default=None)
        yield f"| {name} | " + " | ".join(
            "–" if c is None else f"**{c:.4g}**" if c == best else f"{c:.4g}" for c in cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FRAMEWORKS)
    parser.add_argument("--workload", default="all", help="a name, several with commas, or all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--onnx-dir", type=Path, default=Path(tempfile.gettempdir(), "peers_onnx"))
    parser.add_argument("--export-onnx", type=Path, metavar="DIR")
    parser.add_argument("--table", nargs="+", metavar="JSON")
    parser.add_argument("--in-process", action="store_true", help="used by the script itself")
    args = parser.parse_args()

    if args.table:
        print("\n".join(markdown_table(args.table)))
        return
    if args.export_onnx:
        Torch(args.threads).export_onnx(args.export_onnx)
        return
    if args.in_process:
        make_peer = FRAMEWORKS[args.framework]
        print(json.dumps(run_here(make_peer, args.workload, args.threads, args.onnx_dir)))
        return

    names = list(WORKLOADS) if args.workload == "all" else args.workload.split(",")
    package = {"tf": "tensorflow", "ort": "onnxruntime"}.get(
        args.framework, args.framework.split("-")[0])
    report = {"framework": args.framework, "threads": args.threads,
              "import_s": import_seconds(package),
              "installed_mb": installed_megabytes(package), "results": {}}
    for name in names:
        result = run_child(args.framework, name, args.threads, args.onnx_dir)
        report["results"][f"{name}/{args.framework}"] = result
        print(name, args.framework, {k: round(v, 4) if isinstance(v, float) else v
                                     for k, v in result.items()}, flush=True)
        if args.json:
            args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

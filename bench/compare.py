#!/usr/bin/env python3
"""Times Taper and a peer framework on the same workloads, in turns, in one run.

  bench/compare.py --peer-python DIR/torch/bin/python --framework torch \\
      --workloads xor_train,mlp_train,lenet_train --mode eager --rounds 5 --threads 2

DIR is where `bench/peers/install DIR` made the peers' environments; the workloads are defined in
bench/peers/workloads.md. In each round each side has a process of its own, pinned to the same
cores, and the side that goes first changes. A ratio below 1 means that Taper is faster.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    pass


def run(command, threads):
    """Runs a command on the first cores allowed; what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    environment |= {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "2"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}")
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Failed(f"{Path(command[0]).name}, exit code {done.returncode}: {' '.join(reason)}")
    return done.stdout


def run_peer(args, workload):
    output = run([args.peer_python, ROOT / "bench/peers/bench_peers.py", "--in-process",
                  "--framework", args.framework, "--workload", workload,
                  "--threads", str(args.threads)], args.threads)
    result = json.loads(output.splitlines()[-1])
    if "skipped" in result:
        raise Failed(f"{args.framework}: {result['skipped']}")
    return result


def run_taper(args, workload):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "result.json")
        run([args.taper, "bench", workload, "--mode", args.mode, "--threads", str(args.threads),
             "--json", file], args.threads)
        return json.loads(file.read_text())


def compare(args, workload):
    """All rounds of one workload: {"taper": [result...], "peer": [result...], summary...}."""
    results = {"taper": [], "peer": []}
    runners = [("peer", run_peer), ("taper", run_taper)]
    for number in range(args.rounds):
        for side, runner in runners if number % 2 == 0 else reversed(runners):
            results[side].append(runner(args, workload))
            print(f"  {workload}, round {number + 1} of {args.rounds}, {side}: "
                  f"{results[side][-1]['ms_median']:.4g} ms", file=sys.stderr, flush=True)
    ratios = [t["ms_median"] / p["ms_median"] for t, p in zip(results["taper"], results["peer"])]
    summary = {f"{side}_ms": statistics.median(r["ms_median"] for r in results[side])
               for side in results}
    summary |= {f"{side}_peak_rss_mb": max(r["peak_rss_mb"] for r in results[side])
                for side in results}
    summary |= {"ratio": statistics.median(ratios), "ratio_min": min(ratios),
                "ratio_max": max(ratios)}
    return summary | {"rounds": results}


def machine():
    """What the numbers depend on; the load tells whether the machine was quiet."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return {"date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
            "cpu": model, "cores": os.cpu_count(), "system": platform.platform(),
            "load_before": round(os.getloadavg()[0], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True, metavar="FILE")
    parser.add_argument("--framework", required=True, help="a --framework of bench_peers.py")
    parser.add_argument("--workloads", required=True, help="names with commas between them")
    parser.add_argument("--mode", default="eager", choices=["eager", "captured", "compiled"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--taper", default=ROOT / "build/release/taper", metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every result here")
    args = parser.parse_args()
    if args.rounds < 1 or args.threads < 1:
        parser.error("--rounds and --threads start at 1")

    # Both sides inherit these cores; the peers pin themselves to the same ones.
    os.sched_setaffinity(0, range(args.threads))
    report = {"machine": machine(), "framework": args.framework, "mode": args.mode,
              "threads": args.threads, "workloads": {}}
    m = report["machine"]
    print(f"{m['date']}, {m['cpu']}, {m['cores']} cores, {m['system']}, "
          f"load before {m['load_before']}")
    rows, failed = [], False
    for workload in args.workloads.split(","):
        try:
            result = compare(args, workload)
        except Failed as error:
            failed = True
            rows.append(f"| {workload} | failed: {error} |")
            report["workloads"][workload] = {"failed": str(error)}
        else:
            report.setdefault("package", result["rounds"]["peer"][0]["package"])
            report["workloads"][workload] = result
            rows.append(
                f"| {workload} | {result['taper_ms']:.4g} | {result['peer_ms']:.4g} | "
                f"{result['ratio']:.3f} ({result['ratio_min']:.3f} to {result['ratio_max']:.3f}) | "
                f"{result['taper_peak_rss_mb']:.0f} | {result['peer_peak_rss_mb']:.0f} |")
        if args.json:
            args.json.write_text(json.dumps(report, indent=1))
    print(f"taper {args.mode} against {args.framework} ({report.get('package', 'never ran')}), "
          f"{args.threads} threads, {args.rounds} rounds\n")
    print(f"| workload | taper ms | {args.framework} ms | ratio (min to max) | taper peak MB | "
          f"{args.framework} peak MB |\n|---|---|---|---|---|---|")
    print("\n".join(rows))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

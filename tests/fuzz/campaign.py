#!/usr/bin/env python3
"""campaign.py [--minutes M] [--seeds A-B] [--only NAME] [--json] - every fuzz target in turn, two at a time, for M minutes in all.

Begins from the corpus and from what earlier runs have learnt. The last line is one JSON object: schedules are runs of a target, violations
are inputs that broke one, which are left beside the build. --seeds A-B gives libFuzzer the seed A. Exit status 0: nothing broke.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/campaign-fuzz"


def build():
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "build.log"
    with log.open("w") as out:
        for command in (["cmake", "--preset", "fuzz", "-B", BUILD], ["cmake", "--build", BUILD, "-j", str(os.cpu_count())]):
            if subprocess.run(command, cwd=ROOT, stdout=out, stderr=out, check=False).returncode:
                sys.exit(f"campaign: the fuzzers do not build; see {log.relative_to(ROOT)}")


def fuzz(name, seconds, seed):
    """Runs of one target, and whether it held."""
    env = {**os.environ, "LEADPOOL_BUILD": str(BUILD), "LEADPOOL_SOURCE": str(ROOT), "LEADPOOL_FUZZ_SECONDS": str(seconds)}
    command = ["sh", "tests/fuzz/run.sh", BUILD / "bin" / f"fuzz_{name}", name] + ([f"-seed={seed}"] if seed else [])
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, errors="replace", check=False)
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode:
        print(f"fuzz_{name}:\n{done.stderr[-3000:]}", file=sys.stderr, flush=True)
    elif sys.stderr.isatty():
        print(f"fuzz_{name}: {runs.group(1) if runs else '?'} runs", file=sys.stderr, flush=True)
    return int(runs.group(1)) if runs else 0, done.returncode == 0


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seeds", default="0")
    options.add_argument("--only", metavar="NAME")
    options.add_argument("--store", help="has no meaning here")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    build()
    names = sorted(p.name[len("fuzz_"):] for p in (BUILD / "bin").glob("fuzz_*"))
    names = [n for n in names if not asked.only or n == asked.only]
    at_once = min(os.cpu_count(), len(names))
    seconds = max(1, round(asked.minutes * 60 * at_once / len(names)))
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(lambda name: fuzz(name, seconds, int(asked.seeds.split("-")[0])), names))
    runs, broken = sum(r for r, _ in results), sum(not ok for _, ok in results)
    print(json.dumps({"schedules": runs, "faults": runs, "violations": broken, "per_second": round(runs / (time.monotonic() - began)),
                      "targets": len(names)}))
    return 1 if broken else 0


sys.exit(main())

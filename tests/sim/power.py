#!/usr/bin/env python3
"""power.py [--seeds A-B] [--minutes M] [--json] - every deed cut or disturbed at every step (sim_power, sim_disk_faults), on all cores.

Each seed draws other contents and other sectors that survive a cut; without --seeds and --minutes it is seed 1. LEADPOOL_BIN names the
programs' directory. The last line is one JSON object: schedules are runs of a deed, faults those in which something broke. Exit status 0: all held.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LEADPOOL_BIN", ROOT / "build/release/bin"))

MAKING = ["join", "init", "backup"]  # of sim_power only


def deeds():
    table = (ROOT / "tests/sim/deeds.c").read_text("utf-8").split("const deed deeds[]")[1]
    return re.findall(r'\{"([^"]+)"', table)


def play(task, stop_s):
    """Runs, faults, and what broke."""
    seed, program, deed = task
    if time.monotonic() > stop_s:
        return 0, 0, []
    env = {**os.environ, "LEADPOOL_SEED": str(seed), "LEADPOOL_DEED": deed}
    done = subprocess.run([BIN / program], env=env, capture_output=True, text=True, errors="replace", check=False)
    counts = re.search(r"(\d+) runs, (\d+) faults", done.stderr)
    runs, faults = map(int, counts.groups()) if counts else (0, 0)
    if done.returncode == 0 and runs:
        return runs, faults, []
    told = [line for line in done.stderr.splitlines() if ", step " in line] or [f"{program} ended with {done.returncode}"]
    replay = f"LEADPOOL_SEED={seed} LEADPOOL_DEED='{deed}' {program}"
    return runs, faults, [{"seed": seed, "what": f"{told[0]}; replay with {replay}"}]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds")
    options.add_argument("--minutes", type=float, default=0)
    options.add_argument("--json", action="store_true", help="nothing but the last line")
    asked = options.parse_args()
    first, _, last = (asked.seeds or ("1-" if asked.minutes else "1")).partition("-")
    seeds = range(int(first), int(last or first) + 1) if last or not asked.minutes else itertools.count(int(first))
    began = time.monotonic()
    stop_s = began + asked.minutes * 60 if asked.minutes else float("inf")
    runs, faults, failed = 0, 0, []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for seed in seeds:
            tasks = [(seed, "sim_power", deed) for deed in deeds() + MAKING]
            tasks += [(seed, "sim_disk_faults", deed) for deed in deeds()]
            for more, hit, broken in pool.map(lambda task: play(task, stop_s), tasks):
                runs, faults, failed = runs + more, faults + hit, failed + broken
            if not asked.json:
                print(f"seed {seed}: {runs} runs, {faults} faults, {len(failed)} violations", file=sys.stderr, flush=True)
            if time.monotonic() > stop_s:
                break
    for one in failed:
        print(f"seed {one['seed']}: {one['what']}", file=sys.stderr)
    seconds = time.monotonic() - began
    print(json.dumps({"campaign": "power", "schedules": runs, "faults": faults, "violations": len(failed),
                      "per_second": round(runs / seconds, 1), "seconds": round(seconds, 1), "failed": failed[:20]}))
    sys.exit(1 if failed else 0)


main()

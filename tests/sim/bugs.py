#!/usr/bin/env python3
"""bugs.py [--find] [--write] DIRECTORY [BUG...] - are the planted bugs (proto/bugs.def) found? DIRECTORY holds the programs of a build
with -DLEADPOOL_BUGS=ON.

Each bug is made live in turn. Without --find its killer of tests/sim/killers.txt is run first; if that seed does not find it any more,
because schedules or code have changed, a search begins: seeds 1 to 1000 of the simulator on the memory store, the same on the SQLite
store, then the sweeps over the disk. Exit status 0: every bug was found; bugs without a known killer count with --find only.

    --find    search for all of them
    --write   what was found goes into tests/sim/killers.txt and the table of docs/RELIABILITY.md
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KILLERS = ROOT / "tests/sim/killers.txt"
TABLE = ROOT / "docs/RELIABILITY.md"
BEGIN, END = "<!-- bugs: made by tests/sim/bugs.py --write -->", "<!-- end -->"
CHUNKS = [(1, 30), (31, 120), (121, 400), (401, 1000)]
SWEEPS = ["sim_power", "sim_disk_faults"]


def bugs():
    text = (ROOT / "proto/bugs.def").read_text("utf-8")
    for name, what in re.findall(r'^B\((\w+),((?:\s*"(?:\\.|[^"\\])*")+)\)', text, re.M):
        yield name, "".join(re.findall(r'"((?:\\.|[^"\\])*)"', what))


def run(bug, command):
    environment = {**os.environ, "LEADPOOL_BUG": bug}
    return subprocess.run([str(c) for c in command], cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace")


def seeds(bug, binaries, store, first, last):
    """The first seed that finds it, and what it found."""
    done = run(bug, [binaries / "sim_campaign", "--store", store, "--seeds", f"{first}-{last}"])
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return (f"sim {store}", first, "the program ended")
    failed = json.loads(lines[-1])["failed"]
    for found in sorted(failed, key=lambda f: f["seed"]):
        seed = found["seed"]
        # A seed that fails without a bug as well has found another one.
        if run("NONE", [binaries / "sim_campaign", "--store", store, "--seeds", f"{seed}-{seed}"]).returncode == 0:
            return (f"sim {store}", seed, found["what"])
    return None


def sweep(bug, binaries, program):
    if not (binaries / program).exists():
        return None
    done = run(bug, [binaries / program])
    if done.returncode == 0:
        return None
    story = [line for line in done.stderr.splitlines() if ", step " in line]
    return (program, 0, story[0] if story else "the program ended")


def known(bug, binaries, killer):
    program, seed = killer
    if program in SWEEPS:
        return sweep(bug, binaries, program)
    return seeds(bug, binaries, program.split()[1], seed, seed)


def search(bug, binaries):
    for store in ("memory", "sqlite"):
        for first, last in CHUNKS:
            found = seeds(bug, binaries, store, first, last)
            if found:
                return found
    for program in SWEEPS:
        found = sweep(bug, binaries, program)
        if found:
            return found
    return None


def read_killers():
    killers = {}
    for line in KILLERS.read_text("utf-8").splitlines() if KILLERS.exists() else []:
        if line and not line.startswith("#"):
            name, program, seed = [part.strip() for part in line.split("|")]
            killers[name] = (program, int(seed))
    return killers


def write(found):
    lines = ["# Which program finds which planted bug, on which seed; made by tests/sim/bugs.py --write."]
    lines += [f"{name} | {program} | {seed}" for name, (program, seed, _) in sorted(found.items())]
    KILLERS.write_text("\n".join(lines) + "\n", "utf-8")
    what_is = dict(bugs())
    rows = ["| bug | what goes wrong | found by | seeds needed | what was seen |", "|---|---|---|---|---|"]
    for name, (program, seed, what) in sorted(found.items()):
        seen = re.sub(r"[|\n]", " ", re.sub(r"; replay with.*", "", what)).strip()[:140]
        rows.append(f"| `{name}` | {what_is[name]} | {program} | {seed or 'a sweep'} | {seen} |")
    unfound = [f"`{name}` ({what})" for name, what in what_is.items() if name not in found]
    rows += ["", "Planted, and no seed is known yet that finds it: " + "; ".join(unfound) + "."] if unfound else []
    text = TABLE.read_text("utf-8")
    before, rest = text.split(BEGIN, 1)
    TABLE.write_text(before + BEGIN + "\n\n" + "\n".join(rows) + "\n\n" + END + rest.split(END, 1)[1], "utf-8")


def main():
    options = [a for a in sys.argv[1:] if a.startswith("--")]
    rest = [a for a in sys.argv[1:] if not a.startswith("--")]
    if not rest or set(options) - {"--find", "--write"}:
        sys.exit(__doc__)
    binaries, chosen, killers = pathlib.Path(rest[0]).resolve(), rest[1:], read_killers()
    found, missed = {}, []
    for name, _ in bugs():
        if chosen and name not in chosen:
            continue
        started = time.monotonic()
        killer = killers.get(name) if "--find" not in options else None
        if killers and not killer and "--find" not in options and not chosen:
            print(f"{name}: no seed is known that finds it", flush=True)
            continue
        result = (known(name, binaries, killer) if killer else None) or search(name, binaries)
        if result:
            found[name] = result
            print(f"{name}: {result[0]}, seed {result[1]}: {result[2]} ({time.monotonic() - started:.0f} s)", flush=True)
        else:
            missed.append(name)
            print(f"{name}: NOT FOUND ({time.monotonic() - started:.0f} s)", flush=True)
    if "--write" in options and not chosen:
        write(found)
    print(json.dumps({"campaign": "bugs", "bugs": len(found) + len(missed), "found": len(found), "missed": missed}))
    sys.exit(1 if missed else 0)


main()

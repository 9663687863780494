#!/usr/bin/env python3
"""kill.py [--seeds A-B] [--minutes M] [--store sqlite] [--json] - kills and stops real devices and a real server at random moments.

One seed is one pool: three devices import, add, edit and sync while they and the server are killed (-9), stopped and resumed. Then all
is left to settle, and compared. `scripts/campaign kill` runs it; the last line is one JSON object. Exit status 0: no violation."""
import argparse
import json
import random
import signal
import subprocess
import sys
import time
import traceback

import lib

TURNS = 12
LEADS = 60


class Round(lib.Case):
    """One seed."""

    def __init__(self, seed):
        super().__init__("run_seed")
        self.seed, self.faults = seed, 0
        self.lots = random.Random(seed)

    def start(self, device, *args):
        return subprocess.Popen([str(a) for a in (lib.BIN / "leadpool", "--replica", device.path, *args)], env=lib.environment(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def hurt(self, child):
        """At a random moment: nothing, -9, or stopped for a while and then resumed or killed."""
        fate = self.lots.choice(("spare", "kill", "kill", "stop", "stop and kill"))
        try:
            child.wait(self.lots.uniform(0, 0.15))
            return
        except subprocess.TimeoutExpired:
            if fate == "spare":
                return
        self.faults += 1
        if fate.startswith("stop"):
            child.send_signal(signal.SIGSTOP)
            try:
                child.wait(self.lots.uniform(0, 0.1))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGCONT if fate == "stop" else signal.SIGKILL)
        else:
            child.kill()

    def hurt_server(self, server):
        fate = self.lots.choice(("spare", "kill", "stop"))
        if fate == "spare":
            return
        self.faults += 1
        if fate == "kill":
            server.stop(signal.SIGKILL)
            server.start()
            return
        child = server.process.child
        child.send_signal(signal.SIGSTOP)
        try:
            child.wait(self.lots.uniform(0, 0.3))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGCONT)

    def turn(self, server, devices, number):
        children = []
        for device in devices:
            path = self.world.dir / f"{device.owner}{number % 3}.csv"
            path.write_text("external_id,full_name,notes\n" + "".join(
                f"{device.owner}{number % 3}.{i},客户{i},{'met at the booth; ' * 8}\n" for i in range(LEADS)), encoding="utf-8")
            args = self.lots.choice((("import", path), ("sync", "--timeout", "3"), ("sync", "--timeout", "3"), ("add", "full_name=by hand")))
            children.append(self.start(device, *args))
        for child in children:
            self.hurt(child)
        self.hurt_server(server)
        for child in children:
            child.wait(lib.PATIENCE_S)

    def run_seed(self):
        server, *devices = self.office("Ann", "Bo")
        for number in range(TURNS):
            self.turn(server, devices, number)
        for device in devices:
            for number in range(3):
                path = self.world.dir / f"{device.owner}{number}.csv"
                if path.exists():
                    device("import", path)
        lib.settle([*devices, *devices])
        self.assert_one_pool(server, *devices)
        ids = [row["fields"].get("external_id") for row in devices[0].rows("list")]
        named = [i for i in ids if i]
        self.assertEqual(len(named), len(set(named)), "an imported lead is there twice")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-1000000")
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--store", choices=("memory", "sqlite"), default="sqlite")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.store == "memory":
        sys.exit("kill: a memory store does not survive a kill; use --store sqlite")
    first, last = (int(n) for n in options.seeds.split("-"))
    if options.minutes is None and options.seeds == parser.get_default("seeds"):
        options.minutes = 1
    began = time.monotonic()
    done = faults = violations = 0
    for seed in range(first, last + 1):
        if options.minutes is not None and time.monotonic() - began > options.minutes * 60:
            break
        case = Round(seed)
        case.setUp()
        try:
            case.run_seed()
        except Exception:  # whatever it was, the campaign goes on and says so
            violations += 1
            print(f"kill: seed {seed}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        finally:
            case.doCleanups()
        done, faults = done + 1, faults + case.faults
        if sys.stderr.isatty():
            print(f"\rkill: seed {seed}, {faults} faults, {violations} violations", end="", file=sys.stderr, flush=True)
    print(json.dumps({"schedules": done, "faults": faults, "violations": violations,
                      "per_second": round(done / max(time.monotonic() - began, 0.001), 3)}))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

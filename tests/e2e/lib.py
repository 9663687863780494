"""lib.py - servers and devices as real processes, for the end-to-end tests and scripts/demo-story.

Everything runs on loopback in one temporary directory and is gone afterwards. A process is waited for by what it writes, never by
sleeping, and ended by its own pid only. Programs come from LEADPOOL_BIN, seeds from LEADPOOL_SEED, data from LEADPOOL_DATA.
"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LEADPOOL_BIN", ROOT / "build/release/bin")).resolve()
DATA = pathlib.Path(os.environ.get("LEADPOOL_DATA", ROOT / "../shared/data"))
OFFLINE = 6  # LP_OFFLINE of errors.def
PATIENCE_S = 60  # bounds every wait; generous, for machines that are busy and programs under a sanitizer


class Failed(AssertionError):
    """A command ended otherwise than it should."""


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def json(self):
        """The one JSON object on stdout."""
        objects = self.rows()
        if len(objects) != 1:
            raise Failed(f"{self}: {len(objects)} JSON objects on stdout, not one")
        return objects[0]

    def rows(self):
        """The JSON objects on stdout, one per line."""
        try:
            return [json.loads(line) for line in self.out.splitlines()]
        except ValueError as e:
            raise Failed(f"{self}: stdout is not JSON lines: {e}") from e

    def message(self):
        """What the command said on stderr, which has to be one line."""
        lines = self.err.splitlines()
        if len(lines) != 1:
            raise Failed(f"{self}: stderr has {len(lines)} lines, not one")
        return lines[0]

    def __str__(self):
        shown = " ".join(str(a) if len(str(a)) < 200 else str(a)[:200] + "..." for a in self.args)
        return f"`{shown}` exited with {self.code}; stdout: {self.out[:600]!r}; stderr: {self.err[:600]!r}"


def environment(extra=None):
    """English, UTC, no replica or colour of the caller's."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LEADPOOL_REPLICA", "LANGUAGE")}
    return {**kept, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TZ": "UTC", **(extra or {})}


def run(*args, status=0, env=None, stdin="", preexec=None):
    """Runs a program to its end. `status` None: any."""
    done = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, encoding="utf-8", errors="replace",
                          env=environment(env), timeout=4 * PATIENCE_S, preexec_fn=preexec, check=False)
    result = Result(args, done.returncode, done.stdout, done.stderr)
    if status is not None and result.code != status:
        raise Failed(f"{result}; expected {status}")
    return result


class Process:
    """A program that stays. Its lines are read as they come, so that one can wait for one of them."""

    def __init__(self, *args, lines="stderr", preexec=None, env=None):
        self.args = args
        self.child = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace",
                                      stdout=subprocess.PIPE if lines == "stdout" else subprocess.DEVNULL,
                                      stderr=subprocess.PIPE if lines == "stderr" else subprocess.DEVNULL,
                                      env=environment(env), preexec_fn=preexec)
        self.lines = []  # (time of arrival, text)
        self.news = threading.Condition()
        self.ended = False
        self.source = self.child.stderr if lines == "stderr" else self.child.stdout
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.source:
            with self.news:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def await_line(self, wanted, start=0):
        """(time of arrival, text) of the first line from number `start` on for which wanted(text)."""
        def find():
            return next((line for line in self.lines[start:] if wanted(line[1])), None)
        with self.news:
            self.news.wait_for(lambda: find() or self.ended, PATIENCE_S)
            found = find()
        if not found:
            raise Failed(f"`{' '.join(map(str, self.args))}` never said it; it said: {[t for _, t in self.lines][-20:]}")
        return found

    def running(self):
        return self.child.poll() is None

    def end(self, sig=signal.SIGTERM):
        """Sends a signal and waits; the exit status."""
        if self.running():
            self.child.send_signal(sig)
        try:
            self.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"`{' '.join(map(str, self.args))}` did not end {PATIENCE_S} s after signal {sig}") from None
        self.reader.join(PATIENCE_S)
        self.source.close()
        return self.child.returncode


class Server:
    """A data directory and, while started, a leadpoold that serves it. It keeps its port over restarts."""

    def __init__(self, data, name="Acme"):
        self.data = pathlib.Path(data)
        self.address = "127.0.0.1:0"
        self.process = None
        if not self.data.exists():
            self.command("init", "--name", name)

    def command(self, verb, *args, **kw):
        return run(BIN / "leadpoold", verb, "--data", self.data, *args, **kw)

    def start(self, *args, **kw):
        self.process = Process(BIN / "leadpoold", "serve", "--data", self.data, "--listen", self.address, *args, **kw)
        _, line = self.process.await_line(lambda text: "listening" in text)
        self.address = re.search(r"127\.0\.0\.1:\d+", line).group()
        return self

    def stop(self, sig=signal.SIGTERM):
        process, self.process = self.process, None
        return process.end(sig) if process else None

    def invite(self, staff, role="rep", *args, scope="pool"):
        """`scope`: of a rep; None: what the role gives."""
        granted = ("--scope", scope) if scope and role == "rep" else ()
        return self.command("invite", "--staff", staff, "--role", role, "--json", *granted, *args).json()["invitation"]

    def status(self):
        return self.command("status", "--json").json()


class Device:
    """A replica and the command that works on it."""

    def __init__(self, path, owner=""):
        self.path = pathlib.Path(path)
        self.owner = owner

    def __call__(self, *args, **kw):
        return run(BIN / "leadpool", "--replica", self.path, *args, **kw)

    def json(self, *args, **kw):
        return self(*args, "--json", **kw).json()

    def rows(self, *args, **kw):
        return self(*args, "--json", **kw).rows()

    def add(self, **fields):
        return self.json("add", *[f"{k}={v}" for k, v in fields.items()])["id"]

    def set(self, lead, **fields):
        self("set", lead, *[f"{k}={v}" for k, v in fields.items()])

    def fields(self, lead):
        return self.json("show", lead)["fields"]

    def sync(self, **kw):
        return self.json("sync", **kw)

    def status(self):
        return self.json("status")

    def count(self, *criteria):
        return self.json("list", "--count", *criteria)["count"]

    def watch(self):
        """`sync --watch --json` as a Process whose lines are its events."""
        return Process(BIN / "leadpool", "--replica", self.path, "sync", "--watch", "--json", lines="stdout")


class World:
    """One temporary directory with servers and devices; `close` ends and removes everything."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="leadpool-"))
        self.servers, self.processes = [], []

    def server(self, name="pool"):
        made = Server(self.dir / name)
        self.servers.append(made)
        return made

    def device(self, server, owner, role="rep", via=None, scope="pool"):
        """A joined device; the server must be running. `via`: the address it shall reach it at."""
        made = Device(self.dir / f"{owner}.db", owner)
        invitation = server.invite(owner, role, scope=scope).replace(server.address, via or server.address)
        made("join", invitation, "--label", f"{owner}'s device")
        return made

    def keep(self, process):
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes + [s.process for s in self.servers if s.process]:
            process.end()
        shutil.rmtree(self.dir, ignore_errors=True)


class Case(unittest.TestCase):
    """A test with a world of its own."""
    maxDiff = 2000

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def office(self, *reps):
        """A running server, a device for each rep, and a manager's device."""
        server = self.world.server().start()
        return (server, *[self.world.device(server, rep) for rep in reps], self.world.device(server, "Mona", "manager"))

    def assert_one_pool(self, server, *devices):
        """Server and devices hold the same, by digest and by count, and the store is sound."""
        state = server.status()
        for device in devices:
            here = device.status()
            self.assertEqual(here["unsent"], 0, f"{device.owner} has unsent changes")
            self.assertEqual(here["refused"], 0, f"{device.owner} has refused changes")
            self.assertEqual(here["digest"], state["digest"], f"{device.owner}'s digest is not the server's")
            self.assertEqual(here["leads"], state["leads"], f"{device.owner}'s count is not the server's")
        server.command("verify")


def await_true(process, condition, patience_s=PATIENCE_S):
    """Looks at the condition whenever the process says something, and twice a second; fails if it does not come true or the process ends."""
    until = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > until or process.ended:
            raise Failed(f"`{' '.join(map(str, process.args))}` did not get there; it said: {[t for _, t in process.lines][-20:]}")
        with process.news:
            said = len(process.lines)
            process.news.wait_for(lambda: process.ended or len(process.lines) > said, 0.5)


def settle(devices):
    """Syncs all until nobody has anything new: twice is enough, for what one pushes the others pull."""
    for _ in range(2):
        for device in devices:
            device.sync()


def seed():
    """The seed of this run, printed so that a failure can be repeated."""
    value = int(os.environ.get("LEADPOOL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"LEADPOOL_SEED={value}", flush=True)
    return value


def need_data(path):
    found = DATA / path
    if not found.exists():
        raise unittest.SkipTest(f"{path} is not there (LEADPOOL_DATA)")
    return found


def main():
    """Runs the tests of the calling script. 0: passed, 1: failed, 77: all were skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2, argv=sys.argv)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun and len(result.skipped) >= result.testsRun else 0)

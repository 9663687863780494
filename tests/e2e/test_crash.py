#!/usr/bin/env python3
"""test_crash.py - devices and the server are killed (-9) at random moments; afterwards everything is as if nothing had happened.

LEADPOOL_SEED repeats a run, LEADPOOL_ROUNDS makes it longer."""
import os
import random
import signal
import subprocess

import lib

ROUNDS = int(os.environ.get("LEADPOOL_ROUNDS", "6"))
LEADS = 2000


def run_for(seconds, *args):
    """Runs a program and kills it after so long; True if it was still running then."""
    child = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=lib.environment())
    try:
        child.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return True


class Crash(lib.Case):
    def setUp(self):
        super().setUp()
        self.lots = random.Random(lib.seed())
        self.killed = 0

    def office(self, *_):
        server, ann, bo, self.mona = super().office("Ann", "Bo")
        return server, ann, bo, self.mona

    def leads(self, name, first, end):
        path = self.world.dir / f"{name}.csv"
        path.write_text("external_id,full_name,company,notes\n" +
                        "".join(f"X{i},客户{i},Acme {i % 50},{'met at the booth; ' * 8}{i}\n" for i in range(first, end)), encoding="utf-8")
        return path

    def kill_while(self, device, *args, longest):
        """Starts the device's command and kills it at a random moment, again and again; then lets it finish."""
        for _ in range(ROUNDS):
            self.killed += run_for(self.lots.uniform(0, longest), lib.BIN / "leadpool", "--replica", device.path, *args)
        return device.json(*args)

    def test_a_device_killed_between_import_and_sync_loses_and_doubles_nothing(self):
        server, ann, bo, _ = self.office()
        for device, first, end in ((ann, 0, LEADS), (bo, LEADS // 2, LEADS + LEADS // 2)):
            done = self.kill_while(device, "import", self.leads(device.owner, first, end), longest=0.25)
            self.assertEqual((done["created"] + done["skipped"], done["errors"]), (LEADS, 0))
            self.assertEqual(device.count(), LEADS)
        for device in (ann, bo, ann):
            self.assertTrue(self.kill_while(device, "sync", longest=0.25)["complete"])
        self.finish(server, (ann, bo), LEADS + LEADS // 2)

    def test_what_a_killed_add_said_was_saved_is_there(self):
        server, ann, _, _ = self.office()
        said = []
        for i in range(10 * ROUNDS):
            child = subprocess.Popen([lib.BIN / "leadpool", "--replica", ann.path, "add", f"full_name=Lead {i}", "--json"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=lib.environment())
            try:
                child.wait(self.lots.uniform(0, 0.04))
            except subprocess.TimeoutExpired:
                child.kill()
                self.killed += 1
            out, _ = child.communicate()
            if out.endswith(b"\n"):
                said.append(i)
        names = [row["fields"]["full_name"] for row in ann.rows("list")]
        self.assertEqual(len(names), len(set(names)), "a lead is there twice")
        self.assertLessEqual({f"Lead {i}" for i in said}, set(names), "a lead that was said to be saved is gone")
        print(f"{self.killed} kills, {len(said)} said saved, {len(names)} are there", flush=True)
        ann.sync()
        self.assert_one_pool(server, ann)

    def test_a_server_killed_while_devices_sync_loses_and_doubles_nothing(self):
        server, ann, bo, _ = self.office()
        for device, first, end in ((ann, 0, LEADS), (bo, LEADS // 2, LEADS + LEADS // 2)):
            device.json("import", self.leads(device.owner, first, end))
        for _ in range(ROUNDS):
            devices = [subprocess.Popen([lib.BIN / "leadpool", "--replica", d.path, "sync", "--timeout", "20"], env=lib.environment(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for d in (ann, bo)]
            try:
                devices[0].wait(self.lots.uniform(0, 0.2))
            except subprocess.TimeoutExpired:
                pass
            self.killed += any(d.poll() is None for d in devices)
            server.stop(signal.SIGKILL)
            server.start()
            for child in devices:
                child.wait(lib.PATIENCE_S)
        self.finish(server, (ann, bo), LEADS + LEADS // 2)

    def test_devices_and_server_killed_together_come_back_to_one_pool(self):
        server, ann, bo, _ = self.office()
        total = 0
        for turn in range(ROUNDS):
            for device in (ann, bo):
                path = self.leads(f"{device.owner}{turn}", total, total + 100)
                run_for(self.lots.uniform(0, 0.1), lib.BIN / "leadpool", "--replica", device.path, "import", path)
                device.json("import", path)
            total += 100
            self.killed += run_for(self.lots.uniform(0, 0.1), lib.BIN / "leadpool", "--replica", ann.path, "sync")
            server.stop(signal.SIGKILL)
            server.start()
            self.killed += run_for(self.lots.uniform(0, 0.1), lib.BIN / "leadpool", "--replica", bo.path, "sync")
        self.finish(server, (ann, bo), total)

    def finish(self, server, devices, leads):
        """As if nothing had happened: what a device that was never killed would have, everywhere."""
        print(f"{self.killed} kills", flush=True)
        everyone = [*devices, self.mona]
        lib.settle(everyone)
        self.assert_one_pool(server, *everyone)
        fields = [row["fields"] for row in self.mona.rows("list")]
        self.assertEqual(sorted(f["external_id"] for f in fields), sorted(f"X{i}" for i in range(leads)))
        for f in fields:
            number = int(f["external_id"][1:])
            self.assertEqual((f["full_name"], f["company"]), (f"客户{number}", f"Acme {number % 50}"))
            self.assertTrue(f["notes"].endswith(f"booth; {number}"))
        self.assertEqual(len({device("export").out for device in everyone}), 1, "devices export different bytes")
        self.assertEqual(self.mona.rows("conflicts"), [])


if __name__ == "__main__":
    lib.main()

#!/usr/bin/env python3
"""test_disk.py - disks that fail and fill up under real processes: whatever was said to be saved is there, and nothing is half there.

Failing calls come from failing_io.c, full disks are small file systems in memory (as root; skipped elsewhere). Covers F1, F10, F11, F12,
F13, F14, F22, F95. LEADPOOL_SEED repeats a run."""
import errno
import os
import pathlib
import random
import signal
import subprocess
import unittest

import lib

BUILD = pathlib.Path(os.environ.get("LEADPOOL_BUILD", lib.BIN.parent))
FAILING_IO = BUILD / "lib/failing_io.so"


class Disk(lib.Case):
    def setUp(self):
        super().setUp()
        self.lots = random.Random(lib.seed())
        self.log = self.world.dir / "failures"

    def failing(self, calls, path, at=None, every=None, error=errno.EIO):
        """The environment under which these calls fail."""
        if not FAILING_IO.exists():
            raise unittest.SkipTest("failing_io.so is not built")
        env = {"LD_PRELOAD": str(FAILING_IO), "FAIL_CALLS": calls, "FAIL_PATH": path, "FAIL_LOG": str(self.log), "FAIL_ERRNO": str(error)}
        return {**env, **({"FAIL_AT": str(at)} if at else {"FAIL_EVERY": str(every)})}

    def failures(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def small_disk(self, name, size):
        """A file system of so many bytes, in memory."""
        where = self.world.dir / name
        where.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "leadpool-test", where], capture_output=True, check=False)
        if done.returncode:
            raise unittest.SkipTest("this user may not mount a file system")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", where], check=False))
        return where

    def fill(self, where):
        """Takes all the space that is left; gives a function that frees it."""
        ballast = where / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as e:
                    self.assertEqual(e.errno, errno.ENOSPC)
        return ballast.unlink

    def names(self, device):
        return sorted(row["fields"]["full_name"] for row in device.rows("list"))

    # ---- calls that fail ----

    def sweep_of_adds(self, device, said, calls, error):
        """Adds leads, the k-th call failing in the k-th, until one is not hit any more."""
        hit, at = True, 0
        while hit:
            at += 1
            before = self.failures()
            name = f"{calls} {errno.errorcode[error]} {at}"
            done = device("add", f"full_name={name}", env=self.failing(calls, device.path.name, at, error=error), status=None)
            hit = self.failures() > before
            self.assertIn(done.code, (0, 1), str(done))
            if done.code:
                done.message()
            else:
                said.add(name)
            self.assertLess(at, 200, "every add is hit, for ever")
        return at - 1

    def test_each_call_of_an_add_fails_once_and_what_is_said_is_true(self):
        """F1, F14: "saved" only if it is; after a failed commit the lead may be there, but whole, and once."""
        server, ann, mona = self.office("Ann")
        said, swept = set(), 0
        for calls, error in (("pwrite", errno.EIO), ("pwrite", errno.ENOSPC), ("sync", errno.EIO), ("truncate", errno.EIO), ("pread", errno.EIO),
                             ("open", errno.EIO)):
            swept += self.sweep_of_adds(ann, said, calls, error)
        names = self.names(ann)
        print(f"{swept} failing calls, {len(said)} said saved, {len(names)} are there", flush=True)
        self.assertGreater(swept, 10, "nothing was made to fail")
        self.assertEqual(len(names), len(set(names)), "a lead is there twice")
        self.assertLessEqual(said, set(names), "a lead that was said to be saved is gone")
        lib.settle([ann, mona])
        self.assertEqual(self.names(mona), names)
        self.assert_one_pool(server, ann, mona)

    def test_a_replica_that_cannot_be_read_is_not_taken_for_an_empty_one(self):
        """F13, F21: the command fails in one line, and the file is as it was."""
        server, ann, _ = self.office("Ann")
        ann.add(full_name="王芳")
        before = ann.path.read_bytes()
        for calls, error in (("pread", errno.EIO), ("open", errno.EPERM), ("open", errno.EIO)):
            for verb in (("list",), ("status",), ("add", "full_name=x"), ("sync",)):
                done = ann(*verb, env=self.failing(calls, ann.path.name, every=1, error=error), status=None)
                self.assertEqual(done.code, 1, str(done))
                done.message()
        self.assertEqual(ann.path.read_bytes(), before)
        self.assertEqual(self.names(ann), ["王芳"])
        ann.sync()
        self.assert_one_pool(server, ann)

    def test_a_device_whose_every_kth_write_fails_gets_there_in_the_end(self):
        """F14: what a sync could not store it does again."""
        server, ann, mona = self.office("Ann")
        for i in range(40):
            mona.add(full_name=f"Mona's {i}")
        mona.sync()
        for every in (3, 5, 11, 17, 29):
            ann.add(full_name=f"Ann's {every}")
            ann("sync", "--timeout", "2", env=self.failing("pwrite,sync", ann.path.name, every=every), status=None)
        self.assertGreater(self.failures(), 5)
        lib.settle([ann, mona])
        self.assertEqual(mona.count(), 45)
        self.assert_one_pool(server, ann, mona)

    def test_a_server_whose_every_kth_write_fails_acknowledges_nothing_it_may_forget(self):
        """F14, F94: killed after each round, it still has all that a device was told it has."""
        server, ann, mona = self.office("Ann")
        acknowledged, made = set(), 0
        for every, calls in ((7, "pwrite"), (3, "sync"), (13, "pwrite,sync")):
            server.stop()
            armed = self.world.dir / f"armed{every}"
            server.start(env={**self.failing(calls, "pool.db", every=every), "FAIL_WHILE": str(armed)})
            armed.touch()
            for _ in range(8):
                made += 1
                ann.add(full_name=f"Lead {made:03}")
                ann("sync", "--timeout", "3", status=None)
                if ann.status()["unsent"] == 0:
                    acknowledged |= set(self.names(ann))
            server.stop(signal.SIGKILL)
            server.start()
            self.assertLessEqual(len(acknowledged), server.status()["leads"])
        print(f"{self.failures()} failing calls, {made} leads, {len(acknowledged)} of them acknowledged on the way", flush=True)
        self.assertGreater(self.failures(), 5)
        lib.settle([ann, mona])
        self.assertEqual(len(self.names(mona)), made)
        self.assert_one_pool(server, ann, mona)

    # ---- full disks ----

    def test_a_full_disk_saves_nothing_shows_everything_and_loses_nothing(self):
        """F10, F12: a clear sentence, no lead half saved; reading and sending work; with space again all goes on."""
        server = self.world.server().start()
        where = self.small_disk("device", 24 << 20)
        ann = lib.Device(where / "ann.db", "Ann")
        ann("join", server.invite("Ann", "manager"))
        kept = [ann.add(full_name=f"Lead {i}", notes="n" * 2000) for i in range(20)]
        free = self.fill(where)
        refused = 0
        for i in range(60):
            done = ann("add", f"full_name=Late {i}", f"notes={'n' * 8000}", status=None)
            if done.code:
                refused += 1
                self.assertIn("space", done.message())
            else:
                kept.append(i)
        self.assertGreater(refused, 0, "the disk never was full")
        self.assertEqual(ann.count(), len(kept))
        self.assertEqual(len(ann.rows("list")), len(kept))
        ann.sync()
        self.assertEqual(ann.status()["unsent"], 0)
        free()
        kept.append(ann.add(full_name="with space again"))
        ann.sync()
        self.assertEqual(ann.count(), len(kept))
        self.assert_one_pool(server, ann)

    def test_a_disk_that_fills_up_during_a_pull_costs_a_page_and_no_more(self):
        """F11: cursor and rows stay together; the same sync works with space."""
        server = self.world.server().start()
        mona = self.world.device(server, "Mona", "manager")
        path = self.world.dir / "many.csv"
        path.write_text("full_name,notes\n" + "".join(f"Lead {i},{'n' * 3000}{i}\n" for i in range(2500)), encoding="utf-8")
        mona("import", path)
        mona.sync()
        where = self.small_disk("device", 5 << 20)
        late = lib.Device(where / "late.db", "Late")
        late("join", server.invite("Late", "manager"))
        done = late("sync", "--timeout", "20", "--json", status=1).json()
        self.assertFalse(done["complete"])
        self.assertEqual(done["error"]["code"], "FULL", done["error"])
        self.assertLess(late.count(), 2500)
        subprocess.run(["mount", "-o", "remount,size=100m", where], check=True)
        late.sync()
        self.assertEqual(late.count(), 2500)
        self.assert_one_pool(server, late)

    def test_a_server_with_a_full_disk_says_so_still_reads_and_recovers_by_itself(self):
        """F95."""
        where = self.small_disk("pooldisk", 8 << 20)
        server = self.world.server("pooldisk/pool").start()
        ann = self.world.device(server, "Ann", "manager")
        mona = self.world.device(server, "Mona", "manager")
        for i in range(10):
            ann.add(full_name=f"Lead {i}")
        ann.sync()
        free = self.fill(where)
        path = self.world.dir / "many.csv"
        path.write_text("full_name,notes\n" + "".join(f"Late {i},{'n' * 3000}{i}\n" for i in range(300)), encoding="utf-8")
        ann("import", path)
        failed = ann("sync", "--timeout", "5", "--json", status=1).json()
        self.assertFalse(failed["complete"])
        self.assertTrue(server.process.running(), "the server gave up")
        mona.sync()
        self.assertGreaterEqual(mona.count(), 10)
        self.assertGreater(ann.status()["unsent"], 0)
        free()
        lib.settle([ann, mona])
        self.assertEqual(mona.count(), 310)
        self.assert_one_pool(server, ann, mona)

    def test_a_read_only_file_system_is_told_and_harmless(self):
        """F22: it can be read; nothing can be saved there, and that is what it says."""
        server = self.world.server().start()
        where = self.small_disk("device", 20 << 20)
        ann = lib.Device(where / "ann.db", "Ann")
        ann("join", server.invite("Ann", "manager"))
        ann.add(full_name="王芳")
        subprocess.run(["mount", "-o", "remount,ro", where], check=True)
        for verb in (("add", "full_name=x"), ("sync", "--timeout", "3")):
            done = ann(*verb, status=None)
            self.assertEqual(done.code, 1, str(done))
            done.message()
        self.assertEqual(self.names(ann), ["王芳"])
        subprocess.run(["mount", "-o", "remount,rw", where], check=True)
        ann.sync()
        self.assertEqual(self.names(ann), ["王芳"])
        self.assert_one_pool(server, ann)


if __name__ == "__main__":
    lib.main()

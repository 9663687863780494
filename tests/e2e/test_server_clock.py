#!/usr/bin/env python3
"""test_server_clock.py - the server's own clock is set to 2036 and back (libfaketime): while it runs, and over restarts."""
import glob
import os
import unittest

import lib

FAKETIME = next(iter(sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))), None)
YEARS = "+3650d"


class ServerClock(lib.Case):
    def setUp(self):
        super().setUp()
        if not FAKETIME:
            raise unittest.SkipTest("libfaketime is not installed (package faketime)")
        self.clock = self.world.dir / "clock"
        self.set_clock("+0s")

    def set_clock(self, text):
        draft = self.clock.with_suffix(".new")
        draft.write_text(text + "\n")
        draft.replace(self.clock)

    def start(self, server):
        """Only the server's wall clock is what the file says."""
        faked = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1",
                 "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
        os.environ.update(faked)
        try:
            return server.start()
        finally:
            for name in faked:
                del os.environ[name]

    def test_a_clock_that_is_set_while_it_serves(self):
        server = self.start(self.world.server())
        ann, mona = self.world.device(server, "Ann", "manager"), self.world.device(server, "Mona", "manager")
        lead = ann.add(full_name="Ada", city="before")
        lib.settle([ann, mona])
        self.assertEqual(server.status()["clock"], "right")
        for clock in (YEARS, "-3650d"):
            self.set_clock(clock)
            ann.set(lead, city=f"while it was {clock}")
            self.assertIn("clock", ann("sync", status=None).err)
            self.assertGreater(ann.status()["unsent"], 0)
            self.assertIn("repair-clock", server.status()["clock"])
            mona.sync()
            self.assertEqual(mona.count(), 1)
            self.set_clock("+0s")
            self.assertEqual(server.status()["clock"], "right")
            lib.settle([ann, mona])
            self.assertEqual(mona.fields(lead)["city"], f"while it was {clock}")
            mona.set(lead, city="after")
            lib.settle([mona, ann])
            self.assertEqual(ann.fields(lead)["city"], "after")
        self.assert_one_pool(server, ann, mona)

    def test_a_pool_that_was_written_in_another_decade_is_repaired(self):
        server = self.start(self.world.server())
        ann, mona = self.world.device(server, "Ann", "manager"), self.world.device(server, "Mona", "manager")
        lead = ann.add(full_name="Ada", city="before")
        lib.settle([ann, mona])
        server.stop()
        self.set_clock(YEARS)
        self.start(server)
        ann.set(lead, city="in another decade")
        lib.settle([ann, mona])
        self.assertEqual(mona.fields(lead)["city"], "in another decade")
        server.stop()
        self.set_clock("+0s")
        self.start(server).process.await_line(lambda text: "clock not trusted" in text)
        mona.set(lead, notes="back again")
        self.assertIn("clock", mona("sync", status=None).err)
        self.assertIn("repair-clock", server.status()["clock"])
        self.assertGreater(server.command("repair-clock", "--json").json()["stamps"], 0)
        self.assertEqual(server.status()["clock"], "right")
        lib.settle([mona, ann])
        mona.set(lead, city="now")  # on top of a value that its replica may still know under a stamp of then
        mona.sync()
        nora = self.world.device(server, "Nora", "manager")
        nora.sync()
        self.assertEqual(nora.fields(lead)["city"], "now")
        self.assertEqual(nora.fields(lead)["notes"], "back again")
        lib.settle([ann, mona, nora])
        self.assertEqual(ann.fields(lead)["city"], "now")
        self.assert_one_pool(server, ann, mona, nora)
        self.assertEqual(server.command("repair-clock", "--json").json()["stamps"], 0)


if __name__ == "__main__":
    lib.main()

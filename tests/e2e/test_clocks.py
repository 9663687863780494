#!/usr/bin/env python3
"""test_clocks.py - devices whose clocks are wrong by hours or decades (libfaketime), and a server's that was.

Covers F24, F25, F26, F28, F29. Time since boot is real throughout, as on a device whose owner sets its clock."""
import glob
import time
import unittest

import lib

FAKETIME = next(iter(sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))), None)
CLOCKS = {"1970": "@1970-01-02 00:00:10", "2001": "@2001-09-09 01:46:40", "an hour slow": "-3600s", "an hour fast": "+3600s",
          "2038": "@2038-01-19 03:14:00", "2106": "@2106-02-07 06:28:00"}
TOLERANCE_S = 2


def faked(clock):
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1", "NO_FAKE_STAT": "1"}


class Off(lib.Device):
    """A device whose clock is wrong."""

    def __init__(self, path, owner, clock):
        super().__init__(path, owner)
        self.clock = clock

    def __call__(self, *args, env=None, **kw):
        return super().__call__(*args, env={**faked(self.clock), **(env or {})}, **kw)


class Clocks(lib.Case):
    def setUp(self):
        super().setUp()
        if not FAKETIME:
            raise unittest.SkipTest("libfaketime is not installed (package faketime)")
        self.server = self.world.server().start()
        self.mona = self.world.device(self.server, "Mona", "manager")

    def joined(self, name, clock):
        device = Off(self.world.dir / f"{len(name)}{name.replace(' ', '')}.db", name, clock)
        device("join", self.server.invite(name, "manager"))
        device.sync()
        return device

    def wait_out_the_tolerance(self):
        until = time.monotonic() + TOLERANCE_S + 0.2
        watch = self.world.keep(self.mona.watch())
        lib.await_true(watch, lambda: time.monotonic() > until)
        watch.end()

    def test_a_wrong_clock_decides_nothing(self):
        """F24, F25, F29: whoever wrote last has it, in both orders, whatever year the device thinks it is."""
        devices = [self.joined(name, clock) for name, clock in CLOCKS.items()]
        for device in devices:
            device.first, device.second = device.add(full_name="first"), device.add(full_name="second")
        lib.settle([*devices, self.mona])
        for device in devices:  # nobody syncs in between: what decides is when it was written
            device.set(device.first, city="theirs")
            self.mona.set(device.second, city="office")
        self.wait_out_the_tolerance()
        for device in devices:
            self.mona.set(device.first, city="office")
            device.set(device.second, city="theirs")
        lib.settle([*devices, self.mona])
        for device in devices:
            with self.subTest(clock=device.owner):
                self.assertEqual(self.mona.fields(device.first)["city"], "office")
                self.assertEqual(self.mona.fields(device.second)["city"], "theirs")
        self.assert_one_pool(self.server, self.mona, *devices)

    def test_a_device_that_was_ten_years_ahead_poisons_nothing(self):
        """F24: what it wrote is kept, and anybody's next edit wins over it."""
        ahead = self.joined("Ann", "+10y")
        lead = ahead.add(full_name="王芳", city="Ulm")
        lib.settle([ahead, self.mona])
        self.assertEqual(self.mona.fields(lead)["city"], "Ulm")
        self.mona.set(lead, city="Bonn")
        lib.settle([self.mona, ahead])
        self.assertEqual(ahead.fields(lead)["city"], "Bonn")
        self.assert_one_pool(self.server, self.mona, ahead)

    def test_a_clock_that_jumps_between_edits_keeps_their_order(self):
        """F26: set back and forth while the device is offline; the last edit is the last."""
        ann = self.joined("Ann", "+0s")
        lead = ann.add(full_name="王芳")
        ann.sync()
        for number, clock in enumerate(("+3600s", "-3600s", "@1970-01-02 00:00:10", "@2038-01-19 03:14:05", "+0s", "-86400s")):
            ann.clock = clock
            ann.set(lead, city=f"City {number}")
        ann.sync()
        self.mona.sync()
        self.assertEqual(self.mona.fields(lead)["city"], "City 5")
        self.mona.set(lead, city="Ulm")
        lib.settle([self.mona, ann])
        self.assertEqual(ann.fields(lead)["city"], "Ulm")
        self.assert_one_pool(self.server, self.mona, ann)

    def test_a_zone_is_for_showing_only(self):
        """F28: the same replica written in three zones, one of them about to change to summer time, holds UTC."""
        ann = self.joined("Ann", "+0s")
        lead = ann.add(full_name="王芳")
        for number, zone in enumerate(("Asia/Shanghai", "America/New_York", "Europe/Berlin")):
            ann("set", lead, f"city=City {number}", env={"TZ": zone})
        lib.settle([ann, self.mona])
        self.assertEqual(self.mona.fields(lead)["city"], "City 2")
        self.assert_one_pool(self.server, self.mona, ann)


if __name__ == "__main__":
    lib.main()

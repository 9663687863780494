#!/usr/bin/env python3
"""test_live.py - devices that stay connected: news arrives by itself, and other commands work on the same replica meanwhile."""
import json
import statistics
import time

import lib


def is_change_of(lead):
    return lambda text: json.loads(text).get("id") == lead


def is_live(text):
    return json.loads(text).get("state") == "live"


def await_lead(watch, device, lead):
    """Waits until the watching device has said that it has the lead. Of many leads that come together it names none."""
    start = 0
    while True:
        _, text = watch.await_line(lambda text: json.loads(text)["event"] == "changed", start)
        start = next(i for i in range(start, len(watch.lines)) if watch.lines[i][1] == text) + 1
        changed = json.loads(text)["id"]
        if changed == lead or (changed is None and device("show", lead, status=None).code == 0):
            return


class Live(lib.Case):
    def test_a_watching_device_hears_of_anothers_change_at_once(self):
        server, ann, bo, _ = self.office("Ann", "Bo")
        watch = self.world.keep(bo.watch())
        watch.await_line(is_live)
        delays = []
        for i in range(10):
            lead = ann.add(full_name=f"Lead {i}", company="Acme")
            ann.sync()
            returned = time.monotonic()
            heard, _ = watch.await_line(is_change_of(lead))
            delays.append((heard - returned) * 1000)
        print(f"heard {statistics.median(delays):.1f} ms after the other's sync returned (median; worst {max(delays):.1f} ms)", flush=True)
        self.assertLess(max(delays), 2000)
        self.assertEqual(watch.end(), 0)
        self.assertEqual(bo.count(), 10)
        self.assert_one_pool(server, bo)

    def test_sync_watch_and_add_work_on_one_replica(self):
        server, ann, mona = self.office("Ann")
        watch = self.world.keep(ann.watch())
        other = self.world.keep(mona.watch())
        watch.await_line(is_live)
        other.await_line(is_live)
        ids = [ann.add(full_name=f"Lead {i}") for i in range(20)]
        ann.set(ids[0], company="Acme")
        await_lead(other, mona, ids[-1])
        self.assertEqual(other.end(), 0)
        self.assertEqual(watch.end(), 0)
        lib.settle([ann, mona])
        self.assertEqual(mona.count(), 20)
        self.assertEqual(mona.fields(ids[0])["company"], "Acme")
        self.assert_one_pool(server, ann, mona)

    def test_two_watching_devices_agree_while_both_write(self):
        server, ann, bo, _ = self.office("Ann", "Bo")
        lead = ann.add(full_name="王芳", company="Acme")
        lib.settle([ann, bo])
        watches = [self.world.keep(d.watch()) for d in (ann, bo)]
        for watch in watches:
            watch.await_line(is_live)
        for i in range(10):
            ann.set(lead, city=f"City {i}")
            bo.set(lead, job_title=f"Title {i}")
        last = ann.add(full_name="the last")
        await_lead(watches[1], bo, last)
        last = bo.add(full_name="the very last")
        await_lead(watches[0], ann, last)
        for watch in watches:
            self.assertEqual(watch.end(), 0)
        lib.settle([ann, bo])
        for device in (ann, bo):
            fields = device.fields(lead)
            self.assertEqual((fields["city"], fields["job_title"]), ("City 9", "Title 9"))
        self.assert_one_pool(server, ann, bo)

    def test_a_watching_device_finds_the_server_again(self):
        server, ann, bo, _ = self.office("Ann", "Bo")
        watch = self.world.keep(bo.watch())
        watch.await_line(is_live)
        seen = len(watch.lines)
        server.stop()
        waiting = watch.await_line(lambda text: json.loads(text).get("state") == "waiting", seen)[1]
        self.assertTrue(json.loads(waiting)["reason"], "no reason is given")
        seen = len(watch.lines)
        server.start()
        watch.await_line(is_live, seen)
        lead = ann.add(full_name="王芳")
        ann.sync()
        watch.await_line(is_change_of(lead), seen)
        self.assertEqual(watch.end(), 0)

    def test_a_person_reads_what_changed(self):
        _, ann, bo, _ = self.office("Ann", "Bo")
        watch = self.world.keep(lib.Process(lib.BIN / "leadpool", "--replica", bo.path, "sync", "--watch", lines="stdout"))
        watch.await_line(lambda text: "live" in text)
        ann.add(full_name="王芳")
        ann.sync()
        watch.await_line(lambda text: "王芳" in text)
        self.assertEqual(watch.end(), 0)


if __name__ == "__main__":
    lib.main()

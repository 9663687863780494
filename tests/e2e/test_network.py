#!/usr/bin/env python3
"""test_network.py - what networks do to a session, by real processes and a proxy between them (proxy.py).

Covers F47, F50, F52, F53, F56, F57, F59, F60, F105. LEADPOOL_SEED repeats a run; LEADPOOL_ALL=1 leaves no byte out."""
import dataclasses
import json
import os
import random
import time
import uuid

import embedded
import lib
import proxy

EVERYTHING = os.environ.get("LEADPOOL_ALL") == "1"
PORTAL = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 62\r\nConnection: close\r\n\r\n"
          b"<html><body>Welcome to the hall. Please sign in.</body></html>")
REDIRECT = (b"HTTP/1.1 302 Found\r\nLocation: http://login.hall.example/?back=1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def is_state(state):
    return lambda text: json.loads(text).get("state") == state


class Network(lib.Case):
    def setUp(self):
        super().setUp()
        self.lots = random.Random(lib.seed())

    def between(self, server, line=proxy.GOOD, **kw):
        made = proxy.Proxy(server.address, line, self.lots, **kw)
        self.addCleanup(made.close)
        return made

    def office_behind(self, line=proxy.GOOD):
        """A server, Ann's device that reaches it through a proxy, a manager's that does not."""
        server = self.world.server().start()
        net = self.between(server)
        ann = self.world.device(server, "Ann", via=net.address)
        mona = self.world.device(server, "Mona", "manager")
        net.line = line
        return server, net, ann, mona

    def heal(self, server, net, *devices):
        net.line = proxy.GOOD
        lib.settle(devices)
        self.assert_one_pool(server, *devices)

    # ---- cuts (F47, F56) ----

    def test_a_session_may_be_cut_after_any_of_its_bytes(self):
        """Each session pushes a change and pulls one. Whatever had come through before the cut, the next one goes on from there (F47)."""
        server, net, ann, mona = self.office_behind()
        a, b = embedded.Embedded(ann.path), embedded.Embedded(mona.path)
        self.addCleanup(a.close)
        self.addCleanup(b.close)
        leads = [uuid.UUID(int=self.lots.getrandbits(128), version=4) for _ in range(2)]
        cuts = {}
        at = sessions = whole_in_a_row = 0
        step = 1 if EVERYTHING else 2
        while whole_in_a_row < 3:
            at += 1 if step == 1 else self.lots.randint(1, 2 * step - 1)
            sessions += 1
            for end, lead in ((a, leads[0]), (b, leads[1])):
                self.assertEqual(end.write(lead.bytes, job_title=f"title {sessions}"), (0, ""))
            self.assertEqual(b.sync(), (0, ""))
            first = len(net.connections)
            hurt = proxy.Line(cut_at=at, reset=sessions % 2 == 1)
            net.line = lambda number, first=first, hurt=hurt: hurt if number == first else proxy.GOOD
            code, message = a.sync()
            self.assertIn(code, (0, lib.OFFLINE), message)
            passed = net.connections[first]
            cuts[at] = passed.why
            whole_in_a_row = 0 if passed.why == "cut" else whole_in_a_row + 1
        net.line = proxy.GOOD
        print(f"{sessions} sessions, the longest of {max(cuts)} bytes, {sum(w == 'cut' for w in cuts.values())} cut", flush=True)
        self.assertGreater(max(cuts), 1000, "the sessions were too short to show anything")
        for end in (a, b, a):
            self.assertEqual(end.sync(), (0, ""))
        for device in (ann, mona):
            self.assertEqual([device.fields(str(lead))["job_title"] for lead in leads], [f"title {sessions}"] * 2)
        self.assert_one_pool(server, ann, mona)
        self.assertEqual(mona.rows("conflicts"), [])

    def test_joining_may_be_cut_after_any_byte(self):
        """The same invitation is good until its device has joined, and makes one device of it (F47)."""
        server = self.world.server().start()
        net = self.between(server)
        invitation = server.invite("Ann").replace(server.address, net.address)
        ann = lib.Device(self.world.dir / "ann.db", "Ann")
        at = 0
        while True:
            at += self.lots.randint(1, 200)
            net.line = proxy.Line(cut_at=at, reset=at % 2 == 1)
            if ann("join", invitation, "--timeout", "3", status=None).code == 0:
                break
        self.assertEqual(server.status()["devices"], 1)
        self.heal(server, net, ann)

    def test_a_watching_device_that_changes_networks_goes_on_from_where_it_was(self):
        """Cut again and again while leads come and go: nothing is missing, nothing is there twice (F56)."""
        server, net, ann, mona = self.office_behind()
        watch = self.world.keep(ann.watch())
        watch.await_line(is_state("live"))
        for i in range(5):
            seen = len(watch.lines)
            ann.add(full_name=f"Ann's {i}")
            mona.add(full_name=f"Mona's {i}")
            mona.sync()
            net.cut_all()
            watch.await_line(is_state("live"), seen)
        last = mona.add(full_name="the last")
        mona.sync()
        lib.await_true(watch, lambda: ann("show", last, status=None).code == 0)
        self.assertEqual(watch.end(), 0)
        print(f"{len(net.connections)} connections", flush=True)
        self.heal(server, net, ann, mona)
        names = [row["fields"]["full_name"] for row in mona.rows("list")]
        self.assertEqual(sorted(names), sorted([f"{who}'s {i}" for who in ("Ann", "Mona") for i in range(5)] + ["the last"]))

    # ---- what arrives, and how (F50, F60, F61) ----

    def test_frames_that_are_split_merged_or_slow_mean_the_same(self):
        server, net, ann, mona = self.office_behind()
        lines = [proxy.Line(split=1), proxy.Line(split=7, merge_s=0.02), proxy.Line(merge_s=0.1), proxy.Line(delay_s=0.2)]
        for number, line in enumerate(lines):
            with self.subTest(line=line):
                net.line = line
                mona.add(full_name=f"Mona's {number}", notes="met at the booth; " * 40)
                mona.sync()
                ann.add(full_name=f"Ann's {number}", notes="met at the booth; " * 40)
                self.assertTrue(ann.sync()["complete"])
        self.heal(server, net, ann, mona)
        self.assertEqual(mona.count(), 2 * len(lines))

    def test_a_device_whose_acknowledgements_are_lost_repeats_itself_harmlessly(self):
        """From some byte on nothing comes down while all still goes up: the server applies what the device cannot know of (F50)."""
        server, net, ann, mona = self.office_behind()
        names = []
        for turn in range(4):
            net.line = proxy.Line(hole_down_at=self.lots.randint(0, 900))
            names.append(f"Lead {turn}")
            ann.add(full_name=names[-1])
            result = ann("sync", "--timeout", "1", "--json", status=None)
            self.assertEqual(result.json()["complete"], result.code == 0)
        net.line = proxy.Line(hole_up_at=self.lots.randint(0, 900))
        ann.add(full_name="the other way")
        ann("sync", "--timeout", "1", status=None)
        self.heal(server, net, ann, mona)
        self.assertEqual(sorted(r["fields"]["full_name"] for r in mona.rows("list")), sorted([*names, "the other way"]))

    def test_a_half_closed_connection_ends_and_is_made_again(self):
        server, net, ann, mona = self.office_behind()
        for turn in range(6):
            first = len(net.connections)
            hurt = proxy.Line(half_at=self.lots.randint(1, 1200))
            net.line = lambda number, first=first, hurt=hurt: hurt if number == first else proxy.GOOD
            ann.add(full_name=f"Lead {turn}")
            ann("sync", "--timeout", "5", status=None)
        self.heal(server, net, ann, mona)
        self.assertEqual(mona.count(), 6)

    def test_an_idle_limit_of_a_middlebox_does_not_end_a_live_connection(self):
        """A parked wait is renewed every 25 s, below any limit worth the name: one of 30 s is not met (F59)."""
        server, net, ann, mona = self.office_behind(proxy.Line(idle_s=30))
        began = time.monotonic()
        watch = self.world.keep(ann.watch())
        watch.await_line(is_state("live"))
        count = len(net.connections)
        lib.await_true(watch, lambda: time.monotonic() - began > 32)
        self.assertEqual((len(net.connections), net.open_count()), (count, 1))
        lead = mona.add(full_name="王芳")
        mona.sync()
        watch.await_line(lambda text: json.loads(text).get("id") == lead)
        self.assertEqual(watch.end(), 0)

    def test_devices_do_not_come_back_all_at_once(self):
        """The hall's network is away for a while. Each of 25 devices tries again at random times and less and less often; when it is back
        all come, with what was written meanwhile (F105)."""
        server, net, ann, mona = self.office_behind()
        devices = []
        for number in range(25):
            path = self.world.device(server, f"Rep {number}", "manager", via=net.address).path
            devices.append(embedded.Embedded(path))
            self.addCleanup(devices[-1].close)
        net.refuse = True
        for device in devices:
            self.assertEqual(device.start(), 0)
        watch = self.world.keep(mona.watch())
        watch.await_line(is_state("live"))
        began = time.monotonic()
        lib.await_true(watch, lambda: time.monotonic() - began > 3)
        tries = [at - began for at in net.refused_at if at > began]
        by_tenth = [sum(1 for at in tries if tenth <= at * 10 < tenth + 1) for tenth in range(30)]
        print(f"{len(net.refused_at)} tries in 3 s, at most {max(by_tenth)} of them in a tenth", flush=True)
        self.assertLess(len(net.refused_at), 25 * 8, "they hardly wait")
        self.assertLess(max(by_tenth), 13, "they come all at once")
        for number, device in enumerate(devices):
            self.assertEqual(device.write(uuid.uuid4().bytes, full_name=f"Lead {number}"), (0, ""))
        net.refuse = False
        lib.await_true(watch, lambda: mona.count() == len(devices))
        self.assertEqual(watch.end(), 0)
        self.heal(server, net, ann, mona)

    # ---- who answers (F52, F53) ----

    def blocked_network(self, answer):
        server, net, ann, mona = self.office_behind(proxy.Line(answer=answer))
        lead = ann.add(full_name="王芳")
        failed = ann("sync", "--timeout", "5", "--json", status=1).json()
        self.assertEqual(failed["error"]["code"], "OFFLINE")
        self.assertIn("captive portal", failed["error"]["message"])
        watch = self.world.keep(ann.watch())
        waiting = json.loads(watch.await_line(is_state("waiting"))[1])
        self.assertIn("captive portal", waiting["reason"])
        self.assertEqual((ann.status()["unsent"] > 0, ann.fields(lead)["full_name"]), (True, "王芳"))
        net.line = proxy.GOOD  # somebody signed in at the portal
        watch.await_line(is_state("live"))
        self.assertEqual(watch.end(), 0)
        self.heal(server, net, ann, mona)

    def test_a_captive_portal_is_a_blocked_network(self):
        """Its page is no refusal: nothing is wiped, the device tries again, and goes on by itself afterwards (F52)."""
        self.blocked_network(PORTAL)

    def test_a_redirect_to_a_portal_is_a_blocked_network(self):
        self.blocked_network(REDIRECT)

    def test_another_servers_key_in_between_is_refused_and_costs_nothing(self):
        """Somebody in the middle with a certificate of their own learns nothing, and the device goes on once they are gone (F53)."""
        server, net, ann, mona = self.office_behind()
        other = self.world.server("other").start()
        lead = ann.add(full_name="王芳")
        honest = net.target
        net.target = (honest[0], int(other.address.split(":")[1]))
        failed = ann("sync", "--timeout", "5", "--json", status=1).json()
        self.assertEqual(failed["error"]["code"], "UNTRUSTED")
        self.assertEqual((ann.status()["unsent"] > 0, ann.fields(lead)["full_name"]), (True, "王芳"))
        self.assertEqual((other.status()["leads"], other.status()["devices"]), (0, 0))
        net.target = honest
        self.heal(server, net, ann, mona)

    # ---- thin lines (F57) ----

    def test_an_outbox_drains_through_a_thin_line_that_is_cut_again_and_again(self):
        """16 kbit/s, a second of round trip, every tenth segment late by a second, a cut every 10 s: 60 leads get through, and no cut
        makes it begin anew (F57). LEADPOOL_ALL=1: 200 leads, a cut every 20 s, and back down to another device."""
        leads, life_s = (200, 20) if EVERYTHING else (60, 10)
        server, net, ann, mona = self.office_behind(dataclasses.replace(proxy.THIN, life_s=life_s))
        for number in range(leads):
            ann.add(full_name=f"客户{number}", company=f"Acme {number % 7}", phone=f"+86 138 0000 {number:04}",
                    need="wants to be called about the large model")
        watch = self.world.keep(ann.watch())
        began = time.monotonic()
        lib.await_true(watch, lambda: ann.status()["unsent"] == 0, 200)
        took = time.monotonic() - began
        self.assertEqual(watch.end(), 0)
        up = net.bytes_passed(proxy.UP)
        print(f"{leads} leads in {took:.0f} s over {len(net.connections)} connections, {up} bytes up", flush=True)
        self.heal(server, net, ann, mona)
        self.assertEqual(mona.count(), leads)


if __name__ == "__main__":
    lib.main()

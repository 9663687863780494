#!/usr/bin/env python3
"""test_damage.py - replicas on full, read-only and damaged disks: saving refuses in clear words, reading works, the outbox drains from the reserve
(F10), and what only the device has is rescued (F13, F15, F22). Mounts need a namespace of their own; where there is none, those tests are skipped."""
import os
import subprocess
import sys
import unittest

import lib

INSIDE = "LEADPOOL_OWN_MOUNTS"


def mount(*args):
    subprocess.run(["mount", *map(str, args)], check=True)


@unittest.skipUnless(os.environ.get(INSIDE), "no mounts of our own here")
class Full(lib.Case):
    def device(self, server, directory):
        made = lib.Device(directory / "bob.db", "Bob")
        made("join", server.invite("Bob"), "--label", "Bob's device")
        return made

    def fill(self, directory):
        filler = directory / "filler"
        with open(filler, "wb", buffering=0) as out:
            for size in (65536, 4096):
                try:
                    while True:
                        out.write(b"x" * size)
                except OSError:
                    pass
        return filler

    def test_a_full_disk_refuses_saves_and_lets_the_outbox_drain(self):
        server, mona = self.office()
        disk = self.world.dir / "disk"
        disk.mkdir()
        mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", disk)
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)
        bob = self.device(server, disk)
        lead = bob.add(full_name="Before")
        reserve = disk / "bob.db.reserve"
        self.assertEqual(reserve.stat().st_size, 4 << 20)
        for i in range(150):
            bob.add(full_name=f"Lead {i}", notes="n" * 500)
        unsent = bob.status()["unsent"]
        filler = self.fill(disk)
        self.assertEqual(bob("add", "--full-name", "Too much", "--json", status=None).code, 1)
        self.assertEqual(bob.count(), 151)
        self.assertEqual(bob.fields(lead)["full_name"], "Before")
        self.assertEqual(bob.status()["unsent"], unsent)
        bob.sync()
        self.assertEqual(bob.status()["unsent"], 0)
        self.assertEqual(reserve.stat().st_size, 0, "nothing was needed of the reserve: this test tests nothing")
        said = bob("add", "--full-name", "Too much", "--json", status=1)
        self.assertEqual(said.json()["error"]["code"], "FULL")
        self.assertIn("free some space", said.message())
        filler.unlink()
        bob.add(full_name="After")
        self.assertEqual(reserve.stat().st_size, 4 << 20)
        lib.settle([bob, mona])
        self.assertEqual(mona.count(), 152)

    def test_a_read_only_replica_can_be_read(self):
        server, _ = self.office()
        directory = self.world.dir / "disk"
        directory.mkdir()
        ann = self.device(server, directory)
        lead = ann.add(full_name="Ada Lovelace", company="Analytical Engines")
        ann.sync()
        ann("search", "ada")
        mount("--bind", directory, directory)
        mount("-o", "remount,bind,ro", directory)
        self.addCleanup(subprocess.run, ["umount", "-l", str(directory)], check=False)
        self.assertEqual(ann.fields(lead)["company"], "Analytical Engines")
        self.assertEqual(len(ann("search", "lovelace", "--json").rows()), 1)
        self.assertEqual(ann.status()["leads"], 1)
        said = ann("add", "--full-name", "Nobody", "--json", status=1)
        self.assertIn("read-only", said.message())
        self.assertTrue(ann("doctor", "--json").json()["read_only"])


class Damaged(lib.Case):
    def test_what_was_not_sent_survives_a_damaged_replica(self):
        server, ann, mona = self.office("Ann")
        known = ann.add(full_name="Ada", company="Acme")
        ann.sync()
        ann.set(known, company="Acme Ltd")
        for i in range(40):
            ann.add(full_name=f"Lead {i}")
        self.assertTrue(ann("doctor", "--json").json()["sound"])
        path = ann.path
        whole = path.read_bytes()
        path.write_bytes(b"\0" * 100 + whole[100:])
        said = ann("status", "--json", status=1)
        self.assertEqual(said.json()["error"]["code"], "CORRUPT")
        self.assertIn("doctor", said.message())
        found = ann("doctor", "--json", status=1).json()
        self.assertFalse(found["sound"])
        rescued = path.with_name("rescued.db")
        got = ann("doctor", "--rescue", rescued, "--json").json()
        self.assertTrue(got["joined"])
        self.assertGreaterEqual(got["changes"], 41)
        path.write_bytes(b"")
        os.replace(rescued, path)
        lib.settle([ann, mona])
        self.assertEqual(mona.count(), 41)
        self.assertEqual(mona.fields(known)["company"], "Acme Ltd")
        self.assertTrue(ann("doctor", "--json").json()["sound"])
        self.assert_one_pool(server, ann, mona)

    def test_a_record_that_went_by_itself_is_read_again_and_told(self):
        _, ann, mona = self.office("Ann")
        lead = ann.add(full_name="Ada", company="Acme")
        ann.add(full_name="Grace")
        lib.settle([ann, mona])
        subprocess.run([sys.executable, "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
                        "c.execute(\"DELETE FROM meta WHERE key = 'audit.last_ms'\");"
                        "c.execute('DELETE FROM record WHERE id = ?', [bytes.fromhex(sys.argv[2].replace('-', ''))]); c.commit()",
                        str(mona.path), lead], check=True)
        self.assertEqual(mona.count(), 1)
        self.assertIn("had changed by themselves and were read again: 1", mona("sync").out)
        self.assertEqual(mona.fields(lead)["company"], "Acme")
        self.assertIn("set right: 1", mona("status").out)

    def test_repair_makes_the_search_index_anew(self):
        _, ann, _ = self.office("Ann")
        ann.add(full_name="Ada Lovelace")
        ann("search", "ada")
        subprocess.run([sys.executable, "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
                        "c.execute('DELETE FROM lead_text_data WHERE id > 10'); c.commit()", str(ann.path)], check=True)
        said = ann("doctor", status=1)
        self.assertIn("search index", said.out)
        self.assertIn("--repair", said.out)
        ann("doctor", "--repair")
        self.assertEqual(len(ann("search", "lovelace", "--json").rows()), 1)


if __name__ == "__main__":
    if not os.environ.get(INSIDE) and subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, "-B", *sys.argv])
    lib.main()

#!/usr/bin/env python3
"""test_revoke.py - a revoked device gets nothing any more; what it still holds goes to review for some days and is then refused; its rep is told,
and can remove the replica (F42, F108)."""
import datetime
import shutil
import unicodedata

import lib


class Revoking(lib.Case):
    def number(self, server, owner):
        return next(d["device"] for d in server.command("devices", "--json").rows() if d["staff"] == owner)

    def test_a_revoked_device_gives_and_does_not_get(self):
        server, ann, bob, mona = self.office("Ann", "Bob")
        lead = ann.add(full_name="Ada", company="Acme")
        lib.settle([ann, bob, mona])
        ann.add(full_name="After")
        ann.sync()
        bob.set(lead, company="Acme of Bob")
        own = bob.add(full_name="Grace")
        revoked = server.command("revoke", "--device", self.number(server, "Bob"), "--json").json()
        self.assertEqual(revoked["staff"], "Bob")
        self.assertGreater(revoked["revoked_at"], 0)
        said = bob("sync", "--json", status=1)
        self.assertEqual(said.json()["error"]["code"], "REVOKED")
        self.assertIn("leadpool wipe", said.message())
        self.assertIn("leadpool wipe", bob.status()["reason"])
        self.assertEqual(bob.status()["state"], "blocked")
        self.assertEqual(bob.status()["unsent"], 0)
        self.assertGreater(said.json()["received"], 1)
        self.assertIn("Acme of Bob", bob("log", lead).out, "what was typed is in the lead's history")
        self.assertEqual(bob.count("full_name=After"), 0)
        waiting = server.command("review", "--json").rows()
        self.assertEqual({e["record"] for e in waiting}, {lead, own})
        self.assertEqual({e["reason"] for e in waiting}, {"revoked"})
        edit = next(e for e in waiting if e["record"] == lead)
        self.assertEqual(edit["fields"], {"company": "Acme of Bob"})
        self.assertEqual(ann.fields(lead)["company"], "Acme")
        server.command("review", "--accept", edit["number"])
        server.command("review", "--reject", next(e for e in waiting if e["record"] == own)["number"])
        self.assertEqual(server.command("review", "--json").rows(), [])
        server.command("review", "--accept", edit["number"], status=1)
        ann.sync()
        mona.sync()
        self.assertEqual(ann.fields(lead)["company"], "Acme of Bob")
        self.assertEqual(ann.count("full_name=Grace"), 0)
        self.assertEqual(ann.status()["conflicts"], 0)
        self.assert_one_pool(server, ann, mona)

    def test_after_the_days_of_grace_nothing_is_taken(self):
        server, ann, bob, _ = self.office("Ann", "Bob")
        server.stop()
        server.start("--revoked-grace-days", "0")
        number = self.number(server, "Bob")
        bob.add(full_name="Grace")
        unsent = bob.status()["unsent"]
        self.assertGreater(unsent, 0)
        server.command("revoke", "--device", number)
        said = bob("sync", "--json", status=1)
        self.assertEqual(said.json()["error"]["code"], "REVOKED")
        self.assertEqual(bob.status()["unsent"], unsent, "what nobody took is still here")
        self.assertEqual(server.command("review", "--json").rows(), [])

    def test_a_live_device_is_told_at_once(self):
        server, ann, _ = self.office("Ann")
        watch = self.world.keep(ann.watch())
        watch.await_line(lambda text: '"live"' in text)
        server.command("revoke", "--device", self.number(server, "Ann"))
        watch.await_line(lambda text: '"blocked"' in text)

    def test_a_restored_pool_does_not_trust_it_again(self):
        server, ann, _ = self.office("Ann")
        ann.sync()
        server.command("backup", "--to", self.world.dir / "old.copy")
        server.command("revoke", "--device", self.number(server, "Ann"))
        server.stop()
        for name in ("pool.db", "pool.db-wal", "pool.db-shm"):
            (server.data / name).unlink(missing_ok=True)
        shutil.copy(self.world.dir / "old.copy", server.data / "pool.db")
        server.start()
        self.assertEqual(ann("sync", "--json", status=1).json()["error"]["code"], "REVOKED")

    def test_devices_are_listed_with_what_they_have_read(self):
        server, ann, _ = self.office("Ann")
        ann.add(full_name="Ada")
        ann.sync()
        ann.sync()
        row = next(d for d in server.command("devices", "--json").rows() if d["staff"] == "Ann")
        self.assertEqual(row["label"], "Ann's device")
        self.assertEqual(row["revoked_at"], 0)
        self.assertGreater(row["seen_at"], 1_500_000_000_000)
        self.assertEqual(row["batch"], 1)
        header, line, _ = server.command("devices", env={"TZ": "Asia/Shanghai"}).out.splitlines()
        at = header.index("seen_at")
        shown = datetime.datetime.strptime(line[at : at + 16], "%Y-%m-%d %H:%M")
        there = datetime.datetime.fromtimestamp(row["seen_at"] / 1000, datetime.timezone(datetime.timedelta(hours=8)))
        self.assertEqual(shown, there.replace(tzinfo=None, second=0, microsecond=0))
        self.assertEqual(line[header.index("label") :].split("  ")[0], "Ann's device")
        server.command("revoke", "--device", "9999", status=1)
        server.command("revoke", "--device", "x", status=2)

    def test_what_a_device_is_called_does_not_steer_the_office_s_terminal(self):
        server, _ = self.office()
        hostile = lib.Device(self.world.dir / "hostile.db")
        hostile("join", server.invite("王伟"), "--label", "\x1b[2Jphone\r李")
        out = server.command("devices").out
        self.assertIn(" [2Jphone 李", out)
        self.assertNotIn("\x1b", out)
        lines = out.splitlines()
        columns = [sum(2 if unicodedata.east_asian_width(c) == "W" else 1 for c in line[: line.rindex("  ")]) for line in lines]
        self.assertEqual(len(set(columns)), 1, out)

    def test_wiping_removes_the_replica_and_nothing_else(self):
        server, ann, _ = self.office("Ann")
        ann.add(full_name="Ada")
        said = ann("wipe", status=2)
        self.assertIn(f"{ann.status()['unsent']} changes were never sent", said.message())
        watch = self.world.keep(ann.watch())
        watch.await_line(lambda text: '"live"' in text)
        self.assertIn("open", ann("wipe", "--yes", status=1).message())
        watch.end()
        self.assertEqual(ann.json("wipe", "--yes"), {"removed": str(ann.path)})
        self.assertEqual([p.name for p in self.world.dir.iterdir() if p.name.startswith("Ann")], [])
        other = self.world.dir / "notes.txt"
        other.write_text("x" * 200)
        lib.Device(other)("wipe", "--yes", status=1)
        self.assertEqual(other.read_text(), "x" * 200)
        ann("wipe", "--yes", status=1)


if __name__ == "__main__":
    lib.main()

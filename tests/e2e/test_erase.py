#!/usr/bin/env python3
"""test_erase.py - a person who is erased leaves the pool and every device, files included, and never comes back (I8, F41, F87)."""
import shutil

import lib

CANARY = "Zyxwv Canary"
VALUES = {"full_name": CANARY, "company": "Canarycorp", "email": "qqcanary@example.com", "notes": "canarynote 金丝雀笔记",
          "answers.canaryquestion": "canaryanswer", "tags.canarytag": "yes"}
TRACES = ["canary", "金丝雀"]


def traces(directory):
    """Files below a directory that still hold a trace, as bytes, whatever the case."""
    found = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.suffix in (".log", ".copy"):
            continue
        data = path.read_bytes().lower()
        found += [f"{path.name}: {trace}" for trace in TRACES if trace.encode().lower() in data]
    return found


class Erasing(lib.Case):
    def assert_gone(self, lead, *devices):
        self.assertEqual(traces(self.world.dir), [])
        for device in devices:
            said = device("show", lead, status=1)
            self.assertIn("no", said.err)

    def test_an_erased_person_leaves_every_file(self):
        server, ann, bob, mona = self.office("Ann", "Bob")
        lead = ann.add(**VALUES)
        kept = ann.add(full_name="Somebody Else", company="Staycorp")
        ann("note", lead, "a canary note")
        lib.settle([ann, bob, mona])
        bob.set(lead, company="Canarycorp of Bob")
        ann.set(lead, company="Canarycorp of Ann", email="a@canary.example")
        lib.settle([ann, bob, mona])
        self.assertGreater(mona.status()["conflicts"], 0)
        self.assertEqual(len(bob.rows("search", "canary")), 1)
        self.assertNotEqual(traces(self.world.dir), [], "the test would find nothing")
        answer = server.command("erase", "--lead", lead, "--json").json()
        self.assertEqual(answer["lead"], lead)
        self.assertGreaterEqual(answer["erased"], 3, "the lead, its note, its conflict")
        self.assertEqual([t for t in traces(server.data)], [])
        lib.settle([ann, bob, mona])
        self.assert_gone(lead, ann, bob, mona)
        self.assertEqual(ann.fields(kept)["company"], "Staycorp")
        self.assertEqual(mona.status()["conflicts"], 0)
        self.assert_one_pool(server, ann, bob, mona)
        self.assertEqual(server.command("erase", "--lead", lead, "--json").json()["erased"], 0)
        server.stop()
        self.assertEqual(traces(self.world.dir), [])

    def test_late_changes_are_acknowledged_and_dropped(self):
        server, ann, bob, _ = self.office("Ann", "Bob")
        lead = ann.add(**VALUES)
        lib.settle([ann, bob])
        bob.set(lead, company="Canarycorp, typed in a tunnel")
        bob("note", lead, "a canary note, written in a tunnel")
        other = bob.add(full_name="Late Friend")
        server.command("erase", "--lead", lead)
        self.assertTrue(bob.sync()["complete"])
        self.assertEqual(bob.status()["unsent"], 0)
        lib.settle([ann, bob])
        self.assert_gone(lead, ann, bob)
        self.assertEqual(ann.fields(other)["full_name"], "Late Friend")
        self.assert_one_pool(server, ann, bob)

    def test_what_was_erased_cannot_be_typed_in_again_under_its_id(self):
        server, ann, _ = self.office("Ann")
        sheet = self.world.dir / "leads.csv"
        sheet.write_text("Name,Email\nAda,ada@example.com\n")
        ann("import", sheet)
        lead = ann.rows("list")[0]["id"]
        ann.sync()
        server.command("erase", "--lead", lead)
        ann.sync()
        ann("import", sheet, status=None)
        self.assertEqual(ann.count(), 0)
        said = ann("note", lead, "x", status=1)
        self.assertEqual(len(said.err.splitlines()), 1)
        self.assertEqual(ann.status()["unsent"], 0)

    def test_a_new_device_does_not_hear_of_the_erased(self):
        server, ann, _ = self.office("Ann")
        lead = ann.add(**VALUES)
        ann.sync()
        server.command("erase", "--lead", lead)
        late = self.world.device(server, "Late")
        lib.settle([ann, late])
        self.assert_gone(lead, ann, late)
        self.assert_one_pool(server, ann, late)

    def test_an_older_database_put_back_is_cleaned_before_it_is_served(self):
        server, ann, _ = self.office("Ann")
        lead = ann.add(**VALUES)
        ann("note", lead, "a canary note")
        ann.sync()
        server.command("backup", "--to", self.world.dir / "old.copy")
        server.command("erase", "--lead", lead)
        ann.sync()
        server.stop()
        for name in ("pool.db", "pool.db-wal", "pool.db-shm"):
            (server.data / name).unlink(missing_ok=True)
        shutil.copy(self.world.dir / "old.copy", server.data / "pool.db")
        server.start()
        self.assertEqual(traces(server.data), [])
        self.assertEqual(server.status()["leads"], 0)
        late = self.world.device(server, "Late")
        late.sync()
        self.assertEqual(traces(self.world.dir), [])

    def test_an_erasure_that_cannot_be_written_down_is_not_done(self):
        server, ann, _ = self.office("Ann")
        lead = ann.add(**VALUES)
        ann.sync()
        ledger = server.data / "erased.ledger"
        ledger.unlink()
        ledger.mkdir()
        said = server.command("erase", "--lead", lead, status=1)
        self.assertIn("erased.ledger", said.message())
        ann.sync()
        self.assertEqual(ann.fields(lead)["full_name"], CANARY)
        self.assertEqual(server.status()["leads"], 1)

    def test_only_a_lead_that_is_known_can_be_erased(self):
        server, ann, _ = self.office("Ann")
        lead = ann.add(full_name="Ada")
        note = ann.json("note", lead, "hello")["id"]
        ann.sync()
        server.command("erase", "--lead", "0000", status=2)
        server.command("erase", "--lead", "01930000-0000-7000-8000-000000000001", status=1)
        server.command("erase", "--lead", note, status=2)
        self.assertEqual(server.status()["leads"], 1)


if __name__ == "__main__":
    lib.main()

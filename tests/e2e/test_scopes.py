#!/usr/bin/env python3
"""test_scopes.py - a rep's device holds what is the rep's own and what was granted, and nothing else stays on its disk (F81 to F84)."""
import lib


def on_disk(device, text):
    return any(text.encode() in path.read_bytes() for path in device.path.parent.glob(device.path.name + "*") if path.is_file())


class Scopes(lib.Case):
    def setUp(self):
        super().setUp()
        self.pool = self.world.server().start()
        self.ann = self.world.device(self.pool, "Ann", scope=None)
        self.bob = self.world.device(self.pool, "Bob", scope=None)
        self.mona = self.world.device(self.pool, "Mona", "manager")

    def sync(self, *devices):
        for device in devices:
            said = device.sync()
            self.assertFalse(said.get("diverged", False), f"{device.owner} differs from the server")

    def test_a_rep_holds_the_reps_own(self):
        lead = self.ann.add(full_name="Ada", company="Acme")
        self.sync(self.ann, self.bob, self.mona, self.ann)
        self.assertEqual(self.ann.count(), 1)
        self.assertEqual(self.bob.count(), 0)
        self.assertEqual(self.mona.fields(lead)["company"], "Acme")

    def test_a_lead_that_is_given_away_goes_with_what_belongs_to_it(self):
        lead = self.ann.add(full_name="Canaria Ada", company="Acme")
        self.ann("note", lead, "canary in a note")
        self.sync(self.ann, self.mona)
        self.mona.set(lead, owner="Bob")
        self.sync(self.mona, self.bob, self.ann)
        self.assertEqual(self.ann.count(), 0)
        self.assertEqual(self.bob.fields(lead)["full_name"], "Canaria Ada")
        self.assertFalse(on_disk(self.ann, "Canaria"), "the name is still on the disk")
        self.assertFalse(on_disk(self.ann, "canary in a note"), "the note is still on the disk")
        self.assertTrue(on_disk(self.bob, "canary in a note"))

    def test_what_was_typed_before_a_lead_moved_away_arrives(self):
        lead = self.ann.add(full_name="Ada")
        self.sync(self.ann, self.mona)
        self.mona.set(lead, owner="Bob")
        self.sync(self.mona)
        self.ann.set(lead, company="typed in good faith")
        self.sync(self.ann, self.bob, self.ann)
        self.assertEqual(self.bob.fields(lead)["company"], "typed in good faith")
        self.assertEqual(self.ann.count(), 0)
        self.assertEqual(self.ann.status()["unsent"], 0)

    def test_a_lead_that_comes_back_is_whole(self):
        lead = self.ann.add(full_name="Ada", company="Acme")
        self.sync(self.ann, self.mona)
        for owner in ("Bob", "Ann", "Bob", "Ann"):
            self.mona.set(lead, owner=owner)
            self.sync(self.mona, self.ann, self.bob)
            self.assertEqual((self.ann.count(), self.bob.count()), (1, 0) if owner == "Ann" else (0, 1))
        self.assertEqual(self.ann.fields(lead)["company"], "Acme")

    def test_a_granted_event_comes_and_goes(self):
        lead = self.ann.add(full_name="Ada", event="ifa26")
        self.ann.add(full_name="Grace", event="other")
        self.sync(self.ann)
        self.pool.command("grant", "--staff", "Bob", "--scope", "event:ifa26")
        self.sync(self.bob)
        self.assertEqual(self.bob.fields(lead)["full_name"], "Ada")
        self.assertEqual(self.bob.count(), 1)
        self.pool.command("ungrant", "--staff", "Bob", "--scope", "event:ifa26")
        self.sync(self.bob)
        self.assertEqual(self.bob.count(), 0)
        self.assertFalse(on_disk(self.bob, "ifa26"))
        self.pool.command("grant", "--staff", "Bob", "--scope", "pool")
        self.sync(self.bob)
        self.assertEqual(self.bob.count(), 2)
        self.assert_one_pool(self.pool, self.bob)

    def test_what_is_written_under_a_grant_is_applied(self):
        lead = self.ann.add(full_name="Ada", event="ifa26")
        self.pool.command("grant", "--staff", "Bob", "--scope", "event:ifa26")
        self.sync(self.ann, self.bob)
        self.bob.set(lead, company="Bob's")
        self.sync(self.bob)
        self.sync(self.ann)
        self.assertEqual(self.ann.fields(lead)["company"], "Bob's")
        self.assertEqual(self.pool.command("review", "--json").rows(), [])


if __name__ == "__main__":
    lib.main()

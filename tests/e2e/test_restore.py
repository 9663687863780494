#!/usr/bin/env python3
"""test_restore.py - the drill: backup, 1,000 more changes from five devices, restore the backup, the devices come back. Nothing is lost, nothing
that was erased returns; and the same when somebody copies an old file in place, and when a phone is copied."""
import shutil
import unittest

import lib

CHANGES = 1000


class Restore(lib.Case):
    def write(self, server, devices, leads, changes):
        """Changes of all devices, synced every now and then; what each field of each lead was set to last. Each device has leads of its own to
        change, so that it is known which change is the last."""
        wanted = {}
        for i in range(changes):
            who = i % len(devices)
            device = devices[who]
            if i % 4 == 0:
                lead = device.add(full_name=f"客户 {i}", company=f"Firma {i}")
                wanted[lead] = {"full_name": f"客户 {i}", "company": f"Firma {i}"}
            else:
                lead = leads[(who + len(devices) * (i % 2)) % len(leads)]
                field = ("company", "job_title", "notes")[i % 3]
                device.set(lead, **{field: f"value {i}"})
                wanted.setdefault(lead, {})[field] = f"value {i}"
            if i % 50 < len(devices):
                device.sync()
        return wanted

    def assert_all_there(self, devices, wanted):
        for lead, fields in wanted.items():
            held = devices[-1].fields(lead)
            for field, value in fields.items():
                self.assertEqual(held.get(field), value, (lead, field))

    def drill(self, changes, restore):
        server = self.world.server().start()
        devices = [self.world.device(server, f"Rep {i}", "manager") for i in range(4)]
        leads = [devices[0].add(full_name=f"lead {i}", company="before") for i in range(10)]
        gone = devices[0].add(full_name="Erika Weg", company="Erased GmbH")
        lib.settle(devices)
        backup = self.world.dir / "monday.db"
        said = server.command("backup", "--to", backup, "--json").json()
        self.assertGreater(said["seq"], 0)
        devices.append(self.world.device(server, "Late", "manager"))  # joined after the backup
        devices[-1].sync()
        wanted = self.write(server, devices, leads, changes)
        server.command("erase", "--lead", gone)
        lib.settle(devices)
        before = server.status()
        unsent = devices[1].add(full_name="unsent", company="during the night")
        server.stop()
        restore(server, backup)
        server.start()
        lost = server.status()
        self.assertLess(lost["leads"], before["leads"])
        self.assertEqual(lost["epoch"] == before["epoch"], restore == self.copy_in_place)
        lib.settle(devices)
        lib.settle(devices)  # whoever came first has now read what the others brought
        server.command("verify")
        self.assertNotEqual(server.status()["epoch"], before["epoch"])
        self.assertEqual(server.status()["leads"], before["leads"] + 1)
        self.assert_one_pool(server, *devices)
        self.assert_all_there(devices, wanted)
        self.assertEqual(devices[4].fields(unsent)["company"], "during the night")
        for device in devices:
            self.assertEqual(device("search", "Erased", "--json").out, "")
            self.assertEqual(device.rows("recovered", "--json"), [])
        self.assertEqual([d.status()["unsent"] for d in devices], [0] * 5)

    def restored(self, server, backup):
        said = lib.run(lib.BIN / "leadpoold", "restore", "--from", backup, "--data", server.data, "--json").json()
        self.assertTrue(said["has_key"])
        self.assertTrue(said["replaced"])

    def copy_in_place(self, server, backup):
        for name in ("pool.db", "pool.db-wal", "pool.db-shm"):
            (server.data / name).unlink(missing_ok=True)
        shutil.copy2(backup, server.data / "pool.db")

    def test_the_drill(self):
        self.drill(CHANGES, self.restored)

    def test_an_old_file_copied_in_place(self):
        self.drill(100, self.copy_in_place)

    def test_a_copied_phone(self):
        server, ann, _ = self.office("Ann")
        lead = ann.add(full_name="王伟")
        ann.sync()
        ann.set(lead, company="unsent when it was copied")
        shutil.copy2(ann.path, self.world.dir / "copy.db")
        copy = lib.Device(self.world.dir / "copy.db", "Ann")
        ann.set(lead, job_title="on the first")
        ann.sync()
        copy.set(lead, notes="on the second")
        said = copy.json("sync", "--json")
        self.assertGreater(said["rejoined"], 0)
        ann.sync()
        copy.sync()
        for device in (ann, copy):
            held = device.fields(lead)
            self.assertEqual((held["company"], held["job_title"], held["notes"]),
                             ("unsent when it was copied", "on the first", "on the second"))
        self.assertNotEqual(ann.status()["device"], copy.status()["device"])
        self.assert_one_pool(server, ann, copy)

    def test_restore_says_what_is_wrong(self):
        server = self.world.server().start()
        device = self.world.device(server, "Ann")
        device.add(full_name="a")
        device.sync()
        backup = self.world.dir / "copy.db"
        server.command("backup", "--to", backup)
        restore = (lib.BIN / "leadpoold", "restore", "--data", server.data, "--json", "--from")
        self.assertIn("BUSY", lib.run(*restore, backup, status=1).out)
        server.stop()
        self.assertIn("NOT_FOUND", lib.run(*restore, self.world.dir / "nothing.db", status=1).out)
        broken = self.world.dir / "broken.db"
        data = bytearray(backup.read_bytes())
        data[len(data) // 2:len(data) // 2 + 2000] = b"\xff" * 2000
        broken.write_bytes(data)
        self.assertIn("CORRUPT", lib.run(*restore, broken, status=1).out)
        other = self.world.server("other")
        self.assertIn("INVALID", lib.run(*restore, other.data / "pool.db", status=2).out)
        server.start()
        self.assertEqual(server.status()["leads"], 1)
        device.sync()
        self.assert_one_pool(server, device)


if __name__ == "__main__":
    lib.main()

#!/usr/bin/env python3
"""test_server_life.py - restarts, stops with devices connected, backups while devices write, and what a restored copy holds."""
import json
import shutil
import signal
import time

import lib


class ServerLife(lib.Case):
    def test_a_restart_keeps_everything(self):
        server, ann, mona = self.office("Ann")
        for i in range(20):
            ann.add(full_name=f"客户{i}")
        ann.sync()
        before = server.status()
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            server.stop(sig)
            self.assertEqual(server.status()["digest"], before["digest"], "what is on disk is another pool")
            server.start()
            after = server.status()
            for key in ("pool", "pool_id", "epoch", "seq", "leads", "devices", "digest"):
                self.assertEqual(after[key], before[key], key)
        mona.sync()
        self.assert_one_pool(server, ann, mona)

    def test_sigterm_stops_within_five_seconds_with_devices_connected_and_watching(self):
        server, ann, mona = self.office("Ann")
        watches = [self.world.keep(d.watch()) for d in (ann, mona)]
        for watch in watches:
            watch.await_line(lambda text: json.loads(text).get("state") == "live")
        began = time.monotonic()
        self.assertEqual(server.stop(), 0)
        took = time.monotonic() - began
        print(f"stopped in {took:.2f} s", flush=True)
        self.assertLess(took, 5)
        for watch in watches:
            self.assertTrue(watch.running(), "a watching device gave up")
            self.assertEqual(watch.end(), 0)

    def test_a_backup_taken_while_devices_write_can_be_served(self):
        server, ann, bo, mona = self.office("Ann", "Bo")
        watches = [self.world.keep(d.watch()) for d in (ann, bo)]
        for watch in watches:
            watch.await_line(lambda text: json.loads(text).get("state") == "live")
        backups = []
        for i in range(30):
            (ann, bo)[i % 2].add(full_name=f"客户{i}", notes="while a backup is taken")
            if i == 5:
                lib.await_true(watches[0], lambda: server.status()["leads"] > 0)
            if i % 10 == 5:
                backups.append(self.world.dir / f"backup{i}.db")
                server.command("backup", "--to", backups[-1])
        for watch in watches:
            self.assertEqual(watch.end(), 0)
        lib.settle([ann, bo, mona])
        self.assertEqual(mona.count(), 30)
        self.assert_one_pool(server, ann, bo, mona)
        server.stop()
        # The same directory with a backup in place of the pool: key, certificate and ledgers are not in the backup.
        restored = self.world.dir / "restored"
        restored.mkdir()
        for file in ("server.key", "server.crt", "erased.ledger", "revoked.ledger", "granted.ledger"):
            shutil.copy2(server.data / file, restored / file)
        shutil.copy2(backups[-1], restored / "pool.db")
        copy = self.world.server("restored")
        copy.command("verify")
        copy.address = server.address
        copy.start()
        held = copy.status()["leads"]
        self.assertTrue(0 < held <= 30, held)
        late = self.world.device(copy, "Late", "manager")
        late.sync()
        self.assertEqual(late.count(), held)
        self.assert_one_pool(copy, late)


if __name__ == "__main__":
    lib.main()

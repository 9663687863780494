#!/usr/bin/env python3
"""test_processes.py - several processes on one replica, and processes that are stopped, resumed or killed in the middle of something.

Covers F17, F20, F51. LEADPOOL_SEED repeats a run, LEADPOOL_ROUNDS makes it longer."""
import json
import os
import random
import signal
import subprocess
import threading

import lib

ROUNDS = int(os.environ.get("LEADPOOL_ROUNDS", "6"))


class Processes(lib.Case):
    def setUp(self):
        super().setUp()
        self.lots = random.Random(lib.seed())

    def spawn(self, device, *args):
        return subprocess.Popen([str(a) for a in (lib.BIN / "leadpool", "--replica", device.path, *args)], env=lib.environment(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")

    def leads(self, name, count):
        path = self.world.dir / f"{name}.csv"
        path.write_text("external_id,full_name,notes\n" + "".join(f"{name}{i},客户{i},{'met at the booth; ' * 6}\n" for i in range(count)),
                        encoding="utf-8")
        return path

    def pause(self, child, longest):
        """Lets it run for a moment and stops it there; False if it had ended."""
        try:
            child.wait(self.lots.uniform(0, longest))
            return False
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGSTOP)
            return True

    def test_many_processes_write_one_replica(self):
        """F17: they take turns; every one that said saved is there."""
        server, ann, mona = self.office("Ann")
        watches = [self.world.keep(ann.watch()) for _ in range(2)]
        for watch in watches:
            watch.await_line(lambda text: json.loads(text).get("state") == "live")
        said, failed = [], []

        def write(number):
            for i in range(8):
                done = ann("add", f"full_name=Lead {number}.{i}", status=None)
                (failed if done.code else said).append(done)
        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([str(f) for f in failed], [], "an add did not wait for its turn")
        for watch in watches:
            self.assertEqual(watch.end(), 0)
        lib.settle([ann, mona])
        self.assertEqual(len({row["fields"]["full_name"] for row in mona.rows("list")}), len(said))
        self.assertEqual(mona.count(), len(said))
        self.assert_one_pool(server, ann, mona)

    def test_a_process_stopped_while_it_holds_the_replica_lets_others_fail_clearly(self):
        """F17: an import is stopped at random moments; another add works, or says that somebody else is writing."""
        server, ann, mona = self.office("Ann")
        path = self.leads("A", 3000)
        child = self.spawn(ann, "import", path)
        added, told = 0, 0
        for turn in range(ROUNDS // 2):  # who is told to wait has waited for seconds
            if not self.pause(child, 0.05):
                break
            done = ann("add", f"full_name=Walk-in {turn}", status=None)
            if done.code:
                self.assertIn("another process", done.message())
                told += 1
            else:
                added += 1
            child.send_signal(signal.SIGCONT)
        child.communicate()
        self.assertEqual(child.returncode, 0)
        print(f"{added} added beside the stopped import, {told} told to wait", flush=True)
        lib.settle([ann, mona])
        self.assertEqual(mona.count(), 3000 + added)
        self.assert_one_pool(server, ann, mona)

    def test_a_device_stopped_and_then_killed_in_the_middle_of_a_sync_loses_nothing(self):
        """F20: what phones do to a program in the background."""
        server, ann, mona = self.office("Ann")
        killed = 0
        for turn in range(ROUNDS):
            ann("import", self.leads(f"A{turn}", 300))
            child = self.spawn(ann, "sync")
            for _ in range(3):
                if not self.pause(child, 0.06):
                    break
                if self.lots.random() < 0.5:
                    child.kill()
                    killed += 1
                    break
                child.send_signal(signal.SIGCONT)
            child.send_signal(signal.SIGCONT)
            child.communicate()
        print(f"{killed} killed", flush=True)
        lib.settle([ann, mona])
        self.assertEqual(mona.count(), 300 * ROUNDS)
        self.assert_one_pool(server, ann, mona)

    def test_a_stopped_server_is_offline_until_it_goes_on_and_applies_nothing_twice(self):
        """F51: devices give up or wait; their old sessions, resumed with the server, do no harm."""
        server, ann, bo, mona = self.office("Ann", "Bo")
        pid = server.process.child
        given_up = 0
        for turn in range(ROUNDS // 2):
            for device in (ann, bo):
                device("import", self.leads(f"{device.owner}{turn}", 200))
            children = [self.spawn(device, "sync", "--timeout", "1") for device in (ann, bo)]
            self.pause(children[0], 0.2)
            pid.send_signal(signal.SIGSTOP)
            for child in children:
                child.send_signal(signal.SIGCONT)
                child.communicate()
                given_up += child.returncode != 0
            pid.send_signal(signal.SIGCONT)
        print(f"{given_up} of {2 * (ROUNDS // 2)} syncs gave up", flush=True)
        lib.settle([ann, bo, mona])
        self.assertEqual(mona.count(), 400 * (ROUNDS // 2))
        self.assert_one_pool(server, ann, bo, mona)


if __name__ == "__main__":
    lib.main()

#!/usr/bin/env python3
"""test_bad_input.py - what goes wrong in a hall and in an office: each time one line that says what to do, an exit status that is not 0,
and nothing lost."""
import base64
import http.server
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import threading

import lib

FIELD_BYTES = 10 << 20


class Portal(http.server.BaseHTTPRequestHandler):
    """What a hotel's Wi-Fi answers to everything."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html><body>Welcome to the hall's Wi-Fi. Please sign in.</body></html>")

    do_POST = do_GET

    def log_message(self, *_):
        pass


def file_size_limit(size):
    """For preexec: files cannot grow above `size` bytes, which to a program is a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


class Bad(lib.Case):
    def refused(self, result, *words, status=1):
        """One line on stderr with these words, nothing on stdout."""
        self.assertEqual(result.code, status, str(result))
        message = result.message()
        self.assertRegex(message, r"^leadpoold?: [^A-Z\n]")
        self.assertLess(len(message), 400)
        for word in words:
            self.assertIn(word, message)
        return message

    def fails(self, device, *args, words=(), status=1, **kw):
        """The same of a rep's command, in words and as JSON."""
        self.refused(device(*args, status=None, **kw), *words, status=status)
        said = device(*args, "--json", status=None, **kw)
        self.assertEqual(said.code, status)
        error = said.json()["error"]
        self.assertRegex(error["code"], "^[A-Z_]+$")
        for word in words:
            self.assertIn(word, error["message"])

    def serve_refused(self, *args, words, status=1):
        return self.refused(lib.run(lib.BIN / "leadpoold", "serve", *args, status=None), *words, status=status)

    def portal(self, port=0):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Portal)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def end():
            server.shutdown()
            server.server_close()
            thread.join()
        self.addCleanup(end)
        return f"127.0.0.1:{server.server_address[1]}"


class Joining(Bad):
    def setUp(self):
        super().setUp()
        self.server = self.world.server().start()
        self.new = lib.Device(self.world.dir / "new.db", "New")

    def changed(self, invitation, offset):
        """The invitation with one byte of its secret (from 0) or pin (from 16) changed."""
        head, secret = invitation.rsplit("/", 1)
        raw = bytearray(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))
        raw[offset] ^= 1
        return head + "/" + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def join_fails(self, invitation, *words, status=1):
        self.fails(self.new, "join", invitation, "--timeout", "3", words=words, status=status)

    def test_a_wrong_pin(self):
        self.join_fails(self.changed(self.server.invite("Ann"), -1), "key", "ask for a new invitation")

    def test_an_unknown_invitation(self):
        self.join_fails(self.changed(self.server.invite("Ann"), 0), "does not know the invitation", "ask for a new one")

    def test_a_used_invitation(self):
        invitation = self.server.invite("Ann")
        lib.Device(self.world.dir / "ann.db")("join", invitation)
        self.join_fails(invitation, "used", "ask for a new one")
        self.assertEqual(self.server.status()["devices"], 1)

    def test_an_invitation_that_was_not_copied_whole(self):
        self.join_fails(self.server.invite("Ann")[:-3], "paste all of it", status=2)
        self.join_fails("hello", "leadpool://", status=2)

    def test_an_address_where_nobody_listens(self):
        self.join_fails(self.server.invite("Ann").replace(self.server.address, "127.0.0.1:1"), "127.0.0.1:1", "check")

    def test_a_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            self.join_fails(self.server.invite("Ann").replace(self.server.address, address), "in time")

    def test_a_captive_portal(self):
        self.join_fails(self.server.invite("Ann").replace(self.server.address, self.portal()), "captive portal")

    def test_an_invitation_that_failed_for_the_network_works_afterwards(self):
        invitation = self.server.invite("Ann")
        self.server.stop()
        self.join_fails(invitation, "check")
        self.server.start()
        self.assertEqual(self.new.json("join", invitation)["staff"], "Ann")

    def test_joining_twice_on_one_replica(self):
        self.new("join", self.server.invite("Ann"))
        self.fails(self.new, "join", self.server.invite("Bo"), words=("already", "--replica"))


class Syncing(Bad):
    """A joined device with an unsent lead meets something that is not its server."""

    def setUp(self):
        super().setUp()
        self.server = self.world.server().start()
        self.server.stop()
        shutil.copytree(self.server.data, self.world.dir / "before")
        self.server.start()
        self.ann = self.world.device(self.server, "Ann")
        self.lead = self.ann.add(full_name="王芳", company="Acme")
        self.unsent = self.ann.status()["unsent"]
        self.server.stop()

    def sync_fails(self, *words):
        self.refused(self.ann("sync", "--timeout", "5", status=None), *words)
        result = self.ann("sync", "--timeout", "5", "--json", status=None)
        self.assertEqual(result.code, 1)
        self.assertFalse(result.json()["complete"])
        self.assertIn("error", result.json())
        status = self.ann.status()
        self.assertEqual((status["unsent"], status["reason"]), (self.unsent, result.json()["error"]["message"]))
        self.assertEqual(self.ann.fields(self.lead)["full_name"], "王芳")

    def and_then_all_is_well(self):
        self.server.start()
        self.ann.sync()
        self.assertEqual(self.ann.status()["reason"], "")
        self.assertEqual(self.server.status()["leads"], 1)
        self.assert_one_pool(self.server, self.ann)

    def test_a_captive_portal(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(self.server.address.split(":")[1])), Portal)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            self.sync_fails("captive portal")
        finally:
            server.shutdown()
            server.server_close()
        self.and_then_all_is_well()

    def test_another_pools_server_at_the_same_address(self):
        other = self.world.server("other")
        other.address = self.server.address
        other.start()
        self.sync_fails("key")
        other.stop()
        self.and_then_all_is_well()

    def test_a_server_that_has_forgotten_the_device_knows_it_again(self):
        other = lib.Server(self.world.dir / "before")
        self.world.servers.append(other)
        other.address = self.server.address
        other.start()
        said = self.ann("sync", "--json").json()
        self.assertGreater(said["rejoined"], 16)
        self.assertTrue(said["complete"])
        other.process.await_line(lambda text: "warn" in text and "device cloned" in text and "goes on as device" in text)
        self.assertEqual(self.ann("sync", "--json").json()["rejoined"], 0)
        self.assertEqual(self.ann.status()["unsent"], 0)
        other.stop()
        self.and_then_all_is_well()

    def test_no_server(self):
        self.sync_fails("no server answers at " + self.server.address, "check")
        self.and_then_all_is_well()


class Replicas(Bad):
    def setUp(self):
        super().setUp()
        server = self.world.server().start()
        self.ann = self.world.device(server, "Ann")
        for i in range(20):
            self.ann.add(full_name=f"客户{i}", notes="met at the booth; " * 20)
        self.invitation = server.invite("Bo")

    def damaged(self, data):
        device = lib.Device(self.world.dir / "damaged.db")
        device.path.write_bytes(data)
        for command in (("list",), ("status",), ("add", "full_name=x"), ("sync",), ("import", self.ann.path), ("join", self.invitation)):
            self.fails(device, *command, words=("damaged", "damaged.db"))
        self.assertEqual(device.path.read_bytes(), data, "a damaged replica was written to")

    def test_a_truncated_replica(self):
        whole = self.ann.path.read_bytes()
        for size in (100, 5000, len(whole) // 2, len(whole) - 4096):
            with self.subTest(size=size):
                self.damaged(whole[:size])

    def test_a_replica_of_garbage(self):
        lots = random.Random(lib.seed())
        self.damaged(lots.randbytes(50000))

    def test_no_replica(self):
        self.fails(lib.Device(self.world.dir / "none.db"), "list", words=("no replica at", "leadpool join"))
        self.assertFalse((self.world.dir / "none.db").exists())


class Files(Bad):
    def setUp(self):
        super().setUp()
        self.server = self.world.server().start()
        self.ann = self.world.device(self.server, "Ann")

    def import_fails(self, data, *words, status=2):
        path = self.world.dir / "bad.csv"
        path.write_bytes(data)
        self.fails(self.ann, "import", path, words=words, status=status)
        self.assertEqual(self.ann.count(), 0, "something was imported")

    def test_a_csv_of_nonsense(self):
        self.import_fails(random.Random(lib.seed()).randbytes(5000) + b"\xff", "bad.csv", "nothing was imported")
        self.import_fails(b"Dear all\nthis is a letter\nand no table at all\n", "no column is known", "full_name")
        self.import_fails(b"Name\n" + b"a,b,c,d\n" * 9, "bad.csv", "nothing was imported")
        self.import_fails(b'full_name,company\n"Wang,Acme\nLi,Acme\n', "quote", "nothing was imported")
        self.import_fails(b"", "header")

    def test_a_csv_that_is_not_there(self):
        self.fails(self.ann, "import", self.world.dir / "none.csv", words=("none.csv", "check the path"))
        self.fails(self.ann, "import", self.world.dir, words=("directory", "check the path"))

    def test_a_field_of_ten_megabytes(self):
        self.import_fails(b"full_name,notes\nBig," + b"x" * FIELD_BYTES + b"\n", "line 2", "1 MiB")
        path = self.world.dir / "large.csv"
        path.write_text(f"full_name,notes\nBig,{'x' * 100000}\nSmall,fine\n", encoding="utf-8")
        done = self.ann.json("import", path, status=1)
        self.assertEqual((done["rows"], done["created"], done["errors"]), (2, 1, 1))
        self.assertEqual([row["fields"]["full_name"] for row in self.ann.rows("list")], ["Small"])
        self.fails(self.ann, "add", "full_name=Big", "notes=" + "x" * 100000, words=("notes", "shorten"))
        self.fails(self.ann, "add", "--full-name", "x" * 100000, words=("full_name", "shorten"))

    def test_a_rep_who_mistypes(self):
        lead = self.ann.add(full_name="王芳")
        self.fails(self.ann, "show", "zzzz", words=("zzzz", "id"), status=2)
        self.fails(self.ann, "show", "00000000", words=("00000000", "leadpool list"))
        self.fails(self.ann, "restore", "00000000", words=("00000000", "leadpool conflicts"))
        self.fails(self.ann, "set", lead, "ful_name=x", words=("ful_name",), status=2)
        self.fails(self.ann, "add", "ful_name=x", words=("ful_name",), status=2)
        self.fails(self.ann, "list", "ful_name=x", words=("ful_name",), status=2)
        self.fails(self.ann, "frobnicate", words=("frobnicate", "leadpool help"), status=2)
        self.assertEqual(self.ann.count(), 1)


class FullDisk(Bad):
    LIMIT = 600000

    def setUp(self):
        super().setUp()
        self.server, self.ann, self.mona = self.office("Ann")
        self.csv = self.world.dir / "many.csv"
        self.csv.write_text("full_name,notes\n" + "".join(f"客户{i},{'x' * 500}\n" for i in range(3000)), encoding="utf-8")

    def test_a_device_whose_disk_is_full_says_so_and_stores_all_or_nothing(self):
        self.fails(self.ann, "import", self.csv, words=("disk",), preexec=file_size_limit(self.LIMIT))
        self.assertEqual(self.ann.count(), 0)
        self.assertEqual(self.ann.json("import", self.csv)["created"], 3000)
        self.ann.sync()
        result = self.mona("sync", preexec=file_size_limit(self.LIMIT), status=None)
        self.refused(result, "disk")
        self.mona.sync()
        self.assert_one_pool(self.server, self.ann, self.mona)

    def sync_into_a_full_server(self):
        """Some batches may fit, then none does: the device keeps what the server did not take."""
        self.ann.json("import", self.csv)
        unsent = self.ann.status()["unsent"]
        self.refused(self.ann("sync", "--timeout", "5", status=None), "server", "disk")
        self.server.process.await_line(lambda text: "error" in text and "space" in text)
        left = self.ann.status()["unsent"]
        self.assertTrue(0 < left <= unsent, left)
        self.assertEqual(self.server.status()["leads"], (unsent - left + 1) // 2, "what was acknowledged is not what is there")
        self.assertEqual(self.ann.count(), 3000)
        self.server.command("verify")

    def test_a_server_whose_disk_is_full_refuses_and_goes_on_later(self):
        self.server.stop()
        self.server.start(preexec=file_size_limit(self.LIMIT))
        self.sync_into_a_full_server()
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        lib.settle([self.ann, self.mona])
        self.assert_one_pool(self.server, self.ann, self.mona)

    def test_a_server_on_a_full_file_system_goes_on_when_there_is_room(self):
        small = self.world.dir / "small"
        small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("needs the right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", str(small)], check=False)
        self.server.stop()
        shutil.copytree(self.server.data, small / "pool")
        self.server.data = small / "pool"
        self.addCleanup(lambda: self.server.process and self.server.stop(signal.SIGKILL))
        self.server.start()
        self.sync_into_a_full_server()
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        lib.settle([self.ann, self.mona])
        self.assert_one_pool(self.server, self.ann, self.mona)


class Operator(Bad):
    def test_a_port_in_use(self):
        server, other = self.world.server().start(), self.world.server("other")
        self.serve_refused("--data", other.data, "--listen", server.address, words=(server.address, "--listen"))

    def test_a_data_directory_that_is_missing(self):
        nowhere = self.world.dir / "nowhere"
        self.serve_refused("--data", nowhere, "--listen", "127.0.0.1:0", words=(str(nowhere), "leadpoold init"))
        self.assertFalse(nowhere.exists())

    def test_a_second_server_on_the_same_data(self):
        server = self.world.server().start()
        self.serve_refused("--data", server.data, "--listen", "127.0.0.1:0", words=(str(server.data), str(server.process.child.pid)))
        self.assertTrue(server.process.running())
        server.status()

    def test_a_damaged_pool(self):
        server = self.world.server()
        whole = (server.data / "pool.db").read_bytes()
        for data in (whole[:len(whole) // 2], os.urandom(50000)):
            (server.data / "pool.db").write_bytes(data)
            self.serve_refused("--data", server.data, "--listen", "127.0.0.1:0", words=("pool.db",))
            self.refused(server.command("verify", status=None), "pool.db")
            self.assertEqual((server.data / "pool.db").read_bytes(), data)

    def test_a_missing_key(self):
        server = self.world.server()
        (server.data / "server.key").unlink()
        self.serve_refused("--data", server.data, "--listen", "127.0.0.1:0", words=("server.key",))


if __name__ == "__main__":
    lib.main()

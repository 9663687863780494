#!/usr/bin/env python3
"""test_contracts.py - what scripts rely on: with --json one object (or one per line for lists) on stdout and nothing else, the keys that
were promised, exit status 0, 1 or 2, and --help with an example for every command."""
import os
import re

import lib

ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
DIGEST = r"^[0-9a-f]{32}$"
REP = "join add set note show list search log sync status conflicts restore import export delete undelete wipe refused recovered completions version help".split()
OFFICE = "init serve invite status backup restore verify erase review devices purge revoke version".split()


class Contract(lib.Case):
    def has(self, found, **kinds):
        for key, kind in kinds.items():
            self.assertIn(key, found)
            self.assertIsInstance(found[key], kind, f"{key} of {found}")
            self.assertFalse(kind is int and isinstance(found[key], bool), key)

    def test_every_command_has_help_with_an_example(self):
        for program, commands in (("leadpool", REP), ("leadpoold", OFFICE)):
            for command in commands:
                for asked in ((command, "--help"), ("help", command)) if program == "leadpool" else ((command, "--help"),):
                    said = lib.run(lib.BIN / program, *asked)
                    self.assertEqual(said.err, "")
                    example = re.split(r"(?i)example:", said.out)
                    self.assertEqual(len(example), 2, said.out)
                    self.assertRegex(example[1], rf"^\s+{program} .*{command}")
            overview = lib.run(lib.BIN / program, "--help").out
            for command in commands:
                self.assertIn(command, overview)

    def test_help_speaks_chinese(self):
        said = lib.run(lib.BIN / "leadpool", "help", env={"LC_ALL": "zh_CN.UTF-8"})
        self.assertIn("没有网络", said.out)

    def test_wrong_use_exits_with_2_and_one_line(self):
        server, ann, _ = self.office("Ann")
        for program in ("leadpool", "leadpoold"):
            said = lib.run(lib.BIN / program, status=2)
            self.assertEqual(said.out, "")
        for args in (("frobnicate",), ("list", "--frobnicate"), ("show",), ("sync", "--timeout", "soon"), ("set", "0000"), ("note", "0000"),
                     ("list", "("), ("completions", "cmd"), ("import",), ("add", "nothing")):
            said = ann(*args, status=2)
            self.assertEqual(said.out, "")
            self.assertRegex(said.message(), "^leadpool: ")
        for args in (("frobnicate",), ("status",), ("invite", "--data", server.data), ("serve", "--data", server.data, "--listen", "x"),
                     ("invite", "--data", server.data, "--staff", "x", "--role", "king"), ("status", "--data", server.data, "--frob")):
            said = lib.run(lib.BIN / "leadpoold", *args, status=2)
            self.assertEqual(said.out, "")
            self.assertRegex(said.message(), "^leadpoold: ")

    def test_wrong_use_and_refusal_are_json_too(self):
        nobody = lib.Device(self.world.dir / "none.db")
        for args, status, code in ((("frobnicate",), 2, "INVALID"), (("list",), 1, "NOT_FOUND"), (("sync",), 1, None)):
            said = nobody(*args, "--json", status=status)
            self.has(said.json(), error=dict)
            self.has(said.json()["error"], code=str, message=str)
            self.assertEqual(said.message(), "leadpool: " + said.json()["error"]["message"])
            if code:
                self.assertEqual(said.json()["error"]["code"], code)

    def test_the_offices_commands_print_what_was_promised(self):
        server = self.world.server("made")
        made = lib.run(lib.BIN / "leadpoold", "init", "--data", self.world.dir / "other", "--name", "展会", "--json").json()
        self.assertEqual(made["pool"], "展会")
        for serving in (False, True):
            if serving:
                server.start()
            invited = server.command("invite", "--staff", "Li Wei", "--role", "rep", "--scope", "pool", "--json").json()
            self.assertRegex(invited["invitation"], r"^leadpool://[^/]+:\d+/[\w-]+$")
            self.has(invited, expires_at=int)
            self.assertGreater(invited["expires_at"], 1_500_000_000_000, "not ms since 1970")
            status = server.status()
            self.has(status, pool=str, epoch=str, seq=int, leads=int, devices=int, digest=str)
            self.assertRegex(status["epoch"], DIGEST)
            self.assertRegex(status["digest"], DIGEST)
            server.command("verify", "--json").json()
            server.command("backup", "--to", self.world.dir / f"copy{serving}.db", "--json").json()
        self.assertTrue(lib.run(lib.BIN / "leadpoold", "version", "--json").json()["version"])
        self.assertTrue(lib.run(lib.BIN / "leadpool", "version", "--json").json()["version"])

    def test_the_reps_commands_print_what_was_promised(self):
        server, ann, bo, mona = self.office("Ann", "陈波")
        fresh = lib.Device(self.world.dir / "fresh.db")
        joined = fresh.json("join", server.invite("Zoë"))
        self.has(joined, replica=str, staff=str, role=str, pool_name=str, device=int)
        lead = ann.json("add", "--full-name", "王芳", "--company", "Acme", "--tag", "vip", "--answer", "Budget=50k")["id"]
        self.assertRegex(lead, ID)
        ann.json("note", lead, "wants", "a", "demo")
        self.counts(ann.json("import", self.csv("a,full_name,company\n1,陈晓,Acme\n")), rows=1, created=1, updated=0, skipped=0, errors=0)
        synced = ann.json("sync")
        self.has(synced, pushed=int, pulled=int, bytes_up=int, bytes_down=int, round_trips=int, conflicts=int)
        self.assertGreater(synced["pushed"], 0)
        bo.json("sync")
        self.assertEqual(ann.json("set", lead, "company=Ann & Co")["id"], lead)
        bo.json("set", lead, "company=Bo & Co")
        lib.settle([ann, bo, mona])
        shown = mona.json("show", lead)
        self.assertEqual((shown["id"], shown["kind"], shown["fields"]["company"]), (lead, "lead", "Bo & Co"))
        self.assertEqual((shown["fields"]["tags"], shown["fields"]["answers"]), ({"vip": True}, {"Budget": "50k"}))
        self.assertEqual(len(shown["touches"]), 1)
        for row in (*mona.rows("list"), *mona.rows("search", "王芳"), *mona.rows("list", "--kind", "staff")):
            self.has(row, id=str, kind=str, fields=dict)
        self.assertEqual(len(mona.rows("search", "王芳")), 1)
        self.assertEqual(mona.json("list", "--count")["count"], 2)
        for entry in mona.rows("log", lead):
            self.has(entry, field=str, at=int, by=str, state=str)
        conflict, = mona.rows("conflicts")
        self.has(conflict, id=str, record=str, field=str, lost=dict, won=dict)
        self.assertEqual((conflict["lost"]["value"], conflict["lost"]["by"]), ("Ann & Co", "Ann"))
        self.assertEqual((conflict["won"]["value"], conflict["won"]["by"]), ("Bo & Co", "陈波"))
        mona.json("restore", conflict["id"])
        self.assertEqual(mona.rows("conflicts"), [])
        mona.json("delete", lead)
        self.assertEqual(mona.count(), 1)
        mona.json("undelete", lead)
        self.assertEqual(mona.rows("refused"), [])
        mona.sync()
        status = mona.status()
        self.has(status, state=str, reason=str, unsent=int, oldest_unsent_age_ms=int, unsent_bytes=int, refused=int, quarantined=int, recovered=int, healed=int,
                 next_attempt_ms=int, disk_free_bytes=int, leads=int, digest=str)
        self.assertRegex(status["digest"], DIGEST)
        self.assertEqual(status["digest"], server.status()["digest"])
        out = self.world.dir / "out.csv"
        self.counts(mona.json("export", "--out", out), rows=2, file=str(out))

    def csv(self, text):
        path = self.world.dir / "some.csv"
        path.write_text(text, encoding="utf-8")
        return path

    def counts(self, found, **wanted):
        self.assertEqual({key: found[key] for key in wanted}, wanted)

    def test_import_reads_what_export_writes_and_finds_nothing_new(self):
        _, ann, _ = self.office("Ann")
        ann.add(full_name='=HYPERLINK("x")', company="-1+1", notes='two\nlines, "quoted"')
        ann.json("add", "--full-name", "王伟", "--tag", "vip", "--answer", "预算=50万")
        out = self.world.dir / "out.csv"
        ann("export", "--out", out)
        self.assertNotRegex(out.read_text(encoding="utf-8"), r'(^|[,"])[=+-]')
        before = ann.rows("list")
        self.counts(ann.json("import", out, "--update"), rows=2, created=0, updated=0, skipped=2, errors=0)
        self.assertEqual(ann.rows("list"), before)

    def test_the_replica_can_be_named_in_the_environment(self):
        _, ann, _ = self.office("Ann")
        said = lib.run(lib.BIN / "leadpool", "status", "--json", env={"LEADPOOL_REPLICA": str(ann.path)})
        self.assertEqual(said.json()["staff"], "Ann")

    def test_completions_are_printed_for_every_shell(self):
        for shell in ("bash", "zsh", "fish"):
            said = lib.run(lib.BIN / "leadpool", "completions", shell)
            self.assertIn("conflicts", said.out)

    def test_a_closed_pipe_is_no_crash(self):
        _, ann, _ = self.office("Ann")
        ann.json("import", self.csv("full_name\n" + "".join(f"客户{i}\n" for i in range(5000))))
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as out:
            done = lib.subprocess.run([lib.BIN / "leadpool", "--replica", ann.path, "list"], stdout=out, stderr=lib.subprocess.PIPE,
                                      env=lib.environment(), check=False)
        self.assertIn(done.returncode, (0, 1, -lib.signal.SIGPIPE))
        self.assertEqual(ann.count(), 5000)


if __name__ == "__main__":
    lib.main()

#!/usr/bin/env python3
"""test_golden.py - the files of earlier versions (tests/data/v*) are read, served, and gone on with (F88)."""
import gzip
import json
import pathlib
import sqlite3

import lib

DATA_OF_VERSIONS = pathlib.Path(__file__).resolve().parents[1] / "data"


class Golden(lib.Case):
    def unpack(self, source, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.decompress(source.read_bytes()))
        target.chmod(0o600)

    def open_version(self, golden):
        """The pool of that version served, and its device, which is told where."""
        for file in (golden / "pool").iterdir():
            self.unpack(file, self.world.dir / golden.name / file.stem)
        (self.world.dir / golden.name).chmod(0o700)
        server = self.world.server(golden.name)
        server.command("verify")
        server.start()
        ann = lib.Device(self.world.dir / f"{golden.name}.db", "Ann")
        self.unpack(golden / "replica.db.gz", ann.path)
        connection = sqlite3.connect(ann.path)
        with connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'server.port'", (int(server.address.split(":")[1]),))
        connection.close()
        return server, ann, json.loads((golden / "expected.json").read_text(encoding="utf-8"))

    def test_pools_and_replicas_of_every_version_are_read_and_go_on(self):
        versions = sorted(DATA_OF_VERSIONS.glob("v*"))
        self.assertTrue(versions, "there is no golden file")
        for golden in versions:
            with self.subTest(version=golden.name):
                server, ann, expected = self.open_version(golden)
                state = server.status()
                self.assertEqual({key: state[key] for key in expected["server"]}, expected["server"])
                self.assertEqual(sorted(row["fields"]["full_name"] for row in ann.rows("list")), expected["leads"])
                self.assertEqual(ann.status()["unsent"], expected["unsent"])
                self.assertEqual(len(ann.rows("conflicts")), expected["conflicts"])
                self.assertEqual(ann.fields(expected["wang"]["id"]), expected["wang"]["fields"])
                self.assertEqual(len(ann.rows("search", "王芳")), 1)
                ann.add(full_name="of today")
                ann.sync()
                late = self.world.device(server, "Late", "manager")
                late.sync()
                self.assertEqual(late.count(), len(expected["leads"]) + 1)
                self.assert_one_pool(server, ann, late)


if __name__ == "__main__":
    lib.main()

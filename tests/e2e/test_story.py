#!/usr/bin/env python3
"""test_story.py - the story of scripts/demo, and what a thousand leads edited on two devices come to."""
import os
import pathlib

import lib


def processes_with(marker):
    """Processes that have `marker` in their environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # it ended, or is not ours
    return found


class Demo(lib.Case):
    def demo(self, *args, **env):
        return lib.run(lib.ROOT / "scripts/demo-story", *args, env={"LEADPOOL_BIN": str(lib.BIN), "TMPDIR": str(self.world.dir), **env})

    def test_the_demo_tells_its_story_and_leaves_nothing(self):
        marker = f"DEMO_OF_{os.getpid()}_{id(self)}"
        told = self.demo(**{marker: "1"})
        self.assertNotIn("\033", told.out, "colours without a terminal")
        for wanted in ("王芳", "won", "lost", "restored the lost value", "one digest", "nothing lost"):
            self.assertIn(wanted, told.out)
        self.assertEqual(processes_with(marker), [], "processes are left")
        self.assertEqual(list(self.world.dir.iterdir()), [], "files are left")

    def test_the_demo_tells_somebodys_own_leads(self):
        rows = ["姓名;公司;线索来源;邮箱"]
        rows += [f"客户{i};公司{i % 7};{'展会' if i % 3 else 'web'};lead{i}@example.com" for i in range(60)]
        own = self.world.dir / "own.csv"
        own.write_text("\n".join(rows) + "\n", encoding="gb18030")
        told = self.demo("--csv", own)
        self.assertIn("60 leads, one digest", told.out)
        self.assertEqual(list(self.world.dir.iterdir()), [own], "files are left")

    def test_the_demo_says_what_it_cannot_read(self):
        said = lib.run(lib.ROOT / "scripts/demo-story", "--csv", "/nowhere.csv", status=1)
        self.assertIn("no file /nowhere.csv", said.message())
        lib.run(lib.ROOT / "scripts/demo-story", "--what", status=2)


class Thousand(lib.Case):
    LEADS = 1000

    def import_edits(self, device, name, **columns):
        """What a rep edited, as a file that import --update applies: a thousand processes would measure the shell."""
        path = self.world.dir / f"{name}.csv"
        head = ["id", *columns]
        rows = [",".join([lead] + [text.format(i=i) for text in columns.values()]) for i, lead in enumerate(self.ids)]
        path.write_text("\n".join([",".join(head)] + rows) + "\n", encoding="utf-8")
        done = device.json("import", path, "--update")
        self.assertEqual((done["updated"], done["errors"]), (self.LEADS, 0))

    def setUp(self):
        super().setUp()
        self.server, self.ann, self.bo, self.mona = self.office("Ann", "陈波")
        path = self.world.dir / "leads.csv"
        long = "met at the booth; " * 30  # so that the pool takes several pages
        path.write_text("full_name,company,notes\n" + "".join(f"客户{i},Acme {i},{long}\n" for i in range(self.LEADS)),
                        encoding="utf-8")
        self.assertEqual(self.ann.json("import", path)["created"], self.LEADS)
        lib.settle([self.ann, self.bo])
        self.ids = [row["id"] for row in self.ann.rows("list", "--sort", "id")]
        self.assertEqual(len(self.ids), self.LEADS)
        self.server.stop()

    def everywhere(self, field):
        """The values of a field on every device, which have to be the same; by lead."""
        found = [{row["id"]: row["fields"].get(field) for row in d.rows("list")} for d in (self.ann, self.bo, self.mona)]
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])
        return found[0]

    def test_edits_of_different_fields_are_both_everywhere(self):
        self.import_edits(self.ann, "ann", city="城市{i}")
        self.import_edits(self.bo, "bo", job_title="Title {i}")
        self.server.start()
        lib.settle([self.bo, self.ann, self.mona])
        self.assertEqual(self.everywhere("city"), {lead: f"城市{i}" for i, lead in enumerate(self.ids)})
        self.assertEqual(self.everywhere("job_title"), {lead: f"Title {i}" for i, lead in enumerate(self.ids)})
        self.assertEqual(self.mona.rows("conflicts"), [])
        late = self.world.device(self.server, "Late", "manager")
        late.sync()
        self.assertEqual(late("export").out, self.ann("export").out, "who joins later reads another pool")
        self.assert_one_pool(self.server, self.ann, self.bo, self.mona, late)

    def test_the_later_edit_of_the_same_field_wins_and_every_loser_can_be_restored(self):
        self.import_edits(self.bo, "bo", city="Earlier {i}")
        self.import_edits(self.ann, "ann", city="Later {i}")
        self.server.start()
        lib.settle([self.ann, self.bo, self.mona])  # the winner arrives first
        self.assertEqual(self.everywhere("city"), {lead: f"Later {i}" for i, lead in enumerate(self.ids)})
        conflicts = self.mona.rows("conflicts")
        lost = {c["record"]: (c["field"], c["lost"]["value"], c["lost"]["by"], c["won"]["value"], c["won"]["by"]) for c in conflicts}
        self.assertEqual(lost, {lead: ("city", f"Earlier {i}", "陈波", f"Later {i}", "Ann") for i, lead in enumerate(self.ids)})
        self.assertEqual(len(conflicts), self.LEADS)
        self.assertEqual(len(self.bo.rows("conflicts")), self.LEADS, "the rep who lost does not see it")
        for conflict in conflicts[:5]:
            self.mona("restore", conflict["id"])
        lib.settle([self.mona, self.ann, self.bo])
        cities = self.everywhere("city")
        for conflict in conflicts[:5]:
            self.assertEqual(cities[conflict["record"]], conflict["lost"]["value"])
        self.assertEqual(len(self.mona.rows("conflicts")), self.LEADS - 5)
        self.assert_one_pool(self.server, self.ann, self.bo, self.mona)


if __name__ == "__main__":
    lib.main()

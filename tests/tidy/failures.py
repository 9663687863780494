#!/usr/bin/env python3
"""failures.py - every row of tests/FAILURES.md is there, says something, and names only tests that exist.

A row's last cell names tests as `program` or `program.test`, or says "to come" or "reason"."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
SUITES = "unit|property|conformance|integration|sim|e2e|fuzz|tidy"
COUNT = 112


def source_of(program):
    """The file it is made of; that of the configuration, if it is made of another test's program."""
    suite, name = program.split("_", 1)
    prefix = "fuzz" if suite == "fuzz" else "test"
    files = [TESTS / suite / f"{prefix}_{name}.{kind}" for kind in ("c", "py", "sh")]
    listed = TESTS / "CMakeLists.txt"
    if re.search(rf"add_leadpool_test\({program} ", listed.read_text(encoding="utf-8")):
        return listed
    return next((file for file in files if file.exists()), None)


def problems(text):
    rows = re.findall(r"^\| (F\d+) \| ([^|]+) \| (.+) \|$", text, re.MULTILINE)
    wanted = [f"F{n}" for n in range(1, COUNT + 1)]
    if [row[0] for row in rows] != wanted:
        missing = [n for n in wanted if n not in [row[0] for row in rows]]
        yield f"the rows are not F1 to F{COUNT}, each once and in order (missing: {missing})"
    for number, _, cover in rows:
        named = re.findall(rf"`((?:{SUITES})_[a-z0-9_]+)(?:\.([a-z0-9_]+))?`", cover)
        if not named and "to come" not in cover and "reason:" not in cover:
            yield f"{number}: names no test, and does not say why"
        for program, test in named:
            source = source_of(program)
            if not source:
                yield f"{number}: there is no {program}"
            elif test and not re.search(rf"\b{test}\b", source.read_text(encoding="utf-8")):
                yield f"{number}: {program} has no {test}"


def main():
    found = list(problems((TESTS / "FAILURES.md").read_text(encoding="utf-8")))
    for problem in found:
        print(f"tests/FAILURES.md: {problem}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

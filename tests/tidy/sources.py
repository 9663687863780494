#!/usr/bin/env python3
"""sources.py - fails if a file breaks a rule of rules.py: layers, fences, banned calls, plain text.

    sources.py               checks the tree it lives in
    sources.py --self-test   plants one violation of each rule in a scratch tree and checks that it is found
"""
import fnmatch
import pathlib
import re
import subprocess
import sys
import tempfile

import rules

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.M)
PROJECT = ("leadpool/", "proto/", "client/", "server/", "tests/")


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def strip_comments(text):
    """Blanks comments, strings and characters, keeping line numbers."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_layers(path, text):
    row = next((r for r in rules.LAYERS if fnmatch.fnmatchcase(path, r[0])), None)
    if row is None:
        return
    for m in INCLUDE.finditer(text):
        header = m.group(1)
        if header.startswith(PROJECT) and not header.startswith(tuple(row[1])):
            yield line_of(text, m.start(1)), f"layer: {row[0]} may not include {header}: {row[2]}"


def check_fences(path, text):
    if path.startswith("tests/"):
        return
    for m in INCLUDE.finditer(text):
        header = m.group(1)
        for fenced, allowed, why in rules.FENCES:
            if fnmatch.fnmatchcase(header, fenced) and not matches(path, allowed):
                yield line_of(text, m.start(1)), f"fence: {header} belongs to {', '.join(allowed)}: {why}"
        for fenced, denied, why in rules.UNFENCED_NOT:
            if fnmatch.fnmatchcase(header, fenced) and matches(path, denied):
                yield line_of(text, m.start(1)), f"fence: {header} may not be included here: {why}"


def check_calls(path, text):
    code = strip_comments(text)
    for calls, allowed, why in rules.BANNED:
        if matches(path, allowed):
            continue
        # Not a member (`env->random(`), and not a declaration of a member (`(*random)(`).
        for m in re.finditer(r"(?<![\w.>*])(" + "|".join(calls) + r")\s*\(", code):
            yield line_of(code, m.start(1)), f"banned: {m.group(1)}(): {why}"


def check_text(path, text):
    if matches(path, rules.TEXT_EXEMPT) or not path.endswith(rules.TEXT_KINDS):
        return
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "text: the last line has no newline: diffs and tools trip over it"
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            yield number, "text: tab: columns differ between editors; indent with 4 spaces"
        if line != line.rstrip():
            yield number, "text: white space at the end of the line: noise in diffs"
        if re.search(rules.MACHINE_PATHS, line) and "rules.py" not in path:
            yield number, "text: path of one machine: it exists nowhere else"


def check(path, text):
    found = list(check_text(path, text))
    if path.endswith((".c", ".h", ".def")):
        for rule in (check_layers, check_fences, check_calls):
            found += rule(path, text)
    return [f"{path}:{line}: {message}" for line, message in sorted(found)]


def tree(root):
    """Every file git knows or would add; without git, every file outside build directories."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [
        str(p.relative_to(root)) for p in pathlib.Path(root).rglob("*") if p.is_file()]
    return sorted(n for n in names if not n.startswith(("build", ".git/")))


def run(root):
    failures = []
    for name in tree(root):
        file = pathlib.Path(root, name)
        if not file.is_file() or not name.endswith(rules.TEXT_KINDS):
            continue
        try:
            failures += check(name, file.read_text("utf-8"))
        except UnicodeDecodeError:
            if not matches(name, rules.TEXT_EXEMPT):
                failures.append(f"{name}:1: text: not UTF-8")
    return failures


TEXT_PLANTED = [  # (path, text, part of the message that must appear; None: clean)
    ("proto/a.c", "\tint a;\n", "text: tab"),
    ("proto/b.c", "int a; \n", "text: white space"),
    ("proto/c.c", "int a;", "text: the last line"),
    ("docs/d.md", "see /" + "home/me/x\n", "text: path of one machine"),
    ("tests/unit/test_a.c", "void f(void) {\n    usleep(1);\n}\n", "tests/unit/test_a.c:2: banned: usleep()"),
    ("client/ok.c", '#include "leadpool/error.h"\n#include <sqlite3.h>\n', None),
    ("proto/ok.c", '/* time( "rand(" */\nint f(env *e) {\n    return e->random(e) + runtime("time(");\n}\n', None),
    ("tests/unit/test_ok.c", '#include "server/pool/pool.h"\n#include <sqlite3.h>\n', None),
]


def planted():
    """One violation of every row of every table, and TEXT_PLANTED."""
    def name(pattern):
        return pattern.replace("[ch]", "c").replace("*", "planted.c").replace("planted.c.c", "planted.c")

    for files, allowed, _ in rules.LAYERS:
        header = next(h for h in ("server/session/session.h", "client/replica/replica.h", "proto/buf.h") if not h.startswith(tuple(allowed)))
        yield name(files), f'#include "{header}"\n', f"layer: {files} may not include {header}"
    for header, allowed, _ in rules.FENCES:
        header = header.replace("*", "x.h").replace("x.h.h", "x.h")
        path = next(p for p in ("proto/planted.c", "server/planted.c") if not matches(p, allowed))
        yield path, f"#include <{header}>\n", f"fence: {header} belongs to"
    for header, denied, _ in rules.UNFENCED_NOT:
        for files in denied:
            yield name(files), f"#include <{header.replace('*', '')}>\n", "may not be included here"
    for calls, _, _ in rules.BANNED:
        for call in calls:
            yield "proto/planted.c", f"int f(void) {{\n    return {call}(0);\n}}\n", f"planted.c:2: banned: {call}()"
    yield from TEXT_PLANTED


def self_test():
    wrong, count = [], 0
    for path, text, expected in planted():
        count += 1
        found = check(path, text)
        if not (any(expected in f for f in found) if expected else not found):
            wrong.append(f"{path}: wanted {expected!r}, got {found}")
    with tempfile.TemporaryDirectory() as root:  # and once through a tree, as the real check goes
        pathlib.Path(root, "proto").mkdir()
        pathlib.Path(root, "proto/a.c").write_text('#include "client/replica/replica.h"\n')
        if len(run(root)) != 1:
            wrong.append("the violation planted in a tree was not found")
    print(f"{count - len(wrong)} of {count} planted cases judged rightly")
    return wrong


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    failures = self_test() if "--self-test" in sys.argv else run(root)
    print("\n".join(failures) if failures else "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

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


PLANTED = [  # (path, text, part of the message that must appear; None: clean)
    ("proto/a.c", '#include "client/replica.h"\n', "layer: proto/*"),
    ("client/a.c", '#include "server/pool.h"\n', "layer: client/*"),
    ("server/a.c", '#include "client/replica.h"\n', "layer: server/*"),
    ("server/store/a.c", '#include "server/session.h"\n', "layer: server/store/*"),
    ("client/cli/a.c", '#include "client/replica.h"\n', "layer: client/cli/*"),
    ("include/leadpool/a.h", '#include "proto/buf.h"\n', "layer: include/*"),
    ("client/session.c", "#include <nng/nng.h>\n", "fence: nng/nng.h"),
    ("client/session.c", '#include "client/link.h"\n', "fence: client/link.h"),
    ("proto/b.c", "#include <sqlite3.h>\n", "fence: sqlite3.h"),
    ("client/link.c", "#include <sqlite3.h>\n", "may not be included here"),
    ("server/session.c", "#include <pthread.h>\n", "fence: pthread.h"),
    ("client/b.c", "#include <openssl/evp.h>\n", "fence: openssl/evp.h"),
    ("server/c.c", "#include <msgpack.h>\n", "fence: msgpack.h"),
    ("proto/c.c", "int f(void) {\n    return rand();\n}\n", "proto/c.c:2: banned: rand()"),
    ("proto/d.c", "int64_t f(void) {\n    return time(NULL);\n}\n", "banned: time()"),
    ("tests/unit/test_a.c", "void f(void) {\n    usleep(1);\n}\n", "banned: usleep()"),
    ("server/d.c", "void f(char *a) {\n    strcpy(a, a);\n}\n", "banned: strcpy()"),
    ("client/d.c", "int f(const char *a) {\n    return atoi(a);\n}\n", "banned: atoi()"),
    ("proto/e.c", "\tint a;\n", "text: tab"),
    ("proto/f.c", "int a; \n", "text: white space"),
    ("proto/g.c", "int a;", "text: the last line"),
    ("docs/h.md", "see /" + "home/me/x\n", "text: path of one machine"),
    ("proto/ok.c", '#include "proto/buf.h"\n/* time( "rand(" */\nint f(env *e) {\n    return e->random(e) + runtime(2);\n}\n', None),
    ("client/link_ok.c", '#include "leadpool/error.h"\nint f(void);\n', None),
    ("tests/unit/test_ok.c", '#include "server/pool.h"\n#include <sqlite3.h>\n', None),
]


def self_test():
    wrong = []
    for path, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as root:
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True)
            file.write_text(text)
            found = run(root)
        ok = any(expected in f for f in found) if expected else not found
        if not ok:
            wrong.append(f"{path}: wanted {expected!r}, got {found}")
    print(f"{len(PLANTED) - len(wrong)} of {len(PLANTED)} planted cases judged rightly")
    return wrong


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    failures = self_test() if "--self-test" in sys.argv else run(root)
    print("\n".join(failures) if failures else "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""symbols.py ARCHIVE SHARED - the libraries show lp_* and nothing else, and exactly what the headers declare.

Why: a static library that shows `buf_append` collides with the embedding program; a function that is declared and not
defined fails only in the user's link; one that is defined and not declared is an API nobody documented."""
import pathlib
import re
import subprocess
import sys

from sources import strip_comments


def defined(args):
    out = subprocess.run(["nm", "--defined-only", *args], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    # "A" is the version node of the shared library. The sanitizers' and gcov's own symbols are not ours.
    return {row[2].split("@")[0] for row in rows if len(row) == 3 and row[1] != "A"
            and not row[2].startswith(("__asan", "__odr_asan", "__gcov", "_fini", "_init"))}


def declared(root):
    names = set()
    for header in sorted(pathlib.Path(root, "include/leadpool").glob("*.h")):
        code = strip_comments(header.read_text("utf-8"))
        code = re.sub(r"^\s*#.*$", "", code, flags=re.M)
        names |= set(re.findall(r"\b(lp_\w+)\s*\(", re.sub(r"typedef[^;]*;", "", code)))
    return names


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    header, archive, shared = declared(root), defined(["-g", sys.argv[1]]), defined(["-D", sys.argv[2]])
    failures = [f"{sys.argv[1]} shows {s}, which is not lp_*" for s in sorted(archive) if not s.startswith("lp_")]
    failures += [f"{sys.argv[2]} shows {s}, which is not lp_*" for s in sorted(shared) if not s.startswith("lp_")]
    failures += [f"{s} is declared in include/leadpool and not defined" for s in sorted(header - archive)]
    failures += [f"{s} is shown and not declared in include/leadpool" for s in sorted(archive - header)
                 if s.startswith("lp_")]
    failures += [f"{s} is in the static and not in the shared library" for s in sorted(header & archive - shared)]
    print("\n".join(failures) or f"{len(header)} functions declared and shown, nothing else")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

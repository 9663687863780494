#!/usr/bin/env python3
"""docs.py - what the *.def tables declare is what the documentation says.

    docs.py           fails if a generated table is out of date, or a message, command or option is not documented
    docs.py --write   rewrites the generated tables: the text between `<!-- begin NAME -->` and `<!-- end NAME -->`

Why: one fact, one place. A table written by hand is wrong after the next field."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def read(path):
    file = ROOT / path
    return file.read_text("utf-8") if file.exists() else ""


def rows(path, *macros):
    """Calls of the X-macros in a .def file: (macro, [arguments])."""
    text = re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)
    for m in re.finditer(r"^(" + "|".join(macros) + r")\((.*)\)\s*$", text, re.M):
        arguments = re.findall(r'\s*("(?:\\.|[^"\\])*"|[^,]+)\s*(?:,|$)', m.group(2))
        yield m.group(1), [a.strip().strip('"') for a in arguments]


def table(head, body):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in body])


def options():
    body = []
    for macro, a in rows("server/config.def", "TEXT", "NUMBER", "SWITCH", "CHOICE"):
        kind = {"TEXT": "text", "SWITCH": "true or false", "CHOICE": a[2]}.get(macro) or f"{a[2]} to {a[3]}"
        body.append([f"`{a[0]}`", kind, f"`{a[1]}`" if a[1] else "", a[-1]])
    return table(["option", "values", "default", "meaning"], body)


def errors():
    return table(["error", "number", "exit status", "meaning"],
                 [[f"`LP_{a[0]}`", a[1], a[2], a[3]] for _, a in rows("include/leadpool/errors.def", "E")])


def fields():
    out = []
    for macro, a in rows("proto/schema.def", "KIND", "FIELD"):
        if macro == "KIND":
            who = "every device" if a[3] == "SETUP" else "whoever holds the pool"
            out.append([f"### {a[2]} (kind {a[1]}, held by {who})", []])
        else:
            notes = [w for flag, w in (("MAP", "one value per key"), ("SERVER", "written by the server"),
                                       ("SEARCH", "searched"), ("HIDDEN", "hidden")) if flag in a[7]]
            notes += [f"group {a[6]}"] if a[6] != "0" else []
            limit = a[5] if a[5] != "0" else ""
            out[-1][1].append([f"`{a[3]}`", a[2], a[4].lower(), limit, a[8], a[9], ", ".join(notes)])
    head = ["field", "number", "type", "bytes", "English", "中文", "notes"]
    return "\n\n".join(title + "\n\n" + table(head, body) for title, body in out)


GENERATED = [("docs/CONFIG.md", "options", options), ("docs/REFERENCE.md", "errors", errors),
             ("docs/REFERENCE.md", "fields", fields)]


def generated(write):
    for path, name, make in GENERATED:
        text = read(path)
        block = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.S)
        wanted = block.sub(lambda m: m.group(1) + make() + "\n" + m.group(2), text)
        if not block.search(text):
            yield f"{path}: no `<!-- begin {name} -->` block"
        elif write:
            (ROOT / path).write_text(wanted, "utf-8")
        elif wanted != text:
            yield f"{path}: the table `{name}` is not what the .def says; run tests/tidy/docs.py --write"


def protocol():
    text = read("proto/PROTOCOL.md")
    if not text:
        yield "proto/PROTOCOL.md is missing: nobody can write another client"
        return
    for macro, a in rows("proto/messages.def", "MESSAGE", "PART"):
        name = a[2]
        if not re.search(rf"\b{name}\b", text, re.I):
            what = "message" if macro == "MESSAGE" else f"part of {a[0].lower()}:"
            yield f"proto/PROTOCOL.md does not describe {what} {name}: another client could not be written from it"


def manual():
    """Every command that a program has stands in its manual page."""
    for program, page in (("leadpoold", "docs/man/leadpoold.8"), ("leadpool", "docs/man/leadpool.1")):
        text = read(page).replace("\\-", "-")
        if not text:
            yield f"{page} is missing: {program} has no manual page"
    page = read("docs/man/leadpoold.8").replace("\\-", "-").replace("\\_", "_")
    for _, a in rows("server/config.def", "TEXT", "NUMBER", "SWITCH", "CHOICE"):
        if page and a[0] not in page and a[0].replace("_", "-") not in page and "CONFIG.md" not in page:
            yield f"docs/man/leadpoold.8 does not describe the option {a[0]}, nor refer to docs/CONFIG.md"


def links():
    """Relative links in Markdown lead somewhere."""
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("proto/*.md"), *ROOT.glob("tests/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text("utf-8")):
            if not re.match(r"[a-z]+:", target) and not (file.parent / target).exists():
                yield f"{file.relative_to(ROOT)}: the link {target} leads nowhere"


def main():
    write = "--write" in sys.argv
    failures = list(generated(write)) + ([] if write else [*protocol(), *manual(), *links()])
    print("\n".join(failures) or "ok")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

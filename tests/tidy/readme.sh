#!/bin/sh
# readme.sh - the C example of the README compiles against the built library, and runs. Why: it is the first code anybody
# copies.
#
# The example opens "booth.db", the replica `leadpool join` makes. Here a server is started and a replica joined, so that it does
# what the README says it does.
set -eu
build=${LEADPOOL_BUILD:?} source=${LEADPOOL_SOURCE:?}
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server" && wait "$server" || true; } 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' "$source/README.md" > example.c
[ -s example.c ] || { echo "README.md has no \`\`\`c block"; exit 1; }

flags=$(sed -n 's/^CMAKE_C_FLAGS:STRING=//p' "$build/CMakeCache.txt")
# shellcheck disable=SC2086
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -pedantic $flags -I"$source/include" example.c -o example \
    -L"$build/lib" -lleadpool -Wl,-rpath,"$build/lib"

if [ ! -x "$build/bin/leadpoold" ] || [ ! -x "$build/bin/leadpool" ]; then
    echo "compiled; the programs are not built, so it was not run"
    exit 0
fi
"$build/bin/leadpoold" init --data pool --name README
mkfifo log
"$build/bin/leadpoold" serve --data pool --listen 127.0.0.1:0 2> log &
server=$!
exec 3< log
while read -r line <&3; do
    case $line in *listening*) break ;; esac
done
invitation=$("$build/bin/leadpoold" invite --data pool --staff "Li Wei" --role rep --scope pool --json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["invitation"])')
"$build/bin/leadpool" --replica booth.db join "$invitation"
./example

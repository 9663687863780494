#!/bin/sh
# test_cli.sh - the rep's command as scripts use it: two devices and a server; add, edit, import, export, conflicts, live sync, wrong use.
# Needs the programs in LEADPOOL_BIN.
set -eu
bin=$(cd "${LEADPOOL_BIN:?the directory of the programs}" && pwd)
dir=$(mktemp -d)
server=
watcher=
trap 'for p in $server $watcher; do kill -9 "$p" 2>/dev/null || :; done; rm -rf "$dir"' EXIT
export LC_ALL=C NO_COLOR=1 TZ=UTC
unset LEADPOOL_REPLICA || :

fail() {
    echo "failed: $*" >&2
    exit 1
}

# expect STATUS COMMAND...: runs it with stdout in $dir/out and stderr in $dir/err.
expect() {
    wanted=$1
    shift
    status=0
    "$@" >"$dir/out" 2>"$dir/err" || status=$?
    [ "$status" -eq "$wanted" ] || fail "$* exited with $status, not $wanted: $(cat "$dir/err")"
}

# says EXPRESSION: a Python expression over `rows`, the JSON objects of the last output, is true.
says() {
    python3 -c 'import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
sys.exit(0 if eval(sys.argv[2]) else 1)' "$dir/out" "$1" || fail "not so: $1 in: $(head -c 2000 "$dir/out")"
}

value() {
    python3 -c 'import json, sys; print(json.loads(open(sys.argv[1], encoding="utf-8").readline())[sys.argv[2]])' "$dir/out" "$1"
}

a() { "$bin/leadpool" --replica "$dir/a/replica.db" "$@"; }
b() { "$bin/leadpool" --replica "$dir/b/replica.db" "$@"; }

# ---- wrong use, and no replica yet ----
expect 2 "$bin/leadpool"
expect 2 a nonsense
expect 2 a list --nonsense
expect 2 a set --json
says '"error" in rows[0] and rows[0]["error"]["code"] == "INVALID"'
expect 1 a status --json
says 'rows[0]["error"]["code"] == "NOT_FOUND" and len(rows) == 1'
[ "$(wc -l <"$dir/err")" -eq 1 ] || fail "an error is one line: $(cat "$dir/err")"
"$bin/leadpool" help --json >"$dir/commands"
for command in join add set note show list search log sync status conflicts restore import export delete undelete refused completions version help; do
    expect 0 "$bin/leadpool" $command --help
    grep -q "  leadpool $command" "$dir/out" || fail "$command --help has no example"
    grep -q "\"command\":\"$command\"" "$dir/commands" || fail "help does not list $command"
done
expect 0 env LC_ALL=zh_CN.UTF-8 "$bin/leadpool" help add
grep -q 示例 "$dir/out" || fail "no Chinese help"
for shell in bash zsh fish; do
    expect 0 "$bin/leadpool" completions $shell
    ! command -v $shell >/dev/null || $shell -n "$dir/out" || fail "$shell cannot read its completions"
done

# ---- a server and two devices ----
"$bin/leadpoold" init --data "$dir/pool" --name Acme >/dev/null
mkfifo "$dir/pipe"
"$bin/leadpoold" serve --data "$dir/pool" --listen 127.0.0.1:0 2>"$dir/pipe" &
server=$!
exec 3<"$dir/pipe"
while read -r line <&3; do
    case $line in *listening*) break ;; esac
done
cat <&3 >/dev/null &
expect 0 "$bin/leadpoold" invite --data "$dir/pool" --staff 'Li Wei' --role rep --scope pool --json
first=$(value invitation)
expect 0 "$bin/leadpoold" invite --data "$dir/pool" --staff 'Ana' --role manager --json
second=$(value invitation)
expect 0 a join "$first" --label pad --json
expect 0 b join "$second" --json
[ "$(stat -c %a "$dir/a")" = 700 ] || fail "the replica's directory is open to others"

# ---- one lead ----
expect 2 a add
expect 0 a add --full-name 王伟 --company 'Acme 公司' rating=A --tag vip --answer 'Budget?=50k' --json
lead=$(value id)
start=$(echo "$lead" | cut -c1-13)
expect 0 a set "$start" phone=+8613800138000 tags.vip= --tag hot
expect 0 a note "$start" wants a demo
expect 0 a show "$start" --json
says 'rows[0]["fields"]["tags"] == {"hot": True} and rows[0]["fields"]["answers"] == {"Budget?": "50k"}'
says 'rows[0]["fields"]["captured_by"] == "Li Wei" and rows[0]["touches"][0]["fields"]["text"] == "wants a demo"'
expect 0 a search 王伟 --json
says 'len(rows) == 1'
expect 0 a list 'company~acme' --count --json
says 'rows == [{"count": 1}]'
expect 0 a delete "$lead"
expect 0 a list --count --json
says 'rows[0]["count"] == 0'
expect 0 a undelete "$lead"
expect 1 a show 00000000
expect 2 a show xyz

# ---- import: every row an outcome, nothing doubled, no edit undone ----
printf 'Prospect ID;姓名;Company;Colour;Do Not Email\nx1;Li;甲;red;是\nx2;Jos\303\251;Select;"a;b";N/A\nx3;%s;;;\n' \
    "$(head -c 300 /dev/zero | tr '\0' n)" >"$dir/leads.csv"
expect 1 a import "$dir/leads.csv" --json --errors "$dir/errors.csv"
says 'rows == [{"rows": 3, "created": 2, "updated": 0, "skipped": 0, "errors": 1, "dry_run": False}]'
grep -q '^leadpool: line 4: .*姓名.*200' "$dir/err" || fail "the error row is not named: $(cat "$dir/err")"
sed -i 's/nnn*n/Zhao/' "$dir/errors.csv"
expect 0 a import "$dir/errors.csv" --json
says 'rows[0]["created"] == 1 and rows[0]["errors"] == 0'
expect 0 a list 'external_id=x1' --json
says 'rows[0]["fields"]["answers"] == {"Colour": "red"} and rows[0]["fields"]["do_not_email"] is True'
row=$(value id)
expect 0 a set "$row" company=乙 full_name=
sed -i 's/nnn*n/Zhao/' "$dir/leads.csv"
expect 0 a import "$dir/leads.csv" --json
says 'rows[0]["skipped"] == 3'
expect 0 b import "$dir/leads.csv" --json
says 'rows[0]["created"] == 3'
expect 0 a import "$dir/leads.csv" --json --update
says 'rows[0]["updated"] == 1'
expect 0 a list --count --json
says 'rows[0]["count"] == 4'

# ---- nonsense is one line that says where, and stores nothing ----
printf 'name,city\nLi,"P\n' >"$dir/bad1.csv"
printf 'PK\003\004\000\000' >"$dir/bad2.csv"
printf '<html>\n<body>Please log in</body>\n</html>\n' >"$dir/bad3.csv"
printf 'a,b\n1,2,3\n4\n5,6,7\n' >"$dir/bad4.csv"
: >"$dir/bad5.csv"
for n in 1 2 3 4 5; do
    expect 2 a import "$dir/bad$n.csv"
    [ "$(wc -l <"$dir/err")" -eq 1 ] || fail "bad$n: $(cat "$dir/err")"
    grep -q "bad$n.csv" "$dir/err" || fail "bad$n is not named"
done
expect 0 a list --count --json
says 'rows[0]["count"] == 4'

# ---- export, import elsewhere, export there: the same bytes ----
expect 0 a set "$lead" "notes=\"=1+1\", she said
twice" 'need=N/A' department='=cmd|x' website="'"
expect 0 a export --out "$dir/1.csv"
grep -q "'=cmd|x" "$dir/1.csv" || fail "a formula was exported"
expect 0 b import "$dir/1.csv" --update
expect 0 b export --out "$dir/2.csv"
cmp "$dir/1.csv" "$dir/2.csv"
expect 0 a export --excel --out "$dir/3.csv"
expect 0 b import "$dir/3.csv" --json
says 'rows[0]["skipped"] == rows[0]["rows"] == 4'

# ---- conflicts and live sync ----
expect 0 a sync --json
says 'rows[0]["complete"] and rows[0]["pushed"] > 0'
expect 0 b sync
expect 0 a sync
expect 0 a set "$lead" company=Alpha
expect 0 b set "$lead" company=Beta
expect 0 a sync
expect 0 b sync --json
says 'rows[0]["conflicts"] >= 1'
expect 0 b conflicts --json
python3 - "$dir/out" "$lead" >"$dir/conflict" <<'P'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
row = [r for r in rows if r["record"] == sys.argv[2] and r["field"] == "company" and r["lost"]["value"] == "Alpha"][0]
assert row["won"]["value"] == "Beta" and row["lost"]["by"] == "Li Wei" and row["won"]["by"] == "Ana", row
assert 0 <= row["won"]["at"] - row["lost"]["at"] < 60000, row
print(row["id"])
P
expect 0 b restore "$(cat "$dir/conflict")"
expect 0 b show "$lead" --json
says 'rows[0]["fields"]["company"] == "Alpha"'
expect 0 b sync

mkfifo "$dir/events"
a sync --watch --json --for 60 >"$dir/events" &
watcher=$!
exec 4<"$dir/events"
await() {
    while read -r line <&4; do
        case $line in *"$1"*) return ;; esac
    done
    fail "sync --watch never said $1"
}
await '"state":"live"'
expect 0 b set "$lead" rating=B
expect 0 b sync
await "\"id\":\"$lead\""
pid=$(pgrep -P "$watcher" leadpool || echo "$watcher")
kill -TERM "$pid"
wait "$watcher" || fail "sync --watch did not end cleanly: $?"
watcher=
expect 0 a status --json
says 'rows[0]["unsent"] == 0 and rows[0]["refused"] == 0'
a status --json >"$dir/out"
digest=$(value digest)
b sync >/dev/null
b status --json >"$dir/out"
[ "$digest" = "$(value digest)" ] || fail "the digests differ"
kill "$server"
wait "$server" || :
server=
echo ok

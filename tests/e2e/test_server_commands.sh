#!/bin/sh
# test_server_commands.sh - leadpoold's commands as scripts use them: with a server running and without one, exit statuses, JSON, start, stop,
# crash. Needs the programs in LEADPOOL_BIN.
set -eu
bin=$(cd "${LEADPOOL_BIN:?the directory of the programs}" && pwd)
dir=$(mktemp -d)
pool=$dir/pool
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || :; rm -rf "$dir"' EXIT
leadpoold() { "$bin/leadpoold" "$@"; }

fail() {
    echo "failed: $*" >&2
    [ ! -e "$dir/log" ] || cat "$dir/log" >&2
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

# json KEY: the value in the one JSON object of the last output.
json() {
    python3 -c 'import json, sys; print(json.loads(open(sys.argv[1], encoding="utf-8").read())[sys.argv[2]])' "$dir/out" "$1" ||
        fail "no JSON object with $1: $(cat "$dir/out")"
}

# start FLAGS...: serves, and waits until it listens.
start() {
    mkfifo "$dir/pipe"
    "$bin/leadpoold" serve --data "$pool" --listen 127.0.0.1:0 "$@" 2>"$dir/pipe" &
    server=$!
    exec 3<"$dir/pipe"
    rm "$dir/pipe"
    : >"$dir/log"
    while read -r line <&3; do
        printf '%s\n' "$line" >>"$dir/log"
        case $line in *listening*) break ;; esac
    done
    grep -q listening "$dir/log" || fail "serve did not start"
    cat <&3 >>"$dir/log" &
    exec 3<&-
    port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/log")
}

stop() {
    kill -TERM "$server"
    status=0
    wait "$server" || status=$?
    server=
    [ "$status" -eq 0 ] || fail "serve exited with $status after SIGTERM"
}

# Wrong use, and what every command has.
expect 2 leadpoold
expect 2 leadpoold frobnicate
expect 2 leadpoold status
expect 2 leadpoold status --data "$dir/pool" --frobnicate
expect 2 leadpoold serve --data "$dir/pool" --workers 99
expect 2 leadpoold serve --data "$dir/pool" --plaintext --listen 0.0.0.0:0
for command in init serve invite status backup restore verify version; do
    expect 0 leadpoold $command --help
    grep -q 'example:' "$dir/out" || fail "$command --help has no example"
done

# Before init, init, init again.
expect 1 leadpoold status --data "$dir/pool" --json
[ "$(json error)" = NOT_FOUND ] || fail "status without a pool"
expect 0 leadpoold init --data "$dir/pool" --name 'Acme 展会' --json
[ "$(json pool)" = 'Acme 展会' ] || fail "init says another name"
expect 1 leadpoold init --data "$dir/pool" --json
[ "$(json error)" = EXISTS ] || fail "init twice"
for file in pool.db server.key server.crt erased.ledger revoked.ledger granted.ledger; do
    [ "$(stat -c %a "$dir/pool/$file")" = 600 ] || fail "$file can be read by others"
done

# Without its ledgers a pool might bring back who was erased: it is not opened, and the reason says what to do.
mv "$dir/pool/erased.ledger" "$dir/ledger"
expect 1 leadpoold serve --data "$dir/pool" --listen 127.0.0.1:0
grep -q 'erased.ledger is missing.*touch' "$dir/err" || fail "no word of the ledger: $(cat "$dir/err")"
mv "$dir/ledger" "$dir/pool/erased.ledger"

# The pool by itself.
expect 0 leadpoold status --data "$dir/pool" --json
[ "$(json serving)" = False ] || fail "nobody serves"
epoch=$(json epoch)
expect 2 leadpoold invite --data "$dir/pool" --staff 'Li Wei' --role king
expect 0 leadpoold invite --data "$dir/pool" --staff 'Li Wei' --role rep --scope pool --address leads.example.com:443 --json
case $(json invitation) in leadpool://leads.example.com:443/*) ;; *) fail "the invitation carries another address" ;; esac
expect 0 leadpoold verify --data "$dir/pool"

# The pool while it is served.
start
expect 0 leadpoold status --data "$dir/pool" --json
[ "$(json serving)" = True ] || fail "status did not ask the server"
[ "$(json epoch)" = "$epoch" ] || fail "another epoch"
[ "$(json listen)" = "127.0.0.1:$port" ] || fail "status says another address"
expect 0 leadpoold invite --data "$dir/pool" --staff '王伟' --role manager --json
[ "$(json staff)" = '王伟' ] || fail "the invitation is for somebody else"
case $(json invitation) in leadpool://127.0.0.1:"$port"/*) ;; *) fail "the invitation carries another port" ;; esac
(cd "$dir" && leadpoold backup --data pool --to copy.db --json >out) || fail "backup of a served pool"
[ -s "$dir/copy.db" ] || fail "no backup"
expect 1 leadpoold backup --data "$dir/pool" --to "$dir/copy.db" --json
[ "$(json error)" = EXISTS ] || fail "a backup must not replace a file"
expect 0 leadpoold verify --data "$dir/pool" --json
[ "$(json verified)" = True ] || fail "a served pool is not verified"
expect 0 leadpoold verify --file "$dir/copy.db" --json
[ "$(json verified)" = True ] || fail "a backup is not verified"
cp "$dir/copy.db" "$dir/hurt.db"
dd if=/dev/zero of="$dir/hurt.db" bs=4096 seek=3 count=2 conv=notrunc 2>/dev/null
expect 1 leadpoold verify --file "$dir/hurt.db" --json
[ "$(json error)" = CORRUPT ] || fail "damage of a backup is not found"
expect 1 leadpoold verify --file "$dir/none.db" --json
[ "$(json error)" = NOT_FOUND ] || fail "a backup that is not there"
expect 2 leadpoold verify
expect 2 leadpoold verify --file "$dir/copy.db" --data "$dir/pool"
expect 1 leadpoold serve --data "$dir/pool" --listen 127.0.0.1:0
[ "$(wc -l <"$dir/err")" -eq 1 ] || fail "two servers on one pool: not one line but $(cat "$dir/err")"
kill -HUP "$server"
stop
[ ! -e "$dir/pool/control.sock" ] || fail "the control socket was left behind"
expect 0 leadpoold invite --data "$dir/pool" --staff '王伟' --role manager --json
case $(json invitation) in leadpool://127.0.0.1:"$port"/*) ;; *) fail "the address of the last server is forgotten" ;; esac

# A crash leaves a socket that nobody listens to.
start --log-format json
kill -9 "$server"
wait "$server" 2>/dev/null || :
server=
[ -S "$dir/pool/control.sock" ] || fail "no socket was left: this test tests nothing"
expect 0 leadpoold status --data "$dir/pool" --json
[ "$(json serving)" = False ] || fail "a dead server serves"
start
expect 0 leadpoold status --data "$dir/pool" --json
[ "$(json serving)" = True ] || fail "the new server cannot be reached"
stop

# A directory whose name is too long for a Unix socket.
deep=$dir/$(printf 'a%.0s' $(seq 60))/$(printf 'b%.0s' $(seq 60))
mkdir -p "$deep"
mv "$dir/pool" "$deep/pool"
pool=$deep/pool
start
expect 0 leadpoold status --data "$pool" --json
[ "$(json serving)" = True ] || fail "no control socket in a deep directory"
stop
echo "ok"

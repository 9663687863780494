#!/bin/sh
# test_server_notify.sh - what the service manager is told and asks for: READY=1 once it listens, a reload on SIGHUP, STOPPING=1, and
# an end within 5 s although a peer holds its connection. Needs the programs in LEADPOOL_BIN.
set -eu
bin=$(cd "${LEADPOOL_BIN:?the directory of the programs}" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$bin/leadpoold" init --data "$dir/pool" >/dev/null
exec python3 - "$bin/leadpoold" "$dir" <<'PYTHON'
import os, re, signal, socket, subprocess, sys, time

program, directory = sys.argv[1], sys.argv[2]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(directory + "/notify")
manager.settimeout(20)
server = subprocess.Popen([program, "serve", "--data", directory + "/pool", "--listen", "127.0.0.1:0"],
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "NOTIFY_SOCKET": directory + "/notify"})


def log_line(word):
    for line in server.stderr:
        if word in line:
            return line
    raise SystemExit(f"failed: the log ended before {word}")


try:
    address = re.search(r"address=127\.0\.0\.1:(\d+)", log_line("listening"))
    assert manager.recv(100) == b"READY=1"
    with open(directory + "/pool/leadpoold.conf", "w", encoding="utf-8") as conf:
        conf.write("log_level = debug\n")
    server.send_signal(signal.SIGHUP)
    log_line("reloaded")
    peer = socket.create_connection(("127.0.0.1", int(address.group(1))))
    peer.sendall(b"garbage that is no TLS\r\n\r\n")
    log_line("debug closing")  # the new level holds
    silent = socket.create_connection(("127.0.0.1", int(address.group(1))))
    began = time.monotonic()
    server.terminate()
    assert manager.recv(100) == b"STOPPING=1"
    log_line("stopped")
    assert server.wait(20) == 0
    assert time.monotonic() - began < 5
finally:
    server.kill()
print("ok")
PYTHON

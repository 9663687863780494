#!/bin/sh
# wasm32.sh - proto/ and the client's core compile for wasm32-wasi, objects only. Why: the phone's browser will run that
# same code; a socket, thread or clock that slips into the core is found the day it does.
#
# Third-party headers are staged one by one: with /usr/include in the path the host's libc headers would be found instead of
# wasi-libc's, and a call that WebAssembly does not have would pass.
set -u
cd "${LEADPOOL_SOURCE:?}" || exit 1
out=${LEADPOOL_BUILD:?}/cross-wasm32
libc=/usr/include/wasm32-wasi
shells="client/link.c client/loop.c client/os.c client/events.c client/leadpool.c"

command -v clang > /dev/null && [ -d $libc ] || {
    echo "clang or wasi-libc is missing; run scripts/setup --tests"
    [ -n "${CI:-}" ] && exit 1
    exit 77
}

rm -rf "$out"
mkdir -p "$out/include"
machine=$(clang -print-multiarch 2> /dev/null || cc -print-multiarch)
for header in sqlite3.h sqlite3ext.h msgpack.h msgpack utf8proc.h wslay http_parser.h llhttp.h; do
    for place in /usr/include "/usr/include/$machine"; do
        [ ! -e "$place/$header" ] || ln -sfn "$place/$header" "$out/include/$header"
    done
done
mkdir "$out/include/openssl"
ln -s /usr/include/openssl/* "/usr/include/$machine"/openssl/* "$out/include/openssl/"
# What OpenSSL's configuration says when it is built for WebAssembly (no-threads), in place of the host's.
rm "$out/include/openssl/configuration.h"
sed '/define OPENSSL_THREADS/d' "/usr/include/$machine/openssl/configuration.h" > "$out/include/openssl/configuration.h"

compiled=0 failed=0
for source in proto/*.c proto/channel/*.c client/*.c client/[!c]*/*.c; do
    case " $shells " in *" $source "*) continue ;; esac
    [ -f "$source" ] || continue
    if clang --target=wasm32-wasi -nostdlibinc -isystem $libc -isystem "$out/include" -I. -Iinclude -std=c11 -O1 \
        -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -DLEADPOOL_VERSION='"cross"' \
        -c "$source" -o "$out/$(echo "$source" | tr / _).o"; then
        compiled=$((compiled + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$compiled files compile for wasm32-wasi, $failed do not"
[ $failed -eq 0 ]

#!/bin/sh
# install.sh - `cmake --install` into a scratch prefix, then a program that finds the library there by pkg-config (shared and
# static) and by find_package, is compiled, and runs. Why: packagers and embedders see only this side of us.
set -eu
build=${LEADPOOL_BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" > "$work/log" || { cat "$work/log"; exit 1; }
if sed -n 's/^-- \(Installing\|Up-to-date\): //p' "$work/log" | grep -v "^$prefix/"; then
    echo "something is installed outside the prefix"
    exit 1
fi
flags=$(sed -n 's/^CMAKE_C_FLAGS:STRING=//p' "$build/CMakeCache.txt")

cat > "$work/main.c" <<'C'
#include <leadpool/leadpool.h>
#include <stdio.h>
int main(void) {
    lp_replica *replica = NULL;
    lp_error error;
    if (lp_open("no-such-file.db", &replica, &error) != LP_NOT_FOUND)
        return 1;
    printf("%s: %s\n", lp_version(), error.message);
    return 0;
}
C
cat > "$work/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(leadpool 0.1 REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared leadpool::leadpool)
add_executable(static main.c)
target_link_libraries(static leadpool::static)
C

libdir=$(dirname "$(find "$prefix" -name libleadpool.a)")
export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
cd "$work"
# shellcheck disable=SC2046,SC2086
{
    cc -std=c11 $flags main.c $(pkg-config --cflags --libs leadpool) -o by_pkgconfig
    cc -std=c11 $flags main.c $(pkg-config --cflags --libs --static leadpool | sed 's/-lleadpool/-l:libleadpool.a/') -o by_pkgconfig_static
}
cmake -S . -B cmake -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS="$flags" > log 2>&1 || { cat log; exit 1; }
cmake --build cmake > log 2>&1 || { cat log; exit 1; }
for program in by_pkgconfig by_pkgconfig_static cmake/shared cmake/static; do
    echo "$program: $("./$program")"
done
if ldd by_pkgconfig_static | grep libleadpool || ldd cmake/static | grep libleadpool; then
    echo "the static programs use the shared library"
    exit 1
fi
for program in leadpool leadpoold; do
    [ ! -x "$build/bin/$program" ] || "$prefix/bin/$program" version > /dev/null || "$prefix/bin/$program" --version > /dev/null
done

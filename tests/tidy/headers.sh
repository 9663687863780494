#!/bin/sh
# headers.sh - every public header compiles alone as C11 and as C++17, without a warning and without the source tree; every
# internal header compiles alone as C11. Why: a header that works only after another one breaks whoever reorders includes.
set -u
cd "$(dirname "$0")/../.." || exit 1
failures=0

compile() { # compile WHAT HEADER COMPILER FLAGS...
    what=$1 header=$2
    shift 2
    if ! echo "#include \"$header\"" | "$@" -Wall -Wextra -Werror -pedantic -fsyntax-only - ; then
        echo "$header does not compile alone as $what"
        failures=$((failures + 1))
    fi
}

for file in include/leadpool/*.h; do
    header=${file#include/}
    compile "C11" "$header" "${CC:-cc}" -std=c11 -xc -Iinclude
    compile "C++17" "$header" "${CXX:-c++}" -std=c++17 -xc++ -Iinclude
done
for header in proto/*.h proto/*/*.h client/*.h client/*/*.h server/*.h server/*/*.h; do
    [ -f "$header" ] || continue
    compile "C11" "$header" "${CC:-cc}" -std=c11 -xc -D_POSIX_C_SOURCE=200809L -I. -Iinclude
done
echo "$failures headers failed"
[ "$failures" -eq 0 ]

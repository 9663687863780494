#!/bin/sh
# run.sh PROGRAM NAME - fuzzes for LEADPOOL_FUZZ_SECONDS (10), starting from tests/fuzz/corpus/NAME. What it learns goes to the
# build directory, a crashing input too, so that the source tree stays as it is.
set -eu
learned=${LEADPOOL_BUILD:?}/fuzz/$2
mkdir -p "$learned"
set -- "$1" "$learned" "${LEADPOOL_SOURCE:?}/tests/fuzz/corpus/$2"
[ -d "$3" ] || set -- "$1" "$2"
program=$1
shift
# Sessions are tried on files that are made and thrown away thousands of times.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
exec "$program" -max_total_time="${LEADPOOL_FUZZ_SECONDS:-10}" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
    -verbosity=0 -artifact_prefix="$learned-" "$@"

#!/bin/sh
# aarch64.sh - proto/ is built for aarch64 and its unit and property tests run there, under qemu-user. Why: phones and tablets are
# ARM; alignment, char signedness and byte order assumptions show here first.
#
# Debian has no cross packages of our libraries. The arm64 ones are downloaded with an apt state of our own and unpacked into
# the build directory: no root, and no foreign architecture for the machine.
set -eu
out=${LEADPOOL_BUILD:?}/cross-aarch64
source=${LEADPOOL_SOURCE:?}
sysroot=$out/sysroot
packages="libssl-dev libwslay-dev libcmocka-dev"
[ -e /usr/include/http_parser.h ] && packages="$packages libhttp-parser-dev" || packages="$packages libllhttp-dev"
packages="$packages $(dpkg -S /usr/include/msgpack.h | cut -d: -f1)"

for tool in aarch64-linux-gnu-gcc qemu-aarch64 apt-get; do
    command -v $tool > /dev/null || {
        echo "$tool is missing; run scripts/setup --tests"
        [ -n "${CI:-}" ] && exit 1
        exit 77
    }
done

fetch() {
    rm -rf "$sysroot" "$out/apt"
    mkdir -p "$sysroot" "$out/apt/state/lists/partial" "$out/apt/cache/archives/partial" "$out/apt/debs"
    cat > "$out/apt/conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Dir::State "$out/apt/state";
Dir::State::status "/dev/null";
Dir::Cache "$out/apt/cache";
CONF
    export APT_CONFIG="$out/apt/conf"
    apt-get update -qq || true
    for package in $packages; do
        echo "$package"
        # The shared library that a -dev package depends on.
        apt-cache show "$package" | sed -n 's/^Depends: //p' | head -n 1 | tr ',' '\n' |
            sed -n 's/^ *\(lib[^ ]*\).*/\1/p' | grep -v -e '^libc6' -e '-dev$' -e cxx || true
    done | sort -u > "$out/apt/packages"
    # shellcheck disable=SC2046
    (cd "$out/apt/debs" && apt-get download -qq $(cat "$out/apt/packages"))
    for deb in "$out"/apt/debs/*.deb; do
        dpkg -x "$deb" "$sysroot"
    done
    unset APT_CONFIG
    touch "$out/fetched"
}

mkdir -p "$out"
[ -e "$out/fetched" ] || fetch > "$out.log" 2>&1 || { cat "$out.log"; exit 1; }
libs=$sysroot/usr/lib/aarch64-linux-gnu
export PKG_CONFIG_SYSROOT_DIR="$sysroot" PKG_CONFIG_LIBDIR="$libs/pkgconfig"
cmake -S "$source" -B "$out/build" -G Ninja --toolchain "$source/cmake/aarch64.cmake" -DLEADPOOL_SYSROOT="$sysroot" \
    -DCMAKE_BUILD_TYPE=Debug -DLEADPOOL_PROTO_ONLY=ON -DLEADPOOL_WERROR=ON > "$out.log" 2>&1 || { cat "$out.log"; exit 1; }
cmake --build "$out/build" -j2 > "$out.log" 2>&1 || { cat "$out.log"; exit 1; }
ctest --test-dir "$out/build" --output-on-failure --no-tests=error -j2

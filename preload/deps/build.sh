#!/bin/sh
# Builds the pinned sources as static archives that can live inside a preloaded library.
#
#   build.sh SOURCES PREFIX        (CC and AR are taken from the environment)
#
# Position-independent; hidden, so that no symbol of theirs displaces a copy the program brought; initial-exec TLS, because
# __tls_get_addr may allocate and would make libguard.so need ld.so by name.
set -eu

sources=$(cd "$1" && pwd)
mkdir -p "$2/include/cjson" "$2/lib"
prefix=$(cd "$2" && pwd)
CC=${CC:-gcc}
AR=${AR:-ar}
# What the caller's make was told is about guard's own objects, not about these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES CFLAGS LDFLAGS
flags='-O2 -g -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-plt -U_FORTIFY_SOURCE'
flags="$flags -ffile-prefix-map=$sources=."
log=$prefix/build.log
: >"$log"

fail()
{
    tail -n 20 "$log" | sed 's/^/    /' >&2
    echo "guard: could not build $1; the whole log is $log" >&2
    exit 1
}

# Options: no _Unwind_* (they belong to libgcc_s), no lzma or core files, and none of the other faces of the library.
build_libunwind()
(
    cd "$sources/libunwind"
    ./configure --prefix="$prefix" --disable-shared --enable-static --with-pic --disable-cxx-exceptions \
        --disable-minidebuginfo --disable-coredump --disable-ptrace --disable-setjmp --disable-documentation \
        --disable-tests CC="$CC" CFLAGS="$flags"
    make -j2
    make install
    # It would hide the compiler's own <unwind.h>.
    rm -f "$prefix/include/unwind.h"
)

# The inflating half is what the analyzer uses; tests make their inputs with the other half.
build_zlib()
(
    cd "$sources/zlib"
    for unit in adler32 compress crc32 deflate inffast inflate inftrees trees uncompr zutil; do
        $CC $flags -c "$unit.c" -o "$unit.o"
        set -- "$@" "$unit.o"
    done
    rm -f "$prefix/lib/libz.a"
    $AR rcs "$prefix/lib/libz.a" "$@"
    cp zlib.h zconf.h "$prefix/include/"
)

build_cjson()
(
    cd "$sources/cjson"
    $CC $flags -DCJSON_HIDE_SYMBOLS -c cJSON.c -o cJSON.o
    rm -f "$prefix/lib/libcjson.a"
    $AR rcs "$prefix/lib/libcjson.a" cJSON.o
    cp cJSON.h "$prefix/include/cjson/"
)

for library in libunwind zlib cjson; do
    echo "guard: building the archive of $library"
    # A function that is tested runs without -e; a shell of its own keeps it.
    (set -e; "build_$library") >>"$log" 2>&1 &
    wait $! || fail "$library"
done

# What a binary that holds them has to carry along.
{
    echo "guard's binaries contain code of the following projects, under their licenses."
    for file in libunwind/COPYING zlib/LICENSE cjson/LICENSE; do
        printf '\n==== %s ====\n\n' "${file%/*}"
        cat "$sources/$file"
    done
    printf '\n==== OpenSSL libcrypto ====\n\nApache License 2.0, see LICENSE. Copyright The OpenSSL Project Authors.\n'
} >"$prefix/NOTICE"

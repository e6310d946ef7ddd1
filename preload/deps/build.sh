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
# A section each, so that the linker leaves out what nobody calls: most of all the compressing halves.
flags="$flags -ffunction-sections -fdata-sections -ffile-prefix-map=$sources=."
log=$prefix/build.log
: >"$log"

fail()
{
    tail -n 20 "$log" | sed 's/^/    /' >&2
    echo "guard: could not build $1; the whole log is $log" >&2
    exit 1
}

# archive LIBRARY UNIT...: what was compiled, from the present folder.
archive()
{
    rm -f "$prefix/lib/$1.a"
    library=$1
    shift
    $AR rcs "$prefix/lib/$library.a" "$@"
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
    archive libz "$@"
    cp zlib.h zconf.h "$prefix/include/"
)

build_cjson()
(
    cd "$sources/cjson"
    $CC $flags -DCJSON_HIDE_SYMBOLS -c cJSON.c -o cJSON.o
    archive libcjson cJSON.o
    cp cJSON.h "$prefix/include/cjson/"
)

# What it says of itself on standard error when it finds its own state impossible, it then says to bz_internal_error.
build_bzip2()
(
    cd "$sources/bzip2"
    for unit in blocksort bzlib compress crctable decompress huffman randtable; do
        $CC $flags -DBZ_NO_STDIO -c "$unit.c" -o "$unit.o"
        set -- "$@" "$unit.o"
    done
    archive libbz2 "$@"
    cp bzlib.h "$prefix/include/"
)

# Without clmul: choosing it asks the processor at every start of every guarded process, which virtual machines make slow.
build_xz()
(
    cd "$sources/xz-utils"
    ./configure --prefix="$prefix" --disable-shared --enable-static --with-pic --disable-encoders --disable-microlzma \
        --disable-clmul-crc \
        --disable-threads --disable-nls --disable-doc --disable-scripts --disable-xz --disable-xzdec --disable-lzmadec \
        --disable-lzmainfo --disable-lzma-links CC="$CC" CFLAGS="$flags"
    make -j2
    make install
)

build_lz4()
(
    cd "$sources/lz4/lib"
    for unit in lz4 lz4frame lz4hc xxhash; do
        $CC $flags -DXXH_NAMESPACE=LZ4_ -DLZ4LIB_VISIBILITY= -c "$unit.c" -o "$unit.o"
        set -- "$@" "$unit.o"
    done
    archive liblz4 "$@"
    cp lz4frame.h "$prefix/include/"
)

build_zstd()
(
    cd "$sources/libzstd/lib"
    for unit in common/debug common/entropy_common common/error_private common/fse_decompress common/xxhash \
        common/zstd_common decompress/huf_decompress decompress/zstd_ddict decompress/zstd_decompress \
        decompress/zstd_decompress_block; do
        $CC $flags -DXXH_NAMESPACE=ZSTD_ -DZSTDLIB_VISIBLE= -DZSTDERRORLIB_VISIBLE= -DZSTD_LEGACY_SUPPORT=0 \
            -DZSTD_DISABLE_ASM -DZSTD_TRACE=0 -DDEBUGLEVEL=0 -c "$unit.c" -o "$unit.o"
        set -- "$@" "$unit.o"
    done
    archive libzstd "$@"
    cp zstd.h zstd_errors.h "$prefix/include/"
)

for library in libunwind zlib cjson bzip2 xz lz4 zstd; do
    echo "guard: building the archive of $library"
    # A function that is tested runs without -e; a shell of its own keeps it.
    (set -e; "build_$library") >>"$log" 2>&1 &
    wait $! || fail "$library"
done

# What a binary that holds them has to carry along.
{
    echo "guard's binaries contain code of the following projects, under their licenses."
    for file in libunwind/COPYING zlib/LICENSE cjson/LICENSE bzip2/LICENSE xz-utils/COPYING lz4/lib/LICENSE \
        libzstd/LICENSE; do
        printf '\n==== %s ====\n\n' "${file%/*}"
        cat "$sources/$file"
    done
    printf '\n==== OpenSSL libcrypto ====\n\nApache License 2.0, see LICENSE. Copyright The OpenSSL Project Authors.\n'
} >"$prefix/NOTICE"

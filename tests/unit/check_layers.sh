#!/bin/bash
# Proves the borders of the layers, from #include lines and from the symbols that objects ask for. Speaks TAP.
#
#   check_layers.sh        in the top folder, after make
set -uo pipefail
export LC_ALL=C

objects=${BUILD:-build}/obj
count=0 failed=0

# verdict NAME OFFENDERS: passes when there are no offenders.
verdict()
{
    count=$((count + 1))
    if [ -z "$2" ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        echo "not ok $count - $1"
        sed 's/^/#   /' <<<"$2"
    fi
}

sources_of() { find "$1" -name '*.[chS]' -not -path 'preload/command/*' | sort; }
# By way of the sources: what a removed source has left behind does not count.
objects_of() { sources_of "$1" | sed -n "s|\(.*\)\.[cS]\$|$objects/\1.o|p" | xargs -r ls 2>/dev/null; }
# Lines "object symbol".
undefined_of() { objects_of "$1" | xargs -r nm -A -u | awk '{ sub(/:.*/, "", $1); print $1, $NF }'; }
defined_of() { objects_of "$1" | xargs -r nm --defined-only -g | awk 'NF == 3 { print $3 }' | sort -u; }
# Keeps the lines whose symbol (field 2) is, or with -v is not, in the list of the file or matches the pattern.
symbols_in() { awk 'NR == FNR { listed[$1]; next } $2 in listed' "$1" -; }
symbols_not_in() { awk 'NR == FNR { listed[$1]; next } !($2 in listed)' "$1" -; }

# Quoted includes leave their package only downwards: paths are resolved against the including file.
includes_outside()
{
    local package=$1 file target
    shift
    sources_of "$package" | while read -r file; do
        sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file" | while read -r target; do
            target=$(realpath -m --relative-to=. "$(dirname "$file")/$target")
            case " $* " in
            *" ${target%%/*} "*) ;;
            *) echo "$file includes $target" ;;
            esac
        done
    done
}
verdict "analyzer includes nothing of policy or preload" "$(includes_outside analyzer analyzer)"
verdict "policy includes nothing of preload" "$(includes_outside policy policy analyzer)"
verdict "preload includes preload, policy and analyzer alone" "$(includes_outside preload preload policy analyzer)"
verdict "the library includes nothing of the command" \
    "$(sources_of preload | xargs -r grep -n '#[[:space:]]*include[[:space:]]*"command/')"

for package in analyzer policy preload; do
    verdict "$package has objects" "$([ -n "$(objects_of $package)" ] || echo "none under $objects/$package; run make")"
done

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
for package in analyzer policy preload; do
    defined_of $package >"$lists/$package"
done
awk '$1 == "HOOK" { print $2 }' "$objects/hooks.txt" >"$lists/hooks"
verdict "the table of hooks has rows" "$([ -s "$lists/hooks" ] || echo "$objects/hooks.txt is empty")"

# What pure code may ask of libc: memory and string functions without locale, allocation or errno; and of the libraries
# that decompress, the functions that do, with memory from the caller. The rest is the compiler's.
cat >"$lists/pure" <<'EOF'
memcpy memmove memset memcmp memchr memrchr memmem rawmemchr
strlen strnlen strcmp strncmp strchr strrchr strstr strspn strcspn strpbrk stpcpy
bsearch qsort
inflate inflateInit2_ inflateEnd inflateReset inflateCopy crc32_z
BZ2_bzDecompressInit BZ2_bzDecompress BZ2_bzDecompressEnd
lzma_stream_decoder lzma_alone_decoder lzma_lzip_decoder lzma_code lzma_end
LZ4F_createDecompressionContext_advanced LZ4F_decompress LZ4F_freeDecompressionContext LZ4F_isError LZ4F_getErrorCode
ZSTD_createDCtx_advanced ZSTD_DCtx_setParameter ZSTD_decompressStream ZSTD_freeDCtx ZSTD_isError ZSTD_getErrorCode
_GLOBAL_OFFSET_TABLE_ __stack_chk_fail
EOF
tr ' ' '\n' <"$lists/pure" >"$lists/pure_lines"
sort -u "$lists/pure_lines" "$lists/analyzer" >"$lists/analyzer_may"
verdict "analyzer asks for pure functions and decompressors alone" \
    "$(undefined_of analyzer | symbols_not_in "$lists/analyzer_may")"

# "No global state": nothing writable. Tables of constants and pointers to them (.rodata, .data.rel.ro) are fine.
writable=$(for object in $(objects_of analyzer); do
    objdump -h "$object" | awk -v object="$object" \
        '$2 ~ /^\.(data|bss|tdata|tbss)/ && $2 !~ /^\.data\.rel\.ro/ && $3 !~ /^0+$/ { print object, $2, "0x" $3 }'
done)
verdict "analyzer has no writable data" "$writable"

verdict "analyzer asks for nothing of policy" "$(undefined_of analyzer | symbols_in "$lists/policy")"
verdict "analyzer asks for nothing of preload" "$(undefined_of analyzer | symbols_in "$lists/preload")"
verdict "policy asks for nothing of preload" "$(undefined_of policy | symbols_in "$lists/preload")"

# Guard's own calls must not come back into its hooks. real.c has to name the hooks: it tells them from the next ones.
for package in policy preload; do
    verdict "$package asks for no hooked name (raw.h or real.NAME instead)" \
        "$(undefined_of $package | grep -v "^$objects/preload/real.o " | symbols_in "$lists/hooks")"
done

# stdio allocates, locks and writes where the program's own output is; abort and exit end somebody else's process. A
# stream that was opened and then denied has to be closed, which is what fclose and fileno are for.
stdio='^(v?(f|s|sn|d|as|vs)?w?printf(_chk)?|__v?(f|s|sn|d|as)printf_chk|__(isoc[0-9]+_)?v?[fs]?scanf|v?[fs]?scanf'
stdio+='|f?puts|f?putc|putchar|putw|fwrite|fread|fgets|f?getc|getchar|getline|getdelim|ungetc|perror|fflush|setv?buf'
stdio+='|std(in|out|err)|tmpfile|open_memstream|fmemopen|v?syslog|v?(err|warn)x?|psignal)$'
ends='^(abort|exit|_exit|_Exit|quick_exit|__assert.*|__fortify_fail|raise|__[a-z]+_chk_fail_alias)$'
for package in analyzer policy preload; do
    verdict "$package asks for no stdio" "$(undefined_of $package | awk -v p="$stdio" '$2 ~ p')"
    verdict "$package asks for nothing that ends a process" "$(undefined_of $package | awk -v p="$ends" '$2 ~ p')"
    verdict "$package asks for no fortified call" \
        "$(undefined_of $package | awk '$2 ~ /^__.*_chk$/' | symbols_not_in "$lists/hooks")"
done

# libunwind runs inside hooks too.
if [ -f "$objects/libunwind.a" ] && [ -f "$objects/preload/unwind_wrap.o" ]; then
    verdict "libunwind's pipe, abort and hooked names are replaced" \
        "$(nm -A -u "$objects/libunwind.a" 2>/dev/null | awk '{ print $1, $NF }' |
            awk 'NR == FNR { listed[$1]; next } $2 in listed || $2 ~ /^(pipe|pipe2|abort)$/' "$lists/hooks" -)"
fi

echo "1..$count"
[ "$failed" -eq 0 ]

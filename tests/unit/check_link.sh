#!/bin/sh
# Asserts of a linked binary what makes it loadable next to any program: it needs libc.so.6 and nothing else, and of
# libc nothing newer than version 2.34 (RHEL 9, Debian 12, Ubuntu 22.04).
#
#   check_link.sh BINARY
set -eu

newest=2.34
needed=$(objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }')
if [ "$needed" != libc.so.6 ]; then
    echo "$1: needs" $needed "instead of libc.so.6 alone" >&2
    exit 1
fi
# The loader's own versions (GLIBC_ABI_*) are no numbers and do not count.
version=$(objdump -T "$1" | grep -o 'GLIBC_[0-9][0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
if [ "$(printf '%s\n%s\n' "$version" "$newest" | sort -V | tail -n 1)" != "$newest" ]; then
    echo "$1: needs glibc $version, newer than $newest:" >&2
    objdump -T "$1" | grep -F "GLIBC_$version" >&2
    exit 1
fi

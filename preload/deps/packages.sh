#!/bin/sh
# Sees to it that what the build needs from the distribution is there.
#
#   packages.sh NEED:PACKAGE...
#
# NEED is a command, or a file if it starts with "/". As root, the Debian packages of what is missing are installed with
# apt-get; as another user the command to run is printed and the exit status is 1. Nothing missing: nothing is run.
set -eu

missing=
for pair; do
    need=${pair%%:*}
    package=${pair#*:}
    case $need in
    /*) [ -e "$need" ] && continue ;;
    *) command -v "$need" >/dev/null 2>&1 && continue ;;
    esac
    case " $missing " in
    *" $package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "guard: this host lacks what these Debian packages hold:$missing" >&2
    echo "guard: it has no apt-get; install their equivalents and run make again" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "guard: Debian packages are missing; run this and then make again:" >&2
    echo "    sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

echo "guard: installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# A fresh machine's own updater often holds the lock during its first minutes.
options="-q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
if ! apt-get $options update; then
    echo "guard: apt-get update failed; going on with the package lists that are there" >&2
fi
if ! apt-get $options install -y --no-install-recommends $missing; then
    echo "guard: could not install:$missing" >&2
    echo "guard: see apt-get's message above; when it is mended (network, /etc/apt), run make again" >&2
    exit 1
fi

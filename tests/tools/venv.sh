#!/bin/bash
# Makes the virtual environment of the tests, or brings an existing one up to the list.
#
#   venv.sh FOLDER REQUIREMENTS        (GUARD_PYTHON names the CPython 3.11 to use)
#
# torch is a wheel for one CPython version, so it must be 3.11: pyenv's if there is one, else the distribution's. pip runs
# with the user's own configuration (indexes, proxies); nothing is installed outside FOLDER.
set -euo pipefail

folder=$1
requirements=$2
packages=$(dirname "$0")/../../preload/deps/packages.sh

suits()
{
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1
}

# The last one wins; later candidates are pyenv's, newest patch release last.
find_python()
{
    for candidate in /usr/bin/python3.11 /usr/local/bin/python3.11 python3.11 \
        $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11*/bin/python3.11 2>/dev/null | sort -V) ${GUARD_PYTHON:-}; do
        suits "$candidate" && found=$candidate
    done
    [ -n "${found:-}" ] && echo "$found"
}

if ! "$folder/bin/python" -c 'import pip' >/dev/null 2>&1; then
    python=$(find_python) || {
        "$packages" /usr/lib/python3.11/ensurepip/__init__.py:python3.11-venv /usr/include/python3.11/Python.h:python3.11-dev
        python=$(find_python)
    } || {
        echo "guard: the tests need CPython 3.11 with venv; name one: make check GUARD_PYTHON=/path/to/python3.11" >&2
        exit 1
    }
    echo "guard: making $folder with $python"
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi

install()
{
    "$folder/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" |
        { grep -v '^Requirement already satisfied' || true; } || {
        echo "guard: pip could not install what $requirements lists; its message stands above." >&2
        echo "guard: what to do: see that pip reaches its index (PIP_INDEX_URL, PIP_FIND_LINKS, proxies), and run make again" >&2
        exit 1
    }
}
echo "guard: installing torch and then the rest of $requirements into $folder; the first time takes minutes"
# Alone and first: the others depend on torch, and would let pip choose another build of it.
install "$(grep '^torch==' "$requirements")"
install -r "$requirements"

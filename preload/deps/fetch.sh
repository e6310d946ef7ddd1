#!/bin/sh
# Fetches the pinned Debian sources (pins.sh) into a folder, through apt but without touching the host's apt.
#
#   fetch.sh FOLDER
#
# The host's own deb entries say where its archives are; a private configuration under FOLDER/apt asks them for sources.
# Signatures are checked by apt against the host's keys, upstream archives against pins.sh. Files that lie in FOLDER already
# are used, so a host without a network can be served by copying the .dsc files and what they name there.
set -eu

folder=$1
. "$(dirname "$0")/pins.sh"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
apt=$folder/apt
log=$folder/fetch.log
: >"$log"

fail()
{
    echo "guard: $1" >&2
    [ -s "$log" ] && tail -n 12 "$log" | sed 's/^/    /' >&2
    echo "guard: what to do: see that this host's apt reaches its archives (network, proxy, /etc/apt), and run make again;" >&2
    echo "guard:   or copy the .dsc files of the sources, with the archives they name, into $folder;" >&2
    echo "guard:   or link this host's shared libraries instead: make DEPS=system" >&2
    exit 1
}

# Host entries for binaries, in both of apt's formats, become entries for sources.
source_entries()
{
    eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
    for file in "$list" "$parts"/*.list; do
        [ -f "$file" ] || continue
        sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file"
    done >"$apt/etc/host.list"
    for file in "$parts"/*.sources; do
        [ -f "$file" ] || continue
        sed 's/^[Tt][Yy][Pp][Ee][Ss]:.*/Types: deb-src/' "$file"
        echo
    done >"$apt/etc/host.sources"
}

private_apt()
{
    mkdir -p "$apt/etc" "$apt/state/lists/partial" "$apt/cache/archives/partial"
    source_entries
    # How the host reaches its archives (proxies, certificates) holds here too; its hooks after an update must not run.
    apt-config dump | grep '^Acquire::' >"$apt/apt.conf" || true
    cat >>"$apt/apt.conf" <<EOF
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/etc";
Dir::State "$apt/state";
Dir::Cache "$apt/cache";
Acquire::Retries "3";
Acquire::Languages "none";
APT::Sandbox::User "$(id -un)";
EOF
    APT_CONFIG=$apt/apt.conf
    export APT_CONFIG
}

# The newest Debian revision of an upstream version that the archives offer, with its epoch.
newest_revision()
{
    apt-cache showsrc "$1" 2>>"$log" | sed -n 's/^Version: //p' |
        awk -v upstream="$2" '{ bare = $0; sub(/^[0-9]+:/, "", bare); sub(/-[^-]*$/, "", bare); if (bare == upstream) print }' |
        sort -uV | tail -n 1
}

dsc_of()
{
    for dsc in "$folder/$1_$2"*.dsc; do
        [ -f "$dsc" ] && echo "$dsc"
    done | sort -V | tail -n 1
}

fetch()
{
    if [ ! -d "$apt/state" ]; then
        echo "guard: reading the source lists of this host's archives"
        private_apt
        [ -s "$apt/etc/host.list" ] || grep -q . "$apt/etc/host.sources" || fail "found no deb entry under /etc/apt"
        # One of the host's archives may be unreachable and not be needed: what counts is whether the source is found.
        apt-get -q update >>"$log" 2>&1 || true
    fi
    version=$(newest_revision "$1" "$2")
    [ -n "$version" ] || fail "found no source of $1 $2 in this host's archives (Debian 12 has it)"
    echo "guard: fetching the source of $1 $version"
    (cd "$folder" && apt-get -q source --download-only --only-source "$1=$version" >>"$log" 2>&1) ||
        fail "could not fetch the source of $1 $version"
}

# What an earlier, failed run has left says where archives were, not where they are.
rm -rf "$apt"
echo "$pins" | while read -r name upstream sha256; do
    [ -n "$name" ] || continue
    [ -n "$(dsc_of "$name" "$upstream")" ] || fetch "$name" "$upstream"
    archive=$(ls "$folder/${name}_$upstream".orig.tar.* 2>/dev/null | grep -v '\.asc$' | head -n 1)
    [ -n "$archive" ] || fail "the upstream archive of $name $upstream is missing in $folder"
    if [ "$(sha256sum "$archive" | cut -d' ' -f1)" != "$sha256" ]; then
        fail "$archive is not the archive that pins.sh names; remove it together with its .dsc"
    fi
    rm -rf "$folder/$name"
    dpkg-source --no-copy -x "$(dsc_of "$name" "$upstream")" "$folder/$name" >>"$log" 2>&1 ||
        fail "could not unpack the source of $name $upstream"
done
# Package lists are 50 MB that nothing reads again.
rm -rf "$apt"
